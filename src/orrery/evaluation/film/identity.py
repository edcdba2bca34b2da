"""Whether a thing stays what it is: no birth or death away from the edges, no leap, no new look (I1, I2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from skimage.color import deltaE_ciede2000

from orrery.evaluation.film.question import Answer, Question, thing_words
from orrery.evaluation.film.tracks import Track
from orrery.streams import Array

__all__ = [
    "CHANGES",
    "COLOUR",
    "GROWTH",
    "SUDDEN",
    "TEXTURE",
    "changes",
    "growth",
    "is_solid",
    "looks",
    "subject",
]

CHANGES = Question(
    "I1",
    "identity",
    "births, deaths and leaps",
    "times a minute and thing",
    0.1,
    1.0,
    "{subject}",
    counts=True,
)
COLOUR = Question(
    "I2", "identity", "colour drift", "CIEDE2000 less a motion-matched null, 95th percentile of the things",
    6.0, 12.0, "{subject} changes colour (by {value:.0f} CIEDE2000)",
)  # fmt: skip
TEXTURE = Question(
    "I2", "identity", "texture",
    "logarithm of how many times as rough or smooth it gets, less a motion-matched null, 95th percentile",
    0.5, 1.1, "{subject} changes its texture",
)  # fmt: skip
GROWTH = Question(
    "I2", "identity", "growth in place", "of its area, while its foot stays, 95th percentile of things",
    0.2, 0.4, "{subject} changes its size where it stands (by {value:.0%})",
)  # fmt: skip

LEAST_PICTURES = 8
LEAST_AREA = 60.0
LEAST_SEEN = 0.85
SUDDEN = 0.65
"""Of the area that it has from then on, or had till then: what comes out from behind another thing grows."""
AT_ONCE = 0.5
"""Of what shows a thing, that must be another in the next picture if it is gone; else it was only lost."""
MATCH_COLOUR, MATCH_SIZE, MATCH_SECONDS = 18.0, 0.5, 0.6
LEAP_SIZES, LEAP_RATIO, LEAP_GROWTH = 0.6, 3.0, 0.12
WINDOW = 5
PLAIN_LEVELS = 3.0
"""Of detail, that light, shade and codec leave on a plain thing."""
LIGHTNESS_SHARE = 0.4
"""Light falls differently on a thing that moves or turns: its lightness counts less than its colour."""
NULL_SECONDS = 0.35
FOOT_SHARE = 0.12
"""Of its height: what a foot may move by, of a thing that stays where it is."""
FORM_SHARE = 0.25
TREND, MOST_AT_ONCE = 0.7, 0.6


class Shape(NamedTuple):
    """Of the pictures, pixels."""

    height: int
    width: int


def is_solid(track: Track) -> bool:
    """Whether a track is surely of one thing: large, long, seen nearly all the time."""
    if len(track.blobs) < LEAST_PICTURES or track.is_ghost:
        return False
    step = float(np.median(np.diff(track.seconds)))
    seen = len(track.blobs) / (1.0 + (track.seconds[-1] - track.seconds[0]) / max(step, 1e-6))
    outlined = float(np.median(track.of("outline"))) > 0.5
    return seen > LEAST_SEEN and outlined and float(np.median(track.of("area"))) > LEAST_AREA


def subject(track: Track, shape: Shape, index: int = 0) -> str:
    """What it is called at one of its pictures."""
    blob = track.blobs[index]
    return thing_words(np.median(track.of("colour"), axis=0), blob.x / shape.width, blob.y / shape.height)


def changes(tracks: Sequence[Track], others: Sequence[Track], shape: Shape) -> Iterator[Answer]:
    """Every birth, death and leap of `tracks`, told once. others: what else there was about that time."""
    every = [*tracks, *others]
    leapt: set[int] = set()
    for track in tracks:
        if is_solid(track) and _dies(track):
            after = _same_elsewhere(track, every)
            leapt.update([] if after is None else [after.number])
            words = "vanishes" if after is None else "leaps to another place"
            yield _change(track, -1, words, shape)
    for track in tracks:
        if is_solid(track) and track.number not in leapt and _is_born(track, every):
            yield _change(track, 0, "appears from nowhere", shape)
        for index in _leaps(track):
            yield _change(track, index, "leaps", shape)


def _change(track: Track, index: int, words: str, shape: Shape) -> Answer:
    blob = track.blobs[index]
    told = f"{subject(track, shape, index)} {words}"
    return Answer(track.seconds[index], told, blob.area, blob.x / shape.width, blob.y / shape.height)


def _dies(track: Track) -> bool:
    at_once = track.blobs[-1].goes > AT_ONCE
    sudden = track.ends == "nowhere" and at_once and _even(track, -1) and _slow(track, -1)
    return sudden and all(track.clear[-3:])


def _is_born(track: Track, every: Sequence[Track]) -> bool:
    at_once = track.blobs[0].came > AT_ONCE
    sudden = track.begins == "nowhere" and at_once and _even(track, 0) and _slow(track, 0)
    start = track.blobs[0]
    # What leaves its place leaves a hole in the plate there.
    left = any(
        other.is_ghost and min(blob.apart(start.x, start.y) for blob in other.blobs[:1]) < start.size
        for other in every
        if other is not track
    )
    return sudden and all(track.clear[:3]) and not left


def _even(track: Track, end: int) -> bool:
    """Whether it is as large at its end (-1) or begin (0) as next to it: what comes out from behind another
    thing grows, and what is hardly seen flickers."""
    areas = track.of("area")
    areas = areas[:LEAST_PICTURES] if end == 0 else areas[-LEAST_PICTURES:]
    return float(areas.min()) > SUDDEN * float(areas.max())


def _slow(track: Track, end: int) -> bool:
    """Whether it moved by less than its own size between pictures, so that nothing could have hidden it."""
    blobs = track.blobs[:3] if end == 0 else track.blobs[-3:]
    steps = [np.hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(blobs)]
    return max(steps) < 0.5 * blobs[0].size


def _same_elsewhere(track: Track, every: Sequence[Track]) -> Track | None:
    """What looks the same and begins where `track` cannot have come, right after it ended."""
    last = track.blobs[-1]
    for other in every:
        first = other.blobs[0]
        if (
            0.0 < other.seconds[0] - track.seconds[-1] < MATCH_SECONDS
            and len(other.blobs) >= LEAST_PICTURES
            and np.linalg.norm(first.colour - last.colour) < MATCH_COLOUR
            and abs(np.log(first.area / last.area)) < MATCH_SIZE
        ):
            return other
    return None


def _leaps(track: Track) -> list[int]:
    """Pictures at which it is suddenly elsewhere, while it moves far less before and after."""
    if not is_solid(track):
        return []
    seconds, colours = np.array(track.seconds), track.of("colour")
    places = np.stack([track.of("x"), track.of("y")], axis=1)
    rates = np.hypot(*np.diff(places, axis=0).T) / np.diff(seconds)
    sizes, clear = track.of("area") ** 0.5, np.array(track.clear) & ~track.of("at_edge")
    usual = float(np.median(np.diff(seconds)))
    found = []
    for k in range(2, len(rates) - 2):
        around = max(rates[k - 2], rates[k - 1], rates[k + 1], rates[k + 2])
        far = rates[k] * usual > LEAP_SIZES * sizes[k] and rates[k] > LEAP_RATIO * around
        alike = float(np.linalg.norm(colours[k + 1] - colours[k])) < MATCH_COLOUR
        same = alike and abs(float(np.log(sizes[k + 1] / sizes[k]))) < LEAP_GROWTH
        at_once = track.blobs[k].goes > AT_ONCE and track.blobs[k + 1].came > AT_ONCE
        if far and same and at_once and clear[k - 2 : k + 4].all():
            found.append(k + 1)
    return found


class _Windows(NamedTuple):
    """What a track looks like, medians of a few clear pictures each: colours `[n, 3]` with lightness dulled,
    details `[n]`, places `[n, 2]`, instants `[n]`."""

    colours: Array
    details: Array
    places: Array
    seconds: Array

    @classmethod
    def of(cls, track: Track) -> _Windows:
        """Of the pictures in which nothing else is in its blob or touches it; none of a short track."""
        keep = np.array(track.clear) & ~track.of("at_edge") & (track.of("area") > LEAST_AREA)
        keep &= np.array(track.crowd) > 2.0
        rows = np.flatnonzero(keep)
        groups = [rows[k : k + WINDOW] for k in range(0, len(rows) - WINDOW + 1, WINDOW)]
        known = [track.of(name) for name in ("colour", "detail", "x", "y")]
        values = np.column_stack([*known, track.seconds])
        medians = np.array([np.median(values[group], axis=0) for group in groups]).reshape(-1, 7)
        dulled = medians[:, :3] * [LIGHTNESS_SHARE, 1.0, 1.0]
        return cls(dulled, medians[:, 3], medians[:, 4:6], medians[:, 6])


def looks(track: Track, shape: Shape) -> Iterator[tuple[Question, Answer]]:
    """How much farther its colour, and its texture, go from where they began than its movement explains."""
    windows = _Windows.of(track)
    if len(windows.seconds) < 4 or not is_solid(track):
        return
    first = np.median(windows.colours[:2], axis=0)
    drift = deltaE_ciede2000(first[None], windows.colours)
    steps = deltaE_ciede2000(windows.colours[:-1], windows.colours[1:])
    yield COLOUR, _beyond_null(track, windows, shape, drift, steps)
    fine = np.log(windows.details + PLAIN_LEVELS)
    drift, steps = np.abs(fine - np.median(fine[:2])), np.abs(np.diff(fine))
    yield TEXTURE, _beyond_null(track, windows, shape, drift, steps)


def _beyond_null(track: Track, windows: _Windows, shape: Shape, drift: Array, jumps: Array) -> Answer:
    """How far a look drifts, less what movement does. drift: of each window, from the first. jumps: from each
    to the next.

    The null is the greatest change within NULL_SECONDS in which it moved as far: light changes with place,
    paint does not change with time."""
    places, seconds = windows.places, windows.seconds
    last = min(max(int(np.argmax(drift)), 1), len(drift) - 1)
    level = float(np.median(drift[max(0, last - 1) : last + 2]))
    gone = float(np.hypot(*(places[last] - places[0])))
    steps = np.hypot(*np.diff(places, axis=0).T)
    near = np.diff(seconds) < NULL_SECONDS
    matched = jumps[near & (steps >= min(gone, np.quantile(steps, 0.75)))]
    null = float(np.median(matched)) if len(matched) else 0.0
    middle = int(np.argmax(drift > level / 2))
    x, y = places[middle] / [shape.width, shape.height]
    return Answer(float(seconds[middle]), subject(track, shape), max(0.0, level - 2.0 * null), x, y)


def growth(track: Track, shape: Shape) -> Iterator[Answer]:
    """How much its area changes, one way and steadily, while its foot stays and its form too."""
    if not is_solid(track):
        return
    keep = np.array(track.alone) & ~track.of("at_edge") & (np.array(track.crowd) > 2.0)
    rows = np.flatnonzero(keep)
    boxes = track.of("box").astype(float)[rows]
    if len(rows) < 4 * WINDOW:
        return
    heights, widths = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    start = _standing_from(feet, FOOT_SHARE * float(np.median(heights)))
    if len(rows) - start < 3 * WINDOW:
        return
    areas, forms = track.of("area")[rows][start:], (heights / widths)[start:]
    change = float(np.log(np.median(areas[-WINDOW:]) / np.median(areas[:WINDOW])))
    form = abs(float(np.log(np.median(forms[-WINDOW:]) / np.median(forms[:WINDOW]))))
    medians = [np.median(areas[k : k + WINDOW]) for k in range(0, len(areas) - WINDOW + 1, WINDOW)]
    steps = np.diff(np.log(medians))
    # What takes another thing in, or lets it go, does so at once; what turns, grows and shrinks.
    at_once = float(np.abs(steps).max()) / max(abs(change), 1e-9)
    one_way = abs(float(steps.sum())) / max(float(np.abs(steps).sum()), 1e-9)
    steady = at_once < MOST_AT_ONCE and one_way > TREND and form < FORM_SHARE
    seconds = float(np.array(track.seconds)[rows][start + len(areas) // 2])
    blob = track.blobs[int(rows[-1])]
    value = float(np.expm1(abs(change))) if steady else 0.0
    yield Answer(seconds, subject(track, shape, -1), value, blob.x / shape.width, blob.y / shape.height)


def _standing_from(feet: Array, tolerance: float) -> int:
    """From which picture on the foot stays, to the last one."""
    away = np.abs(feet - np.median(feet[-WINDOW:], axis=0)).max(1) > tolerance
    return int(np.flatnonzero(away)[-1]) + 1 if away.any() else 0
