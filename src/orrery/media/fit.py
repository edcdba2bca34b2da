"""The sound of any world made such that a film can hold it: two channels, at a rate that AAC has."""

from __future__ import annotations

import av
import numpy as np

from orrery.media.writer import AAC_SAMPLE_RATES
from orrery.streams import Array

__all__ = ["FilmSound"]

SAMPLE_RATE = 48_000
"""Of the film's sound, where the world's own rate is none that AAC has."""


class FilmSound:
    """A world's sound as a film's: two channels, at `samples_per_second`, resampled where AAC needs it."""

    def __init__(self, samples_per_second: int) -> None:
        self._rate = samples_per_second
        self._resampler = None
        self.samples_per_second = samples_per_second
        if samples_per_second not in AAC_SAMPLE_RATES:
            self._resampler = av.AudioResampler("fltp", "stereo", SAMPLE_RATE)
            self.samples_per_second = SAMPLE_RATE

    def resampled(self, samples: Array) -> Array:
        """`[N, 1 or 2]` float32 of the world as `[M, 2]` of the film."""
        stereo = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples
        if self._resampler is None:
            return stereo
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo.T, np.float32), "fltp", "stereo")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    def rest(self) -> Array:
        """`[M, 2]`: what is still on its way at the end."""
        return (
            np.zeros((0, 2), np.float32)
            if self._resampler is None
            else _joined(self._resampler.resample(None))
        )


def _joined(frames: list[av.AudioFrame]) -> Array:
    pieces = [frame.to_ndarray().T for frame in frames]
    return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)
