"""CogVideoX-Fun V1.1 Control: one guide, nothing else."""

from __future__ import annotations

from typing import Any

from PIL import Image

from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Request
from orrery.studio.controls.limits import MODELS

__all__ = ["COGVIDEOX_FUN"]


def arguments(request: Request) -> dict[str, Any]:
    """Of `diffusers.CogVideoXFunControlPipeline`; the film is as long as its guide."""
    width, height = request.size
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative,
        "control_video": [Image.fromarray(frame) for frame in request.guides[0].frames],
        "height": height,
        "width": width,
    }


COGVIDEOX_FUN = Backend("CogVideoXFunControlPipeline", MODELS["cogvideox-fun"], arguments)
