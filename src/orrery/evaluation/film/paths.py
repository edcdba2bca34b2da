"""A track as pieces of even acceleration, and where two pieces meet: flights, rests, and impacts.

The best cut into pieces is found by dynamic programming (Bellman 1961): the squares that each piece's
parabola leaves, in units of the track's own noise, and a price for every piece. Two pieces meet at the
instant at which their curves come nearest, which lies between two pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from orrery.evaluation.film.tracks import Track
from orrery.streams import Array

__all__ = ["Impact", "Path", "Piece", "path_of"]

LEAST_NOISE_PX = 0.15
PIECE_PRICE = 30.0
MAX_PIECE = 48
LEAST_PIECE = 4
"""Fewer pictures say nothing: three always lie on a parabola."""


@dataclass(frozen=True)
class Piece:
    """A stretch of even acceleration. start, end: indices of its pictures in the path, the second beyond it.
    origin: the instant that its coefficients count from. place, speed, push: `[2]` px, px/s, px/s^2, across
    and down. noise: pixels."""

    start: int
    end: int
    first: float
    last: float
    origin: float
    place: Array
    speed: Array
    push: Array
    noise: float

    @property
    def seconds(self) -> float:
        return self.last - self.first

    @property
    def is_told(self) -> bool:
        """Whether there are pictures enough to believe it."""
        return self.end - self.start >= LEAST_PIECE

    def at(self, seconds: float) -> Array:
        """Where it is, `[2]` pixels."""
        step = seconds - self.origin
        return self.place + self.speed * step + self.push * step**2 / 2

    def velocity(self, seconds: float) -> Array:
        """How fast it is, `[2]` px/s."""
        return self.speed + self.push * (seconds - self.origin)

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
    """Where two pieces meet. seconds: when. before, after: velocities then, `[2]` px/s. index: the picture
    after it."""

    seconds: float
    before: Array
    after: Array
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
    usable = np.array(track.clear) & ~track.of("at_edge")
    seconds = np.array(track.seconds)
    usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    places = np.stack([track.of("x"), track.of("y")], axis=1)
    paths, run = [], []
    for k in range(len(seconds) + 1):
        goes_on = k < len(seconds) and usable[k] and (not run or seconds[k] - seconds[run[-1]] < 2.6 * usual)
        if goes_on:
            run.append(k)
            continue
        if len(run) >= LEAST_PIECE:
            paths.append(_path(track, np.array(run), seconds[run], places[run]))
        run = [k] if k < len(seconds) and usable[k] else []
    return paths


def _path(track: Track, index: Array, seconds: Array, places: Array) -> Path:
    noise = _noise(places)
    pieces = _pieces(seconds, places, noise)
    impacts = [
        _meeting(one, other, seconds, int(index[other.start]))
        for one, other in pairwise(pieces)
        if one.is_told and other.is_told
    ]
    return Path(track, index, pieces, impacts)


def _noise(places: Array) -> float:
    """Of either coordinate, pixels: third differences know no acceleration, and impacts are few."""
    if len(places) < 6:
        return 2 * LEAST_NOISE_PX
    rough = np.abs(np.diff(places, n=3, axis=0)) / np.sqrt(20.0)
    return max(LEAST_NOISE_PX, float(np.median(rough)) / 0.6745)


def _pieces(seconds: Array, places: Array, noise: float) -> list[Piece]:
    """The cheapest cut of a run into pieces."""
    count = len(seconds)
    times = seconds - seconds[0]
    powers = np.concatenate([np.zeros((1, 5)), np.cumsum(times[:, None] ** np.arange(5), axis=0)])
    moments = np.einsum("nk,nc->nkc", times[:, None] ** np.arange(3), places - places.mean(0))
    moments = np.concatenate([np.zeros((1, 3, 2)), np.cumsum(moments, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(((places - places.mean(0)) ** 2).sum(1))])
    best, back = np.full(count + 1, np.inf), np.zeros(count + 1, int)
    best[0] = 0.0
    for end in range(1, count + 1):
        starts = np.arange(max(0, end - MAX_PIECE), end)
        left = _left_over(powers, moments, squares, starts, end)
        costs = best[starts] + left / noise**2 + PIECE_PRICE
        back[end] = starts[int(np.argmin(costs))]
        best[end] = costs.min()
    ends = [count]
    while ends[-1] > 0:
        ends.append(int(back[ends[-1]]))
    cuts = ends[::-1]
    return [_fitted(seconds, places, a, b) for a, b in pairwise(cuts)]


def _left_over(powers: Array, moments: Array, squares: Array, starts: Array, end: int) -> Array:
    """Squares that the parabola of the pictures from each of `starts` to `end` leaves, px^2, `[starts]`."""
    sums, sides = powers[end] - powers[starts], moments[end] - moments[starts]
    normal = sums[:, np.arange(3)[:, None] + np.arange(3)]
    # Three points lie on it; a little stiffness keeps shorter pieces solvable.
    solved = np.linalg.solve(normal + 1e-9 * np.eye(3), sides)
    return np.maximum(squares[end] - squares[starts] - (solved * sides).sum((1, 2)), 0.0)


def _fitted(seconds: Array, places: Array, start: int, end: int) -> Piece:
    times, points = seconds[start:end], places[start:end]
    origin = float(times.mean())
    order = min(2, len(times) - 1)
    columns = np.stack([(times - origin) ** k for k in range(order + 1)], axis=1)
    solved = np.zeros((3, 2))
    solved[: order + 1] = np.linalg.lstsq(columns, points, rcond=None)[0]
    left = points - columns @ solved[: order + 1]
    free = max(1, len(times) - 3)
    noise = max(LEAST_NOISE_PX, float(np.sqrt((left**2).sum() / 2 / free)))
    return Piece(
        start, end, float(times[0]), float(times[-1]), origin, solved[0], solved[1], 2 * solved[2], noise
    )


def _meeting(one: Piece, other: Piece, seconds: Array, index: int) -> Impact:
    """When two pieces meet, between the last picture of the one and the first of the other."""
    instants = np.linspace(float(seconds[other.start - 1]), float(seconds[other.start]), 41)
    gaps = [float(np.hypot(*(one.at(t) - other.at(t)))) for t in instants]
    when = float(instants[int(np.argmin(gaps))])
    return Impact(when, one.velocity(when), other.velocity(when), index)
