"""The sampler against a distribution whose flow is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.engines.base import Latents
from orrery.inference.euler import euler

MEAN, SPREAD = 0.7, 0.4


def expected(noisy: Latents, level: float) -> Latents:
    """Of a normal distribution: the mean of what `(1 - level) * x + level * noise` may have been."""
    if not noisy:
        return {"x": np.full((20_000, 1, 1), MEAN, np.float32)}
    known = 1 - level
    gain = known * SPREAD**2 / (known**2 * SPREAD**2 + level**2)
    return {"x": MEAN + gain * (noisy["x"] - known * MEAN)}


def sampled(num_steps: int, seed: int = 0) -> np.ndarray:
    rngs = [np.random.default_rng([seed, number]) for number in range(20_000)]
    return euler(expected, num_steps, rngs)["x"].ravel()


def test_one_step_is_the_mean() -> None:
    np.testing.assert_array_equal(sampled(1), np.float32(MEAN))


@pytest.mark.parametrize(("num_steps", "short_of"), [(4, 0.35), (16, 0.12), (64, 0.04)])
def test_many_steps_are_samples(num_steps: int, short_of: float) -> None:
    """The spread comes up to the distribution's own as steps become many, and never goes beyond it."""
    x = sampled(num_steps)
    assert abs(x.mean() - MEAN) < 0.01
    assert (1 - short_of) * SPREAD < x.std() < 1.02 * SPREAD


def test_each_world_has_noise_of_its_own_that_repeats() -> None:
    np.testing.assert_array_equal(sampled(4), sampled(4))
    assert (sampled(4) != sampled(4, seed=1)).all()
    assert len(np.unique(sampled(4))) > 19_000
