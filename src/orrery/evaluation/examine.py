"""Every question to one recording, and the faults found in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orrery.evaluation.feeling import ACROSS
from orrery.evaluation.hearing import DELAY, PHANTOM, SILENT
from orrery.evaluation.identity import CHANGES, COLOUR, SIZE, STALL
from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.physics import ENERGY, FREE_FALL, OVERLAP
from orrery.evaluation.recording import Recording
from orrery.evaluation.shift import SHIFT
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["MEASURES", "Examination", "Finding", "examine"]

MEASURES = (CHANGES, STALL, COLOUR, SIZE, ENERGY, OVERLAP, FREE_FALL, DELAY, SHIFT, SILENT, PHANTOM, ACROSS)
MOVED_M = 0.01


@dataclass(frozen=True)
class Finding:
    """Something that cannot be. seconds: when. measure: which question it fails. text: what, in words."""

    seconds: float
    measure: Measure
    text: str


@dataclass(frozen=True)
class Examination:
    """samples: of each of MEASURES, in order. moves: whether anything does; where nothing moves, nothing is
    said about physics, however flawless it looks."""

    samples: list[list[Sample]]
    moves: bool

    @property
    def findings(self) -> list[Finding]:
        """Every sample beyond its measure's alarm, in order of time."""
        found = [
            Finding(sample.seconds, measure, measure.tell(sample))
            for measure, samples in zip(MEASURES, self.samples, strict=True)
            for sample in samples
            if sample.value > measure.alarm
        ]
        return sorted(found, key=lambda finding: finding.seconds)


def examine(recording: Recording) -> Examination:
    """Put every question to a recording."""
    position = STATE.get(recording.state[:, recording.slots], "position")
    moves = bool(len(recording.slots)) and float(np.ptp(position, axis=0).max()) > MOVED_M
    return Examination([measure.take(recording) for measure in MEASURES], moves)
