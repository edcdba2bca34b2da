"""A track as pieces of even acceleration, and where two pieces meet: flights, rests, and impacts.

The best cut into pieces is found by dynamic programming (Bellman 1961): the squares that each piece's
parabola leaves, in units of the track's own noise, and a price for every piece. Two pieces meet at the
instant at which their curves come nearest, which lies between two pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from orrery.evaluation.film.tracks import Track
from orrery.streams import Array

__all__ = ["LEAST_FREE", "MOVING_PX", "Impact", "Path", "Piece", "path_of"]

LEAST_NOISE_PX = 0.15
MOVING_PX = 0.6
"""From one picture to the next: less may be the codec's doing."""
PIECE_PRICE, KNOWN_PRICE, UNTOLD_PRICE = 30.0, 22.0, 10.0
"""Of a piece, of one whose acceleration is known beforehand, and of what is too short to be believed."""
MAX_PIECE = 48
LEAST_PIECE, LEAST_KNOWN = 4, 3
"""Fewer pictures say nothing: three always lie on a parabola, two on one of which the bend is known."""
LEAST_FREE = 5
"""So many pictures tell their acceleration better than another piece does: it is known of fewer only."""
LEAST_BEND_PX = 1.5
SURE_ERRORS = 5.0
SIDEWAYS = 0.25
"""Of the acceleration down: more, and it is not gravity alone that moves it."""


@dataclass(frozen=True)
class Piece:
    """A stretch of even acceleration. start, end: indices of its pictures in the path, the second beyond it.
    origin: the instant that its coefficients count from. place, speed, push: `[2]` px, px/s, px/s^2, across
    and down. noise: pixels. is_known: whether the push was not fitted: none, or that of its falls."""

    start: int
    end: int
    first: float
    last: float
    origin: float
    place: Array
    speed: Array
    push: Array
    noise: float
    is_known: bool

    @property
    def seconds(self) -> float:
        return self.last - self.first

    @property
    def is_told(self) -> bool:
        """Whether there are pictures enough to believe it."""
        return self.end - self.start >= (LEAST_KNOWN if self.is_known else LEAST_PIECE)

    @property
    def falls(self) -> bool:
        """Whether it is pulled down, and not sideways, for certain."""
        down, across = float(self.push[1]), abs(float(self.push[0]))
        if self.is_known:
            return down > 0
        sure = self.bend > LEAST_BEND_PX and down > SURE_ERRORS * self.push_error
        return sure and across < SIDEWAYS * down + 2 * self.push_error

    def at(self, seconds: float) -> Array:
        """Where it is, `[2]` pixels."""
        step = seconds - self.origin
        return self.place + self.speed * step + self.push * step**2 / 2

    def velocity(self, seconds: float) -> Array:
        """How fast it is, `[2]` px/s."""
        return self.speed + self.push * (seconds - self.origin)

    def velocity_error(self, seconds: float) -> float:
        """Standard error of either part of its velocity then, px/s: of evenly spaced points, of which the
        slope's is sqrt(12 / n) noise / T, and the bend's `push_error`."""
        slope = np.sqrt(12.0 / (self.end - self.start)) * self.noise / max(self.seconds, 1e-6)
        bend = 0.0 if self.is_known else self.push_error * abs(seconds - self.origin)
        return float(np.hypot(slope, bend))

    @property
    def push_error(self) -> float:
        """Standard error of either part of its acceleration, px/s^2: of a parabola through n evenly spaced
        points, 12 sqrt(5 / n) noise / T^2."""
        count = self.end - self.start
        return 12.0 * np.sqrt(5.0 / count) * self.noise / max(self.seconds, 1e-6) ** 2

    @property
    def bend(self) -> float:
        """How far its middle is above the line from its begin to its end, pixels."""
        return float(self.push[1]) * self.seconds**2 / 8.0


@dataclass(frozen=True)
class Impact:
    """Where two pieces meet. seconds: when. before, after: velocities then, `[2]` px/s. error: standard error
    of either part of their difference, px/s. ends_flight: whether it flew freely before or does after; what
    moves by itself turns without hitting anything. index: the picture after it."""

    seconds: float
    before: Array
    after: Array
    error: float
    ends_flight: bool
    index: int

    @property
    def change(self) -> float:
        """Of the velocity, px/s."""
        return float(np.hypot(*(self.after - self.before)))


@dataclass(frozen=True)
class Path:
    """A part of a track in which nothing else is in its blob. index: of each picture in the track. pieces:
    all of it, in order. impacts: between two pieces that are told, one after the other."""

    track: Track
    index: Array
    pieces: Sequence[Piece]
    impacts: Sequence[Impact]


def path_of(track: Track) -> list[Path]:
    """The parts of a track in which it is clear and inside of the picture, each as pieces."""
    runs = _runs(track)
    cuts = [_cut(run) for run in runs]
    fall = _fall([piece for pieces in cuts for piece in pieces])
    if fall is not None:
        cuts = [_cut(run, fall) for run in runs]
    return [_path(track, run, pieces) for run, pieces in zip(runs, cuts, strict=True)]


class _Run(NamedTuple):
    """Consecutive pictures of a track that can be used: which they are, when, and where `[n, 2]` pixels."""

    pictures: Array
    seconds: Array
    places: Array


def _runs(track: Track) -> list[_Run]:
    usable = np.array(track.clear) & ~track.of("at_edge")
    seconds = np.array(track.seconds)
    usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    places = np.stack([track.of("x"), track.of("y")], axis=1)
    runs, run = [], []
    for k in range(len(seconds) + 1):
        goes_on = k < len(seconds) and usable[k] and (not run or seconds[k] - seconds[run[-1]] < 2.6 * usual)
        if goes_on:
            run.append(k)
            continue
        if len(run) >= LEAST_PIECE:
            runs.append(_Run(np.array(run), seconds[run], places[run]))
        run = [k] if k < len(seconds) and usable[k] else []
    return runs


def _path(track: Track, run: _Run, pieces: Sequence[Piece]) -> Path:
    impacts = [
        _meeting(one, other, run.seconds, int(run.pictures[other.start]))
        for one, other in pairwise(pieces)
        if one.is_told and other.is_told
    ]
    return Path(track, run.pictures, pieces, impacts)


def _fall(pieces: Sequence[Piece]) -> float | None:
    """How fast the thing falls, px/s^2, in the surest of its flights; None where it flies in none."""
    flights = [piece for piece in pieces if piece.is_told and piece.falls]
    return float(min(flights, key=lambda piece: piece.push_error).push[1]) if flights else None


def _noise(places: Array) -> float:
    """Of either coordinate, pixels, while it moves: third differences know no acceleration, and impacts are
    few."""
    if len(places) < 6:
        return 2 * LEAST_NOISE_PX
    rough = np.abs(np.diff(places, n=3, axis=0)) / np.sqrt(20.0)
    moves = np.hypot(*(places[3:] - places[:-3]).T) > 3 * MOVING_PX
    return max(LEAST_NOISE_PX, float(np.median(rough[moves] if moves.sum() > 3 else rough)) / 0.6745)


def _cut(run: _Run, fall: float | None = None) -> list[Piece]:
    """The cheapest cut of a run into pieces. fall: px/s^2, of the flights among them, where it is known."""
    count = len(run.seconds)
    sums = _Sums.of(run)
    noise = _noise(run.places)
    pushes = [None] if fall is None else [None, 0.0, fall]
    best, back, chosen = np.full(count + 1, np.inf), np.zeros(count + 1, int), np.zeros(count + 1, int)
    best[0] = 0.0
    for end in range(1, count + 1):
        starts = np.arange(max(0, end - MAX_PIECE), end)
        for kind, push in enumerate(pushes):
            free = push is None
            untold = UNTOLD_PRICE * (end - starts < (LEAST_PIECE if free else LEAST_KNOWN))
            left = sums.of_parabola(starts, end) if push is None else sums.of_line(starts, end, push)
            costs = best[starts] + left / noise**2 + (PIECE_PRICE if free else KNOWN_PRICE) + untold
            cheapest = int(np.argmin(costs))
            if costs[cheapest] < best[end]:
                best[end], back[end], chosen[end] = costs[cheapest], starts[cheapest], kind
    pieces, end = [], count
    while end > 0:
        start = int(back[end])
        push = pushes[chosen[end]] if end - start < LEAST_FREE else None
        pieces.append(_fitted(run, start, end, push, noise))
        end = start
    return pieces[::-1]


@dataclass(frozen=True)
class _Sums:
    """Running sums over a run, from which any stretch of it is fitted at once. powers: of the instants,
    `[n + 1, 5]`. moments: of places times powers, `[n + 1, 3, 2]`. squares: of places, `[n + 1, 2]`."""

    powers: Array
    moments: Array
    squares: Array

    @classmethod
    def of(cls, run: _Run) -> _Sums:
        times, places = run.seconds - run.seconds[0], run.places - run.places.mean(0)
        moments = np.einsum("nk,nc->nkc", times[:, None] ** np.arange(3), places)
        parts = (times[:, None] ** np.arange(5), moments, places**2)
        return cls(*(np.concatenate([np.zeros_like(p[:1]), np.cumsum(p, axis=0)]) for p in parts))

    def of_parabola(self, starts: Array, end: int) -> Array:
        """Squares that the parabola of the pictures from each of `starts` to `end` leaves, px^2."""
        powers, sides = self.powers[end] - self.powers[starts], self.moments[end] - self.moments[starts]
        return self._left(powers, sides, self.squares[end] - self.squares[starts])

    def of_line(self, starts: Array, end: int, push: float) -> Array:
        """The same, of a parabola that bends down by `push` px/s^2."""
        powers, sides = self.powers[end] - self.powers[starts], self.moments[end] - self.moments[starts]
        squares = self.squares[end] - self.squares[starts]
        squares[:, 1] += push**2 / 4 * powers[:, 4] - push * sides[:, 2, 1]
        sides[:, :, 1] -= push / 2 * powers[:, 2:]
        return self._left(powers, sides[:, :2], squares)

    @staticmethod
    def _left(powers: Array, sides: Array, squares: Array) -> Array:
        order = np.arange(sides.shape[1])
        normal = powers[:, order[:, None] + order]
        # As many points as coefficients leave nothing; a little stiffness keeps shorter pieces solvable.
        solved = np.linalg.solve(normal + 1e-9 * np.eye(len(order)), sides)
        return np.maximum(squares.sum(1) - (solved * sides).sum((1, 2)), 0.0)


def _fitted(run: _Run, start: int, end: int, push: float | None, noise: float) -> Piece:
    """The piece of the pictures from `start` to `end`. noise: the least that it can have, pixels."""
    times, points = run.seconds[start:end], run.places[start:end]
    origin = float(times.mean())
    known = np.zeros(2) if push is None else np.array([0.0, push])
    order = min(2 if push is None else 1, len(times) - 1)
    columns = np.stack([(times - origin) ** k for k in range(order + 1)], axis=1)
    level = points - known * (times[:, None] - origin) ** 2 / 2
    solved = np.zeros((3, 2))
    solved[: order + 1] = np.linalg.lstsq(columns, level, rcond=None)[0]
    left = level - columns @ solved[: order + 1]
    free = max(1, len(times) - order - 1)
    noise = max(noise, float(np.sqrt((left**2).sum() / 2 / free)))
    return Piece(
        start, end, float(times[0]), float(times[-1]), origin, solved[0], solved[1],
        known + 2 * solved[2], noise, push is not None,
    )  # fmt: skip


def _meeting(one: Piece, other: Piece, seconds: Array, index: int) -> Impact:
    """When two pieces meet, between the last picture of the one and the first of the other."""
    instants = np.linspace(float(seconds[other.start - 1]), float(seconds[other.start]), 41)
    gaps = [float(np.hypot(*(one.at(t) - other.at(t)))) for t in instants]
    when = float(instants[int(np.argmin(gaps))])
    error = float(np.hypot(one.velocity_error(when), other.velocity_error(when)))
    flies = one.falls or other.falls
    return Impact(when, one.velocity(when), other.velocity(when), error, flies, index)
