"""Loss curves of a stage, drawn as SVG: a run that goes on has its page written often, which must cost
nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Chart", "Curve", "loss_chart", "read_log"]

WIDTH, HEIGHT = 900, 240
LEFT, BOTTOM = 60, 24
"""Pixels beside the curves, for their axes."""
MOST_POINTS = 400
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf")
NO_LOSSES = ("step", "num_steps", "minutes", "skipped")


class Curve(NamedTuple):
    """One loss. points: as of an SVG polyline."""

    name: str
    colour: str
    points: str


class Chart(NamedTuple):
    """Losses over minutes, on a logarithmic axis. ticks: height and words of what stands beside it. steps,
    skipped: how many there were, and how many were not taken."""

    curves: list[Curve]
    ticks: list[tuple[float, str]]
    minutes: float
    steps: int
    skipped: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = BOTTOM


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a stage's log; none where there is no log yet."""
    if not file.exists():
        return []
    rows: list[dict[str, Any]] = []
    for line in file.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # the last line of a run that was killed
            continue
    return rows


def loss_chart(log: Sequence[Mapping[str, Any]]) -> Chart:
    """The curves of all losses in a log; a chart without curves where there are none."""
    thinned = log[:: max(1, math.ceil(len(log) / MOST_POINTS))]
    names = dict.fromkeys(name for row in thinned for name in row if name not in NO_LOSSES)
    series = {name: [(r["minutes"], r[name]) for r in thinned if r.get(name, 0) > 0] for name in names}
    series = {name: points for name, points in series.items() if points}
    last = log[-1] if log else {"minutes": 0.0, "step": 0}
    counts = last["step"], last.get("skipped", 0)
    if not series:
        return Chart([], [], 0.0, *counts)
    values = [value for points in series.values() for _, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    minutes = max(last["minutes"], 1e-3)

    def at(minute: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT) * min(1.0, minute / minutes)
        return f"{x:.1f},{_height(math.log10(value), low, high):.1f}"

    curves = [
        Curve(name, COLOURS[number % len(COLOURS)], " ".join(at(*point) for point in points))
        for number, (name, points) in enumerate(series.items())
    ]
    step = max(1, math.ceil((high - low) / 5))
    ticks = [(_height(power, low, high), f"{10.0**power:g}") for power in range(low, high + 1, step)]
    return Chart(curves, ticks, minutes, *counts)


def _height(power: float, low: int, high: int) -> float:
    """Pixels from the top of a power of ten."""
    return (HEIGHT - BOTTOM) * (high - power) / (high - low)
