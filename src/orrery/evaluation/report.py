"""The physics report: every measure over many recordings, beside the exact world's own, and a verdict.

A figure counts by its excess over its floor, the same figure of the exact world. The verdict is the worst
section's, never an average; where too little can be measured, a figure abstains, so that a film that stands
still does not score well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orrery.evaluation.examine import MEASURES, Examination, examine
from orrery.evaluation.feeling import ACROSS
from orrery.evaluation.figure import LEAST_COVERAGE, VERDICTS, Figure, interval
from orrery.evaluation.hearing import DELAY, PHANTOM, SILENT
from orrery.evaluation.identity import CHANGES, COLOUR, SIZE, STALL
from orrery.evaluation.measure import Measure
from orrery.evaluation.physics import ENERGY, FREE_FALL, OVERLAP
from orrery.evaluation.recording import Recording
from orrery.evaluation.shift import SHIFT

__all__ = ["GRADES", "Examined", "Grade", "Report", "grade", "statistic", "values"]


@dataclass(frozen=True)
class Examined:
    """A recording's examination, and what rates are counted by: its length and its number of objects."""

    examination: Examination
    seconds: float
    num_objects: int

    @classmethod
    def of(cls, recording: Recording) -> Examined:
        return cls(examine(recording), recording.seconds, len(recording.slots))


@dataclass(frozen=True)
class Report:
    """figures: in the order of the sections. num_recordings: of each world. motion: share of the recordings
    in which anything moves, of those in which something does in the exact world."""

    figures: list[Figure]
    num_recordings: int
    motion: float

    @property
    def sections(self) -> dict[str, str]:
        """Each section's verdict: its worst figure's, of those that can be asked of the exact world."""
        names = dict.fromkeys(figure.section for figure in self.figures)
        return {name: _worst([f for f in self.figures if f.section == name]) for name in names}

    @property
    def verdict(self) -> str:
        """The worst figure's, or `abstain` where too little moves."""
        return "abstain" if self.motion < LEAST_COVERAGE else _worst(self.figures)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [asdict(f) | {"excess": f.excess, "verdict": f.verdict} for f in self.figures]
        return {
            "verdict": self.verdict, "sections": self.sections, "motion": self.motion,
            "num_recordings": self.num_recordings, "figures": rows,
        }  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """How the samples of a measure become a figure. statistic: `[samples]` values, and the recordings that
    they are of, to one number."""

    measure: Measure
    name: str
    statistic: Callable[[np.ndarray, Sequence[Examined]], float]
    passes_at: float
    fails_at: float
    counts_events: bool = False


def _p95(values: np.ndarray, of: Sequence[Examined]) -> float:
    return float(np.percentile(values, 95))


def _median(values: np.ndarray, of: Sequence[Examined]) -> float:
    return float(np.median(values))


def _mean(values: np.ndarray, of: Sequence[Examined]) -> float:
    return float(values.mean())


def _per_second(values: np.ndarray, of: Sequence[Examined]) -> float:
    return float(values.mean() / np.mean([e.seconds for e in of]))


def _beyond(limit: float) -> Callable[[np.ndarray, Sequence[Examined]], float]:
    return lambda values, of: float((values > limit).mean())


def _per_object_minute(limit: float) -> Callable[[np.ndarray, Sequence[Examined]], float]:
    def rate(values: np.ndarray, of: Sequence[Examined]) -> float:
        minutes = sum(e.seconds * e.num_objects for e in of) / 60.0
        return float((values > limit).sum() / max(minutes, 1e-9))

    return rate


GRADES = (
    Grade(
        CHANGES, "times a minute and object", _per_object_minute(CHANGES.alarm), 0.1, 1.0, counts_events=True
    ),
    Grade(STALL, "times a minute and object", _per_object_minute(STALL.alarm), 0.1, 1.0, counts_events=True),
    Grade(COLOUR, "CIEDE2000, 95th percentile", _p95, 3.0, 10.0),
    Grade(SIZE, "of the median, 95th percentile", _p95, 0.03, 0.10),
    Grade(ENERGY, "of its range, a second, mean", _per_second, 0.02, 0.10),
    Grade(OVERLAP, "of the smaller radius, 95th percentile", _p95, 0.02, 0.10),
    Grade(FREE_FALL, "share of gravity, mean", _mean, 0.05, 0.20),
    Grade(DELAY, "ms, median", _median, 15.0, 40.0),
    Grade(SHIFT, "share by which it fits better, mean", _mean, 0.05, 0.20),
    Grade(SILENT, "share of hits, mean", _mean, 0.02, 0.10),
    Grade(PHANTOM, "share of sounds", _beyond(PHANTOM.alarm), 0.05, 0.20),
    Grade(ACROSS, "share of touches", _beyond(ACROSS.alarm), 0.01, 0.05),
)
"""The limits are those of the evaluation. Silent and phantom sounds have no failing limit there: it is taken
as about four times the passing one. A delay is told up to 50 ms, so that the evaluation's 90 ms cannot be
seen: it fails beyond 40. The limits of sound that is moved as a whole are ours."""


def grade(measured: Sequence[Examined], exact: Sequence[Examined], further: Sequence[Figure] = ()) -> Report:
    """The report of a world on recordings of the same scenes as the exact world's. further: figures that were
    taken in other ways."""
    moving = sum(e.examination.moves for e in exact)
    motion = sum(e.examination.moves for e in measured) / max(moving, 1)
    figures = [*(_figure(g, measured, exact) for g in GRADES), *further]
    return Report(figures, len(measured), min(1.0, motion))


def _figure(grade: Grade, measured: Sequence[Examined], exact: Sequence[Examined]) -> Figure:
    number = MEASURES.index(grade.measure)
    mine, truth = ([values(e, number) for e in of] for of in (measured, exact))
    value, floor = statistic(grade, mine, measured), statistic(grade, truth, exact)
    low, high = interval(
        lambda chosen: statistic(grade, [mine[k] for k in chosen], [measured[k] for k in chosen]),
        len(measured),
    )
    asked, could = (sum(bool(len(v)) for v in values) for values in (mine, truth))
    coverage = 1.0 if grade.counts_events else min(1.0, asked / could) if could else 0.0
    m = grade.measure
    return Figure(
        m.id, m.section, m.name, grade.name, value, low, high, floor, grade.passes_at,
        grade.fails_at, coverage,
    )  # fmt: skip


def values(examined: Examined, number: int) -> np.ndarray:
    return np.array([sample.value for sample in examined.examination.samples[number]])


def statistic(grade: Grade, values: Sequence[np.ndarray], of: Sequence[Examined]) -> float | None:
    """None where there is nothing to take it of."""
    every = np.concatenate([np.zeros(0), *values])
    return grade.statistic(every, of) if len(every) or grade.counts_events else None


def _worst(figures: Sequence[Figure]) -> str:
    """The worst verdict of the figures that have a floor."""
    verdicts = [figure.verdict for figure in figures if figure.floor is not None]
    return max(verdicts, key=VERDICTS.index, default="abstain")
