"""What all benchmarks share: the world that is measured, its films, and results with their provenance.

A result is `results/<what>_<hardware>_<yyyymm>.json`: the figures of the measured world, the same figures of
the exact world (the floor) under `exact`, and where both come from.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from orrery.atomic import write_atomically
from orrery.provenance import git, hardware
from orrery.registry import resolve_model
from orrery.streams import Array, Observation
from orrery.world import World

RESULTS = Path(os.environ.get("ORRERY_RESULTS", Path(__file__).parent / "results"))
EXACT = "exact"
console = Console(width=110)


@dataclass(frozen=True)
class Subject:
    """The world to be measured: `exact`, or a shipped model's name, or the folder of a checkpoint."""

    model: str

    @property
    def is_exact(self) -> bool:
        return self.model == EXACT

    def open(self, streams: Sequence[str] | None = None) -> World:
        """A fresh world of one scene. streams: those wanted; without pictures it costs less."""
        if self.is_exact:
            from orrery.worlds.tabletop.world import TabletopWorld

            return TabletopWorld(streams=streams)
        from orrery.inference.imagined_world import load_world

        return load_world(resolve_model(self.model), streams=streams)

    def provenance(self) -> dict[str, Any]:
        if self.is_exact:
            return {"world": EXACT}
        from orrery.checkpoint import checkpoint_hash

        folder = resolve_model(self.model)
        return {"world": folder.name, "checkpoint_sha256": checkpoint_hash(folder)}


def ticks_of(
    world: World, seed: int, num_ticks: int, actions: Array | None = None, **reset: Any
) -> Iterator[Observation]:
    """The first `num_ticks` observations of a world. actions: `[num_ticks, *shape]`, the action in force in
    each."""
    yield world.reset(seed, **reset)
    for tick in range(1, num_ticks):
        yield world.step(None if actions is None else actions[tick][None])


def frames_of(observations: Sequence[Observation], stream: str) -> Array:
    """One stream of scene 0 of successive ticks, its frames (or samples) in one row: `[n, ...]`."""
    return np.concatenate([tick[stream][0] for tick in observations])


def progress(items: Sequence[Any], label: str) -> Iterator[Any]:
    """The items, with a progress bar where someone looks on."""
    return iter(track(items, label, console=console, transient=True, disable=not console.is_terminal))


def save(what: str, subject: Subject, figures: Mapping[str, Any], seed: int, results: Path = RESULTS) -> Path:
    """Write a result with its provenance; returns its file. figures: of the subject, and of `exact` beside
    it."""
    now = datetime.now(UTC)
    record = {
        "what": what,
        **figures,
        "provenance": {
            **subject.provenance(),
            "git_commit": git("rev-parse", "HEAD"),
            "git_clean": git("status", "--porcelain", "--untracked-files=no") == "",
            "hardware": hardware(),
            "load_average": round(os.getloadavg()[0], 1),
            "date": now.isoformat(timespec="seconds"),
            "seed": seed,
            "command": command(sys.argv),
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        },
    }
    name = what if not subject.is_exact else f"{what}-exact"
    path = results / f"{name}_{hardware()}_{now:%Y%m}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
    console.print(f"[dim]written: {os.path.relpath(path)}[/]")
    return path


def command(arguments: Sequence[str]) -> str:
    """The command line, in which paths of this machine are but their last names."""
    script, *rest = arguments
    plain = [part.rstrip("/").rpartition("/")[2] if part.startswith("/") else part for part in rest]
    return " ".join(["python", os.path.relpath(script), *plain])


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; the first column names, the others hold figures."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else number(cell) for cell in row))
    console.print(table)


def number(value: Any) -> str:
    """A figure as people read it; a share (see `statistics.share`) as per cent with its interval."""
    if value is None:
        return "-"
    if isinstance(value, Mapping) and "share" in value:
        return f"{percent(value)} ({100 * value['low']:.1f}-{100 * value['high']:.1f})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def percent(value: Mapping[str, Any]) -> str:
    """A share as per cent."""
    return "-" if value["share"] is None else f"{100 * value['share']:.1f} %"


def floors(subject: Subject, measure: Any) -> dict[str, Any]:
    """`measure(subject)` and the same of the exact world: {"figures": ..., "exact": ...}."""
    figures = {"exact": measure(Subject(EXACT))}
    if not subject.is_exact:
        figures["figures"] = measure(subject)
    return figures
