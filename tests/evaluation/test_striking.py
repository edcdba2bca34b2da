"""What two bodies have after a strike, put to strikes by formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing import StandingWorld

from orrery.evaluation.films import STREAMS
from orrery.evaluation.physics import mass_kg
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held
from orrery.evaluation.striking import momentum_errors, momentum_figure, strikes
from orrery.streams import Array
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import Scene
from orrery.worlds.tabletop.world import TabletopWorld

FRAMES, STEP, SPEED = 24, 1 / 24, 0.4
STRUCK = 10


def _balls(recording: Recording, after: tuple[float, float], aside: float = 0.0) -> Recording:
    """Two equal balls of 4 cm: one comes along x at 0.4 m/s and touches the other, which lies, at frame
    STRUCK; then they go on at the speeds of `after`. aside: how far to the side the other lies, m."""
    state = recording.state[:FRAMES].copy()
    state[:, 1] = state[:, 0]
    seconds = (np.arange(FRAMES) - STRUCK) * STEP
    before = np.minimum(seconds, 0.0)
    for slot, (start, speed, then) in enumerate([(-0.04, SPEED, after[0]), (0.04, 0.0, after[1])]):
        place = STATE.get(state[:, slot], "position")
        place[:, 0] = start + before * speed + np.maximum(seconds, 0.0) * then
        place[:, 1] = slot * aside
        place[:, 2] = 0.04
    return replace(recording, state=state)


def _held(truth: Recording) -> Held:
    return Held(0, truth, truth, np.zeros((1, 2, 3)), {}, Scene(()))


def test_a_strike_is_found_when_it_happens_with_what_it_passes(recording: Recording) -> None:
    film = _balls(recording, (0.0, SPEED))
    (strike,) = strikes(film)
    assert strike.frame == STRUCK
    assert strike.slots == (0, 1)
    assert strike.passed == pytest.approx(mass_kg(film, 0) * SPEED, rel=1e-3)
    assert strikes(_balls(recording, (0.0, SPEED), aside=0.2)) == []
    assert strikes(_balls(recording, (SPEED, 0.0), aside=0.081)) == [], "it only passes by"


def test_a_mass_is_that_of_its_size_and_material(recording: Recording) -> None:
    """A wooden ball of 4 cm, 450 kg/m^3."""
    assert mass_kg(recording, 0) == pytest.approx(450 * 4 / 3 * np.pi * 0.04**3, rel=1e-5)


@pytest.mark.parametrize(
    ("after", "error"),
    [((0.0, SPEED), 0.0), ((SPEED, 0.0), 1.0), ((SPEED / 2, SPEED / 2), 0.5), ((0.0, 2 * SPEED), 0.5)],
)
def test_the_error_is_what_each_has_too_much_or_too_little(
    recording: Recording, after: tuple[float, float], error: float
) -> None:
    """Right, passed through, stuck together, and momentum from nothing."""
    held = _held(_balls(recording, (0.0, SPEED)))
    found: Array = momentum_errors(held, _balls(recording, after))
    np.testing.assert_allclose(found, [error], atol=1e-3)


@pytest.mark.slow
def test_the_exact_world_passes_and_one_that_stands_still_fails() -> None:
    steps: list[int] = []
    exact = momentum_figure(TabletopWorld(streams=STREAMS), 2, lambda: steps.append(1))
    assert len(steps) == 2
    assert exact.value == 0.0
    assert 0.0 < (exact.floor or 0.0) < 0.1
    assert exact.verdict == "pass"
    still = momentum_figure(StandingWorld(), 2)
    assert still.floor == exact.floor
    assert still.verdict == "fail"
