"""`gym:` with environments that are odd: all that they observe is recorded, and what is not is told."""

from __future__ import annotations

import json
import math
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

gymnasium = pytest.importorskip("gymnasium")
import odd_environments as odd  # noqa: E402
from gymnasium import spaces  # noqa: E402

from orrery.cli import main  # noqa: E402
from orrery.data.dataset import Dataset  # noqa: E402
from orrery.data.record.collect import CollectReport, collect  # noqa: E402
from orrery.data.verify import verify  # noqa: E402
from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.inference.inspect import inspect  # noqa: E402
from orrery.streams import Array  # noqa: E402
from orrery.worlds.gymnasium.layout import action_layout, observation_layout  # noqa: E402
from orrery.worlds.gymnasium.spaces import space_from_json  # noqa: E402

LENGTH = odd.LENGTH
STEPS = np.arange(LENGTH + 1)
NO_RATE = "the environment states no rate (render_fps); 24 steps a second are assumed"


def recorded(out: Path, name: str, **options: Any) -> tuple[CollectReport, Dataset]:
    options = {"image_size": (32, 48), "progress": False, "seconds": 2.0} | options
    report = collect(f"gym:{odd.NAMESPACE}/{name}-v0", out, 2, **options)
    return report, Dataset(out)


def observations(dataset: Dataset, number: int) -> list[Any]:
    """What the environment observed in each tick, from the data set alone."""
    layout = observation_layout(space_from_json(dataset.spec.environment["observation_space"]))
    streams = dataset.load(number, list(layout.streams))
    num_ticks = dataset.num_ticks(number)
    return [layout.from_streams({n: v[t] for n, v in streams.items()}) for t in range(num_ticks)]


def bright_columns(video: Array) -> list[float]:
    """The middle of the bright column of each tick `[T, 1, H, W, 3]`."""
    lit = video[:, 0].mean((1, 3)) > 128
    return [float(np.flatnonzero(row).mean()) for row in lit]


@pytest.mark.parametrize(
    "name",
    ["NoModes", "ListRender", "Float255", "Rgba", "Grey2d", "Int64", "NegStride", "OverWhite", "ReadOnly"],
)
def test_every_form_of_picture_is_recorded(tmp_path: Path, name: str) -> None:
    report, dataset = recorded(tmp_path / "d", name)
    assert (report.num_episodes, report.dropped, report.skipped) == (2, {}, {})
    assert list(report.notes) == ([NO_RATE] if name == "NoModes" else [])
    columns = 3.5 + 8 * STEPS[:6]
    seen = bright_columns(dataset.load(1)["video.main"][:6])
    assert seen == (47 - columns if name == "NegStride" else columns).tolist()


def test_discrete_and_tuples_come_back(tmp_path: Path) -> None:
    _, dataset = recorded(tmp_path / "d", "DiscreteObs")
    assert [int(o) for o in observations(dataset, 1)] == STEPS.tolist()
    assert dataset.spec.streams["observation"].num_choices == 500
    _, dataset = recorded(tmp_path / "t", "TupleObs")
    assert [tuple(map(int, o)) for o in observations(dataset, 0)] == [(t, 3) for t in STEPS]


def test_what_is_nested_comes_back_with_its_text(tmp_path: Path) -> None:
    _, dataset = recorded(tmp_path / "d", "NestedObs")
    assert space_from_json(dataset.spec.environment["observation_space"]) == odd.MISSION
    for t, seen in enumerate(observations(dataset, 1)):
        assert seen["mission"] == "pick up the ball"
        np.testing.assert_array_equal(seen["robot"]["qpos"], np.full(7, t / 8, np.float32))
        assert seen["robot"]["grip"] == 1


def test_several_cameras_are_streams_each(tmp_path: Path) -> None:
    _, dataset = recorded(tmp_path / "d", "Cameras")
    names = {spec.name for spec in dataset.spec.of_kind("video")}
    assert names == {"video.main", "video.pixels.wrist"}
    streams = dataset.load(0)
    columns = 3.5 + 8 * STEPS[:6]
    assert bright_columns(streams["video.main"][:6]) == columns.tolist()
    assert bright_columns(streams["video.pixels.wrist"][:6]) == (47 - columns).tolist()
    seen = observations(dataset, 0)[2]["pixels"]["wrist"]
    assert seen.shape == (32, 48, 3)
    assert np.abs(seen.astype(int) - odd.Base.render(_at(2))[:, ::-1]).mean() < 6


def _at(t: int) -> Any:
    env = odd.Base()
    env.t = t
    return env


def test_rewards_as_arrays_lose_no_episode(tmp_path: Path) -> None:
    report, dataset = recorded(tmp_path / "d", "ArrayReward")
    assert (report.num_episodes, report.dropped) == (2, {})
    streams = dataset.load(1)
    assert streams["reward"].ravel().tolist() == [0.0] + [1.0] * LENGTH
    assert streams["terminated"].ravel().tolist() == [0] * LENGTH + [1]


def test_numbers_that_are_none_give_way_and_are_counted(tmp_path: Path) -> None:
    report, dataset = recorded(tmp_path / "d", "SomeNan")
    values = dataset.load(0)["observation"][:, 0]
    np.testing.assert_array_equal(values[:, 0], np.array([0, 1, 2, 2, 4, 5, 6]) / 8)
    np.testing.assert_array_equal(values[:, 1], [0.5] * 7)
    np.testing.assert_array_equal(values[:, 2], [7.0] * 7)
    counts = {what.partition(":")[2].strip().split()[0]: often for what, often in report.notes.items()}
    assert counts == {"not": "2 episodes (8 ticks)", "outside": "2 episodes (14 ticks)"}
    plan = json.loads((tmp_path / "d/meta/plan.json").read_text())
    assert plan == {"notes": report.notes}
    assert dataset.notes() == report.notes
    assert not verify(tmp_path / "d")
    (told,) = [value for name, value in inspect(tmp_path / "d").facts if name == "notes"]
    assert told.startswith("2\n")
    assert "8 ticks" in told


def test_nothing_but_such_numbers_is_recorded_too(tmp_path: Path) -> None:
    report, dataset = recorded(tmp_path / "d", "NanObs")
    assert report.num_episodes == 2
    assert not dataset.load(0)["observation"].any()
    (often,) = report.notes.values()
    assert often == f"2 episodes ({2 * (LENGTH + 1)} ticks)"
    report, dataset = recorded(tmp_path / "r", "NanReward")
    assert not dataset.load(0)["reward"].any()
    (what,) = report.notes
    assert what.startswith("reward: not finite")


@pytest.mark.parametrize(
    ("name", "note", "num_ticks"),
    [
        ("MoreParts", "observation.d: not in the observation space", 3),
        ("MoreParts", "observation.in.c: not in the observation space", LENGTH + 1),
        ("LongTuple", "observation.1: not in the observation space", LENGTH + 1),
        ("Loud", "video.main: a colour is outside of its space; the nearest one is in its place", 1),
        (
            "Shares",
            "video.main: a colour is not whole where its space says bytes; it was rounded",
            LENGTH + 1,
        ),
        ("NanColours", "video.main: a colour is not finite .*", 1),
        ("BothEnds", "the episode terminated and was truncated in one step; recorded as terminated", 1),
        ("GreatReward", "reward: a whole number beyond 16,777,216, rounded to float32", 3),
        ("Huge", "observation: not finite in float32 .*", 1),
        ("HugeBounds", "observation: not finite in float32 .*", 1),
        ("HugeColours", "video.main: a colour is outside of its space; .*", 1),
        ("Fractions", "observation: not whole where its space says so; recorded as it is", LENGTH),
        ("Digits", "observation: more digits than float32 holds, rounded", LENGTH - 1),
        ("Digits", "observation: a whole number beyond 16,777,216, rounded to float32", 1),
        ("Digits", "observation: too small for float32; 0 is in its place", 1),
        ("OtherLetters", "observation: letters that its space has not; recorded as they are", LENGTH - 1),
        ("FineReward", "reward: more digits than float32 holds, rounded", LENGTH),
        *((f"Rate{rate}", re.escape(NO_RATE), LENGTH + 1) for rate in ("fast", "nan", "-5", "0")),
    ],
)
def test_what_was_changed_is_counted(tmp_path: Path, name: str, note: str, num_ticks: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        report, _ = recorded(tmp_path / "d", name)
    assert (report.num_episodes, report.dropped) == (2, {})
    told = [count for what, count in report.notes.items() if re.fullmatch(note, what)]
    assert told == [f"2 episodes ({2 * num_ticks} ticks)"]


def test_endings_in_lists_end_no_episode_early(tmp_path: Path) -> None:
    report, dataset = recorded(tmp_path / "d", "ListEnds")
    assert (report.notes, dataset.num_ticks(1)) == ({}, LENGTH + 1)
    assert dataset.load(1)["reward"].ravel().tolist() == [0.0] + [2.0] * LENGTH


def test_labels_keep_every_digit_when_a_map_is_made_smaller(tmp_path: Path) -> None:
    _, dataset = recorded(tmp_path / "d", "ManyLabels")
    labels = dataset.load(1)["segmentation.main"]
    assert labels.shape[-2:] == (32, 48)
    assert (labels == 2**30 + 1 + STEPS.reshape(-1, 1, 1, 1)).all()


def test_what_closing_raises_costs_nothing(tmp_path: Path) -> None:
    assert recorded(tmp_path / "d", "Closing")[0].num_episodes == 2


def test_a_reset_without_info_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gave no dictionary of info.*wrap it with shimmy"):
        recorded(tmp_path / "d", "BareReset")


def test_what_is_noted_outlives_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orrery.data.record.collect.finalize", stop)
    options: dict[str, Any] = {"seconds": 2.0, "progress": False, "image_size": 16}
    name = f"gym:{odd.NAMESPACE}/EndsAtOnce-v0"
    assert collect(name, tmp_path / "d", 2, **options).stopped
    monkeypatch.undo()
    report = collect(name, tmp_path / "d", 3, **options)
    assert report.notes == {"the episode ends with its first step": "3 episodes (3 ticks)"}
    assert report.num_new == 1


def test_a_part_that_was_half_deleted_is_counted_once(tmp_path: Path) -> None:
    """As a kill leaves it between the last two steps of a finalize."""
    name, options = f"gym:{odd.NAMESPACE}/EndsAtOnce-v0", {"seconds": 2.0, "progress": False}
    collect(name, tmp_path / "d", 2, image_size=16, **options)
    (tmp_path / "d/.part/episode-000001").mkdir(parents=True)
    report = collect(name, tmp_path / "d", 2, image_size=16, **options)
    assert report.notes == {"the episode ends with its first step": "2 episodes (2 ticks)"}


def test_what_no_stream_holds_is_counted_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, dataset = recorded(tmp_path / "d", "Sequence")
    why = {"observation.list": "Sequence(Discrete(2), stack=False), which no stream can hold"}
    assert report.skipped == dataset.left_out() == why
    assert [int(seen["place"]) for seen in observations(dataset, 0)] == STEPS.tolist()
    again, _ = recorded(tmp_path / "d", "Sequence")
    assert (again.num_new, again.skipped) == (0, why)
    command = ["collect", f"gym:{odd.NAMESPACE}/NoneRender-v0", "--out", str(tmp_path / "n")]
    assert main([*command, "--episodes", "1", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "left out video.main: the environment's render() gives no picture" in said
    assert "1 things left out" in said
    assert main(["inspect", str(tmp_path / "n")]) == 0
    assert "video.main: the environment's render() gives no picture" in capsys.readouterr().out


def test_nothing_of_gymnasium_is_said_beside(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    for name in ("NanObs", "ListRender", "NoModes", "ArrayReward"):
        recorded(tmp_path / name, name)
    said = capfd.readouterr()
    assert not said.err
    assert not [str(w.message) for w in recwarn if "gymnasium" in w.filename]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Resizing", r"pictures changed from \[32, 48, 3\] to \[31, 48, 3\]; .*--streams"),
        ("Diverges", "the environment failed in step 5: RuntimeError: the simulator diverged"),
        ("TwoRewards", "a reward is one number, the environment gave 2"),
        ("WrongShape", r"none of its space: observation: \[4\] numbers where there should be \[3\]"),
        ("TwoEnds", "an ending is one yes or no, the environment gave 2"),
        ("WordReward", "the environment failed in step 1: ValueError: could not convert .* 'much'"),
        ("Exits", "the environment failed in step 1: SystemExit: 3"),
        ("LongChoices", r"observation.0: \[2\] choices where there should be \[1\]"),
        ("Below", "observation: choices are MultiDiscrete.*, got -1 to -1"),
        ("Above", "observation: choices are MultiDiscrete.*, got 3 to 3"),
        ("Fraction", "observation: a number is not whole where its space says so"),
        ("BigFraction", "observation: a number is not whole where its space says so"),
        ("BelowType", "observation: its numbers are 0 to 4294967295, got -1 to -1"),
        ("BeyondType", "observation: its numbers are 0 to 4294967295, got inf to inf"),
        ("Bits", "observation: bits are 0 or 1, got 0 to 2"),
        ("ManyBits", r"observation: \[4\] numbers where there should be \[3\]"),
        ("Complex", "observation: complex numbers"),
        ("TurnedDepth", r"depth.main: \[40, 30\] numbers where there should be \[30, 40\]"),
    ],
)
def test_what_goes_wrong_costs_the_episode_and_is_told(
    tmp_path: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["collect", f"gym:{odd.NAMESPACE}/{name}-v0", "--out", str(tmp_path / "d"), "--workers", "1"]
    assert main([*command, "--episodes", "2"]) == 1
    said = capsys.readouterr()
    assert "2 things left out" in said.out
    assert "Traceback" not in said.out + said.err
    dropped = json.loads((tmp_path / "d/meta/plan.json").read_text())["dropped"]
    assert dropped.keys() == {"0", "1"}
    assert all(re.search(why, told) for told in dropped.values())


def test_a_reset_is_given_its_options(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be reset: ValueError: .*'task'.*\?reset\.NAME=value"):
        recorded(tmp_path / "d", "NeedsOptions")
    with pytest.raises(UserError, match=r"cannot be reset: TypeError: .*old Gym's form: wrap it with shimmy"):
        recorded(tmp_path / "d", "OldReset")
    assert not (tmp_path / "d").exists()
    name = f"gym:{odd.NAMESPACE}/NeedsOptions-v0?reset.task=pick"
    assert collect(name, tmp_path / "d", 1, seconds=2.0, progress=False).num_episodes == 1


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=5),
        spaces.MultiBinary([2, 3]),
        spaces.Dict(
            {
                "go": spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2, 2))]),
                "b": spaces.MultiDiscrete([[2, 3], [4, 2]]),
            }
        ),
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Box(0, 255, (2,), np.uint8),
        spaces.Box(-(2**40), 2**40, (2,), np.int64),
    ],
    ids=str,
)
def test_actions_come_back(tmp_path: Path, space: Any) -> None:
    played: list[Any] = []

    def step(self: Any, action: Any) -> Any:
        played.append(action)
        return odd.Base.step(self, action)

    source = odd.register("Acted", action_space=space, step=step)
    try:
        collect(source, tmp_path / "d", 1, seconds=2.0, image_size=16, progress=False)
    finally:
        del gymnasium.registry[source.removeprefix("gym:")]
    dataset = Dataset(tmp_path / "d")
    layout = action_layout(space_from_json(dataset.spec.environment["action_space"]))
    streams = dataset.load(0, list(layout.streams))
    again = [layout.from_streams({n: v[t] for n, v in streams.items()}) for t in range(1, LENGTH + 1)]
    assert same(tuple(again), tuple(played))


@pytest.mark.parametrize("name", ["TextAction", "SeqAction"])
def test_actions_that_no_stream_holds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadUse, match=r"action is (Text|Sequence).*wrap the environment so that its actions"):
        recorded(tmp_path / "d", name)
    assert not (tmp_path / "d").exists()


def test_what_never_ends_is_cut_or_refused(tmp_path: Path) -> None:
    _, dataset = recorded(tmp_path / "d", "NeverEnds")
    assert dataset.num_ticks(0) == 2 * odd.RATE
    with pytest.raises(BadUse, match=r"may never end; .*--seconds"):
        recorded(tmp_path / "e", "NeverEnds", seconds=math.inf)
    name = f"gym:{odd.NAMESPACE}/NeverEnds-v0?max_episode_steps=9"
    collect(name, tmp_path / "f", 1, seconds=math.inf, image_size=16, progress=False)
    assert Dataset(tmp_path / "f").num_ticks(0) == 10


def test_a_clock_that_is_not_whole_is_noted(tmp_path: Path) -> None:
    report, _ = recorded(tmp_path / "d", "HalfRate")
    assert report.notes == {
        "the environment has 12.5 ticks a second, its clock here 12": f"2 episodes ({2 * (LENGTH + 1)} ticks)"
    }


numbers = st.tuples(st.integers(0, 2**32), st.lists(st.integers(1, 3), max_size=3).map(tuple)).map(
    lambda drawn: spaces.Box(-np.random.default_rng(drawn[0]).random(drawn[1], np.float32), 1.0, drawn[1])
)
leaves = st.one_of(
    numbers,
    st.sampled_from([np.int8, np.uint8, np.int32, np.int64]).map(
        lambda kind: spaces.Box(np.iinfo(kind).min, np.iinfo(kind).max, (2,), kind)
    ),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 900), st.integers(-5, 5)),
    st.lists(st.integers(1, 900), min_size=1, max_size=20).map(spaces.MultiDiscrete),
    st.sampled_from([3, [2, 3]]).map(spaces.MultiBinary),
    st.integers(1, 30).map(lambda longest: spaces.Text(longest, min_length=0, charset="ab ü🪐")),
)
keys = st.sampled_from(["state", "a b", "a_b", "A_b", "main", "image", "x.y", "", "reward", "action"])
any_space = st.recursive(
    leaves,
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=3).map(spaces.Tuple),
        st.dictionaries(keys, part, min_size=1, max_size=3).map(lambda d: spaces.Dict(list(d.items()))),
    ),
    max_leaves=6,
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, str):
        return left == right
    left, right = np.asarray(left), np.asarray(right)
    return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())


@given(any_space, st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_space_sampled_recorded_and_turned_back_is_equal(space: Any, seed: int) -> None:
    seen: list[Any] = []

    def observed(_: Any) -> Any:
        seen.append(space.sample())
        return seen[-1]

    space.seed(seed)
    source = odd.register(
        "Sampled", observation_space=space, observed=observed, metadata={"render_modes": []}
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            collect(source, Path(folder) / "d", 1, seconds=2.0, progress=False)
            dataset = Dataset(Path(folder) / "d")
            again = observations(dataset, 0)
            assert space_from_json(dataset.spec.environment["observation_space"]) == space
    finally:
        del gymnasium.registry[source.removeprefix("gym:")]
    assert len(again) == LENGTH + 1
    assert same(tuple(again), tuple(seen[-len(again) :]))


@pytest.mark.parametrize("form", ["new", "old"])
def test_environments_of_old_gym_are_recorded_through_shimmy(tmp_path: Path, form: str) -> None:
    gym = pytest.importorskip("gym")
    pytest.importorskip("shimmy")
    names = {"render_modes": ["rgb_array"]} if form == "new" else {"render.modes": ["human", "rgb_array"]}

    class Old(gym.Env):
        metadata = names
        observation_space = gym.spaces.Box(-1, 1, (3,))
        action_space = gym.spaces.Discrete(2)
        t = 0

        def render(self, mode: str = "human") -> Array:
            return odd.Base.render(self)  # type: ignore[arg-type]

    class New(Old):
        def __init__(self, render_mode: str | None = None) -> None:
            self.render_mode = render_mode

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            self.t = 0
            return np.zeros(3, np.float32), {}

        def step(self, action: Any) -> Any:
            self.t += 1
            return np.full(3, self.t / 8, np.float32), 1.0, self.t >= LENGTH, False, {}

    class Older(Old):
        def seed(self, seed: Any = None) -> None: ...

        def reset(self) -> Any:
            self.t = 0
            return np.zeros(3, np.float32)

        def step(self, action: Any) -> Any:
            self.t += 1
            return np.full(3, self.t / 8, np.float32), 1.0, self.t >= LENGTH, {}

    kind = New if form == "new" else Older
    gym.register("OrreryOld-v0", entry_point=kind)
    gymnasium.register(f"{odd.NAMESPACE}/Old-v0", entry_point=kind, max_episode_steps=3)
    try:
        for name, num_steps in (("OrreryOld-v0", LENGTH), (f"{odd.NAMESPACE}/Old-v0", 3)):
            out = tmp_path / name.replace("/", "_")
            report = collect(f"gym:{name}", out, 1, seconds=2.0, image_size=(32, 48), progress=False)
            assert report.dropped == {}
            streams = Dataset(out).load(0)
            np.testing.assert_array_equal(streams["observation"][:, 0, 0], STEPS[: num_steps + 1] / 8)
            assert bright_columns(streams["video.main"][:3]) == [3.5, 11.5, 19.5]
    finally:
        del gym.envs.registration.registry["OrreryOld-v0"], gymnasium.registry[f"{odd.NAMESPACE}/Old-v0"]


def test_real_environments_of_every_kind_come_back(tmp_path: Path) -> None:
    """Tuple, Discrete and a Dict with a sentence, as libraries have them."""
    pytest.importorskip("minigrid")
    pytest.importorskip("pygame")
    for name in ("Blackjack-v1", "Taxi", "FrozenLake-v1", "CliffWalking-v1", "MiniGrid-Empty-5x5-v0"):
        out = tmp_path / name
        report = collect(f"gym:{name}", out, 1, seconds=2.0, image_size=16, progress=False)
        assert (report.num_episodes, report.dropped, report.skipped) == (1, {}, {})
        dataset = Dataset(out)
        space = space_from_json(dataset.spec.environment["observation_space"])
        assert all(space.contains(seen) for seen in observations(dataset, 0))
    seen = observations(dataset, 0)[0]
    assert seen["mission"] == "get to the green goal square"
    assert seen["image"].shape == (7, 7, 3)
