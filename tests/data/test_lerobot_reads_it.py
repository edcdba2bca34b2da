"""The stock `lerobot` reader loads what we write: every column, every frame, the statistics and the tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from orrery.data import layout, writer
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.data.repair import repair
from orrery.streams import Array

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "record"))

from robot_data import Column, Robot, numbers_on  # noqa: E402

PYTHON = HERE.parents[1] / ".venv-lerobot/bin/python"
NUM_EPISODES, NUM_TICKS = 4, 6

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON} is not there; .ci/lerobot makes it"),
]


@pytest.fixture
def dataset_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Episodes in files of their own."""
    monkeypatch.setattr(writer, "_MAX_DATA_BYTES", 1)
    collect("dummy", tmp_path / "d", NUM_EPISODES, seed=3, seconds=0.5, image_size=32, progress=False)
    return tmp_path / "d"


def _read(path: Path) -> dict[str, Array]:
    out = path.with_suffix(".npz")
    run = subprocess.run([PYTHON, HERE / "read_with_lerobot.py", path, out], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return dict(np.load(out))


def _check(path: Path, read: dict[str, Array]) -> None:
    """What lerobot gave is what our own reader gives."""
    ours = Dataset(path)
    clock = ours.spec.clock
    num_frames = len(ours) * NUM_TICKS * clock.frames_per_tick
    assert (read["fps"], read["num_episodes"], read["num_frames"]) == (24, len(ours), num_frames)
    np.testing.assert_array_equal(read["index"], np.arange(num_frames))
    episodes = [ours.load(i) for i in range(len(ours))]
    for name, spec in ours.spec.streams.items():
        if name.startswith("video"):
            frames = np.concatenate([e[name].reshape(-1, *spec.shape[1:]) for e in episodes])
            theirs = read[layout.column_of(name)].transpose(0, 2, 3, 1) * 255
            np.testing.assert_allclose(theirs, frames, atol=0.01)
        else:
            rows = np.concatenate([layout.to_rows(spec, e[name], clock.frames_per_tick) for e in episodes])
            np.testing.assert_array_equal(read[layout.column_of(name)].reshape(rows.shape), rows)
            assert {
                f"stats {layout.column_of(name)} {k}" for k in ("min", "max", "mean", "std")
            } <= read.keys()
    texts = [ours.text(i) for i in range(len(ours)) for _ in range(NUM_TICKS * clock.frames_per_tick)]
    assert read["texts"].tolist() == texts


def test_lerobot_loads_every_column(dataset_path: Path) -> None:
    read = _read(dataset_path)
    _check(dataset_path, read)
    names = {"observation.audio.main", "observation.touch.finger", "observation.state", "action"}
    assert all(np.ptp(read[name]) > 0 for name in names)


def test_lerobot_loads_rewards_and_endings(tmp_path: Path) -> None:
    """Of an environment: what was done, what came of it, and where each episode is done."""
    pytest.importorskip("pygame")
    collect("gym:CartPole-v1", tmp_path / "d", 3, seed=3, seconds=1.0, image_size=32, progress=False)
    ours, read = Dataset(tmp_path / "d"), _read(tmp_path / "d")
    episodes = [ours.load(i) for i in range(3)]
    for name in ("action", "reward", "terminated", "observation"):
        rows = np.concatenate([layout.to_rows(ours.spec.streams[name], e[name], 1) for e in episodes])
        np.testing.assert_array_equal(read[layout.column_of(name)].reshape(rows.shape), rows)
    lasts = np.cumsum([ours.num_ticks(i) for i in range(3)]) - 1
    terminated = read["next.terminated"].astype(bool)
    assert terminated.sum() == sum(bool(e["terminated"].any()) for e in episodes) > 0
    expected = terminated.copy()
    expected[lasts] = True
    np.testing.assert_array_equal(read["next.done"], expected)
    assert read["action"].dtype == np.int64
    assert "stats next.done mean" in read


def test_there_and_back_numbers_are_equal_to_the_bit_and_pictures_to_the_frame(tmp_path: Path) -> None:
    """Ours, read by lerobot, written by lerobot, collected by us: each row's numbers, and which frame it
    shows."""
    # Of a single number a row lerobot 0.4.4 has an array where numpy 2.4 wants a number.
    action = Column("float32", [2], lambda e, i: [e + i / 3, -i], pa.list_(pa.float32()))
    robot = Robot((6, 4), fps=10, cameras={"observation.images.top": 10}, columns={"action": action})
    collect(f"lerobot:{robot.write(tmp_path / 'robot')}", tmp_path / "ours", image_size=48, progress=False)
    run = subprocess.run(
        [PYTHON, HERE / "rewrite_with_lerobot.py", tmp_path / "ours", tmp_path / "theirs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    collect(f"lerobot:{tmp_path / 'theirs'}", tmp_path / "back", image_size=48, progress=False)
    ours, back = Dataset(tmp_path / "ours"), Dataset(tmp_path / "back")
    assert back.spec.streams.keys() == ours.spec.streams.keys()
    assert len(back) == len(ours) == 2
    for index in range(2):
        before, after = ours.load(index), back.load(index)
        assert back.text(index) == ours.text(index)
        for name, ticks in before.items():
            if name.startswith("video"):
                assert numbers_on(after[name][:, 0]) == numbers_on(ticks[:, 0])
            else:
                np.testing.assert_array_equal(after[name], ticks, err_msg=name)


def test_lerobot_loads_what_a_repair_kept(dataset_path: Path) -> None:
    next((dataset_path / "data").rglob("file-001.*")).unlink()
    repair(dataset_path)
    read = _read(dataset_path)
    assert read["num_episodes"] == NUM_EPISODES - 1
    _check(dataset_path, read)
