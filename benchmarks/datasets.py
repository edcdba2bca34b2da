"""Data sets: bytes an hour, and clips read at random in a second, from a warm and from a cold cache.

Cold: the kernel is asked to forget every file of the data set before each clip (posix_fadvise), so that it
comes from the disk, not from memory; the reader's own open files and metadata stay.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from harness import EXACT, Subject, save, show
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect


@dataclass
class Settings:
    """data: a data set that is there; a small one of the exact world is made if left out. clip_ticks: length
    of a clip. num_clips: how many are read, for each figure."""

    data: Path | None = None
    num_episodes: int = 24
    seconds: float = 3.5
    clip_ticks: int = 12
    num_clips: int = 100
    seed: int = 0


def sizes(dataset: Dataset) -> dict[str, float]:
    """MB for an hour of episodes, by kind of file."""
    clock = dataset.spec.clock
    hours = sum(dataset.num_ticks(i) for i in dataset.readable) * clock.tick_seconds / 3600
    kinds = {"all": "*", "films": "*.mp4", "numbers and sound": "data/*/*.parquet"}
    bytes_of = {
        kind: sum(f.stat().st_size for f in dataset.path.rglob(p) if f.is_file()) for kind, p in kinds.items()
    }
    return {kind: count / 1e6 / hours for kind, count in bytes_of.items()}


def forget(root: Path) -> None:
    """Ask the kernel to drop the data set's files from its cache."""
    for file in root.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)  # what is not on the disk yet cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def reads(dataset: Dataset, streams: list[str], settings: Settings, is_cold: bool) -> dict[str, float]:
    """Clips a second by wall clock and by processor time, each of a random episode and start."""
    rng = np.random.default_rng(settings.seed)
    wall = core = 0.0
    for warm_up in [True] * 5 + [False] * settings.num_clips:
        number = int(rng.choice(dataset.readable))
        start = int(rng.integers(0, dataset.num_ticks(number) - settings.clip_ticks + 1))
        if is_cold:
            forget(dataset.path)
        began, used = time.perf_counter(), time.process_time()
        dataset.load(number, streams, start, settings.clip_ticks)
        if not warm_up:
            wall, core = wall + time.perf_counter() - began, core + time.process_time() - used
    return {"clips_per_second": settings.num_clips / wall, "clips_per_core_second": settings.num_clips / core}


def measured(dataset: Dataset, settings: Settings) -> dict[str, Any]:
    everything = list(dataset.spec.streams)
    chosen = {"all streams": everything, "without pictures": [n for n in everything if n[:5] != "video"]}
    figures = {
        f"{name}, {'cold' if is_cold else 'warm'}": reads(dataset, streams, settings, is_cold)
        for name, streams in chosen.items()
        for is_cold in (False, True)
    }
    return {
        "megabytes_per_hour": sizes(dataset),
        "reads": figures,
        "clip_seconds": settings.clip_ticks * dataset.spec.clock.tick_seconds,
        "collected_with": dataset.settings,
        "episodes": len(dataset),
    }


def main(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = settings.data or Path(folder) / "tabletop"
        if settings.data is None:
            collect("tabletop", path, settings.num_episodes, settings.seed, seconds=settings.seconds)
        figures = measured(Dataset(path), settings)
    show("MB an hour", ["what", "MB"], [[k, v] for k, v in figures["megabytes_per_hour"].items()])
    rows = [[name, *values.values()] for name, values in figures["reads"].items()]
    show(f"Clips of {figures['clip_seconds']:g} s", ["what", "a second", "a core-second"], rows)
    save("datasets", Subject(EXACT), figures, settings.seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
