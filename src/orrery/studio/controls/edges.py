"""Lines where one thing ends before another, where a face meets the next, and nowhere else: no texture,
light or shadow draws any."""

from __future__ import annotations

import math

import numpy as np

from orrery.streams import Array
from orrery.studio.controls.geometry import Seen
from orrery.studio.views import camera_axes, half_tangents

__all__ = ["edge_picture", "edges"]

CREASE_DEG = 25.0
"""Faces that meet at a larger angle meet in a line."""
STEP_PIXELS = 4.0
"""Within one thing, what lies further behind a face's plane than this has a line before it; in widths of a
pixel there, so that a round limb is none."""


def edges(seen: Seen) -> Array:
    """Where lines are in a frame, `[H, W]` bool, a pixel wide: on the left and the upper side of each
    change."""
    lines = np.zeros(seen.depth_m.shape, bool)
    with np.errstate(invalid="ignore"):  # infinity less infinity, where nothing is
        _draw(seen, lines)
    return lines


def _draw(seen: Seen, lines: Array) -> None:
    points, pixel_m = _points(seen)
    for axis in (0, 1):
        here, there = _pairs(seen.instance, axis)
        differ = here != there
        near, far = _pairs(seen.facing, axis)
        crease = (near * far).sum(-1) < math.cos(math.radians(CREASE_DEG))
        p, q = _pairs(points, axis)
        wide = np.maximum(*_pairs(pixel_m, axis))
        off = np.minimum(np.abs(((q - p) * near).sum(-1)), np.abs(((q - p) * far).sum(-1)))
        step = off > STEP_PIXELS * wide
        nothing = np.isinf(_pairs(seen.depth_m, axis)).all(0)
        before, _ = _pairs(lines, axis)
        before |= differ | ((crease | step) & ~nothing)


def edge_picture(lines: Array) -> Array:
    """Lines `[H, W]` as white on black, `[H, W, 3]` uint8."""
    return np.repeat((lines * np.uint8(255))[..., None], 3, axis=-1)


def _pairs(values: Array, axis: int) -> tuple[Array, Array]:
    """Each pixel and the one below (axis 0) or to the right of it (axis 1)."""
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])


def _points(seen: Seen) -> tuple[Array, Array]:
    """Where each pixel's point is, `[H, W, 3]` metres from the camera in the world's axes, and a pixel's
    width there, `[H, W]` metres."""
    height, width = seen.depth_m.shape
    pose = seen.scene.cameras[0]
    half = half_tangents(float(pose[7]), (width, height))
    x = (2.0 * (np.arange(width) + 0.5) / width - 1.0) * half[0]
    y = (1.0 - 2.0 * (np.arange(height) + 0.5) / height) * half[1]
    way = np.stack(np.broadcast_arrays(x[None], y[:, None], -1.0), -1)
    own = way * seen.depth_m[..., None]
    axes = camera_axes(pose)
    return own @ axes.T, seen.depth_m * (2.0 * half[1] / height)
