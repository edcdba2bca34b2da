"""A world of which the answers are known: it stands still."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orrery.evaluation.films import STREAMS
from orrery.streams import Array, Observation
from orrery.worlds.tabletop.world import tabletop_spec


class StandingWorld:
    """Goes through what it is given and then stands still, whatever the finger does. It feels nothing.

    forgets: after what it is given everything is gone. brightness: of its pictures, before and after what it
    is given.
    """

    def __init__(self, forgets: bool = False, brightness: tuple[int, int] = (90, 90)) -> None:
        self.spec = tabletop_spec().only([*STREAMS, "video.main"])
        self._forgets, self._brightness = forgets, brightness
        self.num_worlds = 1
        self._given: dict[str, Array] = {}
        self._tick = 0

    def reset(
        self, seed: int, prompt: str | None = None, scene: Any = None,
        given: Mapping[str, Array] | None = None, mask: Array | None = None,
    ) -> Observation:  # fmt: skip
        self._given, self._tick = dict(given or {}), 0
        return self._observe()

    def step(self, action: Array | None = None) -> Observation:
        self._tick += 1
        return self._observe()

    def _observe(self) -> Observation:
        last = self._given["state"].shape[1] - 1
        state = self._given["state"][:, min(self._tick, last)].copy()
        if self._tick > last:
            state[:] = 0.0 if self._forgets else state[:, -1:]
        still = {name: np.zeros((1, *self.spec.streams[name].shape), np.float32) for name in STREAMS}
        video = np.full(
            (1, *self.spec.streams["video.main"].shape), self._brightness[self._tick > last], np.uint8
        )
        return still | {"state": state, "video.main": video}
