"""Setting up a scene for a story: things where they are told to be, and first velocities aimed so that what
is
told is likely. Whether it happens is for physics to say: `world` runs the scene, and asks for another.

All is laid out along x, the way that the first thing goes, and then turned about the vertical as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from orrery.errors import UserError
from orrery.streams import Clock
from orrery.worlds.laboratory.drawing import (
    ANY,
    HALF_EXTENTS_M,
    ROUND,
    STRUCTURES,
    Kind,
    LabRequest,
    ThingRequest,
    tilted,
)
from orrery.worlds.laboratory.families import sample_laboratory
from orrery.worlds.laboratory.model import build_laboratory, table_bounce, table_friction
from orrery.worlds.laboratory.scene import (
    BACKGROUNDS,
    LAB_TRAY,
    LIGHTS,
    MAX_FIXTURES,
    MAX_THINGS,
    SIDES,
    FingerTask,
    Fixture,
    Hinge,
    LabScene,
    Orbit,
    Quaternion,
    Thing,
    Vector,
)
from orrery.worlds.laboratory.story import Deed, Story, Who, Wish
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, quaternion_product, rotate, yawed
from orrery.worlds.rigid_bodies.impacts import GRAVITY_M_S2
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, COLOURS, SURFACES

__all__ = ["Staged", "stage"]

_LAYOUTS = 200
"""How often the dice are thrown for a place for everything."""
_TALL = 1.9
_DOMINO_M = (0.008, 0.024, 0.048)
_VISIBLE_BOUNCE_M = 0.008
_STRIKES = ("hits", "lands on", "lands in")
_MOTIONS = {
    "rolls": "roll",
    "slides": "slide",
    "moves": "roll",
    "flies": "fly",
    "falls": "fall",
    "bounces": "fall",
    "swings": "swing",
    "spins": "spin",
}
_ASIDE = {"left of": (-1.0, 0.0), "right of": (1.0, 0.0), "behind": (0.0, 1.0), "in front of": (0.0, -1.0)}
_INSIDE_M = {"cup": (0.056, 0.045), "glass": (0.056, 0.05), "mug": (0.056, 0.045), "bowl": (0.085, 0.028)}
"""Container to the radius of its inside and half its height; crates and the like are square."""
_CRATE_M = (0.095, 0.042)


@dataclass(frozen=True)
class Staged:
    """A scene, and who plays what in it: a story's things to the names of bodies."""

    scene: LabScene
    cast: dict[Who, tuple[str, ...]]


@dataclass
class _Spot:
    """Where a thing is, along the main way, and how it moves at first."""

    place: np.ndarray
    turn: Quaternion = (1.0, 0.0, 0.0, 0.0)
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    spin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    hinge: Hinge | None = None


class _NoRoom(Exception):
    """The dice have left no place for something."""


def stage(rng: np.random.Generator, story: Story) -> Staged:
    """A scene for `story`, drawn from `rng`. UserError where there is no room for it."""
    for _ in range(_LAYOUTS):
        try:
            staged = _Stage(rng, story).staged()
        except _NoRoom:
            continue
        if not _overlaps(staged.scene):
            return staged
    raise UserError("no room on the table for all of these as told; ask for fewer or smaller things")


def _overlaps(scene: LabScene) -> bool:
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return min((float(contact.dist) for contact in data.contact), default=0.0) < -5e-4


class _Stage:
    def __init__(self, rng: np.random.Generator, story: Story) -> None:
        self.rng, self.story = rng, story
        self.spots: dict[int, _Spot] = {}
        self.fixtures: list[Fixture] = []
        self.parts: dict[int, range] = {}
        self.ignored: list[tuple[int, int]] = []
        self.task: FingerTask | None = None
        self.open_edge = False
        self.surface = story.surface or str(rng.choice(list(SURFACES)))
        self.plans = {k: self._plan(k) for k in self._movable()}
        self.way = self._way()
        across = self.way in ("back", "forward")
        half = (LAB_TRAY.half_y, LAB_TRAY.half_x) if across else (LAB_TRAY.half_x, LAB_TRAY.half_y)
        self.half = np.array(half)
        asked = {wish.colour for wish in story.things}
        self.colours = [c for c in COLOURS if c not in asked]
        rng.shuffle(self.colours)
        self.kinds = self._kinds()
        self.lane = self.uniform(-0.06, 0.06)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def wide(self, k: int) -> float:
        """Half of a thing's greatest width, seen from above, as it stands."""
        kind = self.kinds[k]
        x, y, z = kind.half_extents_m
        return {"box": math.hypot(x, y), "capsule": x + z}.get(kind.shape, x)

    def _movable(self) -> list[int]:
        return [k for k, wish in enumerate(self.story.things) if wish.fixture is None]

    def deeds(self, *verbs: str) -> list[Deed]:
        return [d for d in self.story.deeds if d.verb in verbs and not d.never]

    # What is where from the beginning ---------------------------------------------------------------------

    def _plan(self, k: int) -> list[Deed]:
        """What a thing does by itself, in order: nothing for one that rests until something else strikes
        it."""
        deeds = [
            d for d in self.story.deeds if k in d.a and not d.is_caused and d.verb not in ("rests", "topples")
        ]
        return [d for d in deeds if not (d.never and d.verb != "hits")]

    def motion(self, k: int) -> str | None:
        """How it moves at first: `roll`, `slide`, `fall`, `fly`, `swing`, `spin`, or not at all."""
        wish = self.story.things[k]
        if wish.hangs:
            return "swing"
        plan = [d for d in self.plans[k] if not d.never]
        if not plan or any(
            r.kind == "on" and k in r.a and self._is_seesaw(r.b) for r in self.story.relations
        ):
            return None if not plan or plan[0].verb not in _MOTIONS else _MOTIONS[plan[0].verb]
        verbs = [d.verb for d in plan]
        if any(r.kind == "above" and k in r.a for r in self.story.relations):
            return "fall"
        first = next((_MOTIONS[verb] for verb in verbs if verb in _MOTIONS), None)
        if first is None and any(v.startswith("lands") for v in verbs):
            first = "fall"
        if first is None and "passes over" in verbs:
            first = "fly"
        first = first or "roll"
        return "slide" if first == "roll" and wish.shape in ("box", "domino") else first

    def _is_seesaw(self, who: Sequence[Who]) -> bool:
        return any(isinstance(k, int) and self.story.things[k].fixture == "seesaw" for k in who)

    def _way(self) -> str:
        """The main way: what the sentence says, or where things have to go as they stand, or left or
        right."""
        for deed in self.story.deeds:
            if deed.heading and not deed.never:
                return deed.heading
        for deed in self.deeds("passes over", "ends behind"):
            if deed.verb == "ends behind" and self.deeds("passes over"):
                return "back"
        for deed in self.deeds("hits"):
            for relation in self.story.relations:
                way = {
                    "left of": "right",
                    "right of": "left",
                    "in front of": "back",
                    "behind": "forward",
                }.get(relation.kind)
                if way and set(relation.a) & set(deed.a) and set(relation.b) & set(deed.b):
                    return way
        return str(self.rng.choice(["left", "right"]))

    @property
    def angle(self) -> float:
        x, y = DIRECTIONS[self.way]
        return math.atan2(y, x)

    def along(self, direction: tuple[float, float]) -> np.ndarray:
        """A direction of the world, as it lies along the main way."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = direction
        return np.array([cos * x + sin * y, -sin * x + cos * y])

    def _kinds(self) -> dict[int, Kind]:
        kinds: dict[int, Kind] = {}
        rows = [r.a for r in self.story.relations if r.kind == "row"]
        for k in self._movable():
            wish = self.story.things[k]
            twin = next((kinds[j] for row in rows if k in row for j in row if j in kinds), None)
            alike = twin is not None and isinstance(k, int) and self.story.things[k].shape == "domino"
            kinds[k] = twin if alike and twin is not None else self._kind(k, wish, twin)
        return kinds

    def _kind(self, k: int, wish: Wish, twin: Kind | None) -> Kind:
        motion, struck = self.motion(k), {d for d in self.story.deeds if k in d.a and d.verb == "topples"}
        strikes = any(d.verb == "hits" and k in d.a for d in self.story.deeds)
        stacked = any(r.kind == "stack" and k in r.a for r in self.story.relations)
        topples = bool(struck) and not stacked
        shape = wish.shape
        if shape is None:
            rounds = ("ball",) if strikes and motion == "roll" else ROUND
            options = rounds if motion in ("roll",) else ("box",) if motion == "slide" else ANY
            options = ("ball", "box") if motion == "swing" else ("ball",) if motion == "spin" else options
            options = ("box",) if stacked else ("box", "cylinder") if topples else options
            shape = str(self.rng.choice(options))
        size = wish.size or self._size(k, strikes, stacked)
        material = wish.material or self._material(k, wish, motion, strikes, topples)
        colour = wish.colour or self._colour()
        if shape == "domino":
            scale = 1.7 if wish.size == "big" else 1.0
            half: Vector = (_DOMINO_M[0] * scale, _DOMINO_M[1] * scale, _DOMINO_M[2] * scale)
            return Kind("domino", "box", colour, material, half)
        half = twin.half_extents_m if twin is not None and twin.shape == shape else self._half(shape, size)
        if ("tall" in wish.qualities or topples) and shape in ("box", "cylinder"):
            tall = _TALL if not topples else 2.4
            half = (half[0] * tall**-0.5, half[1] * tall**-0.5, half[2] * tall)
        if stacked and shape == "box":
            half = (half[0], half[0], half[0])
        role = {"roll": "roller", "fall": "faller", "fly": "flyer", "slide": "roller", "swing": "bob"}.get(
            motion or ""
        )
        return Kind(role or "rester", shape, colour, material, half)

    def _half(self, shape: str, size: str) -> Vector:
        """Half extents of a thing of a size; see `Draw`."""
        half = self.uniform(*HALF_EXTENTS_M[size])
        slim = {"cylinder": self.uniform(0.86, 1.0), "capsule": self.uniform(0.8, 0.9)}.get(shape, 1.0)
        return (half * slim, half * slim, half / slim**2 if slim != 1.0 else half)

    def _size(self, k: int, strikes: bool, stacked: bool) -> str:
        relations = [r for r in self.story.relations if k in r.a and r.b]
        if any(r.kind in ("in", "on") for r in relations) or self._lands_in(k):
            return "small"
        if any(k in d.a and len(d.a) > 1 for d in self.deeds("topples")):
            return "small"
        if any(r.kind == "on" and k in r.b for r in self.story.relations) or strikes:
            return "big"
        if stacked or len(self._movable()) > 4:
            return "small"
        if any(d.verb == "lands on" and k in d.b for d in self.story.deeds):
            return "big"
        return str(self.rng.choice(["small", "big"]))

    def _lands_in(self, k: int) -> bool:
        return any(k in d.a for d in self.deeds("lands in", "stays in"))

    def _material(self, k: int, wish: Wish, motion: str | None, strikes: bool, topples: bool) -> str:
        if "heavy" in wish.qualities:
            return "steel"
        if "light" in wish.qualities:
            return "plastic"
        caused = any(k in d.b for d in self.story.deeds if d.verb in ("hits", "pokes", "pushes"))
        if any(d.times for d in self.plans[k]):
            return "rubber"
        struck = [j for d in self.story.deeds if d.verb == "hits" and k in d.a for j in d.b]
        if any(set(d.a) & set(struck) and k not in d.a for d in self.deeds("leaves")) and not self._is_box(
            struck
        ):
            return str(self.rng.choice(["plastic", "wood"]))  # it must not follow
        if caused and any(k in d.a for d in self.deeds("leaves")) and not self._is_box([k]):
            return str(self.rng.choice(["steel", "glass", "ceramic"]))
        if strikes and motion in ("roll", "swing", "slide", "fly"):
            return str(self.rng.choice(["steel", "glass", "ceramic"]))
        if caused or topples or motion == "slide":
            return str(self.rng.choice(["wood", "plastic"]))
        return str(self.rng.choice(list(ALL_MATERIALS)))

    def _is_box(self, who: Sequence[Who]) -> bool:
        return any(isinstance(k, int) and self.story.things[k].shape == "box" for k in who)

    def _colour(self) -> str:
        if not self.colours:
            self.colours = list(COLOURS)
            self.rng.shuffle(self.colours)
        return str(self.colours.pop())

    # Laying out -------------------------------------------------------------------------------------------

    def staged(self) -> Staged:  # noqa: C901
        """The scene; `_NoRoom` where the dice fell badly."""
        for k, wish in enumerate(self.story.things):
            if wish.fixture == "seesaw":
                return self._seesaw(k)
        self._fixed()
        for relation in self.story.relations:
            if relation.kind in ("row", "stack"):
                self._group(relation.kind, [k for k in relation.a if isinstance(k, int)])
        self._related()
        for k in self._movable():
            if self.motion(k) is not None and k not in self.spots:
                self._mover(k)
            elif self.motion(k) is not None and k in self.spots and not self.spots[k].velocity.any():
                self._set_going(k)
        for deed in self.story.deeds:
            self._caused(deed)
        self._finger()
        self._related()
        for k in self._movable():
            if k not in self.spots:
                self.spots[k] = self._free(k)
        if any(d.verb == "leaves" for d in self.story.deeds) or any(
            r.kind == "edge" for r in self.story.relations
        ):
            self.open_edge = True
        return self._finished()

    def _finished(self) -> Staged:
        """Turn it all the main way."""
        turn = yawed(self.angle)

        def turned(vector: np.ndarray) -> Vector:
            x, y, z = rotate(np.array(turn), np.asarray(vector, float))
            return (float(x), float(y), float(z))

        things = []
        order = self._movable()
        for k in order:
            kind, spot = self.kinds[k], self.spots[k]
            hinge = spot.hinge
            if hinge is not None:
                hinge = Hinge(turned(np.array(hinge.anchor_m)), turned(np.array(hinge.axis)), hinge.rod_m)
            place = turned(spot.place)
            inside = abs(spot.place[0]) < self.half[0] - 0.5 * min(kind.half_extents_m[:2])
            if not inside or abs(spot.place[1]) > self.half[1] - 0.5 * min(kind.half_extents_m[:2]):
                raise _NoRoom
            finger = self.deeds("pushes", "pokes", "lifts")
            heading = next((d.heading for d in self.plans[k] if d.heading), None)
            if finger and finger[0].b == (k,):
                heading = self.way
            things.append(
                Thing(
                    kind.role,
                    kind.shape,
                    kind.colour,
                    kind.material,
                    kind.half_extents_m,
                    place,
                    quaternion_product(turn, spot.turn),
                    turned(spot.velocity),
                    turned(spot.spin),
                    hinge,
                    heading,
                )
            )
        fixtures = tuple(
            replace(
                f,
                position_m=turned(np.array(f.position_m)),
                quaternion=quaternion_product(turn, f.quaternion),
            )
            for f in self.fixtures
        )
        if len(fixtures) > MAX_FIXTURES or len(things) > MAX_THINGS:
            raise UserError("these do not fit into one scene: a ramp, a container or a pendulum, and another")
        task = self.task
        if task is not None:
            x, y, _ = turned(np.array([*task.direction, 0.0]))
            target = order.index(task.target)
            task = replace(task, direction=(x, y), target=target)
        cast: dict[Who, tuple[str, ...]] = {k: (f"object{n}",) for n, k in enumerate(order)}
        for k, part in self.parts.items():
            cast[k] = tuple(f"fixture{n}" for n in part)
        for n, fixture in enumerate(fixtures):
            cast[fixture.name] = (*cast.get(fixture.name, ()), f"fixture{n}")
        story = self.story
        scene = LabScene(
            "story",
            tuple(things),
            fixtures,
            self._orbit(np.array([t.position_m for t in things])),
            self.surface,
            story.light or str(self.rng.choice(list(LIGHTS))),
            str(self.rng.choice(list(BACKGROUNDS))),
            task,
            tuple(self.ignored),
            self.way if self.open_edge else None,
        )
        return Staged(scene, cast)

    def _orbit(self, places: np.ndarray) -> Orbit:
        story = self.story
        side = story.side or "front"
        distance = 0.86 if story.is_close else 1.4 if self.open_edge else 1.12
        if places[:, 2].max() > 0.3 and not story.is_close:
            distance = max(distance, 1.3)
        elevation = math.radians(self.uniform(66, 69) if story.is_above else self.uniform(20, 28))
        rate = {"slow": 0.12, "fast": 0.5}.get(story.camera_speed or "", 0.28)
        top = {"orbits": rate, "dollies": 0.4 * rate, "sways": 0.08, "is steered": 0.3}.get(
            story.move or "", 0.0
        )
        sign = -1 if story.move == "dollies" else int(self.rng.choice((-1, 1)))
        azimuth = math.radians(SIDES[side] + self.uniform(-3, 3))
        return Orbit(
            side,
            azimuth,
            elevation,
            distance,
            story.move or "stands",
            sign * top,
            int(self.rng.integers(2**31)),
            self._target(),
        )

    def _target(self) -> Vector:
        """Where the camera looks: at the middle, or, where things fall off the table, to that side."""
        x, y = DIRECTIONS[self.way]
        return (0.24 * x, 0.1 * y, 0.0) if self.open_edge else (0.0, 0.0, 0.07)

    # Fixtures ---------------------------------------------------------------------------------------------

    def _fixed(self) -> None:
        wishes = {w.fixture: (k, w) for k, w in enumerate(self.story.things) if w.fixture}
        first = 0
        for name in ("ramp", "wall", "screen", "container"):
            if name in wishes:
                k, wish = wishes[name]
                material = wish.material or (
                    "glass" if wish.noun == "glass" else str(self.rng.choice(STRUCTURES))
                )
                getattr(self, f"_{name}")(material, wish)
                self.parts[k] = range(first, len(self.fixtures))
                first = len(self.fixtures)

    def _on_ramp(self) -> list[int]:
        return [
            k
            for r in self.story.relations
            if r.kind == "on" and self._is(r.b, "ramp")
            for k in r.a
            if isinstance(k, int)
        ]

    def _is(self, who: Sequence[Who], fixture: str) -> bool:
        return any(isinstance(k, int) and self.story.things[k].fixture == fixture for k in who)

    def _ramp(self, material: str, wish: Wish) -> None:
        riders = self._on_ramp()
        slides = any(self.motion(k) == "slide" for k in riders)
        slope = math.radians(self.uniform(26, 32) if slides else self.uniform(17, 25))
        into = any(k in d.a for k in riders for d in self.deeds("lands in"))
        half_length, half_thick, foot_z = 0.17 if not into else 0.11, 0.008, 0.0
        foot = np.array([-0.04, self.lane, foot_z])
        if into:
            foot = np.array([-0.06, self.lane, 2 * self._inside()[1] + 0.02])
        along = np.array([math.cos(slope), 0.0, -math.sin(slope)])
        up = np.array([math.sin(slope), 0.0, math.cos(slope)])
        middle = foot - half_length * along
        deck = middle - half_thick * up
        post = deck - 0.85 * half_length * along
        if into:
            post = deck - 0.2 * half_length * along
        post_z = float(post[2]) - half_thick / math.cos(slope) - 0.001
        self.fixtures += [
            Fixture("ramp", "box", material, (half_length, 0.075, half_thick), _vector(deck), tilted(slope)),
            Fixture(
                "stand", "box", material, (0.012, 0.06, post_z / 2), (float(post[0]), self.lane, post_z / 2)
            ),
        ]
        for n, k in enumerate(riders):
            kind = self.kinds[k]
            beside = (n % 2 - 0.5) * 0.074 if len(riders) > 1 else 0.0
            back = (0.55 if not into else self.uniform(0.2, 0.8)) - 0.7 * (n // 2) + self.uniform(-0.1, 0.1)
            is_round = kind.shape != "box"
            level = kind.half_extents_m[0] if is_round else kind.half_extents_m[2]
            place = middle - back * half_length * along + (level + 0.0003) * up + np.array([0.0, beside, 0.0])
            turn = tilted(slope)
            if kind.shape in ("cylinder", "capsule") and self.motion(k) != "slide":
                turn = quaternion_product(turn, lying(0.0))
            self.spots[k] = _Spot(place, turn)

    def _wall(self, material: str, wish: Wish) -> None:
        half = (0.012, self.uniform(0.10, 0.14), self.uniform(0.07, 0.1))
        self.fixtures.append(
            Fixture("wall", "box", material, half, (self.uniform(0.14, 0.2), self.lane, half[2]))
        )

    def _screen(self, material: str, wish: Wish) -> None:
        half = (self.uniform(0.09, 0.13), 0.006, self.uniform(0.075, 0.095))
        # The screen stands across the sight of the camera at the front, whatever the way.
        side = self.along((0.0, -1.0)) * 0.10
        turn = yawed(-self.angle)
        place = (float(side[0]), float(side[1]) + self.lane, half[2])
        self.fixtures.append(
            Fixture("screen", "box", material if material != "glass" else "wood", half, place, turn)
        )

    def _inside(self) -> tuple[float, float]:
        """Radius of the inside of the story's container, and half its height."""
        noun = next(w.noun for w in self.story.things if w.fixture == "container")
        radius, half = _INSIDE_M.get(noun, _CRATE_M)
        number = sum(len(d.a) for d in self.deeds("lands in"))
        widest = max((self.kinds[k].reach_m for k in self._movable() if self._lands_in(k)), default=0.0)
        return max(radius + (0.012 if number > 2 else 0.0), 1.35 * widest + 0.008), half

    def _container(self, material: str, wish: Wish) -> None:
        radius, half = self._inside()
        is_square = wish.noun not in _INSIDE_M or len(self.fixtures) + 6 > MAX_FIXTURES
        sides = 4 if is_square else 6
        thick = 0.005
        x, y = self.uniform(-0.04, 0.06), self.lane
        riders = [k for k in self._on_ramp() if self._lands_in(k)]
        if riders:
            x = -0.06 + radius + thick + 0.012
        for n in range(sides):
            angle = 2 * math.pi * n / sides
            out = radius + thick
            width = (radius + 2 * thick) * math.tan(math.pi / sides)
            if is_square and n % 2:
                width = radius
            self.fixtures.append(
                Fixture(
                    wish.noun,
                    "box",
                    material,
                    (thick, width, half),
                    (x + out * math.cos(angle), y + out * math.sin(angle), half),
                    yawed(angle),
                )
            )

    def _seesaw(self, number: int) -> Staged:
        """The family of see-saws has it all: a load, a plank and what falls on it."""
        falling = [k for k in self._movable() if self.motion(k) == "fall"]
        loads = [k for k in self._movable() if k not in falling]
        if len(falling) > 1 or len(loads) > 1 or len(self._movable()) != len(falling) + len(loads):
            raise UserError("a seesaw has one thing on one end, and one that falls on the other")
        roles = {}
        for role, who in (("load", loads), ("faller", falling)):
            if who:
                w = self.story.things[who[0]]
                roles[role] = (ThingRequest(w.shape, w.colour, w.material, w.size),)
        story = self.story
        request = LabRequest("see-saw", roles, story.surface, story.light, story.side, story.move or "stands")
        scene = sample_laboratory(self.rng, request)
        cast: dict[Who, tuple[str, ...]] = {number: ("object0",), "fulcrum": ("fixture0",)}
        for role, who in (("load", loads), ("faller", falling)):
            for k in who:
                cast[k] = (f"object{[t.role for t in scene.things].index(role)}",)
        return Staged(replace(scene, family="story"), cast)

    # Things that stand ------------------------------------------------------------------------------------

    def _rest(self, k: int, x: float, y: float, z: float = 0.0, yaw: float | None = None) -> None:
        kind = self.kinds[k]
        yaw = self.uniform(-0.2, 0.2) if yaw is None else yaw
        turn = lying(yaw) if kind.shape == "capsule" else yawed(yaw)
        self.spots[k] = _Spot(np.array([x, y, z + kind.rest_height_m + (0.0003 if z else 0.0)]), turn)

    def _group(self, kind: str, who: list[int]) -> None:
        if any(k in self.spots for k in who):
            return
        ramp = 0.0 if not self._on_ramp() else 0.02
        missed = any(set(d.b) & set(who) for d in self.deeds("passes", "passes behind"))
        x, y = (
            (self.uniform(0.0, 0.08) + ramp, self.lane)
            if not missed
            else (self.uniform(-0.02, 0.04), self.lane)
        )
        if kind == "stack":
            self._stack(who, x, y)
            return
        widths = [2 * self.kinds[k].half_extents_m[0] for k in who]
        is_dominoes = self.kinds[who[0]].role == "domino"
        tall = 2 * self.kinds[who[0]].half_extents_m[2]
        struck = any(d.verb in _STRIKES and set(d.b) & set(who) for d in self.story.deeds)
        touching = struck and not is_dominoes
        gap = self.uniform(0.56, 0.66) * tall - widths[0] if is_dominoes else 0.0004 if touching else 0.03
        length = sum(widths) + gap * (len(who) - 1)
        start = -0.5 * length + (0.06 if struck else 0.0) + (0.5 * length + 0.02 if ramp else 0.0)
        leaves = any(d.verb == "leaves" and set(d.a) & set(who) for d in self.story.deeds)
        if leaves:
            start = self.half[0] - length - self.uniform(0.05, 0.08)
        for k, width in zip(who, widths, strict=True):
            self._rest(k, start + width / 2, y, yaw=0.0)
            start += width + gap

    def _stack(self, who: list[int], x: float, y: float) -> None:
        order = sorted(who, key=lambda k: (self.kinds[k].shape == "ball", -self.kinds[k].half_extents_m[0]))
        collapses = any(
            d.verb == "topples"
            and not d.is_caused
            and set(d.a) & set(who)
            and not self.deeds("hits", "pokes", "pushes")
            for d in self.story.deeds
        )
        height, aside = 0.0, 0.0
        for n, k in enumerate(order):
            half = self.kinds[k].half_extents_m
            lean = self.uniform(-0.04, 0.04) * half[0]
            if collapses and n:
                aside += self.uniform(0.45, 0.7) * half[0]
            self._rest(
                k,
                x + aside + lean,
                y + self.uniform(-0.04, 0.04) * half[0],
                height,
                self.uniform(-0.15, 0.15),
            )
            height += 2 * self.kinds[k].rest_height_m + 0.0003

    def _related(self) -> None:  # noqa: C901
        """Place what stands in some relation to what has a place, or to what gets one now."""
        for relation in self.story.relations:
            a = [k for k in relation.a if isinstance(k, int) and k in self.kinds]
            b = [k for k in relation.b if isinstance(k, int)]
            if relation.kind in _ASIDE or relation.kind == "next to":
                self._beside(relation.kind, a, b)
            elif relation.kind == "between":
                self._between(a, b)
            elif relation.kind == "on" and not self._is(b, "ramp") and b:
                self._ensure(b[0])
                base = self.spots.get(b[0])
                if base is None:
                    raise UserError("nothing can stand on that")
                top = base.place[2] + self.kinds[b[0]].rest_height_m
                for n, k in enumerate(k for k in a if k not in self.spots):
                    free = 0.3 * self.kinds[b[0]].half_extents_m[0]
                    self._rest(
                        k, base.place[0] + self.uniform(-free, free) * 0.5, base.place[1] + n * 0.05, top
                    )
            elif relation.kind == "in" and b:
                middle, (radius, _) = self._middle_of(b[0]), self._inside()
                for n, k in enumerate(k for k in a if k not in self.spots):
                    free = max(radius - self.wide(k) - 0.012, 0.0)
                    angle = self.uniform(-0.3, 0.3) + 2.4 * n
                    out = 0.7 * free if self.motion(k) else 0.4 * free
                    self._rest(k, middle[0] + out * math.cos(angle), middle[1] + out * math.sin(angle))
            elif relation.kind == "side by side":
                self._side_by_side(a)
            elif relation.kind == "foot":
                for n, k in enumerate(k for k in a if k not in self.spots):
                    before = 0.03 + sum(2 * self.wide(j) + 0.01 for j in a[:n])
                    self._rest(k, before + self.wide(k), self.lane)

    def _side_by_side(self, who: list[int]) -> None:
        if any(k in self.spots for k in who) or any(
            self.motion(k) == "roll" and k in self._on_ramp() for k in who
        ):
            return
        right = self.along((1.0, 0.0))
        widths = [2 * self.wide(k) + self.uniform(0.02, 0.04) for k in who]
        at = -0.5 * sum(widths)
        height = self.uniform(0.2, 0.3)
        for k, width in zip(who, widths, strict=True):
            place = (at + width / 2) * right
            falls = self.motion(k) == "fall"
            self._rest(k, float(place[0]), float(place[1]))
            if falls:
                self.spots[k].place[2] += height
            at += width

    def _place_of(self, who: Sequence[int]) -> tuple[np.ndarray, float]:
        """Middle and reach of things, or of a fixture, that have a place."""
        if who[0] in self.parts:
            part = [self.fixtures[n] for n in self.parts[who[0]]]
            middle = np.mean([f.position_m for f in part], axis=0)
            reach = max(math.dist(f.position_m[:2], middle[:2]) for f in part) + max(
                part[0].half_extents_m[:2]
            )
            return middle, reach if len(part) < 3 else float(reach - part[0].half_extents_m[1] + 0.01)
        middle = np.mean([self.spots[k].place for k in who], axis=0)
        reach = max(math.dist(self.spots[k].place[:2], middle[:2]) + self.wide(k) for k in who)
        return middle, float(reach)

    def _middle_of(self, k: int) -> np.ndarray:
        return self._place_of([k])[0]

    def _beside(self, kind: str, a: list[int], b: list[int]) -> None:
        if all(k in self.spots for k in a):
            if all(k in self.spots or k in self.parts for k in b):
                return
            opposite = {
                "left of": "right of",
                "right of": "left of",
                "behind": "in front of",
                "in front of": "behind",
            }
            a, b, kind = [k for k in b if k in self.kinds], a, opposite.get(kind, kind)
        if not any(k in self.spots or k in self.parts for k in b):
            self._ensure(b[0])
        middle, reach = self._place_of([k for k in b if k in self.spots or k in self.parts])
        direction = self.along(_ASIDE[kind]) if kind in _ASIDE else self._some_side()
        for n, k in enumerate(k for k in a if k not in self.spots):
            own = self.wide(k)
            strikes = any(d.verb == "hits" and k in d.a for d in self.story.deeds)
            gap = (
                self.uniform(0.14, 0.22)
                if strikes
                else self.uniform(0.012, 0.03)
                if kind == "next to"
                else (self.uniform(0.03, 0.08))
            )
            out = 0.85 * reach + own + gap + n * (2 * own + 0.02)
            aside = np.array([-direction[1], direction[0]]) * self.uniform(-0.01, 0.01)
            place = middle[:2] + out * direction + aside
            self._rest(k, float(place[0]), float(place[1]))

    def _some_side(self) -> np.ndarray:
        """Left or right, as the camera sees it: what is next to something should not hide it."""
        angle = self.uniform(-0.35, 0.35) + (math.pi if self.rng.random() < 0.5 else 0.0)
        return self.along((math.cos(angle), math.sin(angle)))

    def _between(self, a: list[int], b: list[int]) -> None:
        right = self.along((1.0, 0.0))
        if all(k in self.spots for k in a) or len(b) < 2:
            return
        middle = np.array([self.uniform(-0.03, 0.03), self.lane])
        self._rest(a[0], *map(float, middle))
        for k, sign in zip((b[0], b[-1]), (-1, 1), strict=True):
            if k not in self.spots:
                out = self.wide(a[0]) + self.wide(k) + self.uniform(0.07, 0.13)
                place = middle + sign * out * right
                self._rest(k, *map(float, place))

    def _ensure_all(self, who: Sequence[int]) -> None:
        """Places for things that are struck together: one behind the other, each within reach of the last."""
        for n, k in enumerate(who):
            if n and k not in self.spots and k in self.kinds and who[n - 1] in self.spots:
                before, kind = self.spots[who[n - 1]], self.kinds[k]
                topples = any(k in d.a for d in self.deeds("topples"))
                pitch = (
                    1.1 * kind.half_extents_m[2]
                    if topples
                    else 2.0 * self.wide(k) + self.uniform(0.005, 0.03)
                )
                self._rest(k, float(before.place[0] + pitch), float(before.place[1]), yaw=0.0)
            self._ensure(k)

    def _ensure(self, k: int) -> None:
        """Give a thing that stands a place, if it has none: near the middle, or near the edge it falls
        off."""
        if k in self.spots or k in self.parts or k not in self.kinds:
            return
        if any(
            r.kind in ("left of", "right of", "behind", "in front of", "next to", "on", "between")
            and k in r.a
            and k not in r.b
            for r in self.story.relations
        ):
            self._related()
            if k in self.spots:
                return
        leaves = any(k in d.a for d in self.deeds("leaves"))
        last = max((s.place[0] for s in self.spots.values()), default=0.0) if self._on_ramp() else 0.0
        if leaves:
            x = self.half[0] - self.kinds[k].half_extents_m[0] - self.uniform(0.01, 0.04)
        elif self._on_ramp():
            x = max(last, 0.02) + 2 * self.wide(k) + self.uniform(0.004, 0.02)
        elif any(k in d.b for d in self.deeds("passes over")):
            x = self.uniform(-0.12, -0.08)
        else:
            x = self.uniform(0.0, 0.08)
        self._rest(k, float(x), self.lane + self.uniform(-0.01, 0.01), yaw=self.uniform(-0.1, 0.1))

    def _free(self, k: int) -> _Spot:
        """A place clear of all others, and of the ways of what moves."""
        reach = self.half - self.wide(k) - 0.02
        for _ in range(60):
            x, y = (float(v) for v in self.rng.uniform(-0.8 * reach, 0.8 * reach))
            if self._is_clear(x, y, self.wide(k)):
                self._rest(k, x, y, yaw=self.uniform(-3, 3))
                return self.spots.pop(k)
        raise _NoRoom

    def _is_clear(self, x: float, y: float, reach: float) -> bool:
        for k, spot in self.spots.items():
            room = reach + self.wide(k) + 0.02
            away = np.array([x, y]) - spot.place[:2]
            if np.linalg.norm(away) < room:
                return False
            speed = np.linalg.norm(spot.velocity[:2])
            if speed > 0.05:
                way = spot.velocity[:2] / speed
                ahead = float(away @ way)
                if ahead > 0 and abs(float(away @ np.array([-way[1], way[0]]))) < room:
                    return False
        if self.task is not None:
            start = self.spots[self.task.target].place[:2]
            if abs(y - start[1]) < reach + 0.08:
                return False
        for fixture in self.fixtures:
            away = rotate(
                np.array(fixture.quaternion) * [1, -1, -1, -1],
                np.array([x, y, fixture.position_m[2]]) - np.array(fixture.position_m),
            )
            if all(abs(away[n]) < fixture.half_extents_m[n] + reach + 0.02 for n in (0, 1)):
                return False
        return not (self._on_ramp() and abs(y - self.lane) < reach + 0.08)

    # Things that move -------------------------------------------------------------------------------------

    def _speed(self, k: int, low: float, high: float) -> float:
        said = next((d.speed_m_s for d in self.plans[k] if d.speed_m_s), None)
        return said if said is not None else self.uniform(low, high)

    def _roll(self, k: int, start: np.ndarray, velocity: np.ndarray) -> None:
        """Put a thing on the table, rolling or sliding at a velocity `[2]`."""
        kind = self.kinds[k]
        rolls = kind.shape != "box" and self.motion(k) != "slide"
        height = kind.half_extents_m[0] if rolls else kind.rest_height_m
        heading = math.atan2(velocity[1], velocity[0])
        turn = (
            lying(heading)
            if kind.shape in ("cylinder", "capsule") and rolls
            else yawed(heading if rolls else 0.0)
        )
        z = float(start[2]) if len(start) > 2 else height
        spin = np.array([-velocity[1], velocity[0], 0.0]) / height if rolls else np.zeros(3)
        self.spots[k] = _Spot(np.array([start[0], start[1], z]), turn, np.array([*velocity, 0.0]), spin)

    def _set_going(self, k: int) -> None:
        """A first velocity for a mover that already has its place."""
        motion, spot = self.motion(k), self.spots[k]
        if k in self._on_ramp():
            for deed in self.plans[k]:
                self._ensure_all(self._others(deed, k))
            return
        if motion == "spin":
            spot.spin = np.array([0.0, 0.0, self.uniform(40, 70)])
        elif motion == "fall":
            if spot.place[2] < self.wide(k) + 0.05:
                spot.place[2] += self._drop_height(k)
        elif motion in ("roll", "slide", "fly"):
            place = spot.place
            target = next(
                (
                    j
                    for d in self.plans[k]
                    if d.verb in ("hits", "nears", "lands in") and not d.never
                    for j in d.b
                    if isinstance(j, int) and j != k
                ),
                None,
            )
            direction = np.array([1.0, 0.0])
            if target is not None:
                self._ensure(target)
                way = self._middle_of(target)[:2] - place[:2]
                direction = way / max(float(np.linalg.norm(way)), 1e-6)
            if any(k in d.a for d in self.deeds("stays in")):
                direction = np.array([math.cos(1.3), math.sin(1.3)])
            high = any(r.kind == "on" and k in r.a for r in self.story.relations)
            speed = self._speed(k, 0.3, 0.5) if high else self._speed(k, 0.5, 0.8)
            self._roll(k, place, direction * speed)
            self.spots[k].place[2] = place[2] if high else self.spots[k].place[2]

    def _mover(self, k: int) -> None:
        getattr(self, f"_start_{self.motion(k)}")(k)

    def _goal(self, k: int) -> Deed | None:
        """The first thing that a mover has to do besides moving."""
        plain = ("rolls", "slides", "moves", "flies", "falls", "swings", "spins")
        return next((d for d in self.plans[k] if d.verb not in plain and not d.never), None)

    def _others(self, deed: Deed, k: int) -> list[int]:
        return [j for j in deed.b if isinstance(j, int) and j != k]

    def _start_roll(self, k: int) -> None:
        goal, reach = self._goal(k), self.wide(k)
        if goal is None:
            self._across(k)
            return
        others = self._others(goal, k)
        if goal.verb in ("hits", "nears", "lands in") and set(goal.a) == set(goal.b):
            self._meet([j for j in goal.a if isinstance(j, int)])
        elif goal.verb == "leaves":
            turn = list(
                dict.fromkeys(j for d in self.deeds("leaves") for j in d.a if isinstance(j, int))
            ).index(k)
            slow = next((d.speed_m_s for d in self.plans[k] if d.speed_m_s), None)
            back = (
                self.uniform(0.12, 0.2) if slow and slow < 0.4 else self.uniform(0.22, 0.32)
            ) + 0.13 * turn
            lane = self.lane + (0.11 if self.lane < 0 else -0.11) * turn
            self._roll(k, np.array([self.half[0] - back, lane]), np.array([self._speed(k, 0.5, 0.7), 0.0]))
        elif goal.verb == "stops":
            self._stop(k)
        elif goal.verb in ("bounces", "returns", "parts") or not others:
            self._across(k)
        elif goal.verb == "passes between":
            self._gate(k, others)
        elif goal.verb.startswith("passes"):
            self._pass_by(k, others, goal.verb)
        else:
            self._ensure_all(others)
            target = others[0]
            middle, size = self._place_of([target])
            if any(j in self.parts for j in others):
                size = 0.02 if self.story.things[target].fixture == "wall" else size
            approach = self._approach(k, target, middle)
            run = self.uniform(0.12, 0.2)
            start = middle[:2] - approach * (size + reach + run)
            aside = np.array([-approach[1], approach[0]])
            spread = 0.25 * min(size, reach)
            start = start + aside * self.uniform(-spread, spread)
            low, high = (0.9, 1.4) if self._needs_force(target) else (0.65, 1.0)
            if (
                any(target in d.a for d in self.deeds("leaves", "drops off"))
                and self.kinds[target].shape == "box"
            ):
                low, high = 1.5, 2.2
            self._roll(k, start, approach * self._speed(k, low, high))

    _start_slide = _start_roll

    def _needs_force(self, target: int) -> bool:
        """Whether what is struck has to topple, to leave the table, to strike another, or to fall off
        something."""
        verbs = ("topples", "leaves", "drops off", "hits", "returns", "rolls")
        return any(d.verb in verbs and (target in d.a) and not d.never for d in self.story.deeds) or any(
            set(d.a)
            & {k for r in self.story.relations if r.kind in ("row", "stack") and target in r.a for k in r.a}
            for d in self.deeds("topples", "rolls", "moves")
        )

    def _approach(self, k: int, target: int, middle: np.ndarray) -> np.ndarray:
        """From where to come: along the main way, or where a thing stands in no other's way."""
        if target in self.parts or any(d.heading for d in self.story.deeds) or self._has_followers(target):
            return np.array([1.0, 0.0])
        options = [np.array([1.0, 0.0])]
        for _ in range(6):
            angle = self.uniform(-0.5, 0.5) + float(self.rng.choice([0.0, math.pi]))
            options.append(np.array([math.cos(angle), math.sin(angle)]))
        reach = self.wide(k)
        for way in options:
            start = middle[:2] - way * (0.2 + reach)
            blocked = False
            for j, spot in self.spots.items():
                if j in (target, k) or any(
                    j in r.a and target in r.a for r in self.story.relations if r.kind in ("row", "stack")
                ):
                    continue
                away = spot.place[:2] - start
                ahead = float(away @ way)
                side = abs(float(away @ np.array([-way[1], way[0]])))
                if -0.05 < ahead < 0.24 and side < reach + self.wide(j) + 0.01:
                    blocked = True
            if not blocked and all(abs(start) < self.half - reach):
                return way
        return options[0]

    def _has_followers(self, target: int) -> bool:
        return any(
            target in d.a and d.is_caused and d.verb in ("hits", "leaves", "rolls") for d in self.story.deeds
        ) or (any(r.kind == "row" and target in r.a for r in self.story.relations))

    def _across(self, k: int) -> None:
        """Nothing to do but go: where nothing is in the way."""
        deed = next((d for d in self.plans[k] if d.heading), None)
        way = (
            self.along(DIRECTIONS[deed.heading])
            if deed is not None and deed.heading
            else np.array([1.0, 0.0])
        )
        reach = self.wide(k)
        for tried in range(90):
            lane = self.uniform(-0.9, 0.9) * (self.half[1] - reach)
            start = -way * self.uniform(0.16, 0.28) + np.array([-way[1], way[0]]) * lane
            speed = self._speed(k, 0.4, 0.7)
            ends = start + way * min(0.5, 0.9 * speed)
            if not (np.abs(start) < self.half - reach - 0.01).all():
                continue
            stretches = (0.0, 0.35, 0.7, 1.0) if tried < 60 else (0.0,)  # they may meet, where it is crowded
            if all(self._is_clear(*map(float, start + s * (ends - start)), reach) for s in stretches):
                self._roll(k, start, way * speed)
                return
        raise _NoRoom

    def _meet(self, who: list[int]) -> None:
        """Things that go towards each other and collide."""
        free = [k for k in who if k not in self.spots]
        if len(who) < 2:
            raise _NoRoom
        centre = np.array([self.uniform(-0.02, 0.02), 0.5 * self.lane])
        for n, k in enumerate(free):
            angle = 2 * math.pi * n / len(free)
            way = np.array([math.cos(angle), math.sin(angle)])
            start = centre - way * self.uniform(0.17, 0.2)
            self._roll(k, start, way * self._speed(k, 0.5, 0.7))

    def _stop(self, k: int) -> None:
        """Goes until friction stops it; near the edge, if that is told."""
        kind = self.kinds[k]
        near_edge = any(r.kind == "edge" and k in r.a for r in self.story.relations)
        length = self.uniform(0.3, 0.45) if near_edge else self.uniform(0.2, 0.35)
        if self.motion(k) == "slide":
            slow = table_friction(kind.material, self.surface) * GRAVITY_M_S2
        else:
            slow = ALL_MATERIALS[kind.material].rolling_m / kind.half_extents_m[0] * GRAVITY_M_S2
            length = min(length, 0.25)
        end = self.half[0] - self.wide(k) - self.uniform(0.015, 0.04) if near_edge else self.uniform(0.1, 0.2)
        speed = next((d.speed_m_s for d in self.plans[k] if d.speed_m_s), None) or math.sqrt(
            2 * slow * length
        )
        start = end - 0.5 * speed**2 / slow
        self._roll(k, np.array([max(start, -self.half[0] + 0.06), self.lane]), np.array([speed, 0.0]))

    def _gate(self, k: int, others: list[int]) -> None:
        """Goes through between two things."""
        right = np.array([0.0, 1.0])
        reach = self.wide(k)
        for j, sign in zip((others[0], others[-1]), (-1, 1), strict=True):
            if j not in self.spots and j in self.kinds:
                out = reach + self.wide(j) + self.uniform(0.025, 0.05)
                self._rest(j, 0.0, self.lane + float(sign * out * right[1]))
        first, last = (
            self.spots[j].place[:2] if j in self.spots else self._middle_of(j)[:2]
            for j in (others[0], others[-1])
        )
        across = (last - first) / np.linalg.norm(last - first)
        way = np.array([across[1], -across[0]])
        if way[0] < 0:
            way = -way
        start = 0.5 * (first + last) - way * self.uniform(0.14, 0.2)
        self._roll(k, start, way * self._speed(k, 0.45, 0.75))

    def _pass_by(self, k: int, others: list[int], verb: str) -> None:
        """Goes by without touching: on the far side, on the near side, or on any."""
        reach = self.wide(k)
        free = [j for j in others if j not in self.spots and j in self.kinds]
        for n, j in enumerate(free):
            gap = 2 * self.wide(j) + 0.03
            self._rest(j, (n - 0.5 * (len(free) - 1)) * gap, self.lane - 0.03)
        middle, _ = self._place_of([others[0]] if others[0] in self.parts else others)
        screen = others[0] in self.parts and self.story.things[others[0]].fixture == "screen"
        width = 0.006 if screen else max(self._place_of([j])[1] for j in others)
        gap = self.uniform(0.05, 0.08) if screen else self.uniform(0.012, 0.04)
        away = self.along((0.0, 1.0))
        if abs(away[1]) < 0.5:  # the main way goes to the camera or from it
            raise _NoRoom
        side = float(np.sign(away[1]))
        if verb == "passes in front of" or (verb == "passes" and self.rng.random() < 0.7):
            side = -side
        lane = middle[1] + side * (width + reach + gap)
        start = np.array([middle[0] - self.uniform(0.22, 0.28), lane])
        self._roll(k, start, np.array([self._speed(k, 0.45, 0.7), 0.0]))

    def _drop_height(self, k: int) -> float:
        """How far it falls: so far that it bounces as often as is told."""
        times = max((d.times for d in self.plans[k]), default=0)
        if not times:
            return self.uniform(0.12, 0.28)
        back = table_bounce(self.kinds[k].material, self.surface)
        height = _VISIBLE_BOUNCE_M * self.uniform(0.7, 1.6) / back ** (2 * times + 0.6)
        if height > 0.6:
            if self.story.surface is not None:
                raise UserError(f"on this table it cannot bounce {times} times so that one sees it")
            self.surface = next(s for s in ("metal", "wood", "glass") if s != self.surface)
            raise _NoRoom
        return max(height, 0.02)

    def _start_fall(self, k: int) -> None:
        kind, goal = self.kinds[k], self._goal(k)
        others = [] if goal is None else self._others(goal, k)
        above = [
            j
            for r in self.story.relations
            if r.kind == "above" and k in r.a
            for j in r.b
            if isinstance(j, int)
        ]
        target = (others or above or [None])[0]
        turn = yawed(self.uniform(-3, 3))
        if target is not None:
            self._ensure(target)
            if target not in self.spots and target not in self.parts:
                raise _NoRoom
            middle, reach = self._place_of([target])
            top = (
                2 * self.fixtures[self.parts[target][0]].position_m[2]
                if target in self.parts
                else (middle[2] + self.kinds[target].rest_height_m)
            )
            if target in self.spots and self.kinds[target].shape == "ball":
                reach *= 0.3
            free = max(0.25 * (reach - 0.5 * kind.reach_m), 0.0)
            x, y = middle[0] + self.uniform(-free, free), middle[1] + self.uniform(-free, free)
            same = [
                j
                for j in self.spots
                if self.motion(j) == "fall" and target in [i for d in self.plans[j] for i in d.b]
            ]
            height = top + kind.reach_m + self.uniform(0.08, 0.16)
            if same:
                height = (
                    max(self.spots[j].place[2] + self.kinds[j].reach_m for j in same) + kind.reach_m + 0.03
                )
            self.spots[k] = _Spot(np.array([x, y, height]), turn)
            return
        height = self._drop_height(k)
        middle = (
            any(r.kind == "middle" and k in r.a for r in self.story.relations) or len(self._movable()) == 1
        )
        for _ in range(60):
            spread = 0.05 if middle else 0.75
            x, y = (float(v) for v in self.rng.uniform(-1, 1, 2) * spread * (self.half - kind.reach_m))
            if self._is_clear(x, y, kind.reach_m):
                self.spots[k] = _Spot(np.array([x, y, kind.rest_height_m + height]), turn)
                return
        raise _NoRoom

    def _start_fly(self, k: int) -> None:
        kind, goal = self.kinds[k], self._goal(k)
        start_z = kind.reach_m + self.uniform(0.05, 0.12)
        others = [] if goal is None else self._others(goal, k)
        misses = any(d.never and k in d.a and d.verb == "hits" for d in self.story.deeds)
        if goal is None or not others:
            deed = next((d for d in self.plans[k] if d.heading), None)
            way = (
                self.along(DIRECTIONS[deed.heading])
                if deed is not None and deed.heading
                else np.array([1.0, 0.0])
            )
            across = np.array([-way[1], way[0]])
            for _ in range(60):
                start = -way * self.uniform(0.1, 0.2) + across * self.uniform(-0.8, 0.8) * (
                    self.half[1] - kind.reach_m
                )
                end = start + way * self.uniform(0.25, 0.35)
                if self._is_clear(*map(float, start), kind.reach_m) and (np.abs(end) < self.half).all():
                    self._throw(
                        k, np.append(start, start_z), np.append(end, kind.reach_m), self.uniform(0.3, 0.45)
                    )
                    return
            raise _NoRoom
        for j in others:
            self._ensure(j)
        if any(j not in self.spots and j not in self.parts for j in others):
            raise _NoRoom
        middle, reach = self._place_of(others)
        top = (
            max(self.spots[j].place[2] + self.kinds[j].rest_height_m for j in others)
            if others[0] in self.spots
            else (2 * middle[2])
        )
        x = middle[0]
        if goal.verb == "passes over":
            start_z = kind.reach_m + 0.02
            start = np.array([x - reach - kind.reach_m - self.uniform(0.05, 0.09), middle[1], start_z])
            rise = top + kind.reach_m + self.uniform(0.03, 0.06) - start_z
            seconds = math.sqrt(2 * rise / GRAVITY_M_S2)
            self._throw(k, start, np.array([x, middle[1], start_z + rise]), seconds)  # highest above it
        elif goal.verb == "passes" or misses:
            side = float(self.rng.choice([-1.0, 1.0]))
            lane = middle[1] + side * (reach + kind.reach_m + self.uniform(0.015, 0.04))
            start = np.array([x - self.uniform(0.22, 0.27), lane, start_z])
            self._throw(k, start, np.array([x + 0.1, lane, kind.reach_m + 0.02]), self.uniform(0.26, 0.34))
        elif goal.verb == "lands in":
            start = np.array([x - reach - self.uniform(0.13, 0.18), middle[1], start_z])
            self._throw(k, start, np.array([x, middle[1], top]), self.uniform(0.34, 0.42))
        else:
            start = np.array([x - self.uniform(0.24, 0.3), middle[1], start_z])
            aim = np.array([x, middle[1], max(0.5 * top, kind.reach_m)])
            self._throw(k, start, aim, self.uniform(0.16, 0.24))

    def _throw(self, k: int, start: np.ndarray, end: np.ndarray, seconds: float) -> None:
        """So that it is at `end` after `seconds`."""
        velocity = (end - start) / seconds
        velocity[2] += 0.5 * GRAVITY_M_S2 * seconds
        spin = np.zeros(3) if self.kinds[k].shape == "ball" else self.rng.normal(0.0, 1.0, 3)
        self.spots[k] = _Spot(start, yawed(self.uniform(-0.3, 0.3)), velocity, spin)

    def _start_spin(self, k: int) -> None:
        self.spots[k] = self._free(k)
        self.spots[k].spin = np.array([0.0, 0.0, self.uniform(40, 70)])

    def _start_swing(self, k: int) -> None:
        """A frame, a rod, and a bob that is let go; what it strikes stands at its lowest point."""
        kind = self.kinds[k]
        height = self.uniform(0.30, 0.34)
        length = height - kind.reach_m - self.uniform(0.008, 0.014)
        angle, x = self.uniform(0.75, 1.1), -0.06
        place = np.array([x - length * math.sin(angle), self.lane, height - length * math.cos(angle)])
        self.spots[k] = _Spot(
            place, tilted(angle), hinge=Hinge((x, self.lane, height), (0.0, 1.0, 0.0), 0.004)
        )
        struck = [
            j
            for d in self.plans[k]
            if d.verb in ("hits", "nears") and not d.never
            for j in d.b
            if isinstance(j, int) and j in self.kinds
        ]
        edge = x + kind.half_extents_m[0] + 0.003
        stacks = [r.a for r in self.story.relations if r.kind == "stack" and set(r.a) & set(struck)]
        if stacks:
            who = [j for j in stacks[0] if isinstance(j, int)]
            self._stack(who, edge + 1.1 * max(self.wide(j) for j in who), self.lane)
        elif any(j in self.spots for j in struck):  # a row: all of it to the lowest point
            row = [j for r in self.story.relations if r.kind == "row" and set(r.a) & set(struck) for j in r.a]
            first = min(self.spots[j].place[0] - self.kinds[j].half_extents_m[0] for j in row or struck)
            for j in row or struck:
                if isinstance(j, int):
                    self.spots[j].place[0] += edge + 0.002 - first
        else:
            for j in struck:
                width = self.kinds[j].half_extents_m[0]
                self._rest(j, edge + width, self.lane, yaw=0.0)
                edge += 2 * width + self.uniform(0.01, 0.04)
        material = str(self.rng.choice(["wood", "steel", "plastic"]))
        first = len(self.fixtures)
        posts = [
            Fixture(
                "post",
                "cylinder",
                material,
                (0.009, 0.009, height / 2),
                (x, self.lane + s * 0.15, height / 2),
            )
            for s in (-1, 1)
        ]
        beam = Fixture("beam", "box", material, (0.008, 0.15, 0.008), (x, self.lane, height + 0.008))
        self.fixtures += [*posts, beam]
        self.ignored.append((self._movable().index(k), first + 2))

    def _caused(self, deed: Deed) -> None:
        """What is struck by something that was struck stands ahead of it."""
        if deed.verb not in ("hits", "nears") or deed.never:
            return
        for k in deed.a:
            for j in self._others(deed, k) if isinstance(k, int) else ():
                if j in self.spots or j in self.parts or k not in self.spots:
                    continue
                spot = self.spots[k]
                x = spot.place[0] + self.wide(k) + self.wide(j) + self.uniform(0.02, 0.06)
                x += 0.12 if spot.velocity.any() else 0.0
                others = [
                    s.place[0]
                    for i, s in self.spots.items()
                    if abs(s.place[1] - spot.place[1]) < 0.06 and i != k
                ]
                if not deed.is_caused and others:
                    x = max(x, max(others) + 0.1)
                self._rest(
                    j,
                    float(x),
                    float(spot.place[1]) + self.uniform(-0.006, 0.006),
                    yaw=self.uniform(-0.1, 0.1),
                )

    def _finger(self) -> None:  # noqa: C901
        """The finger's task: what it is told to do, or to start what nothing else starts."""
        deeds = self.deeds("pushes", "pokes", "lifts") or [
            d for d in self.deeds("hits") if d.a == ("finger",)
        ]
        if not deeds:
            started = [d for d in self.deeds("topples") if not d.is_caused]
            stacks = {k for r in self.story.relations if r.kind == "stack" for k in r.a}
            if not started or set(started[0].a) & stacks:
                return
            deeds = [Deed("pokes", ("finger",), started[0].a[:1])]
        deed = deeds[0]
        target = next((k for k in deed.b if isinstance(k, int)), -1)
        if target not in self.kinds and deed.verb == "hits":
            return
        if target not in self.kinds:
            raise UserError(f"the finger cannot move {self.story.things[target].name}; it stands fast")
        self._ensure(target)
        spot, kind = self.spots[target], self.kinds[target]
        leaves = any(target in d.a for d in self.deeds("leaves"))
        verb = {"pushes": "push", "pokes": "poke", "lifts": "lift"}.get(deed.verb, "push")
        topples = any(target in d.a for d in self.deeds("topples"))
        if verb == "push" and not leaves and kind.role != "domino" and not self._tied(target):
            spot.place[0] = -self.uniform(0.06, 0.12)
        if verb == "lift":
            self.task = FingerTask(
                "lift", target, (1.0, 0.0), self.uniform(0.15, 0.25), self.uniform(0.1, 0.18)
            )
            return
        if topples or verb == "poke":
            reach = 0.05 if topples else 0.035
            self.task = FingerTask("poke", target, (1.0, 0.0), self.uniform(0.5, 0.7), reach)
            return
        distance = self.uniform(0.14, 0.2)
        if leaves:
            distance = self.half[0] - spot.place[0] + self.uniform(0.0, 0.03)
        speed = deed.speed_m_s or self.uniform(0.25, 0.4)
        self.task = FingerTask("push", target, (1.0, 0.0), min(speed, 0.8), distance)
        for d in self.deeds("hits"):
            if target in d.a:
                for j in self._others(d, target):
                    if j not in self.spots:
                        x = spot.place[0] + self.wide(target) + self.wide(j) + self.uniform(0.02, 0.06)
                        self._rest(j, float(x), float(spot.place[1]), yaw=0.0)

    def _tied(self, k: int) -> bool:
        return any(k in r.a or k in r.b for r in self.story.relations)


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
