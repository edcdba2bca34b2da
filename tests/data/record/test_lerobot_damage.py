"""Damaged recordings: whatever is changed in their metadata, tables and films, it is told in words or
changes nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from robot_data import CELL, HEIGHT, WIDTH, Column, Robot, encoded

from orrery.data.record.collect import collect
from orrery.data.record.lerobot.cells import columns_with_holes
from orrery.errors import UserError

_BAD: list[Any] = [None, -1, 0, "x", [], {}, 1e300, 2**70, True, [[1]], "../../x", float("nan"), "{x}"]
_BAD += [["a"], {"a": 1}, 3, 0.5]


def _changed(value: Any, rng: random.Random) -> Any:
    """The same with one thing in it left out, or another."""
    if not isinstance(value, dict) or not value or rng.random() < 0.1:
        return rng.choice(_BAD)
    key, rest = rng.choice(list(value)), dict(value)
    if rng.random() < 0.15:
        del rest[key]
    else:
        rest[key] = _changed(value[key], rng)
    return rest


def _damage(root: Path, rng: random.Random) -> None:
    kind = rng.choice(["info", "episodes", "table", "bytes"])
    if kind == "info":
        file = root / "meta/info.json"
        file.write_text(json.dumps(_changed(json.loads(file.read_text()), rng)))
    elif kind == "bytes":
        file = rng.choice([file for file in sorted(root.rglob("*")) if file.is_file()])
        content = bytearray(file.read_bytes())
        for _ in range(rng.choice([1, 5, 50])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        file.write_bytes(bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content))
    else:
        file = rng.choice(
            sorted((root / ("meta/episodes" if kind == "episodes" else "data")).rglob("*.parquet"))
        )
        rows = pq.read_table(file).to_pylist()
        key, value = rng.choice(list(rows[0])), rng.choice(_BAD)
        try:
            pq.write_table(pa.Table.from_pylist([{**row, key: value} for row in rows]), file)
        except (pa.ArrowException, OverflowError, ValueError):
            file.write_bytes(b"")


@pytest.mark.parametrize("seed", range(24))
def test_nothing_but_words(tmp_path: Path, seed: int) -> None:
    columns = {
        "observation.images.deep": Column(
            "image",
            [HEIGHT, WIDTH, 1],
            lambda e, i: encoded(np.full((HEIGHT, WIDTH), 900 + i, np.uint16)),
            CELL,
        ),
        "observation.note": Column("string", [1], lambda e, i: "a"),
        "next.done": Column("bool", [1], lambda e, i: i == 2),
    }
    robot = Robot((4, 3), cameras={"observation.images.top": 20}, columns=columns, files=[[0], [1]])
    source = robot.write(tmp_path / "in")
    _damage(source, random.Random(seed))
    try:
        report = collect(f"lerobot:{source}", tmp_path / "out", image_size=16, progress=False)
    except UserError:
        return
    assert all(why.startswith(f"episode {number}: ") for number, why in report.dropped.items())


def test_columns_with_holes_are_those_in_which_something_has_no_value(tmp_path: Path) -> None:
    cells: dict[str, list[Any]] = {
        "whole": [1, 2, 3],
        "null": [1, None, 3],
        "lists": [[1, 2], [3, 4], [5, 6]],
        "empty_list": [[1, 2], [], [5, 6]],
        "null_in_list": [[1, 2], [3, None], [5, 6]],
        "null_list": [[1, 2], None, [5, 6]],
        "picture": [{"bytes": b"a", "path": None}] * 3,
        "no_picture": [
            {"bytes": b"a", "path": None},
            {"bytes": None, "path": "x"},
            {"bytes": b"c", "path": "y"},
        ],
    }
    pq.write_table(pa.table(cells), tmp_path / "rows.parquet", row_group_size=2)
    holed = columns_with_holes(tmp_path / "rows.parquet", list(cells))
    assert holed == ["null", "empty_list", "null_in_list", "null_list", "no_picture"]
