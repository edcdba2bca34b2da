"""What the exact worlds share: a batch of benches, which start, go on, are told sentences and are put back.

An exact world says what it is by its `ExactWorld` (how a bench is made of a seed, a sentence or a scene) and
its `Bench` (what is on it, how it looks, where the camera is).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array, Event, Observation, WorldSpec
from orrery.worlds.rigid_bodies.bench import Bench
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["ExactWorld"]


class ExactWorld(ABC):
    """`num_worlds` independent benches. spec: the streams that they give.

    what: the world's name, for messages.
    """

    what = "exact world"

    def __init__(self, spec: WorldSpec, action_shape: tuple[int, ...], num_worlds: int) -> None:
        self.spec = spec
        self.num_worlds = num_worlds
        self._action_shape = action_shape
        self._benches: list[Bench | None] = [None] * num_worlds

    @abstractmethod
    def _read_scene(self, scene: Any) -> Any:
        """A scene from what the caller gave: one of this world's, or its plain values."""

    @abstractmethod
    def _build(self, rng: np.random.Generator, prompt: str | None, scene: Any) -> Bench:
        """A bench, not yet advanced."""

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`. `given` cannot be taken by an exact world."""
        if given:
            raise BadUse(f"{self.what} simulates every stream and cannot take {', '.join(given)} as given")
        if prompt is not None and scene is not None:
            raise BadUse(f"a {self.what} starts from a prompt or from a scene, not from both")
        if scene is not None:
            scene = self._read_scene(scene)
        for index in range(self.num_worlds):
            if mask is None or mask[index]:
                bench = self._build(np.random.default_rng([seed, index]), prompt, scene)
                bench.advance(bench.scripted_action())
                self._benches[index] = bench
        return self._observe()

    def step(self, action: Array | None = None) -> Observation:
        """Advance one tick. action: `[B, *spec.streams["action"].shape]`; None plays the scene's script."""
        if action is not None:
            expected = (self.num_worlds, *self._action_shape)
            if np.shape(action) != expected:
                raise BadUse(f"action: expected {expected}, got {np.shape(action)}")
            if not np.isfinite(action).all():
                raise BadUse("action: got values that are not finite")
            action = np.asarray(action, np.float32)
        for index in range(self.num_worlds):
            bench = self._bench(index)
            bench.advance(bench.scripted_action() if action is None else bench.heeded(action[index]))
        return self._observe()

    def direct(self, sentence: str, mask: Array | None = None) -> None:
        """See `Directable`."""
        chosen = range(self.num_worlds) if mask is None else np.flatnonzero(mask).tolist()
        directed = {index: self._bench(index).directed(sentence) for index in chosen}
        for index, bench in directed.items():
            self._benches[index] = bench

    def scripted_action(self) -> Array:
        """What the scenes' own scripts would do in the next tick, `[B, *action shape]`."""
        return np.stack([self._bench(index).scripted_action() for index in range(self.num_worlds)])

    def scene(self, index: int = 0) -> dict[str, Any]:
        """Plain values of world `index`'s scene, from which `reset(scene=...)` repeats it."""
        return self._bench(index).scene.to_json()

    def events(self, index: int = 0) -> list[Event]:
        """Impacts in world `index` since its reset, in order of time."""
        return sorted(self._bench(index).events, key=lambda event: event.seconds)

    def text(self, index: int = 0) -> str:
        """The sentence that world `index` started from, or one that describes it."""
        return self._bench(index).text

    def mujoco_scene(self, index: int = 0) -> MujocoScene:
        """World `index` as those see it who draw MuJoCo's models; see `HasMujocoScene`."""
        return self._bench(index).mujoco_scene()

    def snapshot(self) -> list[Any]:
        """All memory of all worlds."""
        benches = [self._bench(index) for index in range(self.num_worlds)]
        return [(bench, bench.snapshot()) for bench in benches]

    def restore(self, snapshot: list[Any]) -> None:
        """Go back to `snapshot`."""
        for index, (bench, values) in enumerate(snapshot):
            mine = bench if self._benches[index] is bench else bench.twin()
            mine.restore(values)
            self._benches[index] = mine

    def _bench(self, index: int) -> Bench:
        bench = self._benches[index]
        if bench is None:
            raise BadUse("reset() comes before anything else")
        return bench

    def _observe(self) -> Observation:
        ticks = [self._bench(index).tick for index in range(self.num_worlds)]
        return {name: np.array([tick[name] for tick in ticks]) for name in self.spec.streams}
