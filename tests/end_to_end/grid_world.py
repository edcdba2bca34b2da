"""A Minigrid whose observation is its picture and its direction; the mission, a sentence, is left out."""

import gymnasium
import minigrid  # noqa: F401  (registers its environments)
from gymnasium.wrappers import FilterObservation


def make(**kwargs: object) -> gymnasium.Env:
    """MiniGrid-Empty-5x5 without the sentence, which no stream of a tick can hold."""
    return FilterObservation(gymnasium.make("MiniGrid-Empty-5x5-v0", **kwargs), ("image", "direction"))


gymnasium.register("GridWorld-v0", entry_point=make)
