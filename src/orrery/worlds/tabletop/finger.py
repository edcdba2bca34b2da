"""What the finger does in a scene of the tabletop: it pushes one body, or hangs parked."""

from __future__ import annotations

import math

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.finger import FingerScript, push_script
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M, FINGER_RADIUS_M
from orrery.worlds.tabletop.scene import TRAY, Body, Scene, reach_m

__all__ = ["begins_clear", "keeps_off", "plan_script"]


def plan_script(scene: Scene) -> FingerScript:
    """The finger's plan for a scene: down beside the target, push, wait, up; or nothing, parked."""
    if scene.push is None:
        return FingerScript(np.array(FINGER_PARKED_M), ())
    body, push = scene.bodies[scene.push.target], scene.push
    return push_script(
        body.position_m, body.half_extent_m, push.direction, push.speed_m_s, push.distance_m, TRAY
    )


def begins_clear(scene: Scene) -> bool:
    """Whether no body reaches into the finger where its plan starts."""
    start_m = plan_script(scene).start_m
    return all(keeps_off(body, start_m) for body in scene.bodies)


def keeps_off(body: Body, finger_m: Array) -> bool:
    """Whether a body reaches not into the finger, a capsule that stands upright about `finger_m [3]`."""
    x, y, z = finger_m
    height = float(np.clip(body.position_m[2], z - FINGER_HALF_LENGTH_M, z + FINGER_HALF_LENGTH_M))
    return math.dist(body.position_m, (x, y, height)) > reach_m(body) + FINGER_RADIUS_M
