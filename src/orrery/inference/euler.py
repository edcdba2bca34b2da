"""The sampler: Euler's method along the flow from noise to what streams are.

In one step it is what the network expects, which is the mean of all that may come. In several it is one of
them (Lipman et al. 2023, "Flow matching", arXiv:2210.02747).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from orrery.engines.base import Latents
from orrery.models.flow import step_levels

__all__ = ["euler"]


def euler(
    expected: Callable[[Latents, float], Latents], num_steps: int, rngs: Sequence[np.random.Generator]
) -> Latents:
    """Sample streams in `num_steps` steps.

    expected: what the streams are, `[B, tokens, width]` by name, from what they are at a noise level; at
    level 1, from nothing. rngs: of each of the B worlds.
    """
    clean = expected({}, 1.0)
    if num_steps == 1:
        return clean
    noise = {name: _noise(value.shape[1:], rngs) for name, value in clean.items()}
    for level in step_levels(num_steps)[1:]:
        noisy = {name: (1 - level) * value + level * noise[name] for name, value in clean.items()}
        clean = expected(noisy, level)
        noise = {name: (noisy[name] - (1 - level) * value) / level for name, value in clean.items()}
    return clean


def _noise(shape: tuple[int, ...], rngs: Sequence[np.random.Generator]) -> np.ndarray:
    return np.stack([rng.standard_normal(shape, np.float32) for rng in rngs])
