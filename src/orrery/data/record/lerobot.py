"""Episodes of any LeRobotDataset v3.0: `lerobot:PATH`, its cameras, state, action and other numbers.

One row is one frame and one tick, at the dataset's own rate: an action belongs to one row, so that nothing is
resampled. A robot's `observation.state` is the stream `proprioception`. A shard that is missing or damaged is
named, and costs only its own episodes.

`next.reward` is `reward`, and `next.terminated`, or `next.done` where there is none, is `terminated`: what a
row says comes after it is told by the tick after it. Of what comes after an episode's last row nothing was
recorded: its reward is added to the last tick's, and its ending is the last tick's, so that no episode
loses its return or its end.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from orrery.data import layout, video
from orrery.data.record.source import Request
from orrery.errors import BadUse, UserError, nearest
from orrery.streams import Array, Clock, Episode, StreamSpec, WorldSpec

__all__ = ["LeRobotSource"]

_SAMPLES_PER_SECOND = 24_000
_ROW_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_MAX_WIDTH = 100_000
_ENDINGS = ("next.terminated", "next.done")
"""Columns that say that an episode ends, the better one first."""


@dataclass(frozen=True)
class LeRobotSource:
    """path: the dataset's folder. skipped: columns and files that are left out, and why."""

    path: str
    request: Request
    skipped: dict[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        if self.request.policy is not None:
            raise BadUse("a recording acts by itself; leave out --policy")
        version = self._info.get("codebase_version")
        if version != layout.CODEBASE_VERSION:
            wanted = layout.CODEBASE_VERSION
            raise UserError(f"{self.path} is a LeRobotDataset {version}; convert it to {wanted} with lerobot")
        if "orrery" in self._info:
            raise BadUse(f"{self.path} was made by orrery collect; use it as it is")

    @property
    def num_episodes(self) -> int:
        """How many there are, None for any number; see `Source`."""
        return int(self._info["total_episodes"])

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request = self.request
        return {
            "world": f"lerobot:{Path(self.path).resolve().name}",
            "seconds": request.seconds,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": request.square,
        }

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        streams = {stream.name: stream for stream in self._streams().values()}
        for name in self.request.streams or ():
            if name not in streams:
                hint = ", ".join(nearest(name, streams) or streams)
                raise BadUse(f"{self.path} has no stream {name!r}; perhaps {hint}")
        rate = round(self._info["fps"])
        clock = Clock(rate, 1, rate * max(1, round(_SAMPLES_PER_SECOND / rate)))
        spec = WorldSpec(clock, streams)
        return spec if self.request.streams is None else spec.only(self.request.streams)

    def columns(self) -> dict[str, str]:
        """Stream name to the dataset's feature."""
        return {stream.name: feature for feature, stream in self._streams().items()}

    def feature(self, name: str) -> Mapping[str, Any]:
        """What meta/info.json says of a feature."""
        return self._info["features"][name]

    def open(self) -> _LeRobotRecorder:
        """A recorder for one process; see `Source`."""
        return _LeRobotRecorder(self)

    @cached_property
    def _info(self) -> dict[str, Any]:
        file = Path(self.path) / layout.INFO_PATH
        if not file.is_file():
            raise UserError(f"{self.path} is no LeRobotDataset: it has no {layout.INFO_PATH}")
        try:
            info = json.loads(file.read_text("utf-8"))
            if not info["features"] or not info["fps"] or info["total_episodes"] < 1:
                raise ValueError("it has no features, no frame rate or no episodes")
            return info
        except (ValueError, KeyError, TypeError) as problem:
            raise UserError(f"{file} is damaged ({problem!r}); download it again") from problem

    def _streams(self) -> dict[str, StreamSpec]:
        """Feature to stream, for the features that can be one; `skipped` gets the others."""
        size, found = self.request.square, dict[str, StreamSpec]()
        for name, feature in self._info["features"].items():
            dtype, shape = feature["dtype"], tuple(feature["shape"])
            if name in _ROW_COLUMNS:
                continue
            if name in _ENDINGS:
                if name == next(ending for ending in _ENDINGS if ending in self._info["features"]):
                    found[name] = StreamSpec(
                        "terminated", "choice", "outcome", (1, 1), "int64", num_choices=2
                    )
                else:
                    self.skipped[name] = f"{_ENDINGS[0]} says which episodes terminated"
                continue
            if dtype in ("video", "image"):
                if feature.get("info", {}).get("video.is_depth_map"):
                    self.skipped[name] = "a depth map stored as a film is not read"
                    continue
                camera = name.removeprefix("observation.images.").replace(".", "_")
                found[name] = StreamSpec(
                    f"video.{camera}", "video", "observed", (1, size, size, 3), "uint8", "sRGB", 0, 255
                )
            elif np.issubdtype(_dtype(dtype), np.number) and 0 < int(np.prod(shape)) <= _MAX_WIDTH:
                found[name] = _number_stream(name, int(np.prod(shape)))
            else:
                self.skipped[name] = f"{dtype} {list(shape)} is no stream of numbers"
        return found


def _dtype(name: str) -> Any:
    try:
        return np.dtype(name)
    except TypeError:
        return np.dtype(object)


def _stream_name(feature: str) -> str:
    known = {column: stream for stream, column in layout.KNOWN_COLUMNS.items()}
    return known.get(feature) or feature.removeprefix("observation.")


def _after(rows: Array, length: int, spec: StreamSpec) -> Array:
    """What came of each tick, `[length, 1, A]`, from what each row `[num_rows, 1, A]` says follows it."""
    ticks = np.concatenate([np.zeros_like(rows[:1]), rows[: length - 1]])
    if length == len(rows):
        ticks[-1] += rows[-1]
    return (ticks > 0).astype(np.int64) if spec.kind == "choice" else ticks


def _number_stream(feature: str, width: int) -> StreamSpec:
    name = _stream_name(feature)
    word = name.partition(".")[0]
    role = "given" if word == "action" else "outcome" if word in ("reward", "terminated") else "observed"
    return StreamSpec(name, "vector", role, (1, width), "float32")


class _LeRobotRecorder:
    def __init__(self, source: LeRobotSource) -> None:
        self._source, self._root = source, Path(source.path)
        self._spec, self._columns = source.spec(), source.columns()
        self._rows: dict[int, dict[str, Any]] = {}
        problems = []
        for file in sorted((self._root / "meta/episodes").glob("chunk-*/file-*.parquet")):
            try:
                table = pq.ParquetFile(file).read()
            except (OSError, pa.ArrowException) as problem:
                problems.append(f"{file} cannot be read ({problem})")
                continue
            names = [n for n in table.column_names if not n.startswith("stats/")]
            self._rows.update({row["episode_index"]: row for row in table.select(names).to_pylist()})
        self._problem = "; ".join(problems) or f"{self._root / 'meta/episodes'} does not list it"

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        row = self._rows.get(number)
        if row is None:
            raise UserError(f"episode {number}: {self._problem}")
        limit = self._spec.clock.num_ticks(self._source.request.seconds)
        length = min(int(row["length"]), limit)
        streams = {name: self._stream(name, row, length) for name in self._spec.streams}
        scene = {"dataset": self._root.resolve().name, "episode_index": number}
        return Episode(self._spec, streams, text=row["tasks"][0], seed=number, scene=scene)

    def _stream(self, name: str, row: Mapping[str, Any], length: int) -> Array:
        feature, spec = self._columns[name], self._spec.streams[name]
        if self._source.feature(feature)["dtype"] == "video":
            return self._pictures(feature, row, length)
        values = self._column(feature, row)
        if spec.role == "outcome":
            return _after(np.array(values.to_pylist(), np.float32).reshape(-1, *spec.shape), length, spec)
        values = values[:length]
        if self._source.feature(feature)["dtype"] == "image":
            return np.stack([self._fitted(_decoded(value)) for value in values.to_pylist()])[:, None]
        numbers = np.array(values.to_pylist(), np.float32).reshape(length, -1)
        return layout.from_rows(spec, numbers, num_frames=1)

    def _column(self, feature: str, row: Mapping[str, Any]) -> pa.ChunkedArray:
        """A feature's rows of one episode. UserError that names the shard if it cannot be read."""
        chunk, file = row["data/chunk_index"], row["data/file_index"]
        path = self._root / layout.DATA_PATH.format(chunk_index=chunk, file_index=file)
        try:
            only = [("episode_index", "=", row["episode_index"])]
            column = pq.read_table(path, columns=[feature], filters=only)[feature]
        except (OSError, pa.ArrowException, KeyError) as problem:
            raise UserError(f"{path} cannot be read ({problem}); download it again") from problem
        if len(column) != row["length"]:
            held = f"{len(column)} of the {row['length']} rows of episode {row['episode_index']}"
            raise UserError(f"{path} holds {held}; download it again")
        return column

    def _pictures(self, feature: str, row: Mapping[str, Any], length: int) -> Array:
        key, fps = f"videos/{feature}", self._spec.clock.frames_per_second
        path = self._root / layout.VIDEO_PATH.format(
            video_key=feature, chunk_index=row[f"{key}/chunk_index"], file_index=row[f"{key}/file_index"]
        )
        if not path.is_file():
            raise UserError(f"{path} is missing; download it again")
        frames = video.decode(path, round(row[f"{key}/from_timestamp"] * fps), length, fps)
        return np.stack([self._fitted(frame) for frame in frames])[:, None]

    def _fitted(self, picture: Array) -> Array:
        """`[H, W, 3]` as a square: squeezed, not cut, so that nothing a policy saw is lost."""
        size = self._source.request.square
        return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def _decoded(value: Mapping[str, Any]) -> Array:
    """A picture stored as bytes in a row."""
    return np.asarray(Image.open(io.BytesIO(value["bytes"])).convert("RGB"))
