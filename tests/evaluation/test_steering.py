"""Whether a world goes on as the exact one does, put to worlds of which the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing import StandingWorld

from orrery.evaluation.feeling import felt_n
from orrery.evaluation.figure import Figure
from orrery.evaluation.films import STREAMS
from orrery.evaluation.rollouts import Held, feel, go_on, held_out, moves_on, perturbed
from orrery.evaluation.steering import steering_figures
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

pytestmark = pytest.mark.slow


def _by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {f"{figure.id} {figure.name}": figure for figure in figures}


@pytest.fixture(scope="module")
def episode() -> Held:
    return held_out(1, 0.5, lambda held: held.scene.push is None and moves_on(held))[0]


def test_the_exact_world_goes_on_as_it_did(episode: Held) -> None:
    """Begun with the scene and the recorded actions, to the last bit; half a millimetre off, nearly."""
    again = go_on(TabletopWorld(streams=STREAMS), episode)
    assert np.array_equal(again.state, episode.truth.state)
    assert feel(TabletopWorld(streams=STREAMS), episode) is episode.truth
    floor = perturbed(episode)
    assert floor is not None
    assert floor.state.shape == episode.truth.state.shape
    slots = episode.truth.slots
    off = STATE.get(floor.state[:, slots], "position") - STATE.get(episode.truth.state[:, slots], "position")
    assert 2e-4 < np.linalg.norm(off[0], axis=-1).max() < 2e-3


def test_a_finger_at_work_has_no_floor(episode: Held) -> None:
    pushed = held_out(1, 0.25, lambda held: held.scene.push is not None)[0]
    assert perturbed(pushed) is None
    assert perturbed(replace(pushed, scene=replace(pushed.scene, push=None))) is not None


def test_exact_answers_pass_and_no_answers_fail() -> None:
    """The exact world makes no error at all; a world that stands still is wrong by all that moves, answers to
    no push, and feels nothing of what it should."""
    steps: list[int] = []
    exact = _by_name(steering_figures(TabletopWorld(streams=STREAMS), 1, advance=lambda: steps.append(1)))
    assert len(steps) == 2
    assert {figure.value for figure in exact.values()} == {0.0}
    assert {figure.verdict for figure in exact.values()} == {"pass"}
    still = _by_name(steering_figures(StandingWorld(), 1))
    assert still.keys() == exact.keys()
    assert {figure.verdict for figure in still.values()} == {"fail"}
    assert still["C1 wrong answers to a push left out"].value == 1.0
    assert still["T1 contact felt"].value == 1.0
    assert still["T1 force"].value == pytest.approx(1.0)
    velocity = still["P1 velocity"]
    assert velocity.floor == exact["P1 velocity"].floor
    assert [stretch.end_seconds for stretch in velocity.curve] == [0.25, 0.5, 1.0, 2.0]
    assert velocity.curve[0].value > 0.03


def test_a_push_is_felt_from_every_side() -> None:
    """3 N across and 4 N along the normal, spread over the pad, are 5 N; nothing is none."""
    touch = np.zeros((2, 4, 4, 3), np.float32)
    touch[0, ..., 1], touch[0, ..., 0] = 3.0 / 16, -4.0 / 16
    np.testing.assert_allclose(felt_n(touch), [5.0, 0.0], rtol=1e-5)
