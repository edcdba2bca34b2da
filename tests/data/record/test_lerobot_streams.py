"""Every column and camera of a recording is a stream of its own, or words at their instant, or is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from robot_data import Column, Robot, numbers_on

from orrery.data import layout
from orrery.data.dataset import Dataset
from orrery.data.record.collect import CollectReport, collect
from orrery.inference.inspect import inspect


def recorded(source: Path, out: Path, **options: Any) -> tuple[Dataset, CollectReport]:
    report = collect(f"lerobot:{source}", out, image_size=48, progress=False, **options)
    return Dataset(out), report


@pytest.mark.parametrize(
    "names",
    [
        ["side_a", "side.a", "side/a", "Side A", "side a"],
        ["oben links", "größe", "GRÖSSE", "相机", "a:b*c?", "..", "x" * 60],
        ["top", "observation.images.top"],
    ],
)
def test_cameras_of_any_name(tmp_path: Path, names: list[str]) -> None:
    """No two are one stream, or one file on any disk."""
    cameras = {f"observation.images.{name}": 10.0 + 5 * k for k, name in enumerate(names)}
    films = {name: f"film{k}" for k, name in enumerate(cameras)}
    robot = Robot((3, 2), cameras=cameras)
    source = robot.write(tmp_path / "in")
    data, report = recorded(source, tmp_path / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    streams = json.loads((tmp_path / "out/meta/plan.json").read_text())["streams"]
    found = {feature: stream for stream, feature in streams.items() if feature in films}
    assert set(found) == set(cameras)
    assert len({layout.column_of(stream).casefold() for stream in found.values()}) == len(names)
    for feature, rate in cameras.items():
        last = robot.num_frames(0, rate)
        shown = numbers_on(data.load(1)[found[feature]][:, 0])
        assert shown == [last + int(np.ceil(i / 10 * rate - 0.5 - 1e-6)) for i in range(2)], feature


def _numbers(
    dtype: str, value: Any, shape: tuple[int, ...] = (1,), kind: pa.DataType | None = None
) -> Column:
    return Column(dtype, list(shape), value, kind)


def test_columns_whose_names_mean_something_else_here(tmp_path: Path) -> None:
    words = "proprioception action video.main state.arm images"
    names = [f"observation.{word}" for word in words.split()]
    names += ["observation", "state", "reward", "next.observation", "action.gripper"]
    columns = {
        name: _numbers("float32", lambda e, i, k=k: 100.0 * k + i, kind=pa.float32())
        for k, name in enumerate(names)
    }
    data, report = recorded(Robot((3,), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert report.skipped == {}
    streams = json.loads((tmp_path / "out/meta/plan.json").read_text())["streams"]
    assert set(streams.values()) == {*columns, "observation.state", "action"}
    given = {spec.name for spec in data.spec.of_role("given")}
    assert given == {"action", "action.gripper"}
    assert not data.spec.of_role("outcome")
    for stream, feature in streams.items():
        if feature in columns and stream not in given:
            k = list(columns).index(feature)
            assert data.load(0)[stream].ravel().tolist() == [100 * k, 100 * k + 1, 100 * k + 2], feature


def test_endings_successes_flags_and_shapes(tmp_path: Path) -> None:
    columns = {
        "next.success": _numbers("bool", lambda e, i: e == 0 and i >= 2),
        "next.truncated": _numbers("bool", lambda e, i: e == 1 and i == 3),
        "next.done": _numbers("bool", lambda e, i: i == 3),
        "next.reward": _numbers("float64", lambda e, i: 0.25 * i),
        "observation.contact": _numbers("bool", lambda e, i: i % 2 == 1),
        "observation.switches": _numbers("bool", lambda e, i: [True, i > 1], (2,)),
        "observation.count": _numbers("int64", lambda e, i: 10 * e + i),
        "observation.pose": _numbers("float64", lambda e, i: [[i, 1.0], [2.0, 3.0]], (2, 2)),
        "observation.scalar": Column("float32", [], lambda e, i: i / 4),
    }
    data, report = recorded(Robot((4, 4), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    specs, streams = data.spec.streams, data.load(0)
    ends = ("success", "truncated", "terminated")
    outcomes = {name: (specs[name].kind, layout.column_of(name)) for name in ends}
    assert outcomes == {
        "success": ("choice", "next.success"),
        "truncated": ("choice", "next.truncated"),
        "terminated": ("choice", "next.terminated"),
    }
    assert streams["success"].ravel().tolist() == [0, 0, 0, 1]
    assert data.load(1)["success"].ravel().tolist() == [0, 0, 0, 0]
    assert data.load(1)["truncated"].ravel().tolist() == [0, 0, 0, 1]
    assert streams["terminated"].ravel().tolist() == [0, 0, 0, 1]
    assert streams["reward"].ravel().tolist() == [0, 0, 0.25, 0.5 + 0.75]
    assert (specs["contact"].kind, streams["contact"].ravel().tolist()) == ("choice", [0, 1, 0, 1])
    assert streams["switches"].reshape(4, 2).tolist() == [[1, 0], [1, 0], [1, 1], [1, 1]]
    assert data.load(1)["count"].ravel().tolist() == [10, 11, 12, 13]
    assert streams["pose"].reshape(4, 4)[3].tolist() == [3, 1, 2, 3]
    assert streams["scalar"].ravel().tolist() == [0, 0.25, 0.5, 0.75]


def test_what_is_no_stream_is_named_everywhere(tmp_path: Path) -> None:
    columns = {
        "observation.cloud": _numbers(
            "float32", lambda e, i: [0.0] * 3, (400_000, 3), pa.list_(pa.float32())
        ),
        "observation.odd": Column("complex", [1], lambda e, i: 1.0),
        "observation.shapeless": Column("float32", ["?"], lambda e, i: 1.0),  # type: ignore[list-item]
    }
    robot = Robot((3, 0), cameras={"observation.images.top": 10}, columns=columns)
    robot.edit_info = lambda info: info["features"]["observation.images.top"]["info"].update(has_audio=True)
    _, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert set(report.skipped) == {*columns, "the sound of observation.images.top", "episode 1"}
    kept = json.loads((tmp_path / "out/meta/plan.json").read_text())["skipped"]
    assert kept == report.skipped
    told = dict(inspect(tmp_path / "out", tmp_path / "sheet.png", verify=False).facts)[
        "left out"
    ].splitlines()
    assert told[0] == "5"
    assert {line.partition(":")[0] for line in told[1:]} == set(report.skipped)


def _words(value: Any, kind: pa.DataType | None = None, dtype: str = "string") -> Column:
    return Column(dtype, [1], value, kind)


def said(data: Dataset, index: int = 0) -> list[tuple[float, str, str]]:
    return [(round(event.seconds, 3), event.kind, event.a) for event in data.events(index)]


def test_subtasks_by_number_and_words_in_columns(tmp_path: Path) -> None:
    columns = {
        "subtask_index": _numbers("int64", lambda e, i: [0, 0, 1, 1, -1, 7][i]),
        "observation.instruction": _words(lambda e, i: ["left", "left", None, "left", "right", "right"][i]),
    }
    source = Robot((6,), 5, columns=columns).write(tmp_path / "in")
    pq.write_table(
        pa.table({"subtask_index": [0, 1], "__index_level_0__": ["reach", "grasp"]}),
        source / "meta/subtasks.parquet",
    )
    data, report = recorded(source, tmp_path / "out")
    assert report.skipped == {}
    words = [(0.0, "left"), (0.6, "left"), (0.8, "right")]
    subtasks = [(0.0, "subtask", "reach"), (0.4, "subtask", "grasp"), (1.0, "subtask", "subtask 7")]
    expected = sorted([*subtasks, *((at, "observation.instruction", word) for at, word in words)])
    assert sorted(said(data)) == expected
    data, _ = recorded(source, tmp_path / "cut", seconds=0.8)
    assert sorted(said(data)) == [event for event in expected if event[0] < 0.8]


def test_remarks_of_version_3_1(tmp_path: Path) -> None:
    remark = pa.struct([("role", pa.string()), ("content", pa.string()), ("style", pa.string()),
                        ("timestamp", pa.float32()), ("camera", pa.string())])  # fmt: skip
    lasting = [
        {"role": "assistant", "content": "reach", "style": "subtask", "timestamp": 0.0, "camera": None},
        {"role": "assistant", "content": "lift", "style": "subtask", "timestamp": 0.3, "camera": None},
    ]
    once = [{"role": "user", "content": "stop!", "style": "interjection", "timestamp": None, "camera": None}]
    columns = {
        "language_persistent": _words(lambda e, i: lasting, pa.list_(remark), "language"),
        "language_events": _words(lambda e, i: once if i == 4 else [], pa.list_(remark), "language"),
    }
    data, report = recorded(Robot((6,), columns=columns).write(tmp_path / "in", "v3.1"), tmp_path / "out")
    assert report.skipped == {}
    assert said(data) == [(0.0, "subtask", "reach"), (0.3, "subtask", "lift"), (0.4, "interjection", "stop!")]


def test_subtasks_in_the_list_of_episodes(tmp_path: Path) -> None:
    def edit(row: dict[str, Any]) -> None:
        row["subtask_names"], row["subtask_start_frames"] = ["reach", "push"], [0, 3]

    data, _ = recorded(Robot((5,), edit_row=edit).write(tmp_path / "in"), tmp_path / "out")
    assert said(data) == [(0.0, "subtask", "reach"), (0.3, "subtask", "push")]


@pytest.mark.parametrize(
    ("tasks", "text"),
    [
        ([["pick"]], "pick"), (["pick"], "pick"), ([[]], "task 0"), ([None], "task 0"),
        ([["Schraube\nlösen 🔧"]], "Schraube\nlösen 🔧"), ([["b" * 9000]], "b" * 9000),
    ],
)  # fmt: skip
def test_tasks(tmp_path: Path, tasks: list[Any], text: str) -> None:
    """As they are; where the list of episodes has none, the one that the rows point to."""
    data, report = recorded(Robot((3,), tasks=tasks).write(tmp_path / "in"), tmp_path / "out")
    assert report.dropped == {}
    assert data.text(0) == text


def test_no_task_anywhere(tmp_path: Path) -> None:
    source = Robot((3,), tasks=[[]]).write(tmp_path / "in")
    (source / "meta/tasks.parquet").unlink()
    data, report = recorded(source, tmp_path / "out")
    assert (report.dropped, data.text(0)) == ({}, "")


def test_several_tasks_in_an_episode(tmp_path: Path) -> None:
    columns = {"task_index": _numbers("int64", lambda e, i: int(i > 2))}
    robot = Robot((5, 5), tasks=[["task 0", "task 1"], ["task 0"]], columns=columns)
    data, _ = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert data.text(0) == "task 0"
    assert data.scene(0)["tasks"] == ["task 0", "task 1"]
    assert said(data) == [(0.0, "task", "task 0"), (0.3, "task", "task 1")]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", 1_700_000_000_000_000_001),
        ("uint64", 2**64 - 1),
        ("int32", 2**24 + 1),
        ("uint32", 2**32 - 1),
        ("float64", 48.123456789012),
        ("float64", 1e300),
        ("int16", -(2**15)),
        ("uint8", 255),
    ],
)
def test_numbers_come_back_to_the_last_digit(tmp_path: Path, dtype: str, value: float) -> None:
    kind = pa.from_numpy_dtype(np.dtype(dtype))
    columns = {"observation.reading": _numbers(dtype, lambda e, i: value, kind=kind)}
    data, report = recorded(Robot((3,), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert (report.dropped, report.notes) == ({}, {})
    assert data.load(0)["reading"].ravel().tolist() == [value] * 3


def test_a_reward_that_float32_rounds_is_counted(tmp_path: Path) -> None:
    columns = {"next.reward": _numbers("int64", lambda e, i: 2**24 + i, kind=pa.int64())}
    source = Robot((4, 2), columns=columns).write(tmp_path / "in")
    _, report = recorded(source, tmp_path / "out")
    note = "next.reward: a whole number beyond 16,777,216, rounded to float32"
    assert report.notes == {note: "2 episodes (3 ticks)"}


def test_a_number_that_its_type_does_not_hold_is_called_by_its_value(tmp_path: Path) -> None:
    columns = {
        "observation.far": _numbers("float32", lambda e, i: 1e300 if e else 1.0, kind=pa.float64()),
        "observation.count": _numbers("int64", lambda e, i: 1.5 if e == 2 else 1.0, kind=pa.float64()),
    }
    _, report = recorded(
        Robot((2, 2, 2, 2, 2, 2, 2), columns=columns).write(tmp_path / "in"),
        tmp_path / "out",
        streams=["count"],
    )
    assert set(report.dropped) == {2}
    assert "holds double that is no int64" in report.dropped[2]
    source = Robot((2, 2), columns={"observation.far": columns["observation.far"]}).write(tmp_path / "far")
    _, report = recorded(source, tmp_path / "far_out")
    assert "is 1e+300 in row 0, which float32 does not hold" in report.dropped[1]


def test_a_column_that_nothing_describes_is_named(tmp_path: Path) -> None:
    columns = {"observation.secret": _numbers("float32", lambda e, i: 1.0, kind=pa.float32())}
    robot = Robot((3,), columns=columns, edit_info=lambda info: info["features"].pop("observation.secret"))
    _, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert report.skipped == {"observation.secret": "meta/info.json does not describe it"}


def test_lists_of_words_are_said_together(tmp_path: Path) -> None:
    columns = {"observation.modes": _words(lambda e, i: ["arm", "base"] if i else [], pa.list_(pa.string()))}
    data, _ = recorded(Robot((3,), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert said(data) == [(0.1, "observation.modes", "arm, base")]


def test_rows_without_a_task_are_counted_and_interrupt_none(tmp_path: Path) -> None:
    columns = {"task_index": _numbers("int64", lambda e, i: [0, None, 9, 0][i], kind=pa.int64())}
    data, report = recorded(Robot((4,), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert said(data) == []
    ((note, count),) = report.notes.items()
    assert "task_index: none that meta/tasks knows" in note
    assert count == "1 episodes (2 ticks)"
