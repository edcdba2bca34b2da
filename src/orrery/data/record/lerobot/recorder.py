"""Reads the episodes of a LeRobotDataset, one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from orrery.data.record.lerobot.cells import losses_of, names_in, numbers_of, read_table
from orrery.data.record.lerobot.metadata import Folder, Row
from orrery.data.record.lerobot.pictures import (
    DepthCode,
    cell_picture,
    colours_of,
    depth_of,
    frames_at,
    squeezed,
)
from orrery.data.record.lerobot.sentences import events_of, text_of
from orrery.data.record.lerobot.streams import Column, texts_of, ticks_of
from orrery.data.record.source import Request, length_of
from orrery.errors import UserError
from orrery.streams import Array, Episode, WorldSpec

__all__ = ["LeRobotRecorder"]

_NO_TASK = "task_index: none that meta/tasks knows; the task of the rows before, or of the episode, holds"
_UNEVEN = "timestamp: off the even rate; pictures are those of the time stamps, ticks are even"
_NOT_RISING = "timestamp: does not rise from row to row; rows are taken to come at the even rate"
_ROW_KEYS = ("frame_index", "timestamp", "task_index", "subtask_index")


class LeRobotRecorder:
    """folder: of the data set. columns: stream name to what it is there. name: the data set's."""

    def __init__(
        self, folder: Folder, spec: WorldSpec, columns: Mapping[str, Column], request: Request, name: str
    ) -> None:
        self._folder, self._spec, self._columns, self._request = folder, spec, columns, request
        self._name, self._rate = name, folder.rows_per_second

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        try:
            return self._episode(number)
        except UserError as problem:
            raise UserError(f"episode {number}: {problem}") from problem
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
            pa.ArrowException,
        ) as problem:
            raise UserError(
                f"episode {number}: its rows, or what meta says of them, are not those of a LeRobotDataset "
                f"({' '.join(str(problem).split())}); download it again"
            ) from problem

    def _episode(self, number: int) -> Episode:
        row = self._folder.episodes.get(number)
        if row is None:
            why = "; ".join(self._folder.problems) or "meta/episodes does not list it"
            raise UserError(f"{why}; download it again")
        table = self._rows(number, row)
        noted = dict[str, int]()
        instants = _instants(table, self._rate, noted)
        length = length_of(self._spec, self._request, len(table))
        streams = {
            name: self._stream(row, column, table, instants[:length])
            for name, column in self._columns.items()
        }
        seconds = instants[:length] - instants[0]
        words = {
            name: table[name].to_pylist()[:length]
            for name in ("task_index", "subtask_index", *texts_of(self._folder.features))
            if name in table.column_names
        }
        tasks, subtasks = self._sentences
        scene: dict[str, Any] = {"dataset": self._name, "episode_index": number}
        noted |= self._noted(table.slice(0, length), tasks)
        if noted:
            scene["noted"] = noted
        if isinstance(row.get("tasks"), list) and len(row["tasks"]) > 1:
            scene["tasks"] = row["tasks"]
        events = events_of(row, words, seconds.tolist(), tasks, subtasks)
        end = length / self._rate
        return Episode(
            self._spec,
            streams,
            text_of(row, words, tasks),
            [event for event in events if event.seconds < end],
            number,
            scene,
        )

    def _noted(self, table: pa.Table, tasks: Mapping[int, str]) -> dict[str, int]:
        """What is to be told of an episode, and in how many rows it is so."""
        noted = dict[str, int]()
        for column in self._columns.values():
            spec, name = column.spec, column.feature
            if spec.kind == "vector" and spec.unit != "m":
                counts = losses_of(table[name], spec.dtype)
                noted |= {f"{name}: {what}": count for what, count in counts.items()}
        if tasks and "task_index" in table.column_names:
            noted[_NO_TASK] = sum(k not in tasks for k in table["task_index"].to_pylist())
        return {what: count for what, count in noted.items() if count}

    @cached_property
    def _sentences(self) -> tuple[dict[int, str], dict[int, str]]:
        return self._folder.sentences("task"), self._folder.sentences("subtask")

    def _rows(self, number: int, row: Row) -> pa.Table:
        """All rows of an episode, in order, wherever they lie. UserError that names the file if some are
        missing."""
        named = self._folder.data_file(row)
        wanted = row.get("length")
        try:
            table = self._read(named, number)
            held = f"{named} holds {len(table)}"
        except UserError:
            others = [file for file in self._holders.get(number, ()) if file != named]
            if not others:
                raise
            table, held = None, f"{named} cannot be read, and the other files hold"
        if table is None or (isinstance(wanted, int) and len(table) < wanted):
            others = [self._read(file, number) for file in self._holders.get(number, ()) if file != named]
            tables = [t for t in (table, *others) if t is not None]
            table = pa.concat_tables(tables, promote_options="permissive")
        if not len(table) or (isinstance(wanted, int) and len(table) != wanted):
            raise UserError(
                f"{held} of the {wanted} rows of episode {number}"
                if isinstance(wanted, int) and len(table) < wanted
                else f"{named} holds {len(table)} rows of episode {number}, and {wanted} are listed"
            )
        return _ordered(table)

    def _read(self, file: Path, number: int) -> pa.Table:
        there = names_in(file)
        needed = [column.feature for column in self._columns.values() if not column.is_film]
        for name in needed:
            if name not in there:
                raise UserError(f"{file} has no column {name}; leave it out with --streams")
        optional = [*_ROW_KEYS, *texts_of(self._folder.features)]
        names = dict.fromkeys([*needed, *(name for name in optional if name in there), "episode_index"])
        return read_table(file, list(names), number)

    @cached_property
    def _holders(self) -> dict[int, list[Path]]:
        """Episode to the files that hold rows of it."""
        found = dict[int, list[Path]]()
        for file in self._folder.data_files():
            try:
                numbers = read_table(file, ["episode_index"])["episode_index"].unique().to_pylist()
            except UserError:
                continue
            for number in numbers:
                found.setdefault(number, []).append(file)
        return found

    def _stream(self, row: Row, column: Column, table: pa.Table, instants: Array) -> Array:
        """`[num_ticks, *shape]` of one stream. UserError that names the episode and the feature."""
        try:
            if column.is_film or column.spec.kind == "video" or column.spec.unit == "m":
                return self._pictures(row, column, table, instants)
            spec = column.spec
            dtype = spec.dtype if spec.kind == "vector" else "float32"
            rows = numbers_of(table[column.feature], math.prod(spec.shape), dtype)
            return ticks_of(spec, rows, len(instants))
        except UserError as problem:
            raise UserError(f"{column.feature}: {problem}") from problem

    def _pictures(self, row: Row, column: Column, table: pa.Table, instants: Array) -> Array:
        """Pictures `[num_ticks, frames, S, S, 3]` uint8, or depth `[num_ticks, 1, S, S]` float32."""
        spec, length = column.spec, len(instants)
        code = DepthCode.of(self._folder.features[column.feature]) if spec.unit == "m" else None
        found = np.zeros((length, *spec.shape), spec.dtype)
        if column.is_film:
            path, begin, end = self._place(row, column.feature, instants)
            shown, picture = None, np.zeros(0)
            for k, frame in enumerate(frames_at(path, begin + instants, end)):
                if frame is not shown:
                    picture = colours_of(frame) if code is None else depth_of(frame, code)
                    shown, picture = frame, squeezed(picture, spec.shape[-2])
                found[k] = picture
            return found
        size = spec.shape[-2 if code is None else -1]
        for k, value in enumerate(table[column.feature].slice(0, length).to_pylist()):
            if value is None:
                raise UserError(f"has no picture in row {k}")
            found[k] = squeezed(cell_picture(value, self._folder.root, code), size)
        return found

    def _place(self, row: Row, feature: str, instants: Array) -> tuple[Path, float, float]:
        """The film that an episode's pictures are in, and when in it they begin and end, seconds."""
        span = self._folder.film_span(feature, row)
        if span is None:
            raise UserError("has no film: meta/episodes does not say where its pictures are")
        begin, end = span
        if end > begin and instants[-1] > end - begin + 0.5 / self._rate:
            raise UserError(
                f"has pictures for {end - begin:.2f} s where the last row is at {instants[-1]:.2f} s "
                f"({self._folder.film(feature, row)})"
            )
        return self._folder.film(feature, row), begin, end if end > begin else math.inf


def _ordered(table: pa.Table) -> pa.Table:
    """Rows in the order of their `frame_index`. UserError if some are there twice, or are missing between
    others."""
    index = _whole(table, "frame_index")
    if index is None or len(index) < 2 or (index == index[0]).all():
        return table
    order = np.argsort(index, kind="stable")
    steps = np.diff(index[order])
    if (steps == 0).any():
        raise UserError(f"row {index[order][np.argmin(steps)]} is there twice")
    if (steps > 1).any():
        before = int(np.argmax(steps > 1))
        gap = f"{index[order][before] + 1} to {index[order][before + 1] - 1}"
        raise UserError(f"the rows with frame_index {gap} are missing; download it again")
    return table if (order == np.arange(len(order))).all() else table.take(pa.array(order))


def _whole(table: pa.Table, name: str) -> Array | None:
    """A column of whole numbers; None where it is not there, or not all of it."""
    if name not in table.column_names:
        return None
    column = table[name]
    if column.null_count or not pa.types.is_integer(column.type):
        return None
    return column.to_numpy().astype(np.int64)


def _instants(table: pa.Table, rate: float, noted: dict[str, int]) -> Array:
    """When each row was recorded, seconds after the episode's frame 0: its time stamp, where there is a
    good one. noted: gets in how many rows it is another than the rate says."""
    index = _whole(table, "frame_index")
    if index is None or (len(index) > 1 and (index == index[0]).all()):
        index = np.arange(len(table))
    grid = index / rate
    stamps = _stamps(table)
    if stamps is None:
        return grid
    if abs(stamps[0]) <= 0.5 / rate:  # of an episode whose rows are counted from another one on
        grid = grid - grid[0]
    if abs(stamps[0] - grid[0]) > 0.5 / rate:  # of a clock on the wall
        stamps = stamps - stamps[0] + grid[0]
    off = np.abs(stamps - grid) >= 0.1 / rate  # float32 is coarse after an hour
    if off.any():
        is_rising = (np.diff(stamps) > 0).all()
        noted[_UNEVEN if is_rising else _NOT_RISING] = int(off.sum())
        return stamps if is_rising else grid
    return grid


def _stamps(table: pa.Table) -> Array | None:
    """The column `timestamp`; None where it is not there, or not all of it."""
    if "timestamp" not in table.column_names or table["timestamp"].null_count:
        return None
    try:
        stamps = table["timestamp"].cast(pa.float64()).to_numpy()
    except pa.ArrowException:
        return None
    return stamps if np.isfinite(stamps).all() else None
