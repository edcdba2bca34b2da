"""Two things that touch are one region of a picture; where they differ in colour, they can be told apart.

Light and shade change how bright a thing is more than which colour it has, so that chromaticity decides: the
shares of red and green in a pixel's light (and whether there is any light). A region is cut in two if its
chromaticities fall into two groups far apart (k-means), each of which lies together in one place.
"""

from __future__ import annotations

import cv2
import numpy as np

from orrery.streams import Array

__all__ = ["KMEANS_STOP", "parted", "tints"]

FAR = 0.09
"""Between the groups' centres: shares of a pixel's light."""
BETWEEN = 2.5
"""How many times the groups' own spread that must be."""
DARK_LEVELS = 75.0
"""Sum of the three channels at which a pixel's colour is half lost."""
LEAST_AREA, LEAST_SHARE = 30, 0.12
TOGETHER = 0.8
"""Of a group's pixels, those in its largest piece: less is a pattern, and not a thing."""
LEAST_CORE = 12
"""Of a thing without its rim, pixels: a codec mixes the colours of rims with what is beyond them."""
MAX_CUTS = 2
_RIM = np.ones((5, 5), np.uint8)
KMEANS_STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.003)


def parted(frame: Array, part: Array, cuts: int = MAX_CUTS) -> list[Array]:
    """The parts of a region, uint8 `[h, w]` each, together all of it; one where it cannot be cut. frame:
    `[h, w, 3]` uint8. part: uint8 `[h, w]`. cuts: how often a part may be cut again."""
    inside = part > 0
    if cuts == 0 or inside.sum() < 2 * LEAST_AREA:
        return [part]
    light = tints(frame)
    second = _second_group(light[cv2.erode(part, _RIM) > 0])
    if second is None:
        return [part]
    centres = np.stack(second)
    nearest = np.linalg.norm(light[:, :, None] - centres, axis=-1).argmin(-1)
    halves = [(inside & (nearest == k)).astype(np.uint8) for k in range(2)]
    pieces = [_largest(half) for half in halves]
    least = max(LEAST_AREA, LEAST_SHARE * float(inside.sum()))
    if any(p.sum() < max(least, TOGETHER * float(h.sum())) for p, h in zip(pieces, halves, strict=True)):
        return [part]
    if any(cv2.erode(p, _RIM).sum() < LEAST_CORE for p in pieces):
        return [part]
    # Crumbs of the one colour within the other go to whichever piece they are nearer to.
    nearer = cv2.distanceTransform(1 - pieces[0], cv2.DIST_L2, 3) <= cv2.distanceTransform(
        1 - pieces[1], cv2.DIST_L2, 3
    )
    whole = [(inside & nearer).astype(np.uint8), (inside & ~nearer).astype(np.uint8)]
    return [again for half in whole for again in parted(frame, half, cuts - 1)]


def tints(frame: Array) -> Array:
    """Shares of red and of green in each pixel's light, drawn to grey where there is little, `[h, w, 2]`."""
    light = cv2.blur(frame, (3, 3)).astype(np.float32)
    total = light.sum(-1, keepdims=True)
    return (light[..., :2] - total / 3) / (total + DARK_LEVELS)


def _second_group(tints: Array) -> tuple[Array, Array] | None:
    """The centres of two groups of `tints [n, 2]`; None where they are one."""
    if len(tints) < 2 * LEAST_AREA or np.linalg.norm(tints.std(0)) < FAR / 4:
        return None
    cv2.setRNGSeed(0)
    left, _, centres = cv2.kmeans(tints, 2, None, KMEANS_STOP, 2, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    spread = float(np.sqrt(left / len(tints)))
    apart = float(np.linalg.norm(centres[0] - centres[1]))
    return (centres[0], centres[1]) if apart > max(FAR, BETWEEN * spread) else None


def _largest(mask: Array) -> Array:
    """The largest connected piece of a mask, uint8."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if len(stats) < 2:
        return mask
    return (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
