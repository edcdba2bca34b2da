"""First motions: where a thing has to be going for what is told, and how it comes there.

An aim is a point and the way to it; how a thing is sent there (rolling, flying, falling, ...) is the same
whatever it is to do there. Whether it does is for physics to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orrery.errors import UserError
from orrery.streams import Array
from orrery.worlds.laboratory.drawing import NoRoom
from orrery.worlds.laboratory.model import table_bounce, table_friction
from orrery.worlds.laboratory.scene import MESH
from orrery.worlds.laboratory.sentences.story import Deed
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, lying, yawed
from orrery.worlds.rigid_bodies.impacts import GRAVITY_M_S2
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS

if TYPE_CHECKING:
    from orrery.worlds.laboratory.sentences.layout import Layout

__all__ = [
    "Aim", "around", "at", "beside", "between", "beyond_edge", "launch", "over", "stopping",
]  # fmt: skip

_TRIES = 60
_VISIBLE_BOUNCE_M = 0.008
_HIGHEST_DROP_M = 0.6
_FORWARD = np.array([1.0, 0.0])


@dataclass(frozen=True)
class Aim:
    """To be at `point` ([3] metres, its height for what flies or falls), going `way` ([2], of length 1), from
    `run_m` before it. speed_m_s: from, to, where the sentence does not say. seconds: of flight, from, to."""

    point: Array
    way: Array
    run_m: float
    speed_m_s: tuple[float, float] = (0.65, 1.0)
    seconds: tuple[float, float] = (0.26, 0.34)


def _across(way: Array) -> Array:
    return np.array([-way[1], way[0]])


# Where to: by deed ----------------------------------------------------------------------------------------


def at(layout: Layout, k: int, deed: Deed) -> Aim:
    """At what it has to strike, or to reach; or at each other."""
    if k in deed.b:
        return _meeting(layout, k, deed)
    others = _placed(layout, k, deed)
    middle, reach = layout.middle(others[:1])
    top = layout.top_m(others[0])
    way = _clear_way(layout, k, others, middle)
    aside = 0.25 * min(reach, layout.wide(k)) * layout.uniform(-1, 1) * _across(way)
    lands = deed.verb in ("lands in", "lands on") or layout.plan.motion(k) == "fall"
    height = top if lands else max(0.5 * top, layout.kinds[k].reach_m)
    traits = layout.plan.traits(k)
    speed = (0.9, 1.4) if "needs force" in traits else (0.65, 1.0)
    run = reach + layout.wide(k) + layout.uniform(0.12, 0.2)
    if "shoves a box off" in traits:
        speed, run = (1.0, 1.5), run + 0.05
    return Aim(
        np.array([*(middle[:2] + aside), height]), way, run, speed, (0.34, 0.42) if lands else (0.2, 0.28)
    )


def _placed(layout: Layout, k: int, deed: Deed) -> list[int]:
    """The others of a deed, each in its place."""
    others = [j for j in deed.b if isinstance(j, int) and j != k]
    for j in others:
        layout.place(j)
    if not others or not all(map(layout.has_place, others)):
        raise NoRoom
    return others


def _meeting(layout: Layout, k: int, deed: Deed) -> Aim:
    """Things that go towards each other and collide."""
    who = [j for j in deed.a if isinstance(j, int)]
    if len(who) < 2:
        raise NoRoom
    angle = 2 * math.pi * who.index(k) / len(who)
    way = np.array([math.cos(angle), math.sin(angle)])
    return Aim(
        np.array([0.0, 0.5 * layout.lane, 0.0]), way, layout.uniform(0.17, 0.2), (0.5, 0.7), (0.2, 0.2)
    )


def _clear_way(layout: Layout, k: int, others: Sequence[int], middle: Array) -> Array:
    """The main way, or, where that is free to choose, one on which nothing else stands."""
    struck, deeds = {*others}, layout.plan.story.deeds
    is_bound = any(d.heading or (d.is_caused and struck & {*d.a}) for d in deeds)
    if is_bound or others[0] in layout.parts or layout.plan.group(others[0]) is not None:
        return _FORWARD
    for tried in range(7):
        angle = layout.uniform(-0.5, 0.5) + float(layout.rng.choice([0.0, math.pi])) if tried else 0.0
        way = np.array([math.cos(angle), math.sin(angle)])
        starts = [middle[:2] - way * (run + layout.wide(k)) for run in (0.12, 0.2)]
        inside = (abs(starts[1]) < layout.half - layout.wide(k)).all()
        if inside and all(layout.is_clear(start, layout.wide(k), struck) for start in starts):
            return way
    return _FORWARD


def beside(layout: Layout, k: int, deed: Deed) -> Aim:
    """Past all the others, on their far side or on their near one, without touching."""
    others = _placed_in_row(layout, k, deed)
    middle, reach = layout.middle(others)
    is_screen = others[0] in layout.parts
    thick = reach if is_screen else max(layout.wide(j) for j in others)
    away = float(np.sign(layout.along((0.0, 1.0))[1].round()))
    if not away and deed.verb != "passes":
        raise UserError(f"what {deed.verb} another goes to the left or to the right")
    is_near = deed.verb == "passes in front of" or (deed.verb == "passes" and layout.rng.random() < 0.7)
    gap = layout.uniform(0.05, 0.08) if is_screen else layout.uniform(0.012, 0.04)
    side = (thick + layout.wide(k) + gap) * (away or 1.0) * (-1 if is_near else 1)
    height = layout.kinds[k].reach_m + 0.02
    point = np.array([middle[0] + 0.1, middle[1] + side, height])
    run = layout.uniform(0.32, 0.38)
    return Aim(point, _FORWARD, run, (0.45, 0.7))


def _placed_in_row(layout: Layout, k: int, deed: Deed) -> list[int]:
    """What is passed stands along the way."""
    others = [j for j in deed.b if isinstance(j, int) and j != k]
    free = [j for j in others if not layout.has_place(j) and layout.plan.group(j) is None]
    if len(free) > 1:
        for n, j in enumerate(free):
            x = (n - 0.5 * (len(free) - 1)) * (2 * layout.wide(j) + 0.03)
            layout.rest(j, x, layout.lane - 0.03)
    return _placed(layout, k, deed)


def between(layout: Layout, k: int, deed: Deed) -> Aim:
    """Through between two things."""
    first, *_, last = [j for j in deed.b if isinstance(j, int)]
    for j, sign in ((first, -1), (last, 1)):
        if not layout.has_place(j):
            out = layout.wide(k) + layout.wide(j) + layout.uniform(0.025, 0.05)
            layout.rest(j, 0.0, layout.lane + sign * out)
    ends = [layout.middle([j])[0] for j in (first, last)]
    line = (ends[1] - ends[0])[:2]
    way = -_across(line) / max(float(np.linalg.norm(line)), 1e-6)
    middle = np.array([*(0.5 * (ends[0] + ends[1]))[:2], 0.0])
    return Aim(middle, way if way[0] > 0 else -way, layout.uniform(0.14, 0.2), (0.45, 0.75))


def over(layout: Layout, k: int, deed: Deed) -> Aim:
    """Highest above what it flies over."""
    others, reach_m = _placed(layout, k, deed), layout.kinds[k].reach_m
    middle, reach = layout.middle(others)
    top = max(map(layout.top_m, others))
    height = top + reach_m + layout.uniform(0.03, 0.06)
    seconds = math.sqrt(2 * (height - reach_m - 0.02) / GRAVITY_M_S2)
    run = reach + reach_m + layout.uniform(0.05, 0.09)
    return Aim(np.array([*middle[:2], height]), _FORWARD, run, seconds=(seconds, seconds))


def beyond_edge(layout: Layout, k: int, deed: Deed) -> Aim:
    """Over the open edge of the table, one after the other."""
    leaving = [j for d in layout.plan.deeds("leaves") for j in d.a]
    turn = list(dict.fromkeys(leaving)).index(k)
    slow = (layout.plan.speed_m_s(k) or 1.0) < 0.4
    run = (layout.uniform(0.12, 0.2) if slow else layout.uniform(0.22, 0.32)) + 0.13 * turn
    lane = layout.lane + math.copysign(0.11, -layout.lane) * turn
    return Aim(np.array([layout.half[0], lane, 0.0]), _FORWARD, run, (0.5, 0.7))


def stopping(layout: Layout, k: int, deed: Deed) -> Aim:
    """Until friction stops it; near the edge, if that is told."""
    kind, near_edge = layout.kinds[k], layout.plan.relation("edge", k) is not None
    slides = layout.plan.motion(k) == "slide"
    rolling = ALL_MATERIALS[kind.material].rolling_m / kind.half_extents_m[0]
    slow = (table_friction(kind.material, layout.surface) if slides else rolling) * GRAVITY_M_S2
    run, end = layout.uniform(0.2, 0.35 if slides else 0.25), layout.uniform(0.1, 0.2)
    if near_edge:
        run = layout.uniform(0.3, 0.45)
        end = layout.half[0] - layout.wide(k) - layout.uniform(0.015, 0.04)
    speed = layout.plan.speed_m_s(k) or math.sqrt(2 * slow * run)
    run = min(0.5 * speed**2 / slow, end + layout.half[0] - 0.06)
    return Aim(np.array([end, layout.lane, 0.0]), _FORWARD, run, (speed, speed))


def around(layout: Layout, k: int, deed: Deed) -> Aim:
    """Round and round in what it lies in."""
    layout.place(k)
    middle, _ = layout.middle(_placed(layout, k, deed))
    out = layout.spots[k].place[:2] - middle[:2]
    way = _across(out) / max(float(np.linalg.norm(out)), 1e-6)
    return Aim(np.array([*(layout.spots[k].place[:2] + way), 0.0]), way, 0.0, (0.3, 0.5))


def _anywhere(layout: Layout, k: int) -> Aim:
    """Nothing to do but go: where nothing is in the way, or, where it is crowded, where nothing is yet."""
    heading, reach = layout.plan.heading(k), layout.wide(k)
    way = layout.along(DIRECTIONS[heading]) if heading else _FORWARD
    for tried in range(_TRIES):
        lane = layout.uniform(-0.9, 0.9) * (layout.half[1] - reach)
        run, speed = layout.uniform(0.16, 0.28), layout.plan.speed_m_s(k) or layout.uniform(0.4, 0.7)
        start = _across(way) * lane - way * run
        steps = np.linspace(0.0, min(0.5, 0.9 * speed), 4 if tried < 0.7 * _TRIES else 1)
        inside = (np.abs(start) < layout.half - reach - 0.01).all()
        if inside and all(layout.is_clear(start + step * way, reach) for step in steps):
            point = np.array([*(_across(way) * lane + 0.1 * way), layout.kinds[k].reach_m])
            return Aim(point, way, run + 0.1, (speed, speed), (0.3, 0.45))
    raise NoRoom


# How it comes there: by motion ----------------------------------------------------------------------------


def launch(layout: Layout, k: int, motion: str, aim: Aim | None) -> None:
    """Set a thing going: from where it is told to stand, or from where it comes best."""
    _LAUNCHES[motion](layout, k, aim)


def _roll(layout: Layout, k: int, aim: Aim | None) -> None:
    """On the table, rolling or sliding."""
    if k in layout.plan.riders:
        return
    aim = aim or _anywhere(layout, k)
    kind, told, spot = layout.kinds[k], layout.plan.speed_m_s(k), layout.spots.get(k)
    rolls = kind.shape not in ("box", MESH) and layout.plan.motion(k) != "slide"
    height = kind.half_extents_m[0] if rolls else kind.rest_height_m
    start, way = np.array([*(aim.point[:2] - aim.run_m * aim.way), height]), aim.way
    if spot is not None:
        lifted = spot.place[2] - kind.rest_height_m
        start = np.array([*spot.place[:2], lifted + height])
        towards = aim.point[:2] - start[:2]
        way = towards / np.linalg.norm(towards) if np.linalg.norm(towards) > 0.01 else _FORWARD
    velocity = way * (told or layout.uniform(*aim.speed_m_s))
    heading = math.atan2(velocity[1], velocity[0])
    is_lying = kind.shape in ("cylinder", "capsule") and rolls
    turn = lying(heading) if is_lying else yawed(heading if rolls else 0.0)
    spin = np.array([-velocity[1], velocity[0], 0.0]) / height if rolls else np.zeros(3)
    layout.put(k, start, turn, np.array([*velocity, 0.0]), spin)


def _fly(layout: Layout, k: int, aim: Aim | None) -> None:
    """Thrown so that it is at the point in time."""
    aim = aim or _anywhere(layout, k)
    kind, seconds = layout.kinds[k], layout.uniform(*aim.seconds)
    rise = 0.02 if aim.seconds[0] == aim.seconds[1] else layout.uniform(0.05, 0.12)
    start = np.array([*(aim.point[:2] - aim.run_m * aim.way), kind.reach_m + rise])
    if k in layout.spots:
        start = layout.spots[k].place
    velocity = (aim.point - start) / seconds
    velocity[2] += 0.5 * GRAVITY_M_S2 * seconds
    spin = np.zeros(3) if kind.shape == "ball" else layout.rng.normal(0.0, 1.0, 3)
    layout.put(k, start, yawed(layout.uniform(-0.3, 0.3)), velocity, spin)


def _fall(layout: Layout, k: int, aim: Aim | None) -> None:
    """From above: what it is to land on, or where there is room; so high that it bounces as often as told."""
    reach_m, above = layout.kinds[k].reach_m, layout.plan.relation("above", k)
    if aim is None and above is not None:
        aim = at(layout, k, Deed("lands on", (k,), above.b))
    if aim is not None:
        before = [
            spot.place for spot in layout.spots.values() if math.dist(spot.place[:2], aim.point[:2]) < 0.1
        ]
        height = float(aim.point[2]) + layout.uniform(0.08, 0.13)
        height = max([height, *(float(place[2]) + reach_m + 0.03 for place in before)]) + reach_m
        x, y = aim.point[:2]
    else:
        if k not in layout.spots:
            x, y = layout.free(k)
            is_middle = layout.plan.relation("middle", k) or len(layout.plan.movable) == 1
            layout.rest(k, *((0.1 * x, 0.1 * y) if is_middle else (x, y)))
        x, y, height = layout.spots[k].place
        height += _drop_m(layout, k)
    layout.put(k, np.array([x, y, height]), yawed(layout.uniform(-3, 3)))


def _drop_m(layout: Layout, k: int) -> float:
    """How far it falls."""
    times = max((deed.times for deed in layout.plan.own(k)), default=0)
    if not times:  # what stands in a relation falls from the same height
        is_shared = any(k in r.a or k in r.b for r in layout.plan.relations)
        return layout.fall_m if is_shared else layout.uniform(0.12, 0.28)
    back = table_bounce(layout.kinds[k].material, layout.surface)
    height = _VISIBLE_BOUNCE_M * layout.uniform(0.7, 1.6) / back ** (2 * times + 0.6)
    if height > _HIGHEST_DROP_M:
        if layout.plan.story.surface is not None:
            raise UserError(f"on this table it cannot bounce {times} times so that one sees it")
        raise NoRoom  # another table may do
    return max(height, 0.02)


def _swing(layout: Layout, k: int, aim: Aim | None) -> None:
    layout.hang(k)


def _spin(layout: Layout, k: int, aim: Aim | None) -> None:
    layout.place(k)
    layout.spots[k].spin = np.array([0.0, 0.0, layout.uniform(40, 70)])


_LAUNCHES = {"roll": _roll, "slide": _roll, "fly": _fly, "fall": _fall, "swing": _swing, "spin": _spin}
