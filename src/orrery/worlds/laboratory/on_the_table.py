"""Scene families without moving parts: a bare table, a wall, a stack, a crate, a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from orrery.errors import UserError
from orrery.worlds.laboratory.drawing import ANY, ROUND, STRUCTURES, Draw, Kind, Layout, stand_ins, tilted
from orrery.worlds.laboratory.scene import MAX_THINGS, Fixture, Thing
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, quaternion_product, yawed

__all__ = ["container", "occluder", "plain", "stack", "wall"]


def plain(draw: Draw) -> Layout:
    """A bare table: things fall, fly, roll and rest, up to eight of them."""
    roles = tuple(_PLAIN)
    if any(draw.asks_for(role) for role in roles):
        counts = {role: draw.number(role, 0, MAX_THINGS) if draw.asks_for(role) else 0 for role in roles}
    else:
        total = int(draw.rng.choice(np.arange(1, 9), p=(0.2, 0.2, 0.2, 0.12, 0.1, 0.08, 0.05, 0.05)))
        counts = {role: 0 for role in roles}
        for _ in range(total):
            counts[draw.pick(roles)] += 1
    if sum(counts.values()) > MAX_THINGS:
        raise UserError(f"{sum(counts.values())} things do not fit; a scene holds 1 to {MAX_THINGS}")
    things: list[Thing] = []
    for role in roles:
        for _ in range(counts[role]):
            things.append(_PLAIN[role](draw, things))
    return Layout(tuple(things))


def _faller(draw: Draw, others: list[Thing]) -> Thing:
    kind = draw.kind("faller", ANY)
    x, y = draw.spot(kind, others)
    turned = quaternion_product(yawed(draw.uniform(-3, 3)), tilted(draw.uniform(-0.5, 0.5)))
    return kind.at((x, y, kind.reach_m + draw.uniform(0.10, 0.30)), turned)


def _flyer(draw: Draw, others: list[Thing]) -> Thing:
    kind = draw.kind("flyer", ANY)
    kind, towards = _headed(draw, kind)
    x, y = draw.spot(kind, others, (0.18 * towards[0], 0.18 * towards[1]))
    speed = draw.uniform(0.35, 0.7)
    velocity = (towards[0] * speed, towards[1] * speed, draw.uniform(0.1, 0.9))
    spin = (draw.normal(1.5), draw.normal(1.5), draw.normal(1.5))
    height = kind.reach_m + draw.uniform(0.06, 0.20)
    thing = kind.at((x, y, height), yawed(draw.uniform(-3, 3)), linear_velocity_m_s=velocity)
    return replace(thing, angular_velocity_rad_s=spin)


def _roller(draw: Draw, others: list[Thing]) -> Thing:
    kind = draw.kind("roller", ROUND)
    kind, towards = _headed(draw, kind)
    x, y = draw.spot(kind, others, (0.2 * towards[0], 0.2 * towards[1]))
    return kind.roll(x, y, draw.uniform(0.3, 0.9))


def _rester(draw: Draw, others: list[Thing]) -> Thing:
    kind = draw.kind("rester", ANY)
    return kind.rest(*draw.spot(kind, others), draw.uniform(-3, 3))


_PLAIN: dict[str, Callable[[Draw, list[Thing]], Thing]] = {
    "faller": _faller,
    "flyer": _flyer,
    "roller": _roller,
    "rester": _rester,
}


def _headed(draw: Draw, kind: Kind) -> tuple[Kind, tuple[float, float]]:
    """The thing with a heading, and the direction that this is."""
    heading = kind.heading or draw.pick(tuple(DIRECTIONS))
    return replace(kind, heading=heading), DIRECTIONS[heading]


def wall(draw: Draw) -> Layout:
    """A wall that something is thrown at or rolls into; others may stand by."""
    role = (
        "flyer" if draw.asks_for("flyer") or (not draw.asks_for("roller") and draw.chance(0.5)) else "roller"
    )
    heading = draw.heading(role)
    sign = DIRECTIONS[heading][0]
    kind = draw.kind(role, ANY if role == "flyer" else ROUND, heading=heading)
    y, x = draw.uniform(-0.12, 0.12), -sign * draw.uniform(0.10, 0.25)
    half = (0.012, draw.uniform(0.09, 0.14), draw.uniform(0.07, 0.10))
    block = Fixture("wall", "box", draw.pick(STRUCTURES), half, (sign * draw.uniform(0.16, 0.26), y, half[2]))
    if role == "roller":
        mover = kind.roll(x, y, draw.uniform(0.5, 0.9))
    else:
        velocity = (sign * draw.uniform(1.1, 1.5), 0.0, draw.uniform(0.4, 0.7))
        mover = kind.at((x, y, kind.reach_m + draw.uniform(0.02, 0.05)), linear_velocity_m_s=velocity)
    things = [mover]
    others = [mover, *stand_ins(block)]
    for _ in range(draw.number("rester", 0, 2)):
        stander = draw.kind("rester", ANY)
        things.append(
            stander.rest(*draw.spot_beside(stander, others, y, mover.half_extents_m[0]), draw.uniform(-3, 3))
        )
        others.append(things[-1])
    return Layout(tuple(things), (block,))


def stack(draw: Draw) -> Layout:
    """Blocks and cans on top of each other, perhaps with something that comes at them."""
    heading = draw.heading("roller")
    sign = DIRECTIONS[heading][0]
    x, y, height = sign * draw.uniform(0.0, 0.15), draw.uniform(-0.08, 0.12), 0.0
    kinds = [draw.kind("stacked", ("box", "cylinder")) for _ in range(draw.number("stacked", 2, 5))]
    if not draw.asks_for("stacked"):
        kinds.sort(key=lambda kind: -kind.half_extents_m[0])
    things: list[Thing] = []
    for kind in kinds:
        lean = 0.12 * min(kind.half_extents_m[:2])
        height += kind.half_extents_m[2]
        place = (x + draw.uniform(-lean, lean), y + draw.uniform(-lean, lean), height)
        things.append(kind.at(place, yawed(draw.uniform(-0.3, 0.3))))
        height += kind.half_extents_m[2]
    for _ in range(draw.number("roller", 0, 1)):
        kind = draw.kind("roller", ROUND, heading=heading)
        start = x - sign * (kinds[0].reach_m + kind.reach_m + draw.uniform(0.08, 0.16))
        things.append(kind.roll(start, y, draw.uniform(0.7, 1.2)))
    return Layout(tuple(things))


def container(draw: Draw) -> Layout:
    """An open crate into which things fall."""
    inner, half_thick, half_height = draw.uniform(0.085, 0.105), 0.007, draw.uniform(0.040, 0.050)
    x, y = draw.uniform(-0.15, 0.15), draw.uniform(-0.08, 0.12)
    material, out = draw.pick(STRUCTURES), inner + half_thick
    sides = tuple(
        Fixture("crate", "box", material, half, (x + dx * out, y + dy * out, half_height))
        for dx, dy, half in (
            (-1, 0, (half_thick, out + half_thick, half_height)),
            (1, 0, (half_thick, out + half_thick, half_height)),
            (0, -1, (inner, half_thick, half_height)),
            (0, 1, (inner, half_thick, half_height)),
        )
    )
    things: list[Thing] = []
    height = 2 * half_height + 0.04
    for _ in range(draw.number("faller", 1, 5)):
        kind = draw.kind("faller", ANY, sizes=("small", "big") if not things else ("small",))
        free = 0.5 * max(inner - kind.reach_m - 0.01, 0.0)
        height += kind.reach_m + draw.uniform(0.004, 0.03)
        place = (x + draw.uniform(-free, free), y + draw.uniform(-free, free), height)
        things.append(kind.at(place, yawed(draw.uniform(-3, 3))))
        height += kind.reach_m
    return Layout(tuple(things), sides)


def occluder(draw: Draw) -> Layout:
    """A screen behind which something rolls; something else may stand behind it, or beside."""
    heading = draw.heading("roller")
    sign = DIRECTIONS[heading][0]
    kind = draw.kind("roller", ROUND, heading=heading)
    half = (draw.uniform(0.09, 0.13), 0.006, draw.uniform(0.075, 0.095))
    y = draw.uniform(-0.02, 0.06)
    screen = Fixture(
        "screen", "box", draw.pick(("wood", "steel", "plastic", "ceramic")), half, (0.0, y - 0.10, half[2])
    )
    things = [kind.roll(-sign * draw.uniform(0.24, 0.34), y, draw.uniform(0.35, 0.7))]
    others = [things[0], *stand_ins(screen)]
    for _ in range(draw.number("rester", 0, 2)):
        stander = draw.kind("rester", ANY)
        things.append(
            stander.rest(*draw.spot_beside(stander, others, y, kind.half_extents_m[0]), draw.uniform(-3, 3))
        )
        others.append(things[-1])
    return Layout(tuple(things), (screen,))
