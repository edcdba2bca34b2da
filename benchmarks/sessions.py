"""Live sessions of one learned model at once, at the world's own rate: in shared passes, or one by one.

    python benchmarks/sessions.py [WORLD] [--seconds 20] [--most 16] [--threads 2]

Each session is a thread that asks for a tick whenever one is due. So many sessions are held if the slowest of
them makes 98 of 100 ticks of the world's rate, in the median of the runs. More are tried until one is not.
"""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass

import torch
import tyro
from tyro.conf import Positional

from harness import Subject, save, show
from orrery.engines.torch_engine import TorchEngine
from orrery.inference.imagined import ImaginedWorld
from orrery.models.trained import load_trained
from orrery.registry import resolve_model
from orrery.serving.batch import MAX_ROWS, Batch

HELD_SHARE = 0.98


@dataclass
class Settings:
    """world: a shipped model's name, or the folder of a checkpoint, of the kind that is batched (the shipped
    tabletop is not). seconds: of one run. runs: of each number of sessions. most: sessions that are tried.
    threads: of the network. keep: write the result."""

    world: Positional[str] = "pong"
    seconds: float = 20.0
    runs: int = 3
    most: int = 16
    threads: int = 2
    keep: bool = True


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    engine = TorchEngine(load_trained(resolve_model(settings.world)))
    rate = engine.spec.clock.ticks_per_second
    together = shares_of(settings, engine, MAX_ROWS)
    one_by_one = shares_of(settings, engine, 1)
    numbers = sorted({*together, *one_by_one})
    show(
        f"{settings.world}: share of {rate:g} ticks a second that the slowest session makes",
        ["sessions", "in shared passes", "one by one"],
        [[str(number), together.get(number), one_by_one.get(number)] for number in numbers],
    )
    figures = {
        "ticks_a_second_of_the_world": rate,
        "sessions_held_in_shared_passes": held(together),
        "sessions_held_one_by_one": held(one_by_one),
        "shares_in_shared_passes": {str(number): share for number, share in together.items()},
        "shares_one_by_one": {str(number): share for number, share in one_by_one.items()},
        "seconds": settings.seconds,
        "runs": settings.runs,
        "threads": settings.threads,
    }
    if settings.keep:
        save(f"sessions-{settings.world}", Subject(settings.world), figures, seed=0)


def held(shares: dict[int, float]) -> int:
    return max((number for number, share in shares.items() if share >= HELD_SHARE), default=0)


def shares_of(settings: Settings, engine: TorchEngine, rows: int) -> dict[int, float]:
    """Number of sessions to the share of the world's rate that the slowest makes. rows: worlds in a pass."""
    shares: dict[int, float] = {}
    for number in range(1, settings.most + 1):
        runs = [slowest(Batch(engine, rows), number, settings.seconds) for _ in range(settings.runs)]
        shares[number] = statistics.median(runs)
        if shares[number] < HELD_SHARE:
            break
    return shares


def slowest(batch: Batch, number: int, seconds: float) -> float:
    """The share of its ticks that the slowest of so many sessions makes."""
    worlds = [batch.make_world() for _ in range(number)]
    for seed, world in enumerate(worlds):
        world.reset(seed)
        world.step()
    made = [0] * number
    begun = time.monotonic()

    def play(index: int, world: ImaginedWorld) -> None:
        tick = world.spec.clock.tick_seconds
        due = begun + index / number * tick  # people do not begin in step
        while due < begun + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            world.step()
            due = max(due + tick, time.monotonic())
            made[index] += time.monotonic() < begun + seconds

    threads = [threading.Thread(target=play, args=each) for each in enumerate(worlds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(made) / (seconds * worlds[0].spec.clock.ticks_per_second)


if __name__ == "__main__":
    main(tyro.cli(Settings))
