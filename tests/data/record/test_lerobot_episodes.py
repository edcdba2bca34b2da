"""Episodes of recordings go in under their own numbers, wherever they lie; what cannot is named with its
number."""

from __future__ import annotations

import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from robot_data import Column, Robot, numbers_on

from orrery.data.dataset import Dataset
from orrery.data.record.collect import CollectReport, collect
from orrery.errors import UserError

FRONT = "observation.images.front"


def recorded(source: Path | str, out: Path, **options: Any) -> tuple[Dataset, CollectReport]:
    report = collect(f"lerobot:{source}", out, image_size=48, progress=False, **options)
    return Dataset(out), report


def own_numbers(data: Dataset) -> list[int]:
    """The episodes' numbers where they come from, checked against what is in them."""
    numbers = [data.scene(i)["episode_index"] for i in range(len(data))]
    assert [data.load(i)["proprioception"][0, 0, 0] for i in range(len(data))] == numbers
    assert [data.seed(i) for i in range(len(data))] == numbers
    return numbers


@pytest.mark.parametrize("numbers", [[0, 2, 5], [7, 3, 11], [1_000, 20_000, 5]])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_whatever_is_missing_between_them(tmp_path: Path, numbers: list[int], version: str) -> None:
    robot = Robot((4, 5, 3), numbers=numbers, cameras={FRONT: 10}, files=[[0], [1, 2]])
    source = (robot.write_v2 if version < "v3" else robot.write)(tmp_path / "in", version)
    data, report = recorded(source, tmp_path / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    assert own_numbers(data) == sorted(numbers)
    assert sorted(data.num_ticks(i) for i in range(3)) == [3, 4, 5]


def test_a_part_of_them_is_recorded_and_then_the_rest(tmp_path: Path) -> None:
    source = Robot((3, 3, 3), numbers=[4, 6, 9]).write(tmp_path / "in")
    _, report = recorded(source, tmp_path / "out", num_episodes=2)
    assert (report.num_wanted, report.num_new) == (2, 2)
    data, report = recorded(source, tmp_path / "out")
    assert (report.num_wanted, report.num_new) == (3, 1)
    assert own_numbers(data) == [4, 6, 9]


def test_rows_in_other_files_than_is_said_and_in_two(tmp_path: Path) -> None:
    """An episode whose rows lie elsewhere, one that goes over into the next file, rows out of order."""
    robot = Robot((6, 5, 4), files=[[0], [1], [2]])
    source = robot.write(tmp_path / "in")
    tables = [robot.table([e]) for e in range(3)]
    files = sorted((source / "data").rglob("*.parquet"))
    pq.write_table(pa.concat_tables([tables[2], tables[0].slice(0, 4)]), files[0])
    pq.write_table(tables[1].take(pa.array([3, 0, 4, 1, 2])), files[1])
    pq.write_table(tables[0].slice(4), files[2])
    data, report = recorded(source, tmp_path / "out")
    assert report.dropped == {}
    assert own_numbers(data) == [0, 1, 2]
    for e, length in enumerate(robot.lengths):
        state = data.load(e)["proprioception"][:, 0, 1]
        np.testing.assert_array_equal(state, (np.arange(length) / 7).astype(np.float32))


@pytest.mark.parametrize("fault", ["lost", "hole", "twice"])
def test_rows_that_are_missing_or_there_twice_cost_their_episode(tmp_path: Path, fault: str) -> None:
    robot = Robot((6, 6))
    if fault == "hole":
        robot.columns = {"frame_index": Column("int64", [1], lambda e, i: i + 3 * (e == 1 and i > 2))}
    source = robot.write(tmp_path / "in")
    file = next((source / "data").rglob("*.parquet"))
    table = pq.read_table(file)
    if fault != "hole":
        pq.write_table(
            table.slice(0, 9) if fault == "lost" else pa.concat_tables([table, table.slice(8)]), file
        )
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0]
    said = {
        "lost": "3 of the 6 rows",
        "hole": "frame_index 3 to 5 are missing",
        "twice": "10 rows of episode 1",
    }
    assert said[fault] in report.dropped[1]


@pytest.mark.parametrize("lengths", [(4, 0, 3), (0, 0, 2)])
def test_an_episode_without_a_row_is_named(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    robot = Robot(lengths, cameras={FRONT: 20})
    data, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    empty = [e for e, length in enumerate(lengths) if not length]
    assert own_numbers(data) == [e for e, length in enumerate(lengths) if length]
    assert report.dropped == {}
    assert report.skipped == {"episode 1" if len(empty) == 1 else "episodes 0 and 1": "no rows"}
    assert data.left_out() == report.skipped
    assert json.loads((tmp_path / "out/meta/plan.json").read_text())["skipped"] == report.skipped


def test_all_empty_is_refused(tmp_path: Path) -> None:
    source = Robot((0, 0)).write(tmp_path / "in")
    with pytest.raises(UserError, match="no episode is left: episodes 0 and 1: no rows"):
        recorded(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("data_path", "video_path"),
    [
        ("data/part-{chunk_index}-{file_index}.parquet", "films/{video_key}/{chunk_index}/{file_index}.mp4"),
        ("rows/{chunk_index:05d}_{file_index:02d}.parquet", "{video_key}/f{file_index}-c{chunk_index}.mkv"),
    ],
)
def test_files_lie_where_the_templates_say(tmp_path: Path, data_path: str, video_path: str) -> None:
    robot = Robot(
        (3, 2, 4), cameras={FRONT: 10}, files=[[0], [1], [2]], data_path=data_path, video_path=video_path
    )
    data, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    assert numbers_on(data.load(2)["video.front"][:, 0]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("data/{feature_key}.parquet", "feature_key"),
        ("../{file_index}.parquet", "outside of"),
        ("data/{", "data_path"),
        ("/etc/{file_index}", "outside of"),
        ("{file_index:099999999d}.parquet", "data_path"),
        ("{}", "data_path"),
        ("{file_index.real}", "data_path"),
    ],
)
def test_templates_that_lead_nowhere_are_told(tmp_path: Path, template: str, said: str) -> None:
    robot = Robot((3,), edit_info=lambda info: info.update(data_path=template))
    with pytest.raises(UserError, match=said):
        recorded(robot.write(tmp_path / "in"), tmp_path / "out")


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_version_two_is_read(tmp_path: Path, version: str) -> None:
    robot = Robot((4, 3, 5, 2), 15, numbers=[0, 1, 3, 4], cameras={FRONT: 30, "observation.image": 15})
    data, report = recorded(robot.write_v2(tmp_path / "in", version), tmp_path / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    assert own_numbers(data) == [0, 1, 3, 4]
    for e, length in enumerate(robot.lengths):
        assert data.text(e) == f"task {e}"
        assert numbers_on(data.load(e)["video.front"][:, 0]) == [100 * e + 2 * i for i in range(length)]
        assert numbers_on(data.load(e)["video.image"][:, 0]) == [100 * e + i for i in range(length)]


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    source = Robot((3, 2, 4)).write_v2(tmp_path / "in")
    file = source / "meta/episodes.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1][:9], lines[2]]))
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0, 2]
    assert f"line 2 of {file} cannot be read" in report.dropped[1]


@pytest.mark.parametrize(("said", "there"), [("v2.1", "v3"), ("v3.0", "v2")])
def test_files_of_another_version_than_is_said(tmp_path: Path, said: str, there: str) -> None:
    robot = Robot((3,))
    source = robot.write_v2(tmp_path / "in", said) if there == "v2" else robot.write(tmp_path / "in", said)
    with pytest.raises(
        UserError, match=f"says it is a LeRobotDataset {said}, but its files are those of {there}"
    ):
        recorded(source, tmp_path / "out")


def _holed(robot_episodes: set[int], hole: Any = None) -> Column:
    def value(e: int, i: int) -> list[float] | None:
        return hole if e in robot_episodes and i > 2 else [i, -i]

    return Column("float32", [2], value, pa.list_(pa.float32()))


@pytest.mark.parametrize(
    ("hole", "why"),
    [
        (None, "has no value in row 3"),
        ([math.nan, 0.0], "is nan in row 3"),
        ([0.0, math.inf], "is inf in row 3"),
    ],
)
def test_cells_without_a_value_cost_the_column_if_most_episodes_have_them(
    tmp_path: Path, hole: Any, why: str
) -> None:
    columns = {"observation.effort": _holed({0, 1}, hole), "observation.current": _holed({0, 1, 2}, hole)}
    source = Robot((4, 5, 4), columns=columns).write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0, 1, 2]
    assert set(report.skipped) == set(columns)
    assert "no value (or NaN) for 3 rows of episodes 0 and 1, of 3" in report.skipped["observation.effort"]
    assert not {"effort", "current"} & set(data.spec.streams)
    data, report = recorded(source, tmp_path / "asked", streams=["effort", "proprioception"])
    assert own_numbers(data) == [2]
    assert f"episode 0: observation.effort: {why}" in report.dropped[0]


def test_cells_without_a_value_cost_their_episode_if_few_have_them(tmp_path: Path) -> None:
    source = Robot((4, 5, 4), columns={"observation.effort": _holed({1})}).write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0, 2]
    assert report.skipped == {}
    assert list(report.dropped) == [1]
    assert "observation.effort: has no value in row 3" in report.dropped[1]
    assert "effort" in data.spec.streams


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([1.0], "has 1 numbers in row 2 where"),
        ([1.0, None], "has no value in row 2"),
        ([1.0, np.nan], "is nan in row 2"),
    ],
)
def test_cells_that_hold_something_else_are_told(tmp_path: Path, cell: list[Any], said: str) -> None:
    column = Column(
        "float32", [2], lambda e, i: cell if (e, i) == (2, 2) else [0.0, 1.0], pa.list_(pa.float32())
    )
    source = Robot((3, 3, 3), columns={"observation.velocity": column}).write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0, 1]
    assert f"episode 2: observation.velocity: {said}" in report.dropped[2]


def test_a_camera_that_no_episode_places_is_named_and_one_that_some_do_costs_the_others(
    tmp_path: Path,
) -> None:
    def edit(row: dict[str, Any]) -> None:
        for key in list(row):
            if key.startswith("videos/observation.images.wrist/"):
                row[key] = None
            if key.startswith("videos/observation.images.side/") and row["episode_index"] == 1:
                row[key] = None

    cameras = {f"observation.images.{name}": 10.0 for name in ("wrist", "side", "front")}
    source = Robot((3, 4, 2), cameras=cameras, edit_row=edit).write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0, 2]
    assert list(report.skipped) == ["observation.images.wrist"]
    assert "nothing says where its pictures are for 9 rows" in report.skipped["observation.images.wrist"]
    assert "episode 1: observation.images.side: has no film" in report.dropped[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fps": None}, "its fps is None"),
        ({"fps": "fast"}, "its fps is 'fast'"),
        ({"fps": -3}, "its fps is -3"),
        ({"fps": 1e9}, "its fps is"),
        ({"features": None}, "lists no features"),
        ({"features": {}}, "lists no features"),
        ({"features": {"action": 5}}, "no stream is left"),
        ({"codebase_version": "v9.1"}, "v2.0 to v3.1 are read"),
    ],
)
def test_what_info_json_lacks_is_told(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    source = Robot((3,), edit_info=lambda info: info.update(change)).write(tmp_path / "in")
    with pytest.raises(UserError, match=said):
        recorded(source, tmp_path / "out")


@pytest.mark.parametrize("info", [None, [], {}, {"video.fps": None}, "missing"])
@pytest.mark.parametrize("chunks_size", [None, 0, "x"])
def test_what_info_json_need_not_say(tmp_path: Path, info: Any, chunks_size: Any) -> None:
    def edit(said: dict[str, Any]) -> None:
        said.update(chunks_size=chunks_size, total_episodes=None, data_path=None, video_path=None)
        said["features"][FRONT]["info"] = info
        if info == "missing":
            del said["features"][FRONT]["info"]

    data, report = recorded(
        Robot((3, 2), cameras={FRONT: 10}, edit_info=edit).write(tmp_path / "in"), tmp_path / "out"
    )
    assert (own_numbers(data), report.dropped, report.skipped) == ([0, 1], {}, {})


def test_an_episode_that_memory_cannot_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orrery.data.record.source.MAX_EPISODE_BYTES", 1000)
    source = Robot((20, 100)).write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert own_numbers(data) == [0]
    assert "episode 1: it takes" in report.dropped[1]
    assert "--seconds" in report.dropped[1]


def _hub(monkeypatch: pytest.MonkeyPatch, download: Any) -> None:
    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)


def test_a_name_of_the_hub_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, asked = Robot((3, 2)).write(tmp_path / "8f3c2b"), []

    def download(repository: str, **options: Any) -> str:
        asked.append((repository, options))
        return str(source)

    _hub(monkeypatch, download)
    data, _ = recorded("someone/pick-place", tmp_path / "out")
    assert own_numbers(data) == [0, 1]
    assert data.settings["world"] == "lerobot:someone/pick-place"
    recorded("someone/pick-place@v2.1", tmp_path / "old")
    assert asked == [
        ("someone/pick-place", {"repo_type": "dataset", "revision": revision}) for revision in (None, "v2.1")
    ]


def test_a_hub_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r'pip install "orrery\[formats\]"'):
        recorded("someone/pick-place", tmp_path / "out")

    def download(repository: str, **options: Any) -> str:
        raise ConnectionError("Network is unreachable\nmore")

    _hub(monkeypatch, download)
    with pytest.raises(
        UserError, match=r"does not give it \(Network is unreachable\); check the name and the network"
    ):
        recorded("someone/pick-place", tmp_path / "out")
    with pytest.raises(UserError, match="is no LeRobotDataset"):
        recorded(tmp_path / "nothing/there", tmp_path / "out")
