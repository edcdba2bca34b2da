"""What a LeRobotDataset's folder says of itself: rate, features, episodes, tasks, and where their files lie.

v3: many episodes in a file, listed in meta/episodes/. v2: a file an episode, listed in meta/episodes.jsonl.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from orrery.data import layout
from orrery.data.record.lerobot.cells import names_in
from orrery.errors import UserError

__all__ = ["Features", "Folder", "Row"]

Row = Mapping[str, Any]
"""What the metadata say of one episode."""
Features = Mapping[str, Mapping[str, Any]]
"""Name of a column or a camera to what meta/info.json says of it."""

_FIELDS = ("episode_index", "episode_chunk", "chunk_index", "file_index", "video_key")
_FIELD = re.compile(rf"\{{({'|'.join(_FIELDS)})(:0?\d?d?)?\}}")
MIN_ROWS_PER_SECOND, MAX_ROWS_PER_SECOND = 1 / 60, 1_000
_PATHS = {
    2: (
        "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    ),
    3: (layout.DATA_PATH, layout.VIDEO_PATH),
}
"""Major version to where rows and films lie if meta/info.json does not say."""
_EPISODES = {2: "meta/episodes.jsonl", 3: "meta/episodes"}


@dataclass(frozen=True)
class Folder:
    """A data set's folder. UserError, whatever is asked, where its meta/info.json cannot be used."""

    root: Path

    @cached_property
    def info(self) -> dict[str, Any]:
        """meta/info.json."""
        file = self.root / layout.INFO_PATH
        if not file.is_file():
            raise UserError(f"{self.root} is no LeRobotDataset: it has no {layout.INFO_PATH}")
        try:
            info = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise UserError(f"{file} is damaged ({problem}); download it again") from problem
        features = info.get("features") if isinstance(info, dict) else None
        if not isinstance(features, dict) or not features:
            raise UserError(f"{file} is damaged: it lists no features; download it again")
        return info

    @cached_property
    def version(self) -> int:
        """2 or 3. UserError for any other, and where the files are those of another than is said."""
        said = str(self.info.get("codebase_version"))
        found = re.fullmatch(r"v?(\d+)(\.\d+)*", said)
        there = [number for number, name in _EPISODES.items() if (self.root / name).exists()]
        if found is None:
            version = there[0] if there else 3
        elif int(found[1]) not in _EPISODES:
            raise UserError(
                f"{self.root} is a LeRobotDataset {said}; v2.0 to v3.1 are read: convert it with lerobot"
            )
        else:
            version = int(found[1])
        if there and version not in there:
            raise UserError(
                f"{self.root} says it is a LeRobotDataset {said}, but its files are those of v{there[0]}: "
                f"there is {_EPISODES[there[0]]} and no {_EPISODES[version]}; put the right codebase_version "
                f"into {layout.INFO_PATH}, or download it again"
            )
        return version

    @cached_property
    def rows_per_second(self) -> float:
        """The rate of the rows."""
        file, said = self.root / layout.INFO_PATH, self.info.get("fps")
        try:
            rate = float(said)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError, OverflowError):
            rate = math.nan
        if not MIN_ROWS_PER_SECOND <= rate <= MAX_ROWS_PER_SECOND:
            least = f"{MIN_ROWS_PER_SECOND:.3g}"
            raise UserError(
                f"{file} is damaged: its fps is {said!r}, and must be a number from {least} to "
                f"{MAX_ROWS_PER_SECOND:,}; put the right one there, or download it again"
            )
        return rate

    def check(self) -> None:
        """UserError where what is said of the whole cannot be used."""
        _ = self.version, self.rows_per_second, self._template("data_path"), self._template("video_path")

    @cached_property
    def features(self) -> Features:
        """Every feature that meta/info.json describes as it should; cameras are films, or pictures in rows,
        as the files have them."""
        described = {n: said for n, said in self.info["features"].items() if isinstance(said, dict)}
        return described | {
            name: {**said, "dtype": self._camera_dtype(name, said["dtype"])}
            for name, said in described.items()
            if said.get("dtype") in ("video", "image")
        }

    def _camera_dtype(self, name: str, said: str) -> str:
        """`video` or `image`: the other one than is said, where only its pictures are there."""
        row = next(iter(self.episodes.values()), None)
        try:
            has_film = row is not None and self.film_span(name, row) and self.film(name, row).is_file()
            in_rows = name in names_in(self.data_files()[0])
        except (UserError, IndexError):
            return said
        return said if bool(has_film) == in_rows else "video" if has_film else "image"

    @property
    def misnamed(self) -> dict[str, str]:
        """Cameras that are not what meta/info.json says, in words."""
        words = {"video": "in films", "image": "in the rows"}
        said = self.info["features"]
        return {
            name: f"meta/info.json says {said[name]['dtype']}, and its pictures are {words[own['dtype']]}"
            for name, own in self.features.items()
            if own.get("dtype") != said[name].get("dtype")
        }

    @cached_property
    def problems(self) -> list[str]:
        """Files of the list of episodes, or lines of it, that cannot be read."""
        return self._listed[1]

    @property
    def episodes(self) -> dict[int, Row]:
        """Number to what is said of it, of every episode that is listed, in order."""
        return self._listed[0]

    @cached_property
    def _listed(self) -> tuple[dict[int, Row], list[str]]:
        found, problems = dict[int, Row](), list[str]()
        rows = self._episode_rows(problems)
        for row in rows:
            number = row.get("episode_index")
            if not _is_count(number):
                problems.append(f"an episode has the number {number!r} in {_EPISODES[self.version]}")
            elif number in found:
                problems.append(f"{_EPISODES[self.version]} lists episode {number} twice")
            else:
                found[number] = {**row, "length": row.get("length") if _is_count(row.get("length")) else None}
        return dict(sorted(found.items())), problems

    def _episode_rows(self, problems: list[str]) -> Iterator[Row]:
        if self.version == 2:
            yield from _lines(self.root / _EPISODES[2], problems)
            return
        for file in sorted((self.root / _EPISODES[3]).rglob("*.parquet")):
            try:
                table = pq.ParquetFile(file).read()
            except (OSError, pa.ArrowException) as problem:
                problems.append(f"{file} cannot be read ({_one_line(problem)})")
                continue
            yield from table.select([n for n in table.column_names if not n.startswith("stats/")]).to_pylist()

    def sentences(self, of: str = "task") -> dict[int, str]:
        """Number to sentence, of meta/tasks (or, `of` subtasks, meta/subtasks); empty where there is none."""
        if self.version == 2:
            rows = list(_lines(self.root / f"meta/{of}s.jsonl", []))
        else:
            try:
                rows = pq.ParquetFile(self.root / f"meta/{of}s.parquet").read().to_pylist()
            except (OSError, pa.ArrowException):
                return {}
        found = {}
        for row in rows:
            # pandas gives the sentence a column of its own name, or calls it __index_level_0__
            texts = [value for value in (row.get(of), *row.values()) if isinstance(value, str)]
            if texts and isinstance(row.get(f"{of}_index"), int):
                found[row[f"{of}_index"]] = texts[0]
        return found

    def data_file(self, row: Row) -> Path:
        """The file that holds the episode's rows."""
        return self._file("data_path", row, row.get("data/chunk_index"), row.get("data/file_index"))

    def film(self, feature: str, row: Row) -> Path:
        """The film that a camera's pictures of the episode are in."""
        chunk, file = row.get(f"videos/{feature}/chunk_index"), row.get(f"videos/{feature}/file_index")
        return self._file("video_path", row, chunk, file, feature)

    def film_span(self, feature: str, row: Row) -> tuple[float, float] | None:
        """From when to when in its film, seconds, an episode's pictures are; None where nothing says it."""
        alone = "episode_index" in self._template("video_path")
        begin, end = (row.get(f"videos/{feature}/{at}_timestamp") for at in ("from", "to"))
        if begin is None:
            return (0.0, math.inf) if alone else None
        numbers = [n for n in (begin, end) if isinstance(n, int | float) and math.isfinite(n)]
        if len(numbers) < (1 if end is None else 2) or numbers[0] < 0:
            return None
        return float(numbers[0]), float(numbers[1]) if end is not None else math.inf

    def data_files(self) -> list[Path]:
        """Every file of rows that is there."""
        fixed = PurePosixPath(self._template("data_path").partition("{")[0] + "x").parent
        meta = self.root / "meta"
        return sorted(file for file in (self.root / fixed).rglob("*.parquet") if meta not in file.parents)

    def _template(self, name: str) -> str:
        said = self.info.get(name)
        template = said if isinstance(said, str) and said else _PATHS[self.version][name == "video_path"]
        rest = _FIELD.sub("x", template)
        if "{" in rest or "}" in rest:
            raise UserError(
                f"{name} in {self.root / layout.INFO_PATH} is {template!r}; "
                f"what is read are {', '.join(_FIELDS)}"
            )
        if PurePosixPath(rest).is_absolute() or ".." in PurePosixPath(rest).parts:
            raise UserError(
                f"{self.root / layout.INFO_PATH} places files outside of it: {name} is {template!r}"
            )
        return template

    def _file(self, name: str, row: Row, chunk: Any, file: Any, feature: str = "") -> Path:
        number, template = row["episode_index"], self._template(name)
        size = self.info.get("chunks_size")
        per_chunk = size if isinstance(size, int) and size > 0 else layout.FILES_PER_CHUNK
        values = {"episode_index": number, "episode_chunk": number // per_chunk, "video_key": feature}
        values |= {k: v for k, v in (("chunk_index", chunk), ("file_index", file)) if _is_count(v)}
        try:
            return self.root / template.format(**values)
        except KeyError as problem:
            raise UserError(
                f"its file is named by {problem} ({template}), which nothing says of it; download it again"
            ) from problem


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _lines(file: Path, problems: list[str]) -> Iterator[Row]:
    """The objects of a file of JSON lines."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as problem:
        problems.append(f"{file} cannot be read ({_one_line(problem)})")
        return
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            problems.append(f"line {number} of {file} cannot be read")
        elif value:
            yield value


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())
