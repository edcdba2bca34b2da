"""Onsets are found where sounds were put, and matching follows its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.errors import BadUse
from orrery.evaluation.sync import match_onsets, onsets

RATE = 24_000


def ringing(instants: list[float], seconds: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Decaying tones of random pitch that start at `instants`, `[n, 2]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    audio = noise * rng.standard_normal((len(time), 2))
    for instant in instants:
        since = np.maximum(time - instant, 0)
        level, rt60 = 10 ** rng.uniform(-1.5, -0.3), 10 ** rng.uniform(-1.3, -0.5)
        for pitch in rng.uniform(300, 6000, 5):
            tone = np.sin(2 * np.pi * pitch * since) * 10 ** (-3 * since / rt60) * (time >= instant)
            audio += level * tone[:, None] * rng.uniform(0.3, 1, 2) / 5
    return audio


def test_onsets_are_found_within_two_milliseconds() -> None:
    rng = np.random.default_rng(1)
    delays, f1 = [], []
    for seed in range(8):
        truth = np.sort(rng.uniform(0.1, 3.8, 6))
        truth = truth[np.diff(truth, prepend=-1) > 0.08]
        match = match_onsets(onsets(ringing(list(truth), 4.0, 1e-5, seed), RATE), truth, 0.05)
        f1.append(match.f1)
        delays.extend(match.delays)
    assert np.mean(f1) > 0.97
    assert abs(np.median(delays)) < 1e-3
    assert np.percentile(np.abs(delays), 95) < 2e-3


def test_a_shift_of_the_sound_is_a_shift_of_the_onsets() -> None:
    audio = ringing([0.3, 0.9, 1.4], 2.0)
    shifted = np.concatenate([np.zeros((4800, 2)), audio])
    np.testing.assert_allclose(onsets(shifted, RATE) - onsets(audio, RATE), 0.2, atol=1.5e-3)


def test_silence_and_steady_noise_have_no_onsets() -> None:
    assert len(onsets(np.zeros((RATE, 2)), RATE)) == 0
    steady = 0.05 * np.random.default_rng(0).standard_normal((3 * RATE, 2))
    found = onsets(steady, RATE)
    assert len(found[found > 0.05]) <= 1  # its beginning is an onset
    assert len(onsets(np.zeros((10, 2)), RATE)) == 0


def test_shapes_and_tolerances_are_checked() -> None:
    with pytest.raises(BadUse, match="channels"):
        onsets(np.zeros(100), RATE)
    with pytest.raises(BadUse, match="tolerance"):
        match_onsets(np.zeros(1), np.zeros(1), -1.0)


def test_matching_by_hand() -> None:
    match = match_onsets(np.array([1.01, 1.04, 3.0]), np.array([1.0, 2.0]), 0.05)
    assert match.precision == pytest.approx(1 / 3)
    assert match.recall == pytest.approx(1 / 2)
    assert match.f1 == pytest.approx(0.4)
    np.testing.assert_allclose(match.delays, [0.01])
    assert match_onsets(np.zeros(0), np.zeros(0), 0.05)[:3] == (1.0, 1.0, 1.0)
    assert match_onsets(np.zeros(0), np.ones(1), 0.05).f1 == 0.0


@given(st.lists(st.floats(0, 100), max_size=12, unique=True), st.floats(-0.02, 0.02))
def test_a_list_matches_itself_moved_a_little(instants: list[float], shift: float) -> None:
    truth = np.unique(np.round(np.array(instants), 0))  # a second apart, so that pairs are unambiguous
    match = match_onsets(truth + shift, truth, 0.05)
    assert match.f1 == 1.0
    np.testing.assert_allclose(match.delays, shift, atol=1e-9)
