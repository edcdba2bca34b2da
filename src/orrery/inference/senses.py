"""The state is read off given pictures and sound: the same network, with the state ranked last.

Of each tick, first what is sensed is taken in, then the state is asked for, then it is kept: later ticks are
read with all earlier ones in view, and counted from the state before. So a velocity that one picture does not
show comes from the second, and errors of the first are put right by the third.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from orrery.engines.torch import TorchEngine
from orrery.models.kv_cache import KVCache

__all__ = ["Senses"]

SENSED = ("video.main", "touch.finger", "audio.main")


class Senses:
    """What has been sensed of one world. engine: one whose ranks are `PERCEIVE`. cache: what it remembers."""

    def __init__(self, engine: TorchEngine, cache: KVCache) -> None:
        self.engine, self.cache = engine, cache

    def take_in(self, known: Mapping[str, Tensor]) -> None:
        """The next tick's action, pictures, touch and sound, `[1, tokens, numbers]`; what is not known is
        withheld."""
        shapes = self.engine.config.streams
        for names in (("action",), SENSED):
            here = [name for name in names if name in shapes]
            inputs, levels, features = {}, {}, {}
            for name in here:
                shape = shapes[name]
                inputs[name] = known.get(name, torch.zeros(1, shape.num_tokens, shape.width))
                levels[name] = float(name not in known)
                if shape.feature_width:
                    features[name] = torch.zeros(1, shape.num_tokens, shape.feature_width)
            self.engine.estimate(self.cache, inputs, features, levels, settle=True)

    def estimate(
        self, numbers: dict[str, Tensor], features: dict[str, Tensor], levels: dict[str, float]
    ) -> dict[str, Tensor]:
        """Clean state and camera, from noisy ones, in the light of what has been sensed."""
        return self.engine.estimate(self.cache, numbers, features, levels)

    def settle(self, numbers: dict[str, Tensor], features: dict[str, Tensor]) -> None:
        """Keep the tick's state and camera; what is taken in next is of the next tick."""
        self.engine.estimate(self.cache, numbers, features, dict.fromkeys(numbers, 0.0), settle=True)
        self.cache.end_tick()

    def copy(self) -> Senses:
        """The same memory, apart from this one from now on."""
        return Senses(self.engine, self.cache.copy())
