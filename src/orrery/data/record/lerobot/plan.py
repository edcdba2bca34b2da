"""What of a LeRobotDataset will be recorded, settled before the first episode is: which episodes, which
streams.

A column or a camera that is missing in most episodes is left out, and an episode without a row; both are
named. An episode that lacks what most have is not recorded: nothing is made up for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orrery.data.record.lerobot.cells import columns_with_holes, empty_rows, footer_of, names_in, read_table
from orrery.data.record.lerobot.metadata import Features, Folder
from orrery.data.record.lerobot.pictures import DepthCode, depth_of, frames_at, is_depth_cell, is_flagged
from orrery.data.record.lerobot.streams import ROW_COLUMNS, texts_of
from orrery.data.record.source import OnStep
from orrery.errors import UserError

__all__ = ["NOTHING_SETTLED", "Plan", "make_plan"]

_NUM_NAMED = 10
_MOST_UNLISTED = 10_000


@dataclass(frozen=True)
class Plan:
    """episodes: their own numbers. depth: the cameras that show depth. skipped: what is left out, and why."""

    episodes: tuple[int, ...] = ()
    depth: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """A plan from the plain values of `make_plan`."""
        return cls(tuple(values["episodes"]), frozenset(values["depth"]), dict(values["skipped"]))


NOTHING_SETTLED = Plan()


def make_plan(folder: Folder, asked: Collection[str], on_step: OnStep) -> Plan:
    """Look through the metadata, the footers of the tables, and the columns that have holes.

    asked: features that were asked for by name, which are kept whatever they lack. UserError where no
    episode is left.
    """
    skipped: dict[str, str] = {}
    empty = [number for number, row in folder.episodes.items() if row.get("length") == 0]
    listed = [number for number in folder.episodes if number not in set(empty)]
    unlisted = _unlisted(folder, skipped)
    if empty:
        skipped[_episode_words(empty)] = "no rows"
    if folder.problems:
        skipped["meta/episodes"] = "; ".join(folder.problems)
    if not listed:
        raise UserError(
            f"{folder.root}: no episode is left: "
            + ("; ".join(f"{k}: {v}" for k, v in skipped.items()) or "none is listed")
        )
    features = {name: said for name, said in folder.features.items() if name not in ROW_COLUMNS}
    depth = _depth(folder, features, listed, skipped)
    for feature, lacking in _lacking(folder, features, listed, on_step).items():
        if feature not in asked and feature not in skipped and 2 * len(lacking) > len(listed):
            skipped[feature] = _lacking_reason(features[feature], lacking, len(listed))
    skipped |= _columns_apart(folder, features) | _sounds(features)
    return Plan(tuple(sorted({*listed, *unlisted})), frozenset(depth), skipped)


def _unlisted(folder: Folder, skipped: dict[str, str]) -> list[int]:
    """Numbers of the episodes that meta/info.json counts and that the list of episodes lacks."""
    total = folder.info.get("total_episodes")
    total = total if isinstance(total, int) else 0
    num_missing = total - len(folder.episodes)
    if num_missing > _MOST_UNLISTED:
        skipped["meta/info.json"] = f"it says {total:,} episodes, and {len(folder.episodes):,} are listed"
        return []
    free = (number for number in range(total) if number not in folder.episodes)
    return [number for number, _ in zip(free, range(num_missing), strict=False)]


def _depth(folder: Folder, features: Features, listed: Sequence[int], skipped: dict[str, str]) -> list[str]:
    """The cameras that show depth: which say so, or whose pictures have more than 8 bits."""
    found = []
    for feature, said in features.items():
        if said.get("dtype") not in ("video", "image"):
            continue
        code = DepthCode.of(said)
        if code is None:
            skipped[feature] = "how its depth is written makes no sense in meta/info.json"
        elif said["dtype"] == "image":
            if is_flagged(said) or _first_is_depth(folder, feature):
                found.append(feature)
        elif is_flagged(said):
            try:
                _try_film(folder, feature, listed, code)
                found.append(feature)
            except UserError as problem:
                skipped[feature] = str(problem)
    return found


def _first_is_depth(folder: Folder, feature: str) -> bool:
    for file in folder.data_files():
        try:
            for batch in pq.ParquetFile(file).iter_batches(16, columns=[feature]):
                cells = [cell for cell in batch.to_pydict().get(feature, ()) if cell]
                if cells:
                    return is_depth_cell(cells[0], folder.root)
        except (OSError, pa.ArrowException):
            continue
    return False


def _try_film(folder: Folder, feature: str, listed: Sequence[int], code: DepthCode) -> None:
    """UserError if the first film that can be read holds no depth."""
    for number in listed:
        span = folder.film_span(feature, folder.episodes[number])
        if span is None:
            continue
        try:
            frame = next(frames_at(folder.film(feature, folder.episodes[number]), np.array(span[:1])))
        except UserError:
            continue
        depth_of(frame, code)
        return


def _lacking(
    folder: Folder, features: Features, listed: Sequence[int], on_step: OnStep
) -> dict[str, Counter[int]]:
    """Feature to the episodes in which it is not there for every row, each with the number of such rows."""
    found = {name: Counter[int]() for name in features}
    films = [name for name, said in features.items() if said.get("dtype") == "video"]
    for name in films:
        for number in listed:
            if folder.film_span(name, folder.episodes[number]) is None:
                found[name][number] = folder.episodes[number].get("length") or 1
    columns = [name for name in features if name not in {*films, *texts_of(features)}]
    files = folder.data_files()
    for done, file in enumerate(files, start=1):
        with suppress(UserError):  # told of each of its episodes
            for name, numbers in _lacking_in(file, columns).items():
                found[name].update(number for number in numbers if number in folder.episodes)
        on_step(done, len(files))
    return found


def _lacking_in(file: Path, columns: Sequence[str]) -> dict[str, list[int]]:
    """Feature to the episode of each row of a file in which it has no value."""
    names = set(names_in(file))
    absent = [name for name in columns if name not in names]
    holed = _holed(file, [name for name in columns if name in names])
    if "episode_index" not in names or not (absent or holed):
        return {}
    table = read_table(file, [*holed, "episode_index"])
    numbers = table["episode_index"].to_numpy()
    found = {name: numbers.tolist() for name in absent}
    return found | {name: numbers[empty_rows(table[name])].tolist() for name in holed}


def _holed(file: Path, columns: Sequence[str]) -> list[str]:
    """The columns in which cells have no value, and those that may hold NaN."""
    schema = footer_of(file).schema
    leaves = [schema.column(index) for index in range(len(schema))]
    floats = {leaf.path for leaf in leaves if leaf.physical_type in ("FLOAT", "DOUBLE")}
    may_be_nan = {n for n in columns if any(path == n or path.startswith(f"{n}.") for path in floats)}
    holed = {*may_be_nan, *columns_with_holes(file, [n for n in columns if n not in may_be_nan])}
    return [name for name in columns if name in holed]


def _columns_apart(folder: Folder, features: Features) -> dict[str, str]:
    """Columns of words that meta/info.json describes and no file of rows has, and columns that files have and
    it does not describe."""
    written = set[str]()
    for file in folder.data_files():
        with suppress(UserError):
            written |= set(names_in(file))
    lacking = sorted(set(texts_of(features)) - written)
    unknown = sorted(written - set(folder.features) - set(ROW_COLUMNS))
    return dict.fromkeys(lacking, "no file of rows has it") | dict.fromkeys(
        unknown, "meta/info.json does not describe it"
    )


def _sounds(features: Features) -> dict[str, str]:
    """The sound tracks of films, which are not read."""
    skipped = {}
    for name, said in features.items():
        parts = [part for part in (said.get("info"), said.get("video_info")) if isinstance(part, dict)]
        if any(part.get("has_audio") for part in parts):
            skipped[f"the sound of {name}"] = "of a recording's films only the pictures are read"
    return skipped


def _lacking_reason(said: Mapping[str, Any], lacking: Counter[int], num_episodes: int) -> str:
    what = (
        "nothing says where its pictures are" if said.get("dtype") == "video" else "it has no value (or NaN)"
    )
    return (
        f"{what} for {lacking.total():,} rows of {_episode_words(sorted(lacking))}, of {num_episodes:,}; "
        "name it in --streams to leave out these episodes instead"
    )


def _episode_words(numbers: Iterable[int]) -> str:
    """`episodes 1, 2 and 5`."""
    *words, last = [str(number) for number in numbers]
    if len(words) >= _NUM_NAMED:
        words, last = words[:_NUM_NAMED], f"{len(words) + 1 - _NUM_NAMED} more"
    return f"episodes {', '.join(words)} and {last}" if words else f"episode {last}"
