"""Which stream each column and each camera of a LeRobotDataset becomes.

A robot's `observation.state` is the stream `proprioception`, `next.reward` is `reward`, and
`next.terminated`, or `next.done` where there is none, is `terminated`. Everything else keeps its name,
without `observation.`; of two that would have one name, or one file name on some disk, the second gets a
number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from orrery.data import layout
from orrery.data.record.lerobot.metadata import Features
from orrery.errors import BadUse, UserError, nearest
from orrery.streams import Array, Clock, StreamSpec

__all__ = ["ROW_COLUMNS", "Column", "chosen", "clock_of", "columns_of", "shape_of", "texts_of", "ticks_of"]

ROW_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index", "subtask_index")
"""What tells rows apart; no streams."""
MAX_WIDTH = 100_000
ENDINGS = ("next.terminated", "next.done")
"""Columns that say that an episode ends, the better one first."""
_TEXTS = ("string", "large_string", "str", "language")
_OUTCOMES = {"next.reward": "reward", "next.success": "success", "next.truncated": "truncated"}
_WIDE = ("float64", "int32", "int64", "uint32", "uint64")
"""Types of which float32 would lose digits; all others are float32."""
_OWN_WORDS = ("video", "audio", "text", "depth", "touch", *layout.KNOWN_COLUMNS)
"""Words that say what a stream is; a column that only happens to be called so keeps its `observation.`."""
_SAMPLES_PER_SECOND = 24_000


@dataclass(frozen=True)
class Column:
    """feature: its name in the data set. is_film: its pictures are in a film, else in the rows."""

    feature: str
    spec: StreamSpec
    is_film: bool = False


def clock_of(rows_per_second: float) -> Clock:
    """A clock on which each tick is a row, exact for every whole rate and for such as 12.5 and 0.5.

    Such a tick shows its picture for several frames: two a tick at one frame a second are 0.5 rows a second.
    """
    most = 4 if rows_per_second >= 1 else ceil(4 / rows_per_second)
    rates = [Fraction(max(1, round(rows_per_second * per_tick)), per_tick) for per_tick in range(1, most + 1)]
    errors = [abs(float(rate) / rows_per_second - 1) for rate in rates]
    near = [rate for rate, error in zip(rates, errors, strict=True) if error < 2e-3]
    rate = near[0] if near else rates[int(np.argmin(errors))]
    frames = rate.numerator
    return Clock(frames, rate.denominator, frames * max(1, round(_SAMPLES_PER_SECOND / frames)))


def texts_of(features: Features) -> list[str]:
    """Columns of words, such as subtasks."""
    return [name for name, feature in features.items() if feature.get("dtype") in _TEXTS]


def shape_of(feature: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Of one row; None where meta/info.json does not say it, or says something else."""
    shape = feature.get("shape")
    if not isinstance(shape, list) or not all(isinstance(side, int) and side > 0 for side in shape):
        return None
    return tuple(shape)


def columns_of(
    features: Features, depth: Collection[str], size: int, frames_per_tick: int
) -> tuple[dict[str, Column], dict[str, str]]:
    """Stream name to column, and the features that can be none, each with the reason.

    depth: the features that are depth. size: pixels on each side of a picture.
    """
    found, refused, taken = dict[str, Column](), dict[str, str](), set[str]()
    for feature, said in features.items():
        if feature in ROW_COLUMNS or said.get("dtype") in _TEXTS:
            continue
        spec = _spec(feature, said, features, feature in depth, size, frames_per_tick)
        if isinstance(spec, str):
            refused[feature] = spec
            continue
        name = _free(spec.name, taken)
        taken |= {_folded(name), _folded(layout.column_of(name))}
        found[name] = Column(feature, _renamed(spec, name), said["dtype"] == "video")
    return found, refused


def _spec(
    feature: str, said: Mapping[str, Any], features: Features, is_depth: bool, size: int, frames_per_tick: int
) -> StreamSpec | str:
    """The stream of one feature, or why it is none."""
    dtype, shape = str(said.get("dtype")), shape_of(said)
    if feature in ENDINGS:
        if feature != next(ending for ending in ENDINGS if ending in features):
            return f"{ENDINGS[0]} says which episodes terminated"
        return StreamSpec("terminated", "choice", "outcome", (1, 1), "int64", num_choices=2)
    if is_depth:
        return StreamSpec(
            f"depth.{_camera(feature)}", "vector", "observed", (1, size, size), "float32", "m", 0.0
        )
    if dtype in ("video", "image"):
        square = (frames_per_tick, size, size, 3)
        return StreamSpec(f"video.{_camera(feature)}", "video", "observed", square, "uint8", "sRGB", 0, 255)
    if shape is None or not (dtype == "bool" or _dtype(dtype).kind in "iuf"):
        return f"{dtype} {said.get('shape')} is no stream of numbers"
    width = int(np.prod(shape))
    if width > MAX_WIDTH:
        return f"{width:,} numbers a row, and at most {MAX_WIDTH:,} are read"
    name = _number_name(feature)
    word = name.partition(".")[0]
    role = "given" if word == "action" else "outcome" if feature in _OUTCOMES else "observed"
    keeps_own = dtype in _WIDE and role != "outcome"
    if dtype == "bool" and width == 1:
        return StreamSpec(name, "choice", role, (1, 1), "int64", num_choices=2)
    return StreamSpec(name, "vector", role, (1, width), dtype if keeps_own else "float32")


def _dtype(name: str) -> Any:
    try:
        return np.dtype(name)
    except TypeError:
        return np.dtype(object)


def _number_name(feature: str) -> str:
    if feature == "observation.state":
        return "proprioception"
    if feature in _OUTCOMES:
        return _OUTCOMES[feature]
    word = feature.partition(".")[0]
    if word == "action":
        return _plain(feature)
    short = feature.removeprefix("observation.")
    if short.partition(".")[0] in _OWN_WORDS:
        return "observation." + _plain(short)
    return _plain(short)


def _camera(feature: str) -> str:
    short = feature.removeprefix("observation.images.").removeprefix("observation.")
    return _plain(short).replace(".", "_")


def _plain(name: str) -> str:
    """A name that is a file name too: letters of any alphabet, digits, dots, dashes and spaces."""
    return "".join(c if c.isalnum() or c in "._- " else "_" for c in name).strip(" .") or "unnamed"


def _free(name: str, taken: Collection[str]) -> str:
    """`name`, or the same with a number: one whose column is not there yet either."""
    names = [name, *(f"{name}_{k}" for k in range(2, len(taken) + 3))]
    return next(n for n in names if not {_folded(n), _folded(layout.column_of(n))} & set(taken))


def _folded(name: str) -> str:
    """Equal for names that some disks take for the same."""
    return unicodedata.normalize("NFKC", name).casefold()


def _renamed(spec: StreamSpec, name: str) -> StreamSpec:
    return StreamSpec(**{**vars(spec), "name": name})


def chosen(
    path: str, there: Mapping[str, Column], asked: Sequence[str] | None, skipped: Mapping[str, str]
) -> dict[str, Column]:
    """The columns of the streams that were asked for, of those that are there; None asks for all.

    BadUse for a stream that is not there; UserError, with why each was left out, where none is.
    """
    for name in asked or ():
        if name not in there:
            hint = ", ".join(nearest(name, there) or there)
            raise BadUse(f"{path} has no stream {name!r}; perhaps {hint}")
    if not there:
        told = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise UserError(f"{path}: no stream is left ({told})")
    return {name: column for name, column in there.items() if asked is None or name in asked}


def ticks_of(spec: StreamSpec, rows: Array, length: int) -> Array:
    """Of one row a tick `[num_rows, width]`, the first `length` ticks `[length, *shape]` of a stream.

    What a row says comes after it (an outcome) is of the tick after it; what came after the last is added to
    the last.
    """
    rows = rows.reshape(-1, *spec.shape)
    if spec.role == "outcome":
        ticks = np.concatenate([np.zeros_like(rows[:1]), rows[: length - 1]])
        if length == len(rows):
            ticks[-1] += rows[-1]
        return (ticks > 0).astype(np.int64) if spec.kind == "choice" else ticks
    ticks = layout.from_rows(spec, rows[:length].reshape(length, -1), num_frames=1)
    return (ticks != 0).astype(np.int64) if spec.kind == "choice" else ticks
