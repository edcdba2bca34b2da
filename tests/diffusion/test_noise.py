"""Noise comes off along a straight line."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from orrery.diffusion.noise import step_down

levels = st.floats(0.01, 0.99)


def _draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(levels, st.floats(0.0, 1.0), st.integers(0, 1000))
def test_a_step_with_the_truth_lands_on_the_line(level: float, share: float, seed: int) -> None:
    """From any level to any lower one, a perfect estimate keeps the noise that was drawn."""
    clean, noise = _draw(seed, 1, 2, 3), _draw(seed + 1, 1, 2, 3)
    lower = level * share
    noisy = torch.lerp(clean, noise, level)
    stepped = step_down(noisy, clean, noise, level, lower)
    expected = torch.lerp(clean, noise, lower)
    torch.testing.assert_close(stepped, expected, atol=2e-3 if level < 0.05 else 1e-4, rtol=0)


@given(levels, st.integers(0, 1000))
def test_the_first_step_starts_from_the_noise_it_is_given(lower: float, seed: int) -> None:
    clean, noise = _draw(seed, 1, 2, 3), _draw(seed + 1, 1, 2, 3)
    stepped = step_down(torch.zeros_like(clean), clean, noise, 1.0, lower)
    torch.testing.assert_close(stepped, torch.lerp(clean, noise, lower))


@given(levels)
def test_the_last_step_is_the_estimate_itself(level: float) -> None:
    estimate = _draw(0, 4)
    assert torch.equal(step_down(_draw(1, 4), estimate, _draw(2, 4), level, 0.0), estimate)
