"""Intervals against published values and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.errors import BadUse
from orrery.evaluation.statistics import median_interval, share, wilson


def test_wilson_published() -> None:
    """Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for counts, interval in published.items():
        assert wilson(*counts) == pytest.approx(interval, abs=6e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_is_an_interval(successes: int, failures: int) -> None:
    trials = successes + failures
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low - 1e-12 <= successes / trials <= high + 1e-12
        assert wilson(failures, trials) == pytest.approx((1 - high, 1 - low))


def test_nothing_measured() -> None:
    assert share(0, 0) == {"share": None, "low": 0.0, "high": 1.0, "successes": 0, "trials": 0}
    assert median_interval(np.zeros(0))["median"] is None
    with pytest.raises(BadUse):
        wilson(3, 2)


def test_median_interval_covers() -> None:
    """The bootstrap interval holds the true median about 95 times in 100."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        interval = median_interval(rng.normal(size=60), num_draws=300)
        held += interval["low"] <= 0 <= interval["high"]
    assert 178 <= held <= 200
