"""Numbers of a source in the type of a stream, and, in words, what of them that type does not hold.

All sources tell it in these words, so that they add up. Nothing here warns or raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from orrery.streams import Array

__all__ = ["DIGITS", "ROUNDED", "TOO_SMALL", "cast", "losses", "num_rows"]

ROUNDED = "a whole number beyond 16,777,216, rounded to float32"
DIGITS = "more digits than float32 holds, rounded"
TOO_SMALL = "too small for float32; 0 is in its place"
_EXACT = 2**24
"""Whole numbers up to here are float32."""


def cast(values: Array, dtype: Any) -> Array:
    """`values` as `dtype`. What is too large becomes an infinity, which the caller tells."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return values.astype(dtype)


def losses(values: Array, dtype: Any) -> dict[str, Array]:
    """What `dtype` does not hold of `values`, in words, and where: bool of the same shape, some of it true.

    Numbers that are no float32 at all (infinite, too large) are not among them: they show in what `cast`
    gives.
    """
    kind = values.dtype
    if np.dtype(dtype) != np.float32 or not values.size:
        return {}
    if kind.kind in "iu" and kind.itemsize > 2:
        is_small = values.min() >= -_EXACT and values.max() <= _EXACT
        found = {} if is_small else {ROUNDED: _is_rounded(values)}
    elif kind.kind == "f" and kind.itemsize > 4:
        found = _losses_of_floats(values, cast(values, np.float32))
    else:
        found = {}
    return {what: where for what, where in found.items() if where.any()}


def _losses_of_floats(values: Array, held: Array) -> dict[str, Array]:
    """Of wider floats, which are `held` as float32; quick where nothing, or nothing but digits, is lost."""
    is_other = held != values
    if not is_other.any():
        return {}
    is_other &= np.isfinite(held)
    is_great, is_zero = np.abs(values) > _EXACT, held == 0
    if not (is_other & (is_great | is_zero)).any():
        return {DIGITS: is_other}
    is_whole = is_great & (values == np.rint(values))
    return {
        ROUNDED: is_other & is_whole,
        TOO_SMALL: is_other & is_zero,
        DIGITS: is_other & ~is_whole & ~is_zero,
    }


def num_rows(masks: dict[str, Array], num_leading: int = 1) -> dict[str, int]:
    """Words to the number of rows in which it is so. masks: `[*rows, ...]` bool, with `num_leading` axes of
    rows."""
    counts = {
        what: int(where.any(tuple(range(num_leading, where.ndim))).sum()) for what, where in masks.items()
    }
    return {what: count for what, count in counts.items() if count}


def _is_rounded(whole: Array) -> Array:
    """Which whole numbers have more than 24 digits in base 2 before their last zeros."""
    unsigned = whole.astype(np.uint64)
    size = np.where(whole < 0, ~unsigned + np.uint64(1), unsigned)
    lowest = size & (~size + np.uint64(1))
    return size // np.maximum(lowest, np.uint64(1)) > _EXACT
