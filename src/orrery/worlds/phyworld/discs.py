"""Discs drawn exactly: the share of each pixel that a disc covers, in closed form."""

from __future__ import annotations

import numpy as np

from orrery.streams import Array

__all__ = ["coverage", "draw"]


def coverage(centre: Array, radius: float, side: float, image_size: int) -> Array:
    """Covered share of each pixel, `[image_size, image_size]` in [0, 1], to rounding error.

    centre: (x right, y up) in the units of `side`, the length of the picture's sides; row 0 is at the top.
    A pixel's area under the disc is the second difference of the area to the lower left of its corners.
    """
    pixel = side / image_size
    cover = np.zeros((image_size, image_size))
    first = [int(np.clip(np.floor((c - radius) / pixel), 0, image_size)) for c in centre]
    last = [int(np.clip(np.ceil((c + radius) / pixel), 0, image_size)) for c in centre]
    right, up = (
        (np.arange(a, b + 1) * pixel - c) / radius for a, b, c in zip(first, last, centre, strict=True)
    )
    corner = _lower_left_area(right[None, :], up[:, None])
    area = np.diff(np.diff(corner, axis=0), axis=1) * radius**2
    cover[first[1] : last[1], first[0] : last[0]] = np.clip(area / pixel**2, 0.0, 1.0)
    return cover[::-1]


def draw(centres: Array, radii: Array, colours: Array, side: float, image_size: int) -> Array:
    """Discs that do not overlap on white, `[image_size, image_size, 3]` uint8.

    centres `[n, 2]`, radii `[n]` in the units of `side`; colours `[n, 3]`, 0 to 255.
    """
    picture = np.full((image_size, image_size, 3), 255.0)
    for centre, radius, colour in zip(centres, radii, colours, strict=True):
        picture += coverage(centre, radius, side, image_size)[..., None] * (np.asarray(colour) - 255.0)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)


def _lower_left_area(x: Array, y: Array) -> Array:
    """Area of the part of the unit disc with X <= x and Y <= y; x and y are broadcast."""
    x, y = np.clip(x, -1, 1), np.clip(y, -1, 1)
    half_chord = np.sqrt(1 - y**2)
    middle = np.clip(x, -half_chord, half_chord)
    area = y * (middle + half_chord) + _under_arc(middle) - _under_arc(-half_chord)
    # Above the centre, the columns beyond the chord's ends are below y from top to bottom.
    left = _under_arc(np.minimum(x, -half_chord)) - _under_arc(np.array(-1.0))
    right = _under_arc(np.maximum(x, half_chord)) - _under_arc(half_chord)
    return area + np.where(y >= 0, 2 * (left + right), 0.0)


def _under_arc(x: Array) -> Array:
    """Integral of sqrt(1 - t^2) from 0 to x."""
    return (x * np.sqrt(np.maximum(1 - x**2, 0)) + np.arcsin(x)) / 2
