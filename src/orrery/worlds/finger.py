"""The finger's script: how it comes down beside an object, pushes it, and goes away again.

An action is the velocity of the finger's target, metres a second in the world frame, held for a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orrery.scenes.scene import TRAY, Scene
from orrery.streams import Array
from orrery.worlds.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M

__all__ = ["MAX_SPEED_M_S", "FingerScript", "plan_script"]

MAX_SPEED_M_S = 0.8
_START_HEIGHT_M = 0.36
_PUSH_HEIGHT_M = FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 0.012
_DESCENT_M_S = 0.55
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class FingerScript:
    """Where the finger starts (`[3]`, metres) and its legs: (duration in seconds, velocity `[3]`)."""

    start_m: Array
    legs: tuple[tuple[float, Array], ...]

    def velocity(self, seconds: float) -> Array:
        """Velocity of the target at a time since the episode's start, `[3]` m/s; zero after the last leg."""
        for duration, velocity in self.legs:
            if seconds < duration:
                return velocity
            seconds -= duration
        return np.zeros(3)


def plan_script(scene: Scene) -> FingerScript:
    """The finger's plan for a scene: down beside the target, push, wait, up; or nothing, parked."""
    if scene.push is None:
        return FingerScript(np.array(FINGER_PARKED_M), ())
    body = scene.bodies[scene.push.target]
    direction = np.array([*scene.push.direction, 0.0])
    gap = body.half_extent_m * math.sqrt(2.0) + FINGER_RADIUS_M + 0.012
    inside = np.array([TRAY.half_x, TRAY.half_y]) - FINGER_RADIUS_M - 0.004
    beside = np.clip(np.array(body.position_m[:2]) - gap * direction[:2], -inside, inside)
    descent = _START_HEIGHT_M - _PUSH_HEIGHT_M
    push_seconds = (scene.push.distance_m + gap - body.half_extent_m) / scene.push.speed_m_s
    down, up = np.array([0.0, 0.0, -_DESCENT_M_S]), np.array([0.0, 0.0, _DESCENT_M_S])
    return FingerScript(
        start_m=np.array([*beside, _START_HEIGHT_M]),
        legs=(
            (descent / _DESCENT_M_S, down),
            (push_seconds, direction * scene.push.speed_m_s),
            (_PAUSE_SECONDS, np.zeros(3)),
            ((FINGER_PARKED_M[2] - _PUSH_HEIGHT_M) / _DESCENT_M_S, up),
        ),
    )
