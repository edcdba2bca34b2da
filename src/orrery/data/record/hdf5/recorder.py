"""Reads the episodes of recordings in HDF5, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orrery.data.record.hdf5.files import opened
from orrery.data.record.hdf5.layouts import TEXT, bytes_of, common_form, form_of, picture_of, texts_in
from orrery.data.record.hdf5.plan import LAYOUTS, Plan, Where
from orrery.data.record.lerobot.pictures import DepthCode, cell_picture, metres_of, squeezed
from orrery.data.record.lerobot.sentences import events_of
from orrery.data.record.lerobot.streams import Column, ticks_of
from orrery.data.record.source import Request, length_of
from orrery.errors import UserError
from orrery.rounding import cast, losses, num_rows
from orrery.streams import Array, Episode, StreamSpec, WorldSpec

__all__ = ["Hdf5Recorder", "finite"]

_BLOCK_BYTES = 2**26
_SENTENCES = ("language", "instruction", "task", "prompt")
_NO_EDGE = "not a number in the row that has none: 0 stands there"


class Hdf5Recorder:
    """root: the folder that the files of the plan are in. columns: stream name to the feature it is."""

    def __init__(
        self, root: Path, plan: Plan, columns: Mapping[str, Column], spec: WorldSpec, request: Request
    ) -> None:
        self._root, self._plan, self._columns = root, plan, columns
        self._spec, self._request, self._layout = spec, request, LAYOUTS[plan.layout]

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        where = self._plan.episodes[number]
        try:
            with opened(self._root / where.file) as file:
                return self._episode(number, where, file)
        except UserError as problem:
            raise UserError(f"episode {number}: {problem}") from problem

    def _episode(self, number: int, where: Where, file: Any) -> Episode:
        stretch, noted = where.stretch, dict[str, int]()
        group = file[stretch.group] if stretch.group else file
        length = length_of(self._spec, self._request, stretch.end - stretch.begin)
        streams = {
            name: self._stream(where, group, column, length, noted) for name, column in self._columns.items()
        }
        texts = {name: form for name, form in self._plan.forms.items() if form.dtype == TEXT}
        words = {
            name: texts_in(self._rows(where, group, name)[stretch.begin : stretch.begin + length])
            for name in texts
        }
        seconds = (np.arange(length) / self._plan.rate).tolist()
        said = [w[0] for name, w in words.items() if any(word in name.casefold() for word in _SENTENCES)]
        scene = {"dataset": where.file, "group": stretch.group, "rows": [stretch.begin, stretch.end]}
        return Episode(
            self._spec,
            streams,
            stretch.text or next(iter(said), ""),
            events_of({}, words, seconds, {}, {}),
            number,
            scene | ({"noted": noted} if noted else {}),
        )

    def _rows(self, where: Where, group: Any, feature: str) -> Any:
        """The `h5py.Dataset` of a feature. UserError unless it has the form that most episodes have."""
        path, planned, stretch = self._plan.paths[feature], self._plan.forms[feature], where.stretch
        if path not in group:
            raise UserError(f"it has no {path}; leave it out with --streams")
        dataset = group[path]
        form, end = form_of(path, dataset), stretch.end
        if form != planned and common_form([form, planned]) != planned:
            told = (
                form.why
                or f"{form.dtype} {list(form.shape)} where others have {planned.dtype} {list(planned.shape)}"
            )
            raise UserError(f"{path} in {where.file}: {told}")
        if len(dataset) < end or (len(dataset) > end and not self._layout.is_flat):
            raise UserError(
                f"{path} in {where.file} has {len(dataset):,} rows where the episode ends with row {end:,}"
            )
        return dataset

    def _stream(self, where: Where, group: Any, column: Column, length: int, noted: dict[str, int]) -> Array:
        """`[num_ticks, *shape]` of one stream."""
        rows, spec, begin = self._rows(where, group, column.feature), column.spec, where.stretch.begin
        try:
            if spec.kind == "video" or spec.unit == "m":
                found = np.zeros((length, *spec.shape), spec.dtype)
                for k, picture in enumerate(_pictures(rows, begin, begin + length, spec)):
                    found[k] = squeezed(picture, spec.shape[-2 if spec.kind == "video" else -1])
                return found
            values = rows[begin : where.stretch.end].reshape(-1, math.prod(spec.shape))
            return self._ticks(column, values, length, noted)
        except UserError as problem:
            raise UserError(f"{self._plan.paths[column.feature]} in {where.file}: {problem}") from problem

    def _ticks(self, column: Column, values: Array, length: int, noted: dict[str, int]) -> Array:
        spec, path, own = column.spec, self._plan.paths[column.feature], values
        values = cast(own, spec.dtype if spec.kind == "vector" else np.float32)
        noted |= {f"{path}: {what}": n for what, n in num_rows(losses(own[:length], values.dtype)).items()}
        if self._layout.is_after:
            return ticks_of(spec, finite(values, own), length)
        # No action follows the last row, and nothing led to the first.
        edge = {"given": len(values) - 1, "outcome": 0}.get(spec.role)
        if edge is not None and not np.isfinite(values[edge]).any():
            values[edge] = 0
            if edge < length:
                noted[f"{path}: {_NO_EDGE}"] = 1
        values = finite(values, own)
        if spec.role != "outcome":
            return ticks_of(spec, values, length)
        ticks = values[:length].reshape(-1, *spec.shape)
        return (ticks > 0).astype(np.int64) if spec.kind == "choice" else ticks


def finite(values: Array, own: Array) -> Array:
    """The same `[num_rows, width]`. UserError that names the row where one is no number, or none that the
    type of `values` holds. own: the numbers as the file has them."""
    if not np.isfinite(values).all():
        row, place = np.argwhere(~np.isfinite(values))[0]
        why = f"{values.dtype} does not hold" if np.isfinite(own[row, place]) else "is no number"
        raise UserError(f"is {own[row, place]} in row {row}, which {why}")
    return values


def _pictures(rows: Any, begin: int, end: int, spec: StreamSpec) -> Iterator[Array]:
    """Colours `[H, W, 3]` uint8, or depth `[H, W]` float32 metres, of rows `begin` to `end`."""
    is_encoded = rows.ndim < 3
    step = max(1, _BLOCK_BYTES // max(1, math.prod(rows.shape[1:]) * rows.dtype.itemsize))
    for first in range(begin, end, step):
        for k, row in enumerate(rows[first : min(first + step, end)], start=first):
            if is_encoded:
                try:
                    yield cell_picture(bytes_of(row), Path(), None)
                except UserError as problem:
                    raise UserError(f"has no picture in row {k}: {problem}") from problem
            else:
                picture = picture_of(row)
                yield picture if spec.kind == "video" else metres_of(picture, DepthCode())
