"""Events of ticks: when something happens, when something starts to sound, and how well two agree.

A tick early or late is the same event, for a tick is the finest that a learned world has.
"""

from __future__ import annotations

import numpy as np

from orrery.evaluation.sync import onsets
from orrery.streams import Array

__all__ = ["event_f1", "events_per_minute", "number_events", "onset_ticks"]

WITHIN_TICKS = 1
AROUND_SECONDS = 0.030
LOUDER = 1.5
"""Times by which power after an onset exceeds that before it; where a tone ends, its click is no onset."""


def event_f1(truth: Array, made: Array, within: int = WITHIN_TICKS) -> float:
    """F1 of events `[N, ticks]` that may be `within` ticks early or late; each is paired once.

    nan where there are none at all.
    """
    num_true, num_made = int(truth.sum()), int(made.sum())
    if not num_true and not num_made:
        return float("nan")
    pairs = sum(_num_pairs(t, m, within) for t, m in zip(truth, made, strict=True))
    return 2.0 * pairs / (num_true + num_made)


def _num_pairs(truth: Array, made: Array, within: int) -> int:
    """The most pairs of two ascending lists of ticks: each takes the earliest that is free."""
    free, pairs = list(np.flatnonzero(made)), 0
    for tick in np.flatnonzero(truth):
        while free and free[0] < tick - within:
            free.pop(0)
        if free and free[0] <= tick + within:
            free.pop(0)
            pairs += 1
    return pairs


def onset_ticks(audio: Array, samples_per_second: int) -> Array:
    """Ticks `[N, T]` in which something starts to sound. audio: `[N, T, samples, channels]`."""
    num, ticks, samples, channels = audio.shape
    found = np.zeros((num, ticks), bool)
    around = round(AROUND_SECONDS * samples_per_second)
    for k in range(num):
        sound = audio[k].reshape(-1, channels).astype(np.float64)
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound).sum(1))])
        for instant in onsets(sound, samples_per_second):
            sample = round(instant * samples_per_second)
            before = energy[sample] - energy[max(0, sample - around)]
            after = energy[min(len(sound), sample + around)] - energy[sample]
            if after > LOUDER * before:
                found[k, min(sample // samples, ticks - 1)] = True
    return found


def number_events(values: Array, usual: float, spread: float) -> Array:
    """Ticks `[N, T]` in which a number is clearly another than usual: by more than half of its spread.

    values: `[N, T, *shape]`, summed over a tick.
    """
    flat = values.reshape(*values.shape[:2], -1).sum(-1)
    return np.abs(flat - usual) > max(0.5 * spread, 1e-6)


def events_per_minute(events: Array, tick_seconds: float) -> float:
    """Events of `[N, T]` in a minute of one world."""
    minutes = events.size * tick_seconds / 60
    return float(events.sum() / minutes) if minutes else float("nan")
