"""Whether things are where they are known to be in a film, and in the colours that they are known to have.

Known are a reference film and, of each of its pixels, which thing it is of. A film is explained by as many
flat colours as there are things about one of them, whose own outline may be moved; the move that explains
most is how far that thing is off. What colour it has is left open by that, and asked about afterwards. A
thing is judged in those frames in which the reference's own is found by the same search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000

from orrery.evaluation.figure import LEAST_COVERAGE
from orrery.evaluation.film.channels import lab
from orrery.evaluation.film.identity import LIGHTNESS_SHARE
from orrery.evaluation.film.question import colour_word
from orrery.streams import Array

__all__ = ["Kept", "Reference", "kept"]

REACH = 0.15
"""Of the picture's shorter side: how far a thing is looked for, and how far off one is that is not found."""
LOOKED_AT_PX = 360
"""Shorter side of the pictures that are looked at; of larger ones, every second or third pixel is."""
LEAST_AREA = 24
"""Pixels of a thing that are to be seen."""
CLEAR, LOST, LOST_SHARE = 8.0, 3.0, 0.25
"""CIEDE2000 between a thing and what is about it, of one that can be judged; below the second, or that share
of the reference's own, it is not there."""
FOUND_PX = 1.5
"""How far off the reference's own thing may be found; where more, nothing can be told by this search."""
LEAST_GAIN = 0.4
"""Of what a flat thing explains of a flat picture: of less of a thing, it is not the thing."""
RIM = 3
TIE = 1e-9
STRIDE = 2
CLEARLY_MORE = 4.0
"""Times as much: what a place far off has to explain, of what the best place near by does."""
NOWHERE = -1
"""Label of what is beyond the picture."""
DULLED = np.array([LIGHTNESS_SHARE, 1.0, 1.0])


@dataclass(frozen=True)
class Kept:
    """How well a thing is kept. num_frames: in which enough of it is to be seen; num_judged: in which it
    could be judged. drift_px: how far it is off; colour: CIEDE2000 from the reference's, with lightness
    dulled: 95th percentiles of the frames that were judged, None where none was. drift_frame, colour_frame:
    the worst. is_lost: whether it is not found there. looks, looked: what its colour is called at the worst
    frame, in the film and in the reference."""

    name: str
    num_frames: int
    num_judged: int
    drift_px: float | None = None
    drift_frame: int = 0
    is_lost: bool = False
    colour: float | None = None
    colour_frame: int = 0
    looks: str = ""
    looked: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether it could be judged often enough for its figures to count: mirrors and clear glass seldom
        can."""
        return self.num_judged >= LEAST_COVERAGE * self.num_frames


@dataclass(frozen=True)
class Reference:
    """frames: `[n, H, W, 3]` uint8. instances: `[n, H, W]`, which thing each pixel is of. names: of those
    that are asked about, by instance."""

    frames: Array
    instances: Array
    names: Mapping[int, str]

    @cached_property
    def views(self) -> list[dict[int, _View]]:
        """Of each frame: each thing that is seen well enough to be asked about."""
        return [
            {instance: view for instance in self.names for view in _view(frame, labels, instance)}
            for frame, labels in (self._small(k) for k in range(len(self.frames)))
        ]

    @property
    def step(self) -> int:
        """Pixels from one that is looked at to the next."""
        return max(1, min(self.frames.shape[1:3]) // LOOKED_AT_PX)

    def small(self, frame: Array) -> Array:
        """A frame as it is looked at."""
        height, width = (side // self.step for side in frame.shape[:2])
        size = height * self.step, width * self.step
        return cv2.resize(frame[: size[0], : size[1]], (width, height), interpolation=cv2.INTER_AREA)

    def _small(self, k: int) -> tuple[Array, Array]:
        picture, first = self.small(self.frames[k]), self.step // 2
        labels = self.instances[k, first :: self.step, first :: self.step]
        return picture, labels[: picture.shape[0], : picture.shape[1]].astype(np.int32)


def kept(frames: Array, reference: Reference) -> list[Kept]:
    """Each thing of the reference in a film `[n, H, W, 3]` uint8 of the same form, in the order of its
    names; those that are never to be seen are left out."""
    if frames.shape != reference.frames.shape:
        raise ValueError(f"expected frames {reference.frames.shape}, got {frames.shape}")
    found: dict[int, list[_Found | None]] = {instance: [] for instance in reference.names}
    for frame, views in zip(frames, reference.views, strict=True):
        small = reference.small(frame)
        for instance, view in views.items():
            found[instance].append(_find(small, view) if view.is_clear else None)
    numbers = {instance: [k for k, v in enumerate(reference.views) if instance in v] for instance in found}
    return [
        _summed(reference.names[instance], numbers[instance], one, reference.step)
        for instance, one in found.items()
        if one
    ]


@dataclass(frozen=True)
class _View:
    """A thing in a frame of the reference. labels: `[h, w]` about it, NOWHERE beyond the picture; mask: the
    thing itself, `[m, n]` bool; corner: row and column of the labels' first in the frame. place: where the
    search finds it. colour: CIELAB of it. apart: how far that is from what is about it. is_clear: whether it
    can be judged."""

    labels: Array
    mask: Array
    corner: tuple[int, int]
    instance: int
    reach: int
    place: Array
    colour: Array
    apart: float
    is_clear: bool


@dataclass(frozen=True)
class _Found:
    """off_px: of the pixels that are looked at. colour: CIELAB of it and of the reference's; change: between
    them, CIEDE2000."""

    off_px: float
    is_lost: bool
    colours: tuple[Array, Array]
    change: float


def _view(frame: Array, labels: Array, instance: int) -> Iterator[_View]:
    """The thing in a frame, if enough of it is there."""
    rows, columns = np.nonzero(labels == instance)
    if len(rows) < LEAST_AREA:
        return
    reach = int(np.ceil(REACH * min(labels.shape)))
    margin = reach + RIM + 1
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    mask = labels[top:bottom, left:right] == instance
    around = _cut(labels, (top - margin, left - margin), (bottom + margin, right + margin), NOWHERE)
    blank: dict[str, Any] = {"place": np.zeros(2), "colour": np.zeros(3), "apart": 0.0, "is_clear": False}
    view = _View(around, mask, (int(top - margin), int(left - margin)), instance, reach, **blank)
    place, colour, apart = _located(_around(frame, view), view)
    is_clear = apart >= CLEAR and float(np.hypot(*place)) <= FOUND_PX
    yield _View(around, mask, view.corner, instance, reach, place, colour, apart, is_clear)


def _find(frame: Array, view: _View) -> _Found:
    place, colour, apart = _located(_around(frame, view), view)
    is_lost = apart < max(LOST, LOST_SHARE * view.apart)
    off = float(view.reach) if is_lost else float(np.hypot(*(place - view.place)))
    change = 0.0 if is_lost else float(deltaE_ciede2000(colour * DULLED, view.colour * DULLED))
    return _Found(off, is_lost, (colour, view.colour), change)


def _cut(values: Array, first: tuple[int, int], end: tuple[int, int], beyond: int) -> Array:
    """Rows and columns from `first` up to `end`, of a picture that goes on as `beyond` past its edges."""
    height, width = values.shape[:2]
    sides = [
        (max(0, -first[0]), max(0, end[0] - height)),
        (max(0, -first[1]), max(0, end[1] - width)),
        *[(0, 0)] * (values.ndim - 2),
    ]
    inside = values[max(0, first[0]) : max(0, end[0]), max(0, first[1]) : max(0, end[1])]
    return np.pad(inside, sides, constant_values=beyond)


def _around(frame: Array, view: _View) -> Array:
    """CIELAB `[h, w, 3]` of a frame's pixels about a thing."""
    end = view.corner[0] + view.labels.shape[0], view.corner[1] + view.labels.shape[1]
    colours = _cut(frame, view.corner, end, 0)
    return lab(colours.reshape(-1, 3)).reshape(colours.shape).astype(float)


def _located(colours: Array, view: _View) -> tuple[Array, Array, float]:
    """How far the thing is moved, down and across `[2]`; its colour there, CIELAB `[3]`; and how far that is
    from what is about it, CIEDE2000; 0 where what is found is too little of it."""
    moved, gain = _best_move(colours * DULLED, view)
    start = moved + view.reach + RIM + 1
    place = np.zeros(view.labels.shape, np.uint8)
    height, width = view.mask.shape
    place[start[0] : start[0] + height, start[1] : start[1] + width] = view.mask
    near = np.ones((3, 3), np.uint8)
    core, inside = cv2.erode(place, near) > 0, view.labels != NOWHERE
    core = core & inside if (core & inside).any() else (place > 0) & inside
    rim = (cv2.dilate(place, near, iterations=RIM) > 0) & (cv2.dilate(place, near) == 0) & inside
    if not core.any() or not rim.any():
        return moved.astype(float), np.zeros(3), 0.0
    colour, about = np.median(colours[core], axis=0), np.median(colours[rim], axis=0)
    whole = float(view.mask.sum() * (((colour - about) * DULLED) ** 2).sum())
    apart = float(deltaE_ciede2000(colour, about)) if gain > LEAST_GAIN * whole else 0.0
    return moved.astype(float), colour, apart


def _best_move(colours: Array, view: _View) -> tuple[Array, float]:
    """The move of the thing's outline, down and across `[2]`, with which one flat colour for each label
    explains most of the squares of the colours `[h, w, 3]`, and how much more than without the thing. Where
    the thing was, there is then what is commonest about it. The best move near to where it should be is
    taken, unless one elsewhere is clearly better: textures are alike to a thing, too."""
    others = [int(label) for label in np.unique(view.labels) if label not in (NOWHERE, view.instance)]
    if not others:
        return np.zeros(2, int), 0.0
    known = view.labels != NOWHERE
    values = np.dstack([colours - colours[known].mean(0), np.ones(view.labels.shape)]) * known[..., None]
    commonest = max(others, key=lambda label: int((view.labels == label).sum()))
    covered, explained, without = np.zeros(1), np.zeros(1), 0.0
    for label in others:
        own = view.labels == label
        if label == commonest:
            own = own | (view.labels == view.instance)
        part = values * own[..., None]
        taken, whole = _under(part, view), part.sum((0, 1))
        covered = covered + taken
        explained = explained + _of_flat(whole - taken)
        without += float(_of_flat(whole))
    explained = explained + _of_flat(covered)
    gain = explained - without
    near, far = _uphill(gain, view.place.astype(int) + view.reach), _highest(gain)
    best = far if gain[far] > CLEARLY_MORE * gain[near] else near
    return np.array(best) - view.reach, float(gain[best])


def _uphill(gain: Array, start: Array) -> tuple[int, int]:
    """The hill of `[n, n]` that one stands on at `start`: up to where nothing within STRIDE is higher."""
    place = int(start[0]), int(start[1])
    while True:
        top, left = (max(0, at - STRIDE) for at in place)
        about = gain[top : place[0] + STRIDE + 1, left : place[1] + STRIDE + 1]
        down, across = np.unravel_index(int(about.argmax()), about.shape)
        if about.max() <= gain[place] * (1 + TIE):
            return place
        place = top + int(down), left + int(across)


def _highest(gain: Array) -> tuple[int, int]:
    down, across = np.unravel_index(int(gain.argmax()), gain.shape)
    return int(down), int(across)


def _under(values: Array, view: _View) -> Array:
    """Sums of values `[h, w, 4]` under the thing's outline, for each move `[2 reach + 1, 2 reach + 1, 4]`."""
    kernel = view.mask.astype(float)
    sums = cv2.filter2D(values, cv2.CV_64F, kernel, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    moves = slice(RIM + 1, RIM + 2 + 2 * view.reach)
    return sums[moves, moves]


def _of_flat(sums: Array) -> Array:
    """How much of squares is explained by one colour of pixels whose sums and number `[..., 4]` are given."""
    count = sums[..., 3]
    return np.where(count > 0.5, (sums[..., :3] ** 2).sum(-1) / np.maximum(count, 0.5), 0.0)


def _summed(name: str, numbers: list[int], found: list[_Found | None], step: int) -> Kept:
    judged = [(k, one) for k, one in zip(numbers, found, strict=True) if one is not None]
    if not judged:
        return Kept(name, len(found), 0)
    drift_frame, farthest = max(judged, key=lambda pair: pair[1].off_px)
    colour_frame, changed = max(judged, key=lambda pair: pair[1].change)
    colour = _upper([one.change for _, one in judged if not one.is_lost])
    looks, looked = (colour_word(value) for value in changed.colours)
    return Kept(
        name, len(found), len(judged), step * (_upper([one.off_px for _, one in judged]) or 0.0), drift_frame,
        farthest.is_lost, colour, colour_frame, looks, looked,
    )  # fmt: skip


def _upper(values: list[float]) -> float | None:
    return float(np.percentile(values, 95, method="higher")) if values else None
