"""Whether the picture as a whole holds still where it should: stops, flicker, and slow changes of light,
colour and sharpness (L2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from orrery.evaluation.film.blobs import Blob
from orrery.evaluation.film.channels import difference, largest, smallest
from orrery.evaluation.film.plate import Plate
from orrery.evaluation.film.question import Answer, Question
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["FLICKER", "STOPS", "TRENDS", "Steadiness", "trend"]

STOPS = Question(
    "I1", "picture", "stands still, then jumps", "times a minute", 0.1, 1.0,
    "the picture stands still for {value:.1f} s while things move, and then jumps", counts=True,
)  # fmt: skip
FLICKER = Question(
    "L2", "picture", "flicker", "levels of the background from one picture to the next, 95th percentile",
    1.5, 4.0, "the light of the background flickers by {value:.1f} levels",
)  # fmt: skip
TRENDS = tuple(
    Question(
        "L2", "picture", f"{name} over time", "share a minute, the least that its interval holds", 0.05, 0.25,
        f"{name} changes by {{value:.0%}} a minute",
    )
    for name in ("light", "saturation", "sharpness")
)  # fmt: skip
LEAST_STILL_SECONDS, LEAST_STILL_PICTURES = 0.2, 5
MOVED_LEVELS, MOVED_SHARE = 18, 0.0015
JUMP_RATIO = 1.3
STILL_SHARE = 0.0007
"""Less than this changes in a picture that repeats the one before and is coded anew."""
LONE_SHARE, LONE_RATIO = 0.004, 10.0
"""A change of so much of the picture, and so many times that of the next one, is a jump however fast things
were before they stopped."""
LEAST_TREND_SECONDS = 20.0


class _Jump(NamedTuple):
    """What may be a jump after a stop that began at `start` and lasted `seconds`. share: of the picture that
    changed at once. before: that changed from one picture to the next before the stop."""

    start: float
    seconds: float
    share: float
    before: float

    def is_one(self, after: float) -> bool:
        """Whether it is, when `after` is the share that changes in the next picture: what merely begins to
        move goes on, and nothing that moves is gone from one picture to the next."""
        alone = self.share > LONE_SHARE and self.share > LONE_RATIO * after
        return alone or self.share > JUMP_RATIO * max(self.before, after)


@dataclass
class Steadiness:
    """What is kept of a film's pictures: for each second its mean light, saturation and sharpness, and which
    shot it is of."""

    rows: list[tuple[float, int, float, float, float]] = field(default_factory=list)
    shot: int = -1
    stirring: list[float] = field(default_factory=list)
    _second: list[tuple[float, float, float]] = field(default_factory=list)
    _moved: deque[float] = field(default_factory=lambda: deque(maxlen=6))
    _still: list[float] = field(default_factory=list)
    _before: Array | None = None
    _jump: _Jump | None = None

    def see(self, stretch: Stretch) -> Iterator[Answer]:
        """Take in a stretch; each stop of the picture that ends in a jump."""
        if stretch.begins_shot:
            self._end_second(stretch.seconds[0])
            self.shot += 1
            self._moved.clear()
            self._still, self._before, self._jump = [], None, None
        for frame, seconds, stirs in zip(stretch.frames, stretch.seconds, stretch.stirs, strict=True):
            if (self.rows and int(seconds) > int(self.rows[-1][0])) or len(self._second) >= 120:
                self._end_second(seconds)
            self._second.append(_looks(frame))
            if stirs:
                self.stirring.append(seconds)
            yield from self._step(frame, seconds, stirs)
        self._end_second(stretch.seconds[-1])

    def _end_second(self, seconds: float) -> None:
        if self._second:
            self.rows.append((seconds, self.shot, *np.mean(self._second, axis=0).tolist()))
            self._second = []

    def _step(self, frame: Array, seconds: float, stirs: bool) -> Iterator[Answer]:
        before, self._before = self._before, frame
        if before is None:
            return
        moved = float((difference(before, frame) > MOVED_LEVELS).mean()) if stirs else 0.0
        if self._jump is not None:
            if self._jump.is_one(moved):
                yield Answer(self._jump.start, "the picture", self._jump.seconds)
            self._jump = None
        if moved < STILL_SHARE:
            self._still.append(seconds)
            return
        still = self._still
        if len(still) >= LEAST_STILL_PICTURES and still[-1] - still[0] >= LEAST_STILL_SECONDS and self._moved:
            usual, last = float(np.median(self._moved)), self._moved[-1]
            if last > MOVED_SHARE:
                self._jump = _Jump(still[0], still[-1] - still[0], moved, max(usual, last))
        self._still = []
        self._moved.append(moved)

    def flicker(self, stretch: Stretch, plate: Plate, seen: list[list[Blob]]) -> Iterator[Answer]:
        """How much the background's light jumps up or down and back, from picture to picture."""
        ground = np.ones(plate.image.shape[:2], bool) if plate.known is None else plate.known.copy()
        for blobs in seen:
            for left, top, right, bottom in (blob.box for blob in blobs):
                ground[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3] = False
        if ground.mean() < 0.2 or len(seen) < 8 or stretch.lost:
            return
        mask = ground.astype(np.uint8)
        light = np.array([cv2.mean(frame, mask)[1] for frame in stretch.frames])
        swing = np.abs(light[1:-1] - (light[:-2] + light[2:]) / 2)
        worst = int(swing.argmax())
        yield Answer(stretch.seconds[worst + 1], "the background", float(np.percentile(swing, 95)))


def _looks(frame: Array) -> tuple[float, float, float]:
    """Light, saturation and sharpness of a picture: mean of the brightest channel, mean distance of the
    channels, root mean square of the Laplacian over the contrast."""
    small = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    high, low = float(largest(small).mean()), float(smallest(small).mean())
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    rough = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return high, high - low, rough / max(float(grey.std()), 1.0)


def trend(rows: list[tuple[float, int, float, float, float]], which: int) -> Answer | None:
    """The change a minute of a film's light (0), saturation (1) or sharpness (2), within its shots, as a
    share of its mean: the smallest that the slope's 95 % interval holds; None of what is too short."""
    table = np.array(rows)
    if len(table) < 8 or table[-1, 0] - table[0, 0] < LEAST_TREND_SECONDS:
        return None
    minutes, values = table[:, 0] / 60.0, table[:, 2 + which]
    for shot in np.unique(table[:, 1]):
        own = table[:, 1] == shot
        minutes, values = (
            np.where(own, minutes - minutes[own].mean(), minutes),
            np.where(own, values - values[own].mean(), values),
        )
    spread = float((minutes**2).sum())
    free = len(table) - 1 - len(np.unique(table[:, 1]))
    if spread < 1e-6 or free < 4:
        return None
    slope = float((minutes * values).sum()) / spread
    left = values - slope * minutes
    # Neighbouring seconds are alike: as many are independent as their correlation says.
    alike = float(np.clip((left[1:] * left[:-1]).sum() / max(float((left**2).sum()), 1e-9), 0.0, 0.95))
    error = float(np.sqrt((left**2).sum() / free / spread * (1 + alike) / (1 - alike)))
    least = max(0.0, abs(slope) - 2.0 * error) / max(float(table[:, 2 + which].mean()), 1e-6)
    return Answer(float(table[len(table) // 2, 0]), TRENDS[which].name, least)
