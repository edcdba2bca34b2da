"""Columns of a recording's tables as arrays, and what is wrong with a cell, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orrery.errors import UserError
from orrery.rounding import losses, num_rows
from orrery.streams import Array

__all__ = [
    "columns_with_holes",
    "empty_rows",
    "footer_of",
    "losses_of",
    "names_in",
    "numbers_of",
    "read_table",
]

ROWS_AT_ONCE = 256


def footer_of(path: Path) -> pq.FileMetaData:
    """What a file of rows says of itself. UserError that names it where it cannot be read."""
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as problem:
        raise _unreadable(path, problem) from problem


def columns_with_holes(path: Path, columns: Sequence[str]) -> list[str]:
    """Those of the columns in which a cell, or a part of one other than a picture's `path`, has no value.
    UserError that names the file where it cannot be read.

    The cells are read, in bounded memory: where a damaged footer does not fit together, pyarrow ends the
    process that asks for its statistics.
    """
    found: set[str] = set()
    try:
        for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=list(columns)):
            found |= {name for name in columns if name not in found and _has_hole(batch.column(name))}
    except (OSError, pa.ArrowException, KeyError) as problem:
        raise _unreadable(path, problem) from problem
    return [name for name in columns if name in found]


def _has_hole(array: pa.Array) -> bool:
    if array.null_count:
        return True
    if pa.types.is_struct(array.type):
        return any(_has_hole(array.field(part.name)) for part in array.type if part.name != "path")
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return 0 in array.value_lengths().to_pylist() or _has_hole(array.flatten())
    return pa.types.is_fixed_size_list(array.type) and _has_hole(array.flatten())


def names_in(path: Path) -> list[str]:
    """The columns of a file of rows. UserError that names it where it cannot be read."""
    return footer_of(path).schema.to_arrow_schema().names


def read_table(path: Path, columns: Sequence[str], episode: int | None = None) -> pa.Table:
    """Columns of a file of rows, of one episode or of all. UserError that names it where it cannot be
    read."""
    only = None if episode is None else [("episode_index", "=", episode)]
    options: dict[str, Any] = {"filters": only, "partitioning": None}  # the folders' names are no columns
    try:
        return pq.read_table(path, columns=list(columns), **options)
    except (OSError, pa.ArrowException, KeyError) as problem:
        raise _unreadable(path, problem) from problem


def _unreadable(path: Path, problem: Exception) -> UserError:
    if not path.is_file():
        return UserError(f"{path} is missing; download it again")
    return UserError(f"{path} cannot be read ({' '.join(str(problem).split())}); download it again")


def numbers_of(column: pa.ChunkedArray, width: int, dtype: str = "float32") -> Array:
    """`[num_rows, width]` of `dtype`. UserError that names the row for a cell that does not hold `width`
    such numbers."""
    leaves, rows, empty = _leaves(column)
    if len(empty):
        raise UserError(f"has no value in row {empty.min()}")
    counts = np.bincount(rows, minlength=len(column))
    if (counts != width).any():
        row = int(np.argmax(counts != width))
        raise UserError(f"has {counts[row]} numbers in row {row} where meta/info.json says {width}")
    try:
        kind = pa.from_numpy_dtype(np.dtype(dtype))
        values = leaves.cast(kind, safe=not pa.types.is_floating(kind)).to_numpy(zero_copy_only=False)
    except pa.ArrowException as problem:
        raise UserError(f"holds {leaves.type} that is no {dtype}, which meta/info.json says") from problem
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        own = float(leaves[bad].as_py())
        why = f"{dtype} does not hold" if np.isfinite(own) else "is no number"
        raise UserError(f"is {own} in row {rows[bad]}, which {why}")
    return values.reshape(len(column), width)


def empty_rows(column: pa.ChunkedArray) -> Array:
    """Numbers of the rows that have no value, or not all of them, or one that is not finite."""
    leaves, rows, empty = _leaves(column)
    if not pa.types.is_floating(leaves.type):
        return empty
    return np.union1d(empty, rows[~np.isfinite(leaves.to_numpy(zero_copy_only=False))])


def losses_of(column: pa.ChunkedArray, dtype: str) -> dict[str, int]:
    """What `dtype` does not hold of a column's numbers, in words, and in how many rows. column: as many
    numbers in each row."""
    leaves, _, _ = _leaves(column)
    values = leaves.to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return num_rows(losses(values, dtype))


def _leaves(column: pa.ChunkedArray) -> tuple[pa.Array, Array, Array]:
    """All values of nested lists one after the other, the row of each, and the rows in which one is
    missing."""
    values: Any = column.combine_chunks()
    rows, empty = np.arange(len(values)), list[Array]()
    while True:
        values = values.storage if isinstance(values, pa.ExtensionArray) else values
        there = np.asarray(values.is_valid())
        if pa.types.is_struct(values.type):  # an encoded picture
            fields: Collection[str] = {field.name for field in values.type} & {"bytes", "path"}
            held = [np.asarray(values.field(name).is_valid()) for name in fields]
            there &= np.logical_or.reduce(held) if held else there
        empty.append(rows[~there])
        rows, values = rows[there], values.filter(pa.array(there))
        if not _is_list(values.type):
            return values, rows, np.unique(np.concatenate(empty))
        parents = np.asarray(values.value_parent_indices()).astype(np.int64)
        rows, values = rows[parents], values.flatten()


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
