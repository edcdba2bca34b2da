"""Sampling against distributions whose denoiser is known in closed form."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from orrery.diffusion.samplers import levels_for, sample


@given(st.integers(1, 200))
def test_levels_fall_evenly_from_one_to_zero(num_steps: int) -> None:
    levels = levels_for(num_steps)
    assert len(levels) == num_steps + 1
    assert (levels[0], levels[-1]) == (1.0, 0.0)
    assert all(a - b == pytest.approx(1 / num_steps) for a, b in pairwise(levels))


@pytest.mark.parametrize("num_steps", [0, -3])
def test_a_sampler_takes_a_step(num_steps: int) -> None:
    with pytest.raises(ValueError, match=f"at least one step, got {num_steps}"):
        levels_for(num_steps)


@given(st.integers(1, 12), st.integers(0, 1000))
def test_a_perfect_estimator_gives_back_the_data(num_steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator)
    asked = []

    def estimate(noisy: Tensor, level: float) -> Tensor:
        asked.append(level)
        torch.testing.assert_close(
            noisy, torch.zeros_like(noisy) if level == 1.0 else (1 - level) * clean + level * noise,
            atol=1e-4, rtol=0,
        )  # fmt: skip
        return clean

    assert torch.equal(sample(estimate, noise, levels_for(num_steps)), clean)
    assert asked == levels_for(num_steps)[:-1]


MEAN, DEVIATION = 1.5, 0.4


def _posterior_mean(noisy: Tensor, level: float) -> Tensor:
    """E[x | (1 - l) x + l n] for x ~ N(MEAN, DEVIATION^2), n ~ N(0, 1); where withheld, E[x]."""
    if level >= 1.0:
        return torch.full_like(noisy, MEAN)
    keep, variance = 1.0 - level, DEVIATION**2
    gain = keep * variance / (keep**2 * variance + level**2)
    return MEAN + gain * (noisy - keep * MEAN)


def test_many_steps_draw_from_a_gaussian() -> None:
    """20,000 draws: standard errors are 0.003 of the mean and 0.002 of the deviation."""
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    drawn = sample(_posterior_mean, noise, levels_for(400))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.02)
    in_order = drawn[noise.argsort()]
    assert float(in_order.diff().min()) > -1e-5, "the flow keeps the order of the noise"


def test_steps_trade_time_for_spread() -> None:
    """One step gives the mean of everything; each doubling comes nearer to the true spread, from below."""
    noise = torch.randn(5_000, generator=torch.Generator().manual_seed(0))
    spread = [float(sample(_posterior_mean, noise, levels_for(n)).std()) for n in (1, 2, 4, 8, 32)]
    assert spread[0] == 0.0
    assert spread == sorted(spread)
    assert spread[-1] < DEVIATION * 1.02


def test_two_modes_are_both_found() -> None:
    """x is -1 or 1: the flow's steps end on either, as often, and hardly ever between."""

    def estimate(noisy: Tensor, level: float) -> Tensor:
        return torch.tanh((1.0 - level) * noisy / level**2)

    noise = torch.randn(4_000, generator=torch.Generator().manual_seed(1))
    drawn = sample(estimate, noise, levels_for(60))
    assert float((drawn.abs() > 0.95).float().mean()) > 0.97
    assert float((drawn > 0).float().mean()) == pytest.approx(0.5, abs=0.03)
