"""A finger that never rests: it pushes one thing after the other, so that something happens in a long film.

It acts by what it sees of the world's own state, by the same rule in every world.
"""

from __future__ import annotations

import math

import numpy as np

from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.finger import plan_script
from orrery.worlds.tabletop.scene import TRAY, Body, Push, Scene

__all__ = ["Stirrer"]

PAUSE_SECONDS = 1.0
APPROACH_M_S = 0.6
PUSH_M_S = 0.28
PUSH_M = 0.14
MIDDLE_M = 0.08
"""What lies nearer to the middle than this is pushed anywhere, else to the middle."""


class Stirrer:
    """Actions for one world, tick by tick. seed: of the directions that are left to chance."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._rng = np.random.default_rng(seed)
        self._planned = np.zeros((0, 3))
        self._turn = 0

    def action(self, state: Array) -> Array:
        """The next tick's `[frames, 3]` m/s, where the world is in `state [K, D]`."""
        frames = self._clock.frames_per_tick
        if len(self._planned) < frames:
            self._planned = self._plan(state)
        now, self._planned = self._planned[:frames], self._planned[frames:]
        return now.astype(np.float32)

    def _plan(self, state: Array) -> Array:
        """A pause, the way to the next object, and a push, `[n, 3]`; a pause where there is none to push."""
        rate = self._clock.frames_per_second
        pause = np.zeros((round(PAUSE_SECONDS * rate), 3))
        target = self._next(state)
        if target is None:
            return pause
        script = plan_script(self._pushed(target))
        way = script.start_m - STATE.get(state[-1], "position")
        num_frames = max(1, math.ceil(float(np.linalg.norm(way)) / APPROACH_M_S * rate))
        approach = np.tile(way * rate / num_frames, (num_frames, 1))
        length = math.ceil(sum(seconds for seconds, _ in script.legs) * rate)
        push = np.stack([script.velocity(frame / rate) for frame in range(length)])
        whole = np.concatenate([pause, approach, push])
        return np.pad(whole, ((0, -len(whole) % self._clock.frames_per_tick), (0, 0)))

    def _next(self, state: Array) -> Array | None:
        """The body `[D]` whose turn it is, of those that are on the tray."""
        position = STATE.get(state[:-1], "position")
        inside = (np.abs(position[:, 0]) < TRAY.half_x) & (np.abs(position[:, 1]) < TRAY.half_y)
        there = np.flatnonzero(inside & (STATE.get(state[:-1], "present")[:, 0] > 0.5))
        if not len(there):
            return None
        self._turn += 1
        return state[there[self._turn % len(there)]]

    def _pushed(self, body: Array) -> Scene:
        """A scene in which a body `[D]` is pushed towards the middle."""
        position = STATE.get(body, "position").astype(float)
        half = float(STATE.get(body, "size")[:2].max())
        angle = float(self._rng.uniform(0, 2 * math.pi))
        if np.linalg.norm(position[:2]) > MIDDLE_M:
            angle = math.atan2(-position[1], -position[0])
        target = Body("ball", "red", "wood", half, (float(position[0]), float(position[1]), half))
        return Scene((target,), push=Push(0, (math.cos(angle), math.sin(angle)), PUSH_M_S, PUSH_M))
