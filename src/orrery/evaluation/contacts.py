"""When things are seen to hit something, read from how they move, and whether a sound goes with it.

A hit is a break in velocity that gravity does not explain. Its instant lies between two frames, where the
straight (or falling) paths before and after meet; that is found to a few milliseconds. One measure for every
world, since an imagined world tells no events. Frame f shows the instant (f + 1) / frames_per_second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orrery.evaluation.dynamics import GRAVITY_M_S2, object_slots
from orrery.evaluation.statistics import share
from orrery.evaluation.sync import match_onsets, onsets
from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["CLEAR_M_S", "FAINT_M_S", "SyncTally", "audible_onsets", "seen_hits", "seen_stirs"]

CLEAR_M_S = 0.40
"""A velocity break that must be heard."""
FAINT_M_S = 0.06
"""A velocity break that may explain a sound."""
TOGETHER_SECONDS = 0.035
AUDIBLE_DBFS = -45.0
ONSET_SECONDS = 0.050
DELAY_SECONDS = 0.200
EARLY_SECONDS, LATE_SECONDS = 0.045, 0.125
"""Detectability of sound ahead of and behind its picture, ITU-R BT.1359-1."""


def seen_hits(state: Array, frames_per_second: float) -> Array:
    """Instants of clear hits in a state stream `[frames, slots, D]`, ascending, in seconds since its start,
    `[k]`.

    A hit changes an object's velocity by at least CLEAR_M_S; changes in consecutive frames are one hit, and
    so are hits of two objects within TOGETHER_SECONDS (one strikes the other), since nobody hears them apart.
    """
    step = 1.0 / frames_per_second
    instants: list[float] = []
    for slot in object_slots(state):
        position = STATE.get(state[:, slot], "position").astype(float)
        velocity = STATE.get(state[:, slot], "linear_velocity").astype(float)
        before = None
        for frame in (np.nonzero(_breaks(velocity, step) > CLEAR_M_S)[0] + 1).tolist():
            if before is None or frame - before > 1:
                offset = _meeting(position, velocity, frame, step)
                instants.append(frame * step + offset)
            before = frame
    ordered = np.sort(np.array(instants))
    return ordered[np.diff(ordered, prepend=-1.0) > TOGETHER_SECONDS]


def seen_stirs(state: Array, frames_per_second: float) -> Array:
    """Instants at which anything that may sound is seen, ascending, seconds, `[k]`: every change of an
    object's velocity, or of its spin times its size (a box that rocks), by at least FAINT_M_S; to half a
    frame."""
    step = 1.0 / frames_per_second
    stirs: list[Array] = []
    for slot in object_slots(state):
        part = state[:, slot].astype(float)
        spin = np.linalg.norm(np.diff(STATE.get(part, "angular_velocity"), axis=0), axis=1)
        size = STATE.get(part, "size").max(axis=1)[1:]
        change = np.hypot(_breaks(STATE.get(part, "linear_velocity"), step), spin * size)
        stirs.append((np.nonzero(change > FAINT_M_S)[0] + 1.5) * step)
    return np.sort(np.concatenate(stirs)) if stirs else np.zeros(0)


def _breaks(velocity: Array, step: float) -> Array:
    """How much each velocity `[frames, 3]` differs from the one before, falling or lying, `[frames - 1]`
    m/s."""
    change = np.diff(velocity, axis=0)
    falling = np.linalg.norm(change + np.array([0.0, 0.0, GRAVITY_M_S2 * step]), axis=1)
    return np.minimum(falling, np.linalg.norm(change, axis=1))


def _meeting(position: Array, velocity: Array, frame: int, step: float) -> float:
    """Seconds after frame - 1 at which the paths before and after meet, along the blow."""
    # Both paths fall with the same acceleration, so in a falling frame of reference they are straight lines.
    fall = (
        np.array([0.0, 0.0, -GRAVITY_M_S2])
        if np.ptp(velocity[frame - 1 : frame + 1, 2]) > 0.2
        else np.zeros(3)
    )
    start, end = velocity[frame - 1], velocity[frame] - fall * step
    moved = position[frame] - position[frame - 1] - 0.5 * fall * step**2
    blow = end - start
    size = float(blow @ blow)
    if size < 1e-9:
        return step / 2
    return float(np.clip((end * step - moved) @ blow / size, 0.0, step))


def audible_onsets(
    audio: Array, instants: Array, samples_per_second: int, dbfs: float = AUDIBLE_DBFS
) -> Array:
    """Those onsets after which 50 ms of sound reach `dbfs`: what nobody hears is no phantom."""
    length = round(0.05 * samples_per_second)
    starts = [round(instant * samples_per_second) for instant in instants]
    power = [float((audio[start : start + length].astype(float) ** 2).mean()) for start in starts]
    return instants[np.array(power) > 10 ** (dbfs / 10)] if len(instants) else instants


@dataclass
class SyncTally:
    """Hits and sounds of many episodes, summed up as A1 and A2 of the evaluation."""

    num_clear: int = 0
    num_heard: int = 0
    num_sounds: int = 0
    num_explained: int = 0
    delays_seconds: list[float] = field(default_factory=list)

    def add(self, state: Array, audio: Array, clock: Clock) -> None:
        """One episode: its states `[frames, slots, D]` and its sound `[samples, channels]`."""
        clear = seen_hits(state, clock.frames_per_second)
        stirs = seen_stirs(state, clock.frames_per_second)
        heard = onsets(audio, clock.samples_per_second)
        loud = audible_onsets(audio, heard, clock.samples_per_second)
        self.num_clear += len(clear)
        self.num_heard += len(match_onsets(heard, clear, ONSET_SECONDS).delays)
        self.num_sounds += len(loud)
        # Several sounds may come of one hit (a box on two corners), so each only needs a stir near it.
        self.num_explained += int(sum(_near(onset, stirs, ONSET_SECONDS) for onset in loud))
        self.delays_seconds += match_onsets(heard, clear, DELAY_SECONDS).delays.tolist()

    def figures(self) -> dict[str, Any]:
        """A1 (delays, positive is late) and A2 (F1 within 50 ms, silent hits, phantom sounds), plain
        values."""
        recall = self.num_heard / max(self.num_clear, 1)
        precision = self.num_explained / max(self.num_sounds, 1)
        delays = np.array(self.delays_seconds)
        inside = int(((delays >= -EARLY_SECONDS) & (delays <= LATE_SECONDS)).sum())
        return {
            "onset_f1": 2 * recall * precision / max(recall + precision, 1e-9),
            "silent_contacts": share(self.num_clear - self.num_heard, self.num_clear),
            "phantom_sounds": share(self.num_sounds - self.num_explained, self.num_sounds),
            "delay_median_ms": float(1000 * np.median(delays)) if len(delays) else None,
            "delay_p5_ms": float(1000 * np.percentile(delays, 5)) if len(delays) else None,
            "delay_p95_ms": float(1000 * np.percentile(delays, 95)) if len(delays) else None,
            "within_bt1359": share(inside, len(delays)),
        }


def _near(instant: float, others: Sequence[float] | Array, within: float) -> bool:
    return bool(len(others)) and float(np.abs(np.asarray(others) - instant).min()) <= within
