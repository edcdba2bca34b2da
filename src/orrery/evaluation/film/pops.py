"""Things that are there or gone from one picture to the next, while all about them rests (I1).

No thing needs to be followed for that: a region changes a lot at once, and neither it nor what is next to it
changed for a while before, nor does for a while after. What moves there or away changes its surroundings too.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from orrery.evaluation.film.channels import difference, lab
from orrery.evaluation.film.plate import band, gradient, padded
from orrery.evaluation.film.question import Answer, Question, thing_words
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["POPS", "pops"]

POPS = Question(
    "I1", "picture", "changes at once", "times a minute", 0.1, 1.0, "{subject} at once, and all about it rests",
    counts=True,
)  # fmt: skip
REST_SECONDS = 0.17
JUMP_LEVELS, QUIET_LEVELS, QUIET_SHARE = 24, 10, 0.35
"""At a jump a pixel changes by more than the first, and otherwise by less than the second, or than this share
of the jump: codecs refine what is new."""
LEAST_AREA, MAX_SHARE = 60, 0.25
"""Pixels; and of the picture, beyond which the light changes, or the shot."""
ABOUT_PX = 9
STIRS_SHARE = 0.2
"""Of its area: less may stir next to it."""


def pops(stretch: Stretch) -> Iterator[Answer]:
    """Each time that something is there or gone at once; all that changes in the same picture is told as
    one."""
    frames = stretch.frames
    if len(frames) < 3:
        return
    changes = np.stack([difference(a, b) for a, b in zip(frames, frames[1:], strict=False)])
    reach = max(2, round(REST_SECONDS / float(np.median(np.diff(stretch.seconds)))))
    for k in range(reach, len(changes) - reach):
        found = _alone(changes[k], np.concatenate([changes[k - reach : k], changes[k + 1 : k + 1 + reach]]))
        if found:
            yield _answer(stretch, k, found)


def _alone(jump: Array, others: Array) -> list[Array]:
    """The regions `[H, W]` uint8 that change in one picture, and in none of the `others` about it."""
    changed = jump > JUMP_LEVELS
    if not LEAST_AREA <= np.count_nonzero(changed) <= MAX_SHARE * jump.size:
        return []
    most = others.max(0)
    stirs = most > np.maximum(QUIET_LEVELS, QUIET_SHARE * jump)
    mask = cv2.morphologyEx((changed & ~stirs).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for label in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= LEAST_AREA):
        box = padded(stats[label], ABOUT_PX)
        about = cv2.dilate((labels[box] == label).astype(np.uint8), np.ones((2 * ABOUT_PX + 1,) * 2, np.uint8))
        if label > 0 and np.count_nonzero(stirs[box] & (about > 0)) < STIRS_SHARE * stats[label, cv2.CC_STAT_AREA]:
            found.append((labels == label).astype(np.uint8))
    return found


def _answer(stretch: Stretch, k: int, found: list[Array]) -> Answer:
    """What is told of the regions that change between pictures k and k + 1: their largest, and whether it is
    there before or after."""
    part = max(found, key=lambda region: int(region.sum()))
    edge = band(part)
    before, after = (float(gradient(frame)[edge].mean()) for frame in stretch.frames[k : k + 2])
    shown = stretch.frames[k + (after > before)]
    rows, columns = np.nonzero(part)
    height, width = part.shape
    place = float(columns.mean()) / width, float(rows.mean()) / height
    words = thing_words(np.median(lab(shown[rows, columns]), axis=0), *place)
    words += " appears" if after > before else " vanishes"
    return Answer(stretch.seconds[k + 1], words, float(sum(region.sum() for region in found)), *place)
