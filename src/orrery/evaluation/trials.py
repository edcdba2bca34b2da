"""All that a report asks besides the films of the sentences, as much of it as a form says."""

from __future__ import annotations

from collections.abc import Callable

from orrery.evaluation.figure import Figure
from orrery.evaluation.form import Form
from orrery.evaluation.hidden import hidden_figure
from orrery.evaluation.lasting import lasting_figures
from orrery.evaluation.looking import looking_figures
from orrery.evaluation.outside import outside_figures
from orrery.evaluation.steering import steering_figures
from orrery.evaluation.striking import momentum_figure
from orrery.world import World

__all__ = ["further_figures"]


def further_figures(
    blind: World, seeing: World, form: Form, on_step: Callable[[int, int], None] = lambda done, total: None
) -> list[Figure]:
    """Every figure that is not of the films of the sentences: what is asked of the suite's scenes, and of
    long films. blind: a world of one scene without pictures. seeing: the same with them. on_step: told how
    many scenes are done, and of how many."""
    done, total = 0, 9 * form.scenes + form.long

    def advance() -> None:
        nonlocal done
        done += 1
        on_step(done, total)

    return [
        *steering_figures(blind, form.scenes, min(form.long, form.scenes), advance),
        *outside_figures(blind, form.scenes, advance),
        momentum_figure(blind, form.scenes, advance),
        hidden_figure(blind, form.scenes, advance),
        *looking_figures(seeing, form.scenes, advance),
        *(lasting_figures(blind, form.long, form.long_seconds, advance) if form.long else []),
    ]
