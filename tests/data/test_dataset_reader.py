"""A dataset read back is what the world emitted; what cannot be read is named."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orrery.data import writer
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.data.record.world import episode_seed, record
from orrery.errors import BadUse, UserError
from orrery.worlds.dummy import DummyWorld

NUM_TICKS = 24


@pytest.fixture(scope="module")
def dataset(dataset_path: Path) -> Dataset:
    return Dataset(dataset_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"kind"', '"kiNd"'),
        ('"clock"', '"clokc"'),
        ('"collect"', '"colletc"'),
        ('"shape": [', '"shape": 3, "x": ['),
    ],
)
def test_an_info_file_with_a_letter_astray_is_named(own_copy: Path, old: str, new: str) -> None:
    info = own_copy / "meta/info.json"
    assert old in info.read_text()
    info.write_text(info.read_text().replace(old, new))
    with pytest.raises(UserError, match=r"info\.json is damaged .*collect or download it again"):
        Dataset(own_copy)


@pytest.fixture
def own_copy(dataset_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset_path, tmp_path / "copy"))


def test_episodes_are_what_the_world_emitted(dataset: Dataset) -> None:
    world = DummyWorld(size=16)
    assert len(dataset) == dataset.num_episodes == 5
    assert dataset.spec == world.spec
    for i in range(5):
        truth, read = record(world, episode_seed(3, i), 2.0), dataset.episode(i)
        read.check()
        assert (read.text, read.seed, read.scene) == (truth.text, truth.seed, truth.scene)
        assert read.events == truth.events
        assert read.num_ticks == dataset.num_ticks(i) == NUM_TICKS
        for name in truth.streams.keys() - {"video.main"}:
            np.testing.assert_array_equal(read.streams[name], truth.streams[name], err_msg=name)
        error = read.streams["video.main"].astype(float) - truth.streams["video.main"]
        assert np.sqrt(np.mean(error**2)) < 3.0


def test_something_happened(dataset: Dataset) -> None:
    assert sum(len(dataset.events(i)) for i in range(5)) >= 3
    assert len({dataset.seed(i) for i in range(5)}) == 5


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_span_is_a_slice_of_the_whole(dataset: Dataset, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, 4))
    start = data.draw(st.integers(0, NUM_TICKS - 1))
    num_ticks = data.draw(st.integers(1, NUM_TICKS - start))
    names = data.draw(st.lists(st.sampled_from(list(dataset.spec.streams)), unique=True))
    whole, part = dataset.load(index, names), dataset.load(index, names, start, num_ticks)
    assert list(part) == names
    for name in names:
        np.testing.assert_array_equal(part[name], whole[name][start : start + num_ticks])


def test_what_is_loaded_can_be_written_to(dataset: Dataset) -> None:
    """Training normalises in place; that must neither fail nor reach the next load."""
    state = dataset.load(0, ["state"])["state"]
    kept = state.copy()
    state += 1.0
    np.testing.assert_array_equal(dataset.load(0, ["state"])["state"], kept)


def test_a_copy_in_another_process_reads_too(dataset: Dataset) -> None:
    dataset.load(1, ["state"])
    dataset.events(1)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.load(1, ["state"])["state"], dataset.load(1, ["state"])["state"])
    assert copy.events(1) == dataset.events(1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((0, ["stat"]), "no stream 'stat'; perhaps state"),
        ((5,), "episodes 0 to 4, asked for 5"),
        ((-1,), "episodes 0 to 4, asked for -1"),
        ((0, None, 20, 5), "ticks 0 to 23; asked for 5 from tick 20"),
        ((0, None, -1, 5), "asked for 5 from tick -1"),
        ((0, None, 24), "asked for 0 from tick 24"),
    ],
)
def test_asking_for_what_is_not_there(dataset: Dataset, arguments: tuple, complaint: str) -> None:
    with pytest.raises(BadUse, match=complaint):
        dataset.load(*arguments)


def test_a_missing_folder_and_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset folder"):
        Dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no dataset: it has no"):
        Dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{", "damaged"), ('{"codebase_version": "v2.1"}', "not written by"), ("[]", "not written by")],
)
def test_a_strange_info_file_is_named(own_copy: Path, content: str, complaint: str) -> None:
    (own_copy / "meta/info.json").write_text(content)
    with pytest.raises(UserError, match=f"info.json.*{complaint}"):
        Dataset(own_copy)


@pytest.fixture
def in_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four episodes, each in files of its own."""
    monkeypatch.setattr(writer, "_MAX_DATA_BYTES", 1)
    collect("dummy", tmp_path / "many", 4, seed=3, seconds=1.0, image_size=16, progress=False)
    return tmp_path / "many"


def _damage(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def test_many_files_read_as_one(in_many_files: Path) -> None:
    assert len(list(in_many_files.glob("data/*/*.parquet"))) == 4
    dataset, world = Dataset(in_many_files), DummyWorld(size=16)
    for i in (3, 0, 2, 1):
        truth = record(world, episode_seed(3, i), 1.0)
        read = dataset.episode(i)
        np.testing.assert_array_equal(read.streams["state"], truth.streams["state"])
        assert read.events == truth.events
        assert np.abs(read.streams["video.main"].astype(float) - truth.streams["video.main"]).mean() < 3.0


@pytest.mark.parametrize(
    "kind", ["data/chunk-000/file-002.parquet", "videos/observation.images.main/chunk-000/file-002.mp4"]
)
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_bad_file_is_named_and_costs_only_its_episodes(in_many_files: Path, kind: str, how: str) -> None:
    file = in_many_files / kind
    _damage(file) if how == "damaged" else file.unlink()
    dataset = Dataset(in_many_files)
    with pytest.raises(UserError, match=file.name):
        dataset.episode(2)
    for i in (0, 1, 3):
        assert dataset.episode(i).num_ticks == 12


def test_a_bad_metadata_file_is_named_and_costs_only_its_episodes(in_many_files: Path) -> None:
    _damage(in_many_files / "meta/episodes/chunk-000/file-001.parquet")
    dataset = Dataset(in_many_files)
    assert dataset.readable == [0, 2, 3]
    assert "file-001.parquet" in dataset.problems[0]
    with pytest.raises(UserError, match=r"episode 1 cannot be read.*file-001\.parquet"):
        dataset.load(1)
    assert dataset.episode(3).num_ticks == 12


def test_lerobot_metadata_adds_up(in_many_files: Path) -> None:
    info = json.loads((in_many_files / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == (
        "v3.0",
        24,
        4,
        96,
    )
    assert info["splits"] == {"train": "0:4"}
    stats = json.loads((in_many_files / "meta/stats.json").read_text())
    state = np.concatenate(
        [s.reshape(24, -1) for s in (Dataset(in_many_files).load(i)["state"] for i in range(4))]
    )
    np.testing.assert_allclose(stats["observation.state"]["mean"], state.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(stats["observation.state"]["std"], state.std(0), rtol=1e-4, atol=1e-6)
