"""Colours: reductions over those of a pixel, which OpenCV does many times faster than numpy, and CIELAB."""

from __future__ import annotations

import cv2
import numpy as np

from orrery.streams import Array

__all__ = ["difference", "lab", "largest", "smallest"]


def largest(picture: Array) -> Array:
    """`[H, W]` of `[H, W, 3]`: the greatest of each pixel's colours."""
    red, green, blue = cv2.split(picture)
    return cv2.max(cv2.max(red, green), blue)


def smallest(picture: Array) -> Array:
    """`[H, W]` of `[H, W, 3]`: the least of each pixel's colours."""
    red, green, blue = cv2.split(picture)
    return cv2.min(cv2.min(red, green), blue)


def difference(one: Array, other: Array) -> Array:
    """How far two pictures are apart in the colour that differs most, levels, `[H, W]` uint8."""
    return largest(cv2.absdiff(one, other))


def lab(colours: Array) -> Array:
    """CIELAB of sRGB colours `[n, 3]` of 0 to 255, `[n, 3]` float32."""
    return cv2.cvtColor(np.asarray(colours, np.float32)[None] / np.float32(255.0), cv2.COLOR_RGB2LAB)[0]
