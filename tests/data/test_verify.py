"""Damage of any kind to any file is found and named; a repair keeps the rest, for every reader."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orrery.data import writer
from orrery.data.checksums import SUMS_PATH, dataset_files, read_sums, write_sums
from orrery.data.dataset import Dataset
from orrery.data.record import collect as collect_module
from orrery.data.record.collect import collect
from orrery.data.record.world import episode_seed, record
from orrery.data.repair import repair
from orrery.data.verify import verify
from orrery.errors import UserError
from orrery.worlds.dummy import DummyWorld

FilesOf = Callable[[Path], dict[str, bytes]]
NUM_EPISODES = 5
SMALL = {"seed": 3, "seconds": 0.5, "image_size": 16, "progress": False}


@pytest.fixture(scope="module")
def in_many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes in files of their own: for reading only."""
    root = tmp_path_factory.mktemp("many") / "d"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_MAX_DATA_BYTES", 1)
        collect("dummy", root, NUM_EPISODES, **SMALL)
    return root


@pytest.fixture
def own_copy(in_many_files: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(in_many_files, tmp_path / "copy"))


def test_what_was_written_has_no_fault(in_many_files: Path, dataset_path: Path) -> None:
    assert verify(in_many_files) == verify(dataset_path) == []
    assert list(read_sums(in_many_files)) == list(dataset_files(in_many_files))


def test_the_sums_are_those_that_sha256sum_reads(in_many_files: Path) -> None:
    run = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS_PATH], cwd=in_many_files, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout
    assert run.stdout.count(": OK") == len(read_sums(in_many_files))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_found_and_its_file_named(own_copy: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(read_sums(own_copy))))
    content = bytearray((own_copy / name).read_bytes())
    at = data.draw(st.integers(0, 8 * len(content) - 1))
    damaged = bytearray(content)
    damaged[at // 8] ^= 1 << at % 8
    (own_copy / name).write_bytes(damaged)
    assert name in [fault.file for fault in verify(own_copy)]
    (own_copy / name).write_bytes(content)


@pytest.mark.parametrize("how", ["missing", "cut"])
def test_lengths_and_footers_are_checked_without_sums_too(own_copy: Path, how: str) -> None:
    """As in a dataset of an older version of this program."""
    (own_copy / SUMS_PATH).unlink()
    names = [
        "data/chunk-000/file-002.parquet",
        "videos/observation.images.main/chunk-000/file-003.mp4",
    ]
    for name in names:
        file = own_copy / name
        file.unlink() if how == "missing" else file.write_bytes(file.read_bytes()[:-200])
    assert [fault.file for fault in verify(own_copy)] == names


def test_a_shard_of_another_length_is_found_without_sums(own_copy: Path) -> None:
    (own_copy / SUMS_PATH).unlink()
    file = own_copy / "data/chunk-000/file-001.parquet"
    pq.write_table(pq.read_table(file).slice(0, 5), file)
    (fault,) = verify(own_copy)
    assert str(fault) == "data/chunk-000/file-001.parquet holds 5 rows where meta/episodes says 12"


def test_damage_never_becomes_the_record(own_copy: Path) -> None:
    """Growing a damaged dataset must not hash the damaged shard anew."""
    film = own_copy / "videos/observation.images.main/chunk-000/file-001.mp4"
    film.write_bytes(film.read_bytes()[:-1] + b"\xff")
    collect("dummy", own_copy, NUM_EPISODES + 1, **SMALL)
    assert [fault.file for fault in verify(own_copy)] == [film.relative_to(own_copy).as_posix()]


@pytest.mark.parametrize("kind", ["data", "videos/observation.images.main", "meta/episodes", "meta/events"])
def test_a_repair_keeps_all_but_the_damaged_group(own_copy: Path, files_of: FilesOf, kind: str) -> None:
    shard = next((own_copy / kind).rglob("file-002.*"))
    shard.write_bytes(shard.read_bytes()[:100])
    before = files_of(own_copy)
    done = repair(own_copy)
    assert (done.num_kept, done.num_dropped) == (4, 1)
    assert [fault.file for fault in done.faults][:1] == [shard.relative_to(own_copy).as_posix()]
    assert done.aside == own_copy.with_name("copy.damaged")
    assert files_of(done.aside) == before
    assert verify(own_copy) == []
    dataset = Dataset(own_copy)
    for new, old in enumerate((0, 1, 3, 4)):
        truth, read = record(DummyWorld(size=16), episode_seed(3, old), 0.5), dataset.episode(new)
        assert (read.seed, read.events) == (truth.seed, truth.events)
        np.testing.assert_array_equal(read.streams["state"], truth.streams["state"])
        error = read.streams["video.main"].astype(float) - truth.streams["video.main"]
        assert np.abs(error).mean() < 3.0
    index = [row for f in sorted(own_copy.glob("data/*/*")) for row in pq.read_table(f)["index"].to_pylist()]
    assert index == list(range(4 * 12))


def test_what_a_repair_dropped_is_collected_again(own_copy: Path) -> None:
    next((own_copy / "data").rglob("file-002.*")).unlink()
    repair(own_copy)
    report = collect("dummy", own_copy, NUM_EPISODES, **SMALL)
    assert (report.num_episodes, report.num_new) == (5, 1)
    dataset = Dataset(own_copy)
    assert sorted(dataset.seed(i) for i in range(5)) == sorted(episode_seed(3, i) for i in range(5))
    assert verify(own_copy) == []


def test_what_follows_from_the_rest_is_written_anew(
    own_copy: Path, files_of: FilesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_MAX_DATA_BYTES", 1)  # info.json tells it
    before = files_of(own_copy)
    (own_copy / "meta/stats.json").write_text("{")
    (own_copy / "meta/tasks.parquet").unlink()
    done = repair(own_copy)
    assert (done.num_kept, done.num_dropped) == (NUM_EPISODES, 0)
    after = files_of(own_copy)
    assert [name for name in before if after[name] != before[name]] == []


def test_a_repair_of_nothing_changes_nothing(own_copy: Path, files_of: FilesOf) -> None:
    before = files_of(own_copy)
    done = repair(own_copy)
    assert (done.num_kept, done.num_dropped, done.faults, done.aside) == (NUM_EPISODES, 0, [], None)
    assert files_of(own_copy) == before
    (own_copy / SUMS_PATH).unlink()
    repair(own_copy)
    assert files_of(own_copy) == before


def test_a_repair_completes_what_a_stopped_collection_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(collect_module, "finalize", lambda *_: 0)
        collect("dummy", tmp_path / "d", 4, **SMALL)
    parts = sorted((tmp_path / "d/.part").glob("episode-*"))
    (parts[1] / "frames.parquet").write_bytes(b"")  # as after a power cut
    (parts[2] / "observation.images.main.mp4").unlink()
    done = repair(tmp_path / "d")
    assert (done.num_kept, done.num_dropped) == (2, 2)
    assert [fault.file for fault in done.faults] == [".part/episode-000001", ".part/episode-000002"]
    dataset = Dataset(tmp_path / "d")
    assert [dataset.seed(i) for i in range(2)] == [episode_seed(3, i) for i in (0, 3)]
    assert verify(tmp_path / "d") == []


def test_what_cannot_be_repaired_is_said_and_left_alone(own_copy: Path, files_of: FilesOf) -> None:
    (own_copy / "meta/info.json").write_text("{")
    before = files_of(own_copy)
    with pytest.raises(UserError, match=r"info\.json is damaged"):
        repair(own_copy)
    for file in own_copy.rglob("*.mp4"):
        file.unlink()
    (own_copy / "meta/info.json").write_text(json.dumps({"orrery": {}, "total_episodes": 5}))
    write_sums(own_copy)
    with pytest.raises(UserError, match="nothing of it can be kept"):
        repair(own_copy)
    assert before.keys() - files_of(own_copy).keys() == {k for k in before if k.endswith(".mp4")}
    assert [p.name for p in own_copy.parent.iterdir()] == ["copy"]
