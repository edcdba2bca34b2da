"""Whether things move as things must: they fall alike, bounce lower than they fell, and do not start, stop or
turn with nothing near them (P3, P7).

A single film has no scale, and depth is not known, so that only ratios within one track are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from orrery.evaluation.film.identity import SUDDEN, Shape, is_solid, subject
from orrery.evaluation.film.paths import LEAST_FREE, Impact, Path, Piece
from orrery.evaluation.film.question import Answer, Question
from orrery.evaluation.film.sound import Hit

__all__ = ["BOUNCE", "FALL", "STARTS", "bounces", "falls", "hits", "is_flight", "starts"]

FALL = Question(
    "P7", "physics", "free fall", "two flights' accelerations, one over the other, less 1; the worst",
    0.25, 0.6, "{subject} falls {value:.0%} faster in one flight than in another",
)  # fmt: skip
BOUNCE = Question(
    "P3", "physics", "bounces", "speed up over the fastest before, less 1, for certain; the worst", 0.05, 0.1,
    "{subject} leaves the ground at least {value:.0%} faster than it ever was before",
)  # fmt: skip
STARTS = Question(
    "P3", "physics", "starts by itself", "times a minute and thing", 0.1, 1.0,
    "{subject} starts to move with nothing near it", counts=True,
)  # fmt: skip

LEAST_BEND_PX = 8.0
SURE_ERRORS, HIT_ERRORS = 2.0, 3.0
REST_PX, REST_PICTURES = 1.0, 7
START_SHARE = 0.35
"""Screen heights a second: what starts moves faster at once."""
NEAR_SIZES = 1.0
BOUNCE_SHARE = 0.3
"""Speed of an impact that is asked about, screen heights a second."""


def is_flight(piece: Piece) -> bool:
    """Whether a piece is surely of something that flies freely, and long enough to tell how fast it falls."""
    return piece.end - piece.start >= LEAST_FREE and piece.bend > LEAST_BEND_PX and piece.falls


def falls(paths: Sequence[Path], shape: Shape) -> Iterator[Answer]:
    """For each two flights of one track: how much faster one falls than the other, for certain."""
    flights = [(path, piece) for path in paths for piece in path.pieces if is_flight(piece)]
    for (path, one), (_, other) in pairwise(flights):
        fast, slow = sorted((one, other), key=lambda piece: -float(piece.push[1]))
        least = float(fast.push[1]) - SURE_ERRORS * fast.push_error
        most = float(slow.push[1]) + SURE_ERRORS * slow.push_error
        yield _answer(path, other.start, max(0.0, least / most - 1.0), shape)


def bounces(paths: Sequence[Path], shape: Shape) -> Iterator[Answer]:
    """For each impact on something below: how much faster it goes up than it ever was before. That it goes up
    faster than it came down may be its spin."""
    fastest = 0.0
    for path in paths:
        for impact, (one, _) in zip(path.impacts, _told(path), strict=True):
            fastest = max(fastest, *(float(np.hypot(*one.velocity(t))) for t in (one.first, impact.seconds)))
            down, up = float(impact.before[1]), -float(impact.after[1])
            if down > BOUNCE_SHARE * shape.height and up > 0.1 * down and _alone(path, impact):
                sure = (up - SURE_ERRORS * impact.error) / fastest
                yield _answer_at(path, impact, max(0.0, sure - 1.0), shape)


def starts(paths: Sequence[Path], shape: Shape) -> Iterator[Answer]:
    """Each time that something which rests is fast at once, with nothing near it."""
    for path in paths:
        if not is_solid(path.track):
            continue
        for impact, (one, _) in zip(path.impacts, _told(path), strict=True):
            speed = float(np.hypot(*impact.after)) / shape.height
            rests = one.end - one.start >= REST_PICTURES and _travel(path, one) < REST_PX
            if rests and speed > START_SHARE and _alone(path, impact):
                yield _answer_at(path, impact, speed, shape)


def hits(paths: Sequence[Path], shape: Shape) -> Iterator[Hit]:
    """Where a flight begins or ends, of a thing that looks as large before as after: what must be heard."""
    for path in paths:
        track = path.track
        areas = track.of("area")
        for impact in path.impacts if is_solid(track) else []:
            around = areas[max(0, impact.index - 3) : impact.index + 3]
            if impact.ends_flight and around.min() >= SUDDEN * around.max():
                told = _answer_at(path, impact, impact.change - HIT_ERRORS * impact.error, shape)
                yield Hit(told.seconds, max(0.0, told.value) / shape.height, told.subject, told.x, told.y)


def _told(path: Path) -> list[tuple[Piece, Piece]]:
    """The pairs of pieces that the path's impacts are between."""
    return [(a, b) for a, b in pairwise(path.pieces) if a.is_told and b.is_told]


def _travel(path: Path, piece: Piece) -> float:
    """How far it comes from its middle place, pixels."""
    places = np.stack(
        [path.track.of(name)[path.index[piece.start : piece.end]] for name in ("x", "y")], axis=1
    )
    return float(np.hypot(*(places - np.median(places, axis=0)).T).max())


def _alone(path: Path, impact: Impact) -> bool:
    """Whether nothing else is near at an impact, in the pictures about it."""
    around = slice(max(0, impact.index - 3), impact.index + 3)
    size = path.track.blobs[impact.index].size
    return min(path.track.crowd[around]) > NEAR_SIZES * size


def _answer(path: Path, start: int, value: float, shape: Shape) -> Answer:
    return _at(path, int(path.index[start]), path.track.seconds[int(path.index[start])], value, shape)


def _answer_at(path: Path, impact: Impact, value: float, shape: Shape) -> Answer:
    return _at(path, impact.index, impact.seconds, value, shape)


def _at(path: Path, index: int, seconds: float, value: float, shape: Shape) -> Answer:
    blob = path.track.blobs[index]
    words = subject(path.track, shape, index)
    return Answer(seconds, words, value, blob.x / shape.width, blob.y / shape.height)
