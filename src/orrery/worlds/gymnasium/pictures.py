"""Pictures fitted to a size: squeezed whatever their aspect, not cut; nothing is lost."""

from __future__ import annotations

import numpy as np
from PIL import Image

from orrery.streams import Array

__all__ = ["ImageSize", "fitted", "fitted_labels", "size_of"]

ImageSize = int | tuple[int, int]
"""Pixels of a square picture, or height and width."""


def size_of(image_size: ImageSize | None, own: tuple[int, int]) -> tuple[int, int]:
    """Height and width of recorded pictures; None keeps the environment's own."""
    if image_size is None:
        return own
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def fitted(picture: Array, height: int, width: int) -> Array:
    """`[H, W, 3]` uint8 as `[height, width, 3]`: areas are averaged, and what is larger is interpolated."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    smaller = height <= picture.shape[0] and width <= picture.shape[1]
    filter = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize((width, height), filter))


def fitted_labels(values: Array, height: int, width: int) -> Array:
    """`[H, W]` as `[height, width]`, each one of the values that were there."""
    if values.shape == (height, width):
        return values.copy()
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST)).astype(values.dtype)
