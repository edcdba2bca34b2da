"""The physics report of a model, as figures: identity, physics, sound and touch beside the exact world's own.

`orrery report` makes the same with a page; this writes the row of the table and of the model card.
"""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from harness import EXACT, Subject, save, show
from orrery.evaluation.films import STREAMS, report_world
from orrery.evaluation.prompts import held_out_prompts
from orrery.evaluation.steering import steering_figures


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_films: held-out sentences. seconds: of each film.
    num_rollouts: scenes that move by themselves, and as many that are pushed."""

    model: str = EXACT
    num_films: int = 60
    seconds: float = 3.5
    num_rollouts: int = 30


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    world = subject.open(STREAMS)
    further = steering_figures(world, settings.num_rollouts)
    found, _ = report_world(world, settings.num_films, settings.seconds, further=further)
    columns = [settings.model, "value", "floor", "passes at", "verdict"]
    rows = [[f"{f.id} {f.name}", f.value, f.floor, f.passes_at, f.verdict] for f in found.figures]
    show(f"physics report: {found.verdict}", columns, rows)
    figures = {"figures": found.to_json(), "settings": vars(settings)}
    save("report", subject, figures, held_out_prompts()[0].seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
