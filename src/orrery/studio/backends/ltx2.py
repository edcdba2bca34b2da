"""LTX-2 with an in-context LoRA, which is what follows a guide. The sound that it makes beside its pictures
is left out."""

from __future__ import annotations

from typing import Any

from PIL import Image

from orrery.streams import Array
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Request
from orrery.studio.controls.limits import MODELS

__all__ = ["LTX2"]


def arguments(request: Request) -> dict[str, Any]:
    """Of `diffusers.LTX2InContextPipeline`."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
    from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import LTX2ReferenceCondition

    guide = request.guides[0]
    width, height = request.size
    known = None if request.known is None else [LTX2VideoCondition(_pictures(request.known), index=0)]
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative,
        "reference_conditions": [LTX2ReferenceCondition(_pictures(guide.frames), guide.strength)],
        "conditions": known,
        "height": height,
        "width": width,
        "num_frames": request.num_frames,
        "frame_rate": float(request.frames_per_second),
    }


def _pictures(frames: Array) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in frames]


LTX2 = Backend(
    "LTX2InContextPipeline", MODELS["ltx-2"], arguments, most_strength=1.0, goes_on=True,
    loads=("LTX2Pipeline", "LTX2ImageToVideoPipeline", "LTX2ConditionPipeline"), needs_lora=True,
    licence="LTX-2's weights are under the LTX-2.x Community License, which is no open-source licence",
)  # fmt: skip
