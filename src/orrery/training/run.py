"""A run's folder: where everything of it lies, what it was started with, and of which data."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orrery.atomic import write_atomically
from orrery.data.checksums import content_hash
from orrery.data.dataset import Dataset
from orrery.errors import UserError
from orrery.models.tokenizers import Tokenizer
from orrery.training.loop import LOG

__all__ = [
    "MORE_DATA",
    "RunFolder",
    "begin_run",
    "data_hash",
    "described",
    "is_data_of",
    "keep_latents_of",
    "refuse_foreign",
]

BEFORE_A_RUN = ("data", "minutes.json", "page.html")
"""What may lie in a run's folder before it begins."""
MORE_DATA = "more data"
OF_FILES = "files:"
"""Begins a hash of what is in a data set's files; one without it is of an older version, and covers its
description and lengths."""


@dataclass(frozen=True)
class RunFolder:
    """Where everything of a run lies."""

    path: Path

    @property
    def settings(self) -> Path:
        """What the run was started with."""
        return self.path / "run.json"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    def stage(self, name: str) -> Path:
        """Train state and log of a stage."""
        return self.path / "stages" / name.replace(" ", "_")

    def log(self, name: str) -> Path:
        """What a stage wrote down every few seconds."""
        return self.stage(name) / LOG

    def latents(self, part: str) -> Path:
        """Encoded episodes."""
        return self.path / "latents" / part

    def data(self) -> dict[str, Any]:
        """Of which data it is: `hash` (see `data_hash`), and how many `episodes` of how many `ticks` in
        all."""
        told = json.loads(self.settings.read_text())["data"]
        return {"hash": told} if isinstance(told, str) else told

    def more_data(self) -> dict[str, Any] | None:
        """The same of the data set that it learns from beside; None where there is none."""
        return json.loads(self.settings.read_text()).get(MORE_DATA)


def data_hash(data: Dataset) -> str:
    """A hash of all that is in the data set's files."""
    return f"{OF_FILES}{content_hash(data.path)}"


def is_data_of(data: Dataset, told: str | None) -> bool:
    """Whether a hash, also one of an older version, is that of a data set."""
    if told is None or told.startswith(OF_FILES):
        return told == data_hash(data)
    rows = [[index, data.num_ticks(index), data.text(index)] for index in data.readable]
    return told == hashlib.sha256(json.dumps([data.info, rows], sort_keys=True).encode()).hexdigest()


def refuse_foreign(run: RunFolder) -> None:
    """UserError for a folder that holds something that is not a run."""
    if run.settings.exists() or not run.path.exists():
        return
    if any(f.name not in BEFORE_A_RUN and f.suffix != ".partial" for f in run.path.iterdir()):
        raise UserError(f"{run.path} holds something that is not a run; choose another folder")


def begin_run(run: RunFolder, data: Dataset, settings: dict[str, Any], restart: bool) -> None:
    """Begin a run, or go on with one that was started with the same data and settings; UserError for one that
    was not, unless `restart` says that it is to be lost."""
    if run.settings.exists() and not restart:
        before = json.loads(run.settings.read_text())
        differing = [key for key in settings if before.get(key) != json.loads(json.dumps(settings[key]))]
        if not is_data_of(data, run.data()["hash"]):
            differing.insert(0, f"data ({_how_changed(run.data(), data)})")
        if differing:
            raise UserError(
                f"{run.path} holds a run with other {' and '.join(differing)}; go on with the same, "
                "choose another folder, or lose it with --restart"
            )
        return
    refuse_foreign(run)
    for part in ("stages", "latents", "checkpoint"):
        shutil.rmtree(run.path / part, ignore_errors=True)
    run.path.mkdir(parents=True, exist_ok=True)
    write_atomically(run.settings, json.dumps({"data": described(data), **settings}, indent=2).encode())


def described(data: Dataset) -> dict[str, Any]:
    """What a run keeps of a data set: the hash of its files, and how many episodes and ticks it has."""
    return {"hash": data_hash(data), **_counts(data)}


def _counts(data: Dataset) -> dict[str, int]:
    return {"episodes": len(data.readable), "ticks": sum(map(data.num_ticks, data.readable))}


def _how_changed(before: dict[str, Any], data: Dataset) -> str:
    """What has become of a run's data, in words."""
    there = _counts(data)
    if "episodes" not in before:
        return "those it was begun with had other episodes"
    words = [f"{before[key]:,} {key} when it was begun, {num:,} now" for key, num in there.items()]
    changed = [word for word, (key, num) in zip(words, there.items(), strict=True) if before[key] != num]
    return changed[0] if changed else "as many episodes, but their files have changed since it was begun"


def keep_latents_of(run: RunFolder, tokenizers: Mapping[str, Tokenizer]) -> None:
    """Remove encoded episodes that other data or other tokenizers made."""
    folder = run.path / "latents"
    made_from = {
        "data": run.data()["hash"],
        MORE_DATA: run.more_data(),
        **{name: _hash(t) for name, t in tokenizers.items()},
    }
    file = folder / "made_from.json"
    if not file.exists() or json.loads(file.read_text()) != made_from:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_atomically(file, json.dumps(made_from, indent=2).encode())


def _hash(tokenizer: Tokenizer) -> str:
    """Of all that a tokenizer's latents follow from."""
    digest = hashlib.sha256(json.dumps([vars(tokenizer.spec), tokenizer.config()]).encode())
    for name, value in tokenizer.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
