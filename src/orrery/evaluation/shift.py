"""Whether sound as a whole is early or late (A1).

Single onsets cannot tell it where things ring and bounce: there is always one near. But the loudest swells of
sound belong to the clear hits, and to nothing else as well: moved to where it fits them best, the sound of
the exact world stays where it is.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import maximum_filter1d

from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.recording import Recording
from orrery.streams import Array

__all__ = ["SHIFT", "swells", "swells_about"]

STEP_SECONDS = 0.001
WINDOW_SECONDS = 0.006
NEAR_SECONDS = 0.008
"""How far a swell may be from its hit: both are found to a few milliseconds."""
FURTHEST_SECONDS = 0.250
LAG_SECONDS = 0.005
ROOT = 0.25
"""Of power: loud sounds count more than quiet ones, but one alone does not decide."""


def swells(audio: Array, samples_per_second: int) -> Array:
    """By how much a sound `[n, channels]` grows louder in each millisecond, `[milliseconds]`: the fourth root
    of its power in 6 ms after less that in 6 ms before, where it grows."""
    power = np.concatenate([[0.0], np.cumsum((audio.astype(float) ** 2).sum(1))])
    step, window = STEP_SECONDS * samples_per_second, round(WINDOW_SECONDS * samples_per_second)
    starts = np.round(np.arange(0.0, len(audio), step)).astype(int)
    edges = (np.clip(starts + offset, 0, len(audio)) for offset in (-window, 0, window))
    sums = [power[edge] for edge in edges]
    before, after = ((late - early) / window for early, late in pairwise(sums))
    return np.maximum(np.maximum(after, 0.0) ** ROOT - np.maximum(before, 0.0) ** ROOT, 0.0)


def swells_about(swell: Array, hits: Array, lags: Array, near_seconds: float = NEAR_SECONDS) -> Array:
    """The greatest of `swells` within `near_seconds` of each lag after each hit, `[lags, hits]`, 0 beyond the
    sound. hits, lags: seconds."""
    wide = maximum_filter1d(swell, 2 * round(near_seconds / STEP_SECONDS) + 1)
    places = np.round((hits[None] + lags[:, None]) / STEP_SECONDS).astype(int)
    inside = (places >= 0) & (places < len(wide))
    return wide[places.clip(0, len(wide) - 1)] * inside


def _shifts(recording: Recording) -> list[Sample]:
    """By which share the sound fits the clear hits worse than it would if it were moved as a whole."""
    if not len(recording.hits):
        return []
    reach = round(FURTHEST_SECONDS / LAG_SECONDS)
    lags = np.arange(-reach, reach + 1) * LAG_SECONDS
    swell = swells(recording.audio, recording.clock.samples_per_second)
    fits = swells_about(swell, recording.hits, lags).sum(1)
    if not fits.any():
        return []
    as_good = np.flatnonzero(
        fits > 0.999 * fits.max()
    )  # a swell is as near to its hit some way to either side
    best = int(as_good[len(as_good) // 2])
    here = float(fits[np.abs(lags) < 1.5 * LAG_SECONDS].max())
    subject = f"the sound is {1000 * abs(lags[best]):.0f} ms {'late' if lags[best] > 0 else 'early'}"
    return [Sample(float(recording.hits[0]), subject, 1.0 - here / float(fits.max()))]


SHIFT = Measure(
    "A1", "sound", "sound moved as a whole", 0.15,
    "{subject}: so moved, it fits what is seen {value:.0%} better", _shifts,
)  # fmt: skip
