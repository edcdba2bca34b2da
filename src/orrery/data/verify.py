"""Is a dataset what was written? Checksums, footers and lengths, without decoding a single picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orrery.data import layout
from orrery.data.checksums import dataset_files, mismatch, read_sums
from orrery.errors import UserError
from orrery.media.reader import film_header

__all__ = ["Fault", "verify"]

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Fault:
    """file: relative to the dataset's folder. what: what is wrong with it, such as `is missing`."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file} {self.what}"


def verify(root: str | Path, on_step: OnStep | None = None) -> list[Fault]:
    """Every file that is missing, is not the one that was written, or does not hold what it should.

    on_step: called with (files checked, files in all). A dataset without SHA256SUMS (of an older version of
    this program) is checked for footers and lengths alone.
    """
    root = Path(root)
    sums, there = read_sums(root), list(dataset_files(root))
    names = sorted({*sums, *there})
    faults: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        what = mismatch(root, name, sums[name]) if name in sums else None
        if (what := what or _unreadable(root / name)) is not None:
            faults[name] = what
        if on_step is not None:
            on_step(number, len(names))
    rows = [row for name in there if name not in faults for row in _episode_rows(root, name)]
    rows.sort(key=lambda row: row["episode_index"])
    if not any(name.startswith("meta/episodes/") for name in faults):
        for name, what in _totals(root, rows):
            faults.setdefault(name, what)
    for name, what in _lengths(root, rows):
        faults.setdefault(name, what)
    return [Fault(name, what) for name, what in sorted(faults.items())]


def _unreadable(file: Path) -> str | None:
    """Why a file's footer cannot be read; None if it can."""
    try:
        if file.suffix == ".parquet":
            pq.read_metadata(file)
        elif file.suffix == ".mp4":
            film_header(file)
        elif file.suffix == ".json":
            json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, UserError, pa.ArrowException) as error:
        return f"cannot be read ({' '.join(str(error).split())})"
    return None


def _episode_rows(root: Path, name: str) -> list[dict[str, Any]]:
    if not name.startswith("meta/episodes/"):
        return []
    table = pq.ParquetFile(root / name).read()
    return table.select([n for n in table.column_names if not n.startswith("stats/")]).to_pylist()


def _totals(root: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What does not add up, if every file of meta/episodes is there: (name, what)."""
    for before, row in pairwise(rows):
        if row["dataset_from_index"] != before["dataset_to_index"]:
            at = f"episode {row['episode_index']} begins at row {row['dataset_from_index']}"
            yield layout.episodes_file(row), f"does not follow on: {at}"
    info = root / layout.INFO_PATH
    if info.is_file() and _unreadable(info) is None:
        said = json.loads(info.read_text("utf-8")).get("total_episodes")
        if said != len(rows):
            yield layout.INFO_PATH, f"says {said} episodes where meta/episodes lists {len(rows)}"


def _lengths(root: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Shards that do not hold as much as the episodes' rows say: (name, what)."""
    expected: dict[str, int] = {}
    for row in rows:
        for name in layout.shards_of(row):
            expected[name] = expected.get(name, 0) + row["length"]
    for name, num_rows in expected.items():
        file = root / name
        if not file.is_file():
            yield name, "is missing"
        elif _unreadable(file) is None:
            is_film = file.suffix == ".mp4"
            there = film_header(file).num_frames if is_film else pq.read_metadata(file).num_rows
            if there != num_rows:
                unit = "frames" if is_film else "rows"
                yield name, f"holds {there:,} {unit} where meta/episodes says {num_rows:,}"
