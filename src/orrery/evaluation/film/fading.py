"""Whether what rests keeps its colour (I2): no thing needs to be followed for that.

A pixel that changes steadily, a little at every step of more than a second, shows nothing that moves: an edge
that passes changes it in one step or two. Light that changes everywhere does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000

from orrery.evaluation.film.question import Answer, thing_words
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["fading"]

STEP_SECONDS, NUM_STEPS = 0.15, 8
PASSES = 3
"""Each looks at steps twice as long as the one before: slower changes."""
MOST_AT_ONCE = 0.28
"""Of the whole change, in one step: more is something that moves."""
FEW_PX = 3.0
LIGHTNESS_SHARE = 0.55
"""Shade comes slowly too, but seldom to a thing alone."""
SURE = 8.0
"""Distance in CIELAB, by which a pixel has changed for certain."""
LEAST_AREA, LEAST_SHARE = 24, 0.4
"""Pixels of half the size that have changed in one place, and the share of them that did so steadily."""


def fading(stretch: Stretch) -> Iterator[Answer]:
    """The region of a stretch that changes its colour most while it rests: how much, in CIEDE2000."""
    if stretch.lost or len(stretch.seconds) <= NUM_STEPS:
        return
    every = max(1, round(STEP_SECONDS / float(np.median(np.diff(stretch.seconds)))))
    told = [_lab(frame) for frame in stretch.frames[::every]]
    seconds, worst = stretch.seconds[::every], None
    for skip in (2**k for k in range(PASSES)):
        length = skip * NUM_STEPS
        for start in range(0, len(told) - length, length // 4):
            found = _fades(told[start : start + length + 1 : skip], seconds[start + length // 2])
            worst = max(filter(None, (worst, found)), key=lambda answer: answer.value, default=None)
    if worst is not None:
        yield worst


def _fades(told: list[Array], seconds: float) -> Answer | None:
    """The region that fades most in some pictures, as `_lab` gives them."""
    whole = told[-1] - told[0]
    whole -= np.median(whole, axis=(0, 1))
    length = np.linalg.norm(whole, axis=-1)
    most = np.max([np.linalg.norm(b - a, axis=-1) for a, b in pairwise(told)], axis=0)
    # What moves by up to FEW_PX changes a pixel by no more than its slope explains.
    slope = np.max([_slope(picture) for picture in (told[0], told[len(told) // 2], told[-1])], axis=0)
    changes = (length > SURE).astype(np.uint8)
    steady = (most < MOST_AT_ONCE * length) & (length > FEW_PX * slope)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(changes, connectivity=4)
    # Of what fades all does so; along an edge that moves slowly a sliver may seem to.
    large = [k for k in range(1, len(stats)) if stats[k, cv2.CC_STAT_AREA] >= LEAST_AREA]
    fades = [k for k in large if steady[labels == k].mean() > LEAST_SHARE]
    if not fades:
        return None
    label = max(fades, key=lambda k: int(stats[k, cv2.CC_STAT_AREA]))
    inside = (labels == label) & steady
    first = np.median(told[0][inside], axis=0)
    change = float(deltaE_ciede2000(first, first + np.median(whole[inside], axis=0)))
    (x, y), (height, width) = centres[label], changes.shape
    colour = first / [LIGHTNESS_SHARE, 1.0, 1.0]
    return Answer(seconds, thing_words(colour, x / width, y / height), change, x / width, y / height)


def _slope(told: Array) -> Array:
    """How much a picture changes from one pixel to the next, `[H, W]`."""
    across, down = (cv2.Sobel(told, cv2.CV_32F, *axes, scale=0.125) for axes in ((1, 0), (0, 1)))
    return np.sqrt((across * across + down * down).sum(-1))


def _lab(picture: Array) -> Array:
    """CIELAB of a picture in half its size, without its noise, `[h, w, 3]` float32, in which lightness counts
    for less."""
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    told = cv2.cvtColor(small.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2LAB)
    return cv2.GaussianBlur(told * np.array([LIGHTNESS_SHARE, 1.0, 1.0], np.float32), (0, 0), 1.0)
