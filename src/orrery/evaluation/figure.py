"""A figure of a report: a value with its interval, the floor it is held against, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orrery.streams import Array

__all__ = ["LEAST_COVERAGE", "VERDICTS", "Figure", "Stretch", "better", "event_figure", "interval"]

VERDICTS = ("pass", "between", "abstain", "fail")
"""From best to worst: what cannot be told is no pass."""
LEAST_COVERAGE = 0.8
NUM_DRAWS = 300
LEAST_RECORDINGS = 5
ROUNDING = 1e-9
"""A slope of none comes out as this at most."""


@dataclass(frozen=True)
class Stretch:
    """A figure over one stretch of the horizon: from and to how many seconds after the context."""

    start_seconds: float
    end_seconds: float
    value: float
    floor: float


@dataclass(frozen=True)
class Figure:
    """One row. value: of the world that is measured, with its 95 % bootstrap interval; floor: of the exact
    one. passes_at, fails_at: limits of the excess, `value - floor`. coverage: how much of what could be asked
    of the exact world could be asked here, 0 to 1. curve: the same over the horizon, where it is followed.
    by_interval: whether it passes where its interval reaches down to `floor + passes_at`, for more is not
    known."""

    id: str
    section: str
    name: str
    statistic: str
    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    passes_at: float
    fails_at: float
    coverage: float
    curve: tuple[Stretch, ...] = ()
    by_interval: bool = False

    @property
    def excess(self) -> float | None:
        """What is left after the floor."""
        return None if self.value is None else max(0.0, self.value - (self.floor or 0.0))

    @property
    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.excess is None or self.coverage < LEAST_COVERAGE:
            return "abstain"
        least = self.excess
        if self.by_interval:
            if self.low is None:
                return "abstain"
            least = self.low - (self.floor or 0.0) - ROUNDING
        if least <= self.passes_at:
            return "pass"
        return "fail" if self.excess > self.fails_at else "between"


def interval(statistic: Callable[[Array], float | None], num: int) -> tuple[float | None, float | None]:
    """95 % bootstrap interval of a statistic of `num` recordings, told which of them to take `[num]`; None
    where fewer than LEAST_RECORDINGS say anything, of which no interval can be told."""
    if sum(statistic(np.array([one])) is not None for one in range(num)) < LEAST_RECORDINGS:
        return None, None
    rng = np.random.default_rng(0)
    draws = [statistic(chosen) for chosen in rng.integers(num, size=(NUM_DRAWS, num))]
    low, high = np.percentile([draw for draw in draws if draw is not None], [2.5, 97.5]).tolist()
    return low, high


def event_figure(
    id: str,
    section: str,
    name: str,
    statistic: str,
    mine: Sequence[Array],
    floors: Sequence[Array] | None,
    passes_at: float,
    fails_at: float,
) -> Figure:
    """The mean of samples, those of each recording together. floors: the exact world's; None where it has
    none at all, so that the floor is 0."""

    def mean(samples: Sequence[Array], chosen: Array) -> float | None:
        values = np.concatenate([np.zeros(0), *(samples[k] for k in chosen)])
        return float(values.mean()) if len(values) else None

    every = np.arange(len(mine))
    value, floor = mean(mine, every), 0.0 if floors is None else mean(floors, every)
    low, high = interval(lambda chosen: mean(mine, chosen), len(mine))
    could = sum(bool(len(samples)) for samples in floors or ()) or len(mine)
    asked = sum(bool(len(samples)) for samples in mine)
    coverage = float(value is not None) if floors is None else min(1.0, asked / could)
    return Figure(
        id, section, name, statistic, value, low, high, floor, passes_at, fails_at, coverage
    )  # fmt: skip


def better(one: Figure, other: Figure) -> int | None:
    """Which of two worlds' same figure is the better one, 0 or 1: the lower, where their intervals do not
    meet; None where they cannot be told apart."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    if one.high < other.low:
        return 0
    return 1 if other.high < one.low else None
