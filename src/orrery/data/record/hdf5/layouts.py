"""What a layout of recordings in HDF5 is, and what can be told of an array before it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orrery.data.record.hdf5.files import fault, library
from orrery.data.record.lerobot.streams import MAX_WIDTH
from orrery.streams import Array

__all__ = ["TEXT", "Form", "Layout", "Stretch", "common_form", "form_of", "picture_of", "texts_in"]

LEAST_SIDE, MOST_BYTES = 16, 2**28
"""Of a picture in pixels: what is smaller are numbers. Of a row in bytes."""
_CHANNELS = (1, 3, 4)
TEXT = "string"


@dataclass(frozen=True)
class Stretch:
    """An episode: rows `begin` to `end` of the arrays below `group` of a file, and its sentence. why: it is
    not recorded; empty for one that is."""

    group: str
    begin: int
    end: int
    text: str = ""
    why: str = ""


@dataclass(frozen=True)
class Layout:
    """A layout, by what its own recorder writes.

    fits: whether an `h5py.File` has it. stretches: its episodes. feature: what the array at a path is called
    in a LeRobotDataset. rate: rows a second that a file tells. usual_rate: of all of its recordings, where
    there is one. skipped: paths (regular expressions) that are left out, and why. is_flat: whether all
    episodes lie one after the other in the same arrays. is_after: whether a row's reward and ending are of
    what is done after it.
    """

    name: str
    fits: Callable[[Any], bool]
    stretches: Callable[[Any], list[Stretch]]
    feature: Callable[[str], str]
    rate: Callable[[Any], float | None] = lambda file: None
    usual_rate: float | None = None
    skipped: dict[str, str] = field(default_factory=dict, hash=False)
    is_flat: bool = False
    is_after: bool = True

    def refusal(self, path: str) -> str | None:
        """Why the array at `path` is left out; None if it is not."""
        return next((why for name, why in self.skipped.items() if re.fullmatch(name, path)), None)


@dataclass(frozen=True)
class Form:
    """One row of an array. dtype: `image`, `depth`, `string`, or numpy's name. unit: of depth. why: of one
    that is not read."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    unit: str = ""
    why: str = ""


def common_form(forms: Iterable[Form]) -> Form | None:
    """The form of numbers that holds those of all `forms`; None where they differ in more than how many
    digits they have."""
    those = list(forms)
    kinds = {np.dtype(form.dtype).kind if form.dtype in np.sctypeDict else form.dtype for form in those}
    if len({form.shape for form in those}) > 1 or not (kinds == {"f"} or kinds <= {"i", "u"}):
        return None
    dtype = np.result_type(*(np.dtype(form.dtype) for form in those))
    return Form(dtype.name, those[0].shape) if dtype.kind in kinds else None


def form_of(path: str, dataset: Any) -> Form:
    """What a row of the data set at `path` is."""
    kind: np.dtype[Any] = dataset.dtype
    row = tuple(dataset.shape[1:])
    if not dataset.shape:
        return Form(why="it is one value, not one a row")
    if (why := fault(dataset)) is not None:
        return Form(why=why)
    if not 0 < math.prod(row) * kind.itemsize <= MOST_BYTES:
        return Form(why=f"a row of it is {list(row)} {kind}")
    if kind.kind in "SO":
        return _form_of_bytes(dataset)
    is_padded = len(row) == 1 and "images" in path.split("/")  # each encoded, and as long as the longest
    if kind == np.uint8 and (is_padded or _is_picture(row)):
        return Form("image")
    if _is_depth(path, row, kind):
        return Form("depth", unit="metres" if kind.kind == "f" else "millimetres")
    if kind.kind not in "biuf":
        return Form(why=f"{kind} is no stream of numbers")
    if math.prod(row) > MAX_WIDTH:
        return Form(why=f"{list(row)} {kind} are no picture of bytes, and more than {MAX_WIDTH:,} numbers")
    return Form(kind.name, row or (1,))


def _form_of_bytes(dataset: Any) -> Form:
    """Of rows of bytes or letters: encoded pictures, or texts."""
    row, vlen = tuple(dataset.shape[1:]), library().check_vlen_dtype(dataset.dtype)
    if row or not (dataset.dtype.kind == "S" or vlen == np.uint8 or vlen is str or vlen is bytes):
        return Form(why=f"{dataset.dtype} {list(row)} is no stream of numbers")
    first = np.asarray(dataset[0]).tobytes() if vlen == np.uint8 else dataset[0] if len(dataset) else b""
    return Form("image" if bytes_of(first).startswith((b"\xff\xd8\xff", b"\x89PNG")) else TEXT)


def bytes_of(value: Any) -> bytes:
    """A cell that holds an encoded picture."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value if isinstance(value, bytes) else np.asarray(value, np.uint8).tobytes()


def texts_in(values: Any) -> list[str]:
    """Cells of a column of words."""
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def _is_depth(path: str, row: tuple[int, ...], kind: np.dtype[Any]) -> bool:
    """Whether a row is one plane of whole millimetres or of metres, by the array's name."""
    is_plane = _is_picture(row) and math.prod(row) == math.prod(sorted(row)[-2:])
    return is_plane and "depth" in path.casefold() and (kind == np.uint16 or kind.kind == "f")


def _is_picture(row: tuple[int, ...]) -> bool:
    """Whether a row is `[H, W]`, `[H, W, C]` or `[C, H, W]`."""
    sides = row[:2] if len(row) == 2 or row[-1:] in {(c,) for c in _CHANNELS} else row[1:]
    is_plane = len(row) == 2 or (len(row) == 3 and (row[2] in _CHANNELS or row[0] in _CHANNELS))
    return is_plane and min(sides) >= LEAST_SIDE


def picture_of(row: Array) -> Array:
    """Of a row that is a picture, its colours `[H, W, 3]`, or, of other numbers than bytes, `[H, W]`."""
    if row.ndim == 3 and row.shape[2] not in _CHANNELS:
        row = np.moveaxis(row, 0, 2)
    if row.dtype != np.uint8:
        return row.reshape(row.shape[:2])
    row = row[..., None] if row.ndim == 2 else row
    return np.repeat(row, 3, 2) if row.shape[2] == 1 else row[..., :3]
