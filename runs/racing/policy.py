"""Who drives while CarRacing is recorded: along the road at its own speed, with random stretches.

Random driving alone never sees the road again after a second, and a good driver never leaves it. Each episode
has its own speed, look-ahead and share of random stretches.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class FollowRoad:
    """Made anew for each episode; called as `policy(observation, rng, env)` with env CarRacing.

    Actions are steering (-1 left to 1 right), gas and brake (0 to 1).
    """

    def __init__(self) -> None:
        self.speed: float | None = None
        self.share_random, self.look_ahead = 0.0, 5
        self.ticks_left, self.is_random = 0, False
        self.steering, self.wanted = 0.0, np.zeros(3)

    def __call__(self, observation: Any, rng: np.random.Generator, env: Any) -> np.ndarray:
        if self.speed is None:
            self.speed = float(rng.uniform(20, 60))
            self.share_random = float(rng.choice([0.05, 0.15, 0.4]))
            self.look_ahead = int(rng.integers(3, 7))
        if self.ticks_left <= 0:
            self._draw(rng)
        self.ticks_left -= 1
        if self.is_random:
            self.steering += 0.3 * (self.wanted[0] - self.steering)
            action = np.array([self.steering, self.wanted[1], self.wanted[2]])
        else:
            action = self._along_the_road(rng, env, self.speed)
            self.steering = float(action[0])
        return np.clip(action, [-1, 0, 0], [1, 1, 1]).astype(np.float32)

    def _draw(self, rng: np.random.Generator) -> None:
        """What is done for the next 5 to 29 ticks."""
        self.ticks_left = int(rng.integers(5, 30))
        self.is_random = bool(rng.random() < self.share_random)
        self.wanted = np.array([rng.normal(0, 0.6), rng.uniform(0, 0.6), max(0.0, rng.normal(-0.4, 0.4))])

    def _along_the_road(self, rng: np.random.Generator, env: Any, wanted_speed: float) -> np.ndarray:
        road = np.array([(x, y) for _, _, x, y in env.track])
        hull = env.car.hull
        place = np.array([hull.position.x, hull.position.y])
        nearest = int(((road - place) ** 2).sum(1).argmin())
        target = road[(nearest + self.look_ahead) % len(road)] - place
        angle = np.arctan2(-target[0], target[1]) - hull.angle
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        speed = float(np.hypot(hull.linearVelocity.x, hull.linearVelocity.y))
        gas = np.clip((wanted_speed - speed) * 0.05, 0, 0.7)
        brake = np.clip((speed - wanted_speed - 5) * 0.03, 0, 0.5)
        return np.array([-1.2 * angle + rng.normal(0, 0.05), gas, brake])
