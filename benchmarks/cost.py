"""Cost: generated seconds per core-second, real-time factor and peak memory, for short and long films.

Every run is a process of its own, so that peaks do not mix; the first tick, which loads and compiles, is not
timed. Each figure is the median of the runs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro

from harness import EXACT, Subject, floors, progress, save, show

SEED = 950_000
PROMPT = "a red ball drops and a blue box stands on the table"


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. seconds: lengths of film. num_runs: of which the median is
    taken.

    one: run here, once, for the first of `seconds`, and print the figures as JSON; what each process does.
    """

    model: str = EXACT
    seconds: tuple[float, ...] = (5.0, 60.0)
    num_runs: int = 3
    one: bool = False


def run_once(subject: Subject, seconds: float) -> dict[str, float]:
    """One film, its frames thrown away."""
    began = time.perf_counter()
    world = subject.open()
    world.reset(SEED, prompt=PROMPT)
    world.step()
    start_up = time.perf_counter() - began
    num_ticks = world.spec.clock.num_ticks(seconds)
    wall, core = time.perf_counter(), time.process_time()
    for _ in range(num_ticks):
        world.step()
    wall, core = time.perf_counter() - wall, time.process_time() - core
    made = num_ticks * world.spec.clock.tick_seconds
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds_per_core_second": made / core,
        "core_seconds_per_second": core / made,
        "real_time_factor": made / wall,
        "peak_mib": peak_kib / 1024,
        "start_up_seconds": start_up,
    }


def measured(subject: Subject, settings: Settings) -> dict[str, Any]:
    """Medians by length of film, and the long film against the short one."""
    lengths: dict[str, Any] = {}
    for seconds in settings.seconds:
        runs = [
            _apart(subject, seconds)
            for _ in progress(range(settings.num_runs), f"{subject.model}: {seconds:g} s")
        ]
        lengths[f"{seconds:g} s"] = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    first, last = lengths[f"{settings.seconds[0]:g} s"], lengths[f"{settings.seconds[-1]:g} s"]
    growth = {key: last[key] / first[key] - 1 for key in ("core_seconds_per_second", "peak_mib")}
    return {"lengths": lengths, "growth": growth, "runs": settings.num_runs}


def _apart(subject: Subject, seconds: float) -> dict[str, float]:
    """`run_once` in a fresh process."""
    command = [sys.executable, __file__, "--model", subject.model, "--seconds", str(seconds), "--one"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    if settings.one:
        print(json.dumps(run_once(subject, settings.seconds[0])))
        return
    figures = floors(subject, lambda world: measured(world, settings))
    rows = []
    for name, part in ((subject.model, figures.get("figures")), (EXACT, figures["exact"])):
        for length, values in ((part or {}).get("lengths") or {}).items():
            keys = ("seconds_per_core_second", "real_time_factor", "peak_mib", "start_up_seconds")
            rows.append([f"{name}, {length}", *(values[key] for key in keys)])
    show(
        "Cost at 128 x 128 with sound",
        ["film", "s per core-second", "real time", "peak MiB", "start-up s"],
        rows,
    )
    save("cost", subject, figures, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
