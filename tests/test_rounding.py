"""What float32 does not hold of a number is found, whatever its type: exact fractions are the judge."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.rounding import DIGITS, ROUNDED, TOO_SMALL, cast, losses, num_rows

WHOLE = st.one_of(
    *(st.integers(np.iinfo(t).min, np.iinfo(t).max).map(t) for t in (np.int8, np.int32, np.int64, np.uint64)),
    st.builds(lambda odd, power: np.int64(odd << power), st.integers(-(2**25), 2**25), st.integers(0, 36)),
)


def _exact(number: np.generic) -> Fraction:
    return Fraction(number.item())


@given(WHOLE)
def test_a_whole_number_is_rounded_or_held(number: np.integer) -> None:
    is_held = _exact(cast(np.array([number]), np.float32)[0]) == _exact(number)
    assert losses(np.array([number]), "float32").keys() == (set() if is_held else {ROUNDED})


@given(st.floats(width=64))
def test_any_float_is_held_or_told_by_one_word(number: float) -> None:
    values = np.array([number])
    held = cast(values, np.float32)[0]
    if not np.isfinite(number) or not np.isfinite(held) or Fraction(float(held)) == Fraction(number):
        assert losses(values, "float32") == {}
        return
    is_great = number.is_integer() and abs(number) > 2**24
    expected = TOO_SMALL if held == 0 else ROUNDED if is_great else DIGITS
    assert losses(values, "float32").keys() == {expected}


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "uint8", "bool"])
def test_small_types_are_held(dtype: str) -> None:
    values = np.arange(200).astype(dtype)
    assert losses(values, "float32") == {}
    assert losses(values / np.float64(7), "float64") == {}


def test_rows_are_counted_once() -> None:
    values = np.array([[0.1, 0.2], [1, 2], [2.0**24 + 1, 0.3]])
    assert num_rows(losses(values, "float32")) == {ROUNDED: 1, DIGITS: 2}
    assert num_rows(losses(values[0], "float32"), 0) == {DIGITS: 1}
    assert num_rows(losses(values.reshape(3, 2, 1)[:0], "float32")) == {}
