"""Recording an environment with worker processes, against Gymnasium's vector API, in one run.

Frames a second by wall clock, in turns, medians over `rounds`: `orrery collect gym:ENV_ID` with one process
and with `num_workers`, films and tables on the disk included, and what starting the processes costs left out
(the longer of two collections less the shorter); and Gymnasium's `AsyncVectorEnv` of as many copies, stepped
and drawn, with nothing kept. Two workers on two cores at work elsewhere gain little: the load is recorded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import tyro

from harness import EXACT, Subject, save, show
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect


@dataclass
class Settings:
    """environment: a Gymnasium id. num_workers: processes, and copies. num_episodes: of the shorter of two
    collections; the longer has three times as many. seconds: longest episode."""

    environment: str = "Acrobot-v1"
    num_workers: int = 2
    num_episodes: int = 8
    seconds: float = 8.0
    rounds: int = 3
    seed: int = 0


def collected(settings: Settings, num_workers: int) -> float:
    """Frames a second of `orrery collect`."""
    frames, spent = [], []
    for num_episodes in (settings.num_episodes, 3 * settings.num_episodes):
        with tempfile.TemporaryDirectory() as folder:
            out, began = Path(folder) / "data", time.perf_counter()
            collect(
                f"gym:{settings.environment}", out, num_episodes, settings.seed, num_workers,
                settings.seconds, progress=False,
            )  # fmt: skip
            spent.append(time.perf_counter() - began)
            dataset = Dataset(out)
            frames.append(sum(dataset.num_ticks(number) for number in dataset.readable))
    return (frames[1] - frames[0]) / (spent[1] - spent[0])


def vector_api(settings: Settings) -> float:
    """Frames a second of Gymnasium's own vectorised environment, drawn at each step and not kept."""
    envs = gymnasium.make_vec(
        settings.environment, settings.num_workers, vectorization_mode="async", render_mode="rgb_array"
    )
    envs.reset(seed=settings.seed)
    num_steps = round(settings.num_episodes * settings.seconds * 15)
    envs.action_space.seed(settings.seed)
    began = time.perf_counter()
    for _ in range(num_steps):
        envs.step(envs.action_space.sample())
        envs.render()
    spent = time.perf_counter() - began
    envs.close()
    return num_steps * settings.num_workers / spent


def main(settings: Settings) -> None:
    many = f"collect, {settings.num_workers} workers"
    ways: dict[str, Callable[[], float]] = {
        "collect, 1 process": lambda: collected(settings, 1),
        many: lambda: collected(settings, settings.num_workers),
        "AsyncVectorEnv": lambda: vector_api(settings),
    }
    runs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings.rounds):
        for name, way in ways.items():
            runs[name].append(way())
    speed = {name: median(values) for name, values in runs.items()}
    figures: dict[str, Any] = {
        "environment": settings.environment,
        "num_workers": settings.num_workers,
        "frames_per_second": speed,
        "workers_over_one": speed[many] / speed["collect, 1 process"],
        "workers_over_vector_api": speed[many] / speed["AsyncVectorEnv"],
    }
    show("Frames a second", ["", "measured"], [[name, value] for name, value in speed.items()])
    save("vectorised", Subject(EXACT), figures, seed=settings.seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
