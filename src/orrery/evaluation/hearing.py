"""Whether what is seen is heard, when it is seen, and nothing else (A1, A2).

The figures of a report sum up single hits (`contacts.SyncTally`). A sample here is what one recording as a
whole shows, for a single hit may be masked by the ring of another, and the exact world's own onsets are not
all found.
"""

from __future__ import annotations

import numpy as np

from orrery.evaluation.contacts import ONSET_SECONDS, audible_onsets, seen_stirs
from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.recording import Recording
from orrery.streams import Array
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["DELAY", "PHANTOM", "SILENT"]

CAP_SECONDS = 0.050
EARLY_ONSET_SECONDS = 0.0022
"""What `sync.onsets` finds too early, median over the exact world's contacts."""
SCRAPE_DBFS = -34.0
"""What slides or rolls may sound at any time, but not louder than this."""
SCRAPE_M_S = 0.1


def _delays(recording: Recording) -> list[Sample]:
    """How far the nearest onset is from a clear hit, either way and at most CAP_SECONDS, mean over the film's
    hits, ms. Sound that is shifted as a whole is near other hits by chance, but not as near."""
    hits, heard = recording.hits, recording.heard + EARLY_ONSET_SECONDS
    if not len(hits) or not len(heard):
        return []
    apart = np.abs(heard[:, None] - hits[None]).min(0).clip(max=CAP_SECONDS)
    first = float(hits[int(apart.argmax())])
    return [Sample(first, "hits and their sounds", 1000.0 * float(apart.mean()))]


def _silent(recording: Recording) -> list[Sample]:
    """The share of clear hits without a sound."""
    hits, heard = recording.hits, recording.heard
    if not len(hits):
        return []
    silent = [t for t in hits if not len(heard) or np.abs(heard - t).min() > ONSET_SECONDS]
    return [Sample(float((silent or hits)[0]), "hits", len(silent) / len(hits))]


def _phantoms(recording: Recording) -> list[Sample]:
    """How long before or after each audible sound there is anything that may cause it, ms."""
    stirs = seen_stirs(recording.state, recording.clock.frames_per_second)
    velocity = STATE.get(recording.state, "linear_velocity")
    moving = np.linalg.norm(velocity, axis=-1).max(-1, initial=0.0) > SCRAPE_M_S
    causes = np.concatenate([stirs, (np.flatnonzero(moving) + 1) * recording.frame_seconds])
    rate = recording.clock.samples_per_second
    heard = audible_onsets(recording.audio, recording.heard, rate)
    loud = set(audible_onsets(recording.audio, heard, rate, SCRAPE_DBFS).tolist())
    return [
        Sample(float(t), "a sound", 1000.0 * _nearest(float(t), stirs if t in loud else causes))
        for t in heard
    ]


def _nearest(instant: float, others: Array) -> float:
    """Seconds to the nearest of others; where there is none, a second."""
    return float(np.abs(others - instant).min()) if len(others) else 1.0


DELAY = Measure(
    "A1", "sound", "contact to onset", 13.0, "{subject} are {value:.0f} ms apart on average", _delays
)
SILENT = Measure("A2", "sound", "silent contacts", 0.5, "{value:.0%} of the {subject} are silent", _silent)
PHANTOM = Measure(
    "A2", "sound", "phantom sounds", 100.0, "{subject} without a cause within {value:.0f} ms", _phantoms
)
