"""Where a story's things stand. All is laid out along x, the way that the first thing goes; `staging` turns
it as a whole.

A thing that is in some relation to another is placed after that one (`Layout.place`); one to which something
is done, on the lane along which it comes; all others where there is room.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from orrery.errors import UserError
from orrery.streams import Array
from orrery.worlds.laboratory.drawing import NoRoom, tilted
from orrery.worlds.laboratory.scene import LAB_TRAY, MESH, UPRIGHT, FingerTask, Fixture, Hinge, Quaternion
from orrery.worlds.laboratory.sentences import fixtures
from orrery.worlds.laboratory.sentences.kinds import draw_kinds
from orrery.worlds.laboratory.sentences.plan import Plan, things
from orrery.worlds.laboratory.sentences.story import Relation
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, quaternion_product, rotate, yawed
from orrery.worlds.rigid_bodies.materials import SURFACES

__all__ = ["Layout", "Spot"]

_ASIDE = {"left of": (-1.0, 0.0), "right of": (1.0, 0.0), "behind": (0.0, 1.0), "in front of": (0.0, -1.0)}
_CLEAR_M = 0.02
"""How far apart things stand at least that have nothing to do with one another."""
_LIFT_M = 0.0003
"""What stands on something is put this much above it."""

_STILL = np.zeros(3)


@dataclass
class Spot:
    """Where a thing is at first, and how it moves."""

    place: Array
    turn: Quaternion = UPRIGHT
    velocity: Array = field(default_factory=_STILL.copy)
    spin: Array = field(default_factory=_STILL.copy)
    hinge: Hinge | None = None


class Layout:
    """A scene in the making. spots: by number of the thing. parts: a fixture's number to the numbers of its
    parts. half: half extents of the table, along the main way and across. lane: y of the way on which things
    are being placed. leans: whether a stack that is to collapse by itself leans at first. `NoRoom` where the
    dice fell badly."""

    def __init__(self, rng: np.random.Generator, plan: Plan) -> None:
        self.rng, self.plan = rng, plan
        self.kinds = draw_kinds(rng, plan)
        self.surface = plan.story.surface or str(rng.choice(list(SURFACES)))
        self.head(plan.way() or str(rng.choice(["left", "right"])))
        self.lane = self.uniform(-0.06, 0.06)
        self.spots: dict[int, Spot] = {}
        self.fixtures: list[Fixture] = []
        self.parts: dict[int, range] = {}
        self.ignored: list[tuple[int, int]] = []
        self.task: FingerTask | None = None
        self.leans = True
        self.fall_m = self.uniform(0.2, 0.3)
        self._placing: set[int] = set()
        self._build()

    def head(self, way: str) -> None:
        """Take a word of DIRECTIONS for the main way."""
        self.way = way
        x, y = DIRECTIONS[way]
        self.angle = math.atan2(y, x)
        sides = (LAB_TRAY.half_x, LAB_TRAY.half_y)
        self.half = np.array(sides if x else sides[::-1])

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def wide(self, k: int) -> float:
        """Half of a thing's greatest width, seen from above, as it stands."""
        x, y, z = self.kinds[k].half_extents_m
        return {"box": math.hypot(x, y), MESH: math.hypot(x, y), "capsule": x + z}.get(self.kinds[k].shape, x)

    def along(self, direction: tuple[float, float]) -> Array:
        """A direction of the world, `[2]`, as it lies along the main way."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([cos * direction[0] + sin * direction[1], -sin * direction[0] + cos * direction[1]])

    def has_place(self, k: int) -> bool:
        return k in self.spots or k in self.parts

    def middle(self, who: Sequence[int]) -> tuple[Array, float]:
        """Middle `[3]` and reach of things, or of a fixture, that have a place."""
        if who[0] in self.parts:
            return fixtures.extent([self.fixtures[n] for n in self.parts[who[0]]])
        middle = np.mean([self.spots[k].place for k in who], axis=0)
        return middle, max(math.dist(self.spots[k].place[:2], middle[:2]) + self.wide(k) for k in who)

    def top_m(self, k: int) -> float:
        """Height of a thing's or of a fixture's top."""
        z = float(self.middle([k])[0][2])
        return 2 * z if k in self.parts else z + self.kinds[k].rest_height_m

    # Fixtures, and what is on a ramp ----------------------------------------------------------------------

    def _build(self) -> None:
        for k, wish in enumerate(self.plan.story.things):
            if wish.fixture:
                first = len(self.fixtures)
                self.fixtures += fixtures.BUILDERS[wish.fixture](self, wish)
                self.parts[k] = range(first, len(self.fixtures))
        self.ride()

    def ride(self) -> None:
        """Put what is told to be on a ramp there."""
        ramp = next((f for f in self.fixtures if f.name == "ramp"), None)
        if ramp is not None:
            for n, k in enumerate(self.plan.riders):
                self._ride(k, n, ramp)

    def _ride(self, k: int, n: int, ramp: Fixture) -> None:
        """Put the n-th rider on a ramp, two side by side."""
        kind = self.kinds[k]
        along, _, up = (rotate(np.array(ramp.quaternion), axis) for axis in np.eye(3))
        beside = (n % 2 - 0.5) * 0.074 if len(self.plan.riders) > 1 else 0.0
        back = 0.55 - 0.7 * (n // 2) + self.uniform(-0.1, 0.1)
        level = kind.half_extents_m[2 if kind.shape == "box" else 0]
        place = np.array(ramp.position_m) + (ramp.half_extents_m[2] + level + _LIFT_M) * up
        turn = ramp.quaternion
        if kind.shape in ("cylinder", "capsule") and self.plan.motion(k) != "slide":
            turn = quaternion_product(turn, lying(0.0))
        self.spots[k] = Spot(place - back * ramp.half_extents_m[0] * along + [0.0, beside, 0.0], turn)

    # What stands ------------------------------------------------------------------------------------------

    def rest(self, k: int, x: float, y: float, z: float = 0.0, yaw: float | None = None) -> None:
        """Put a thing down at rest, `z` above the table."""
        yaw = self.uniform(-0.2, 0.2) if yaw is None else yaw
        turn = lying(yaw) if self.kinds[k].shape == "capsule" else yawed(yaw)
        height = z + self.kinds[k].rest_height_m + (_LIFT_M if z else 0.0)
        self.spots[k] = Spot(np.array([x, y, height]), turn)

    def put(
        self, k: int, place: Array, turn: Quaternion, velocity: Array = _STILL, spin: Array = _STILL
    ) -> None:
        """Put a thing in a place, going."""
        self.spots[k] = Spot(place, turn, velocity, spin)

    def place(self, k: int) -> None:
        """Give a thing a place, if it has none: with its group, by its relation to another, or its own."""
        if self.has_place(k):
            return
        group = self.plan.group(k)
        others = [r for r in self.plan.relations if k in r.a and things(r.b) and r.kind != "above"]
        self._placing.add(k)
        for relation in others:
            for j in things(relation.b):
                if j not in self._placing:
                    self.place(j)
        if group is not None and not self.has_place(k):
            _GROUPS[group.kind](self, things(group.a))
        for relation in others:
            if not self.has_place(k) and all(self.has_place(j) for j in things(relation.b)):
                self._beside(k, relation)
        if not self.has_place(k):
            self._default(k)
        self._placing.discard(k)

    def _beside(self, k: int, relation: Relation) -> None:
        """Next to, on or in what has a place."""
        b = things(relation.b)
        middle, reach = self.middle(b)
        before = sum(j in self.spots for j in relation.a if j != k)
        if relation.kind == "on":
            base = max(b, key=self.top_m)
            if base in self.parts:
                raise UserError(f"nothing can stand on {self.plan.story.things[base].name}")
            x, y, _ = self.spots[base].place
            free = 0.15 * self.kinds[base].half_extents_m[0]
            self.rest(k, x + self.uniform(-free, free), y + 0.05 * before, self.top_m(base))
        elif relation.kind == "in":
            free = max(fixtures.inside_m(self)[0] - self.wide(k) - 0.012, 0.0)
            out = (0.7 if self.plan.motion(k) else 0.4) * free
            angle = self.uniform(-0.3, 0.3) + 2.4 * before
            self.rest(k, middle[0] + out * math.cos(angle), middle[1] + out * math.sin(angle))
        elif relation.kind == "foot":
            gap = 0.03 + sum(2 * self.wide(j) + 0.01 for j in things(relation.a) if j in self.spots)
            self.rest(k, gap + self.wide(k), self.lane)
        else:
            near, far = (0.02, 0.04) if relation.kind == "next to" else (0.05, 0.1)
            near, far = (0.14, 0.22) if "strikes" in self.plan.traits(k) else (near, far)
            gap = self.uniform(near, far)
            out = 0.9 * reach + self.wide(k) + gap + before * (2 * self.wide(k) + 0.02)
            x, y = middle[:2] + out * self._aside(relation.kind)
            self.rest(k, x, y)

    def _aside(self, kind: str) -> Array:
        """Towards where a relation says; what is next to something stands left or right, where it hides
        nothing."""
        if kind in _ASIDE:
            return self.along(_ASIDE[kind])
        angle = self.uniform(-0.35, 0.35) + float(self.rng.choice([0.0, math.pi]))
        return self.along((math.cos(angle), math.sin(angle)))

    def _default(self, k: int) -> None:
        if self.plan.relation("middle", k) and self.is_clear(np.zeros(2), self.wide(k)):
            self.rest(k, self.uniform(-0.01, 0.01), self.uniform(-0.01, 0.01))
        elif self.plan.relation("edge", k):
            self.rest(k, self.half[0] - self.wide(k) - self.uniform(0.005, 0.02), self.lane)
        elif self.plan.is_target(k) or self.plan.traits(k) & {"leaves", "topples"}:
            self.rest(
                k, self.next_x([k]) + self.kinds[k].half_extents_m[0], self.lane, yaw=self.uniform(-0.1, 0.1)
            )
        else:
            x, y = self.free(k)
            self.rest(k, x, y, yaw=self.uniform(-3, 3))

    def next_x(self, who: Sequence[int]) -> float:
        """Where on the lane what is struck, flown over or pushed is to begin."""
        length = sum(2 * self.kinds[k].half_extents_m[0] for k in who)
        traits = self.plan.traits(who[0])
        ahead = [
            spot.place[0] + self.wide(j)
            for j, spot in self.spots.items()
            if abs(spot.place[1] - self.lane) < 0.06 and not spot.velocity.any() and j not in self.plan.riders
        ]
        if ahead:
            pitch = 0.45 * self.kinds[who[0]].half_extents_m[2] if "topples together" in traits else 0.0
            return max(ahead) + max(self.uniform(0.015, 0.05), pitch)
        if "leaves" in traits:
            return self.half[0] - length - self.uniform(0.01, 0.04) - (0.05 if len(who) > 1 else 0.0)
        low, high = (-0.14, -0.06) if traits & {"pushed", "flown over"} else (-0.03, 0.05)
        return self.uniform(low, high) + (0.05 if self.plan.riders else 0.0)

    def free(self, k: int) -> tuple[float, float]:
        """A place clear of all others, and of the ways of what moves."""
        reach = self.half - self.wide(k) - _CLEAR_M
        for _ in range(60):
            place = self.rng.uniform(-0.8 * reach, 0.8 * reach)
            if self.is_clear(place, self.wide(k)):
                return float(place[0]), float(place[1])
        raise NoRoom

    def is_clear(self, here: Array, reach: float, but: Collection[int] = ()) -> bool:
        """Whether something of this reach would be in nothing's way, `but` left aside."""
        for k, spot in self.spots.items():
            room = reach + self.wide(k) + _CLEAR_M
            if k not in but and _distance_m(here, spot.place[:2], spot.velocity[:2]) < room:
                return False
        if self.task is not None and abs(here[1] - self.spots[self.task.target].place[1]) < reach + 0.08:
            return False
        if self.plan.riders and abs(here[1] - self.lane) < reach + 0.08:
            return False
        return all(fixtures.distance_m(f, here) > reach + _CLEAR_M for f in self.fixtures)

    def hang(self, k: int) -> None:
        """A frame, a rod, and a bob that is let go; what it strikes is at its lowest point."""
        goal = self.plan.goal(k)
        struck = [j for j in things(goal.b if goal else ()) if j in self.kinds]
        row = self.plan.group(struck[0]) if struck else None
        struck = struck if row is None else things(row.a)
        kind = self.kinds[k]
        left = min((self.spots[j].place[0] - self.kinds[j].half_extents_m[0] for j in struck), default=-0.03)
        x = float(left) - kind.half_extents_m[0] - 0.004
        height = self.uniform(0.30, 0.34)
        length = height - kind.reach_m - self.uniform(0.008, 0.014)
        angle = self.uniform(0.75, 1.1)
        place = np.array([x - length * math.sin(angle), self.lane, height - length * math.cos(angle)])
        hinge = Hinge((x, self.lane, height), (0.0, 1.0, 0.0), 0.004)
        self.spots[k] = Spot(place, tilted(angle), hinge=hinge)
        self.ignored.append((self.plan.movable.index(k), len(self.fixtures) + 2))
        self.fixtures += fixtures.frame(self, x, height)


def _distance_m(here: Array, place: Array, velocity: Array) -> float:
    """From a thing, or from the way that it goes."""
    away, speed = here - place, float(np.linalg.norm(velocity))
    if speed > 0.05:
        ahead = max(float(away @ velocity) / speed, 0.0)
        away = away - ahead * velocity / speed
    return float(np.linalg.norm(away))


def _row(layout: Layout, who: list[int]) -> None:
    """Dominoes as far apart as they topple best; what is struck in a row touches."""
    widths = [2 * layout.kinds[k].half_extents_m[0] for k in who]
    gap = 0.0004 if any("struck" in layout.plan.traits(k) for k in who) else 0.03
    if layout.kinds[who[0]].role == "domino":
        gap = layout.uniform(0.56, 0.66) * 2 * layout.kinds[who[0]].half_extents_m[2] - widths[0]
    length = sum(widths) + gap * (len(who) - 1)
    x = layout.next_x(who)
    if not layout.plan.riders:
        x = min(x, 0.06 - 0.5 * length, layout.half[0] - length - 0.02)
    for k, width in zip(who, widths, strict=True):
        layout.rest(k, x + width / 2, layout.lane, yaw=0.0)
        x += width + gap


def _stack(layout: Layout, who: list[int]) -> None:
    """The widest below, balls on top; one that is to collapse by itself leans."""
    plan, kinds = layout.plan, layout.kinds
    order = sorted(who, key=lambda k: (kinds[k].shape == "ball", -kinds[k].half_extents_m[0]))
    leans = any(set(d.a) & set(who) and not d.is_caused for d in plan.deeds("topples"))
    leans = leans and not plan.deeds("hits", "pokes", "pushes")
    x = layout.next_x(who[:1]) + max(layout.wide(k) for k in who)
    height = 0.0
    for n, k in enumerate(order):
        half = kinds[k].half_extents_m[0]
        x += layout.uniform(0.45, 0.7) * half if leans and n else layout.uniform(-0.04, 0.04) * half
        y = layout.lane + layout.uniform(-0.04, 0.04) * half
        layout.rest(k, x, y, height, layout.uniform(-0.15, 0.15))
        height += 2 * kinds[k].rest_height_m + _LIFT_M


_GROUPS = {"row": _row, "stack": _stack}
