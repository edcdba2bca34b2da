"""Noise of few samples taken away by Intel's Open Image Denoise, guided by the colours and normals that are
seen.

How bright the picture is on the whole is fixed and not measured: measured, a thing that moves in one corner
would change all others.
"""

from __future__ import annotations

import numpy as np
import pyoidn

from orrery.streams import Array

__all__ = ["Denoiser"]


class Denoiser:
    """Keeps the network ready for pictures of one size. height, width: pixels."""

    def __init__(self, height: int, width: int) -> None:
        self._images = {
            name: np.zeros((height, width, 3), np.float32) for name in ("color", "albedo", "normal", "output")
        }
        self._device = pyoidn.Device()
        self._device.commit()
        self._filter = pyoidn.Filter(self._device)
        for name, image in self._images.items():
            self._filter.set_image(name, image, pyoidn.OIDN_FORMAT_FLOAT3)
        self._filter.set_bool("hdr", True)
        self._filter.set_float("inputScale", 1.0)
        self._filter.set_quality(pyoidn.OIDN_QUALITY_HIGH)
        self._filter.commit()
        self._raise_failure()

    def __call__(self, light: Array, colour: Array, normal: Array) -> Array:
        """Light `[H, W, 3]` float32 without its noise; colour in [0, 1] and normal in [-1, 1] `[H, W, 3]`."""
        for name, image in (("color", light), ("albedo", colour), ("normal", normal)):
            self._images[name][:] = image
        self._filter.execute()
        self._raise_failure()
        return self._images["output"].copy()

    def _raise_failure(self) -> None:
        message = self._device.get_error()
        if message:
            raise RuntimeError(f"Open Image Denoise: {message}")
