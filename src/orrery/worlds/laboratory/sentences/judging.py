"""What has come about, frame by frame: from a deed and the body that does it to `[frames]` bool."""

from __future__ import annotations

import math

import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.sentences.run import Body
from orrery.worlds.laboratory.sentences.story import Deed

__all__ = [
    "bounces", "crosses", "drops_off", "ends", "falls", "flies", "lands_in", "leaves", "moves", "nears",
    "passes", "passes_between", "passes_over", "rests", "returns", "rolls", "slides", "spins",
    "stands_so", "stays_in", "stops", "strikes", "swings", "topples",
]  # fmt: skip

_FALLEN_RAD = math.radians(58)
_NEAR_M = 0.12
"""How near a thing passes another that it misses."""
_ASIDE = {"left of": (-1, 0), "right of": (1, 0), "behind": (0, 1), "in front of": (0, -1)}


def _others(deed: Deed, body: Body) -> list[Body]:
    return [body.run.body(k) for k in deed.b if k != body.who]


def _from(frames: Array) -> Array:
    """All frames from the first of these on."""
    return np.maximum.accumulate(frames)


def strikes(deed: Deed, body: Body) -> Array:
    """An impact with any of the deed's others."""
    run = body.run
    own = run.names([body.who])
    times = run.impacts(own, run.names(deed.b) - own)
    frames = np.ceil(np.array(times) / run.frame_seconds - 1e-6).astype(int) - 1
    found = np.zeros(len(run.state), bool)
    found[frames[frames < len(found)]] = True
    return found


def rolls(deed: Deed, body: Body) -> Array:
    speed = body.level_speed
    turns = body.rim_speed > 0.6 * speed
    return (speed > 0.06) & turns & (body.moved > 0.03) & body.heads(deed.heading)


def slides(deed: Deed, body: Body) -> Array:
    speed = body.level_speed
    turns = body.rim_speed < 0.3 * speed
    return (speed > 0.06) & turns & (body.moved > 0.03) & body.heads(deed.heading)


def moves(deed: Deed, body: Body) -> Array:
    return (body.moved > 0.035) & body.heads(deed.heading)


def falls(deed: Deed, body: Body) -> Array:
    z = body.place[:, 2]
    return (z.max() - z > 0.035) & (body.get("linear_velocity")[:, 2] < -0.35)


def flies(deed: Deed, body: Body) -> Array:
    is_high = body.place[:, 2] > body.get("size")[0].max() + 0.02
    return is_high & (body.moved > 0.05) & body.heads(deed.heading)


def swings(deed: Deed, body: Body) -> Array:
    return (body.tilt > 0.25) & body.heads(deed.heading)


def spins(deed: Deed, body: Body) -> Array:
    turns = np.abs(body.get("angular_velocity")[:, 2]) > 3.0
    return turns & (body.moved < 0.02) & (np.arange(len(turns)) > 8)


def _ups(z: Array, by: float) -> list[int]:
    """Frames in which it has come up by so much after a low point."""
    ups, low, is_up = [], z[0], False
    for frame in range(1, len(z)):
        if z[frame] < low or (is_up and z[frame] < z[frame - 1]):
            low, is_up = z[frame], False
        elif not is_up and z[frame] - low > by:
            ups.append(frame)
            is_up = True
    return ups


def bounces(deed: Deed, body: Body) -> Array:
    """As often as is told, and by no eye more often."""
    z = body.place[:, 2]
    ups = _ups(z, 0.009)
    frames = np.zeros(len(z), bool)
    if not deed.times or len(ups) == deed.times == len(_ups(z, 0.007)):
        frames[ups[-1:] if deed.times else ups] = True
    return frames


def rests(deed: Deed, body: Body) -> Array:
    """At first, for as long as one sees it; that it is not moved later is for `contradictions`."""
    speed = np.linalg.norm(body.get("linear_velocity")[:3], axis=1)
    return np.full(len(body.place), bool(body.moved[:3].max() < 0.01 and speed.max() < 0.03))


def stops(deed: Deed, body: Body) -> Array:
    is_still = np.linalg.norm(body.get("linear_velocity"), axis=1) < 0.02
    return is_still & (body.moved.max() > 0.03) & bool(is_still[-6:].all())


def returns(deed: Deed, body: Body) -> Array:
    first = body.get("linear_velocity")[0, :2]
    way = body.place[:, :2] @ (first / max(float(np.linalg.norm(first)), 1e-9))
    return np.maximum.accumulate(way) - way > 0.04


def leaves(deed: Deed, body: Body) -> Array:
    return body.place[:, 2] < -0.03


def drops_off(deed: Deed, body: Body) -> Array:
    base = body.run.body(deed.b[0])
    aside = np.linalg.norm((body.place - base.place)[:, :2], axis=1) > base.reach
    return aside & (body.place[0, 2] - body.place[:, 2] > 0.035)


def topples(deed: Deed, body: Body) -> Array:
    fallen = body.tilt > _FALLEN_RAD
    if not deed.each:  # a stack's blocks may fall without turning
        fallen = body.place[0, 2] - body.place[:, 2] > 0.04
    return fallen & body.heads(deed.heading)


def _inside(deed: Deed, body: Body) -> Array:
    container = body.run.body(deed.b[0])
    inner = np.linalg.norm(container.walls - container.place[0, :2], axis=1).min()
    z, rim = body.place[:, 2], 2 * container.place[0, 2]
    return (np.linalg.norm((body.place - container.place)[:, :2], axis=1) < inner) & (z < rim) & (z > 0)


def lands_in(deed: Deed, body: Body) -> Array:
    """From when it is inside, if it is so at last."""
    inside = _inside(deed, body)
    return inside & inside[-1]


def stays_in(deed: Deed, body: Body) -> Array:
    inside = _inside(deed, body)
    return inside & bool(inside.all())


def nears(deed: Deed, body: Body) -> Array:
    gaps = [body.gap(other) for other in _others(deed, body)]
    return np.any([gap[0] - gap > 0.04 for gap in gaps], axis=0)


def passes(deed: Deed, body: Body) -> Array:
    """Comes near all of the others, and goes on."""
    found = np.ones(len(body.place), bool)
    for other in _others(deed, body):
        gap = body.gap(other)
        closest = int(np.argmin(gap))
        after = np.arange(len(gap)) > closest
        goes_on = np.cumsum(after * body.level_speed) * body.run.frame_seconds > 0.05
        found &= (gap[closest] < _NEAR_M + 0.08 * len(deed.b)) & (closest > 2) & goes_on
    return found


def crosses(deed: Deed, body: Body) -> Array:
    """Goes past the middle of all the others, seen from the front: behind them or before them, and comes
    out."""
    found, side = np.ones(len(body.place), bool), 1 if deed.verb == "passes behind" else -1
    for other in _others(deed, body):
        way = body.place - other.place
        crossed = np.zeros(len(way), bool)
        crossed[1:] = (np.sign(way[1:, 0]) * np.sign(way[:-1, 0]) < 0) & (side * way[1:, 1] > 0.03)
        found &= _from(crossed) & (np.abs(way[:, 0]) > other.reach + 0.5 * body.reach)
    return found


def passes_over(deed: Deed, body: Body) -> Array:
    found = np.ones(len(body.place), bool)
    for other in _others(deed, body):
        over = np.linalg.norm((body.place - other.place)[:, :2], axis=1) < other.reach
        found &= _from(over & (body.place[:, 2] > other.place[0, 2] + other.get("size")[0][2]))
    return found


def passes_between(deed: Deed, body: Body) -> Array:
    """Goes through the line from the first of the others to the last."""
    first, last = (body.run.body(k).place[0, :2] for k in (deed.b[0], deed.b[-1]))
    way, place = last - first, body.place[:, :2] - first
    along = place @ way / (way @ way)
    across = place @ np.array([-way[1], way[0]]) / np.linalg.norm(way)
    crossed = np.zeros(len(along), bool)
    crossed[1:] = np.sign(across[1:]) != np.sign(across[:-1])
    return _from(crossed & (along > 0.15) & (along < 0.85)) & (np.abs(across) > body.reach)


def ends(deed: Deed, body: Body) -> Array:
    """Whether it stands at last as the deed says."""
    kind = deed.verb.removeprefix("ends ")
    so = all(stands_so(kind, body, other, frame=-1) for other in _others(deed, body))
    return np.full(len(body.place), so)


def stands_so(kind: str, body: Body, other: Body, frame: int = 0) -> bool:
    """Whether a relation to another holds in a frame: a side, as the camera at the front sees it, or near."""
    way = (body.place[frame] - other.place[frame])[:2]
    if kind in _ASIDE:
        ahead = float(way @ np.array(_ASIDE[kind]))
        return ahead > 0.025 and float(np.linalg.norm(way)) < 1.35 * ahead
    return float(body.gap(other)[frame]) < 0.09
