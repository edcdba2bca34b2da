"""Who plays while Pong is recorded: follows the ball, badly and with breaks, so that everything happens.

Random play alone pins the paddle to the walls, and perfect play never loses a ball. Each episode has its own
share of following; every few ticks it is drawn anew whether the ball is followed, with another offset, or an
action is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NOOP, FIRE, RIGHT, LEFT, RIGHT_FIRE, LEFT_FIRE = range(6)
"""The six actions that do something in Pong; right is up, left is down."""
BALL_Y, BALL_X, PADDLE_Y = 54, 49, 51
"""Addresses in the console's memory. The ball's height is 0 while there is none."""
NUM_ACTIONS = 6
HALF_PADDLE = 8
DEAD_ZONE = 4


class FollowBall:
    """Made anew for each episode; called as `policy(observation, rng, env)` with env an ALE environment."""

    def __init__(self) -> None:
        self.share_following: float | None = None
        self.ticks_left = 0
        self.follows, self.offset, self.held, self.fires = False, 0.0, NOOP, False

    def __call__(self, observation: Any, rng: np.random.Generator, env: Any) -> int:
        if self.share_following is None:
            self.share_following = float(rng.choice([0.0, 0.5, 0.9]))
        if self.ticks_left <= 0:
            self._draw(rng, self.share_following)
        self.ticks_left -= 1
        memory = env.ale.getRAM()
        if not self.follows or memory[BALL_Y] == 0:
            return self.held
        below = int(memory[BALL_Y]) - int(memory[PADDLE_Y]) - HALF_PADDLE + self.offset
        if abs(below) < DEAD_ZONE:
            return FIRE if self.fires else NOOP
        up, down = (RIGHT_FIRE, LEFT_FIRE) if self.fires else (RIGHT, LEFT)
        return up if below < 0 else down

    def _draw(self, rng: np.random.Generator, share_following: float) -> None:
        """What is done for the next 1 to 11 ticks."""
        self.ticks_left = int(rng.integers(1, 12))
        self.offset = float(rng.normal(0, 6))
        self.follows = bool(rng.random() < share_following)
        self.held = int(rng.integers(NUM_ACTIONS))
        self.fires = bool(rng.random() < 0.15)
