"""Clocks, specs and episodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.streams import Clock, Episode, StreamSpec, WorldSpec

CLOCK = Clock()
SPEC = WorldSpec(
    CLOCK,
    {
        s.name: s
        for s in [
            StreamSpec("video.main", "video", "observed", (2, 4, 4, 3), "uint8", "sRGB", 0, 255),
            StreamSpec("audio.main", "audio", "observed", (2000, 2), "float32", "full scale", -1.0, 1.0),
            StreamSpec("state", "vector", "observed", (2, 3, 29), "float32"),
        ]
    },
)


def test_default_clock_is_a_twelfth_of_a_second() -> None:
    assert CLOCK.tick_seconds == pytest.approx(1 / 12)
    assert CLOCK.samples_per_tick == 2000
    assert CLOCK.ticks_per_second == 12


@given(
    frames_per_second=st.integers(1, 120),
    frames_per_tick=st.integers(1, 4),
    samples_per_frame=st.integers(1, 2000),
    seconds=st.floats(0.001, 1000),
)
def test_num_ticks_is_the_fewest_that_cover(
    frames_per_second: int, frames_per_tick: int, samples_per_frame: int, seconds: float
) -> None:
    clock = Clock(frames_per_second, frames_per_tick, samples_per_frame * frames_per_second)
    assert clock.samples_per_tick == samples_per_frame * frames_per_tick
    ticks = clock.num_ticks(seconds)
    assert ticks * clock.tick_seconds >= seconds * (1 - 1e-6) - 1e-6
    assert ticks == 1 or (ticks - 1) * clock.tick_seconds < seconds


@pytest.mark.parametrize("rates", [(24, 1, 24_001), (0, 2, 24_000), (24, -2, 24_000), (24, 2, 0)])
def test_impossible_clocks_are_refused(rates: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"[Cc]lock"):
        Clock(*rates)


def test_spec_survives_json() -> None:
    assert WorldSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_spec_of_an_older_data_set_is_read() -> None:
    older = SPEC.to_json() | {"state": {"shapes": ["ball"], "materials": ["wood"]}}
    assert WorldSpec.from_json(older) == SPEC


def test_the_environment_survives_json_and_a_choice_of_streams() -> None:
    spec = WorldSpec(CLOCK, SPEC.streams, environment={"id": "CartPole-v1"})
    again = WorldSpec.from_json(json.loads(json.dumps(spec.to_json()))).only(["state"])
    assert again.environment == {"id": "CartPole-v1"}
    assert "environment" not in SPEC.to_json()


def test_an_earlier_form_told_kind_and_role_by_the_name() -> None:
    names = ["video.main", "audio.main", "state", "touch.finger", "action", "reward"]
    old = [
        {"name": n, "shape": [1, 2], "dtype": "float32", "unit": "", "low": None, "high": None} for n in names
    ]
    read = [StreamSpec.from_json(values) for values in old]
    assert [(s.kind, s.role) for s in read] == [
        ("video", "observed"),
        ("audio", "observed"),
        ("vector", "observed"),
        ("vector", "observed"),
        ("vector", "given"),
        ("vector", "outcome"),
    ]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (("x", "smell", "observed", (1, 1), "float32"), "kind is one of video"),
        (("x", "vector", "wanted", (1, 1), "float32"), "role one of given"),
        (("x", "choice", "given", (1, 1), "int64"), "num_choices"),
        (("x", "vector", "given", (1, 1), "float32", "", None, None, 3), "num_choices"),
        (("x", "choice", "given", (1, 2), "int64", "", None, None, 3), "one int64 index"),
        (("x", "choice", "given", (1, 1), "float32", "", None, None, 3), "one int64 index"),
        (("x", "audio", "observed", (1, 2), "float32", "", None, None, 0, 2), "groups"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(values: tuple, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        StreamSpec(*values)


def test_a_choice_is_an_index_of_its_possibilities() -> None:
    spec = StreamSpec("action", "choice", "given", (1, 1), "int64", num_choices=3)
    spec.check(np.array([[[2]]]))
    with pytest.raises(ValueError, match="action: 3 is over 2"):
        spec.check(np.array([[[3]]]))


def test_spec_selects_by_kind_and_name() -> None:
    assert [s.name for s in SPEC.of_kind("audio")] == ["audio.main"]
    assert [s.name for s in SPEC.named("video")] == ["video.main"]
    assert [s.name for s in SPEC.of_role("observed")] == list(SPEC.streams)
    assert list(SPEC.only(["state", "video.main"]).streams) == ["video.main", "state"]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (np.zeros((1, 2000, 1), np.float32), "expected"),
        (np.zeros((1, 2000, 2), np.float64), "float64"),
        (np.full((1, 2000, 2), np.nan, np.float32), "finite"),
        (np.full((1, 2000, 2), -1.1, np.float32), "under"),
        (np.full((1, 2000, 2), 1.1, np.float32), "over"),
    ],
)
def test_a_payload_that_breaks_its_spec_is_named(value: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"audio.main.*{complaint}"):
        SPEC.streams["audio.main"].check(value)


def test_zeros_are_a_payload() -> None:
    for spec in SPEC.streams.values():
        zeros = spec.zeros(3, 5)
        assert zeros.shape == (3, 5, *spec.shape)
        spec.check(zeros, num_leading=2)


def test_episode_of_uneven_streams_is_refused() -> None:
    streams = {name: spec.zeros(4) for name, spec in SPEC.streams.items()}
    episode = Episode(SPEC, streams)
    assert episode.num_ticks == 4
    episode.check()
    streams["state"] = streams["state"][:3]
    with pytest.raises(ValueError, match="state: 3 ticks where others have 4"):
        episode.check()
