"""How far convex things reach in a picture, from what they are and where: no pixel is drawn for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orrery.streams import Array

__all__ = ["NEAREST_M", "SIDES", "outermost", "unit"]

NEAREST_M = 0.05
"""What is behind the camera, or nearer to it than this, is placed as if it were this far away."""
SIDES = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
"""Right, left, down and up."""
SEARCH_STEPS = 3

Support = Callable[[Array], Array]
"""Of things: directions in their own axes `[4, K, 3]` to the points, relative to their centres and likewise
in their own axes, that are furthest in these directions."""


def outermost(centre: Array, axes: Array, support: Support, steps: int = SEARCH_STEPS) -> Array:
    """Where things end on each of SIDES, on a plane at depth 1, `[4, K]`: each counted outwards from the
    camera's axis.

    centre: `[K, 3]`, right, down, away; axes: `[K, 3, 3]` in the same, one in a row. The point that is
    outermost on one side has the largest ratio of right (or down) to away. It is where `towards - ratio *
    away` is largest, and found by putting in the ratio of the point found before (Dinkelbach's method).
    """
    ratio = (SIDES @ centre.T) / np.maximum(centre[:, 2], NEAREST_M)  # [4, K]
    for _ in range(steps):
        towards = np.repeat(SIDES[:, None], len(centre), axis=1)  # [4, K, 3]
        towards[..., 2] = -ratio
        own = (axes @ towards[..., None])[..., 0]  # in the thing's own axes
        reach = support(own)
        point = centre + (reach[..., None, :] @ axes)[..., 0, :]
        ratio = (point * SIDES[:, None]).sum(-1) / np.maximum(point[..., 2], NEAREST_M)
    return ratio


def unit(vectors: Array) -> Array:
    """Vectors `[..., 3]` at length 1; those of no length stay."""
    return vectors / np.sqrt((vectors * vectors).sum(-1, keepdims=True)).clip(1e-9)
