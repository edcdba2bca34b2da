"""How fast the transformer trains: clips a second with one thread, with two threads, and with two processes.

Each way trains the tabletop recipe's transformer on the same few episodes, without pictures, in a process of
its own; figures are medians, as ratios to one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from harness import EXACT, Subject, progress, save, show
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.models.transformer import WorldTransformer
from orrery.recipes import recipe
from orrery.training import parallel
from orrery.training.build import fit_codecs, transformer_config, word_tokenizer
from orrery.training.latents import encode_dataset
from orrery.training.trainer import train_world

SEED = 980_000
WAYS = {"one thread": (1, 1), "two threads": (1, 2), "two processes of one thread": (2, 1)}
"""Processes, and threads of each."""


@dataclass
class Settings:
    """num_runs: of which the median is taken. num_steps: of each.

    one, folder: train this way on the episodes in this folder, and print the clips a second as JSON; what
    each process does.
    """

    num_runs: int = 3
    num_steps: int = 15
    one: str | None = None
    folder: Path | None = None


def make_episodes(folder: Path) -> None:
    streams = ["state", "audio.main", "touch.finger", "camera.main", "action"]
    collect("tabletop", folder / "data", 24, seed=SEED, seconds=3.5, streams=streams, num_workers=1)
    encode_dataset(Dataset(folder / "data"), None, None, folder / "encoded")


def train_here(folder: Path, num_steps: int, threads: int) -> float:
    """Clips a second over all processes, the first steps left out."""
    torch.set_num_threads(threads)
    made = recipe("tabletop")
    episodes = encode_dataset(Dataset(folder / "data"), None, None, folder / "encoded")
    codecs = fit_codecs(episodes.spec, episodes.arrays["state"], episodes.arrays["camera.main"])
    torch.manual_seed(0)
    model = WorldTransformer(transformer_config(made.size, episodes.spec, codecs, (2, 32), (64, 64)))
    began, seconds = time.perf_counter(), []
    for steps in (2, num_steps):
        motion = replace(made.motion, minutes=None, num_steps=steps, shares={"motion": 1.0})
        with tempfile.TemporaryDirectory() as out:
            train_world(model, codecs, word_tokenizer(), episodes, [], motion, out)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return parallel.num_processes() * num_steps * made.motion.batch["motion"] / seconds[1]


def in_its_own_process(way: str, folder: Path, num_steps: int) -> float:
    command = [sys.executable, __file__, "--one", way, "--folder", str(folder), "--num-steps", str(num_steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(WAYS[way][1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compared(settings: Settings) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_episodes(folder)
        speeds = {
            way: [in_its_own_process(way, folder, settings.num_steps) for _ in range(settings.num_runs)]
            for way in progress(list(WAYS), "ways to train")
        }
    medians = {way: float(np.median(values)) for way, values in speeds.items()}
    return {
        "clips_per_second": speeds,
        "ratio_to_one_thread": {way: speed / medians["one thread"] for way, speed in medians.items()},
    }


def main(settings: Settings) -> None:
    if settings.one is not None:
        assert settings.folder is not None
        processes, threads = WAYS[settings.one]
        speed = parallel.together(processes, train_here, settings.folder, settings.num_steps, threads)
        print(json.dumps(speed))
        return
    figures = compared(settings)
    rows = [[way, ratio] for way, ratio in figures["ratio_to_one_thread"].items()]
    show("Training the transformer: clips a second, ratio", ["", "to one thread"], rows)
    save("training", Subject(EXACT), {"figures": figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
