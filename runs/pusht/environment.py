"""Push-T with its state as the observation, and pictures without the cross that marks the last action.

`gym:runs/pusht/environment.py:PushT-v0`; needs `pip install gym-pusht`. Everything else is as in gym-pusht.
"""

from __future__ import annotations

import gymnasium
import numpy as np
from gym_pusht.envs.pusht import PushTEnv


class PushT(PushTEnv):
    """Observes `[agent x, agent y, block x, block y, cos, sin]`: pixels of 512, and of the block's angle.

    gym-pusht's own state ends with the angle modulo two pi, which jumps although nothing does.
    """

    def _initialize_observation_space(self) -> None:
        low, high = [0, 0, 0, 0, -1, -1], [512, 512, 512, 512, 1, 1]
        self.observation_space = gymnasium.spaces.Box(np.float32(low), np.float32(high))

    def get_obs(self) -> np.ndarray:
        """The observation, `[6]` float32."""
        *places, angle = super().get_obs()
        return np.array([*places, np.cos(angle), np.sin(angle)], np.float32)

    def render(self) -> np.ndarray:
        """`[H, W, 3]` uint8, of the observation's size (96 x 96)."""
        return self._render(visualize=False)


gymnasium.register("PushT-v0", entry_point=PushT, max_episode_steps=300, kwargs={"obs_type": "state"})
