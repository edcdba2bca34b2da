"""Noise goes on and comes off again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orrery.diffusion.noise import add_noise, loss_weight, step_down

levels = st.floats(0.01, 0.99)


def _draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(levels, st.integers(0, 1000))
def test_noise_is_a_straight_line_between_data_and_noise(level: float, seed: int) -> None:
    clean, noise = _draw(seed, 2, 3, 4), _draw(seed + 1, 2, 3, 4)
    noisy = add_noise(clean, noise, torch.full((2, 3), level))
    torch.testing.assert_close(noisy - clean, level * (noise - clean), atol=1e-5, rtol=0)


def test_every_tick_has_its_own_level() -> None:
    clean, noise = _draw(0, 2, 2, 5, 6), _draw(1, 2, 2, 5, 6)
    noisy = add_noise(clean, noise, torch.tensor([[0.0, 0.5], [0.25, 1.0]]))
    torch.testing.assert_close(noisy[0, 0], clean[0, 0])
    torch.testing.assert_close(noisy[0, 1], (clean[0, 1] + noise[0, 1]) / 2)
    torch.testing.assert_close(noisy[1, 0], 0.75 * clean[1, 0] + 0.25 * noise[1, 0])
    assert not noisy[1, 1].any(), "level 1 withholds: not even noise is left"


@given(levels, st.floats(0.0, 1.0), st.integers(0, 1000))
def test_a_step_with_the_truth_lands_on_the_line(level: float, share: float, seed: int) -> None:
    """From any level to any lower one, a perfect estimate keeps the noise that was drawn."""
    clean, noise = _draw(seed, 1, 2, 3), _draw(seed + 1, 1, 2, 3)
    lower = level * share
    noisy = add_noise(clean, noise, torch.full((1, 2), level))
    stepped = step_down(noisy, clean, noise, level, lower)
    expected = add_noise(clean, noise, torch.full((1, 2), lower))
    torch.testing.assert_close(stepped, expected, atol=2e-3 if level < 0.05 else 1e-4, rtol=0)


@given(levels, st.integers(0, 1000))
def test_the_first_step_starts_from_the_noise_it_is_given(lower: float, seed: int) -> None:
    clean, noise = _draw(seed, 1, 2, 3), _draw(seed + 1, 1, 2, 3)
    stepped = step_down(torch.zeros_like(clean), clean, noise, 1.0, lower)
    torch.testing.assert_close(stepped, add_noise(clean, noise, torch.full((1, 2), lower)))


@given(levels)
def test_the_last_step_is_the_estimate_itself(level: float) -> None:
    estimate = _draw(0, 4)
    assert torch.equal(step_down(_draw(1, 4), estimate, _draw(2, 4), level, 0.0), estimate)


def test_weights_fall_with_the_level_and_are_bounded() -> None:
    weights = loss_weight(torch.linspace(0, 1, 101))
    assert weights.diff().max() <= 0
    assert float(weights[0]) == pytest.approx(1 / 0.36)
    assert float(weights[-1]) == 1.0
    assert float(loss_weight(torch.tensor(0.8))) == pytest.approx(1 / 0.64)
