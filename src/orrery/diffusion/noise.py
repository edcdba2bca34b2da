"""Flow interpolation between data and noise, with the clean data as what the network predicts.

At level 0 the data are clean, at level 1 nothing of them is left: x_level = (1 - level) x + level noise.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["step_down"]


def step_down(noisy: Tensor, estimate: Tensor, noise: Tensor, level: float, next_level: float) -> Tensor:
    """One deterministic step of the flow from `level` to the lower `next_level`.

    noisy: data at `level`. estimate: the network's clean estimate. noise: used only from level 1, where the
    noisy data were withheld.
    """
    if next_level <= 0.0:
        return estimate
    direction = noise if level >= 1.0 else (noisy - (1.0 - level) * estimate) / level
    return (1.0 - next_level) * estimate + next_level * direction
