"""The report catches what is wrong: every injected fault, by strength, and false alarms on exact films.

A film is caught if a measure finds something in it that cannot be, and found nothing in the exact film, which
must be let alone. A fault that cannot befall a film (a swap needs two objects) is left out of its count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro

from harness import EXACT, Subject, progress, save, show, ticks_of
from orrery.errors import BadUse
from orrery.evaluation.examine import examine
from orrery.evaluation.faults import FAULTS, inject
from orrery.evaluation.films import STREAMS
from orrery.evaluation.recording import Recording
from orrery.evaluation.statistics import share
from orrery.worlds.tabletop.world import TabletopWorld

FIRST_SEED = 950_000


@dataclass
class Settings:
    """num_films: exact films, and films of each fault and strength. seconds: of each film. strengths: of the
    faults. workers: processes."""

    num_films: int = 300
    seconds: float = 3.5
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0)
    workers: int = 2


@dataclass(frozen=True)
class Trial:
    """What one exact film showed. false_alarm: whether anything was found in it. moves: whether anything
    does. caught: by fault and strength, the measures that found it; what cannot befall the film is absent."""

    false_alarm: bool
    moves: bool
    caught: dict[tuple[str, float], list[str]]


def trial(seed: int, seconds: float, strengths: tuple[float, ...]) -> Trial:
    """Make one exact film, examine it, and every fault of it."""
    torch.set_num_threads(1)
    world = TabletopWorld(streams=STREAMS)
    film = Recording.of(ticks_of(world, seed, world.spec.clock.num_ticks(seconds)), world.spec.clock)
    exact = examine(film)
    alarmed = {finding.measure.name for finding in exact.findings}
    caught = {}
    for name in FAULTS:
        for strength in strengths:
            try:
                wrong = inject(name, film, strength, np.random.default_rng(seed))
            except BadUse:
                break
            caught[name, strength] = sorted({f.measure.name for f in examine(wrong).findings} - alarmed)
    return Trial(bool(alarmed), exact.moves, caught)


def trials(settings: Settings) -> Iterator[Trial]:
    """Of successive seeds."""
    with ProcessPoolExecutor(settings.workers) as pool:
        seeds = range(FIRST_SEED, FIRST_SEED + settings.num_films)
        arguments = (seeds, [settings.seconds] * len(seeds), [settings.strengths] * len(seeds))
        yield from pool.map(trial, *arguments, chunksize=4)


def measured(settings: Settings) -> dict[str, Any]:
    """Shares of films that are caught, by fault and strength, and what catches them at full strength."""
    done = list(progress(list(trials(settings)), "faults"))
    caught: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    by: dict[str, Counter[str]] = defaultdict(Counter)
    for one in done:
        for (name, strength), measures in one.caught.items():
            caught[name][f"{strength:g}"].append(bool(measures))
            if strength == max(settings.strengths):
                by[name].update(measures)
    return {
        "false_alarms": share(sum(t.false_alarm for t in done), len(done)),
        "moving": share(sum(t.moves for t in done), len(done)),
        "caught": {
            name: {strength: share(sum(hits), len(hits)) for strength, hits in rows.items()}
            for name, rows in caught.items()
        },
        "by": {name: dict(counter.most_common(3)) for name, counter in by.items()},
    }


def main(settings: Settings) -> None:
    figures = measured(settings)
    strengths = [f"{strength:g}" for strength in settings.strengths]
    rows = [
        [name, *(figures["caught"][name].get(s) for s in strengths), ", ".join(figures["by"][name])]
        for name in figures["caught"]
    ]
    show("faults caught, by strength", ["fault", *strengths, "mostly by"], rows)
    show("exact films", ["", "share"], [["false alarms", figures["false_alarms"]]])
    save("faults", Subject(EXACT), {"figures": figures, "settings": vars(settings)}, FIRST_SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
