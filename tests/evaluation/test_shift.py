"""Sound that is moved as a whole is found, by how much and which way; sound in its place is let alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orrery.evaluation.recording import Recording
from orrery.evaluation.shift import SHIFT, swells

RATE = 24_000


def _moved(recording: Recording, milliseconds: int) -> Recording:
    audio, shift = np.zeros_like(recording.audio), milliseconds * RATE // 1000
    kept = recording.audio[: len(audio) - abs(shift)] if shift >= 0 else recording.audio[-shift:]
    audio[max(0, shift) :][: len(kept)] = kept
    return replace(recording, audio=audio)


def test_a_swell_is_where_a_sound_begins() -> None:
    """A tone of a tenth of full scale from 0.5 s on: the fourth root of its power, 0.005 on two channels, at
    that millisecond; nothing where it is steady."""
    seconds = np.arange(RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 1000 * seconds) * (seconds >= 0.5)
    found = swells(np.stack([tone, 0 * tone], 1), RATE)
    assert len(found) == 1000
    assert int(found.argmax()) == 500
    assert found[500] == pytest.approx(0.005**0.25, rel=0.02)
    assert found[:490].max() == 0.0
    assert found[520:].max() < 0.02


@pytest.mark.parametrize("milliseconds", [0, 5, -5])
def test_sound_in_its_place_is_let_alone(recording: Recording, milliseconds: int) -> None:
    (sample,) = SHIFT.take(_moved(recording, milliseconds))
    assert sample.value < 0.02


@pytest.mark.parametrize("milliseconds", [60, -60, 200, -200])
def test_sound_out_of_its_place_is_told_by_how_much(recording: Recording, milliseconds: int) -> None:
    (sample,) = SHIFT.take(_moved(recording, milliseconds))
    assert sample.value > SHIFT.alarm
    assert f"{abs(milliseconds)} ms {'late' if milliseconds > 0 else 'early'}" in SHIFT.tell(sample)


def test_without_hits_or_without_sound_nothing_is_said(recording: Recording) -> None:
    still = replace(recording, state=np.repeat(recording.state[-1:], len(recording.state), axis=0))
    assert SHIFT.take(still) == []
    assert SHIFT.take(replace(recording, audio=np.zeros_like(recording.audio))) == []
