"""Small LeRobotDatasets, made without its library, in which every picture tells which frame of its film it
is."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HEIGHT, WIDTH = 32, 48
NUM_BITS = 12
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def coded(number: int) -> np.ndarray:
    """A picture of bars, black and white: the bits of a number."""
    bits = [(number >> k) & 1 for k in range(NUM_BITS)]
    bars = np.repeat(np.array(bits, np.uint8) * 200 + 30, WIDTH // NUM_BITS)
    return np.broadcast_to(bars[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def numbers_on(pictures: np.ndarray) -> list[int]:
    """The numbers of pictures `[n, S, S, 3]` that were `coded`, S a multiple of the bars or not."""
    row = pictures[:, pictures.shape[1] // 2, :, 0].astype(float)
    at = ((np.arange(NUM_BITS) + 0.5) * row.shape[1] / NUM_BITS).astype(int)
    return ((row[:, at] > 130) @ (1 << np.arange(NUM_BITS))).tolist()


def encoded(picture: np.ndarray, kind: str = "PNG") -> dict[str, Any]:
    """A picture as a cell of a table."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind)
    return {"bytes": content.getvalue(), "path": None}


def write_film(
    path: Path, frames: Sequence[np.ndarray], rate: Any, pixels: str = "rgb24", first_seconds: float = 0.0
) -> None:
    """A film of pictures `[H, W, 3]` uint8, or, with 16-bit pixels, of `[H, W]` uint16, without a loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(rate).limit_denominator(1001)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264" if pixels == "rgb24" else "ffv1", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p" if pixels == "rgb24" else pixels
        stream.codec_context.time_base = 1 / rate
        for k, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, pixels)
            frame.pts, frame.time_base = k + round(first_seconds * rate), 1 / rate
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


@dataclass
class Column:
    """A column of rows: what info.json says of it, its type, and its value in a row of an episode."""

    dtype: str
    shape: list[int]
    value: Callable[[int, int], Any]
    kind: pa.DataType | None = None
    said: dict[str, Any] = field(default_factory=dict)


@dataclass
class Robot:
    """What a data set holds. lengths: rows of each episode. numbers: of the episodes. cameras: name to
    frames a second.

    files: the episodes (by place) in each file. columns: more columns. begin_frame: of each film before
    its first episode. edit_info, edit_row: change what the metadata say.
    """

    lengths: Sequence[int] = (6, 4)
    fps: float = 10
    numbers: Sequence[int] | None = None
    cameras: Mapping[str, float] = field(default_factory=dict)
    files: Sequence[Sequence[int]] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    tasks: Sequence[Any] | None = None
    begin_frame: int = 0
    film_kind: str = "mp4"
    first_seconds: float = 0.0
    edit_info: Callable[[dict[str, Any]], Any] = lambda info: None
    edit_row: Callable[[dict[str, Any]], Any] = lambda row: None
    data_path: str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    video_path: str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    starts: dict[tuple[int, str], int] = field(default_factory=dict)
    """Episode and camera to the number of the first frame in its film; filled in by writing."""

    @property
    def own_numbers(self) -> list[int]:
        return list(self.numbers or range(len(self.lengths)))

    def num_frames(self, e: int, rate: float) -> int:
        """Frames that an episode has in a film."""
        return math.ceil(self.lengths[e] * rate / self.fps - 1e-9)

    def all_columns(self) -> dict[str, Column]:
        numbers, fps = self.own_numbers, self.fps
        return {
            "observation.state": Column(
                "float32", [2], lambda e, i: [numbers[e], i / 7], pa.list_(pa.float32())
            ),
            "action": Column("float32", [1], lambda e, i: [i + 0.5], pa.list_(pa.float32())),
            "timestamp": Column("float32", [1], lambda e, i: i / fps, pa.float32()),
            "frame_index": Column("int64", [1], lambda e, i: i),
            "episode_index": Column("int64", [1], lambda e, i: numbers[e]),
            "task_index": Column("int64", [1], lambda e, i: e),
            **self.columns,
        }

    def table(self, episodes: Sequence[int]) -> pa.Table:
        """Rows of some episodes, one after the other."""
        places = [(e, i) for e in episodes for i in range(self.lengths[e])]
        columns = {
            name: pa.array([column.value(e, i) for e, i in places], column.kind)
            for name, column in self.all_columns().items()
        }
        return pa.table(columns)

    def info(self, version: str) -> dict[str, Any]:
        features: dict[str, Any] = {
            name: {"dtype": c.dtype, "shape": c.shape, "names": None, **c.said}
            for name, c in self.all_columns().items()
        }
        for name, rate in self.cameras.items():
            said = {"video.fps": rate, "video.is_depth_map": False, "has_audio": False}
            features[name] = {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": None, "info": said}
        info = {
            "codebase_version": version,
            "robot_type": "arm",
            "total_episodes": len(self.lengths),
            "fps": self.fps,
            "chunks_size": 3,
            "data_path": self.data_path,
            "video_path": self.video_path,
            "features": features,
        }
        self.edit_info(info)
        return info

    def said_tasks(self) -> list[Any]:
        return list(
            self.tasks if self.tasks is not None else ([f"task {e}"] for e in range(len(self.lengths)))
        )

    def write(self, root: Path, version: str = "v3.0") -> Path:
        """The folder, in the layout of v3: two files a chunk."""
        rows = []
        for k, episodes in enumerate(self.files or [range(len(self.lengths))]):
            place = {"chunk_index": k // 2, "file_index": k % 2}
            file = root / self.data_path.format(**place)
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.table(episodes), file)
            at = {name: self.begin_frame for name in self.cameras}
            for e in episodes:
                row = {
                    "episode_index": self.own_numbers[e],
                    "tasks": self.said_tasks()[e],
                    "length": self.lengths[e],
                }
                row |= {f"data/{name}": value for name, value in place.items()}
                for name, rate in self.cameras.items():
                    self.starts[e, name], begin = at[name], at[name] / rate
                    at[name] += self.num_frames(e, rate)
                    row |= {f"videos/{name}/{key}": value for key, value in place.items()}
                    row |= {
                        f"videos/{name}/from_timestamp": begin,
                        f"videos/{name}/to_timestamp": at[name] / rate,
                    }
                self.edit_row(row)
                rows.append(row)
            for name, rate in self.cameras.items():
                film = root / self.video_path.format(video_key=name, **place)
                write_film(film, [coded(n) for n in range(at[name])], rate, first_seconds=self.first_seconds)
        episodes_file = root / "meta/episodes/chunk-000/file-000.parquet"
        episodes_file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), episodes_file)
        tasks = {
            "task_index": range(len(self.lengths)),
            "task": [f"task {e}" for e in range(len(self.lengths))],
        }
        pq.write_table(pa.table({k: list(v) for k, v in tasks.items()}), root / "meta/tasks.parquet")
        (root / "meta/info.json").write_text(json.dumps(self.info(version), ensure_ascii=False), "utf-8")
        return root

    def write_v2(self, root: Path, version: str = "v2.1") -> Path:
        """The folder, in the layout of v2: a file an episode."""
        self.data_path = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        self.video_path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        rows = []
        for e, number in enumerate(self.own_numbers):
            place = {"episode_index": number, "episode_chunk": number // 3}
            file = root / self.data_path.format(**place)
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.table([e]), file)
            for name, rate in self.cameras.items():
                self.starts[e, name] = 100 * e
                frames = [coded(100 * e + n) for n in range(self.num_frames(e, rate))]
                write_film(root / self.video_path.format(video_key=name, **place), frames, rate)
            rows.append({"episode_index": number, "tasks": self.said_tasks()[e], "length": self.lengths[e]})
            self.edit_row(rows[-1])
        (root / "meta").mkdir()
        (root / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tasks = [{"task_index": e, "task": f"task {e}"} for e in range(len(self.lengths))]
        (root / "meta/tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tasks))
        (root / "meta/info.json").write_text(json.dumps(self.info(version)))
        return root
