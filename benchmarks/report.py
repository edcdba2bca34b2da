"""The physics report of a model, as figures: identity, physics, sound and touch beside the exact world's own.

`orrery report` makes the same with a page; this writes the row of the table and of the model card.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import tyro

from harness import EXACT, Subject, save, show
from orrery.evaluation.films import STREAMS, report_world
from orrery.evaluation.form import Form
from orrery.evaluation.prompts import held_out_prompts
from orrery.evaluation.suite import VERSION, suite_hash
from orrery.evaluation.trials import further_figures


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_films: held-out sentences. seconds: of each film.
    num_rollouts: scenes of each part of the suite. num_long: films and rollouts that last `long_seconds`."""

    model: str = EXACT
    num_films: int = 60
    seconds: float = 3.5
    num_rollouts: int = 20
    num_long: int = 6
    long_seconds: float = 64.0


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    world = subject.open()
    form = Form(
        settings.num_films, settings.seconds, settings.num_rollouts, settings.num_long, settings.long_seconds
    )
    begun = time.monotonic()
    further = further_figures(subject.open(STREAMS), world, form)
    found, _ = report_world(subject.open(STREAMS), form.films, form.seconds, further=further)
    columns = [settings.model, "value", "floor", "passes at", "verdict"]
    rows = [[f"{f.id} {f.name}", f.value, f.floor, f.passes_at, f.verdict] for f in found.figures]
    show(f"physics report: {found.verdict}", columns, rows)
    suite = {"version": VERSION, "sha256": suite_hash()}
    minutes = (time.monotonic() - begun) / 60.0
    figures = {"figures": found.to_json(), "suite": suite, "minutes": minutes, "settings": vars(settings)}
    save("report", subject, figures, held_out_prompts()[0].seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
