"""HDF5 files: opened, walked and read so that whatever is wrong with one is told in words."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from orrery.data.record.lerobot.metadata import MAX_ROWS_PER_SECOND, MIN_ROWS_PER_SECOND
from orrery.errors import BadUse, UserError

__all__ = [
    "attribute",
    "fault",
    "leaves",
    "library",
    "name_and_rate",
    "natural",
    "number_of",
    "opened",
    "rate_of",
]

_BAD_FILES = (
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    MemoryError,
)
"""What h5py raises for a damaged file."""
_DEEPEST = 12


def library() -> Any:
    """The package h5py. UserError, with what installs it, where it is not there."""
    try:
        h5py: Any = importlib.import_module("h5py")  # brought by an extra
    except ModuleNotFoundError as problem:
        raise UserError('what reads HDF5 is not installed: pip install "orrery[hdf5]"') from problem
    with suppress(ImportError):
        importlib.import_module("hdf5plugin")  # more compressions, where it is installed
    return h5py


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file `path`, an `h5py.File`. UserError that names it for whatever is not readable in it."""
    h5py = library()
    if not path.is_file():
        raise UserError(f"{path} is missing")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except _BAD_FILES as problem:
        told = " ".join(str(problem).split()) or type(problem).__name__
        hint = (
            "pip install hdf5plugin" if "/plugin" in told or "not registered" in told else "download it again"
        )
        raise UserError(f"{path} cannot be read ({told}); {hint}") from problem


def leaves(group: Any, refused: dict[str, str]) -> dict[str, Any]:
    """Every `h5py.Dataset` in `group`, by its path there. refused: gets the links that are not followed."""
    h5py = library()

    def walk(group: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
        """Paths and arrays of a group and of those below it, `depth` levels down."""
        for key in group:
            name, link = f"{path}{key}", group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                refused[name] = "it lies in another file"
                continue
            item = group.get(key)
            if isinstance(item, h5py.Dataset):
                yield name, item
            elif isinstance(item, h5py.Group) and isinstance(link, h5py.HardLink) and depth < _DEEPEST:
                yield from walk(item, f"{name}/", depth + 1)
            else:
                refused[name] = "it is neither a group nor an array of this file"

    return dict(walk(group, "", 0))


def fault(dataset: Any) -> str | None:
    """Why not all values of a data set are in its file; None if they are."""
    if dataset.is_virtual or dataset.external:
        return "its values lie in other files"
    if dataset.size and dataset.id.get_storage_size() == 0:
        return "nothing was ever written into it"
    if dataset.size and dataset.chunks is not None:
        sides = zip(dataset.shape, dataset.chunks, strict=True)
        missing = math.prod(math.ceil(side / chunk) for side, chunk in sides) - dataset.id.get_num_chunks()
        if missing > 0:
            return f"{missing:,} of its chunks were never written"
    return None


def attribute(group: Any, name: str) -> Any:
    """An attribute as text or a number, or what JSON text stands for; None where there is none."""
    if name not in group.attrs:
        return None
    value = group.attrs[name]
    value = (
        value.decode("utf-8", "replace")
        if isinstance(value, bytes)
        else getattr(value, "tolist", lambda: value)()
    )
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def number_of(values: Any, *keys: str) -> float | None:
    """The number at a path of nested mappings; None where there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    is_number = isinstance(values, int | float) and not isinstance(values, bool)
    return float(values) if is_number and math.isfinite(values) else None


def natural(name: str) -> tuple[Any, ...]:
    """A key that sorts `demo_2` before `demo_10`."""
    digits = "".join(c if c.isdigit() and c.isascii() else " " for c in name).split()
    return tuple(int(part) for part in digits), name


def name_and_rate(name: str) -> tuple[Path, float | None]:
    """Of `PATH` or `PATH?fps=RATE`. BadUse for another option, or a rate that is none."""
    path, mark, query = name.rpartition("?")
    if not mark or Path(name).expanduser().exists():
        return Path(name).expanduser(), None
    options = dict(parse_qsl(query, keep_blank_values=True))
    if set(options) != {"fps"}:
        raise BadUse(f"{name}: the only option is fps, as in {path}?fps=50")
    try:
        return Path(path).expanduser(), rate_of(float(options["fps"]))
    except ValueError as problem:
        raise BadUse(f"fps={options['fps']} is no number") from problem


def rate_of(rate: float) -> float:
    """The same. BadUse where it is no rate of rows, whoever says it."""
    if not MIN_ROWS_PER_SECOND <= rate <= MAX_ROWS_PER_SECOND:
        raise BadUse(f"fps={rate:g}: must be from {MIN_ROWS_PER_SECOND:.3g} to {MAX_ROWS_PER_SECOND:,}")
    return rate
