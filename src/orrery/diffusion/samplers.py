"""Samplers: plain functions over a callable and arrays. They know no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from orrery.diffusion.noise import step_down

__all__ = ["levels_for", "sample"]


def levels_for(num_steps: int) -> list[float]:
    """Noise levels of `num_steps` even steps, from 1 down to 0, both included."""
    if num_steps < 1:
        raise ValueError(f"a sampler takes at least one step, got {num_steps}")
    return [1.0 - step / num_steps for step in range(num_steps)] + [0.0]


def sample(estimate: Callable[[Tensor, float], Tensor], noise: Tensor, levels: Sequence[float]) -> Tensor:
    """Denoise from nothing.

    estimate: (data at a level, that level) to clean data. noise: standard normal, in the data's shape.
    levels: falling, from 1 to 0.
    """
    current = torch.zeros_like(noise)
    for level, next_level in pairwise(levels):
        current = step_down(current, estimate(current, level), noise, level, next_level)
    return current
