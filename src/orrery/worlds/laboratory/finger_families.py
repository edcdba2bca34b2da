"""Scene families in which the finger does something: it pushes, lifts or pokes."""

from __future__ import annotations

import math
from dataclasses import replace

from orrery.worlds.laboratory.drawing import ANY, Draw, Layout, finger_room
from orrery.worlds.laboratory.scene import FingerTask
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS

__all__ = ["lift", "poke", "push"]


def push(draw: Draw) -> Layout:
    """The finger pushes something, perhaps into others."""
    heading = draw.heading("pushed", tuple(DIRECTIONS))
    towards = DIRECTIONS[heading]
    kind = draw.kind("pushed", ("box", "cylinder", "capsule", "ball"), heading=heading)
    x, y = (-towards[0] * draw.uniform(0.08, 0.18), -towards[1] * draw.uniform(0.04, 0.1))
    things = [kind.rest(x, y, draw.uniform(-0.3, 0.3))]
    for _ in range(draw.number("rester", 0, 4)):
        stander = draw.kind("rester", ANY)
        things.append(stander.rest(*draw.spot(stander, [*things, finger_room(things[0], towards)]), 0.0))
    task = FingerTask("push", 0, towards, draw.uniform(0.2, 0.4), draw.uniform(0.10, 0.18))
    return Layout(tuple(things), task=task)


def lift(draw: Draw) -> Layout:
    """The finger comes down on something, takes hold, lifts it, carries it on and lets go."""
    heading = draw.heading("lifted", tuple(DIRECTIONS))
    towards = DIRECTIONS[heading]
    kind = draw.kind("lifted", ("box", "cylinder", "ball"), sizes=("small", "big"), heading=heading)
    things = [kind.rest(-towards[0] * 0.12, -towards[1] * 0.06, draw.uniform(-0.5, 0.5))]
    for _ in range(draw.number("rester", 0, 3)):
        stander = draw.kind("rester", ANY)
        things.append(stander.rest(*draw.spot(stander, things), draw.uniform(-3, 3)))
    task = FingerTask("lift", 0, towards, draw.uniform(0.15, 0.25), draw.uniform(0.10, 0.18))
    return Layout(tuple(things), task=task)


def poke(draw: Draw) -> Layout:
    """The finger pokes something tall and slim, which may fall over."""
    heading = draw.heading("poked", tuple(DIRECTIONS))
    towards = DIRECTIONS[heading]
    kind = draw.kind("poked", ("box", "cylinder"), heading=heading)
    half, tall = kind.half_extents_m, draw.uniform(1.5, 2.0)
    slim = tall**-0.5
    kind = replace(kind, half_extents_m=(half[0] * slim, half[1] * slim, half[2] * tall))
    things = [kind.rest(-towards[0] * 0.06, -towards[1] * 0.04, math.atan2(towards[1], towards[0]))]
    for _ in range(draw.number("rester", 0, 3)):
        stander = draw.kind("rester", ANY)
        things.append(stander.rest(*draw.spot(stander, [*things, finger_room(things[0], towards)]), 0.0))
    task = FingerTask("poke", 0, towards, draw.uniform(0.5, 0.75), draw.uniform(0.02, 0.05))
    return Layout(tuple(things), task=task)
