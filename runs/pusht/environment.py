"""Push-T with its state as the observation and pictures without the cross that marks the last action.

`gym:runs/pusht/environment.py:PushT-v0`; needs `pip install gym-pusht`. Everything else is as in gym-pusht.
"""

from __future__ import annotations

import gymnasium
import numpy as np
from gym_pusht.envs.pusht import PushTEnv


class PushT(PushTEnv):
    """Observes `[agent x, agent y, block x, block y, block angle]`, pixels of 512 and radians."""

    def render(self) -> np.ndarray:
        """`[H, W, 3]` uint8, of the observation's size (96 x 96)."""
        return self._render(visualize=False)


gymnasium.register("PushT-v0", entry_point=PushT, max_episode_steps=300, kwargs={"obs_type": "state"})
