"""Whether things are as they were when the camera comes back to them (I3).

Each stretch of a shot begins with a picture of some place. Where a later picture shows such a place again,
though the camera had left it in between (loop closure: ORB features and the similarity that most agree on),
the two are laid over each other. What rested and differs changed while nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from orrery.evaluation.film.camera import STANDING, Follower, Seen
from orrery.evaluation.film.plate import Plate, contrast, gradient, spread
from orrery.evaluation.film.question import Answer, Question
from orrery.evaluation.film.regions import Changed, regions
from orrery.evaluation.film.stretch import Stretch
from orrery.streams import Array

__all__ = ["RETURNED", "REVISIT", "Revisits"]

REVISIT = Question(
    "I3", "identity", "picture when the camera comes back",
    "root mean square difference, of full scale; the worst", 0.112, 0.2,
    "the picture is not as it was when the camera looked here before",
)  # fmt: skip
RETURNED = Question(
    "I3", "identity", "changed while nobody looked", "times a minute and thing", 0.1, 1.0,
    "{subject} when the camera comes back", counts=True,
)  # fmt: skip
MAX_PLACES = 24
LEAST_OVERLAP, LEAST_SEEN, MOST_LEFT = 0.4, 0.1, 0.1
"""Shares of a picture that must be seen again, of which so much for the first time, and that may still be
seen of what was left."""
SURE, LEAST_AREA = 0.5, 80
NUM_LOOKS, ABOUT_PX = 8, 13
"""Where one of so many pictures of a stretch differs from its first, and so near to it, something moves: that
is not asked about."""


class _Look(NamedTuple):
    """A picture, and where nothing moves in it, `[H, W]` bool."""

    picture: Array
    rests: Array


@dataclass
class _Place:
    """What a stretch began with. left: whether the camera has looked elsewhere since. unseen: what it has not
    shown again since it came back, `[H, W]` bool."""

    look: _Look
    follower: Follower
    unseen: Array
    left: bool = False


class Revisits:
    """Remembers the places of a shot, and compares what is seen again."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def see(self, stretch: Stretch) -> Iterator[tuple[Question, Answer]]:
        """Take in a stretch; what is found where it shows an earlier place again."""
        if stretch.begins_shot:
            self._places = []
        if stretch.goes_on:
            return
        looks = _looks(stretch)
        for look, seconds in zip(looks, (stretch.seconds[0], stretch.seconds[-1]), strict=True):
            yield from _again(self._places, look, seconds)
        first = looks[0]
        place = _Place(first, Follower(Seen(first.picture)), np.ones_like(first.rests))
        self._places = [*self._places, place][-MAX_PLACES:]


def _looks(stretch: Stretch) -> tuple[_Look, _Look]:
    """The first and the last picture of a stretch."""
    first, rests = stretch.frames[0], _rests(stretch.frames)
    assert stretch.last is not None
    size, back = rests.shape[::-1], cv2.invertAffineTransform(stretch.views[-1])
    last = cv2.warpAffine(rests.astype(np.uint8), back, size, flags=cv2.INTER_NEAREST, borderValue=1) > 0
    return _Look(first, rests), _Look(stretch.last, last)


def _rests(frames: list[Array]) -> Array:
    """Where nothing moves in pictures that are laid over the first, `[H, W]` bool."""
    first = Plate(frames[0], gradient(frames[0]), None)
    moves = np.zeros(frames[0].shape[:2], bool)
    for frame in spread(frames, NUM_LOOKS):
        moves |= (contrast(frame, first) > SURE) & frame.any(-1)
    return cv2.dilate(moves.astype(np.uint8), np.ones((ABOUT_PX,) * 2, np.uint8)) == 0


def _again(places: Sequence[_Place], look: _Look, seconds: float) -> Iterator[tuple[Question, Answer]]:
    """What is found where a picture shows places again that the camera had left: by the one of which it shows
    most."""
    seen = Seen(look.picture)
    again: list[tuple[_Place, Array, Array]] = []
    for place in places:
        view = place.follower.place(seen)
        shown = _shown(view, look.rests.shape)
        if view is None or shown.mean() < MOST_LEFT:
            place.left, place.unseen = True, np.ones_like(place.unseen)
        elif place.left and shown.mean() > LEAST_OVERLAP:
            again.append((place, view, shown & place.unseen))
            place.unseen &= ~shown
    if again:
        place, view, fresh = max(again, key=lambda found: np.count_nonzero(found[2]))
        yield from _compared(place, view, look, fresh, seconds)


def _shown(view: Array | None, shape: tuple[int, ...]) -> Array:
    """What a picture shows of another of the same `shape`, over which `view` lays it, `[H, W]` bool."""
    if view is None:
        return np.zeros(shape, bool)
    shown = cv2.warpAffine(np.ones(shape, np.uint8), view, shape[::-1], flags=cv2.INTER_NEAREST)
    return cv2.erode(shown, np.ones((ABOUT_PX,) * 2, np.uint8)) > 0


def _compared(
    place: _Place, view: Array, look: _Look, shown: Array, seconds: float
) -> Iterator[tuple[Question, Answer]]:
    """What differs where both are `shown`. view: `[2, 3]`, from the later picture's pixels to the place's."""
    if shown.mean() < LEAST_SEEN:
        return
    before, again, rests = place.look.picture, look.picture, look.rests
    if view is not STANDING:
        size = shown.shape[::-1]
        again = cv2.warpAffine(again, view, size)
        rests = cv2.warpAffine(rests.astype(np.uint8), view, size, flags=cv2.INTER_NEAREST) > 0
    # The camera may have set its exposure anew.
    light = (np.median(before[shown], axis=0) + 1.0) / (np.median(again[shown], axis=0) + 1.0)
    again = np.clip(again * light, 0, 255).astype(np.uint8)
    apart = (again[shown].astype(float) - before[shown]) / 255.0
    yield REVISIT, Answer(seconds, "the picture", float(np.sqrt((apart**2).mean())))
    plate = Plate(before, gradient(before), shown & place.look.rests & rests)
    for region in regions(contrast(again, plate) > SURE, LEAST_AREA):
        changed = Changed.of(before, again, region)
        words = f"{changed.subject} is {'new' if changed.new else 'gone'}"
        yield RETURNED, Answer(seconds, words, changed.area, changed.x, changed.y)
