"""Pictures of recordings are taken by time stamp: to the frame, at any rate of rows and of films; depth
stays depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from robot_data import CELL, HEIGHT, NUM_BITS, WIDTH, Column, Robot, coded, encoded, numbers_on, write_film

from orrery.data.dataset import Dataset
from orrery.data.record.collect import CollectReport, collect

SIZE = NUM_BITS * 4
FRONT, LEFT = "observation.images.front", "observation.images.left"


def recorded(source: Path, out: Path, **options: Any) -> tuple[Dataset, CollectReport]:
    report = collect(f"lerobot:{source}", out, image_size=SIZE, progress=False, **options)
    return Dataset(out), report


def check_frames(robot: Robot, data: Dataset) -> None:
    """Every picture is the frame of its film that is nearest in time to its row, the earlier of two as
    near, and none is that of another episode."""
    for index in range(len(data)):
        e = robot.own_numbers.index(data.scene(index)["episode_index"])
        for name, rate in robot.cameras.items():
            begin = robot.starts[e, name] if robot.video_path.count("episode_index") == 0 else 0
            base = robot.starts[e, name] - begin
            exact = begin + np.arange(robot.lengths[e]) / robot.fps * rate
            last = begin + robot.num_frames(e, rate) - 1
            expected = base + np.minimum(np.ceil(exact - 0.5 - 1e-6).astype(int), last)
            pictures = data.load(index)[f"video.{name.removeprefix('observation.images.')}"][:, 0]
            assert numbers_on(pictures) == expected.tolist(), (index, name)


@pytest.mark.parametrize(
    ("fps", "film"), [(10, 25), (15, 60), (30, 10), (24, 23.976), (5, 7), (12, 12)], ids=str
)
def test_any_film_rate_beside_any_row_rate(tmp_path: Path, fps: float, film: float) -> None:
    """Episodes that begin anywhere in films of several files, two cameras at rates of their own."""
    robot = Robot(
        (9, 5, 8, 6), fps, cameras={FRONT: film, LEFT: fps}, files=[[0, 1], [2], [3]], begin_frame=7
    )
    data, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert (report.num_episodes, report.dropped, report.skipped) == (4, {}, {})
    assert [data.num_ticks(i) for i in range(4)] == [9, 5, 8, 6]
    check_frames(robot, data)


def test_a_film_whose_stamps_do_not_begin_at_zero(tmp_path: Path) -> None:
    robot = Robot((6, 5), cameras={FRONT: 20}, first_seconds=3.0)
    data, _ = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    check_frames(robot, data)


def test_a_clock_on_the_wall_and_rows_that_come_unevenly(tmp_path: Path) -> None:
    """Time stamps decide, whatever they begin with."""
    stamps = [0.0, 0.1, 0.25, 0.3, 0.5, 0.55]
    wall = Column("float64", [1], lambda e, i: 1.7e9 + stamps[i], pa.float64())
    robot = Robot((6,), cameras={FRONT: 20}, columns={"timestamp": wall})
    data, _ = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert numbers_on(data.load(0)["video.front"][:, 0]) == [round(20 * at) for at in stamps]


@pytest.mark.parametrize("fault", ["short", "offset", "span"])
def test_pictures_that_are_not_there_are_told_and_cost_their_episode(tmp_path: Path, fault: str) -> None:
    """A film that ends too soon, an offset past its end, an episode with fewer pictures than rows."""

    def edit(row: dict[str, Any]) -> None:
        if row["episode_index"] == 1 and fault == "offset":
            row[f"videos/{FRONT}/from_timestamp"] += 60
        if row["episode_index"] == 1 and fault == "span":
            row[f"videos/{FRONT}/to_timestamp"] -= 0.3

    robot = Robot((6, 5), cameras={FRONT: 10}, edit_row=edit)
    source = robot.write(tmp_path / "in")
    if fault == "short":
        film = next((source / "videos").rglob("*.mp4"))
        write_film(film, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 10, 10)
    data, report = recorded(source, tmp_path / "out")
    assert len(data) == 1
    assert list(report.dropped) == [1]
    assert "episode 1: observation.images.front: " in report.dropped[1]
    assert (
        "has pictures for 0.20 s" in report.dropped[1] if fault == "span" else "ends at" in report.dropped[1]
    )
    assert data.left_out() == {"episode 1": report.dropped[1].removeprefix("episode 1: ")}


def test_an_episode_is_whole_unless_seconds_are_given(tmp_path: Path) -> None:
    source = Robot((70, 20), fps=10, cameras={FRONT: 10}).write(tmp_path / "in")
    data, _ = recorded(source, tmp_path / "whole")
    assert [data.num_ticks(i) for i in range(2)] == [70, 20]
    data, _ = recorded(source, tmp_path / "cut", seconds=1.5)
    assert [data.num_ticks(i) for i in range(2)] == [15, 15]


@pytest.mark.parametrize("fps", [0.5, 0.2, 12.5, 7.5, 1, 50], ids=str)
def test_rates_that_are_not_whole_keep_their_time(tmp_path: Path, fps: float) -> None:
    robot = Robot((4, 3), fps, cameras={FRONT: 2 * fps})
    data, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert report.skipped == {}
    assert [data.num_ticks(i) * data.spec.clock.tick_seconds for i in range(2)] == [4 / fps, 3 / fps]
    check_frames(robot, data)


def test_a_rate_that_no_clock_has_is_told(tmp_path: Path) -> None:
    data, report = recorded(Robot((4,), 29.97).write(tmp_path / "in"), tmp_path / "out")
    assert data.spec.clock.ticks_per_second == 30
    assert report.skipped == {"timestamp": "rows come 29.97 times a second, and are written as 30 a second"}


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    fps=st.integers(1, 60),
    film=st.integers(1, 60),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    begin=st.integers(0, 9),
    version=st.sampled_from(["v2.0", "v2.1", "v3.0", "v3.1"]),
    values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=12, max_size=12),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    fps: int,
    film: int,
    lengths: list[int],
    begin: int,
    version: str,
    values: list[float],
) -> None:
    """Any rates and lengths: numbers to the bit, pictures to the frame, under the episodes' own numbers."""
    root = tmp_path_factory.mktemp("any")
    column = Column("float32", [2, 1], lambda e, i: [[values[i]], [e]], pa.list_(pa.list_(pa.float32())))
    numbers = [3 * e + 2 for e in range(len(lengths))]
    robot = Robot(
        lengths, fps, numbers, {FRONT: film}, columns={"observation.force": column}, begin_frame=begin,
        files=[[e] for e in range(len(lengths))],
    )  # fmt: skip
    write = robot.write_v2 if version.startswith("v2") else robot.write
    data, report = recorded(write(root / "in", version), root / "out")
    assert (report.dropped, report.skipped) == ({}, {})
    assert [data.scene(i)["episode_index"] for i in range(len(data))] == numbers
    for e, length in enumerate(lengths):
        streams = data.load(e)
        expected = np.array([[values[i % 12], e] for i in range(length)], np.float32)
        np.testing.assert_array_equal(streams["force"].reshape(length, 2), expected)
        assert data.text(e) == f"task {e}"
    check_frames(robot, data)


def _depth_millimetres(e: int, i: int) -> np.ndarray:
    depth = np.full((HEIGHT, WIDTH), 400 + 100 * e + i, np.uint16)
    depth[:, : WIDTH // 2] += 6000
    depth[0] = 0
    return depth


def _check_depth(data: Dataset, name: str, atol: float = 0) -> None:
    spec = data.spec.streams[name]
    assert (spec.kind, spec.dtype, spec.unit, spec.shape) == ("vector", "float32", "m", (1, SIZE, SIZE))
    for e in range(len(data)):
        depth = data.load(e, [name])[name][:, 0]
        for i, picture in enumerate(depth):
            exact = _depth_millimetres(e, i).astype(np.float64) / 1000
            np.testing.assert_allclose(
                picture[-1, [0, -1]], exact[-1, [0, -1]].astype(np.float32), atol=atol, rtol=0
            )


@pytest.mark.parametrize("kind", ["png", "tiff16", "tiff_metres", "png_in_metres"])
def test_depth_in_cells_is_metres(tmp_path: Path, kind: str) -> None:
    """Of 16 bits it is known by its pictures, without any flag."""

    def value(e: int, i: int) -> dict[str, Any]:
        depth = _depth_millimetres(e, i)
        if kind == "tiff_metres":
            return encoded((depth / 1000).astype(np.float32), "TIFF")
        return encoded(
            depth // 1000 if kind == "png_in_metres" else depth, "TIFF" if "tiff" in kind else "PNG"
        )

    said = {"info": {"depth_unit": "m"}} if kind == "png_in_metres" else {}
    column = Column("image", [HEIGHT, WIDTH, 1], value, CELL, said)
    robot = Robot((3, 2), columns={"observation.images.wrist_depth": column})
    data, _ = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    if kind == "png_in_metres":
        assert np.unique(data.load(0)["depth.wrist_depth"]).tolist() == [0.0, 6.0]
    else:
        _check_depth(data, "depth.wrist_depth")


def test_what_was_not_measured_is_zero(tmp_path: Path) -> None:
    depth = np.full((HEIGHT, WIDTH), 1.5, np.float32)
    depth[:16], depth[16:24] = np.nan, np.inf
    column = Column("image", [HEIGHT, WIDTH, 1], lambda e, i: encoded(depth, "TIFF"), CELL)
    robot = Robot((2,), columns={"observation.images.tof": column})
    data, _ = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert np.unique(data.load(0)["depth.tof"]).tolist() == [0.0, 1.5]


def _with_depth_film(
    root: Path, flag: dict[str, Any], pixels: str, said: dict[str, Any], is_log: bool
) -> Path:
    """A data set with a depth film `observation.images.deep` beside a camera of colours."""
    name = "observation.images.deep"

    def edit(info: dict[str, Any]) -> None:
        info["features"][name].update(shape=[HEIGHT, WIDTH, 1])
        info["features"][name]["info"] = None
        key = flag.pop("key", "info")
        info["features"][name][key] = {**flag, **said}

    robot = Robot(
        (3, 2), cameras={FRONT: 10, name: 10}, edit_info=edit, video_path="films/{video_key}-{file_index}.mkv"
    )
    source = robot.write(root)
    depths = [_depth_millimetres(e, i) for e, n in enumerate(robot.lengths) for i in range(n)]
    if pixels == "gray12le":
        metres = np.clip(np.stack(depths) / 1000, 0.01, 10)
        share = (
            (np.log(metres + 3.5) - np.log(3.51)) / np.log(13.5 / 3.51) if is_log else (metres - 0.2) / 7.8
        )
        depths = list(np.rint(np.clip(share, 0, 1) * 4095).astype(np.uint16))
    write_film(source / f"films/{name}-0.mkv", depths, 10, pixels)
    return source


@pytest.mark.parametrize(
    "flag",
    [{"is_depth_map": True}, {"video.is_depth_map": True}, {"key": "video_info", "video.is_depth_map": True}],
)
@pytest.mark.parametrize("kind", ["millimetres", "log", "linear", "said_log"])
def test_depth_films_are_metres(tmp_path: Path, flag: dict[str, Any], kind: str) -> None:
    """Under the old flag and the new; whole millimetres, or codes of 12 bits with or without what they
    stand for."""
    said: dict[str, Any] = {}
    if kind == "linear":
        said = {"video.depth_min": 0.2, "video.depth_max": 8.0, "video.shift": 0.0, "video.use_log": False}
    if kind == "said_log":
        said = {"video.depth_min": 0.01, "video.depth_max": 10.0, "video.shift": 3.5, "video.use_log": True}
    pixels = "gray16le" if kind == "millimetres" else "gray12le"
    source = _with_depth_film(tmp_path / "in", dict(flag), pixels, said, kind != "linear")
    data, report = recorded(source, tmp_path / "out")
    assert report.skipped == {}
    assert set(data.spec.streams) >= {"video.front", "depth.deep"}
    _check_depth(data, "depth.deep", atol=0 if kind == "millimetres" else 2.5e-3)


def test_depth_of_eight_bits_that_nobody_explains_is_named(tmp_path: Path) -> None:
    robot = Robot((3,), cameras={FRONT: 10, LEFT: 10}, edit_info=lambda info: info["features"][LEFT].update(
        info={"video.is_depth_map": True}))  # fmt: skip
    data, report = recorded(robot.write(tmp_path / "in"), tmp_path / "out")
    assert set(data.spec.of_kind("video")[0].name.split()) == {"video.front"}
    assert "8 bits" in report.skipped[LEFT]
    assert "depth_min" in report.skipped[LEFT]


def test_pictures_in_cells(tmp_path: Path) -> None:
    """Colours and grey, as bytes or as files beside the tables."""
    from robot_data import coded

    def in_file(e: int, i: int) -> dict[str, Any]:
        return {"bytes": None, "path": f"images/{e}_{i}.png"}

    columns = {
        "observation.images.colour": Column(
            "image", [HEIGHT, WIDTH, 3], lambda e, i: encoded(coded(8 * e + i)), CELL
        ),
        "observation.images.grey": Column(
            "image", [HEIGHT, WIDTH, 1], lambda e, i: encoded(coded(8 * e + i)[..., 0]), CELL
        ),
        "observation.image": Column("image", [HEIGHT, WIDTH, 3], in_file, CELL),
    }
    robot = Robot((3, 2), columns=columns)
    source = robot.write(tmp_path / "in")
    (source / "images").mkdir()
    for e, length in enumerate(robot.lengths):
        for i in range(length):
            (source / f"images/{e}_{i}.png").write_bytes(encoded(coded(8 * e + i))["bytes"])
    data, report = recorded(source, tmp_path / "out")
    assert report.skipped == {}
    for e, length in enumerate(robot.lengths):
        for name in ("video.colour", "video.grey", "video.image"):
            assert numbers_on(data.load(e, [name])[name][:, 0]) == [8 * e + i for i in range(length)]


LISTS = {
    "bytes": (lambda p: p, pa.uint8()),
    "fractions": (lambda p: p / np.float32(255), pa.float32()),
    "channels_first": (lambda p: np.moveaxis(p, -1, 0), pa.uint8()),
    "grey": (lambda p: p[..., 0], pa.uint8()),
}


@pytest.mark.parametrize("form", LISTS)
def test_pictures_as_lists_of_numbers(tmp_path: Path, form: str) -> None:
    from robot_data import coded

    made, kind = LISTS[form]
    for _ in range(made(coded(0)).ndim):
        kind = pa.list_(kind)
    value = lambda e, i: made(coded(8 * e + i)).tolist()  # noqa: E731
    columns = {"observation.images.raw": Column("image", [HEIGHT, WIDTH, 3], value, kind)}
    data, report = recorded(Robot((3, 2), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert (report.skipped, report.dropped) == ({}, {})
    assert numbers_on(data.load(1)["video.raw"][:, 0]) == [8, 9]


def test_depth_as_lists_of_numbers(tmp_path: Path) -> None:
    kind = pa.list_(pa.list_(pa.uint16()))
    value = lambda e, i: np.full((HEIGHT, WIDTH), 800 + 10 * i).tolist()  # noqa: E731
    columns = {"observation.images.raw": Column("image", [HEIGHT, WIDTH, 1], value, kind)}
    data, _ = recorded(Robot((3,), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert np.allclose(data.load(0)["depth.raw"].mean((1, 2, 3)), [0.8, 0.81, 0.82])


def test_lists_that_are_no_picture_are_told(tmp_path: Path) -> None:
    value = lambda e, i: [[1.0, 2.0], [3.0]] if e else np.zeros((HEIGHT, WIDTH), int).tolist()  # noqa: E731
    kind = pa.list_(pa.list_(pa.float64()))
    columns = {"observation.images.raw": Column("image", [HEIGHT, WIDTH, 1], value, kind)}
    _, report = recorded(Robot((2, 2), columns=columns).write(tmp_path / "in"), tmp_path / "out")
    assert "observation.images.raw: a picture cannot be read" in report.dropped[1]


def _said_to_be(dtype: str) -> Any:
    return lambda info: info["features"]["observation.images.top"].update(dtype=dtype)


def test_films_that_are_said_to_be_images_are_read(tmp_path: Path) -> None:
    robot = Robot((4, 3), cameras={"observation.images.top": 10}, edit_info=_said_to_be("image"))
    report = collect(f"lerobot:{robot.write(tmp_path / 'in')}", tmp_path / "d", image_size=48, progress=False)
    assert report.skipped == {}
    assert report.notes == {
        "observation.images.top": "meta/info.json says image, and its pictures are in films"
    }
    shown = [numbers_on(Dataset(tmp_path / "d").load(i)["video.top"][:, 0]) for i in range(2)]
    assert shown == [[0, 1, 2, 3], [4, 5, 6]]


def test_images_that_are_said_to_be_films_are_read(tmp_path: Path) -> None:
    cell = Column("video", [HEIGHT, WIDTH, 3], lambda e, i: encoded(coded(10 * e + i)), CELL)
    robot = Robot((4, 3), columns={"observation.images.top": cell})
    report = collect(f"lerobot:{robot.write(tmp_path / 'in')}", tmp_path / "d", image_size=48, progress=False)
    assert report.skipped == {}
    assert report.notes == {
        "observation.images.top": "meta/info.json says video, and its pictures are in the rows"
    }
    assert numbers_on(Dataset(tmp_path / "d").load(1)["video.top"][:, 0]) == [10, 11, 12]


@pytest.mark.parametrize(
    ("seconds_of", "first_index", "note", "num_rows"),
    [
        (lambda i: i * 0.102, 0, "timestamp: off the even rate", 5),
        (lambda i: i / 10 + 0.03 * (i == 2), 0, "timestamp: off the even rate", 1),
        (lambda i: 1 - i / 10, 0, "timestamp: does not rise from row to row", 9),
        (lambda i: i / 10, 5, None, 0),
        (lambda i: i / 10 - 2, 0, None, 0),
    ],
)
def test_time_stamps_off_the_rate_are_counted(
    tmp_path: Path, seconds_of: Any, first_index: int, note: str | None, num_rows: int
) -> None:
    columns = {
        "timestamp": Column("float32", [1], lambda e, i: seconds_of(i), pa.float32()),
        "frame_index": Column("int64", [1], lambda e, i: i + first_index),
    }
    robot = Robot((10,), cameras={"observation.images.top": 10}, columns=columns)
    report = collect(f"lerobot:{robot.write(tmp_path / 'in')}", tmp_path / "d", image_size=48, progress=False)
    assert report.dropped == {}
    told = {what.partition(";")[0]: count for what, count in report.notes.items()}
    expected = {} if note is None else {note: f"1 episodes ({num_rows} ticks)"}
    assert {what: told.get(what) for what in expected} == expected or any(
        w.startswith(str(note)) for w in told
    )
    assert len(told) == len(expected)
    assert numbers_on(Dataset(tmp_path / "d").load(0)["video.top"][:, 0]) == list(range(10))
