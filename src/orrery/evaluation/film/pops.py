"""Things that are there or gone from one picture to the next, while all about them rests (I1).

No thing needs to be followed for that: a region changes a lot at once, and neither it nor what is next to it
changed for a while before, nor does for a while after. What moves there or away changes its surroundings too.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from orrery.evaluation.film.question import Answer, Question
from orrery.evaluation.film.regions import Changed, regions
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["POPS", "pops"]

POPS = Question(
    "I1", "picture", "changes at once", "times a minute", 0.1, 1.0,
    "{subject} at once, and all about it rests", counts=True,
)  # fmt: skip
REST_SECONDS = 0.17
JUMP_LEVELS, QUIET_LEVELS, QUIET_SHARE = 24, 10, 0.35
"""At a jump a pixel changes by more than the first, and otherwise by less than the second, or than this share
of the jump: codecs refine what is new."""
LEAST_AREA, MAX_SHARE = 60, 0.25
"""Pixels; and of the picture, beyond which the light changes, or the shot."""
STIRS_SHARE = 0.2
"""Of its area: less may stir in it and next to it."""
_ABOUT = np.ones((19, 19), np.uint8)


def pops(stretch: Stretch) -> Iterator[Answer]:
    """Each time that something is there or gone at once; all that changes in the same picture is told as
    one."""
    frames = stretch.frames
    if len(frames) < 3:
        return
    changes = np.stack(stretch.changes)
    reach = max(2, round(REST_SECONDS / float(np.median(np.diff(stretch.seconds)))))
    for k in range(reach, len(changes) - reach):
        others = np.concatenate([changes[k - reach : k], changes[k + 1 : k + 1 + reach]])
        found = _alone(changes[k], others)
        if found:
            largest = max(found, key=lambda region: int(region.sum()))
            changed = Changed.of(frames[k], frames[k + 1], largest)
            words = f"{changed.subject} {'appears' if changed.new else 'vanishes'}"
            yield Answer(stretch.seconds[k + 1], words, changed.area, changed.x, changed.y)


def _alone(jump: Array, others: Array) -> list[Array]:
    """The regions `[H, W]` uint8 that change in one picture, and in none of the `others` about it."""
    changed = jump > JUMP_LEVELS
    if not LEAST_AREA <= np.count_nonzero(changed) <= MAX_SHARE * jump.size:
        return []
    stirs = others.max(0) > np.maximum(QUIET_LEVELS, QUIET_SHARE * jump)
    return [
        region
        for region in regions(changed & ~stirs, LEAST_AREA)
        if np.count_nonzero(stirs & (cv2.dilate(region, _ABOUT) > 0)) < STIRS_SHARE * region.sum()
    ]
