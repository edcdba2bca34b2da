"""A dummy world that takes a first picture, as a learned one does; and pictures to give it."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from orrery.streams import Observation
from orrery.worlds.dummy import DummyWorld

__all__ = ["Pictured", "png"]


class Pictured(DummyWorld):
    """Its first tick shows what it is given."""

    def reset(
        self, seed: int, prompt: Any = None, scene: Any = None, given: Any = None, mask: Any = None
    ) -> Observation:
        tick = super().reset(seed, prompt, scene, None, mask)
        if given is None:
            return tick
        assert list(given) == ["video.main"]
        return {**tick, "video.main": given["video.main"][:, 0]}


def png(colour: tuple[int, int, int], size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    """A picture of one colour."""
    content = io.BytesIO()
    Image.new(mode, size, colour if mode == "RGB" else 1).save(content, "PNG")
    return content.getvalue()
