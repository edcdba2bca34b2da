"""The finger's script: how it comes down beside an object, pushes it, and goes away again.

An action is the velocity of the finger's target, metres a second in the world frame, held for a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orrery.scenes.laboratory import LAB_TRAY, FingerTask, LabScene
from orrery.scenes.scene import TRAY, Scene, Tray, reach_m
from orrery.streams import Array
from orrery.worlds.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M

__all__ = ["MAX_SPEED_M_S", "PUSH_HEIGHT_M", "FingerScript", "begins_clear", "plan_script", "plan_task"]

MAX_SPEED_M_S = 0.8
_START_HEIGHT_M = 0.36
PUSH_HEIGHT_M = FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 0.012
_DESCENT_M_S = 0.55
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class FingerScript:
    """Where the finger starts (`[3]`, metres) and its legs: (duration in seconds, velocity `[3]`).

    Where the finger has a grip, velocities have it as a fourth number, in [0, 1]. size: how many there are.
    """

    start_m: Array
    legs: tuple[tuple[float, Array], ...]
    size: int = 3

    def velocity(self, seconds: float) -> Array:
        """Velocity of the target at a time since the episode's start, `[size]`; zero after the last leg."""
        for duration, velocity in self.legs:
            if seconds < duration:
                return velocity
            seconds -= duration
        return np.zeros(self.size)


def plan_script(scene: Scene) -> FingerScript:
    """The finger's plan for a scene: down beside the target, push, wait, up; or nothing, parked."""
    if scene.push is None:
        return FingerScript(np.array(FINGER_PARKED_M), ())
    body, push = scene.bodies[scene.push.target], scene.push
    return _sideways(
        body.position_m, body.half_extent_m, push.direction, push.speed_m_s, push.distance_m, TRAY
    )


def begins_clear(scene: Scene) -> bool:
    """Whether no body reaches into the finger, a capsule that stands upright, where its plan starts."""
    x, y, z = plan_script(scene).start_m
    for body in scene.bodies:
        height = float(np.clip(body.position_m[2], z - FINGER_HALF_LENGTH_M, z + FINGER_HALF_LENGTH_M))
        if math.dist(body.position_m, (x, y, height)) <= reach_m(body) + FINGER_RADIUS_M:
            return False
    return True


def _sideways(
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
    down, up = np.array([0.0, 0.0, -_DESCENT_M_S]), np.array([0.0, 0.0, _DESCENT_M_S])
    return FingerScript(
        start_m=np.array([*beside, _START_HEIGHT_M]),
        legs=(
            (descent / _DESCENT_M_S, down),
            (push_seconds, direction * speed_m_s),
            (_PAUSE_SECONDS, np.zeros(3)),
            ((FINGER_PARKED_M[2] - height_m) / _DESCENT_M_S, up),
        ),
    )


def plan_task(scene: LabScene) -> FingerScript:
    """The finger's plan for a laboratory scene, with grip; or nothing, parked."""
    task = scene.task
    if task is None:
        return FingerScript(np.array(FINGER_PARKED_M), (), size=4)
    thing = scene.things[task.target]
    if task.verb == "lift":
        half_height = thing.half_extents_m[0 if thing.shape == "capsule" else 2]
        top = thing.position_m[2] + half_height
        return _lifting(thing.position_m, top, task)
    half = max(thing.half_extents_m[:2])
    height = PUSH_HEIGHT_M
    if task.verb == "poke":  # high up, so that it tips over
        height = FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 1.35 * thing.half_extents_m[2]
    script = _sideways(
        thing.position_m, half, task.direction, task.speed_m_s, task.distance_m, LAB_TRAY, min(height, 0.3)
    )
    return FingerScript(script.start_m, tuple((t, np.append(v, 0.0)) for t, v in script.legs), size=4)


def _lifting(position_m: tuple[float, float, float], top_m: float, task: FingerTask) -> FingerScript:
    """Down on the top, take hold, up, across, let go, and away."""
    over = top_m + FINGER_RADIUS_M + FINGER_HALF_LENGTH_M
    start, slow, rise = over + 0.10, 0.22, 0.12
    towards = np.array([*task.direction, 0.0, 0.0])
    up, hold = np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    legs = (
        ((start - over + 0.008) / slow, hold - slow * up),  # presses a little
        (0.15, hold),
        (rise / slow, hold + slow * up),
        *_eased(task.distance_m, task.speed_m_s, hold, towards),
        (0.2, hold),
        (0.25, np.zeros(4)),
        ((FINGER_PARKED_M[2] - over - rise) / _DESCENT_M_S, _DESCENT_M_S * up),
    )
    return FingerScript(np.array([position_m[0], position_m[1], start]), legs, size=4)


def _eased(
    distance_m: float, speed_m_s: float, hold: Array, towards: Array, num_steps: int = 6
) -> list[tuple[float, Array]]:
    """A way whose speed rises and falls in small steps: what hangs by a point would swing off the cup."""
    step_seconds = 0.06
    shares = [(k + 1) / (num_steps + 1) for k in range(num_steps)]
    cruise = max(distance_m / speed_m_s - num_steps * step_seconds, 0.0)
    parts = [(step_seconds, share) for share in shares] + [(cruise, 1.0)]
    parts += [(step_seconds, share) for share in shares[::-1]]
    return [(seconds, hold + share * speed_m_s * towards) for seconds, share in parts]
