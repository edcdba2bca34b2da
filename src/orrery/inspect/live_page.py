"""The page of a run while it trains: what is being done, how far it is, and the losses so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from orrery.inspect.curves import Chart, loss_chart, read_log
from orrery.inspect.run_page import write_page
from orrery.training.loop import Budget
from orrery.training.run import RunFolder

__all__ = ["LivePage"]

PAGE_SECONDS = 30.0


class StageRow(NamedTuple):
    """A stage in words."""

    name: str
    steps: str
    minutes: str
    left: str


@dataclass
class LivePage:
    """Keeps `folder/page.html` up to date: it is called as often as one likes, with what is being done and
    the share of it that is done, and writes at most every half minute.

    budgets: of the stages in their order; none while they are not known. clock: seconds.
    """

    folder: Path
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _written: float | None = None

    def __call__(self, doing: str, share: float) -> None:
        now = self.clock()
        if self._written is not None and now - self._written < PAGE_SECONDS:
            return
        self._written = now
        self.folder.mkdir(parents=True, exist_ok=True)
        logs = {name: read_log(RunFolder(self.folder).log(name)) for name in self.budgets}
        left = {name: _minutes_left(logs[name], budget) for name, budget in self.budgets.items()}
        known = [minutes for minutes in left.values() if minutes is not None]
        progress = {
            "doing": doing,
            "percent": round(100 * share),
            "left": _words(sum(known)) if self.budgets and len(known) == len(left) else "",
            "rows": [_row(name, logs[name], left[name]) for name in self.budgets],
            "at": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"),
            "seconds": round(PAGE_SECONDS),
        }
        charts: dict[str, Chart] = {name: loss_chart(log) for name, log in logs.items() if log}
        write_page(self.folder, charts, progress=progress)


def _minutes_left(log: list[dict[str, float]], budget: Budget) -> float | None:
    """Of a stage: by the steps that it took, or by its budget where it has not begun. None while unknown."""
    if not log:
        return budget.minutes
    last = log[-1]
    if not last["num_steps"]:
        return None if budget.minutes is None else max(0.0, budget.minutes - last["minutes"])
    return last["minutes"] / last["step"] * (last["num_steps"] - last["step"])


def _row(name: str, log: list[dict[str, float]], left: float | None) -> StageRow:
    words = "" if left is None else _words(left)
    if not log:
        return StageRow(name, "to come", "", words)
    last = log[-1]
    steps = f"{last['step']:,}" + (f" of {last['num_steps']:,}" if last["num_steps"] else "")
    return StageRow(name, steps, f"{last['minutes']:.1f}", words)


def _words(minutes: float) -> str:
    if minutes < 90:
        return f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"
    return f"{minutes / 60:.1f} h"
