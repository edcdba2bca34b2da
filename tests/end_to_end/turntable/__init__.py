"""A world in one folder: a disc that is turned. Nothing of the package knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orrery.streams import Array, Clock, Observation, StreamSpec, WorldSpec
from orrery.world import World

__all__ = ["make_compass", "make_world"]

TURN = 0.4
"""Radians a tick, at most."""


class Turntable:
    """`heading` is an angle in [-pi, pi], of any kind that one likes; `action` turns it, from -1 to 1."""

    def __init__(self, num_worlds: int, kind: str) -> None:
        heading = StreamSpec("heading", kind, "observed", (1,), "float32", "rad", -np.pi, np.pi)
        action = StreamSpec("action", "vector", "given", (1,), "float32", "", -1.0, 1.0)
        self.spec = WorldSpec(Clock(10, 1, 8000), {s.name: s for s in (heading, action)})
        self.num_worlds = num_worlds
        self._angle = np.zeros((num_worlds, 1))
        self._time = 0

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """See `World.reset`."""
        rngs = [np.random.default_rng([seed, b]) for b in range(self.num_worlds)]
        self._angle = np.array([[rng.uniform(-np.pi, np.pi)] for rng in rngs])
        self._time = 0
        return self._tick(np.zeros((self.num_worlds, 1), np.float32))

    def step(self, action: Array | None = None) -> Observation:
        """See `World.step`."""
        done = np.zeros((self.num_worlds, 1)) if action is None else np.asarray(action)
        return self._tick(np.clip(done, -1, 1).astype(np.float32))

    def scripted_action(self) -> Array:
        """Turned back and forth."""
        return np.full((self.num_worlds, 1), np.sin(0.5 * self._time), np.float32)

    def _tick(self, action: Array) -> Observation:
        self._angle = (self._angle + TURN * action + np.pi) % (2 * np.pi) - np.pi
        self._time += 1
        return {"heading": self._angle.astype(np.float32), "action": action}


def make_world(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
    """See `orrery.worlds.WorldFactory`."""
    return Turntable(num_worlds, "vector")


def make_compass(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
    """The same, whose heading is of the kind `angle`."""
    return Turntable(num_worlds, "angle")
