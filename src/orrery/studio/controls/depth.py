"""Depth: metres as they are, and as the 8-bit picture that depth-guided models were trained with."""

from __future__ import annotations

import numpy as np

from orrery.streams import Array

__all__ = ["DEPTH_FORM", "InverseRange", "depth_of_bytes"]

DEPTH_FORM = "inverse depth over the whole film, nearest white, furthest black, grey"


class InverseRange:
    """The range of 1 / depth over a film, which its 8-bit picture spans. Nothing at all is at 1 / depth =
    0."""

    def __init__(self) -> None:
        self.near_m, self.far_m = np.inf, 0.0

    def add(self, depth_m: Array) -> None:
        """Take a frame in, `[H, W]` metres."""
        self.near_m = min(self.near_m, float(depth_m.min()))
        self.far_m = max(self.far_m, float(depth_m.max()))

    def picture(self, depth_m: Array) -> Array:
        """`[H, W]` metres as `[H, W, 3]` uint8; all white where all is equally far."""
        low, high = 1.0 / self.far_m, 1.0 / self.near_m
        share = (1.0 / depth_m - low) / (high - low) if high > low else np.ones_like(depth_m)
        grey = np.rint(255.0 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)


def depth_of_bytes(grey: Array, near_m: float, far_m: float) -> Array:
    """Metres of an 8-bit picture, uint8 of any shape, as far as its levels tell; infinite for black where
    `far_m` is."""
    share = grey.astype(float) / 255.0
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 / far_m + share * (1.0 / near_m - 1.0 / far_m))
