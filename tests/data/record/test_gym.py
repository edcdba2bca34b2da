"""`gym:` records what an environment shows, sounds and observes, and what was done in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402

from orrery.data.dataset import Dataset  # noqa: E402
from orrery.data.layout import column_of  # noqa: E402
from orrery.data.record.collect import collect  # noqa: E402
from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.worlds.gymnasium.make import make_environment  # noqa: E402
from orrery.worlds.gymnasium.spaces import space_from_json  # noqa: E402

FilesOf = Callable[[Path], dict[str, bytes]]
SMALL: dict[str, Any] = {"seconds": 2.0, "image_size": 16, "progress": False}
LENGTH, RATE, SAMPLES = 12, 10, 40


class Counter(gymnasium.Env):
    """Counts its steps in every sense: the picture's grey, the samples, a depth, a label, a number."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": RATE}  # noqa: RUF012
    fails_at: int | None = None

    def __init__(self, render_mode: str | None = None, start: int = 0) -> None:
        self.render_mode, self.start = render_mode, start
        self.action_space = spaces.MultiDiscrete([2, 3])
        self.observation_space = spaces.Dict(
            {
                "sound": spaces.Box(0, 255, (SAMPLES,), np.uint8),
                "depth": spaces.Box(0, 255, (8, 8, 1), np.uint8),
                "labels": spaces.Box(0, 255, (8, 8, 1), np.uint8),
                "speed": spaces.Box(-9, 9, (2,), np.float32),
            }
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.count, self.luck = self.start, int(self.np_random.integers(100))
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        if self.count == self.fails_at and self.luck % 2:
            raise RuntimeError("the wheel came off")
        return self._seen(), float(np.sum(action)), self.count == LENGTH, False, {}

    def render(self) -> Any:
        return np.full((8, 12, 3), 10 * self.count, np.uint8)

    def _seen(self) -> dict[str, Any]:
        grid = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
        return {
            "sound": np.full(SAMPLES, 128 + self.count, np.uint8),
            "depth": np.full((8, 8, 1), self.count, np.uint8),
            "labels": grid,
            "speed": np.array([self.count, self.luck / 100], np.float32),
        }


class Blind(Counter):
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for name, env in (("OrreryCounter-v1", Counter), ("OrreryBlind-v0", Blind)):
        gymnasium.register(name, entry_point=env, disable_env_checker=True)
    yield
    for name in ("OrreryCounter-v1", "OrreryBlind-v0"):
        del gymnasium.registry[name]


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orrery_test_policies.py").write_text(
        "def second(seen, rng, env): return [1, int(seen['speed'][0]) % 3]\n"
        "def short(seen, rng, env): return [1]\n"
        "def crash(seen, rng, env): return 1 / 0\n"
        "def left(tick, rng, world): return [-0.5]\n"
        "def wide(tick, rng, world): return [[0.1, 0.2]]\n"
        "def memory(seen, rng, env): return [env.count % 2, 2]\n"
        "class Counting:\n"
        "    calls = 0\n"
        "    def __call__(self, seen, rng, env):\n"
        "        self.calls += 1\n"
        "        return [0, self.calls % 3]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "orrery_test_policies", raising=False)


def test_every_sense_of_every_step_is_recorded(tmp_path: Path, policies: None) -> None:
    report = collect("gym:OrreryCounter", tmp_path / "d", 2, policy="orrery_test_policies:second", **SMALL)
    assert (report.num_episodes, report.dropped) == (2, {})
    dataset = Dataset(tmp_path / "d")
    clock = dataset.spec.clock
    assert (clock.frames_per_second, clock.frames_per_tick, clock.samples_per_tick) == (RATE, 1, SAMPLES)
    steps = np.arange(LENGTH + 1)
    assert dataset.num_ticks(0) == LENGTH + 1  # the environment's own end
    streams = dataset.load(0)
    np.testing.assert_allclose(streams["video.main"][:, 0].mean((1, 2, 3)), 10 * steps, atol=2)
    np.testing.assert_allclose(streams["audio.main"], np.broadcast_to(steps / 128, (40, 13)).T[..., None])
    assert streams["depth.main"].dtype == np.uint8
    np.testing.assert_array_equal(streams["depth.main"][:, 0, 5, 5], steps)
    labels = streams["segmentation.main"][3, 0]
    assert labels.shape == (16, 16)
    assert labels[0, 0] == 0
    assert labels[15, 15] == 63
    assert len(np.unique(labels)) == 64
    np.testing.assert_array_equal(streams["observation.speed"][:, 0, 0], steps)
    np.testing.assert_array_equal(streams["action.0"][1:, 0, 0], np.ones(LENGTH))
    np.testing.assert_array_equal(streams["action.1"][1:, 0, 0], [(k - 1) % 3 for k in steps[1:]])
    assert streams["action.1"].dtype == np.int64
    np.testing.assert_array_equal(streams["reward"][1:, 0, 0], [1 + (k - 1) % 3 for k in steps[1:]])
    np.testing.assert_array_equal(streams["terminated"][:, 0, 0], [0] * LENGTH + [1])
    assert space_from_json(dataset.spec.environment["observation_space"]) == Counter().observation_space
    assert dataset.spec.environment["id"] == "OrreryCounter-v1"
    (end,) = dataset.events(0)
    assert (end.kind, end.seconds) == ("terminated", pytest.approx(1.3))


def test_columns_have_the_names_that_lerobot_gives_them() -> None:
    assert column_of("reward") == "next.reward"
    assert column_of("terminated") == "next.terminated"
    assert column_of("observation") == column_of("proprioception") == "observation.state"
    assert column_of("observation.speed") == "observation.speed"
    assert column_of("action.0") == "action.0"
    assert column_of("depth.main") == "observation.depth.main"


def test_chance_repeats_from_the_seed_in_any_number_of_processes(tmp_path: Path, files_of: FilesOf) -> None:
    """Worker processes know no environment of this test, so this one is Gymnasium's own."""
    pytest.importorskip("pygame")
    for name, workers in (("one", 1), ("two", 2)):
        collect("gym:CartPole-v1", tmp_path / name, 4, seed=5, num_workers=workers, **SMALL)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    dataset = Dataset(tmp_path / "one")
    assert dataset.spec.clock.frames_per_second == 50
    assert len({dataset.num_ticks(i) for i in range(4)}) > 1
    assert dataset.load(0)["observation"].shape[-1] == 4


def test_a_shorter_time_cuts_an_episode(tmp_path: Path) -> None:
    collect("gym:OrreryCounter-v1", tmp_path / "d", 1, seconds=0.5, image_size=16, progress=False)
    dataset = Dataset(tmp_path / "d")
    assert dataset.num_ticks(0) == 5
    assert dataset.events(0) == []


def test_options_reach_the_environment(tmp_path: Path) -> None:
    collect("gym:OrreryCounter-v1?start=3", tmp_path / "d", 1, streams=["observation.speed"], **SMALL)
    speed = Dataset(tmp_path / "d").load(0)["observation.speed"]
    np.testing.assert_array_equal(speed[:, 0, 0], np.arange(3, LENGTH + 1))


def test_an_environment_that_raises_costs_its_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counter, "fails_at", 5)
    report = collect("gym:OrreryCounter-v1", tmp_path / "d", 8, **SMALL)
    assert 0 < len(report.dropped) < 8
    assert set(report.dropped.values()) == {
        "the environment failed in step 5: RuntimeError: the wheel came off"
    }
    assert report.num_episodes == 8 - len(report.dropped) == len(Dataset(tmp_path / "d"))


@pytest.mark.parametrize(
    ("source", "options", "error", "said"),
    [
        ("gym:OrreryCountr-v1", {}, BadUse, "no environment 'OrreryCountr-v1'; perhaps OrreryCounter-v1"),
        ("gym:nowhere:Thing-v0", {}, UserError, "no module nowhere"),
        ("gym:OrreryCounter-v1?speed", {}, BadUse, "'speed' is no option"),
        ("gym:OrreryCounter-v1?wings=2", {}, UserError, "with wings"),
        ("gym:OrreryCounter-v1", {"streams": ["dept.main"]}, BadUse, "no stream 'dept.main'; perhaps depth"),
        ("gym:OrreryCounter-v1", {"policy": "orrery_test_policies:short"}, BadUse, r"returned \[1\] int64"),
        ("gym:OrreryCounter-v1", {"policy": "orrery_test_policies:secnd"}, BadUse, "it has second"),
        ("gym:OrreryCounter-v1", {"policy": "orrery_test_policys:second"}, UserError, "cannot be imported"),
        ("gym:OrreryCounter-v1", {"policy": "second"}, BadUse, "MODULE:FUNCTION or FILE.py:FUNCTION"),
        ("gym:OrreryCounter-v1", {"policy": "nowhere.py:second"}, UserError, "nowhere.py cannot be imported"),
        ("dummy", {"policy": "orrery_test_policies:wide"}, BadUse, r"returned \[1, 2\] float32; .*\[1\]"),
        ("dummy", {"policy": "random", "streams": ["state"]}, BadUse, "needs the stream action"),
        ("gim:OrreryCounter-v1", {}, BadUse, "no source of episodes; .*gym:"),
        ("gym:", {}, BadUse, "no source of episodes"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_nothing_is_recorded(
    tmp_path: Path, policies: None, source: str, options: dict[str, Any], error: type[UserError], said: str
) -> None:
    with pytest.raises(error, match=said):
        collect(source, tmp_path / "d", 2, **SMALL, **options)
    assert not (tmp_path / "d/meta").exists()


def test_a_policy_that_fails_costs_the_episode_and_says_so(tmp_path: Path, policies: None) -> None:
    report = collect("gym:OrreryCounter-v1", tmp_path / "d", 1, policy="orrery_test_policies:crash", **SMALL)
    assert report.dropped == {0: "the policy failed: ZeroDivisionError: division by zero"}


def test_policies_act_in_our_own_worlds(tmp_path: Path, policies: None) -> None:
    collect("dummy", tmp_path / "left", 1, policy="orrery_test_policies:left", **SMALL)
    assert set(np.unique(Dataset(tmp_path / "left").load(0)["action"][1:])) == {-0.5}
    collect("dummy", tmp_path / "any", 1, policy="random", **SMALL)
    actions = Dataset(tmp_path / "any").load(0)["action"][1:]
    assert actions.min() < -0.5
    assert actions.max() > 0.5
    with pytest.raises(UserError, match="policy is 'random' there"):
        collect("dummy", tmp_path / "any", 1, policy="orrery_test_policies:left", **SMALL)


def test_a_policy_may_be_a_file_read_the_environment_and_remember(tmp_path: Path, policies: None) -> None:
    file = tmp_path / "orrery_test_policies.py"
    for name, policy in (("m", f"{file}:memory"), ("c", "orrery_test_policies.py:Counting")):
        collect("gym:OrreryCounter", tmp_path / name, 2, policy=policy, **SMALL)
    reads = Dataset(tmp_path / "m").load(0)["action.0"].ravel()
    np.testing.assert_array_equal(reads[1:], np.arange(LENGTH) % 2)
    for number in range(2):  # another object for each episode
        remembers = Dataset(tmp_path / "c").load(number)["action.1"].ravel()
        np.testing.assert_array_equal(remembers[1:], np.arange(1, LENGTH + 1) % 3)


@pytest.mark.parametrize(("asked", "shape"), [(None, (96, 96)), (32, (32, 32)), ((16, 24), (16, 24))])
def test_pictures_are_square_or_as_asked(tmp_path: Path, asked: Any, shape: tuple[int, int]) -> None:
    collect("gym:OrreryCounter-v1", tmp_path / "d", 1, seconds=0.5, image_size=asked, progress=False)
    assert Dataset(tmp_path / "d").spec.streams["video.main"].shape == (1, *shape, 3)


def test_an_environment_without_pictures_is_recorded(tmp_path: Path) -> None:
    collect("gym:OrreryBlind-v0", tmp_path / "d", 1, **SMALL)
    dataset = Dataset(tmp_path / "d")
    assert dataset.spec.of_kind("video") == []
    assert dataset.num_ticks(0) == LENGTH + 1


def test_other_readers_are_told_where_an_episode_is_done(tmp_path: Path) -> None:
    collect("gym:OrreryCounter", tmp_path / "d", 1, **SMALL)
    table = pq.read_table(tmp_path / "d/data/chunk-000/file-000.parquet")
    assert table["next.terminated"].to_pylist() == [0] * (LENGTH - 1) + [1, 0]
    assert table["next.done"].to_pylist() == [False] * (LENGTH - 1) + [True, True]
    collect("gym:OrreryCounter", tmp_path / "cut", 1, seconds=0.5, image_size=16, progress=False)
    cut = pq.read_table(tmp_path / "cut/data/chunk-000/file-000.parquet")
    assert cut["next.done"].to_pylist() == [False] * 4 + [True]


def test_atari_is_recorded_with_its_sound(tmp_path: Path) -> None:
    pytest.importorskip("ale_py")
    collect("gym:ALE/Pong-v5", tmp_path / "d", 1, seconds=4.0, image_size=32, progress=False)
    dataset = Dataset(tmp_path / "d")
    clock = dataset.spec.clock
    assert (clock.frames_per_second, clock.samples_per_tick) == (15, 2048)
    streams = dataset.load(0)
    assert streams["video.main"].shape == (60, 1, 32, 32, 3)
    assert streams["audio.main"].shape == (60, 2048, 1)
    assert streams["action"].max() > 2
    assert 0.2 < np.ptp(streams["audio.main"]) <= 1
    assert np.ptp(streams["video.main"].astype(float), axis=0).max() > 50


@pytest.mark.slow
def test_doom_is_recorded_with_sound_depth_and_labels(tmp_path: Path) -> None:
    pytest.importorskip("vizdoom")
    from ctypes.util import find_library

    name = "gym:VizdoomDefendCenter?depth_buffer_enabled=true&labels_buffer_enabled=true"
    collect(name, tmp_path / "d", 1, seconds=3.0, image_size=64, progress=False)
    dataset = Dataset(tmp_path / "d")
    streams = dataset.load(0)
    assert dataset.spec.clock.frames_per_second == 35
    assert streams["depth.main"].shape == streams["segmentation.main"].shape == (105, 1, 64, 64)
    assert np.ptp(streams["depth.main"]) > 20
    assert len(np.unique(streams["segmentation.main"])) > 2
    if find_library("openal") is None:
        assert "audio.main" not in streams
        pytest.skip("without libopenal1 ViZDoom has no sound")
    assert streams["audio.main"].shape == (105, 1260, 2)
    assert np.abs(streams["audio.main"]).max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_no_game_goes_on_when_its_recording_is_done(tmp_path: Path, workers: int) -> None:
    """ViZDoom runs in a process of its own, which holds on to this pipe as long as it lives."""
    pytest.importorskip("vizdoom")
    command = ["collect", "gym:VizdoomBasic-v1", "--out", "d", "--episodes", "2", "--seconds", "0.5"]
    run = [sys.executable, "-m", "orrery.cli", *command, "--workers", str(workers)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(Dataset(tmp_path / "d")) == 2


@pytest.mark.parametrize("fails_at", [None, 5])
def test_every_environment_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int | None
) -> None:
    """Also one that raised, in whose place another is made."""
    made: list[Counter] = []
    closed: list[Counter] = []
    first = Counter.__init__
    monkeypatch.setattr(
        Counter, "__init__", lambda self, *a, **k: (first(self, *a, **k), made.append(self))[0]
    )
    monkeypatch.setattr(Counter, "close", lambda self: closed.append(self))
    monkeypatch.setattr(Counter, "fails_at", fails_at)
    collect("gym:OrreryCounter", tmp_path / "d", 6, num_workers=1, **SMALL)
    assert {id(env) for env in made} == {id(env) for env in closed}
    assert len(made) > 2 if fails_at else len(made) == 2  # one for the spec, one to record with


def test_an_environment_that_cannot_be_closed_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorders: list[Any] = []

    def close(self: Any) -> None:
        recorders.append(self)
        raise RuntimeError("the door is stuck")

    monkeypatch.setattr("orrery.data.record.gym._GymRecorder.close", close)
    monkeypatch.setattr(Counter, "fails_at", 5)
    report = collect("gym:OrreryCounter", tmp_path / "d", 12, num_workers=1, **SMALL)
    assert len(recorders) > 1
    assert report.dropped
    assert report.num_episodes == len(Dataset(tmp_path / "d")) == 12 - len(report.dropped)


@pytest.mark.parametrize("identity", ["orrery/dummy-v0"])
def test_our_worlds_are_made_by_their_ids(identity: str) -> None:
    env = make_environment(f"{identity}?image_size=16&max_ticks=4")
    check_env(env.unwrapped)
    env.reset(seed=0)
    assert env.render().shape == (16, 16, 3)
    assert [env.step(env.action_space.sample())[3] for _ in range(4)] == [False, False, False, True]


@pytest.mark.slow
def test_the_tabletop_is_made_by_its_id() -> None:
    pytest.importorskip("mujoco_warp")
    env = gymnasium.make("orrery/tabletop-v0", image_size=32, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.reset(seed=1)
    assert env.render().shape == (32, 32, 3)
