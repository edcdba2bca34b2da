"""Flow interpolation between data and noise, with the clean data as what the network predicts.

At level 0 the data are clean, at level 1 nothing of them is left: x_level = (1 - level) x + level noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["add_noise", "loss_weight", "step_down"]


def add_noise(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Data at `level [B, ticks]`, for `clean` and `noise` of `[B, ticks, ...]`.

    Where the level is 1 the result is zero, not noise: pure noise says nothing, and zero says so at once.
    """
    shaped = level.reshape(*level.shape, *([1] * (clean.dim() - level.dim())))
    return torch.where(shaped >= 1.0, torch.zeros_like(clean), (1.0 - shaped) * clean + shaped * noise)


def loss_weight(level: Tensor) -> Tensor:
    """Weight of a squared error at a level: 1 / max(level, 0.6)^2.

    Errors shrink with the level, and so would their share; but a high bound near clean data drowns what is
    learned at level 1, where a sentence is all there is to go by.
    """
    return 1.0 / level.clamp_min(0.6).square()


def step_down(noisy: Tensor, estimate: Tensor, noise: Tensor, level: float, next_level: float) -> Tensor:
    """One deterministic step of the flow from `level` to the lower `next_level`.

    noisy: data at `level`. estimate: the network's clean estimate. noise: used only from level 1, where the
    noisy data were withheld.
    """
    if next_level <= 0.0:
        return estimate
    direction = noise if level >= 1.0 else (noisy - (1.0 - level) * estimate) / level
    return (1.0 - next_level) * estimate + next_level * direction
