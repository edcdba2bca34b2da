"""The sampler against a distribution whose flow is known in closed form."""

from __future__ import annotations

import numpy as np

from orrery.engines.base import Latents
from orrery.inference.euler import euler
from orrery.models.flow import step_levels

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


def test_many_steps_are_samples() -> None:
    """The spread comes up to the distribution's own as steps become many, and never goes beyond it."""
    found = [sampled(num_steps) for num_steps in (2, 4, 16, 64, 256)]
    spreads = [float(x.std()) for x in found]
    assert spreads == sorted(spreads)
    assert 0.97 * SPREAD < spreads[-1] < 1.02 * SPREAD
    assert all(abs(x.mean() - MEAN) < 0.01 for x in found)


def test_levels_fall_and_lie_nearer_to_noise() -> None:
    assert step_levels(1) == [1.0]
    levels = step_levels(6)
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 1.0
    assert all(level > 1 - k / 6 for k, level in enumerate(levels[1:], start=1))


def test_each_world_has_noise_of_its_own_that_repeats() -> None:
    np.testing.assert_array_equal(sampled(4), sampled(4))
    assert (sampled(4) != sampled(4, seed=1)).all()
    assert len(np.unique(sampled(4))) > 19_000
