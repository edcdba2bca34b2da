"""How much a report asks: the full form is for what is published, the quick one for the loop."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Form"]


@dataclass(frozen=True)
class Form:
    """films: held-out sentences, of `seconds` each. scenes: of each part of the suite, 0 to 24. long: how
    many films, and how many of the rollouts, last `long_seconds`."""

    films: int
    seconds: float
    scenes: int
    long: int
    long_seconds: float = 64.0


FULL = Form(films=30, seconds=3.5, scenes=12, long=6)
QUICK = Form(films=12, seconds=3.0, scenes=5, long=0)
