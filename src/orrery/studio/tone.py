"""From light to the bytes of a picture, and colours to light.

Light up to KNEE is shown as it is, so that a colour comes out as it was asked for; what is brighter
approaches white without ever reaching it: KNEE + (1 - KNEE) (1 - exp(-(x - KNEE) / (1 - KNEE))), each of red,
green and blue by itself. Then sRGB's own curve, and a grain of less than one level that never changes,
without which wide gradients would show steps.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from orrery.streams import Array

__all__ = ["KNEE", "linear", "picture_bytes", "shoulder"]

KNEE = 0.6


def linear(srgb: Array) -> Array:
    """Light of sRGB colours in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def shoulder(light: Array) -> Array:
    """Light of any strength brought into [0, 1]."""
    over = np.maximum(light - KNEE, 0.0) / (1.0 - KNEE)
    return np.where(light <= KNEE, np.maximum(light, 0.0), KNEE + (1.0 - KNEE) * -np.expm1(-over))


def picture_bytes(light: Array) -> Array:
    """Light `[H, W, 3]` as a picture, `[H, W, 3]` uint8 sRGB."""
    shown = shoulder(light)
    curved = np.where(shown <= 0.0031308, shown * 12.92, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.clip(255.0 * curved + 0.5 + _grain(*light.shape[:2]), 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _grain(height: int, width: int) -> Array:
    """Within half a level, `[H, W, 1]`."""
    return np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1)).astype(np.float32)
