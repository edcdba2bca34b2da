"""A film in stretches: a few seconds of one shot, every picture laid over the first.

A stretch fits in memory whatever the film is: it ends at a cut, where the camera has turned away from what it
began with, or when it is long enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from orrery.evaluation.film.camera import STANDING, Follower, Seen, likeness
from orrery.evaluation.film.channels import difference
from orrery.streams import Array

__all__ = ["MAX_FRAMES", "Stretch", "sized", "stretches"]

MAX_PIXELS, LEAST_PIXELS = 100_000, 50_000
"""A film is looked at in this size: of a 4K film no more is needed, and a small one is not seen more coarsely
than it is."""
MAX_FRAMES = 160
MAX_SECONDS = 8.0
CUT_LIKENESS, CUT_LEVELS = 0.75, 14.0
"""Two pictures that are less alike than this, and differ by more, show different shots."""
HOLE_SECONDS = 2.0
LEAST_OVERLAP = 0.6
STIR_LEVELS, STIR_PIXELS = 14, 4
"""A picture repeats the one before where fewer pixels differ by more: codecs repeat what stands still."""


@dataclass
class Stretch:
    """begins_shot: whether a cut, or the film's begin, comes before it. goes_on: whether it shows the same
    view as the stretch before it, whose camera stood as well, so that places are the same. frames: n of
    `[H, W, 3]` uint8, laid over the first. seconds: their instants. views: n similarities `[2, 3]` from
    picture to first picture. stirs: whether each differs from the one before it. lost: how many could not be
    laid over the first, and were left as they are. last: the last picture, as it is."""

    begins_shot: bool
    goes_on: bool = False
    frames: list[Array] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    views: list[Array] = field(default_factory=list)
    stirs: list[bool] = field(default_factory=list)
    lost: int = 0
    last: Array | None = None

    @cached_property
    def changes(self) -> list[Array]:
        """How far each picture is from the next, levels, n - 1 of `[H, W]` uint8; of a stretch that is
        complete."""
        return [difference(a, b) for a, b in pairwise(self.frames)]

    @property
    def stands(self) -> bool:
        """Whether the camera does not move."""
        return all(view is STANDING for view in self.views)

    def known(self) -> Array | None:
        """Where every picture shows something, `[H, W]` bool; None for everywhere."""
        if self.stands:
            return None
        height, width = self.frames[0].shape[:2]
        known = np.ones((height, width), np.uint8)
        for view in self.views:
            shown = cv2.warpAffine(np.ones_like(known), view, (width, height), flags=cv2.INTER_NEAREST)
            known = np.minimum(known, shown)
        return cv2.erode(known, np.ones((5, 5), np.uint8)) > 0


def sized(picture: Array) -> Array:
    """A picture `[H, W, 3]` in the size that it is looked at."""
    height, width = picture.shape[:2]
    if LEAST_PIXELS <= height * width <= MAX_PIXELS:
        return picture
    wanted = MAX_PIXELS if height * width > MAX_PIXELS else 1.3 * LEAST_PIXELS
    scale = (wanted / (height * width)) ** 0.5
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def stretches(pictures: Iterable[tuple[float, Array]]) -> Iterator[Stretch]:
    """Every stretch of a film, in order. pictures: instants, seconds, and pictures of one size (`sized`)."""
    current: Stretch | None = None
    follower: Follower | None = None
    before: Array | None = None
    for seconds, picture in pictures:
        cut = before is not None and (
            _cut(before, picture) or (current is not None and seconds - current.seconds[-1] > HOLE_SECONDS)
        )
        seen = Seen(picture)
        view = None if follower is None or cut else follower.place(seen)
        if current is None or follower is None or cut or _full(current, seconds) or _away(view, picture):
            goes_on = view is STANDING and current is not None and current.stands
            if current is not None:
                yield current
            begins = cut or before is None
            current, follower, view = Stretch(begins, goes_on), Follower(seen), STANDING
        stirs = before is None or _stirs(before, picture)
        _append(current, seconds, picture, view, stirs)
        before = picture
    if current is not None:
        yield current


def _append(stretch: Stretch, seconds: float, picture: Array, view: Array | None, stirs: bool) -> None:
    if view is None:
        stretch.lost += 1
        view = STANDING
    height, width = picture.shape[:2]
    placed = picture if view is STANDING else cv2.warpAffine(picture, view, (width, height))
    stretch.frames.append(placed)
    stretch.last = picture
    stretch.seconds.append(seconds)
    stretch.views.append(view)
    stretch.stirs.append(stirs)


def _full(stretch: Stretch, seconds: float) -> bool:
    return len(stretch.frames) >= MAX_FRAMES or seconds - stretch.seconds[0] > MAX_SECONDS


def _away(view: Array | None, picture: Array) -> bool:
    """Whether too little of the first picture is still to be seen."""
    if view is None:
        return False
    height, width = picture.shape[:2]
    left, top = view @ np.array([0.0, 0.0, 1.0])
    right, bottom = view @ np.array([width, height, 1.0])
    across = max(0.0, min(right, width) - max(left, 0.0)) / width
    down = max(0.0, min(bottom, height) - max(top, 0.0)) / height
    return across * down < LEAST_OVERLAP


def _cut(before: Array, picture: Array) -> bool:
    alike, levels = likeness(before, picture)
    return alike < CUT_LIKENESS and levels > CUT_LEVELS


def _stirs(before: Array, picture: Array) -> bool:
    return int(np.count_nonzero(difference(before, picture) > STIR_LEVELS)) >= STIR_PIXELS
