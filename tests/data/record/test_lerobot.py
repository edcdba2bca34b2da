"""`lerobot:` takes over another LeRobotDataset as it is; what is damaged is named and costs only itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orrery.data import writer
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError

STREAMS = ["video.main", "state", "camera.main", "action"]
SMALL: dict[str, Any] = {"image_size": 16, "progress": False}
NUM_EPISODES, NUM_ROWS = 4, 24


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that knows nothing of us: rows of numbers and films, each episode in files of its own."""
    root = tmp_path_factory.mktemp("foreign") / "robot"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_MAX_DATA_BYTES", 1)
        collect("dummy", root, NUM_EPISODES, seconds=1.0, streams=STREAMS, **SMALL)
    info = json.loads((root / "meta/info.json").read_text())
    del info["orrery"]
    info["features"]["note"] = {"dtype": "string", "shape": [1], "names": None}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


@pytest.fixture
def own_copy(foreign: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(foreign, tmp_path / "robot"))


def _column(root: Path, episode: int, name: str) -> np.ndarray:
    table = pq.read_table(root / f"data/chunk-000/file-{episode:03d}.parquet")
    return np.array(table[name].to_pylist(), np.float32).reshape(NUM_ROWS, -1)


def test_every_row_is_a_tick_and_columns_come_out_as_they_went_in(foreign: Path, tmp_path: Path) -> None:
    report = collect(f"lerobot:{foreign}", tmp_path / "d", **SMALL)
    assert (report.num_episodes, report.dropped) == (NUM_EPISODES, {})
    assert report.skipped == {"note": "no file of rows has it"}
    dataset = Dataset(tmp_path / "d")
    clock = dataset.spec.clock
    assert (clock.frames_per_second, clock.frames_per_tick, clock.samples_per_tick) == (24, 1, 1000)
    assert set(dataset.spec.streams) == {"video.main", "proprioception", "camera.main", "action"}
    written = pq.read_table(next((tmp_path / "d/data").rglob("*.parquet")))
    for i in range(NUM_EPISODES):
        rows = slice(i * NUM_ROWS, (i + 1) * NUM_ROWS)
        for name in ("action", "observation.state", "observation.camera.main"):
            ours = np.array(written[name].to_pylist(), np.float32)[rows].reshape(NUM_ROWS, -1)
            np.testing.assert_array_equal(ours, _column(foreign, i, name), err_msg=name)
        done_during = dataset.load(i)["action"].ravel()
        np.testing.assert_array_equal(done_during[1:], _column(foreign, i, "action").ravel()[:-1])
        assert dataset.text(i).startswith("A ball rolls to the")


def test_pictures_are_those_of_the_film(foreign: Path, tmp_path: Path) -> None:
    from orrery.data import video

    collect(f"lerobot:{foreign}", tmp_path / "d", 2, **SMALL)
    film = foreign / "videos/observation.images.main/chunk-000/file-001.mp4"
    truth = video.decode(film, 0, NUM_ROWS, 24).astype(float)
    read = Dataset(tmp_path / "d").load(1)["video.main"][:, 0]
    assert np.abs(read - truth).mean() < 3


def test_an_episode_is_cut_to_the_time_asked_for(foreign: Path, tmp_path: Path) -> None:
    collect(f"lerobot:{foreign}", tmp_path / "d", 1, seconds=0.25, streams=["proprioception"], **SMALL)
    assert Dataset(tmp_path / "d").num_ticks(0) == 6


def _with_outcomes(root: Path, **columns: Any) -> None:
    """Give each file of rows columns of its own: feature name (`_` for `.`) to dtype and values."""
    info = json.loads((root / "meta/info.json").read_text())
    for file in (root / "data").rglob("*.parquet"):
        table = pq.read_table(file)
        for name, (dtype, values) in columns.items():
            table = table.append_column(name.replace("_", "."), pa.array(values, dtype))
            feature = {"dtype": str(dtype).replace("double", "float64"), "shape": [1], "names": None}
            info["features"][name.replace("_", ".")] = feature
        pq.write_table(table, file)
    (root / "meta/info.json").write_text(json.dumps(info))


def test_rewards_and_endings_belong_to_the_tick_that_follows(own_copy: Path, tmp_path: Path) -> None:
    rewards = np.arange(1.0, NUM_ROWS + 1, dtype=np.float32)
    done = [False] * (NUM_ROWS - 1) + [True]
    _with_outcomes(own_copy, next_reward=(pa.float32(), rewards), next_done=(pa.bool_(), done))
    report = collect(f"lerobot:{own_copy}", tmp_path / "d", 1, **SMALL)
    assert set(report.skipped) == {"note"}
    spec, streams = Dataset(tmp_path / "d").spec, Dataset(tmp_path / "d").load(0)
    roles = {name: (stream.kind, stream.role) for name, stream in spec.streams.items()}
    assert roles["reward"] == ("vector", "outcome")
    assert roles["terminated"] == ("choice", "outcome")
    assert (roles["action"], roles["proprioception"]) == (("vector", "given"), ("vector", "observed"))
    expected = [0.0, *rewards[:-2], rewards[-2] + rewards[-1]]
    np.testing.assert_array_equal(streams["reward"].ravel(), expected)
    assert streams["terminated"].ravel().tolist() == [0] * (NUM_ROWS - 1) + [1]
    collect(f"lerobot:{own_copy}", tmp_path / "cut", 1, seconds=0.25, **SMALL)
    cut = Dataset(tmp_path / "cut").load(0)
    np.testing.assert_array_equal(cut["reward"].ravel(), expected[:6])
    assert not cut["terminated"].any()


def test_what_says_terminated_is_believed_before_what_says_done(own_copy: Path, tmp_path: Path) -> None:
    ends = {"next_done": (pa.bool_(), [False] * (NUM_ROWS - 1) + [True])}
    _with_outcomes(own_copy, **ends, next_terminated=(pa.int64(), [0] * NUM_ROWS))
    report = collect(f"lerobot:{own_copy}", tmp_path / "d", 1, **SMALL)
    assert "next.terminated" in report.skipped["next.done"]
    assert not Dataset(tmp_path / "d").load(0)["terminated"].any()


@pytest.mark.parametrize("kind", ["data", "videos", "meta/episodes"])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_bad_shard_is_named_and_the_rest_loads(own_copy: Path, tmp_path: Path, kind: str, how: str) -> None:
    shard = next((own_copy / kind).rglob("file-002.*"))
    shard.unlink() if how == "missing" else shard.write_bytes(shard.read_bytes()[:200])
    report = collect(f"lerobot:{own_copy}", tmp_path / "d", **SMALL)
    assert list(report.dropped) == [2]
    assert ("meta/episodes" if kind == "meta/episodes" else shard.name) in report.dropped[2]
    assert [Dataset(tmp_path / "d").scene(i)["episode_index"] for i in range(3)] == [0, 1, 3]


def test_mistakes_are_named(own_copy: Path, tmp_path: Path, dataset_path: Path) -> None:
    def refused(error: type[UserError], said: str, path: Path = own_copy, **options: Any) -> None:
        with pytest.raises(error, match=said):
            collect(f"lerobot:{path}", tmp_path / "d", **SMALL, **options)
        assert not (tmp_path / "d/meta").exists()

    refused(UserError, "no LeRobotDataset", tmp_path)
    refused(BadUse, "use it as it is", dataset_path)
    refused(BadUse, "no stream 'acton'; perhaps action", streams=["acton"])
    refused(BadUse, "leave out --policy", policy="random")
    info = json.loads((own_copy / "meta/info.json").read_text())
    (own_copy / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    refused(UserError, r"says it is a LeRobotDataset v2\.1, but its files are those of v3")
    (own_copy / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v1.6"}))
    refused(UserError, r"LeRobotDataset v1\.6; v2\.0 to v3\.1 are read")
    (own_copy / "meta/info.json").write_text(json.dumps(info | {"fps": None}))
    refused(UserError, r"info\.json is damaged")
