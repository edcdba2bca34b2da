"""Episodes are complete or absent, and moving them into the layout's files can stop anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orrery.data import writer
from orrery.data.dataset import Dataset
from orrery.data.record.world import record
from orrery.data.writer import finalize, finished_parts, write_part
from orrery.streams import Episode
from orrery.worlds.dummy import DummyWorld

WORLD = DummyWorld(size=16)
EPISODES = [record(WORLD, seed, 0.5) for seed in range(5)]
SETTINGS: dict[str, Any] = {"collect": {"world": "dummy"}, "spec": WORLD.spec.to_json()}


FilesOf = Callable[[Path], dict[str, bytes]]


class Crash(BaseException):
    """Stands for a power cut: nothing may catch it."""


def _write_all(root: Path, numbers: range = range(5)) -> None:
    for number in numbers:
        write_part(root, number, EPISODES[number])


@pytest.fixture
def straight(tmp_path: Path, files_of: FilesOf, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Files of five episodes written without interruption, two to a file."""
    monkeypatch.setattr(writer, "_groups", _pairs)
    _write_all(tmp_path / "straight")
    assert finalize(tmp_path / "straight", SETTINGS) == 5
    return files_of(tmp_path / "straight")


def _pairs(parts: Any) -> Any:
    items = list(parts)
    return (items[i : i + 2] for i in range(0, len(items), 2))


def test_order_of_writing_does_not_matter(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf
) -> None:
    for number in (4, 1, 0, 3, 2):
        write_part(tmp_path / "other", number, EPISODES[number])
    finalize(tmp_path / "other", SETTINGS)
    assert files_of(tmp_path / "other") == straight


def test_finalize_again_changes_nothing(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf
) -> None:
    assert finalize(tmp_path / "straight", SETTINGS) == 5
    assert files_of(tmp_path / "straight") == straight


@pytest.mark.parametrize(
    ("function", "call"),
    [("_move_group", 0), ("_move_group", 2), ("_episode_rows", 1), ("_replaced", 0), ("_replaced", 11)]
    + [("write_table", n) for n in range(10)]
    + [("write_json", n) for n in range(2)],
)
def test_finalize_can_stop_anywhere(
    straight: dict[str, bytes],
    tmp_path: Path,
    files_of: FilesOf,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    call: int,
) -> None:
    """Stops before call number `call` of `function`, then runs again: the same bytes."""
    _crash_then_finish(tmp_path / "cut", monkeypatch, writer, function, call)
    assert files_of(tmp_path / "cut") == straight


@pytest.mark.parametrize("call", [0, 1, 3])
def test_finalize_can_stop_while_it_cleans_up(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    _crash_then_finish(tmp_path / "cut", monkeypatch, writer.shutil, "rmtree", call)
    assert files_of(tmp_path / "cut") == straight


def _crash_then_finish(
    root: Path, monkeypatch: pytest.MonkeyPatch, module: Any, function: str, call: int
) -> None:
    _write_all(root)
    original: Callable[..., Any] = getattr(module, function)
    calls = iter(range(1000))

    def crashing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise Crash
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, function, crashing)
        with pytest.raises(Crash):
            finalize(root, SETTINGS)
    assert finalize(root, SETTINGS) == 5


@pytest.mark.parametrize("function", ["stats_of", "write_json", "_vectors"])
def test_an_episode_that_is_cut_short_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    write_part(tmp_path, 0, EPISODES[0])

    def crashing(*_: Any, **__: Any) -> Any:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(writer, function, crashing)
        with pytest.raises(Crash):
            write_part(tmp_path, 1, EPISODES[1])
    assert list(finished_parts(tmp_path)) == [0]
    assert len(list((tmp_path / ".part").iterdir())) == 1


def test_an_existing_part_is_kept(tmp_path: Path, files_of: FilesOf) -> None:
    write_part(tmp_path, 0, EPISODES[0])
    before = files_of(tmp_path)
    write_part(tmp_path, 0, EPISODES[1])
    assert files_of(tmp_path) == before


def test_more_episodes_go_into_new_files(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf
) -> None:
    root = tmp_path / "grown"
    _write_all(root, range(2))
    assert finalize(root, SETTINGS) == 2
    first = (root / "data/chunk-000/file-000.parquet").read_bytes()
    _write_all(root, range(2, 5))
    assert finalize(root, SETTINGS) == 5
    assert (root / "data/chunk-000/file-000.parquet").read_bytes() == first
    assert files_of(root) == straight  # growth at a file's end leaves no trace


def test_missing_numbers_leave_no_hole(tmp_path: Path) -> None:
    for number in (0, 2, 4):
        write_part(tmp_path, number, EPISODES[number])
    assert finalize(tmp_path, SETTINGS) == 3
    dataset = Dataset(tmp_path)
    assert [dataset.seed(i) for i in range(3)] == [0, 2, 4]
    table = pq.ParquetFile(tmp_path / "data/chunk-000/file-000.parquet").read(["index", "episode_index"])
    assert table["index"].to_pylist() == list(range(36))
    assert sorted(set(table["episode_index"].to_pylist())) == [0, 1, 2]


def test_rows_have_lerobots_types(tmp_path: Path) -> None:
    write_part(tmp_path, 0, EPISODES[0])
    finalize(tmp_path, SETTINGS)
    schema = pq.ParquetFile(tmp_path / "data/chunk-000/file-000.parquet").schema_arrow
    assert str(schema.field("timestamp").type) == "float"
    assert {str(schema.field(n).type) for n in ("frame_index", "episode_index", "index", "task_index")} == {
        "int64"
    }
    assert schema.field("observation.audio.main").type.list_size == 2000
    assert str(schema.field("action").type) == "float"  # LeRobot reads shape [1] as a plain number


def test_an_episode_without_events_or_video(tmp_path: Path) -> None:
    world = DummyWorld(streams=["state"])
    episode = record(world, 0, 0.1)
    assert episode.events == []
    write_part(tmp_path, 0, Episode(world.spec, episode.streams))
    finalize(tmp_path, {"collect": {"world": "dummy"}, "spec": world.spec.to_json()})
    read = Dataset(tmp_path).episode(0)
    assert list(read.streams) == ["state"]
    assert read.events == []
    assert read.scene == {}
    assert not (tmp_path / "videos").exists()
