"""PhyWorld's scenes: which balls there are, how fast, and where, in each part of its data.

The grids and ranges are those of PhyWorld's published generators (arXiv 2411.02385, directory `id_ood_data`).
Units: the picture is 10 by 10 units, x right, y up; velocities in units per second; a frame is 0.1 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = [
    "FRAME_SECONDS",
    "KINDS",
    "NUM_FRAMES",
    "PARTS",
    "RANGES",
    "SIDE",
    "PhyScene",
    "Ranges",
    "draw_scene",
]

SIDE = 10.0
FRAME_SECONDS = 0.1
NUM_FRAMES = 32
PARTS = ("train", "held-out", "outside")
"""`train`: the grid of the 30K set. `held-out`: anywhere between its ends. `outside`: out of distribution."""

_MARGIN = 0.05 * SIDE
_FRAMES_INSIDE = 24
_FRAMES_BEFORE, _FRAMES_AFTER = 8, 8
_MAX_DRAWS = 1000


@dataclass(frozen=True)
class Ranges:
    """Radii in units and speeds in units per second, as (low, high): of training, and outside of it.

    num_radii, num_speeds: points of the training grid (the 30K set). levels: which of a scene's numbers lie
    outside, one set of names for each way in which a scene can be out of distribution.
    """

    radius: tuple[float, float]
    speed: tuple[float, float]
    radius_outside: tuple[tuple[float, float], ...]
    speed_outside: tuple[tuple[float, float], ...]
    num_radii: int
    num_speeds: int
    num_balls: int
    levels: tuple[frozenset[str], ...]


_SPEED, _SPEED_OUTSIDE = (1.0, 4.0), ((0.0, 0.8), (4.5, 6.0))
_ONE_BALL = Ranges(
    (0.7, 1.4), _SPEED, ((0.3, 0.6), (1.5, 2.0)), _SPEED_OUTSIDE, 100, 300, 1,
    tuple(frozenset(level.split()) for level in ("r1", "v1", "r1 v1")),
)  # fmt: skip
_TWO_BALLS = Ranges(
    (0.5, 1.5), _SPEED, ((0.3, 0.4), (1.7, 2.0)), _SPEED_OUTSIDE, 8, 21, 2,
    tuple(frozenset(level.split()) for level in ("r1", "v1", "r1 r2", "v1 v2", "r1 v1", "r1 r2 v1 v2")),
)  # fmt: skip

RANGES: dict[str, Ranges] = {"uniform": _ONE_BALL, "collision": _TWO_BALLS, "parabola": _ONE_BALL}
KINDS = tuple(RANGES)


@dataclass(frozen=True)
class PhyScene:
    """Balls at the first frame. radii `[n]`, positions and velocities `[n, 2]` (x, y).

    level: what lies outside the training ranges, such as `r1 v1`; empty for a scene within them.
    """

    kind: str
    radii: Array
    positions: Array
    velocities: Array
    level: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "kind": self.kind,
            "radii": self.radii.tolist(),
            "positions": self.positions.tolist(),
            "velocities": self.velocities.tolist(),
            "level": self.level,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], kind: str) -> PhyScene:
        """A scene of the world `kind` from `to_json`'s values; BadUse if they are not one."""
        try:
            arrays = [np.asarray(values[name], np.float64) for name in ("radii", "positions", "velocities")]
            given = values["kind"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadUse(f"a PhyWorld scene has kind, radii, positions and velocities: {error!r}") from error
        num_balls = RANGES[kind].num_balls
        shapes = [(num_balls,), (num_balls, 2), (num_balls, 2)]
        if given != kind or [a.shape for a in arrays] != shapes:
            raise BadUse(
                f"a scene of phyworld:{kind} has radii [{num_balls}], positions and velocities "
                f"[{num_balls}, 2]; got kind {given!r} and {[list(a.shape) for a in arrays]}"
            )
        if not all(np.isfinite(a).all() for a in arrays) or (arrays[0] <= 0).any():
            raise BadUse("a PhyWorld scene has finite numbers and radii above 0")
        return cls(kind, *arrays, level=str(values.get("level", "")))


def draw_scene(kind: str, part: str, rng: np.random.Generator) -> PhyScene:
    """A scene of a kind (`KINDS`) and part (`PARTS`); BadUse for others.

    Balls that have no room for their frames before and after a collision are drawn again, as in the original,
    which leaves them out.
    """
    if kind not in RANGES:
        raise BadUse(f"no PhyWorld world is called {kind!r}; there are {', '.join(KINDS)}")
    if part not in PARTS:
        raise BadUse(f"no part of PhyWorld is called {part!r}; there are {', '.join(PARTS)}")
    ranges = RANGES[kind]
    for _ in range(_MAX_DRAWS):
        level = ranges.levels[rng.integers(len(ranges.levels))] if part == "outside" else frozenset[str]()
        names = range(1, ranges.num_balls + 1)
        radii = np.array([_radius(ranges, part, f"r{i}" in level, rng) for i in names])
        speeds = np.array([_speed(ranges, part, f"v{i}" in level, rng) for i in names])
        places = (
            _two_places(radii, speeds, rng) if kind == "collision" else _one_place(kind, radii, speeds, rng)
        )
        if places is not None:
            directions = np.array([1.0, -1.0])[: ranges.num_balls]
            velocities = np.stack([directions * speeds, np.zeros(ranges.num_balls)], axis=1)
            return PhyScene(kind, radii, places, velocities, " ".join(sorted(level)))
    raise BadUse(f"no scene of phyworld:{kind} ({part}) fits the picture in {_MAX_DRAWS} draws")


def _radius(ranges: Ranges, part: str, is_outside: bool, rng: np.random.Generator) -> float:
    return _number(ranges.radius, ranges.radius_outside, ranges.num_radii, part, is_outside, rng)


def _speed(ranges: Ranges, part: str, is_outside: bool, rng: np.random.Generator) -> float:
    return _number(ranges.speed, ranges.speed_outside, ranges.num_speeds, part, is_outside, rng)


def _number(
    inside: tuple[float, float],
    outside: tuple[tuple[float, float], ...],
    num_points: int,
    part: str,
    is_outside: bool,
    rng: np.random.Generator,
) -> float:
    if part == "train":
        return float(np.linspace(*inside, num_points)[rng.integers(num_points)])
    low, high = outside[rng.integers(len(outside))] if is_outside else inside
    return float(rng.uniform(low, high))


def _one_place(kind: str, radii: Array, speeds: Array, rng: np.random.Generator) -> Array:
    """The ball starts at the left, where it stays inside for 24 frames if it can; `[1, 2]`."""
    (radius,), (speed,) = radii, speeds
    rightmost = SIDE - radius - _FRAMES_INSIDE * FRAME_SECONDS * speed
    if rightmost < radius:
        rightmost = radius + rng.uniform(0.0, 0.5)
    top = SIDE - _MARGIN - radius
    bottom = top - 1.0 if kind == "parabola" else radius + _MARGIN
    return np.array([[rng.uniform(radius, rightmost), rng.uniform(bottom, top)]])


def _two_places(radii: Array, speeds: Array, rng: np.random.Generator) -> Array | None:
    """Both on one line, 8 frames or more before they meet and (if they fit) 8 after; None if no room."""
    closing, reach = FRAME_SECONDS * speeds.sum(), radii.sum()
    nearest_apart = _FRAMES_BEFORE * closing + reach
    farthest = min((NUM_FRAMES - _FRAMES_AFTER) * closing + reach, SIDE - reach)
    if nearest_apart > farthest:
        return None
    apart = rng.uniform(nearest_apart, farthest)
    left = rng.uniform(radii[0], SIDE - radii[1] - apart)
    height = rng.uniform(radii.max() + _MARGIN, SIDE - _MARGIN - radii.max())
    return np.array([[left, height], [left + apart, height]])
