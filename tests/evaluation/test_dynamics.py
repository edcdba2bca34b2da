"""Figures of motion against closed forms, and injected faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.evaluation.contacts import SyncTally, seen_hits, seen_stirs
from orrery.evaluation.dynamics import (
    GRAVITY_M_S2,
    baseline_positions,
    first_bounce,
    lowest_points,
    object_slots,
    position_errors,
    shape_of,
    speeds,
)
from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.state import STATE

RADIUS_M = 0.04
STEP = 1 / 24


def states(num_frames: int, shape: str = "ball", size_m: float = RADIUS_M) -> Array:
    """One object at rest on the table, an empty slot and a finger."""
    state = np.zeros((num_frames, 3, STATE.width), np.float32)
    STATE.get(state, "quaternion")[..., 0] = 1
    for slot, name in ((0, shape), (2, "finger")):
        STATE.get(state[:, slot], "present")[:] = 1
        STATE.get(state[:, slot], "shape")[:, STATE.shapes.index(name)] = 1
    STATE.get(state, "size")[:] = size_m
    STATE.get(state[:, 0], "position")[:, 2] = size_m
    return state


def bouncing(restitution: float, height_m: float, num_frames: int = 60) -> tuple[Array, list[float]]:
    """A ball dropped from `height_m`, in closed form, and the instants of its impacts."""
    fall = np.sqrt(2 * height_m / GRAVITY_M_S2)
    impacts, speed = [fall], restitution * GRAVITY_M_S2 * fall
    while len(impacts) < 30:
        impacts.append(impacts[-1] + 2 * speed / GRAVITY_M_S2)
        speed *= restitution
    state = states(num_frames)
    for frame in range(num_frames):
        t = (frame + 1) * STEP
        past = [k for k, instant in enumerate(impacts) if instant <= t]
        if not past:
            height, velocity = height_m - GRAVITY_M_S2 * t * t / 2, -GRAVITY_M_S2 * t
        else:
            start = restitution ** (past[-1] + 1) * GRAVITY_M_S2 * fall
            since = t - impacts[past[-1]]
            height, velocity = start * since - GRAVITY_M_S2 * since**2 / 2, start - GRAVITY_M_S2 * since
        STATE.get(state[frame, 0], "position")[2] = RADIUS_M + max(height, 0.0)
        STATE.get(state[frame, 0], "linear_velocity")[2] = velocity if height > 0 else 0.0
    return state, [instant for instant in impacts if instant < num_frames * STEP]


@given(st.floats(0.55, 0.9), st.floats(0.15, 0.35))
def test_bounce_ratio_is_restitution_squared(restitution: float, height_m: float) -> None:
    bounce = first_bounce(bouncing(restitution, height_m)[0], 0, STEP)
    assert bounce is not None
    # A frame is 42 ms: the first is a fall of 9 mm old, and the lowest one is near the table, not on it.
    assert bounce.ratio == pytest.approx(restitution**2, abs=0.10)


def test_no_fall_no_bounce() -> None:
    assert first_bounce(states(30), 0, STEP) is None
    dead, _ = bouncing(0.001, 0.3)
    bounce = first_bounce(dead, 0, STEP)
    assert bounce is not None
    assert bounce.ratio < 0.02


@given(st.floats(0.5, 0.85), st.floats(0.1, 0.35))
def test_hits_are_dated_to_milliseconds(restitution: float, height_m: float) -> None:
    state, impacts = bouncing(restitution, height_m)
    hits = seen_hits(state, 24)
    assert len(hits) >= 1
    assert abs(hits[0] - impacts[0]) < 0.006
    assert len(seen_stirs(state, 24)) >= len(hits)


def test_free_fall_and_rest_are_no_hits() -> None:
    state, impacts = bouncing(0.6, 0.35)
    flying = state[: int(impacts[0] / STEP)]
    for quiet in (flying, states(40)):
        assert len(seen_hits(quiet, 24)) == len(seen_stirs(quiet, 24)) == 0


def clicks(instants: list[float], seconds: float, rate: int = 24_000) -> Array:
    """A decaying tone at each instant, over silence."""
    audio = np.zeros((round(seconds * rate), 2), np.float32)
    ring = 0.3 * np.sin(2 * np.pi * 900 * np.arange(2400) / rate) * np.exp(-np.arange(2400) / 500)
    for instant in instants:
        start = round(instant * rate)
        part = ring[: len(audio) - start]
        audio[start : start + len(part)] += part[:, None].astype(np.float32)
    return audio


def test_sync_catches_injected_faults() -> None:
    """In step is perfect; 200 ms late, mute and noise for nothing are each named for what they are."""
    state, impacts = bouncing(0.7, 0.3)
    impacts = [instant for instant in impacts[:3]]
    seconds = len(state) * STEP
    state = state[: int((impacts[2] + 0.08) / STEP)]
    cases = {
        "in step": (state, clicks(impacts, seconds)),
        "late": (state, clicks([instant + 0.2 for instant in impacts[:1]], seconds)),
        "mute": (state, np.zeros((48_000, 2), np.float32)),
        "for nothing": (states(48), clicks([0.5, 1.0], 2.0)),
    }
    figures = {}
    for name, (moves, sounds) in cases.items():
        tally = SyncTally()
        tally.add(moves, sounds, Clock())
        figures[name] = tally.figures()
    assert figures["in step"]["onset_f1"] == 1
    assert abs(figures["in step"]["delay_median_ms"]) < 6
    assert figures["late"]["onset_f1"] == 0
    assert figures["mute"]["silent_contacts"]["share"] == 1
    assert figures["for nothing"]["phantom_sounds"]["share"] == 1
    assert figures["for nothing"]["onset_f1"] == 0


def test_lowest_points_of_tilted_bodies() -> None:
    """A cube on its edge reaches sqrt(2) half edges down; a lying cylinder its radius; a ball always its
    radius."""
    half = np.sin(np.pi / 8), np.cos(np.pi / 8)
    for shape, quaternion, reach in (
        ("box", (half[1], half[0], 0, 0), np.sqrt(2)),
        ("cylinder", (np.sqrt(0.5), np.sqrt(0.5), 0, 0), 1.0),
        ("cylinder", (half[1], half[0], 0, 0), np.sqrt(2)),
        ("ball", (half[1], half[0], 0, 0), 1.0),
    ):
        state = states(1, shape)
        STATE.get(state[:, 0], "quaternion")[:] = quaternion
        STATE.get(state[:, 0], "position")[:, 2] = reach * RADIUS_M - 0.003
        assert lowest_points(state)[0, 0] == pytest.approx(-0.003, abs=1e-6)


def test_baselines_and_errors() -> None:
    state = states(25)
    STATE.get(state[:, 0], "linear_velocity")[:] = (0.2, -0.1, -1.0)
    STATE.get(state[:, 0], "position")[:, 0] = 0.2 * STEP * np.arange(25)
    seconds = STEP * np.arange(1, 25)
    straight = baseline_positions(state[0], seconds, "constant velocity")
    assert straight[-1, 0] == pytest.approx([0.2, -0.1, RADIUS_M]), "it stops at the table"
    still = baseline_positions(state[0], seconds, "doing nothing")
    assert (still == STATE.get(state[0], "position")).all()
    errors = position_errors(np.repeat(state[:1], 24, axis=0), state[1:])
    assert errors[-1, 0] == pytest.approx(0.2 * 24 * STEP, rel=1e-5)
    assert object_slots(state) == [0]
    assert shape_of(state, 0) == "ball"
    assert speeds(state)[0, 0] == pytest.approx(np.sqrt(1.05))
