"""Drawing a scene's things under a request: what the request leaves open is drawn, what it cannot have is
named.

A scene family asks a `Draw` for the things of each role, and places them. The families so need not know how a
request looks, and every attribute can be asked for in every family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orrery.errors import UserError
from orrery.worlds.laboratory.scene import (
    LAB_TRAY,
    STILL,
    UPRIGHT,
    FingerTask,
    Fixture,
    Quaternion,
    Thing,
    Vector,
)
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, yawed
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, COLOURS

__all__ = [
    "ANY", "GRIPPING", "ROUND", "STRUCTURES", "Draw", "Happening", "Kind", "LabRequest", "Layout", "NoRoom",
    "Reference", "ThingRequest", "finger_room", "stand_ins", "tilted",
]  # fmt: skip

ROUND = ("ball", "cylinder", "capsule")
ANY = ("ball", "box", "cylinder", "capsule")
GRIPPING = ("wood", "rubber", "plastic", "ceramic")
STRUCTURES = ("wood", "steel", "plastic", "glass", "ceramic")
HALF_EXTENTS_M = {"small": (0.022, 0.029), "big": (0.036, 0.046)}
"""Size word to the range of half the edge of a cube of the same volume."""


@dataclass(frozen=True)
class ThingRequest:
    """What a sentence says of one thing; None where it leaves the choice open."""

    shape: str | None = None
    colour: str | None = None
    material: str | None = None
    size: str | None = None
    heading: str | None = None


@dataclass(frozen=True)
class Reference:
    """Whom a happening speaks of: a thing with these attributes, or (name) a fixture, the table, the
    finger."""

    shape: str | None = None
    colour: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Happening:
    """One thing strikes another, as told. `b` None: `a` strikes its like, as dominoes do."""

    a: Reference
    b: Reference | None


@dataclass(frozen=True)
class LabRequest:
    """What is asked of a scene of a family; None, or a role left out, where it leaves the choice open.

    roles: role to its things in order of mention.
    """

    family: str | None = None
    roles: Mapping[str, tuple[ThingRequest, ...]] = field(default_factory=dict)
    surface: str | None = None
    light: str | None = None
    side: str | None = None
    move: str | None = None


@dataclass(frozen=True)
class Kind:
    """A thing that has been drawn but not placed."""

    role: str
    shape: str
    colour: str
    material: str
    half_extents_m: Vector
    heading: str | None = None

    @property
    def rest_height_m(self) -> float:
        """Height of the centre over the surface that it rests on: a capsule lies, all others stand."""
        return self.half_extents_m[0] if self.shape == "capsule" else self.half_extents_m[2]

    @property
    def reach_m(self) -> float:
        """Radius of the sphere that holds it."""
        x, y, z = self.half_extents_m
        if self.shape == "ball":
            return x
        if self.shape == "capsule":
            return x + z
        return math.hypot(x, z) if self.shape == "cylinder" else math.hypot(x, y, z)

    def at(
        self,
        position_m: Sequence[float],
        quaternion: Quaternion = UPRIGHT,
        linear_velocity_m_s: Vector = STILL,
        angular_velocity_rad_s: Vector = STILL,
    ) -> Thing:
        """The thing in a place."""
        x, y, z = (float(v) for v in position_m)
        return Thing(
            self.role, self.shape, self.colour, self.material, self.half_extents_m, (x, y, z), quaternion,
            linear_velocity_m_s, angular_velocity_rad_s, heading=self.heading,
        )  # fmt: skip

    def rest(self, x: float, y: float, yaw: float = 0.0) -> Thing:
        """The thing at rest on the table, turned by `yaw` radians."""
        turned = lying(yaw) if self.shape == "capsule" else yawed(yaw)
        return self.at((x, y, self.rest_height_m), turned)

    def roll(self, x: float, y: float, speed_m_s: float, floor_m: float = 0.0) -> Thing:
        """The thing rolling (a box: sliding) in its heading at `speed_m_s`, over a level floor."""
        towards = np.array(DIRECTIONS[self.heading or "right"])
        velocity = towards * speed_m_s
        is_round = self.shape != "box"
        height = self.half_extents_m[0] if is_round else self.half_extents_m[2]
        spin = (-velocity[1] / height, velocity[0] / height, 0.0) if is_round else (0.0, 0.0, 0.0)
        across = self.shape in ("cylinder", "capsule")
        heading = math.atan2(towards[1], towards[0])
        return self.at(
            (x, y, floor_m + height),
            lying(heading) if across else yawed(heading),
            linear_velocity_m_s=(float(velocity[0]), float(velocity[1]), 0.0),
            angular_velocity_rad_s=(float(spin[0]), float(spin[1]), 0.0),
        )


@dataclass(frozen=True)
class Layout:
    """What a family sets up. ignored: (thing, fixture) pairs that do not touch."""

    things: tuple[Thing, ...]
    fixtures: tuple[Fixture, ...] = ()
    task: FingerTask | None = None
    ignored: tuple[tuple[int, int], ...] = ()


class Draw:
    """One scene's dice, loaded by a request. rng: draws what is open. request: what is not."""

    def __init__(self, rng: np.random.Generator, request: LabRequest) -> None:
        self.rng = rng
        self.request = request
        self._taken: dict[str, int] = {}
        asked = {wish.colour for wishes in request.roles.values() for wish in wishes}
        self._free_colours = [colour for colour in COLOURS if colour not in asked]
        rng.shuffle(self._free_colours)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[str]) -> str:
        return str(options[int(self.rng.integers(len(options)))])

    def asks_for(self, role: str) -> bool:
        return bool(self.request.roles.get(role))

    def number(self, role: str, low: int, high: int) -> int:
        """How many things of a role there are: as many as asked for, or any number from `low` to `high`."""
        wishes = self.request.roles.get(role)
        if wishes is None:
            return int(self.rng.integers(low, high + 1))
        if not low <= len(wishes) <= high:
            much = "many" if len(wishes) > high else "few"
            raise UserError(f"{len(wishes)} of them are too {much} here; such a scene has {low} to {high}")
        return len(wishes)

    def heading(self, role: str, options: Sequence[str] = ("left", "right")) -> str:
        """Where the role's first thing heads."""
        wishes = self.request.roles.get(role) or (ThingRequest(),)
        asked = wishes[0].heading
        if asked is not None and asked not in options:
            raise UserError(f"nothing heads {asked} in such a scene; it may head {' or '.join(options)}")
        return asked or self.pick(options)

    def kind(
        self,
        role: str,
        shapes: Sequence[str],
        materials: Sequence[str] = tuple(ALL_MATERIALS),
        sizes: Sequence[str] = ("small", "big"),
        heading: str | None = None,
    ) -> Kind:
        """The next thing of a role. shapes, materials, sizes: those that can take it. heading: where it
        goes."""
        index = self._taken.get(role, 0)
        self._taken[role] = index + 1
        wishes = self.request.roles.get(role, ())
        wish = wishes[index] if index < len(wishes) else ThingRequest()
        shape = self._allowed(wish.shape, shapes, role)
        material = self._allowed(wish.material, materials, role)
        size = self._allowed(wish.size, sizes, role)
        colour = wish.colour or self._free_colours.pop()
        return Kind(role, shape, colour, material, self._half_extents(shape, size), heading or wish.heading)

    def twins(self, kind: Kind, count: int) -> list[Kind]:
        """`count` things alike, the first of which is `kind`; the request's others of the role are used
        up."""
        self._taken[kind.role] = count
        return [kind] * count

    def _allowed(self, asked: str | None, options: Sequence[str], role: str) -> str:
        if asked is None:
            return self.pick(options)
        if asked not in options:
            raise UserError(f"a {role} of this scene cannot be {asked}; it can be {', '.join(options)}")
        return asked

    def _half_extents(self, shape: str, size: str) -> Vector:
        """Half extents whose product is that of the drawn cube's, so that the size word stays true."""
        half = self.uniform(*HALF_EXTENTS_M[size])
        if shape == "ball":
            return (half, half, half)
        if shape == "box":
            a, b = self.uniform(0.88, 1.14), self.uniform(0.88, 1.14)
            return (half * a, half * b, half / (a * b))
        slim = self.uniform(0.86, 1.05) if shape == "cylinder" else self.uniform(0.80, 0.90)
        return (half * slim, half * slim, half / slim**2)

    def normal(self, spread: float) -> float:
        return float(self.rng.normal(0.0, spread))

    def spot(
        self, kind: Kind, others: Sequence[Thing], run_up_m: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float]:
        """A place on the table clear of all others; `NoRoom` after many tries.

        run_up_m: way that the thing is about to go; it starts that much earlier, as far as the tray lets it.
        """
        reach = np.array([LAB_TRAY.half_x, LAB_TRAY.half_y]) - kind.reach_m - 0.01
        for _ in range(200):
            place = np.clip(self.rng.uniform(-reach, reach) - run_up_m, -reach, reach)
            x, y = float(place[0]), float(place[1])
            if all(_apart(kind, x, y, other) for other in others):
                return x, y
        raise NoRoom

    def spot_beside(
        self, kind: Kind, others: Sequence[Thing], way_y_m: float, half_width_m: float
    ) -> tuple[float, float]:
        """A place that is clear of all others, and of a straight way along x at `way_y_m`, too."""
        for _ in range(50):
            x, y = self.spot(kind, others)
            if abs(y - way_y_m) > kind.reach_m + half_width_m + 0.015:
                return x, y
        raise NoRoom


class NoRoom(Exception):
    """The dice left no place for a thing: draw the scene again."""


def _apart(kind: Kind, x: float, y: float, other: Thing) -> bool:
    """Whether a thing at (x, y) keeps clear of another, seen from above."""
    theirs = Kind(other.role, other.shape, other.colour, other.material, other.half_extents_m).reach_m
    return math.dist((x, y), other.position_m[:2]) > kind.reach_m + theirs + 0.012


def stand_ins(fixture: Fixture) -> list[Thing]:
    """A fixture as the small things that its length is made of, for keeping clear of it."""
    half = fixture.half_extents_m
    long_axis, width = (0, half[1]) if half[0] > half[1] else (1, half[0])
    count = math.ceil(half[long_axis] / max(width, 0.02))
    places = np.linspace(-half[long_axis], half[long_axis], 2 * count + 1)
    spots = [np.array(fixture.position_m) + place * np.eye(3)[long_axis] for place in places]
    return [Thing("", "ball", "", "", (0.02, 0.02, 0.02), (float(p[0]), float(p[1]), 0.0)) for p in spots]


def finger_room(thing: Thing, towards: tuple[float, float]) -> Thing:
    """Where the finger comes down before it goes `towards` a thing, as something to keep clear of."""
    x, y, _ = thing.position_m
    back = max(thing.half_extents_m) + 0.05
    return Thing("", "ball", "", "", (0.03, 0.03, 0.03), (x - towards[0] * back, y - towards[1] * back, 0.0))


def tilted(angle: float) -> Quaternion:
    """Turned by `angle` radians about y: positive takes the +x end down."""
    return (math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0)
