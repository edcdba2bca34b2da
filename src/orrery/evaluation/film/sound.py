"""Whether what is seen to hit is heard, when it is seen, and nothing else (A1, A2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from orrery.evaluation.film.question import Answer, Question
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
CLEAR = 1.0
"""Change of velocity that must be heard, screen heights a second."""
MAX_ONSETS_PER_SECOND = 4.0
AUDIBLE_DBFS, LOUD_DBFS, RISE_DB = -45.0, -40.0, 10.0
QUIET_SECONDS = 0.25
CHUNK_SECONDS, OVERLAP_SECONDS = 10.0, 0.5
ENVELOPE_HZ = 50


class Hit(NamedTuple):
    """Something that is seen to hit something. strength: change of its velocity, screen heights a second."""

    seconds: float
    strength: float
    subject: str
    x: float
    y: float


@dataclass
class Sound:
    """What is kept of a film's sound: instants at which something starts to sound, seconds; how loud the
    50 ms after each are, dBFS; how much louder than the 100 ms before, dB; and the peak of each fiftieth of a
    second."""

    onsets: list[float] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)
    rises: list[float] = field(default_factory=list)
    envelope: list[float] = field(default_factory=list)
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
    """How far beyond what is noticed the sound lies before or after the hits, at the lag that explains most
    of them; only where no lag that nobody notices explains as many."""
    heard = sound.audible()
    if not len(heard) or not len(hits):
        return
    lags = np.arange(-MAX_LAG_SECONDS, MAX_LAG_SECONDS, 0.005)
    counts = np.array([_matched(hits, heard, lag, MATCH_SECONDS) for lag in lags])
    fine = (lags >= -EARLY_SECONDS) & (lags <= LATE_SECONDS)
    if counts.max() < max(1.0, 0.5 * len(hits)):
        return
    inside = counts.max(where=fine, initial=0)
    if inside >= counts.max() or inside >= 0.5 * len(hits):
        best = float(np.median(lags[fine & (counts == inside)]))
    else:
        best = float(np.median(lags[counts == counts.max()]))
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
