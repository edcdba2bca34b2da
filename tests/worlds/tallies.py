"""Environments whose memory no snapshot of their own could read, and some that fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from orrery.streams import Array
from orrery.worlds.gymnasium import GymnasiumWorld

__all__ = ["Broken", "Tally", "Threaded", "tally"]


class Tally(gymnasium.Env[Any, Any]):
    """Keeps what no snapshot of its own could read: a generator behind a closure. Ends after 40 steps."""

    metadata = {"render_fps": 10}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        def numbers() -> Iterator[float]:
            rng = np.random.default_rng(seed)
            while True:
                yield float(rng.normal())

        self._numbers, self._left = numbers(), 40
        return np.zeros(1), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self._left -= 1
        return np.array([next(self._numbers)]), float(action), self._left <= 0, False, {}


class Threaded(Tally):
    """Runs a thread."""

    def __init__(self) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class Broken(Tally):
    def step(self, action: Any) -> Any:
        if action:
            raise RuntimeError("a gear is gone")
        return super().step(action)


def tally() -> GymnasiumWorld:
    return GymnasiumWorld(Tally)
