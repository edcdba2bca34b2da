"""The report of a film: figures, sections that may abstain, and a verdict by the worst of them.

It finds contradictions, and cannot prove that there are none: a pass says that nothing was found in what was
followed, and the page says how much that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orrery.evaluation.figure import LEAST_COVERAGE, VERDICTS, Figure
from orrery.evaluation.film.picture import STOPS
from orrery.evaluation.film.pops import POPS
from orrery.evaluation.film.question import Answers, Question
from orrery.evaluation.film.revisits import RETURNED, REVISIT
from orrery.evaluation.film.watch import QUESTIONS, Watched

__all__ = ["FilmReport", "Finding", "film_report"]

LEAST_MOVING_SECONDS, LEAST_TRAVEL = 0.25, 0.03
SECTIONS = tuple(dict.fromkeys(question.section for question in QUESTIONS))


@dataclass(frozen=True)
class Finding:
    """Something that cannot be. seconds: when. question: what it fails. text: what, in words. x, y: where, as
    shares of the picture's width and height."""

    seconds: float
    question: Question
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class FilmReport:
    """figures: of the questions that had an answer. findings: in order of time. reasons: why a section
    abstains, by its name."""

    watched: Watched
    figures: list[Figure]
    findings: list[Finding]
    reasons: dict[str, str]

    @property
    def sections(self) -> dict[str, str]:
        """Each section's verdict: its worst figure's."""
        return {name: self._section(name) for name in SECTIONS}

    def _section(self, name: str) -> str:
        verdicts = [figure.verdict for figure in self.figures if figure.section == name]
        told = [verdict for verdict in verdicts if verdict != "abstain"]
        if name in self.reasons:
            return "abstain"
        return max(told, key=VERDICTS.index, default="abstain")

    @property
    def verdict(self) -> str:
        """The worst section's, of those that say anything; `abstain` where nothing can be said of what
        moves."""
        told = [verdict for verdict in self.sections.values() if verdict != "abstain"]
        worst = max(told, key=VERDICTS.index, default="abstain")
        return worst if worst == "fail" or self.sections["identity"] != "abstain" else "abstain"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        w = self.watched
        return {
            "film": w.path.name,
            "verdict": self.verdict,
            "sections": self.sections,
            "reasons": self.reasons,
            "findings": [
                {"seconds": f.seconds, "id": f.question.id, "name": f.question.name, "text": f.text}
                | {"at": [f.x, f.y]}
                for f in self.findings
            ],
            "figures": [asdict(f) | {"excess": f.excess, "verdict": f.verdict} for f in self.figures],
            "seen": {
                "seconds": w.seconds, "pictures": w.num_pictures, "size": [w.header.width, w.header.height],
                "cuts": w.cuts, "things": w.num_things, "moving_seconds": w.moving_seconds,
                "coverage": w.coverage, "pictures_lost": w.lost, "hits": [hit.seconds for hit in w.hits],
                "onsets": None if w.sound is None else w.sound.onsets,
                "flights": [asdict(flight) for flight in w.flights],
            },
        }  # fmt: skip


def film_report(watched: Watched) -> FilmReport:
    """What follows from what was watched."""
    reasons = _reasons(watched)
    # What is found where a section abstains is as likely a fault of the following as of the film.
    figures = [_figure(watched.answers[question], watched) for question in QUESTIONS]
    findings = [
        Finding(a.seconds, question, watched.answers[question].tell(a), float(a.x), float(a.y))
        for question in QUESTIONS
        if question.section not in reasons
        for a in watched.answers[question].findings
    ]
    return FilmReport(watched, figures, sorted(findings, key=lambda finding: finding.seconds), reasons)


def _reasons(watched: Watched) -> dict[str, str]:
    """Why sections abstain."""
    reasons: dict[str, str] = {}
    if watched.moving_seconds < LEAST_MOVING_SECONDS or watched.travel < LEAST_TRAVEL:
        reasons.update(dict.fromkeys(SECTIONS, "too little moves"))
    elif watched.coverage < LEAST_COVERAGE:
        told = f"only {watched.coverage:.0%} of what moves could be followed"
        reasons.update(dict.fromkeys(("identity", "physics", "sound"), told))
    if watched.sound is None:
        reasons["sound"] = "the film has no sound"
    elif "sound" not in reasons and not _answered(watched, "sound"):
        reasons["sound"] = "no clear hit is seen that its sound could be held against"
    if "physics" not in reasons and not _answered(watched, "physics"):
        reasons["physics"] = "nothing flies, bounces or starts"
    return reasons


def _answered(watched: Watched, section: str) -> bool:
    return any(watched.answers[q].values for q in QUESTIONS if q.section == section)


def _figure(answers: Answers, watched: Watched) -> Figure:
    question = answers.question
    value = _counted(answers, watched) if question.counts else _upper(answers.values)
    coverage = 1.0 if question.section == "picture" else watched.coverage
    return Figure(
        question.id, question.section, question.name, question.statistic, value, None, None, None,
        question.passes_at, question.fails_at, coverage,
    )  # fmt: skip


def _counted(answers: Answers, watched: Watched) -> float | None:
    """How often a minute (and thing); None where nothing was asked."""
    minutes = watched.seconds / 60.0 if answers.question in (STOPS, POPS) else watched.thing_minutes
    if answers.question.section == "sound":
        minutes = 0.0 if watched.sound is None or not watched.hits else watched.seconds / 60.0
    if answers.question is RETURNED and not watched.answers[REVISIT].values:
        minutes = 0.0
    return answers.num_findings / minutes if minutes > 0 else None


def _upper(values: Sequence[float]) -> float | None:
    """The 95th percentile; of fewer than twenty, the greatest."""
    return float(np.percentile(values, 95, method="higher")) if values else None
