"""What a measure is: a question put to a recording, answered by samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from orrery.evaluation.recording import Recording

__all__ = ["Measure", "Sample"]


class Sample(NamedTuple):
    """One answer. seconds: when, since the recording's start. subject: what it is about, in words. value: in
    the unit that the measure's function says."""

    seconds: float
    subject: str
    value: float


@dataclass(frozen=True)
class Measure:
    """A question.

    id: its row in the evaluation. alarm: a sample beyond it is a fault for certain; above what the exact
    world ever shows. tells: what such a sample means, with `{subject}` and `{value}`. take: every sample of a
    recording, none where it holds nothing to ask about.
    """

    id: str
    section: str
    name: str
    alarm: float
    tells: str
    take: Callable[[Recording], list[Sample]]

    def tell(self, sample: Sample) -> str:
        """A sentence about a sample."""
        return self.tells.format(subject=sample.subject, value=sample.value)
