"""When things are heard: onsets of a recording, and how well two lists of instants agree.

Classical, so that one measure serves exact, recorded and imagined sound: logarithmic spectral flux (Bello et
al. 2005, "A tutorial on onset detection in music signals") on a millisecond grid, then a step back from each
peak to the sample where the sound starts to rise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = ["OnsetMatch", "match_onsets", "onsets"]

WINDOW_SECONDS = 256 / 24_000
HOP_SECONDS = 0.001
SPACING_SECONDS = 0.030  # a second onset within this is the same one
FLUX_NEPERS = 0.45  # mean rise over the bands that an onset must exceed; steady noise reaches 0.41
REFINE_SECONDS = 0.010
SILENCE = 1e-4


class OnsetMatch(NamedTuple):
    """precision: share of the found that are true. recall: share of the true that were found. f1: their
    harmonic mean. delays: found minus true of each matched pair, seconds `[k]`; positive is late."""

    precision: float
    recall: float
    f1: float
    delays: Array


def onsets(audio: Array, samples_per_second: int) -> Array:
    """Instants at which something starts to sound, ascending, in seconds from the first sample, `[k]`.

    audio: `[n, channels]`, full scale 1. Onsets quieter than -80 dBFS a band, or within 30 ms after
    another one, are not reported. Resolution about a millisecond.
    """
    if audio.ndim != 2:
        raise BadUse(f"onsets: audio is [samples, channels], got {list(audio.shape)}")
    window = round(WINDOW_SECONDS * samples_per_second)
    hop = max(1, round(HOP_SECONDS * samples_per_second))
    if len(audio) < window:
        return np.zeros(0)
    flux = _flux(np.asarray(audio, np.float64), window, hop)
    gap = max(1, round(SPACING_SECONDS * samples_per_second / hop))
    instants: list[float] = []
    for peak in _peaks(flux, gap):
        # Frame k is centred on sample k * hop, and its window starts to see a sound half a window earlier.
        instant = _refine(audio, peak * hop, window, samples_per_second) / samples_per_second
        if not instants or instant - instants[-1] >= SPACING_SECONDS / 2:
            instants.append(instant)
    return np.array(instants)


def match_onsets(found: Array, truth: Array, tolerance_seconds: float) -> OnsetMatch:
    """Pair each true onset with at most one found within `tolerance_seconds`, nearest pairs first.

    found, truth: seconds `[n]`, `[m]`. Nothing found where nothing is true is perfect: 1, 1, 1.
    """
    found, truth = np.asarray(found, float), np.asarray(truth, float)
    if tolerance_seconds < 0:
        raise BadUse(f"match_onsets: a tolerance is not negative, got {tolerance_seconds} s")
    delay = found[:, None] - truth[None]
    rows, columns = np.nonzero(np.abs(delay) <= tolerance_seconds)
    free_rows, free_columns = set(range(len(found))), set(range(len(truth)))
    delays: list[float] = []
    for index in np.argsort(np.abs(delay[rows, columns]), kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
            delays.append(float(delay[row, column]))
    precision = len(delays) / len(found) if len(found) else float(not len(truth))
    recall = len(delays) / len(truth) if len(truth) else float(not len(found))
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return OnsetMatch(precision, recall, f1, np.array(delays))


def _flux(audio: Array, window: int, hop: int) -> Array:
    """Mean over bands of the rise of log power against a few milliseconds before, `[frames]`, nepers."""
    padded = np.pad(audio, ((window // 2, window // 2), (0, 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)[::hop]
    taper = np.hanning(window)
    power = (np.abs(np.fft.rfft(frames * taper)) ** 2).sum(1) * (2 / taper.sum()) ** 2
    edges = np.unique(np.geomspace(1, power.shape[1], 25).astype(int))
    bands = np.sqrt(np.add.reduceat(power, edges[:-1], axis=1))
    level = np.log(bands + SILENCE)
    lag = max(1, window // hop // 2)
    rise = np.maximum(level[lag:] - level[:-lag], 0)
    return np.pad(rise.mean(1), (lag - lag // 2, lag // 2))


def _peaks(flux: Array, gap: int) -> list[int]:
    """Frames of the largest flux within `gap` either side that stand out of their surroundings."""
    padded = np.pad(flux, gap, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * gap + 1)
    threshold = np.maximum(FLUX_NEPERS, 2.5 * np.median(around, axis=1))
    return [int(k) for k in np.nonzero((flux >= around.max(1)) & (flux > threshold))[0]]


def _refine(audio: Array, centre: int, window: int, rate: int) -> int:
    """The sample near `centre` at which power over the next millisecond most exceeds that before it."""
    short, reach = max(2, rate // 1000), round(REFINE_SECONDS * rate)
    low, high = max(0, centre - reach - short), min(len(audio), centre + reach + short)
    # The first difference hears the click of a hit above the ring of the one before.
    power = (np.diff(audio[low:high], axis=0, prepend=audio[low : low + 1]) ** 2).sum(1)
    energy = np.concatenate([[0.0], np.cumsum(power)])
    cuts = np.arange(short, len(power) - short)
    if not len(cuts):
        return centre
    before = energy[cuts] - energy[cuts - short]
    after = energy[cuts + short] - energy[cuts]
    floor = 1e-3 * power.max() * short + 1e-12
    return low + int(cuts[np.argmax(np.log((after + floor) / (before + floor)))])
