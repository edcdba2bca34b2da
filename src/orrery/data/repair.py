"""What can still be had of a damaged dataset, as a dataset of its own.

All files of one number hold the same episodes (a *group*). A group of which any file is damaged is left out;
the others are kept, their episodes numbered anew, so that every reader of the layout loads them. The damaged
dataset is not touched: it is put aside under another name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orrery.atomic import temporary_name
from orrery.data import layout
from orrery.data.checksums import SUMS_PATH, read_sums, write_sums
from orrery.data.verify import Fault, OnStep, verify
from orrery.data.writer import (
    EVENTS_SCHEMA,
    finalize,
    finished_parts,
    part_fault,
    read_episode_rows,
    tasks_of,
    write_meta,
    write_table,
)
from orrery.errors import UserError

__all__ = ["Repair", "repair"]


@dataclass(frozen=True)
class Repair:
    """What a repair did.

    num_kept, num_dropped: episodes. faults: what was wrong. aside: where the damaged dataset is now; None if
    nothing had to be left out.
    """

    num_kept: int
    num_dropped: int
    faults: list[Fault]
    aside: Path | None = None


def repair(root: str | Path, on_step: OnStep | None = None) -> Repair:
    """Make the dataset `root` whole: complete what a stopped collection left, leave out what is damaged.

    UserError where nothing is left, or where meta/info.json, which says what the dataset is, is damaged.
    """
    root = Path(root)
    if not (root / layout.INFO_PATH).is_file() and not (root / layout.PART_SETTINGS).is_file():
        raise UserError(f"{root}: no dataset and no stopped collection; there is nothing to repair")
    dropped = _finish(root) if (root / layout.PART_SETTINGS).is_file() else []
    faults = verify(root, on_step)
    if not faults:
        write_sums(root)
        return Repair(len(read_episode_rows(root)), len(dropped), dropped)
    if any(fault.file == layout.INFO_PATH and "says" not in fault.what for fault in faults):
        raise UserError(f"{root}: its {layout.INFO_PATH} is damaged, and nothing else says what it is")
    info = json.loads((root / layout.INFO_PATH).read_text("utf-8"))
    groups = _good_groups(root, {fault.file for fault in faults})
    if not groups:
        raise UserError(f"{root}: nothing of it can be kept; {faults[0]}")
    aside = _free_name(root.with_name(f"{root.name}.damaged"))
    new = temporary_name(root)
    shutil.rmtree(new, ignore_errors=True)
    kept = _rebuild(root, new, groups, info["orrery"])
    root.rename(aside)
    new.rename(root)
    num_dropped = info["total_episodes"] - kept + len(dropped)
    return Repair(kept, num_dropped, [*dropped, *faults], aside)


def _finish(root: Path) -> list[Fault]:
    """Move what a stopped collection had finished into the layout's files; what it had not is dropped."""
    settings = json.loads((root / layout.PART_SETTINGS).read_text("utf-8"))
    dropped = []
    for folder in finished_parts(root).values():
        if (what := part_fault(folder)) is not None:
            dropped.append(Fault(folder.relative_to(root).as_posix(), what))
            shutil.rmtree(folder)
    if not finalize(root, settings):
        raise UserError(f"{root}: the collection stopped before its first episode; run the command again")
    return dropped


def _good_groups(root: Path, bad: set[str]) -> list[list[dict[str, Any]]]:
    """Episode rows by file number, of the numbers all of whose files are good."""
    groups = []
    for file in sorted((root / "meta/episodes").glob("chunk-*/file-*.parquet")):
        if file.relative_to(root).as_posix() in bad:
            continue
        rows = pq.ParquetFile(file).read().to_pylist()
        files = {name for row in rows for name in layout.shards_of(row)} | {_events_file(rows[0])}
        if not files & bad:
            groups.append(rows)
    return groups


def _events_file(row: Mapping[str, Any]) -> str:
    return layout.episodes_file(row).replace("meta/episodes", "meta/events", 1)


def _free_name(path: Path) -> Path:
    """`path`, or the same with a number, whatever is not there yet."""
    names = [path, *(path.with_name(f"{path.name}-{k}") for k in range(2, 1000))]
    return next(name for name in names if not name.exists())


def _rebuild(
    root: Path, new: Path, groups: Sequence[list[dict[str, Any]]], settings: Mapping[str, Any]
) -> int:
    """Write the dataset of `groups` into the folder `new`; returns its number of episodes."""
    done: list[dict[str, Any]] = []
    for rows in groups:
        renumbered = _renumbered(rows, len(done), done[-1]["dataset_to_index"] if done else 0)
        done += renumbered
        data, *films = layout.shards_of(rows[0])
        events = _events_file(rows[0])
        tables = _data_tables(root / data, rows, renumbered, tasks_of(done))
        write_table(new / data, *tables)
        write_table(new / events, _events_table(root / events, rows, renumbered))
        write_table(new / layout.episodes_file(rows[0]), pa.Table.from_pylist(renumbered))
        for name in films:
            _link(root / name, new / name)
    if (root / layout.PLAN_PATH).is_file():
        _link(root / layout.PLAN_PATH, new / layout.PLAN_PATH)
    write_meta(new, done, settings)
    if read_sums(root):
        _link(root / SUMS_PATH, new / SUMS_PATH)  # what is kept keeps the sum it had when it was written
    rewritten = {name for rows in groups for name in (*layout.shards_of(rows[0])[:1], _events_file(rows[0]))}
    write_sums(new, changed=rewritten | {layout.episodes_file(rows[0]) for rows in groups})
    return len(done)


def _renumbered(rows: Sequence[Mapping[str, Any]], first: int, start: int) -> list[dict[str, Any]]:
    """Episode rows that begin with episode `first`, at row `start` of the dataset."""
    renumbered = []
    for number, row in enumerate(rows, start=first):
        place = {"dataset_from_index": start, "dataset_to_index": start + row["length"]}
        renumbered.append({**row, "episode_index": number, **place})
        start += row["length"]
    return renumbered


def _data_tables(
    file: Path,
    rows: Sequence[Mapping[str, Any]],
    renumbered: Sequence[Mapping[str, Any]],
    tasks: Mapping[str, int],
) -> list[pa.Table]:
    content, tables = pq.ParquetFile(file), []
    for old, row in zip(rows, renumbered, strict=True):
        table = content.read_row_group(old["orrery/row_group"])
        index = np.arange(row["dataset_from_index"], row["dataset_to_index"], dtype=np.int64)
        columns = {
            "index": index,
            "episode_index": np.full(len(index), row["episode_index"], np.int64),
            "task_index": np.full(len(index), tasks[row["tasks"][0]], np.int64),
        }
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        tables.append(table)
    return tables


def _events_table(
    file: Path, rows: Sequence[Mapping[str, Any]], renumbered: Sequence[Mapping[str, Any]]
) -> pa.Table:
    new_index = {
        old["episode_index"]: row["episode_index"] for old, row in zip(rows, renumbered, strict=True)
    }
    events = pq.ParquetFile(file).read().to_pylist()
    moved = [{**event, "episode_index": new_index[event["episode_index"]]} for event in events]
    return pa.Table.from_pylist(moved, schema=EVENTS_SCHEMA)


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
