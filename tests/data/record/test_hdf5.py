"""`hdf5:` and `minari:` take over recordings as they are; which layout they have is found out and said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason='h5py is not installed (pip install "orrery[hdf5]")')

import h5py
from hdf5_data import aloha, minari, number_of, padded, robomimic, stable_worldmodel, values
from robot_data import coded, numbers_on

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError
from orrery.rounding import DIGITS, ROUNDED, TOO_SMALL
from orrery.worlds.gymnasium.layout import observation_layout

OPTIONS: dict[str, Any] = {"image_size": 48, "progress": False}


def _actions(done: np.ndarray) -> np.ndarray:
    """What was done during each tick, of what is done after each row."""
    return np.roll(done, 1, axis=0)


@pytest.mark.parametrize("compress", [False, True])
def test_aloha(tmp_path: Path, compress: bool) -> None:
    for e, num in ((0, 5), (1, 7), (10, 4)):
        aloha(tmp_path / f"in/episode_{e}.hdf5", e, num, compress, base_action=values(e, num, 2))
    report = collect(f"hdf5:{tmp_path / 'in'}", tmp_path / "d", **OPTIONS)
    assert (report.num_episodes, report.dropped) == (3, {})
    told = "read as ALOHA, 50 rows a second (as this layout has it; the file does not say"
    assert report.notes["in"].startswith(told)
    assert set(report.skipped) == ({"compress_len"} if compress else set())
    dataset = Dataset(tmp_path / "d")
    assert dataset.spec.clock.ticks_per_second == 50
    assert set(dataset.spec.streams) == {"video.cam_high", "proprioception", "qvel", "action", "action.base"}
    for i, (e, num) in enumerate(((0, 5), (1, 7), (10, 4))):
        ticks = dataset.load(i)
        assert numbers_on(ticks["video.cam_high"][:, 0]) == [number_of(e, row) for row in range(num)]
        np.testing.assert_array_equal(ticks["proprioception"][:, 0], values(e, num, 14))
        np.testing.assert_array_equal(ticks["qvel"][:, 0], values(e, num, 14, 0.25))
        np.testing.assert_array_equal(ticks["action"][:, 0], _actions(values(e, num, 14, 0.5)))
        np.testing.assert_array_equal(ticks["action.base"][:, 0], _actions(values(e, num, 2)))
        assert dataset.scene(i)["dataset"] == f"episode_{e}.hdf5"


def test_pictures_of_any_form(tmp_path: Path) -> None:
    """Encoded of any length, channels first, grey, millimetres."""
    from hdf5_data import pictures

    num, form = 4, h5py.vlen_dtype(np.uint8)
    shown = pictures(2, num)
    aloha(
        tmp_path / "e.hdf5", 2, num,
        observations__images__first=shown.transpose(0, 3, 1, 2), observations__images__grey=shown[..., 0],
        observations__images__near_depth=np.full((num, 32, 48), 1500, np.uint16),
    )  # fmt: skip
    with h5py.File(tmp_path / "e.hdf5", "a") as file:
        cells = file.create_dataset("observations/images/cells", (num,), dtype=form)
        for k, row in enumerate(padded(2, num)):
            cells[k] = row
        file["observations/images/strings"] = np.array([bytes(row) for row in padded(2, num)])
    report = collect(f"hdf5:{tmp_path / 'e.hdf5'}", tmp_path / "d", **OPTIONS)
    assert report.notes["observations/images/near_depth"] == "taken as depth in millimetres"
    ticks = Dataset(tmp_path / "d").load(0)
    for name in ("first", "grey", "cells", "strings", "cam_high"):
        assert numbers_on(ticks[f"video.{name}"][:, 0]) == [number_of(2, k) for k in range(num)], name
    assert (ticks["depth.near_depth"] == np.float32(1.5)).all()


def test_robomimic(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [5, 3, *[2] * 9])
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    assert report.notes["demos.hdf5"] == "read as robomimic, 20 rows a second (as the file says)"
    assert report.skipped == {
        "next_obs/robot0_eef_pos": "the observations again, a row later",
        "demos.hdf5: mask": "it is beside the episodes",
    }
    assert report.notes["obs/agentview_depth"] == "taken as depth in metres"
    dataset = Dataset(tmp_path / "d")
    assert len(dataset) == 11
    assert dataset.spec.clock.ticks_per_second == 20
    assert [dataset.scene(i)["group"] for i in (1, 2, 10)] == ["data/demo_1", "data/demo_2", "data/demo_10"]
    for i, num in enumerate([5, 3]):
        ticks = dataset.load(i)
        assert numbers_on(ticks["video.agentview_image"][:, 0]) == [number_of(i, k) for k in range(num)]
        np.testing.assert_array_equal(ticks["action"][:, 0], _actions(values(i, num, 7)))
        np.testing.assert_array_equal(ticks["robot0_eef_pos"][:, 0], values(i, num, 3))
        rewards = np.arange(num, dtype=float)
        rewards[-1] += num  # of what came after the last row
        np.testing.assert_array_equal(ticks["reward"].ravel(), rewards)
        assert ticks["terminated"].ravel().tolist() == [0] * (num - 1) + [1]
        assert (ticks["depth.agentview_depth"] == 0.5 + i).all()
        assert dataset.text(i) == f"lift cube {i}"


@pytest.mark.parametrize("rate", [1e9, 1e-9, float("nan")])
def test_a_rate_that_cannot_be_is_refused_whoever_says_it(tmp_path: Path, rate: float) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [3], rate)
    with pytest.raises(BadUse, match=r"must be from|fps=RATE"):
        collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)


def test_of_arrays_with_one_name_none_vanishes(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [3])
    with h5py.File(path, "a") as file:
        for name in ("a", "obs/a", "obs.a"):
            file[f"data/demo_0/{name}"] = np.ones((3, 1), np.float32)
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    told = [name for name in report.skipped if name in ("a", "obs/a", "obs.a")]
    held = [name for name in Dataset(tmp_path / "d").spec.streams if name in ("a", "obs.a")]
    assert len(told) + len(held) == 3


def test_stable_worldmodel(tmp_path: Path) -> None:
    """A row's reward came with what it shows; of what no number is there is 0, and it is told."""
    path = stable_worldmodel(tmp_path / "two.h5", [4, 6])
    with pytest.raises(
        BadUse, match=r"does not say how many rows a second it has; say it as .*two.h5\?fps=RATE"
    ):
        collect(f"hdf5:{path}", tmp_path / "no", **OPTIONS)
    assert not (tmp_path / "no/meta/info.json").exists()
    report = collect(f"hdf5:{path}?fps=10", tmp_path / "d", **OPTIONS)
    assert report.notes["two.h5"] == "read as stable-worldmodel, 10 rows a second (as asked for)"
    assert sum("0 stands there" in note for note in report.notes) == 2
    dataset = Dataset(tmp_path / "d")
    assert dataset.spec.clock.ticks_per_second == 10
    for i, num in enumerate([4, 6]):
        ticks = dataset.load(i)
        assert numbers_on(ticks["video.main"][:, 0]) == [number_of(i, k) for k in range(num)]
        actions = values(i, num, 2, 0.5)
        actions[-1] = 0
        np.testing.assert_array_equal(ticks["action"][:, 0], _actions(actions))
        np.testing.assert_array_equal(ticks["reward"].ravel(), [0, *values(i, num, 1)[1:, 0]])
        assert ticks["terminated"].ravel().tolist() == [0] * (num - 1) + [1]
        assert dataset.text(i) == f"task {i}"


def test_minari(tmp_path: Path) -> None:
    root = minari(tmp_path / "things-v0", [4, 2])
    report = collect(f"minari:{root}", tmp_path / "d", **OPTIONS)
    assert report.notes["test/things-v0"] == "read as Minari, 50 steps a second (as CartPole-v1 has)"
    assert list(report.skipped) == ["infos"]
    dataset = Dataset(tmp_path / "d")
    assert dataset.spec.environment["id"] == "CartPole-v1"
    assert dataset.spec.streams["action"].num_choices == 3
    for i, num in enumerate([4, 2]):
        ticks = dataset.load(i)
        assert numbers_on(ticks["video.main"][:, 0]) == [number_of(i, k) for k in range(num + 1)]
        np.testing.assert_array_equal(ticks["observation.joints"].reshape(num + 1, 3), values(i, num + 1, 3))
        assert ticks["observation.rest.0"].ravel().tolist() == [k % 5 for k in range(num + 1)]
        assert ticks["action"].ravel().tolist() == [0, *(k % 3 for k in range(num))]
        assert ticks["reward"].ravel().tolist() == [0, *(k + 0.5 for k in range(num))]
        assert ticks["terminated"].ravel().tolist() == [0] * num + [int(i == 0)]
        assert [event.kind for event in dataset.events(i)] == ["terminated" if i == 0 else "truncated"]


def test_hdf5_finds_a_minari_data_set_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = minari(tmp_path / "home/test/things-v0", [2], "Nobody/Knows-v9")
    with pytest.raises(
        BadUse, match=r"its environment 'Nobody/Knows-v9' cannot be made here; install it, or"
    ):
        collect(f"minari:{root}", tmp_path / "d", **OPTIONS)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "home"))
    for name in (f"hdf5:{root}", f"hdf5:{root}/data/main_data.hdf5", "minari:test/things-v0"):
        out = tmp_path / str(len(name))
        report = collect(f"{name}?fps=12.5", out, **OPTIONS)
        assert "12.5 steps a second (as asked for)" in report.notes["test/things-v0"]
        assert report.num_episodes == 1
    with pytest.raises(UserError, match="`minari download test/other-v0` gets it"):
        collect("minari:test/other-v0", tmp_path / "no", **OPTIONS)


def test_what_minari_itself_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of any spaces, written by the stock package: equal to the bit to what it gives back."""
    stock = pytest.importorskip("minari", reason="minari is not installed")
    from gymnasium import spaces
    from minari.data_collector.episode_buffer import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    hand = spaces.Tuple((spaces.MultiBinary(3), spaces.Discrete(4, start=-1)))
    observed = spaces.Dict(
        {
            "eye": spaces.Box(0, 255, (48, 48, 3), np.uint8),
            "arm": spaces.Box(-9, 9, (2, 3)),
            "hand": hand,
            "said": spaces.Text(8),
        }
    )
    acted = spaces.Box(-1, 1, (2,), np.float32)
    buffers = []
    for num in (5, 3):
        picture = np.stack([coded(k) for k in range(num + 1)])[:, :, :]
        seen = {
            "eye": np.pad(picture, ((0, 0), (8, 8), (0, 0), (0, 0)), "edge"),
            "arm": rng.uniform(-9, 9, (num + 1, 2, 3)).astype(np.float32),
            "hand": (rng.integers(0, 2, (num + 1, 3), np.int8), rng.integers(-1, 3, num + 1)),
            "said": [f"word{k}" for k in range(num + 1)],
        }
        actions, rewards = rng.uniform(-1, 1, (num, 2)).astype(np.float32), rng.normal(size=num)
        ends = [k == num - 1 for k in range(num)]
        buffers.append(
            EpisodeBuffer(
                observations=seen,
                actions=actions,
                rewards=list(rewards),
                terminations=ends,
                truncations=[False] * num,
            )
        )
    written = stock.create_dataset_from_buffers(
        "test/odd-v0", buffers, observation_space=observed, action_space=acted, data_format="hdf5"
    )
    report = collect("minari:test/odd-v0?fps=30", tmp_path / "d", image_size=48, progress=False)
    assert report.dropped == {}
    dataset = Dataset(tmp_path / "d")
    assert len(dataset) == written.total_episodes == 2
    layout = observation_layout(observed, 48)
    for i, episode in enumerate(written.iterate_episodes()):
        ticks, num = dataset.load(i), len(episode.rewards)
        for name, expected in layout.to_streams(episode.observations, 1).items():
            if name != "video.main":
                np.testing.assert_array_equal(ticks[name], expected, err_msg=name)
        assert numbers_on(ticks["video.main"][:, 0]) == list(range(num + 1))
        np.testing.assert_array_equal(ticks["action"][1:, 0], episode.actions)
        np.testing.assert_array_equal(ticks["reward"].ravel()[1:], episode.rewards.astype(np.float32))
        np.testing.assert_array_equal(ticks["terminated"].ravel()[1:], episode.terminations)


def test_what_is_missing_costs_its_own_episode(tmp_path: Path) -> None:
    """Arrays that few have are left out; an episode that lacks what most have is dropped; all are named."""
    for e in range(4):
        extra = {"observations__effort": values(e, 5, 14)} if e == 0 else {}
        aloha(tmp_path / f"in/episode_{e}.hdf5", e, 5, **extra)
    robomimic(tmp_path / "in/other.hdf5", [3])
    (tmp_path / "in/text.hdf5").write_text("no HDF5")
    with h5py.File(tmp_path / "in/episode_1.hdf5", "a") as file:
        del file["observations/qvel"]
    with h5py.File(tmp_path / "in/episode_2.hdf5", "a") as file:
        file["action"][3, 0] = np.nan
    with h5py.File(tmp_path / "in/episode_3.hdf5", "a") as file:
        file["observations/odd"] = np.zeros(5, "complex64")
        file["linked"] = h5py.ExternalLink("episode_0.hdf5", "action")
    report = collect(f"hdf5:{tmp_path / 'in'}", tmp_path / "d", **OPTIONS)
    assert report.num_episodes == 2
    assert report.dropped == {
        1: "episode 1: it has no observations/qvel; leave it out with --streams",
        2: "episode 2: action in episode_2.hdf5: is nan in row 3, which is no number",
    }
    assert report.skipped["observations/effort"].startswith("1 of 4 episodes have it")
    assert report.skipped["observations/odd"] == "complex64 is no stream of numbers"
    assert report.skipped["episode_3.hdf5: linked"] == "it lies in another file"
    assert report.skipped["other.hdf5"].startswith("it is robomimic at 20 rows a second")
    assert report.skipped["text.hdf5"].startswith("cannot be read")


def test_depth_below_0_is_told(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [3, 3])
    with h5py.File(path, "a") as file:
        file["data/demo_1/obs/agentview_depth"][2] = -1
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    told = "episode 1: obs/agentview_depth in demos.hdf5: a picture of depth holds -1.0"
    assert report.dropped == {1: told}


def test_what_was_never_written_is_no_zeros(tmp_path: Path) -> None:
    path = aloha(tmp_path / "e.hdf5", 0, 6)
    with h5py.File(path, "a") as file:
        file.create_dataset("observations/torque", (6, 3), "f4", chunks=(1, 3))[:4] = 1.0
        file.create_dataset("observations/none", (6, 3), "f4")
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    assert report.skipped["observations/torque"] == "2 of its chunks were never written"
    assert report.skipped["observations/none"] == "nothing was ever written into it"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing", "there is no file and no folder"),
        ("e.hdf5?fps=fast", "fps=fast is no number"),
        ("e.hdf5?fps=0", "fps=0: must be from"),
        ("e.hdf5?rate=5", "the only option is fps"),
        ("empty", "holds no file that ends in .hdf5"),
        ("plain.hdf5", r"none of the layouts that are read \(ALOHA, robomimic, stable-worldmodel, Minari\)"),
    ],
)
def test_bad_use(tmp_path: Path, name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    aloha(tmp_path / "e.hdf5", 0, 3)
    (tmp_path / "empty").mkdir()
    with h5py.File(tmp_path / "plain.hdf5", "w") as file:
        file["x"] = np.zeros(3)
    assert main(["collect", f"hdf5:{tmp_path / name}", "--out", str(tmp_path / "d")]) in (1, 2)
    assert re.search(told, " ".join(capsys.readouterr().err.split()))


def test_options_of_a_collection(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [30, 10])
    collect(f"hdf5:{path}", tmp_path / "d", 1, seconds=0.5, streams=["action", "reward"], **OPTIONS)
    dataset = Dataset(tmp_path / "d")
    assert (len(dataset), dataset.num_ticks(0), list(dataset.spec.streams)) == (1, 10, ["action", "reward"])
    collect(f"hdf5:{path}", tmp_path / "d", seconds=0.5, streams=["action", "reward"], **OPTIONS)
    assert len(Dataset(tmp_path / "d")) == 2
    with pytest.raises(BadUse, match="no stream 'actoin'; perhaps action"):
        collect(f"hdf5:{path}", tmp_path / "e", streams=["actoin"], **OPTIONS)


def _odd_minari(root: Path) -> None:
    """What of a Minari data set no stream holds as it is, in its second episode."""
    with h5py.File(root / "data/main_data.hdf5", "r+") as file:
        group = file["episode_1"]
        group["observations/secret"] = np.zeros(5)
        group["observations/rest/_index_2"] = np.zeros(5)
        group["costs"] = np.zeros(4)
        for name, rows in {
            "rewards": np.array([2.0**24 + 1, 0.1, 1e-300, 1e300]),
            "observations/joints": np.array(
                [[0.1, 0, 0], [2.0**40 + 1, 0, 0], [0, 0, 0], [0, 8e9, 0], [0] * 3]
            ),
            "terminations": np.array([0, 1, 0, 1]),
            "truncations": np.array([1, 0, 0, 1]),
        }.items():
            del group[name]
            group[name] = rows


def test_what_minari_holds_and_no_stream_does_is_told(tmp_path: Path) -> None:
    root = minari(tmp_path / "things-v0", [4, 4])
    _odd_minari(root)
    report = collect(f"minari:{root}", tmp_path / "d", **OPTIONS)
    assert report.dropped == {}
    assert report.skipped.keys() == {
        "infos",
        "costs",
        "observations/secret",
        "observations/rest/_index_2",
    }
    assert report.skipped["costs"] == "no space declares it (1 episodes have it)"
    del report.notes["test/things-v0"]
    counted = {what: int(re.search(r"\((\d+) ticks", told)[1]) for what, told in report.notes.items()}  # pyright: ignore[reportOptionalSubscript]
    no_number = (
        "not finite in float32 (NaN, infinite, too large); the last finite number, or 0, is in its place"
    )
    assert counted == {
        f"reward: {ROUNDED}": 1,
        f"reward: {DIGITS}": 1,
        f"reward: {TOO_SMALL}": 1,
        f"reward: {no_number}": 1,
        f"observation.joints: {ROUNDED}": 1,
        f"observation.joints: {DIGITS}": 1,
        "observation.joints: outside of the bounds that the environment states; recorded as it is": 2,
        "the episode terminated and was truncated in one step; recorded as terminated": 1,
        "it terminated before the last step; recorded so, and what comes after it too": 1,
        "it was truncated before the last step, which is not recorded": 1,
    }
    assert Dataset(tmp_path / "d").load(1)["terminated"].ravel().tolist() == [0, 0, 1, 0, 1]


def test_float_colours_of_minari_are_told_as_those_of_an_environment(tmp_path: Path) -> None:
    root = minari(tmp_path / "things-v0", [2])
    with h5py.File(root / "data/main_data.hdf5", "r+") as file:
        group = file["episode_0"]
        del group["observations/camera"]
        group["observations/camera"] = (
            np.full((3, 32, 48, 3), 0.5) + np.array([0, 0.5, 300])[:, None, None, None]
        )
    report = collect(f"minari:{root}", tmp_path / "d", **OPTIONS)
    rounded, outside = "a colour is not whole where its space says bytes", "a colour is outside of its space"
    assert report.notes[f"video.main: {rounded}; it was rounded"] == "1 episodes (2 ticks)"
    assert report.notes[f"video.main: {outside}; the nearest one is in its place"] == "1 episodes (1 ticks)"


def test_rewards_that_float32_does_not_hold_are_told(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [4, 3, 2])
    with h5py.File(path, "r+") as file:
        for demo, rows in {"demo_0": [0.1, 2.0**24 + 1, 1, 1], "demo_1": [2**30 + 1, 1, 2**30 + 3]}.items():
            del file[f"data/{demo}/rewards"]
            file[f"data/{demo}/rewards"] = np.array(rows, np.float64)
        file["data/demo_2/rewards"][:] = [1, 1e300]
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    assert report.notes[f"rewards: {ROUNDED}"] == "2 episodes (3 ticks)"
    assert report.notes[f"rewards: {DIGITS}"] == "1 episodes (1 ticks)"
    assert report.dropped == {
        2: "episode 2: rewards in demos.hdf5: is 1e+300 in row 1, which float32 does not hold"
    }


@pytest.mark.parametrize("dtype", [">f8", "<f8", "f2"])
def test_numbers_of_two_types_are_kept_as_the_wider(tmp_path: Path, dtype: str) -> None:
    for e in range(2):
        aloha(tmp_path / f"in/episode_{e}.hdf5", e, 4)
    with h5py.File(tmp_path / "in/episode_1.hdf5", "r+") as file:
        own = file["action"][()].astype(dtype)
        del file["action"]
        file["action"] = own
    report = collect(f"hdf5:{tmp_path / 'in'}", tmp_path / "d", **OPTIONS)
    assert (report.dropped, report.skipped) == ({}, {})
    wider = "float32" if dtype == "f2" else "float64"
    assert report.notes["action"] == f"not of one type in all episodes; kept as {wider}"
    for e, expected in enumerate([values(0, 4, 14, 0.5), own]):
        ticks = Dataset(tmp_path / "d").load(e)["action"][:, 0]
        assert ticks.dtype == wider
        np.testing.assert_array_equal(ticks, _actions(expected))


def test_rows_of_no_episode_and_of_two_are_counted(tmp_path: Path) -> None:
    path = stable_worldmodel(tmp_path / "two.h5", [4, 3, 3])
    with h5py.File(path, "r+") as file:
        file["ep_len"][:] = [3, 3, 3]
        file["ep_offset"][:] = [1, 4, 6]
        file["action"][:] = file["reward"][:] = 1
    report = collect(f"hdf5:{path}?fps=10", tmp_path / "d", **OPTIONS)
    assert report.num_episodes == 3
    assert report.notes["two.h5: rows in no episode"] == "2 of 10"
    assert report.notes["two.h5: rows in several episodes"] == "1 of 10"


def test_an_episode_of_another_length_than_it_says_is_named(tmp_path: Path) -> None:
    path = robomimic(tmp_path / "demos.hdf5", [4, 3])
    with h5py.File(path, "r+") as file:
        file["data/demo_0"].attrs["num_samples"] = 3
    report = collect(f"hdf5:{path}", tmp_path / "d", **OPTIONS)
    assert report.num_episodes == 1
    assert report.skipped["demos.hdf5: data/demo_0"] == "its num_samples is 3, and it has 4 actions"


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("rewards", np.zeros((4, 2)), "rewards has 2 numbers a row, and one is read"),
        ("actions", np.array([0, 1, 2, 7]), "it holds what is none of its space: action: choices are 0 to 2"),
    ],
)
def test_what_is_none_of_its_space_is_told(tmp_path: Path, name: str, rows: Any, why: str) -> None:
    root = minari(tmp_path / "things-v0", [4, 3])
    with h5py.File(root / "data/main_data.hdf5", "r+") as file:
        del file[f"episode_0/{name}"]
        file[f"episode_0/{name}"] = rows
    report = collect(f"minari:{root}", tmp_path / "d", **OPTIONS)
    assert report.num_episodes == 1
    assert report.dropped[0].startswith(f"episode 0: {why}")
