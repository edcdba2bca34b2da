"""A learned world against its real one, where every figure is known: a dot that moves as told, and beeps
at the edges. Faults are injected: frozen, deaf to actions, late to sound."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import orrery.evaluation.free_rollout as free_rollout_module
from orrery.evaluation.detector import Detector
from orrery.evaluation.free_rollout import as_recorded, free_rollout, random_actions
from orrery.evaluation.rollout import Windows, imagine_windows, measure_rollouts
from orrery.evaluation.things import (
    measure_amounts,
    measure_counterfactual,
    measure_judged,
    measure_sound,
    measure_things,
)
from orrery.evaluation.tick_cost import measure_tick_cost
from orrery.evaluation.tick_events import event_f1, number_events, onset_ticks
from orrery.streams import Clock, StreamSpec, WorldSpec

WIDTH, LOW, HIGH, SAMPLES = 32, 3, 28, 800
CLOCK = Clock(10, 1, 8000)
SPEC = WorldSpec(
    CLOCK,
    {
        s.name: s
        for s in (
            StreamSpec("video.main", "video", "observed", (1, 8, WIDTH, 3), "uint8"),
            StreamSpec("place", "vector", "observed", (1, 1), "float32"),
            StreamSpec("audio.main", "audio", "observed", (SAMPLES, 1), "float32", "", -1, 1),
            StreamSpec("action", "choice", "given", (1, 1), "int64", num_choices=3),
            StreamSpec("reward", "vector", "outcome", (1, 1), "float32"),
            StreamSpec("terminated", "choice", "outcome", (1, 1), "int64", num_choices=2),
        )
    },
)
TONE = 0.5 * np.sin(np.arange(SAMPLES) * 0.7) * np.exp(-np.arange(SAMPLES) / 60)


def emitted(place: np.ndarray, hit: np.ndarray) -> dict[str, np.ndarray]:
    """One tick of `[N]` places and hits."""
    frames = np.full((len(place), 1, 8, WIDTH, 3), 20, np.uint8)
    for k, x in enumerate(place.astype(int)):
        frames[k, :, 3:5, x - 1 : x + 1] = 230
    return {
        "video.main": frames,
        "place": place.astype(np.float32).reshape(-1, 1, 1),
        "audio.main": (hit[:, None] * TONE).astype(np.float32)[..., None],
        "reward": hit.astype(np.float32).reshape(-1, 1, 1),
        "terminated": np.zeros((len(place), 1, 1), np.int64),
    }


def moved(place: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The next places, and whether an edge is hit."""
    after = np.clip(place + 2 * (action.reshape(-1) - 1), LOW, HIGH)
    return after, ((after == LOW) | (after == HIGH)) & (after != place)


class Dot:
    """As an `ImaginedWorld`; fault: `frozen`, `deaf`, `late` or none."""

    def __init__(self, engine: Any = None, num_worlds: int = 1, fault: str = "") -> None:
        self.engine = engine or Engine()
        self.spec, self.num_worlds, self.fault = SPEC, num_worlds, fault

    def reset(self, seed: int, prompt: str | None = None, given: Mapping[str, Any] | None = None) -> Any:
        start = {"place": np.full((self.num_worlds, 1, 1, 1), 15.0)}
        self._given, self._at = dict(given or start), 0
        self._hits: list[np.ndarray] = []
        return self.step(None)

    def step(self, actions: Any) -> dict[str, np.ndarray]:
        if self._at < self._given["place"].shape[1]:
            self._place = self._given["place"][:, self._at, 0, 0].astype(float)
            hit = np.zeros(self.num_worlds, bool)
        else:
            chosen = np.ones((self.num_worlds, 1, 1), int) if actions is None else actions["action"]
            if self.fault == "deaf":
                chosen = np.full_like(chosen, self._at % 3)
            before = self._place
            self._place, hit = moved(before, chosen)
            if self.fault == "frozen":
                self._place, hit = before, np.zeros(self.num_worlds, bool)
        self._at += 1
        self._hits.append(hit)
        tick = emitted(self._place, hit)
        if self.fault == "late":
            heard = self._hits[-4] if len(self._hits) > 3 else np.zeros(self.num_worlds, bool)
            tick["audio.main"] = emitted(self._place, heard)["audio.main"]
        if hasattr(self.engine, "commit"):
            self.engine.commit(None, {"place": tick["place"]}, False)
        return tick


class Engine:
    """Latents are the numbers themselves."""

    spec = SPEC

    def empty(self, num_worlds: int, streams: Any) -> None:
        return None

    def encode(self, state: Any, name: str, payload: np.ndarray) -> tuple[np.ndarray, None]:
        return payload, None

    def decode(self, state: Any, name: str, latents: np.ndarray) -> tuple[np.ndarray, None]:
        return latents, None

    def commit(self, state: Any, latents: Any, is_real: bool = False) -> None:
        return None


def columns(streams: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where the dot is, `[N, T]`."""
    light = (streams["video.main"][:, :, 0, 3, :, 0] > 100).astype(float)
    return (light * np.arange(WIDTH)).sum(-1) / np.maximum(light.sum(-1), 1)


def hits_seen(streams: Mapping[str, np.ndarray]) -> np.ndarray:
    x = columns(streams)
    at = (x <= LOW) | (x >= HIGH - 0.5)
    return at & ~np.pad(at, ((0, 0), (1, 0)))[:, :-1]


DETECTOR = Detector(
    find=lambda s: {"dot": columns(s)[..., None]},
    events=hits_seen,
    amounts=lambda s: {"column": columns(s)},
    judged=lambda truth, context, made, seconds: {
        "end": {
            m: {"hits": int((columns(s) == columns(truth))[:, -1].sum()), "of": 12} for m, s in made.items()
        }
    },
    counterfactual=lambda a: ({"action": 0 * a["action"]}, {"action": 0 * a["action"] + 2}),
    answered=lambda context, a, b: columns(b)[:, -1] - columns(a)[:, -1],
)


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Twelve stretches of 8 + 40 ticks; actions are held for a while."""
    rng = np.random.default_rng(0)
    place = rng.integers(8, 24, 12).astype(float)
    ticks, action = [], np.ones((12, 1, 1), np.int64)
    for tick in range(48):
        if tick % 7 == 0:
            action = rng.integers(0, 3, (12, 1, 1))
        place, hit = moved(place, action)
        ticks.append({**emitted(place, hit), "action": action})
    return Windows({n: np.stack([t[n] for t in ticks], 1) for n in ticks[0]}, 8, ("",) * 12)


def world(fault: str = "") -> Any:
    return Dot(num_worlds=12, fault=fault)


def made_by(world: Any, windows: Windows) -> dict[str, Any]:
    rollouts = measure_rollouts(world, windows)
    return {"model": rollouts.films, "tokenizer": rollouts.decoded}


def test_a_perfect_world_errs_in_nothing(windows: Windows) -> None:
    figures = measure_rollouts(world(), windows)
    for name in ("video.main", "place"):
        for row in figures.by_horizon[name]:
            assert row["model"] == row["ceiling"] == 0
            assert (row["copy"] or 0) > 0
            assert (row["shuffled"] or 0) > 0
        assert (figures.actions_matter[name] or 0) > 1.5
    assert figures.outcomes["reward correlation"] == pytest.approx(1)
    assert figures.outcomes["reward F1"] == 1
    assert figures.outcomes["terminated F1"] is None
    assert set(figures.decoded) == {"video.main", "place", "audio.main"}


def test_a_world_that_is_deaf_to_actions_is_found_out(windows: Windows) -> None:
    figures = measure_rollouts(world("deaf"), windows)
    assert figures.actions_matter == {"video.main": 1.0, "place": 1.0}
    answer = measure_counterfactual(world("deaf"), windows, DETECTOR)
    assert answer["answered"]["share"] == 0
    assert answer["wrong way"]["share"] == 0
    assert measure_counterfactual(world(), windows, DETECTOR)["answered"]["share"] == 1


def test_a_frozen_world_is_no_better_than_copying(windows: Windows) -> None:
    figures = measure_rollouts(world("frozen"), windows)
    for row in figures.by_horizon["place"] + figures.by_horizon["video.main"]:
        assert row["model"] == pytest.approx(row["copy"])
    assert figures.outcomes["reward correlation"] == 0
    sound = measure_sound(DETECTOR, SPEC, windows, made_by(world("frozen"), windows))["audio.main"]
    assert sound["real onsets"] == 0


def test_late_sound_is_heard(windows: Windows) -> None:
    right = measure_sound(DETECTOR, SPEC, windows, made_by(world(), windows))["audio.main"]
    late = measure_sound(DETECTOR, SPEC, windows, made_by(world("late"), windows))["audio.main"]
    for name in ("real onsets", "imagined picture's events"):
        assert right[name] > 0.95, name
        assert late[name] < 0.5, name
    assert right["real picture's events"] == late["real picture's events"] > 0.95
    assert right["real onsets, tokenizer"] > 0.95


def test_things_are_there_and_in_their_places(windows: Windows) -> None:
    exact = measure_things(DETECTOR, windows, made_by(world(), windows), 0.1)["dot"]
    assert exact["model"]["there"] == exact["tokenizer"]["there"] == exact["real"]["there"] == 1
    assert all(row["apart"] == 0 for row in exact["model"]["by_horizon"])
    frozen = measure_things(DETECTOR, windows, made_by(world("frozen"), windows), 0.1)["dot"]
    assert frozen["model"]["by_horizon"][-1]["apart"] > 2
    amounts = measure_amounts(DETECTOR, windows, made_by(world(), windows), 0.1)["column"]
    assert amounts["model"]["ratio"] == pytest.approx(1)
    assert amounts["model"]["by_horizon"][0]["correlation"] == pytest.approx(1)
    ends = measure_judged(DETECTOR, windows, made_by(world(), windows), 0.1)["end"]
    assert ends["model"]["share"] == 1


def test_what_has_vanished_is_not_there(windows: Windows) -> None:
    made = {"model": {"video.main": np.zeros_like(windows.truth()["video.main"])}}
    nowhere = Detector(find=lambda s: {"dot": np.where(columns(s) > 0, columns(s), np.nan)[..., None]})
    figures = measure_things(nowhere, windows, made, 0.1)["dot"]
    assert figures["model"]["there"] == 0
    assert figures["model"]["by_horizon"][0]["apart"] is None


def test_minutes_alone(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_rollout_module, "ImaginedWorld", Dot)
    episodes = [{n: v[k : k + 1] for n, v in windows.streams.items()} for k in range(12)]
    act = as_recorded({"action": windows.streams["action"].reshape(-1, 1, 1)}, 12)
    shown: list[Any] = []
    free = free_rollout(Engine(), windows, act, 1.5, episodes, DETECTOR, shown.append)  # type: ignore[arg-type]
    assert len(free["by_minute"]) == 2
    assert len(shown) == 900
    assert free["ratio"]["video.main: share that moves"] == pytest.approx(1, abs=0.35)
    assert free["ratio"]["place latents: spread"] == pytest.approx(1, abs=0.35)
    assert free["by_minute"][0]["dot: there"] == 1
    assert free["by_minute"][0]["audio.main: onsets a minute"] > 5

    monkeypatch.setattr(free_rollout_module, "ImaginedWorld", lambda engine, num: Dot(engine, num, "frozen"))
    frozen = free_rollout(Engine(), windows, act, 0.5, episodes, DETECTOR)  # type: ignore[arg-type]
    assert frozen["by_minute"][0]["video.main: share that moves"] == 0
    assert frozen["ratio"]["audio.main: onsets a minute"] == 0


def test_random_actions_are_allowed_ones() -> None:
    act = random_actions(SPEC.of_role("given"))
    tick = act({"place": np.zeros((5, 1, 1))}, np.random.default_rng(0))
    SPEC.streams["action"].check(tick["action"])


def test_cost_is_of_every_length() -> None:
    engine = SimpleNamespace(spec=SPEC)
    cost = measure_tick_cost(Dot(engine, 2), (1.0, 3.0))  # type: ignore[arg-type]
    assert [row["seconds"] for row in cost["by_seconds"]] == [1.0, 3.0]
    assert cost["ticks_per_core_second"] > 100
    assert all(row["memory_mib"] > 10 for row in cost["by_seconds"])


def test_events_pair_once_and_within_a_tick() -> None:
    truth = np.zeros((1, 20), bool)
    truth[0, [3, 8, 15]] = True
    assert event_f1(truth, truth) == 1
    assert event_f1(truth, np.roll(truth, 1, 1)) == 1
    assert event_f1(truth, np.roll(truth, 2, 1)) == 0
    twice = truth | np.roll(truth, 1, 1)
    assert event_f1(truth, twice) == pytest.approx(2 * 3 / 9)
    assert np.isnan(event_f1(truth & False, truth & False))
    assert event_f1(truth, truth & False) == 0


def test_a_tone_that_ends_is_no_onset() -> None:
    audio = np.zeros((1, 20, SAMPLES, 1), np.float32)
    audio[0, 5:8, :, 0] = 0.3 * np.sin(np.arange(3 * SAMPLES) * 0.5).reshape(3, SAMPLES)
    assert list(np.flatnonzero(onset_ticks(audio, 8000)[0])) == [5]


def test_rewards_that_hardly_differ_are_no_events() -> None:
    values = np.array([[0.0, 0.001, 1.0, 0.0]])[..., None]
    assert number_events(values, 0.0, 0.4).tolist() == [[False, False, True, False]]


def test_only_actions_after_the_context_count(windows: Windows) -> None:
    actions = windows.streams["action"].copy()
    actions[:, : windows.context] = 0
    told = imagine_windows(world(), windows, {"action": actions})
    assert np.array_equal(told["place"], windows.truth()["place"])
