"""Gymnasium both ways: any `gymnasium.Env` is a world, and any world is a `gymnasium.Env`, many are a
`gymnasium.vector.VectorEnv`."""

from orrery.worlds.gymnasium.environment import WorldEnv, make_world_env, register_worlds
from orrery.worlds.gymnasium.vector import WorldVectorEnv
from orrery.worlds.gymnasium.world import GymnasiumWorld

__all__ = ["GymnasiumWorld", "WorldEnv", "WorldVectorEnv", "make_world_env", "register_worlds"]

register_worlds()
