"""Every fault does what it says, as strongly as it is told, and leaves the rest of the recording alone."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.errors import BadUse
from orrery.evaluation.contacts import SyncTally
from orrery.evaluation.dynamics import first_bounce, lowest_points
from orrery.evaluation.faults import FAULTS, inject
from orrery.evaluation.recording import Recording
from orrery.streams import Clock
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE

CLOCK = Clock()
STEP = 1 / 24
MOVED_SOUND = {"late sound", "early sound", "slightly late sound", "slightly early sound"}
SOUND = MOVED_SOUND | {"missing sound", "phantom sound"}


def _made(recording: Recording, name: str, strength: float = 1.0, seed: int = 0) -> Recording:
    return inject(name, recording, strength, np.random.default_rng(seed))


@pytest.mark.parametrize("name", FAULTS)
def test_each_touches_only_its_own_stream_and_grows_with_strength(recording: Recording, name: str) -> None:
    before = [part.copy() for part in (recording.state, recording.audio, recording.touch)]
    weak, full = _made(recording, name, 0.25), _made(recording, name)
    for part, kept in zip((recording.state, recording.audio, recording.touch), before, strict=True):
        np.testing.assert_array_equal(part, kept)
    own = "audio" if name in SOUND else "touch" if name == "phantom touch" else "state"
    for part in ("state", "audio", "touch"):
        changed = not np.array_equal(getattr(full, part), getattr(recording, part))
        assert changed == (part == own), part

    def departure(film: Recording) -> float:
        return float(np.abs(getattr(film, own).astype(float) - getattr(recording, own)).sum())

    assert departure(weak) > 0
    assert departure(weak) < departure(full) or name in MOVED_SOUND
    np.testing.assert_array_equal(getattr(_made(recording, name), own), getattr(full, own))


def test_a_vanished_object_is_gone_for_a_second(recording: Recording) -> None:
    there = STATE.get(_made(recording, "vanishing").state, "present")[:, :2, 0]
    assert (there < 0.5).sum() == 24


def test_a_drifting_colour_ends_as_another(recording: Recording) -> None:
    film = _made(recording, "colour drift")
    colours = STATE.get(film.state, "colour")
    gone = [slot for slot in (0, 1) if not np.allclose(colours[0, slot], colours[-1, slot])]
    assert len(gone) == 1
    assert min(np.linalg.norm(colours[-1, gone[0]] - np.array(c)) for c in COLOURS.values()) < 1e-5


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_growth_stands_on_the_table(recording: Recording, strength: float) -> None:
    for seed in range(4):
        film = _made(recording, "growth", strength, seed)
        ratio = STATE.get(film.state, "size")[-1, :2, 0] / STATE.get(recording.state, "size")[-1, :2, 0]
        assert sorted(ratio) == pytest.approx([1.0, 1.0 + strength])
        np.testing.assert_allclose(
            lowest_points(film.state)[:, :2], lowest_points(recording.state)[:, :2], atol=1e-6
        )


def test_without_gravity_nothing_falls(recording: Recording) -> None:
    assert lowest_points(_made(recording, "weak gravity").state)[:, 0].min() == pytest.approx(0.2, abs=1e-5)
    half = lowest_points(_made(recording, "weak gravity", 0.5).state)[:, 0]
    fell = np.argmax(half <= 1e-6) * STEP
    assert fell == pytest.approx(np.sqrt(2) * np.sqrt(2 * 0.2 / 9.81), abs=STEP)


def test_energy_gain_bounces_higher_than_it_fell(recording: Recording) -> None:
    bounce = first_bounce(_made(recording, "energy gain").state, 0, STEP)
    assert bounce is not None
    assert bounce.ratio == pytest.approx(1.5, rel=0.1)


def test_an_object_sits_in_another(recording: Recording) -> None:
    apart = np.diff(STATE.get(_made(recording, "interpenetration").state[:, :2], "position"), axis=1)
    assert np.linalg.norm(apart, axis=-1).min() == pytest.approx(0.5 * 0.04, abs=1e-5)


def _sync(film: Recording) -> dict[str, float]:
    tally = SyncTally()
    tally.add(film.state, film.audio, film.clock)
    found = tally.figures()
    return {
        "silent": found["silent_contacts"]["share"], "phantom": found["phantom_sounds"]["share"],
        "delay": found["delay_median_ms"],
    }  # fmt: skip


def test_sound_is_as_late_as_told_and_is_missed_and_made_up(recording: Recording) -> None:
    """As the report's own measure of sync hears it."""
    true = _sync(recording)
    assert true["silent"] == 0.0
    assert true["phantom"] == 0.0
    assert abs(true["delay"]) < 15
    # by 40 ms: less than lies between two bounces, so that it is clear which sound goes with which
    assert _sync(_made(recording, "late sound", 0.2))["delay"] == pytest.approx(true["delay"] + 40, abs=10)
    assert _sync(_made(recording, "early sound", 0.2))["delay"] == pytest.approx(true["delay"] - 40, abs=10)
    assert _sync(_made(recording, "missing sound"))["silent"] == 1.0
    assert _sync(_made(recording, "phantom sound"))["phantom"] > 0.3


@pytest.mark.parametrize(("name", "milliseconds"), [("slightly late sound", 60), ("early sound", -200)])
def test_sound_is_moved_by_what_the_docs_say(recording: Recording, name: str, milliseconds: int) -> None:
    moved = np.roll(recording.audio, 24 * milliseconds, axis=0)
    kept = slice(24 * milliseconds, None) if milliseconds > 0 else slice(None, 24 * milliseconds)
    np.testing.assert_array_equal(_made(recording, name).audio[kept], moved[kept])


def test_what_was_heard_is_not_heard_again_unless_it_changed(recording: Recording) -> None:
    np.testing.assert_array_equal(_made(recording, "teleport").heard, recording.heard)
    assert len(_made(recording, "missing sound").heard) < len(recording.heard)


def test_what_cannot_befall_a_recording_is_refused(recording: Recording) -> None:
    alone = Recording(CLOCK, recording.state.copy(), recording.audio, recording.touch)
    alone.state[:, 1] = 0.0
    still = Recording(CLOCK, recording.state.copy(), recording.audio, recording.touch)
    still.state[:] = still.state[-1]
    quiet = Recording(CLOCK, recording.state, 1e-3 * recording.audio, recording.touch)
    for name, film, reason in [
        ("phantom sound", quiet, "heard"),
        ("swap", alone, "objects"), ("interpenetration", alone, "objects"), ("weak gravity", still, "air"),
        ("energy gain", still, "bounces"), ("missing sound", still, "hit"), ("vanish", recording, "no fault"),
        ("freeze", still, "moves"), ("reversal", still, "moves"), ("late sound", still, "hit"),
    ]:  # fmt: skip
        with pytest.raises(BadUse, match=reason):
            _made(film, name)
    for strength in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(BadUse, match="strength"):
            _made(recording, "freeze", strength)
