"""How a laboratory goes on once a sentence is said in it.

What is new is placed and aimed as for a first scene; what is there starts from where it is. Whether what is
told comes about is for physics to say: the bench runs ahead, and asks for another.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import mujoco
import numpy as np

from orrery.errors import UserError
from orrery.streams import Array, Clock
from orrery.worlds.laboratory.drawing import Kind, NoRoom
from orrery.worlds.laboratory.model import build_laboratory
from orrery.worlds.laboratory.scene import (
    SIDES,
    Fixture,
    LabScene,
    Orbit,
    Thing,
)
from orrery.worlds.laboratory.sentences.aims import Aim
from orrery.worlds.laboratory.sentences.here import fixture_parts
from orrery.worlds.laboratory.sentences.layout import Layout, Spot
from orrery.worlds.laboratory.sentences.plan import Plan
from orrery.worlds.laboratory.sentences.staging import (
    Staged,
    camera_rate,
    place_all,
    placed_thing,
    set_going,
    start,
    turned,
)
from orrery.worlds.laboratory.sentences.story import Story, Who
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, quaternion_product, rotate, yawed
from orrery.worlds.rigid_bodies.impacts import GRAVITY_M_S2
from orrery.worlds.rigid_bodies.physics import FINGER_PARKED_M

__all__ = ["carried_on"]

_DRAWS = 20
_OVERLAP_M = 5e-4
_SWING_RAD = (0.6, 1.0)
"""How far a pendulum that is pushed swings out, from, to."""
_HIGH_RAD, _LEVEL_RAD, _CLOSE_M = math.radians(67), math.radians(24), 0.86
_UPSIDE = yawed(math.pi)


def carried_on(rng: np.random.Generator, scene: LabScene, story: Story, finger_m: Array) -> Staged:
    """The scene as it goes on under what is asked, and who plays what in it.

    scene: as things stand now. finger_m: where the finger is, `[3]`. What is left open is drawn from `rng`.
    UserError where there is no room.
    """
    plan, in_the_way = Plan(story), ""
    for _ in range(_DRAWS):
        try:
            staged, anew = _carried_on(_Present(rng, plan, scene))
        except NoRoom:
            continue
        in_the_way = _in_the_way(staged.scene, finger_m, anew) if anew else ""
        if not in_the_way:
            return staged
    why = in_the_way and f": {in_the_way} is in the way"
    raise UserError(f"there is no room for that as things stand{why}; wait until they have settled")


class _Present(Layout):
    """A layout in which all that is there has its place."""

    def __init__(self, rng: np.random.Generator, plan: Plan, scene: LabScene) -> None:
        self.scene = scene
        self.leans = False
        super().__init__(rng, plan)

    def _build(self) -> None:
        scene = self.scene
        if scene.open_edge is not None and self.plan.open_edge:
            self.head(scene.open_edge)
        self.surface = scene.surface
        back = yawed(-self.angle)
        for k, thing in enumerate(scene.things):
            self.kinds[k] = Kind(
                thing.role, thing.shape, thing.colour, thing.material, thing.half_extents_m, thing.heading
            )
            place, velocity, spin = (
                np.array(turned(back, vector))
                for vector in (thing.position_m, thing.linear_velocity_m_s, thing.angular_velocity_rad_s)
            )
            self.spots[k] = Spot(place, quaternion_product(back, thing.quaternion), velocity, spin)
        self.fixtures = [
            _downhill(replace(f, position_m=turned(back, f.position_m),
                              quaternion=quaternion_product(back, f.quaternion)))
            for f in scene.fixtures
        ]  # fmt: skip
        first = len(scene.things)
        self.parts = {first + n: parts for n, (_, parts) in enumerate(fixture_parts(scene))}
        self.ride()


def _downhill(fixture: Fixture) -> Fixture:
    """A ramp that goes down along its own x, as those of a story do: the same one, said otherwise."""
    if fixture.name == "ramp" and rotate(np.array(fixture.quaternion), np.eye(3)[0])[2] > 0:
        return replace(fixture, quaternion=quaternion_product(fixture.quaternion, _UPSIDE))
    return fixture


def _carried_on(layout: _Present) -> tuple[Staged, set[int]]:
    """The scene, and the slots of those that are put in a place anew."""
    scene, plan, lane = layout.scene, layout.plan, layout.lane
    num_things, num_there = len(scene.things), len(scene.things) + len(layout.parts)
    things, anew = list(scene.things), set[int]()
    for k in range(num_things):
        if k in plan.movable and (verbs := {deed.verb for deed in plan.own(k)}):
            things[k] = _set_out(layout, k, verbs)
            layout.spots[k].velocity = np.zeros(3)  # what comes is aimed at where it is
            anew |= {k} if things[k].position_m != scene.things[k].position_m else set()
    start(layout, [k for k in plan.movable if k >= num_there])
    layout.lane = lane
    place_all(layout)
    turn, slots = yawed(layout.angle), {k: k for k in range(num_things)}
    for k in range(num_there, len(plan.story.things)):
        slots[k] = len(things)
        anew.add(len(things))
        things.append(placed_thing(layout, k, turn))
    task = layout.task
    if task is not None:
        x, y, _ = turned(turn, (*task.direction, 0.0))
        task = replace(task, direction=(x, y), target=slots[task.target])
    cast: dict[Who, tuple[str, ...]] = {k: (f"object{slot}",) for k, slot in slots.items()}
    cast |= {k: tuple(f"fixture{n}" for n in part) for k, part in layout.parts.items()}
    for n, fixture in enumerate(scene.fixtures):
        cast[fixture.name] = (*cast.get(fixture.name, ()), f"fixture{n}")
    orbit, light = _turned_camera(layout, scene.orbit), plan.story.light or scene.light
    return Staged(replace(scene, things=tuple(things), task=task, orbit=orbit, light=light), cast), anew


def _set_out(layout: _Present, k: int, verbs: Collection[str]) -> Thing:
    """A thing that is there, about to do what is told: from where it is, but for one that is to fall, which
    is lifted first, and a cylinder that is to roll, which is laid down."""
    thing, motion, turn = layout.scene.things[k], layout.plan.motion(k), yawed(layout.angle)
    if {*verbs} == {"stops"}:
        return replace(thing, linear_velocity_m_s=(0.0, 0.0, 0.0), angular_velocity_rad_s=(0.0, 0.0, 0.0))
    if thing.hinge is not None:
        return _swung(layout, k)
    set_going(layout, k, motion or "roll", _onward(layout, k))
    sent = placed_thing(layout, k, turn)
    moved = replace(
        thing,
        linear_velocity_m_s=sent.linear_velocity_m_s,
        angular_velocity_rad_s=sent.angular_velocity_rad_s,
        heading=sent.heading,
    )
    if motion == "fall":
        return replace(moved, position_m=sent.position_m)
    if motion == "roll" and thing.shape in ("cylinder", "capsule"):
        return _laid_down(moved)
    return moved


def _onward(layout: _Present, k: int) -> Aim:
    """Nothing to do but go, from where it is."""
    heading, place = layout.plan.heading(k), layout.spots[k].place
    angle = layout.uniform(-math.pi, math.pi)
    way = layout.along(DIRECTIONS[heading]) if heading else np.array([math.cos(angle), math.sin(angle)])
    run, speed = 0.25, layout.plan.speed_m_s(k)
    speeds = (speed, speed) if speed else (0.4, 0.7)
    return Aim(np.array([*(place[:2] + run * way), place[2]]), way, run, speeds, (0.3, 0.45))


def _laid_down(thing: Thing) -> Thing:
    """On its side, across the way that it goes; what lies already keeps its height."""
    radius, _, half_length = thing.half_extents_m
    up = abs(float(rotate(np.array(thing.quaternion), np.eye(3)[2])[2]))
    half_length += radius if thing.shape == "capsule" else 0.0
    x, y, z = thing.position_m
    if up > 0.5:
        z += radius - half_length
    vx, vy, _ = thing.linear_velocity_m_s
    return replace(thing, position_m=(x, y, z), quaternion=lying(math.atan2(vy, vx)))


def _swung(layout: _Present, k: int) -> Thing:
    """A bob, given such a push that it swings out."""
    thing = layout.scene.things[k]
    hinge, heading = thing.hinge, layout.plan.heading(k)
    assert hinge is not None
    arm = np.subtract(thing.position_m, hinge.anchor_m)
    out = layout.uniform(*_SWING_RAD)
    rate = math.sqrt(2 * GRAVITY_M_S2 * (1 - math.cos(out)) / float(np.linalg.norm(arm)))
    spin = rate * np.array(hinge.axis)
    velocity = np.cross(spin, arm)
    towards = np.array([*DIRECTIONS[heading], 0.0]) if heading else np.array(thing.linear_velocity_m_s)
    along = float(velocity @ towards)
    if heading and abs(along) < 0.5 * float(np.linalg.norm(velocity)):
        raise UserError(f"{layout.plan.story.things[k].name} swings across its beam, not that way")
    sign = math.copysign(1.0, along)
    return replace(
        thing,
        linear_velocity_m_s=tuple((sign * velocity).tolist()),
        angular_velocity_rad_s=tuple((sign * spin).tolist()),
    )


def _turned_camera(layout: _Present, orbit: Orbit) -> Orbit:
    """Where the camera goes on from: a side, a height and a distance are cuts, a move begins."""
    story = layout.plan.story
    if story.side is not None:
        azimuth = math.radians(SIDES[story.side])
        orbit = replace(orbit, side=story.side, azimuth_rad=azimuth, elevation_rad=_LEVEL_RAD)
    if story.is_above:
        orbit = replace(orbit, elevation_rad=_HIGH_RAD)
    if story.is_close:
        orbit = replace(orbit, distance_m=_CLOSE_M)
    if story.move is not None:
        rate = camera_rate(layout.rng, story.move, story.camera_speed)
        orbit = replace(orbit, move=story.move, speed=rate, seed=int(layout.rng.integers(2**31)))
    return orbit


def _in_the_way(scene: LabScene, finger_m: Array, slots: Collection[int]) -> str:
    """What one of these things is in, in words: another, the finger or what stands; empty for nothing."""
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    data.qpos[-3:] = finger_m - np.array(FINGER_PARKED_M)
    mujoco.mj_forward(model, data)
    finger = model.body("finger").id
    for contact in data.contact:
        first, second = sorted(int(model.geom_bodyid[geom]) for geom in contact.geom)
        is_anew = {first - 1, second - 1} & {*slots}
        if contact.dist < -_OVERLAP_M and is_anew:
            other = second if first - 1 in slots else first
            return _named(scene, other, finger)
    return ""


def _named(scene: LabScene, body: int, finger: int) -> str:
    """What one calls a body of the model."""
    if body == 0:
        return "the table"
    if body < finger:
        return f"the {scene.things[body - 1].colour} {scene.things[body - 1].shape}"
    return "the finger" if body == finger else f"the {scene.fixtures[body - finger - 1].name}"
