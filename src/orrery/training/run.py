"""A run's folder: where everything of it lies, and what it was started with."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orrery.atomic import write_atomically
from orrery.errors import UserError
from orrery.training.loop import LOG

__all__ = ["RunFolder", "begin_run", "refuse_foreign"]

BEFORE_A_RUN = ("data", "minutes.json", "page.html")
"""What may lie in a run's folder before it begins."""


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


def refuse_foreign(run: RunFolder) -> None:
    """UserError for a folder that holds something that is not a run."""
    if run.settings.exists() or not run.path.exists():
        return
    if any(f.name not in BEFORE_A_RUN and f.suffix != ".partial" for f in run.path.iterdir()):
        raise UserError(f"{run.path} holds something that is not a run; choose another folder")


def begin_run(run: RunFolder, settings: dict[str, Any], restart: bool) -> None:
    """Begin a run, or go on with one that was started with the same settings; UserError for one that was not,
    unless `restart` says that it is to be lost."""
    if run.settings.exists() and not restart:
        before = json.loads(run.settings.read_text())
        differing = [key for key in settings if before.get(key) != json.loads(json.dumps(settings[key]))]
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
    write_atomically(run.settings, json.dumps(settings, indent=2).encode())
