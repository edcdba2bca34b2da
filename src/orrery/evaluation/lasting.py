"""Whether a world stays as good as it begins: films of a minute, in which the finger never rests (L1, L2).

Each film is cut into windows, and every figure of the report is taken window by window, of the world and of
the exact one. L2 is the slope of what is left after the exact world's. L1 is how often that doubles in a
minute, by the line through it, of the figure that does so fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from orrery.evaluation.examine import MEASURES
from orrery.evaluation.figure import Figure, Stretch, interval
from orrery.evaluation.films import STREAMS
from orrery.evaluation.prompts import HeldOutPrompt, held_out_prompts
from orrery.evaluation.recording import Recording
from orrery.evaluation.report import GRADES, Examined, Grade, statistic, values
from orrery.evaluation.stirring import Stirrer
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.tabletop.world import TabletopWorld

__all__ = ["WINDOW_SECONDS", "lasting_figures", "lasting_of"]

WINDOW_SECONDS = 8.0
Windows = list[Examined]
"""One film, window by window."""


def lasting_figures(
    world: World, num_films: int, seconds: float, advance: Callable[[], None] = lambda: None
) -> list[Figure]:
    """L1 and L2 of a world of one scene, on `num_films` held-out sentences of `seconds` each. advance: called
    after each film."""
    exact = TabletopWorld(streams=STREAMS)
    mine, truth = [], []
    for prompt in held_out_prompts()[:num_films]:
        mine.append(_windows(_stirred(world, prompt, seconds)))
        truth.append(_windows(_stirred(exact, prompt, seconds)))
        advance()
    return lasting_of(mine, truth)


def lasting_of(mine: Sequence[Windows], truth: Sequence[Windows]) -> list[Figure]:
    """L1 and L2 of films of a world and of the exact one, each window by window."""
    slopes = [figure for g in GRADES if (figure := _slope_figure(g, mine, truth)) is not None]
    return [_doubling(slopes), *slopes]


def _stirred(world: World, prompt: HeldOutPrompt, seconds: float) -> Recording:
    """A film in which the finger pushes one thing after the other."""
    clock = world.spec.clock
    stirrer = Stirrer(clock, prompt.seed)
    ticks = [world.reset(prompt.seed, prompt=prompt.text)]
    for _ in range(clock.num_ticks(seconds) - 1):
        ticks.append(world.step(stirrer.action(ticks[-1]["state"][0, -1])[None]))
    return Recording.of(ticks, clock)


def _windows(recording: Recording) -> Windows:
    num = int(recording.seconds / WINDOW_SECONDS + 1e-6)
    return [Examined.of(recording.part(k * WINDOW_SECONDS, (k + 1) * WINDOW_SECONDS)) for k in range(num)]


def _by_window(grade: Grade, films: Sequence[Windows], chosen: Array) -> Array:
    """A figure in each window, of some films together, `[windows]`; NaN where there is nothing to take it
    of."""
    number = MEASURES.index(grade.measure)
    told = []
    for window in zip(*(films[k] for k in chosen), strict=True):
        value = statistic(grade, [values(part, number) for part in window], window)
        told.append(np.nan if value is None else value)
    return np.array(told)


def _line(excess: Array) -> tuple[float, float] | None:
    """Slope a minute, and value at the start, of a line through what is left in each window; None where fewer
    than three windows tell anything."""
    told = np.isfinite(excess)
    if told.sum() < 3:
        return None
    minutes = (np.arange(len(excess)) + 0.5) * WINDOW_SECONDS / 60.0
    slope, start = np.polyfit(minutes[told], excess[told], 1)
    return float(slope), float(start)


def _slope_figure(grade: Grade, mine: Sequence[Windows], truth: Sequence[Windows]) -> Figure | None:
    """L2 of one figure; None where the exact world's films do not show it either."""
    every = np.arange(len(mine))
    floors = _by_window(grade, truth, every)
    if np.isfinite(floors).sum() < 3:
        return None

    def slope(chosen: Array) -> float | None:
        line = _line(_by_window(grade, mine, chosen) - _by_window(grade, truth, chosen))
        return None if line is None else line[0]

    told = _by_window(grade, mine, every)
    low, high = interval(slope, len(mine))
    m = grade.measure
    figure = Figure(
        "L2", "length", f"slope of {m.name}", f"{grade.name}, a minute, over the exact world's",
        slope(every), low, high, 0.0, 0.0, grade.passes_at,
        float(np.isfinite(told[np.isfinite(floors)]).mean()), by_interval=True,
    )  # fmt: skip
    curve = [
        Stretch(k * WINDOW_SECONDS, (k + 1) * WINDOW_SECONDS, float(value), float(floor))
        for k, (value, floor) in enumerate(zip(told, floors, strict=True))
        if np.isfinite(value) and np.isfinite(floor)
    ]
    return replace(figure, curve=tuple(curve))


def _doubling(slopes: Sequence[Figure]) -> Figure:
    """L1: of the slopes that are shown to rise, the greatest as a share of what was left at the start, or of
    what passes, where that was less."""
    rates = [_doublings(figure) for figure in slopes if figure.verdict != "abstain"]
    return Figure(
        "L1", "length", "excess doubles", "times a minute (60 / seconds until it has), the fastest",
        max(rates, default=None), None, None, 0.0, 1.0, 6.0, float(bool(rates)),
    )  # fmt: skip


def _doublings(figure: Figure) -> float:
    """Times a minute that what is left doubles; 0 where it is not shown to rise."""
    line = _line(np.array([stretch.value - stretch.floor for stretch in figure.curve]))
    if figure.verdict == "pass" or line is None:
        return 0.0
    slope, start = line
    return slope / max(start, figure.fails_at)
