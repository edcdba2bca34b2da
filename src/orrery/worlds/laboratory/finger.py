"""What the finger does in a scene of the laboratory: push, poke, or lift and carry."""

from __future__ import annotations

import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.scene import LAB_TRAY, FingerTask, LabScene
from orrery.worlds.rigid_bodies.finger import DESCENT_M_S, PUSH_HEIGHT_M, FingerScript, push_script
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M

__all__ = ["plan_task"]


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
    script = push_script(
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
        ((FINGER_PARKED_M[2] - over - rise) / DESCENT_M_S, DESCENT_M_S * up),
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
