"""What cannot be is found and told, and what can be is let alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orrery.errors import BadUse
from orrery.evaluation.examine import MEASURES, Examination, examine
from orrery.evaluation.faults import FAULTS, inject
from orrery.evaluation.measure import Measure
from orrery.evaluation.physics import ENERGY, FREE_FALL, OVERLAP
from orrery.evaluation.recording import Recording
from orrery.worlds.rigid_bodies.state import STATE

CAUGHT_BY = {
    "freeze": "picture that stands still",
    "reversal": "energy gained",
    "swap": "births, deaths, switches and leaps",
    "vanishing": "births, deaths, switches and leaps",
    "colour drift": "colour drift",
    "growth": "spread of size",
    "teleport": "births, deaths, switches and leaps",
    "weak gravity": "free fall",
    "energy gain": "energy gained",
    "floating": "free fall",
    "interpenetration": "interpenetration",
    "late sound": "sound moved as a whole",
    "early sound": "sound moved as a whole",
    "slightly late sound": "contact to onset",
    "slightly early sound": "contact to onset",
    "missing sound": "silent contacts",
    "phantom sound": "phantom sounds",
    "phantom touch": "touch across a gap",
}


def _samples(examination: Examination, measure: Measure) -> list[float]:
    return [sample.value for sample in examination.samples[MEASURES.index(measure)]]


def _copy(recording: Recording) -> Recording:
    return replace(
        recording, state=recording.state.copy(), audio=recording.audio.copy(), touch=recording.touch.copy()
    )


def test_nothing_is_wrong_with_mechanics_by_formula(recording: Recording) -> None:
    examination = examine(recording)
    assert examination.moves
    assert examination.findings == []
    assert _samples(examination, FREE_FALL)
    assert max(_samples(examination, FREE_FALL)) < 0.02
    assert max(_samples(examination, ENERGY)) < 0.02


@pytest.mark.parametrize("name", FAULTS)
def test_each_full_fault_is_found_by_its_own_measure(recording: Recording, name: str) -> None:
    """In whatever object and moment it befalls; and what is told has a time within the film and a subject."""
    for seed in range(4):
        findings = examine(inject(name, recording, 1.0, np.random.default_rng(seed))).findings
        assert CAUGHT_BY[name] in {finding.measure.name for finding in findings}, seed
        assert all(0.0 <= finding.seconds <= recording.seconds for finding in findings)
        assert all("{" not in finding.text and finding.text for finding in findings)


def test_every_fault_has_a_measure() -> None:
    assert CAUGHT_BY.keys() == FAULTS.keys()
    assert set(CAUGHT_BY.values()) == {measure.name for measure in MEASURES}


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_error_of_free_fall_is_what_is_missing_of_gravity(recording: Recording, share: float) -> None:
    slow = inject("weak gravity", recording, share, np.random.default_rng(0))
    first = _samples(examine(slow), FREE_FALL)[0]
    assert first == pytest.approx(share, abs=0.03)


def test_overlap_is_told_in_radii(recording: Recording) -> None:
    """A ball of 4 cm sunk by 1 cm into the table: a quarter of its radius."""
    film = _copy(recording)
    STATE.get(film.state[30:, 0], "position")[:, 2] = 0.03
    ball, box = _samples(examine(film), OVERLAP)
    assert ball == pytest.approx(0.25, abs=0.01)
    assert box == pytest.approx(0.0, abs=0.01)


def test_a_still_recording_says_nothing_about_motion(recording: Recording) -> None:
    film = _copy(recording)
    film.state[:] = film.state[-1]
    examination = examine(film)
    assert not examination.moves
    assert not _samples(examination, FREE_FALL)


def test_an_empty_table_is_no_mistake(recording: Recording) -> None:
    film = _copy(recording)
    film.state[:, :2] = 0.0
    film.audio[:] = 0.0
    assert examine(film).findings == []


@pytest.mark.slow
def test_the_exact_world_is_let_alone_and_its_faults_are_found() -> None:
    """Eight real episodes: no false alarm; every full fault of identity and physics that can befall them is
    found. Of sound and touch, those that are certain."""
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop.world import TabletopWorld

    world = TabletopWorld(streams=["state", "audio.main", "touch.finger"])
    missed: dict[str, int] = {}
    for seed in range(960_000, 960_008):
        ticks = [world.reset(seed), *(world.step() for _ in range(35))]
        film = Recording.of(ticks, world.spec.clock)
        assert examine(film).findings == [], seed
        for name in FAULTS.keys() - {"phantom sound"}:
            try:
                wrong = inject(name, film, 1.0, np.random.default_rng(seed))
            except BadUse:
                continue
            missed[name] = missed.get(name, 0) + (not examine(wrong).findings)
    assert len(missed) >= 12
    assert not any(missed.values()), missed
