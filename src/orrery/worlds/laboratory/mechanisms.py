"""Scene families in which something is set going: a ramp, dominoes, a pendulum, a see-saw."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from orrery.worlds.laboratory.drawing import ANY, GRIPPING, ROUND, STRUCTURES, Draw, Layout, NoRoom, tilted
from orrery.worlds.laboratory.scene import LAB_TRAY, Fixture, Hinge, Vector
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, quaternion_product, yawed

__all__ = ["dominoes", "pendulum", "ramp", "seesaw"]


def ramp(draw: Draw) -> Layout:
    """A ramp with something on it that goes down, perhaps towards things that stand in its way."""
    heading = draw.heading("roller")
    sign = DIRECTIONS[heading][0]
    slope = math.radians(draw.uniform(17.0, 26.0))
    kind = draw.kind("roller", ROUND, heading=heading)
    half_length, half_thick = 0.17, 0.008
    foot = -0.05
    along, up = (
        np.array([math.cos(slope), 0.0, -math.sin(slope)]),
        np.array([math.sin(slope), 0.0, math.cos(slope)]),
    )
    top_middle = np.array([foot, 0.0, 0.0]) - half_length * along
    start = top_middle - draw.uniform(0.4, 0.75) * half_length * along + kind.half_extents_m[0] * up
    material, y = draw.pick(STRUCTURES), draw.uniform(-0.05, 0.12)
    deck = top_middle - half_thick * up
    post = np.array(
        [deck[0] - 0.85 * half_length * along[0], 0.0, deck[2] + 0.85 * half_length * -along[2] - 0.02]
    )
    level = yawed(0.0) if kind.shape == "ball" else lying(0.0)
    turn = quaternion_product(tilted(sign * slope), level)

    def mirrored(point: np.ndarray) -> Vector:
        return (float(sign * point[0]), y, float(point[2]))

    things = [kind.at(mirrored(start), turn)]
    for _ in range(draw.number("target", 0, 3)):
        target = draw.kind("target", ANY)
        reach = max((abs(t.position_m[0] - sign * foot) for t in things[1:]), default=0.02)
        x = sign * (foot + reach + 2.0 * target.reach_m + draw.uniform(0.02, 0.06))
        things.append(target.rest(x, y + draw.uniform(-0.012, 0.012), draw.uniform(-0.2, 0.2)))
    if max(abs(t.position_m[0]) + t.half_extents_m[0] for t in things) > LAB_TRAY.half_x - 0.02:
        raise NoRoom
    slab = Fixture(
        "ramp", "box", material, (half_length, 0.075, half_thick), mirrored(deck), tilted(sign * slope)
    )
    stand = Fixture("stand", "box", material, (0.012, 0.06, float(post[2]) / 2), mirrored(post * [1, 1, 0.5]))
    return Layout(tuple(things), (slab, stand))


def dominoes(draw: Draw) -> Layout:
    """A row of dominoes, and something that rolls into the first."""
    heading = draw.heading("roller")
    sign = DIRECTIONS[heading][0]
    count = draw.number("domino", 3, 7)
    first = replace(draw.kind("domino", ("box",), sizes=("small",)), half_extents_m=(0.008, 0.024, 0.048))
    row = draw.twins(first, count)
    kind = draw.kind("roller", ROUND, heading=heading)
    gap, y = draw.uniform(0.044, 0.056), draw.uniform(-0.1, 0.1)
    start = -0.5 * gap * (count - 1) + 0.06
    things = [
        kind.roll(
            sign * (start - kind.half_extents_m[0] - draw.uniform(0.06, 0.12)), y, draw.uniform(0.5, 0.8)
        )
    ]
    things += [domino.rest(sign * (start + k * gap), y) for k, domino in enumerate(row)]
    return Layout(tuple(things))


def pendulum(draw: Draw) -> Layout:
    """A pendulum that is let go, perhaps with something at its lowest point."""
    heading = draw.heading("bob")
    sign = DIRECTIONS[heading][0]
    kind = draw.kind("bob", ("ball", "box"), heading=heading)
    height, y = draw.uniform(0.30, 0.34), draw.uniform(-0.04, 0.10)
    length = height - kind.reach_m - draw.uniform(0.008, 0.015)
    angle = draw.uniform(0.6, 1.1)
    x = -sign * 0.08
    place = (x - sign * length * math.sin(angle), y, height - length * math.cos(angle))
    bob = kind.at(place, tilted(sign * angle))
    things = [replace(bob, hinge=Hinge((x, y, height), (0.0, 1.0, 0.0), 0.004))]
    edge = x + sign * (kind.half_extents_m[0] + 0.002)
    for _ in range(draw.number("target", 0, 2)):
        target = draw.kind("target", ("ball", "box", "cylinder"))
        width = target.half_extents_m[0]
        things.append(target.rest(edge + sign * width, y))
        edge += sign * (2.0 * width + draw.uniform(0.002, 0.05))
    material, half_y = draw.pick(("wood", "steel", "plastic")), 0.15
    posts = [
        Fixture("post", "cylinder", material, (0.009, 0.009, height / 2), (x, y + s * half_y, height / 2))
        for s in (-1, 1)
    ]
    beam = Fixture("beam", "box", material, (0.008, half_y, 0.008), (x, y, height + 0.008))
    return Layout(tuple(things), (*posts, beam), ignored=((0, 2),))


def seesaw(draw: Draw) -> Layout:
    """A see-saw with a light thing on its low end, and a heavy one that falls on the other."""
    sign = 1.0 if draw.chance(0.5) else -1.0
    half, pivot = (0.22, 0.055, 0.009), 0.024
    middle, y = 2 * pivot + half[2], draw.uniform(-0.05, 0.12)
    tilt = math.asin((middle - half[2]) / half[0]) - 0.002
    plank_kind = replace(draw.kind("plank", ("box",), ("wood", "plastic"), ("big",)), half_extents_m=half)
    plank = replace(
        plank_kind.at((0.0, y, middle), tilted(sign * tilt)), hinge=Hinge((0.0, y, middle), (0.0, 1.0, 0.0))
    )
    load = draw.kind("load", ("box", "cylinder"), GRIPPING, ("small",))
    faller = draw.kind("faller", ("ball", "box", "cylinder"), sizes=("big",))
    along = np.array([math.cos(tilt), 0.0, -math.sin(tilt)])
    up = np.array([math.sin(tilt), 0.0, math.cos(tilt)])
    spot = np.array([0.0, 0.0, middle]) + 0.18 * along + (half[2] + load.rest_height_m) * up
    resting = load.at((sign * spot[0], y, spot[2]), tilted(sign * tilt))
    high = middle + 0.17 * math.sin(tilt)
    falling = faller.at((-sign * 0.17, y, high + faller.reach_m + draw.uniform(0.12, 0.25)))
    fulcrum = Fixture(
        "fulcrum", "cylinder", draw.pick(STRUCTURES), (pivot, pivot, 0.05), (0.0, y, pivot), lying(0.0)
    )
    return Layout((plank, resting, falling), (fulcrum,), ignored=((0, 0),))
