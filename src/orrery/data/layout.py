"""Where everything lies in a dataset folder, and how a tick becomes rows.

The folder is a LeRobotDataset v3.0 (https://huggingface.co/docs/lerobot/lerobot-dataset-v3): one row for
each video frame, one integer frame rate, files in chunks of 1,000. A stream whose payload `[L, ...]` has two
axes or more, the first a multiple of the frames in a tick, is split evenly over the tick's rows; any other
stream (an action `[A]`, one touch reading a tick) is repeated on each of them. Arrays are flattened.

LeRobot's `action` in a row is what is done *after* that row is seen, and its `next.reward` what comes of it;
a world's action stream is what was done *during* the tick. The columns of actions, rewards and terminations
are therefore the stream rolled back by one tick (the last tick's rows hold the first tick's action), which
loses nothing. `next.terminated` is the stream `terminated` in this way, and read back exactly. `next.done`
is for other readers: true where `next.terminated` is, and in each episode's last row, after which nothing
follows, whether it ended, was cut off or was only recorded so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orrery.streams import Array, StreamSpec, WorldSpec

__all__ = [
    "CODEBASE_VERSION", "DATA_PATH", "DONE", "EPISODES_PATH", "EVENTS_PATH", "FILES_PER_CHUNK", "INFO_PATH",
    "KNOWN_COLUMNS", "PARTS",
    "PART_SETTINGS", "PLAN_PATH", "STATS_PATH", "TASKS_PATH", "VIDEO_PATH", "column_of", "column_width",
    "done_rows", "episodes_file", "features", "from_rows", "shard", "shards_of", "to_rows",
]  # fmt: skip

CODEBASE_VERSION = "v3.0"
FILES_PER_CHUNK = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EVENTS_PATH = "meta/events/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO_PATH = "meta/info.json"
STATS_PATH = "meta/stats.json"
TASKS_PATH = "meta/tasks.parquet"
PLAN_PATH = "meta/plan.json"
"""Which stretch of which file each episode is, where they were settled before the first was recorded; what
was chosen or changed in its files, or else is to be told of its episodes (`notes`), what was left out
(`skipped`) and which episodes failed (`dropped`), each with the reason."""
PARTS = ".part"
"""Folder of finished episodes that are not in the layout's files yet."""
PART_SETTINGS = ".part/collect.json"

KNOWN_COLUMNS = {
    "action": "action",
    "reward": "next.reward",
    "terminated": "next.terminated",
    "truncated": "next.truncated",
    "success": "next.success",
    "observation": "observation.state",
    "proprioception": "observation.state",
}
"""Streams that LeRobot has names of its own for; its state is a robot's joints, not objects' poses."""
DONE = "next.done"
"""A column that follows from `terminated` and the end of the episode; no stream."""
_ROW_FEATURES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def shard(root: Path, template: str, number: int, **names: str) -> Path:
    """Path of file `number`, counted over all chunks."""
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return root / template.format(chunk_index=chunk, file_index=file, **names)


def shards_of(row: Mapping[str, Any]) -> list[str]:
    """The files that hold the rows and the pictures of an episode, relative to the dataset's folder.

    row: the episode's row of meta/episodes.
    """
    names = [DATA_PATH.format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])]
    for key in row:
        if key.startswith("videos/") and key.endswith("/file_index"):
            feature = key.removeprefix("videos/").removesuffix("/file_index")
            chunk = row[f"videos/{feature}/chunk_index"]
            names.append(VIDEO_PATH.format(video_key=feature, chunk_index=chunk, file_index=row[key]))
    return names


def episodes_file(row: Mapping[str, Any]) -> str:
    """The file that an episode's row of meta/episodes itself is in."""
    chunk, file = row["meta/episodes/chunk_index"], row["meta/episodes/file_index"]
    return EPISODES_PATH.format(chunk_index=chunk, file_index=file)


def column_of(stream: str) -> str:
    """Stream name to the dataset's feature name: `video.main` is `observation.images.main`."""
    if stream in KNOWN_COLUMNS:
        return KNOWN_COLUMNS[stream]
    word, _, instance = stream.partition(".")
    if word == "video":
        return f"observation.images.{instance}"
    return stream if word in ("action", "observation") else f"observation.{stream}"


def _follows(spec: StreamSpec) -> bool:
    """Whether a stream tells what is done, or comes of it."""
    return spec.kind != "text" and spec.role in ("given", "outcome")


def done_rows(spec: StreamSpec, ticks: Array, num_frames: int) -> Array:
    """The column `DONE`, `[num_rows]` bool, of an episode's `terminated`; see above."""
    done = np.asarray(to_rows(spec, ticks, num_frames).any(axis=1), bool)
    done[-1] = True
    return done


def _is_split(spec: StreamSpec, num_frames: int) -> bool:
    return len(spec.shape) >= 2 and spec.shape[0] % num_frames == 0


def column_width(spec: StreamSpec, num_frames: int) -> int:
    """Numbers of one row. num_frames: frames in a tick."""
    size = int(np.prod(spec.shape))
    return size // num_frames if _is_split(spec, num_frames) else size


def to_rows(spec: StreamSpec, ticks: Array, num_frames: int) -> Array:
    """`[num_ticks, *shape]` to `[num_ticks * num_frames, width]`. num_frames: frames in a tick."""
    if _follows(spec):
        ticks = np.roll(ticks, -1, axis=0)
    if _is_split(spec, num_frames):
        return ticks.reshape(len(ticks) * num_frames, -1)
    return np.repeat(ticks.reshape(len(ticks), -1), num_frames, axis=0)


def from_rows(spec: StreamSpec, rows: Array, num_frames: int) -> Array:
    """The inverse of `to_rows`, for a whole episode."""
    if not _is_split(spec, num_frames):
        rows = rows[::num_frames]
    ticks = rows.reshape(-1, *spec.shape)
    return np.roll(ticks, 1, axis=0) if _follows(spec) else ticks


def features(spec: WorldSpec) -> dict[str, dict[str, Any]]:
    """The `features` table of meta/info.json."""
    clock = spec.clock
    table: dict[str, dict[str, Any]] = {}
    for name, stream in spec.streams.items():
        if stream.kind == "video":
            _, height, width, channels = stream.shape
            table[column_of(name)] = {
                "dtype": "video",
                "shape": [height, width, channels],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": height,
                    "video.width": width,
                    "video.channels": channels,
                    "video.codec": "h264",
                    "video.pix_fmt": "yuv444p" if height % 2 or width % 2 else "yuv420p",
                    "video.is_depth_map": False,
                    "video.fps": clock.frames_per_second,
                    "has_audio": False,
                },
            }
        else:
            width = column_width(stream, clock.frames_per_tick)
            table[column_of(name)] = {"dtype": stream.dtype, "shape": [width], "names": None}
    if "terminated" in spec.streams:
        table[DONE] = {"dtype": "bool", "shape": [1], "names": None}
    for name, dtype in _ROW_FEATURES.items():
        table[name] = {"dtype": dtype, "shape": [1], "names": None}
    return table
