"""A finger that wanders: towards things, over the tray, and at rest for a while, for no reason.

Scenes move the finger only to push, always in the same few legs. Whoever learns from those alone has never
seen an action that is not part of a push; a finger that wanders shows what any action does. A policy for
`orrery collect tabletop --policy orrery.worlds.tabletop.wandering:wander`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S, PUSH_HEIGHT_M
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import TRAY

__all__ = ["wander"]

_NEW_AIM_SHARE = 0.12
"""Of ticks: an aim is kept for two thirds of a second, on average."""
_THING_SHARE, _PLACE_SHARE = 0.6, 0.25
"""How often a new aim is a thing, and a place anywhere over the tray; else the finger rests."""
_MISS_M = 0.03
_HIGHEST_M = 0.4
_SLOWEST_M_S, _FASTEST_M_S = 0.1, 0.6
_LONGEST_SECONDS = 1.0
"""Of the way to an aim: from where it parks, the finger hurries down."""


def wander(tick: Mapping[str, Array], rng: np.random.Generator, world: object = None) -> Array:
    """The next action `[frames, 3]`, m/s of the finger's target in the world frame: the last one, or now and
    then one towards a new aim, which the finger may reach, miss or go beyond.

    tick: streams of one world; `action [frames, 3]` and `state [frames, K, D]` are used, the finger in the
    last slot. (Presence and position come first in every layout of a state.)
    """
    action, state = tick["action"], tick["state"][-1]
    rests = not action.any()
    if rng.random() >= (3.0 if rests else 1.0) * _NEW_AIM_SHARE:
        return np.repeat(action[-1:], len(action), axis=0)
    way = _aim(state, rng) - STATE.get(state[-1], "position")
    distance = float(np.linalg.norm(way))
    speed = max(rng.uniform(_SLOWEST_M_S, _FASTEST_M_S), min(distance / _LONGEST_SECONDS, MAX_SPEED_M_S))
    velocity = speed * way / max(distance, 1e-6)
    return np.tile(velocity, (len(action), 1)).astype(np.float32)


def _aim(state: Array, rng: np.random.Generator) -> Array:
    """Where to, `[3]` m: the finger's own place where it shall rest. state: `[K, D]`."""
    place = STATE.get(state, "position")
    reach = np.array([TRAY.half_x, TRAY.half_y])
    there = (STATE.get(state, "present")[:, 0] > 0.5) & (np.abs(place[:, :2]) < reach).all(-1)
    there[-1] = False
    drawn = rng.random()
    if drawn < _THING_SHARE and there.any():
        thing = place[rng.choice(np.flatnonzero(there)), :2]
        return np.append(thing + rng.normal(0.0, _MISS_M, 2), PUSH_HEIGHT_M)
    if drawn < _THING_SHARE + _PLACE_SHARE:
        return np.append(rng.uniform(-reach, reach), rng.uniform(PUSH_HEIGHT_M, _HIGHEST_M))
    return place[-1]
