"""Statistics of episodes, and of many together."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.data.stats import merge_stats, stats_of
from orrery.streams import StreamSpec

STATE = StreamSpec("state", "vector", "observed", (2, 3), "float32")


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), offset=st.floats(-100, 100))
def test_merged_is_what_all_rows_together_give(lengths: list[int], offset: float) -> None:
    rng = np.random.default_rng(0)
    episodes = [rng.normal(offset * k, 1 + k, (n, 3)) for k, n in enumerate(lengths)]
    merged = merge_stats([stats_of(STATE, rows) for rows in episodes])
    together = stats_of(STATE, np.concatenate(episodes))
    for key in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(merged[key], together[key], rtol=1e-9, atol=1e-9)
    assert merged["count"] == together["count"] == [sum(lengths)]


def test_vectors_are_counted_by_element() -> None:
    stats = stats_of(STATE, np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    assert stats == {
        "min": [0.0, 1.0, 0.0],
        "max": [2.0, 1.0, 2.0],
        "mean": [1.0, 1.0, 1.0],
        "std": [1.0, 0.0, 1.0],
        "count": [2],
    }


def test_sound_has_one_number() -> None:
    spec = StreamSpec("audio.main", "audio", "observed", (4, 2), "float32")
    stats = stats_of(spec, np.tile(np.array([-1.0, 1.0]), (5, 4)))
    assert (stats["mean"], stats["std"], stats["count"]) == ([0.0], [1.0], [5])


def test_pictures_have_one_number_a_channel_between_0_and_1() -> None:
    spec = StreamSpec("video.main", "video", "observed", (2, 4, 4, 3), "uint8")
    frames = np.zeros((24, 4, 4, 3), np.uint8)
    frames[..., 0], frames[12:, ..., 1] = 255, 255
    stats = stats_of(spec, frames)
    assert np.shape(stats["mean"]) == (3, 1, 1)
    assert np.ravel(stats["mean"]).tolist() == pytest.approx([1.0, 0.5, 0.0])
    assert np.ravel(stats["max"]).tolist() == [1.0, 1.0, 0.0]


def test_the_largest_numbers_have_finite_statistics() -> None:
    """Of 1e300 the square is no float64."""
    spec = StreamSpec("state", "vector", "observed", (1, 2), "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = [stats_of(spec, np.array([[sign * 1e300, 1], [sign * 1e300, 3]])) for sign in (1, -1)]
        merged = merge_stats(parts)
    assert (merged["min"], merged["max"], merged["mean"]) == ([-1e300, 1], [1e300, 3], [0, 2])
    np.testing.assert_allclose(merged["std"][0], 1e300)
