"""Episodes to disk: each is first a folder of its own, which appears complete or not at all.

`write_part` writes episode i under a temporary name and renames it; workers need no coordination and a crash
loses at most the episode being written. `finalize` then moves finished parts, in order of their number, into
the layout's shared files. A group of episodes counts as moved once its meta/episodes file has appeared, so
that finalize can be interrupted and run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orrery.atomic import disk_failure, temporary_name, write_atomically, written_folder
from orrery.data import layout, video
from orrery.data.checksums import write_sums
from orrery.data.stats import merge_stats, stats_of
from orrery.errors import UserError
from orrery.media.reader import film_header
from orrery.streams import Array, Episode, WorldSpec

__all__ = [
    "EVENTS_SCHEMA", "adopt_part", "finalize", "finished_parts", "part_fault", "read_episode_rows",
    "read_part", "read_scenes", "tasks_of", "write_json", "write_meta", "write_part", "write_table",
]  # fmt: skip

_MAX_DATA_BYTES = 100 * 10**6
_MAX_VIDEO_BYTES = 200 * 10**6
_ROWS = "frames.parquet"
_META = "episode.json"


def write_part(root: Path, number: int, episode: Episode) -> int:
    """Write episode `number` of a collection as `.part/episode-NNNNNN/`; returns its bytes.

    The frames of the films are rounded by H.264; everything else is exact. An existing part is kept.
    """
    final = _part_folder(root, number)
    if final.exists():
        return _size(final)
    with written_folder(final) as temporary:
        _write_part_files(temporary, number, episode)
    return _size(final)


def read_part(root: Path, number: int) -> dict[str, bytes]:
    """The files of a finished part, name to content, to be sent to another machine."""
    return {file.name: file.read_bytes() for file in sorted(_part_folder(root, number).iterdir())}


def adopt_part(root: Path, number: int, files: Mapping[str, bytes]) -> None:
    """Put a part that `read_part` gave elsewhere into the collection; an existing one is kept."""
    final = _part_folder(root, number)
    if not final.exists():
        with written_folder(final) as temporary:
            for name, content in files.items():
                (temporary / name).write_bytes(content)


def _part_folder(root: Path, number: int) -> Path:
    return root / layout.PARTS / f"episode-{number:06d}"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _write_part_files(folder: Path, number: int, episode: Episode) -> None:
    clock, stats, columns = episode.spec.clock, {}, {}
    for name, ticks in episode.streams.items():
        spec = episode.spec.streams[name]
        if spec.kind == "video":
            rows = ticks.reshape(-1, *spec.shape[1:])
            video.encode(folder / f"{layout.column_of(name)}.mp4", rows, clock.frames_per_second)
        else:
            rows = layout.to_rows(spec, ticks, clock.frames_per_tick)
            columns[layout.column_of(name)] = _vectors(rows)
        stats[layout.column_of(name)] = stats_of(spec, rows)
        if name == "terminated":
            done = layout.done_rows(spec, ticks, clock.frames_per_tick)
            columns[layout.DONE], stats[layout.DONE] = pa.array(done), stats_of(spec, done[:, None])
    num_frames = episode.num_ticks * clock.frames_per_tick
    frame_index = np.arange(num_frames, dtype=np.int64)
    columns["timestamp"] = pa.array((frame_index / clock.frames_per_second).astype(np.float32))
    columns["frame_index"] = pa.array(frame_index)
    write_table(folder / _ROWS, pa.table(columns))
    meta = {
        "number": number,
        "num_frames": num_frames,
        "seed": episode.seed,
        "text": episode.text,
        "scene": episode.scene,
        "events": [asdict(event) for event in episode.events],
        "stats": stats,
        "spec": episode.spec.only(episode.streams).to_json(),
    }
    write_json(folder / _META, meta)


def _vectors(rows: Array) -> pa.Array:
    """`[num_rows, width]` as a column; width 1 is a plain number, as LeRobot has it.

    Elements are declared never null, which reads three times faster.
    """
    values = pa.array(np.ascontiguousarray(rows).reshape(-1))
    if rows.shape[1] == 1:
        return values
    vector = pa.list_(pa.field("element", values.type, nullable=False), rows.shape[1])
    return pa.FixedSizeListArray.from_arrays(values, type=vector)


def _is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type)


def write_table(path: Path, *tables: pa.Table) -> None:
    """Write tables of one schema as one parquet file, which appears complete or not at all.

    One row group a table, so that one episode can be read alone.
    """
    schema = tables[0].schema
    # Sound and poses halve when their bytes are stored by significance before zstd.
    encoding = {f"{f.name}.list.element": "BYTE_STREAM_SPLIT" for f in schema if _is_vector(f.type)}
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "column_encoding": encoding}
    with _replaced(path) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(1, len(table)))


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A temporary file that becomes `path` at success. UserError where the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as problem:
        raise disk_failure(path, problem) from problem
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, values: Any) -> None:
    """Write plain values as JSON; the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"{json.dumps(values, indent=1)}\n".encode())


def finished_parts(root: Path) -> dict[int, Path]:
    """Number to folder of the finished episodes that are not in the layout's files yet, in order."""
    return {int(p.name.removeprefix("episode-")): p for p in sorted((root / layout.PARTS).glob("episode-*"))}


def part_fault(folder: Path) -> str | None:
    """Why a finished part cannot be used after all, as after a power cut; None if it can."""
    try:
        meta = json.loads((folder / _META).read_text("utf-8"))
        num_rows = pq.read_metadata(folder / _ROWS).num_rows
        films = [folder / f"{layout.column_of(s.name)}.mp4" for s in _spec(meta).of_kind("video")]
        lengths = {num_rows, *(film_header(film).num_frames for film in films)}
        return None if lengths == {meta["num_frames"]} else f"has {sorted(lengths)} frames"
    except (OSError, ValueError, KeyError, UserError, pa.ArrowException) as problem:
        return f"is incomplete ({problem})"


def _spec(meta: Mapping[str, Any]) -> WorldSpec:
    return WorldSpec.from_json(meta["spec"])


@dataclass(frozen=True)
class _Part:
    folder: Path
    meta: dict[str, Any]

    @property
    def data_bytes(self) -> int:
        return (self.folder / _ROWS).stat().st_size

    @property
    def video_bytes(self) -> int:
        return max((f.stat().st_size for f in self.folder.glob("*.mp4")), default=0)


def finalize(root: Path, settings: Mapping[str, Any]) -> int:
    """Move every finished part into the layout's files; returns how many episodes the dataset now has.

    settings: what the collection was asked for, kept in meta/info.json. The result depends on the parts
    alone, not on who wrote them or when. Running it again changes nothing.
    """
    done = read_episode_rows(root)
    moved = {row["orrery/number"] for row in done}
    for number, folder in finished_parts(root).items():
        if number in moved:
            shutil.rmtree(folder)  # an earlier finalize stopped between its last two steps
    parts = (_Part(p, json.loads((p / _META).read_text("utf-8"))) for p in finished_parts(root).values())
    for group in _groups(parts):
        done += _move_group(root, group, done)
        for part in group:
            shutil.rmtree(part.folder)
    if done:
        write_meta(root, done, settings)
        write_sums(root)
        shutil.rmtree(root / layout.PARTS, ignore_errors=True)
    return len(done)


def _groups(parts: Iterator[_Part]) -> Iterator[list[_Part]]:
    """Runs of parts that fit in one file of each kind."""
    group: list[_Part] = []
    data_bytes = video_bytes = 0
    for part in parts:
        data_bytes, video_bytes = data_bytes + part.data_bytes, video_bytes + part.video_bytes
        if group and (data_bytes > _MAX_DATA_BYTES or video_bytes > _MAX_VIDEO_BYTES):
            yield group
            group, data_bytes, video_bytes = [], part.data_bytes, part.video_bytes
        group.append(part)
    if group:
        yield group


def read_episode_rows(root: Path) -> list[dict[str, Any]]:
    """The rows of meta/episodes, in order."""
    files = sorted((root / "meta/episodes").glob("chunk-*/file-*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def read_scenes(root: Path) -> list[dict[str, Any]]:
    """The scene of every episode, whether it is in the layout's files yet or not."""
    scenes: dict[int, dict[str, Any]] = {}
    for file in sorted((root / "meta/episodes").glob("chunk-*/file-*.parquet")):
        table = pq.read_table(file, columns=["orrery/number", "orrery/scene"])
        numbers, texts = (column.to_pylist() for column in table.columns)
        scenes |= zip(numbers, map(json.loads, texts), strict=True)
    for number, folder in finished_parts(root).items():
        if number not in scenes:  # else a finalize stopped while it deleted this part
            scenes[number] = json.loads((folder / _META).read_text("utf-8"))["scene"]
    return list(scenes.values())


def tasks_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Sentence to task index, in order of first appearance."""
    return {text: i for i, text in enumerate(dict.fromkeys(row["tasks"][0] for row in rows))}


def _move_group(
    root: Path, group: Sequence[_Part], done: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    spec = _spec(group[0].meta)
    file_number = 1 + max(
        (r["data/chunk_index"] * layout.FILES_PER_CHUNK + r["data/file_index"] for r in done), default=-1
    )
    rows = _episode_rows(group, done, spec, file_number)
    for feature in (layout.column_of(s.name) for s in spec.of_kind("video")):
        films = [part.folder / f"{feature}.mp4" for part in group]
        with _replaced(layout.shard(root, layout.VIDEO_PATH, file_number, video_key=feature)) as temporary:
            video.join(temporary, films, spec.clock.frames_per_second)
    tasks = tasks_of([*done, *rows])
    tables = [_data_table(part, row, tasks) for part, row in zip(group, rows, strict=True)]
    write_table(layout.shard(root, layout.DATA_PATH, file_number), *tables)
    write_table(layout.shard(root, layout.EVENTS_PATH, file_number), _events_table(group, rows))
    write_table(layout.shard(root, layout.EPISODES_PATH, file_number), pa.Table.from_pylist(rows))
    return rows


def _episode_rows(
    group: Sequence[_Part], done: Sequence[Mapping[str, Any]], spec: WorldSpec, file_number: int
) -> list[dict[str, Any]]:
    """The rows of meta/episodes for a group."""
    chunk, file = divmod(file_number, layout.FILES_PER_CHUNK)
    first_frame = start = done[-1]["dataset_to_index"] if done else 0
    rows = []
    for row_group, part in enumerate(group):
        meta = part.meta
        row = {
            "episode_index": len(done) + row_group,
            "tasks": [meta["text"]],
            "length": meta["num_frames"],
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": start,
            "dataset_to_index": start + meta["num_frames"],
            "meta/episodes/chunk_index": chunk,
            "meta/episodes/file_index": file,
        }
        for stream in spec.of_kind("video"):
            key = f"videos/{layout.column_of(stream.name)}"
            row[f"{key}/chunk_index"], row[f"{key}/file_index"] = chunk, file
            row[f"{key}/from_timestamp"] = (start - first_frame) / spec.clock.frames_per_second
            row[f"{key}/to_timestamp"] = (
                start - first_frame + meta["num_frames"]
            ) / spec.clock.frames_per_second
        row |= {f"stats/{f}/{k}": v for f, stats in meta["stats"].items() for k, v in stats.items()}
        row["orrery/number"], row["orrery/seed"] = meta["number"], meta["seed"]
        row["orrery/row_group"], row["orrery/scene"] = row_group, json.dumps(meta["scene"])
        rows.append(row)
        start += meta["num_frames"]
    return rows


def _data_table(part: _Part, row: Mapping[str, Any], tasks: Mapping[str, int]) -> pa.Table:
    table, length = pq.ParquetFile(part.folder / _ROWS).read(), row["length"]
    table = table.append_column("episode_index", pa.array(np.full(length, row["episode_index"])))
    index = np.arange(row["dataset_from_index"], row["dataset_to_index"], dtype=np.int64)
    table = table.append_column("index", pa.array(index))
    return table.append_column("task_index", pa.array(np.full(length, tasks[row["tasks"][0]], np.int64)))


EVENTS_SCHEMA = pa.schema(
    [("episode_index", pa.int64()), ("seconds", pa.float64()), ("kind", pa.string()), ("a", pa.string()),
     ("b", pa.string()), ("impulse_ns", pa.float64()), ("position_m", pa.list_(pa.float64(), 3)),
     ("materials", pa.list_(pa.string(), 2))]
)  # fmt: skip


def _events_table(group: Sequence[_Part], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    pairs = zip(group, rows, strict=True)
    events = [{"episode_index": r["episode_index"], **e} for p, r in pairs for e in p.meta["events"]]
    return pa.Table.from_pylist(events, schema=EVENTS_SCHEMA)


def write_meta(root: Path, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    """Write what follows from the episodes' rows and the settings: tasks, statistics and, last, info.json."""
    spec = WorldSpec.from_json(settings["spec"])
    tasks = tasks_of(rows)
    write_table(root / layout.TASKS_PATH, _tasks_table(tasks))
    columns = [layout.column_of(name) for name in spec.streams]
    columns += [layout.DONE] if "terminated" in spec.streams else []
    keys = ("min", "max", "mean", "std", "count")
    stats = {c: merge_stats({k: r[f"stats/{c}/{k}"] for k in keys} for r in rows) for c in columns}
    write_json(root / layout.STATS_PATH, stats)
    info = {
        "codebase_version": layout.CODEBASE_VERSION,
        "robot_type": settings["collect"]["world"],
        "total_episodes": len(rows),
        "total_frames": rows[-1]["dataset_to_index"],
        "total_tasks": len(tasks),
        "chunks_size": layout.FILES_PER_CHUNK,
        "data_files_size_in_mb": _MAX_DATA_BYTES // 10**6,
        "video_files_size_in_mb": _MAX_VIDEO_BYTES // 10**6,
        "fps": spec.clock.frames_per_second,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": layout.DATA_PATH,
        "video_path": layout.VIDEO_PATH if spec.of_kind("video") else None,
        "features": layout.features(spec),
        "orrery": dict(settings),
    }
    write_json(root / layout.INFO_PATH, info)


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Sentences and their indices; the pandas note makes the sentence the index, as LeRobot reads it."""
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), "task": list(tasks)})
    column = {"metadata": None, "field_name": None}
    note = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            column
            | {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
            },
            column | {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
        ],
    }
    return table.replace_schema_metadata({"pandas": json.dumps(note)})
