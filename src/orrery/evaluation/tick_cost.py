"""What a tick of a learned world costs, and whether that stays so (W9)."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orrery.evaluation.free_rollout import random_actions
from orrery.inference.imagined import ImaginedWorld

__all__ = ["measure_tick_cost"]

WARM_UP_TICKS = 5
PAGE_BYTES = resource.getpagesize()


def measure_tick_cost(world: ImaginedWorld, seconds: Sequence[float] = (10.0, 60.0)) -> dict[str, Any]:
    """Ticks a second of one core and the 95th percentile of a tick over the rollout, and by each of `seconds`
    of the world's own time: the memory of the process, and the median tick of the last second.

    Random actions; the first ticks, which load and compile, are not timed.
    """
    tick_seconds = world.spec.clock.tick_seconds
    act, rng = random_actions(world.engine.spec.of_role("given")), np.random.default_rng(0)
    tick = world.reset(seed=0)
    for _ in range(WARM_UP_TICKS):
        tick = world.step(act(tick, rng) or None)
    walls: list[float] = []
    by_seconds: list[dict[str, float]] = []
    core = time.process_time()
    for length in sorted(seconds):
        while len(walls) < max(1, round(length / tick_seconds)):
            began = time.perf_counter()
            tick = world.step(act(tick, rng) or None)
            walls.append(time.perf_counter() - began)
        last = walls[-max(1, round(1 / tick_seconds)) :]
        by_seconds.append(
            {
                "seconds": float(length),
                "memory_mib": _memory_mib(),
                "tick_ms": 1000 * float(np.median(last)),
            }
        )
    core = time.process_time() - core
    return {
        "num_worlds": world.num_worlds,
        "ticks_per_core_second": len(walls) * world.num_worlds / core,
        "real_time_factor": len(walls) * tick_seconds / sum(walls),
        "p95_tick_ms": 1000 * float(np.percentile(walls, 95)),
        "by_seconds": by_seconds,
    }


def _memory_mib() -> float:
    """Resident memory of this process now; where the system does not say, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * PAGE_BYTES / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
