"""Who pushes while Push-T is recorded: goes around the T, pushes through it, and sometimes just wanders.

Random targets alone hardly ever touch the T. Each stretch approaches from a random side and pushes towards
the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ARRIVED_PX = 15.0
"""Distance at which a way point counts as reached; the table is 512 pixels wide."""


class Push:
    """Made anew for each episode; called as `policy(observation, rng, env)` with env the Push-T environment.

    Actions are where the agent is drawn to, `[x, y]` in pixels of 512.
    """

    def __init__(self) -> None:
        self.way: list[np.ndarray] = []
        self.speed = 0.0

    def __call__(self, observation: Any, rng: np.random.Generator, env: Any) -> np.ndarray:
        agent = np.array(env.agent.position)
        if not self.way:
            self._draw(rng, np.array(env.block.position))
        step = np.clip(self.way[0], 20, 492) - agent
        distance = float(np.linalg.norm(step))
        if distance < ARRIVED_PX or rng.random() < 0.03:
            self.way.pop(0)
        target = agent + step / max(distance, 1e-6) * min(distance, 1.6 * self.speed) + rng.normal(0, 4, 2)
        return np.clip(target, 0, 512).astype(np.float32)

    def _draw(self, rng: np.random.Generator, block: np.ndarray) -> None:
        """The next way points: a push through the T, or anywhere."""
        self.speed = float(rng.uniform(12, 45))
        centre, angle = block + rng.normal(0, 25, 2), rng.uniform(0, 2 * np.pi)
        side = np.array([np.cos(angle), np.sin(angle)])
        if rng.random() < 0.7:
            self.way = [centre + side * rng.uniform(110, 150), centre - side * rng.uniform(0, 90)]
        else:
            self.way = [rng.uniform(30, 480, 2)]
