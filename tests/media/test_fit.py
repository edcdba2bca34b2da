"""What a film cannot hold is made such that it can, and stays what it was."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.media.fit import FilmSound

SECONDS, TONE_HZ, LOUD = 2.0, 440.0, 0.5


def tone(samples_per_second: int) -> np.ndarray:
    seconds = np.arange(round(SECONDS * samples_per_second)) / samples_per_second
    return (LOUD * np.sin(2 * np.pi * TONE_HZ * seconds)).astype(np.float32)[:, None]


@pytest.mark.parametrize("samples_per_second", [31_400, 48_000, 10_001])
def test_a_tone_keeps_its_pitch_its_level_and_its_length(samples_per_second: int) -> None:
    """Handed over bit by bit, at a rate that AAC has or lacks."""
    sound, heard = FilmSound(samples_per_second), tone(samples_per_second)
    bits = [sound.resampled(bit) for bit in np.array_split(heard, 37)]
    film = np.concatenate([*bits, sound.rest()])
    assert film.shape[1] == 2
    assert abs(len(film) / sound.samples_per_second - SECONDS) < 0.002
    middle = film[len(film) // 4 : 3 * len(film) // 4, 0]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    loudest = spectrum.argmax() * sound.samples_per_second / len(middle)
    assert abs(loudest - TONE_HZ) < 1.5
    assert abs(np.sqrt(2 * np.mean(middle**2)) - LOUD) < 0.01
    np.testing.assert_allclose(film[:, 0], film[:, 1], atol=1e-6)
