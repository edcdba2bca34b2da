"""Wan 2.1 and 2.2 with VACE: a guide, and frames that are kept where a mask is black."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Request
from orrery.studio.controls.limits import MODELS

__all__ = ["WAN_VACE"]

KEPT, MADE = 0, 255


def arguments(request: Request) -> dict[str, Any]:
    """Of `diffusers.WanVACEPipeline`."""
    guide = request.guides[0]
    video, masks = guide.frames, np.full(guide.frames.shape[:3], MADE, np.uint8)
    if request.known is not None:
        count = len(request.known)
        video = np.concatenate([request.known, video[count:]])
        masks[:count] = KEPT
    width, height = request.size
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative,
        "video": [Image.fromarray(frame) for frame in video],
        "mask": [Image.fromarray(mask) for mask in masks],
        "conditioning_scale": guide.strength,
        "height": height,
        "width": width,
        "num_frames": request.num_frames,
    }


WAN_VACE = Backend("WanVACEPipeline", MODELS["wan-vace"], arguments, most_strength=2.0, goes_on=True)
