"""Setting up a scene for a story: things where they are told to be, and first motions aimed so that what is
told is likely. Whether it happens is for physics to say: `world` runs the scene, and asks for another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from orrery.errors import UserError
from orrery.streams import Array, Clock
from orrery.worlds.laboratory.drawing import LabRequest, NoRoom, ThingRequest
from orrery.worlds.laboratory.families import sample_laboratory
from orrery.worlds.laboratory.model import build_laboratory
from orrery.worlds.laboratory.scene import (
    BACKGROUNDS,
    LIGHTS,
    MAX_FIXTURES,
    SIDES,
    FingerTask,
    Hinge,
    LabScene,
    Orbit,
    Quaternion,
    Thing,
    Vector,
)
from orrery.worlds.laboratory.sentences.aims import Aim, launch
from orrery.worlds.laboratory.sentences.deeds import DEEDS
from orrery.worlds.laboratory.sentences.layout import Layout
from orrery.worlds.laboratory.sentences.plan import Plan, things
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS, Deed, Story, Who
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, quaternion_product, rotate, yawed

__all__ = [
    "Staged", "camera_rate", "place_all", "placed_thing", "set_going", "stage", "start", "turned",
]  # fmt: skip

_LAYOUTS = 200
"""How often the dice are thrown for a place for everything."""
_OVERLAP_M = 5e-4
_FINGER_M_S = 0.8
_CAMERA_RAD_S = {"slow": 0.12, None: 0.28, "fast": 0.5}
_CAMERA_MOVES = {"orbits": 1.0, "dollies": -0.4, "sways": 0.28, "is steered": 1.0}
"""How fast each goes, of the rate above; dollies go near."""


@dataclass(frozen=True)
class Staged:
    """A scene, and who plays what in it: a story's things to the names of bodies."""

    scene: LabScene
    cast: Mapping[Who, tuple[str, ...]]


def stage(rng: np.random.Generator, story: Story) -> Staged:
    """A scene for `story`, drawn from `rng`. UserError where there is no room for it."""
    plan = Plan(story)
    set_up = _seesaw if plan.is_a("seesaw", range(len(story.things))) else _set_up
    for _ in range(_LAYOUTS):
        try:
            staged = set_up(rng, plan)
        except NoRoom:
            continue
        if not _overlaps(staged.scene):
            return staged
    raise UserError("no room on the table for all of these as told; ask for fewer or smaller things")


def _overlaps(scene: LabScene) -> bool:
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return min((float(contact.dist) for contact in data.contact), default=0.0) < -_OVERLAP_M


def _set_up(rng: np.random.Generator, plan: Plan) -> Staged:
    layout = Layout(rng, plan)
    lane = layout.lane
    start(layout, plan.movable)
    layout.lane = lane
    place_all(layout)
    return _turned(layout)


def place_all(layout: Layout) -> None:
    """Find the finger something to do, if it is told to, and a place for all that does not move by itself."""
    plan, lane = layout.plan, layout.lane
    _finger(layout)
    for deed in plan.deeds("hits", "nears"):  # what is struck by something that was struck
        starts = [layout.spots[k].place[1] for k in things(deed.a) if k in layout.spots]
        layout.lane = float(starts[0]) if starts else lane
        for k in things(deed.b) if starts else ():
            layout.place(k)
    layout.lane = lane
    for k in plan.movable:
        layout.place(k)


def start(layout: Layout, who: Sequence[int]) -> None:
    """Those of them that move by themselves, with what they go to; each that is sent along the table on a
    lane of its own."""
    plan, lane, lanes = layout.plan, layout.lane, 0
    for k in who:
        motion, goal = plan.motion(k), plan.goal(k)
        if motion is None:
            continue
        if goal is not None and goal.a[0] == k and motion in ("roll", "slide", "fly"):
            layout.lane = lane + math.copysign(0.13 * ((lanes + 1) // 2), 0.5 - lanes % 2)
            lanes += 1
        if any(r.kind != "above" and r.b for r in plan.relations if k in r.a):
            layout.place(k)
        set_going(layout, k, motion)


def set_going(layout: Layout, k: int, motion: str, otherwise: Aim | None = None) -> None:
    """Let a thing move towards its goal. otherwise: where to, if it has none."""
    goal = layout.plan.goal(k)
    aim = DEEDS[goal.verb].aim if goal is not None else None
    launch(layout, k, motion, aim(layout, k, goal) if goal is not None and aim is not None else otherwise)


def _finger(layout: Layout) -> None:
    """The finger's task: what it is told to do, or to start what nothing else starts."""
    plan = layout.plan
    told = plan.deeds(*FINGER_DEEDS) or [d for d in plan.deeds("hits") if d.a == ("finger",)]
    falling = [d for d in plan.deeds("topples") if not d.is_caused]
    if layout.leans:
        falling = [d for d in falling if not plan.relation("stack", things(d.a)[0])]
    told = told or [Deed("pokes", ("finger",), deed.a[:1]) for deed in falling]
    target = next((k for deed in told[:1] for k in things(deed.b)), None)
    if target is None:
        return
    if target in layout.parts:
        raise UserError(f"the finger cannot move {plan.story.things[target].name}; it stands fast")
    layout.place(target)
    traits, deed = plan.traits(target), told[0]
    if deed.verb == "lifts":
        verb, speed, distance = "lift", layout.uniform(0.15, 0.25), layout.uniform(0.1, 0.18)
    elif deed.verb == "pokes" or traits & {"topples", "topples together"}:
        reach = 0.05 if traits & {"topples", "topples together"} else 0.035
        verb, speed, distance = "poke", layout.uniform(0.5, 0.7), reach
    else:
        to_edge = layout.half[0] - layout.spots[target].place[0] + layout.uniform(0.0, 0.03)
        distance = float(to_edge) if "leaves" in traits else layout.uniform(0.14, 0.2)
        verb, speed = "push", min(deed.speed_m_s or layout.uniform(0.25, 0.4), _FINGER_M_S)
    layout.task = FingerTask(verb, target, (1.0, 0.0), speed, distance)


def _turned(layout: Layout) -> Staged:
    """The scene: all that was laid out, turned the main way."""
    turn, plan = yawed(layout.angle), layout.plan
    if len(layout.fixtures) > MAX_FIXTURES:
        raise UserError("these do not fit into one scene: a ramp, a container or a pendulum, and another")
    fixtures = tuple(
        replace(f, position_m=turned(turn, f.position_m), quaternion=quaternion_product(turn, f.quaternion))
        for f in layout.fixtures
    )
    task = layout.task
    if task is not None:
        x, y, _ = turned(turn, (*task.direction, 0.0))
        task = replace(task, direction=(x, y), target=plan.movable.index(task.target))
    cast: dict[Who, tuple[str, ...]] = {k: (f"object{n}",) for n, k in enumerate(plan.movable)}
    cast |= {k: tuple(f"fixture{n}" for n in part) for k, part in layout.parts.items()}
    for n, fixture in enumerate(fixtures):
        cast[fixture.name] = (*cast.get(fixture.name, ()), f"fixture{n}")
    rng, story = layout.rng, plan.story
    scene = LabScene(
        "story", tuple(placed_thing(layout, k, turn) for k in plan.movable), fixtures, _orbit(layout),
        layout.surface, story.light or str(rng.choice(list(LIGHTS))), str(rng.choice(list(BACKGROUNDS))),
        task, tuple(layout.ignored), layout.way if plan.open_edge else None,
    )  # fmt: skip
    return Staged(scene, cast)


def placed_thing(layout: Layout, k: int, turn: Quaternion) -> Thing:
    """Thing k where the layout has it, all turned about the table's middle. NoRoom off the table."""
    kind, spot, plan = layout.kinds[k], layout.spots[k], layout.plan
    if (np.abs(spot.place[:2]) > layout.half - 0.5 * min(kind.half_extents_m[:2])).any():
        raise NoRoom
    hinge = spot.hinge
    if hinge is not None:
        hinge = Hinge(turned(turn, hinge.anchor_m), turned(turn, hinge.axis), hinge.rod_m)
    is_taken = layout.task is not None and layout.task.target == k
    return Thing(
        kind.role, kind.shape, kind.colour, kind.material, kind.half_extents_m, turned(turn, spot.place),
        quaternion_product(turn, spot.turn), turned(turn, spot.velocity), turned(turn, spot.spin), hinge,
        layout.way if is_taken else plan.heading(k), plan.story.things[k].mesh,
    )  # fmt: skip


def turned(turn: Quaternion, vector: Array | Vector) -> Vector:
    """A vector of the layout, in the scene's axes."""
    x, y, z = (float(v) for v in rotate(np.array(turn), np.asarray(vector, float)))
    return (x, y, z)


def _orbit(layout: Layout) -> Orbit:
    """Where the camera stands; where things fall off the table, it looks to that side."""
    story, is_open = layout.plan.story, layout.plan.open_edge
    side, is_high = story.side or "front", max(spot.place[2] for spot in layout.spots.values()) > 0.3
    distance = 0.86 if story.is_close else 1.4 if is_open else 1.3 if is_high else 1.12
    elevation = layout.uniform(66, 69) if story.is_above else layout.uniform(20, 28)
    rate = camera_rate(layout.rng, story.move or "stands", story.camera_speed)
    azimuth = math.radians(SIDES[side] + layout.uniform(-3, 3))
    x, y = DIRECTIONS[layout.way]
    target = (0.24 * x, 0.1 * y, 0.0) if is_open else (0.0, 0.0, 0.07)
    return Orbit(
        side, azimuth, math.radians(elevation), distance, story.move or "stands", rate,
        int(layout.rng.integers(2**31)), target,
    )  # fmt: skip


def camera_rate(rng: np.random.Generator, move: str, speed: str | None) -> float:
    """How fast a camera's move is, and which way round. speed: `slow`, `fast`, or None."""
    sign = 1 if move == "dollies" else int(rng.choice((-1, 1)))
    return sign * _CAMERA_RAD_S[speed] * _CAMERA_MOVES.get(move, 0.0)


def _seesaw(rng: np.random.Generator, plan: Plan) -> Staged:
    """The family of see-saws has it all: a load, a plank and what falls on it."""
    story = plan.story
    parts = {"faller": [k for k in plan.movable if plan.motion(k) == "fall"]}
    parts["load"] = [k for k in plan.movable if k not in parts["faller"]]
    if max(map(len, parts.values())) > 1:
        raise UserError("a seesaw has one thing on one end, and one that falls on the other")
    wishes = {role: [story.things[k] for k in who] for role, who in parts.items() if who}
    asked = {
        r: tuple(ThingRequest(w.shape, w.colour, w.material, w.size) for w in ws) for r, ws in wishes.items()
    }
    request = LabRequest("see-saw", asked, story.surface, story.light, story.side, story.move or "stands")
    scene = replace(sample_laboratory(rng, request), family="story")
    roles = [thing.role for thing in scene.things]
    cast: dict[Who, tuple[str, ...]] = {
        k: (f"object{roles.index(r)}",) for r, who in parts.items() for k in who
    }
    seesaw = next(k for k, wish in enumerate(story.things) if wish.fixture == "seesaw")
    return Staged(scene, {**cast, seesaw: (f"object{roles.index('plank')}",), "fulcrum": ("fixture0",)})
