"""A recording by formula that every part of the evaluation can be tried on."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.evaluation.recording import Recording
from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE

CLOCK = Clock()
FRAMES, STEP = 60, 1 / 24


@pytest.fixture(scope="session")
def recording() -> Recording:
    """By formula: a ball falls 20 cm and bounces, a box slides slowly far away; a click at each landing."""
    seconds = np.arange(FRAMES) * STEP
    state = np.zeros((FRAMES, 4, STATE.width), np.float32)
    _body(state[:, 0], "ball", "red", 0.04)
    _body(state[:, 1], "box", "blue", 0.05)
    _body(state[:, 3], "finger", "black", 0.012)
    height, speed, landings = _bouncing(seconds, 0.2, 0.6)
    STATE.get(state[:, 0], "position")[:, 2] = 0.04 + height
    STATE.get(state[:, 0], "linear_velocity")[:, 2] = speed
    STATE.get(state[:, 1], "position")[:] = np.stack(
        [0.2 + 0.02 * seconds, 0 * seconds, 0 * seconds + 0.05], 1
    )
    STATE.get(state[:, 1], "linear_velocity")[:, 0] = 0.02
    STATE.get(state[:, 3], "position")[:] = [0.0, 0.1, 0.6]
    audio = np.zeros((round(FRAMES * STEP * CLOCK.samples_per_second), 2), np.float32)
    ring = np.exp(-np.arange(2400) / 400) * np.sin(np.arange(2400) * 0.5)
    for landing in landings[:3]:
        # frame f shows the instant f + 1
        start = round((landing + STEP) * CLOCK.samples_per_second)
        audio[start : start + 2400] += 0.3 * ring[: len(audio) - start, None]
    return Recording(CLOCK, state, audio, np.zeros((FRAMES, 4, 4, 3), np.float32))


def _body(state: Array, shape: str, colour: str, size: float) -> None:
    state[:, STATE.slice("present")] = state[:, STATE.slice("visible")] = 1.0
    state[:, STATE.slice("quaternion")] = [1, 0, 0, 0]
    state[:, STATE.slice("shape")] = np.eye(len(STATE.shapes))[STATE.shapes.index(shape)]
    state[:, STATE.slice("size")] = size
    state[:, STATE.slice("colour")] = COLOURS[colour]
    state[:, STATE.slice("material")] = np.eye(len(STATE.materials))[0]


def _bouncing(seconds: Array, drop_m: float, restitution: float) -> tuple[Array, Array, list[float]]:
    """Height and speed of a point that falls and bounces, and when it lands."""
    height, speed, landings = np.zeros(len(seconds)), np.zeros(len(seconds)), []
    start, up = 0.0, 0.0
    end = np.sqrt(2 * drop_m / 9.81)
    for _ in range(12):
        inside = (seconds >= start) & (seconds < end)
        t = seconds[inside] - start
        height[inside] = (drop_m if not landings else 0.0) + up * t - 9.81 * t**2 / 2
        speed[inside] = up - 9.81 * t
        landings.append(float(end))
        up = restitution * (np.sqrt(2 * 9.81 * drop_m) if up == 0.0 else up)
        start, end = end, end + 2 * up / 9.81
    return np.maximum(height, 0.0), speed, landings
