"""Whether what passes behind another thing comes out again, put to passages by formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing import StandingWorld

from orrery.evaluation.films import STREAMS
from orrery.evaluation.hidden import come_out, hidden_figure, passages
from orrery.evaluation.recording import Recording
from orrery.evaluation.rollouts import Held
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import Scene
from orrery.worlds.tabletop.world import TabletopWorld

FRAMES, SPEED = 40, 0.3
HIDDEN = slice(10, 18)


def _rolling(recording: Recording, late_frames: int = 0, stops_at: int = FRAMES) -> Recording:
    """A ball of 4 cm rolls along x at 0.3 m/s, out of sight for some frames, or comes later, or stops."""
    state = recording.state[:FRAMES].copy()
    frames = np.minimum(np.arange(FRAMES) - late_frames, stops_at)
    x, nought = frames * SPEED / 24 - 0.2, np.zeros(FRAMES)
    STATE.get(state[:, 0], "position")[:] = np.stack([x, nought, nought + 0.04], 1)
    STATE.get(state[HIDDEN, 0], "visible")[:] = 0.0
    return replace(recording, state=state)


@pytest.fixture
def held(recording: Recording) -> Held:
    truth = _rolling(recording)
    return Held(0, truth, truth, np.zeros((1, 2, 3)), {}, Scene(()))


def test_a_passage_is_seen_then_hidden_then_seen(held: Held) -> None:
    (passage,) = passages(held)
    assert passage == (0, HIDDEN)
    for span in (slice(10, 12), slice(10, FRAMES), slice(0, 18)):
        state = held.truth.state.copy()
        STATE.get(state[:, 0], "visible")[:] = 1.0
        STATE.get(state[span, 0], "visible")[:] = 0.0
        assert passages(replace(held, truth=replace(held.truth, state=state))) == [], span


@pytest.mark.parametrize(
    ("late_frames", "stops_at", "lost"),
    [(0, FRAMES, 0.0), (3, FRAMES, 0.0), (-3, FRAMES, 0.0), (5, FRAMES, 1.0), (0, 14, 1.0), (0, 17, 0.0)],
)
def test_it_must_come_out_where_and_when_it_should(
    held: Held, recording: Recording, late_frames: int, stops_at: int, lost: float
) -> None:
    """Half a radius, 20 mm, is 1.6 frames of its way: with the two that are allowed, 3 frames late pass."""
    assert come_out(held, _rolling(recording, late_frames, stops_at)).tolist() == [lost]


def test_what_is_gone_does_not_come_out(held: Held, recording: Recording) -> None:
    gone = _rolling(recording)
    STATE.get(gone.state[14:, 0], "present")[:] = 0.0
    assert come_out(held, gone).tolist() == [1.0]


@pytest.mark.slow
def test_the_exact_world_passes_and_one_that_stands_still_fails() -> None:
    exact = hidden_figure(TabletopWorld(streams=STREAMS), 2)
    assert exact.value == exact.floor == 0.0
    assert exact.verdict == "pass"
    still = hidden_figure(StandingWorld(), 2)
    assert still.value == 1.0
    assert still.verdict == "fail"
