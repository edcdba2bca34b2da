"""Optical flow as a picture: direction as hue, length as saturation, on the colour wheel of Baker et al.
(2011), which flow-guided models were trained with."""

from __future__ import annotations

from functools import cache

import numpy as np

from orrery.streams import Array

__all__ = ["FLOW_FORM", "flow_picture"]

FLOW_FORM = (
    "direction as hue and length as saturation on the wheel of Baker et al. (2011); white: at rest; fully "
    "coloured: the longest of the film"
)
ARCS = ((15, 0, 1), (6, 1, 0), (4, 1, 2), (11, 2, 1), (13, 2, 0), (6, 0, 2))
"""Of the wheel: how many colours, which of red, green and blue is full, and which rises from nothing or, in
every second arc, falls to it."""


def flow_picture(flow_px: Array, longest_px: float) -> Array:
    """Flow `[H, W, 2]` as `[H, W, 3]` uint8. longest_px: length of what is fully coloured. What has no place
    in the next picture (NaN) is black."""
    wheel = _wheel()
    x, y = np.moveaxis(np.nan_to_num(flow_px) / max(longest_px, 1e-9), -1, 0)
    place = (np.arctan2(-y, -x) / np.pi + 1.0) / 2.0 * (len(wheel) - 1)
    first = np.floor(place).astype(int)
    share = (place - first)[..., None]
    hue = (1.0 - share) * wheel[first] + share * wheel[(first + 1) % len(wheel)]
    length = np.clip(np.hypot(x, y), 0.0, 1.0)[..., None]
    picture = np.rint(255.0 * (1.0 - length * (1.0 - hue))).astype(np.uint8)
    return np.where(np.isnan(flow_px).any(-1, keepdims=True), np.uint8(0), picture)


@cache
def _wheel() -> Array:
    """`[55, 3]` in [0, 1]: from red by yellow, green, cyan, blue and magenta back."""
    colours = []
    for number, (count, full, changes) in enumerate(ARCS):
        part = np.zeros((count, 3))
        part[:, full] = 1.0
        ramp = np.arange(count) / count
        part[:, changes] = ramp if number % 2 == 0 else 1.0 - ramp
        colours.append(part)
    return np.concatenate(colours)
