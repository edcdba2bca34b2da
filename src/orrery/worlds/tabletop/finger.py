"""What the finger does in a scene of the tabletop: it pushes one body, or hangs parked."""

from __future__ import annotations

import math

import numpy as np

from orrery.worlds.rigid_bodies.finger import FingerScript, push_script
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M
from orrery.worlds.tabletop.scene import TRAY, Scene, reach_m

__all__ = ["begins_clear", "plan_script"]


def plan_script(scene: Scene) -> FingerScript:
    """The finger's plan for a scene: down beside the target, push, wait, up; or nothing, parked."""
    if scene.push is None:
        return FingerScript(np.array(FINGER_PARKED_M), ())
    body, push = scene.bodies[scene.push.target], scene.push
    return push_script(
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
