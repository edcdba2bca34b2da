"""Reads PhyWorld's balls off pictures: soft-weighted centroids, in PhyWorld's units.

A ball's cover of each pixel is read from the colour it takes from the white: red takes blue, blue takes red.
The weighted mean of the covered pixels' centres is the ball's centre, exact up to the picture's 256 levels
(and to the difference of a boundary pixel's centre from its covered part).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orrery.streams import Array
from orrery.worlds.phyworld.scenes import FRAME_SECONDS, SIDE

__all__ = ["Tracks", "track", "velocities"]

_TAKES = (2, 0)
"""The channel that each ball takes wholly and the other not at all: blue by the red, red by the blue."""
_SURE = 0.5
_MIN_AREA_PIXELS = 4.0


@dataclass(frozen=True)
class Tracks:
    """positions `[T, n, 2]` (x right, y up) in units, NaN where is no ball; radii `[T, n]` from the area."""

    positions: Array
    radii: Array


def track(frames: Array, num_balls: int) -> Tracks:
    """Where the first (red) and second (blue) ball are. frames: `[T, S, S, 3]` uint8, else ValueError."""
    frames = np.asarray(frames)
    if (
        frames.ndim != 4
        or frames.shape[1] != frames.shape[2]
        or frames.shape[3] != 3
        or frames.dtype != np.uint8
    ):
        raise ValueError(f"frames are [T, S, S, 3] uint8, got {list(frames.shape)} {frames.dtype}")
    if num_balls not in (1, 2):
        raise ValueError(f"PhyWorld has one or two balls, not {num_balls}")
    pixel = SIDE / frames.shape[1]
    centres = (np.arange(frames.shape[1]) + 0.5) * pixel
    positions = np.full((len(frames), num_balls, 2), np.nan)
    radii = np.full((len(frames), num_balls), np.nan)
    for ball in range(num_balls):
        weights = _cover(frames, _TAKES[ball])
        mass = weights.sum((1, 2))
        found = mass >= _MIN_AREA_PIXELS
        kept, of_kept = weights[found], mass[found]
        positions[found, ball, 0] = kept.sum(1) @ centres / of_kept
        positions[found, ball, 1] = kept.sum(2) @ centres[::-1] / of_kept
        radii[found, ball] = np.sqrt(of_kept * pixel**2 / np.pi)
    return Tracks(positions, radii)


def velocities(positions: Array) -> Array:
    """`[T, n, 2]` positions to `[T - 1, n, 2]` velocities over one frame each, units per second."""
    return np.diff(positions, axis=0) / FRAME_SECONDS


def _cover(frames: Array, channel: int) -> Array:
    """Cover `[T, S, S]` in [0, 1] of the sure pixels and those next to them, without specks elsewhere."""
    cover = 1.0 - frames[..., channel] / 255.0
    padded = np.pad(cover > _SURE, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    near = rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]
    return np.where(near, cover, 0.0)
