"""Pictures of what was found: a strip of frames about each moment, fetched when all is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np

from orrery.errors import UserError
from orrery.evaluation.film.report import Finding
from orrery.media.reader import iterate_pictures
from orrery.streams import Array

__all__ = ["STRIP_OFFSETS", "Moment", "moments"]

NUM_MOMENTS = 12
STRIP_OFFSETS = (-0.5, -0.25, -0.083, 0.0, 0.125, 0.375)
"""Seconds about a moment."""
STRIP_PIXELS = 60_000
MAX_DECODED = 2_000
RING = (255, 40, 40)


@dataclass(frozen=True)
class Moment:
    """strip: `[n, H, W, 3]` uint8, pictures about the moment, a ring where it is; seconds: their instants.
    Both empty where the film could not be read there."""

    finding: Finding
    strip: Array
    seconds: Sequence[float]


def moments(path: Path, findings: Sequence[Finding]) -> list[Moment]:
    """The worst moments of a film: of each kind in turn, at most NUM_MOMENTS, in order of time."""
    queues: dict[str, list[Finding]] = {}
    for finding in findings:
        queues.setdefault(finding.question.name, []).append(finding)
    turns = [f for turn in zip_longest(*queues.values()) for f in turn if f is not None]
    return [_moment(path, finding) for finding in sorted(turns[:NUM_MOMENTS], key=lambda f: f.seconds)]


def _moment(path: Path, finding: Finding) -> Moment:
    wanted = [max(0.0, finding.seconds + offset) for offset in STRIP_OFFSETS]
    kept: list[tuple[float, Array]] = []
    try:
        for number, (seconds, picture) in enumerate(
            iterate_pictures(path, STRIP_PIXELS, max(0.0, wanted[0] - 0.2))
        ):
            kept.append((seconds, picture))
            if seconds > wanted[-1] or number > MAX_DECODED:
                break
    except UserError:  # it was read once; where seeking fails there is a finding without a picture
        kept = []
    if not kept:
        return Moment(finding, np.zeros((0, 0, 0, 3), np.uint8), [])
    nearest = [min(kept, key=lambda pair: abs(pair[0] - instant)) for instant in wanted]
    middle = STRIP_OFFSETS.index(0.0)
    pictures = [picture for _, picture in nearest]
    pictures[middle] = _ringed(pictures[middle], finding.x, finding.y)
    return Moment(finding, np.stack(pictures), [seconds for seconds, _ in nearest])


def _ringed(picture: Array, x: float, y: float) -> Array:
    """A picture with a ring about the place, unless it is the whole picture."""
    if (x, y) == (0.5, 0.5):
        return picture
    height, width = picture.shape[:2]
    ringed = picture.copy()
    centre = round(x * width), round(y * height)
    cv2.circle(ringed, centre, round(0.14 * min(height, width)), RING, max(1, height // 90), cv2.LINE_AA)
    return ringed
