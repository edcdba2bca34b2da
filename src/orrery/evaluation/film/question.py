"""What is asked of a film, and the answers as they come in: where, when, how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from orrery.evaluation.film.channels import lab
from orrery.streams import Array

__all__ = ["Answer", "Answers", "Question", "colour_word", "place_words", "thing_words"]

MAX_FINDINGS = 200
_COLOURS = {
    "black": (20, 20, 20), "grey": (125, 125, 125), "white": (240, 240, 240), "red": (205, 35, 35),
    "orange": (240, 130, 20), "yellow": (235, 215, 50), "green": (45, 150, 60), "blue": (40, 75, 200),
    "purple": (115, 40, 150), "pink": (235, 130, 170), "brown": (110, 75, 50),
}  # fmt: skip
_SHADES = (1.0, 0.7, 0.5)
"""A red thing is called red in the shade too, and not brown; but a dark white is grey."""
_SHADELESS = ("black", "grey", "white", "brown")
_NAMED = [
    (name, lab(np.array([colour]) * shade)[0])
    for name, colour in _COLOURS.items()
    for shade in (_SHADES[:1] if name in _SHADELESS else _SHADES)
]


@dataclass(frozen=True)
class Question:
    """id, section, name: its row of the report. statistic: what its figure is, in words. passes_at, fails_at:
    limits of the figure; a single answer beyond the second is a finding. tells: what a finding means, with
    `{subject}` and `{value}`. counts: whether the figure is how often that happens, a minute and thing."""

    id: str
    section: str
    name: str
    statistic: str
    passes_at: float
    fails_at: float
    tells: str
    counts: bool = False


class Answer(NamedTuple):
    """seconds: when. subject: what it is about, in words. value: as the question's figure. x, y: where, as
    shares of the width and the height; the middle, where it is the whole picture."""

    seconds: float
    subject: str
    value: float
    x: float = 0.5
    y: float = 0.5


@dataclass
class Answers:
    """All that is known of one question: every value, and the worst findings, in bounded memory."""

    question: Question
    values: list[float] = field(default_factory=list)
    findings: list[Answer] = field(default_factory=list)
    num_findings: int = 0

    def add(self, answer: Answer) -> None:
        """One more."""
        self.values.append(answer.value)
        if self.question.counts or answer.value > self.question.fails_at:
            self.num_findings += 1
            self.findings.append(answer)
            if len(self.findings) > MAX_FINDINGS:
                self.findings.remove(min(self.findings, key=lambda finding: finding.value))

    def tell(self, answer: Answer) -> str:
        """A sentence about an answer."""
        return self.question.tells.format(subject=answer.subject, value=answer.value)


def thing_words(colour: Array, x: float, y: float) -> str:
    """What a thing of a CIELAB colour at shares x, y of the picture is called: `the red thing at left`."""
    return f"the {colour_word(colour)} thing {place_words(x, y)}"


def colour_word(colour: Array) -> str:
    """What a CIELAB colour `[3]` is called: `red`."""
    return min(_NAMED, key=lambda named: float(np.linalg.norm(named[1] - colour)))[0]


def place_words(x: float, y: float) -> str:
    """Where in the picture: `at top left`."""
    across = "left" if x < 0.36 else "right" if x > 0.64 else ""
    down = "top" if y < 0.3 else "bottom" if y > 0.75 else ""
    return f"at {' '.join(filter(None, (down, across)))}" if across or down else "in the middle"
