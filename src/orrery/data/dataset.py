"""A dataset read back: whole episodes, or only some streams and ticks of them.

Each episode is one row group of its parquet file, so that reading one touches nothing else; pictures are
decoded only when asked for. A file that cannot be read costs only its own episodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orrery.data import layout, video
from orrery.errors import BadUse, UserError, nearest
from orrery.streams import Array, Episode, Event, StreamSpec, WorldSpec

__all__ = ["Dataset"]

_MAX_OPEN_FILES = 8


class Dataset:
    """A dataset folder in the LeRobotDataset v3.0 layout, as `collect` writes it. Picklable.

    UserError if `path` is missing, is no dataset, or has no finished episodes. `problems` names the metadata
    files that could not be read; the episodes of the other files still load.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info = _read_info(self.path)
        try:
            self.settings: dict[str, Any] = self.info["orrery"]["collect"]
            self.spec = WorldSpec.from_json(self.info["orrery"]["spec"])
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise _damaged(self.path / layout.INFO_PATH, problem) from problem
        self.problems: list[str] = []
        self._rows = self._read_rows()
        self._open: dict[Path, pq.ParquetFile] = {}

    def __len__(self) -> int:
        return self.num_episodes

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_events"} | {"_open": {}}

    @property
    def num_episodes(self) -> int:
        """Episodes the dataset says it has, readable or not; they are numbered from 0."""
        return self.info["total_episodes"]

    @property
    def readable(self) -> list[int]:
        """Numbers of the episodes whose metadata could be read."""
        return sorted(self._rows)

    def num_ticks(self, index: int) -> int:
        return self._row(index)["length"] // self.spec.clock.frames_per_tick

    def text(self, index: int) -> str:
        """The sentence that describes episode `index`."""
        return self._row(index)["tasks"][0]

    def seed(self, index: int) -> int:
        """What the world was reset with for episode `index`."""
        return self._row(index)["orrery/seed"]

    def scene(self, index: int) -> dict[str, Any]:
        """Plain values of episode `index`'s scene; empty where the world has none."""
        return json.loads(self._row(index)["orrery/scene"])

    def events(self, index: int) -> list[Event]:
        """What happened in episode `index`, in order of time."""
        self._row(index)
        return self._events.get(index, [])

    def left_out(self) -> dict[str, str]:
        """What of its source was not recorded (streams, files, episodes), and why, as meta/plan.json keeps
        it."""
        plan = self._plan()
        failed = ((f"episode {number}", why) for number, why in plan.get("dropped", {}).items())
        dropped = {name: why.removeprefix(f"{name}: ") for name, why in failed}
        return {**plan.get("skipped", {}), **dropped}

    def notes(self) -> dict[str, str]:
        """What was chosen or changed in its source, and what else there is to tell of its episodes (such as
        numbers that were not finite, and how often), as meta/plan.json keeps it."""
        return dict(self._plan().get("notes", {}))

    def _plan(self) -> dict[str, Any]:
        """What meta/plan.json holds; empty where it is not there, or damaged."""
        try:
            plan = json.loads((self.path / layout.PLAN_PATH).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        kept = plan.items() if isinstance(plan, dict) else ()
        return {name: values for name, values in kept if isinstance(values, dict)}

    def episode(self, index: int) -> Episode:
        """All of episode `index`, pictures decoded."""
        streams = self.load(index)
        return Episode(
            self.spec, streams, self.text(index), self.events(index), self.seed(index), self.scene(index)
        )

    def load(
        self,
        index: int,
        streams: Sequence[str] | None = None,
        start_tick: int = 0,
        num_ticks: int | None = None,
    ) -> dict[str, Array]:
        """Some streams (None: all) of some ticks (None: to the end) of an episode, `[num_ticks, *shape]`.

        Only what is asked for is read. BadUse for a stream or a tick that is not there; UserError that names
        the file if one cannot be read.
        """
        names = list(self.spec.streams) if streams is None else list(streams)
        for name in names:
            if name not in self.spec.streams:
                hint = ", ".join(nearest(name, self.spec.streams) or self.spec.streams)
                raise BadUse(f"{self.path} has no stream {name!r}; perhaps {hint}")
        total = self.num_ticks(index)
        num_ticks = total - start_tick if num_ticks is None else num_ticks
        if start_tick < 0 or num_ticks < 1 or start_tick + num_ticks > total:
            raise BadUse(
                f"episode {index} has ticks 0 to {total - 1}; asked for {num_ticks} from tick {start_tick}"
            )
        rows = self._read_columns(index, [n for n in names if self.spec.streams[n].kind != "video"])
        span = slice(start_tick, start_tick + num_ticks)
        # Copied: writable, and a short span does not keep the whole episode in memory.
        return {n: rows[n][span].copy() if n in rows else self._pictures(index, n, span) for n in names}

    def _read_columns(self, index: int, names: Sequence[str]) -> dict[str, Array]:
        if not names:
            return {}
        row = self._row(index)
        path = layout.shard(self.path, layout.DATA_PATH, _file_number(row, "data"))
        columns = [layout.column_of(name) for name in names]
        try:
            table = self._file(path).read_row_group(
                row["orrery/row_group"], columns=columns, use_threads=False
            )
            return {
                n: self._ticks(self.spec.streams[n], table[c]) for n, c in zip(names, columns, strict=True)
            }
        except (OSError, pa.ArrowException, KeyError) as problem:
            raise UserError(f"{path} cannot be read ({problem}); collect or download it again") from problem

    def _ticks(self, spec: StreamSpec, column: pa.ChunkedArray) -> Array:
        vectors = pa.types.is_fixed_size_list(column.type)
        values = (column.combine_chunks().flatten() if vectors else column).to_numpy()
        num_frames = self.spec.clock.frames_per_tick
        width = layout.column_width(spec, num_frames)
        return layout.from_rows(spec, values.reshape(-1, width), num_frames)

    def _file(self, path: Path) -> pq.ParquetFile:
        """An open parquet file; the few that were opened last stay open."""
        if path not in self._open:
            while len(self._open) >= _MAX_OPEN_FILES:
                self._open.pop(next(iter(self._open))).close()
            self._open[path] = pq.ParquetFile(path)
        return self._open[path]

    def _pictures(self, index: int, name: str, span: slice) -> Array:
        row, clock, feature = self._row(index), self.spec.clock, layout.column_of(name)
        path = layout.shard(
            self.path, layout.VIDEO_PATH, _file_number(row, f"videos/{feature}"), video_key=feature
        )
        if not path.is_file():
            raise UserError(f"{path} is missing; collect or download it again")
        first = round(row[f"videos/{feature}/from_timestamp"] * clock.frames_per_second)
        num_frames = (span.stop - span.start) * clock.frames_per_tick
        start = first + span.start * clock.frames_per_tick
        frames = video.decode(path, start, num_frames, clock.frames_per_second)
        return frames.reshape(-1, *self.spec.streams[name].shape)

    def _row(self, index: int) -> dict[str, Any]:
        if index in self._rows:
            return self._rows[index]
        if 0 <= index < self.num_episodes:
            raise UserError(f"episode {index} cannot be read: {'; '.join(self.problems)}")
        raise BadUse(f"{self.path} has episodes 0 to {self.num_episodes - 1}, asked for {index}")

    def _read_rows(self) -> dict[int, dict[str, Any]]:
        rows = {}
        for table in self._tables("meta/episodes"):
            names = [n for n in table.column_names if not n.startswith("stats/")]
            rows.update({row["episode_index"]: row for row in table.select(names).to_pylist()})
        if not rows:
            raise UserError(
                f"{self.path} has no readable episodes; {'; '.join(self.problems) or 'collect some'}"
            )
        return rows

    @cached_property
    def _events(self) -> dict[int, list[Event]]:
        events: dict[int, list[Event]] = {}
        for table in self._tables("meta/events"):
            for row in table.to_pylist():
                position, materials = tuple(row.pop("position_m")), tuple(row.pop("materials"))
                event = Event(position_m=position, materials=materials, **_without(row, "episode_index"))
                events.setdefault(row["episode_index"], []).append(event)
        return events

    def _tables(self, folder: str) -> Iterator[pa.Table]:
        """Every readable parquet file of a metadata folder; `problems` gets the others."""
        for file in sorted((self.path / folder).glob("chunk-*/file-*.parquet")):
            try:
                yield pq.ParquetFile(file).read()
            except (OSError, pa.ArrowException) as problem:
                self.problems.append(f"{file} cannot be read ({problem}); collect or download it again")


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}


def _file_number(row: dict[str, Any], prefix: str) -> int:
    return row[f"{prefix}/chunk_index"] * layout.FILES_PER_CHUNK + row[f"{prefix}/file_index"]


def _read_info(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise UserError(f"there is no dataset folder {path}")
    file = path / layout.INFO_PATH
    if not file.is_file():
        if (path / layout.PARTS).is_dir():
            raise UserError(
                f"{path} is a collection that has not finished; run the same collect command again, "
                "or keep what it has with orrery inspect --repair"
            )
        raise UserError(f"{path} is no dataset: it has no {layout.INFO_PATH}")
    try:
        info = json.loads(file.read_text("utf-8"))
        if (
            not isinstance(info, dict)
            or "orrery" not in info
            or info.get("codebase_version") != layout.CODEBASE_VERSION
        ):
            raise UserError(
                f"{file} was not written by this program's collect; only its own datasets can be read"
            )
        return info
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise _damaged(file, problem) from problem


def _damaged(file: Path, problem: Exception) -> UserError:
    what = f"it lacks {problem}" if isinstance(problem, KeyError) else problem
    return UserError(f"{file} is damaged ({what}); collect or download it again")
