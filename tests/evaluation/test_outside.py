"""Error outside of training over error inside, put to worlds of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from standing import StandingWorld

from orrery.evaluation.films import STREAMS
from orrery.evaluation.outside import outside_figures
from orrery.evaluation.steering import moving
from orrery.evaluation.suite import OUTSIDE, SHORT_CONTEXT_SECONDS, held_part
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

pytestmark = pytest.mark.slow


def _mean_speed(part: str) -> float:
    """Of what moves, m/s, by its places."""
    speeds = []
    for held in held_part(part, 1, 1.0, SHORT_CONTEXT_SECONDS):
        places = STATE.get(np.concatenate([held.last[None], held.truth.state]), "position")[:, moving(held)]
        speeds.append(np.linalg.norm(np.diff(places, axis=0), axis=-1).ravel() * 24)
    return float(np.concatenate(speeds).mean())


def test_a_world_that_stands_still_is_wrong_by_how_fast_things_are() -> None:
    figures = {figure.name.split(", ")[1]: figure for figure in outside_figures(StandingWorld(), 1)}
    assert tuple(figures) == OUTSIDE
    for part, figure in figures.items():
        assert figure.value == pytest.approx(_mean_speed(part) / _mean_speed("usual"), rel=1e-4), part


def test_the_exact_world_makes_no_error() -> None:
    for figure in outside_figures(TabletopWorld(streams=STREAMS), 1):
        assert figure.value == 0.0
        assert (figure.floor or 0.0) > 0.0
        assert figure.verdict == "pass"
