"""Whether things stay what and where they are: births, deaths, leaps, and drift of colour and size."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d
from skimage.color import deltaE_ciede2000, rgb2lab

from orrery.evaluation.measure import Measure, Sample
from orrery.evaluation.physics import stretches
from orrery.evaluation.recording import Recording
from orrery.streams import Array
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["CHANGES", "COLOUR", "SIZE", "STALL"]

LEAP_M = 0.07
"""Further off its way than this, from one frame to the next, nothing on the table gets: falls and hits
between frames make up to 0.06."""
STILL = 1e-6
STALL_FRAMES = 3


def _changes(recording: Recording) -> list[Sample]:
    """Every time an object appears, vanishes, turns into another shape or leaps: value 1."""
    samples = []
    for slot in recording.slots:
        body = recording.state[:, slot]
        there = STATE.get(body, "present")[:, 0] > 0.5
        shape = STATE.get(body, "shape").argmax(-1)
        told = {
            "comes out of nothing": ~there[:-1] & there[1:],
            "vanishes": there[:-1] & ~there[1:],
            "turns into another shape": there[:-1] & there[1:] & (shape[:-1] != shape[1:]),
            "leaps": _leaps_m(body) > LEAP_M,
        }
        for what, happens in told.items():
            for frame in np.flatnonzero(happens):
                when = (int(frame) + 2) * recording.frame_seconds
                samples.append(Sample(when, f"{recording.name(slot)} {what}", 1.0))
    return samples


def _leaps_m(body: Array) -> Array:
    """How far each move from frame to frame is off its way, `[frames - 1]` metres, of a body `[frames, D]`.

    A hit mixes the move before it with the one after it: what lies between the two is no leap.
    """
    there = STATE.get(body, "present")[:, 0] > 0.5
    move = np.diff(STATE.get(body, "position").astype(float), axis=0)
    padded = np.concatenate([move[:1], move, move[-1:]])
    before, after = padded[:-2], padded[2:]
    way = after - before
    along = ((move - before) * way).sum(-1) / np.maximum((way * way).sum(-1), 1e-12)
    off = np.linalg.norm(move - before - along.clip(0.0, 1.0)[:, None] * way, axis=-1)
    # Where an object is absent its position is told as nothing, which is no place to leap from.
    return off * minimum_filter1d((there[:-1] & there[1:]).astype(int), 3)


def _stalls(recording: Recording) -> list[Sample]:
    """Every time that all things at once stand still to the last bit: how fast one of them was, m/s."""
    pose = np.concatenate(
        [STATE.get(recording.state, name) for name in ("position", "quaternion")], axis=-1
    ).astype(float)
    same = np.abs(np.diff(pose, axis=0)).max((1, 2)) < STILL
    position = STATE.get(recording.state[:, recording.slots], "position")
    speed = np.linalg.norm(np.diff(position, axis=0), axis=-1).max(-1, initial=0.0) / recording.frame_seconds
    samples = []
    for run in stretches(same):
        if run.start and run.stop - run.start >= STALL_FRAMES:
            when = (run.start + 1) * recording.frame_seconds
            samples.append(Sample(when, "everything", float(speed[run.start - 1])))
    return samples


def _colour_drifts(recording: Recording) -> list[Sample]:
    """Per object, the greatest difference of its colour from its first one, CIEDE2000."""
    samples = []
    for slot in recording.slots:
        frames = _present(recording, slot)
        lab = rgb2lab(STATE.get(_with_first(recording, slot, frames), "colour").astype(float))
        drift = deltaE_ciede2000(lab[:1], lab[1:])
        last = int(drift.argmax())
        when = (int(frames[last]) + 1) * recording.frame_seconds
        samples.append(Sample(when, recording.name(slot), float(drift[last])))
    return samples


def _with_first(recording: Recording, slot: int, frames: Array) -> Array:
    """An object `[1 + frames, D]`, and before it what it is held against: the same in the first of the frames
    or, of a later part of a film, in the film's first, if it is there."""
    body = recording.state[frames, slot]
    first = body[0] if recording.first is None else recording.first[slot]
    return np.concatenate([first[None] if STATE.get(first, "present")[0] > 0.5 else body[:1], body])


def _size_spreads(recording: Recording) -> list[Sample]:
    """Per object, how much its volume's cube root spreads over the recording, as a share of its median."""
    samples = []
    for slot in recording.slots:
        frames = _present(recording, slot)
        size = STATE.get(_with_first(recording, slot, frames), "size").astype(float).prod(-1) ** (1 / 3)
        last = int(np.abs(size[1:] - size[0]).argmax())
        when = (int(frames[last]) + 1) * recording.frame_seconds
        samples.append(Sample(when, recording.name(slot), float(np.ptp(size) / np.median(size))))
    return samples


def _present(recording: Recording, slot: int) -> Array:
    """The frames in which an object is there."""
    return np.flatnonzero(STATE.get(recording.state[:, slot], "present")[:, 0] > 0.5)


STALL = Measure(
    "I1", "identity", "picture that stands still", 0.05,
    "{subject} stops dead, out of {value:.2f} m/s", _stalls,
)  # fmt: skip
CHANGES = Measure("I1", "identity", "births, deaths, switches and leaps", 0.5, "{subject}", _changes)
COLOUR = Measure(
    "I2", "identity", "colour drift", 3.0,
    "{subject} changes its colour by {value:.0f} (CIEDE2000; 3 is hardly seen)", _colour_drifts,
)  # fmt: skip
SIZE = Measure(
    "I2", "identity", "spread of size", 0.05,
    "{subject} changes its size by {value:.0%}", _size_spreads,
)  # fmt: skip
