"""Whether what is seen to hit is heard, when it is seen, and nothing else (A1, A2)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from orrery.evaluation.film.question import Answer, Question
from orrery.evaluation.shift import STEP_SECONDS, swells, swells_about
from orrery.evaluation.sync import onsets
from orrery.streams import Array

__all__ = [
    "MAX_ONSETS_PER_SECOND",
    "OFFSET",
    "PHANTOM",
    "SILENT",
    "Hit",
    "Sound",
    "is_of_contacts",
    "offset",
    "phantoms",
    "silent",
]

OFFSET = Question(
    "A1", "sound", "sound out of step", "ms beyond what people notice (45 early, 125 late), ITU-R BT.1359",
    0.0, 45.0, "{subject}",
)  # fmt: skip
SILENT = Question(
    "A2", "sound", "silent contacts", "share of the clear hits", 0.1, 0.5,
    "{subject}, and nothing is heard",
)  # fmt: skip
PHANTOM = Question(
    "A2", "sound", "sounds without a contact", "times a minute", 0.5, 3.0,
    "a sound without a contact: nothing moves", counts=True,
)  # fmt: skip

EARLY_SECONDS, LATE_SECONDS = 0.045, 0.125
MAX_LAG_SECONDS = 0.35
MATCH_SECONDS = 0.030
LAG_SECONDS, NEAR_SECONDS = 0.005, 0.012
LEAST_HITS, LEAST_FIT, CLEARLY_LESS = 2, 0.5, 0.7
FAINT = 1e-4
"""Of a swell, in fourth roots of power: less is no sound."""
CLEAR = 1.0
"""Change of velocity that must be heard, screen heights a second."""
MAX_ONSETS_PER_SECOND = 4.0
AUDIBLE_DBFS, LOUD_DBFS, RISE_DB = -45.0, -40.0, 10.0
QUIET_SECONDS = 0.25
CHUNK_SECONDS, OVERLAP_SECONDS = 10.0, 0.5
ENVELOPE_HZ = 50


class Hit(NamedTuple):
    """Something that is seen to hit something. strength: change of its velocity that is certain, screen
    heights a second."""

    seconds: float
    strength: float
    subject: str
    x: float
    y: float


@dataclass
class Sound:
    """What is kept of a film's sound: instants at which something starts to sound, seconds; how loud the
    50 ms after each are, dBFS; how much louder than the 100 ms before, dB; and the peak of each fiftieth of a
    second. swells: how much louder it gets in each millisecond, as `shift.swells`."""

    onsets: list[float] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)
    rises: list[float] = field(default_factory=list)
    envelope: list[float] = field(default_factory=list)
    swells: array[float] = field(default_factory=lambda: array("f"))
    seconds: float = 0.0

    @classmethod
    def of(cls, pieces: Iterable[Array], samples_per_second: int) -> Sound:
        """Of consecutive pieces `[m, 2]` of sound, in bounded memory."""
        found = cls()
        waiting, start = np.zeros((0, 2), np.float32), 0
        chunk, overlap = (round(s * samples_per_second) for s in (CHUNK_SECONDS, OVERLAP_SECONDS))
        for piece in pieces:
            waiting = np.concatenate([waiting, piece])
            while len(waiting) >= chunk + overlap:
                found._take(waiting[: chunk + overlap], start, samples_per_second, chunk)
                waiting, start = waiting[chunk - overlap :], start + chunk - overlap
        found._take(waiting, start, samples_per_second, len(waiting))
        found.seconds = (start + len(waiting)) / samples_per_second
        return found

    def _take(self, samples: Array, start: int, rate: int, length: int) -> None:
        """Onsets of a chunk, but for those of its last half second, which the next one tells better."""
        known = self.onsets[-1] if self.onsets else -1.0
        for instant in onsets(samples, rate).tolist():
            if start / rate + instant <= known + 0.02 or instant > length / rate:
                continue
            at = round(instant * rate)
            after = _dbfs(samples[at : at + rate // 20])
            before = _dbfs(samples[max(0, at - rate // 10) : max(1, at - rate // 200)])
            self.onsets.append(start / rate + instant)
            self.loudness.append(after)
            self.rises.append(after - before)
        begin, end = (round(n / rate / STEP_SECONDS) for n in (start, length))
        self.swells.extend(swells(samples, rate)[len(self.swells) - begin : end].tolist())
        done = len(self.envelope)
        loud, step = np.abs(samples).max(1), rate / ENVELOPE_HZ
        last = int((start + len(samples)) / step)
        for k in range(done, last):
            begin = max(0, round(k * step) - start)
            self.envelope.append(
                float(loud[begin : max(begin + 1, round((k + 1) * step) - start)].max(initial=0.0))
            )

    def audible(self, dbfs: float = AUDIBLE_DBFS) -> Array:
        """Those instants after which it is that loud."""
        return np.array(self.onsets)[np.array(self.loudness) > dbfs] if self.onsets else np.zeros(0)


def _dbfs(samples: Array) -> float:
    return (
        10.0 * float(np.log10(float((samples.astype(float) ** 2).mean()) + 1e-10)) if len(samples) else -100.0
    )


def is_of_contacts(sound: Sound, hits: Sequence[Hit]) -> bool:
    """Whether a film's sound can be held against its hits: there are some, and it is no music or talk, in
    which something starts to sound all the time."""
    rate = len(sound.audible()) / max(sound.seconds, 1e-6)
    return bool(len(hits)) and 0 < rate <= MAX_ONSETS_PER_SECOND


def _matched(hits: Sequence[Hit], heard: Array, lag: float, tolerance: float) -> int:
    """How many hits have an onset within `tolerance` of `lag` after them. heard: ascending."""
    wanted = np.array([hit.seconds for hit in hits]) + lag
    after = np.searchsorted(heard, wanted)
    near = [np.abs(heard[(after + k).clip(0, len(heard) - 1)] - wanted) for k in (-1, 0)]
    return int((np.minimum(*near) <= tolerance).sum())


def offset(sound: Sound, hits: Sequence[Hit]) -> Iterator[Answer]:
    """How far beyond what is noticed the sound lies before or after the hits, at the lag at which it swells
    most about them; only where it does so clearly less at any lag that nobody notices.

    Each hit counts alike, whatever the loudest swell near it is. One alone tells nothing: something else may
    be louder near it."""
    if len(hits) < LEAST_HITS:
        return
    swell = np.array(sound.swells)
    lags = np.arange(-MAX_LAG_SECONDS, MAX_LAG_SECONDS + LAG_SECONDS / 2, LAG_SECONDS)
    about = swells_about(swell, np.array([hit.seconds for hit in hits]), lags, NEAR_SECONDS)
    fits = (about / np.maximum(about.max(0), FAINT)).mean(1)
    fine = (lags >= -EARLY_SECONDS) & (lags <= LATE_SECONDS)
    inside = float(fits[fine].max())
    if fits.max() < LEAST_FIT:
        return
    told = fine & (fits >= inside) if inside > CLEARLY_LESS * fits.max() else fits >= fits.max()
    best = float(np.median(lags[told]))
    beyond = 1000.0 * max(0.0, -best - EARLY_SECONDS, best - LATE_SECONDS)
    words = f"sound comes {abs(1000 * best):.0f} ms {'late' if best > 0 else 'early'}"
    first = hits[0]
    yield Answer(first.seconds, words, beyond, first.x, first.y)


def silent(sound: Sound, hits: Sequence[Hit]) -> Iterator[Answer]:
    """The share of the clear hits without any onset about them, told of the clearest that is silent."""
    if not len(hits):
        return
    heard = np.array(sound.onsets)
    unheard = [
        hit
        for hit in hits
        if not (
            (heard > hit.seconds - EARLY_SECONDS - MATCH_SECONDS) & (heard < hit.seconds + LATE_SECONDS)
        ).any()
    ]
    worst = max(unheard or hits, key=lambda hit: hit.strength)
    yield Answer(worst.seconds, f"{worst.subject} hits something", len(unheard) / len(hits), worst.x, worst.y)


def phantoms(sound: Sound, hits: Sequence[Hit], stirring: Sequence[float]) -> Iterator[Answer]:
    """Each loud sound about which nothing in the picture moves, of a film whose hits are heard."""
    heard = np.array(sound.onsets)
    if not len(heard) or not len(hits) or not _matched(hits, heard, 0.04, 0.085):
        return
    moments = np.array(stirring)
    for instant, loudness, rise in zip(sound.onsets, sound.loudness, sound.rises, strict=True):
        alone = not len(moments) or float(np.abs(moments - instant).min()) > QUIET_SECONDS
        if alone and loudness > LOUD_DBFS and rise > RISE_DB:
            yield Answer(instant, "a sound", loudness)
