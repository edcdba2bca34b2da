"""The finger's script: how it comes down beside an object, pushes it, and goes away again.

An action is the velocity of the finger's target, metres a second in the world frame, held for a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Tray
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M

__all__ = ["DESCENT_M_S", "MAX_SPEED_M_S", "PUSH_HEIGHT_M", "FingerScript", "push_script", "script_from"]

MAX_SPEED_M_S = 0.8
_START_HEIGHT_M = 0.36
PUSH_HEIGHT_M = FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 0.012
DESCENT_M_S = 0.55
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class FingerScript:
    """Where the finger starts (`[3]`, metres) and its legs: (duration in seconds, velocity `[3]`).

    Where the finger has a grip, velocities have it as a fourth number, in [0, 1]. size: how many there are.
    """

    start_m: Array
    legs: tuple[tuple[float, Array], ...]
    size: int = 3

    @property
    def seconds(self) -> float:
        """How long all legs take."""
        return sum(duration for duration, _ in self.legs)

    def velocity(self, seconds: float) -> Array:
        """Velocity of the target at a time since the episode's start, `[size]`; zero after the last leg."""
        for duration, velocity in self.legs:
            if seconds < duration:
                return velocity
            seconds -= duration
        return np.zeros(self.size)


def push_script(
    position_m: tuple[float, float, float],
    half_extent_m: float,
    towards: tuple[float, float],
    speed_m_s: float,
    distance_m: float,
    tray: Tray,
    height_m: float = PUSH_HEIGHT_M,
) -> FingerScript:
    """Down beside a body, on towards it and beyond its near face, wait, up. height_m: of the finger's
    centre."""
    direction = np.array([*towards, 0.0])
    gap = half_extent_m * math.sqrt(2.0) + FINGER_RADIUS_M + 0.012
    inside = np.array([tray.half_x, tray.half_y]) - FINGER_RADIUS_M - 0.004
    beside = np.clip(np.array(position_m[:2]) - gap * direction[:2], -inside, inside)
    descent = _START_HEIGHT_M - height_m
    push_seconds = (distance_m + gap - half_extent_m) / speed_m_s
    down, up = np.array([0.0, 0.0, -DESCENT_M_S]), np.array([0.0, 0.0, DESCENT_M_S])
    return FingerScript(
        start_m=np.array([*beside, _START_HEIGHT_M]),
        legs=(
            (descent / DESCENT_M_S, down),
            (push_seconds, direction * speed_m_s),
            (_PAUSE_SECONDS, np.zeros(3)),
            ((FINGER_PARKED_M[2] - height_m) / DESCENT_M_S, up),
        ),
    )


def script_from(plan: FingerScript, finger_m: Array, seconds: float, frames_per_second: int) -> FingerScript:
    """A plan, begun `seconds` after the reset by a finger that is at `finger_m [3]` then: up, to where the
    plan starts, and then as planned.

    On the way there each leg takes a whole number of frames, so that the finger comes to where it should; all
    legs end half a frame early, so that rounding decides nothing.
    """
    above = np.array([*finger_m[:2], max(finger_m[2], plan.start_m[2])])
    beside = np.array([*plan.start_m[:2], above[2]])
    legs = [(seconds - 0.5 / frames_per_second, np.zeros(plan.size))]
    for start, end, speed in (
        (finger_m, above, DESCENT_M_S),
        (above, beside, MAX_SPEED_M_S),
        (beside, plan.start_m, DESCENT_M_S),
    ):
        frames = math.ceil(float(np.linalg.norm(end - start)) * frames_per_second / speed - 1e-6)
        if frames:
            velocity = np.zeros(plan.size)
            velocity[:3] = (end - start) * frames_per_second / frames
            legs.append((frames / frames_per_second, velocity))
    return FingerScript(finger_m, (*legs, *plan.legs), plan.size)
