"""A scene of the tabletop as a MuJoCo model."""

from __future__ import annotations

import mujoco

from orrery.streams import Clock
from orrery.worlds.rigid_bodies.physics import add_finger, add_geom, bare_table
from orrery.worlds.tabletop.scene import TRAY, Scene

__all__ = ["build_model"]


def build_model(scene: Scene, clock: Clock) -> mujoco.MjModel:
    """The scene as a MuJoCo model: table, rims, one free body per slot, and the finger with its touch pad.

    Bodies: the world (table and rims) 0, objects 1 .. K in slot order, the finger K + 1. The scene's first
    velocities are no part of a model: whoever makes its data sets them.
    """
    spec = bare_table(clock, TRAY)
    for slot, body in enumerate(scene.bodies):
        part = spec.worldbody.add_body(name=f"object{slot}", pos=body.position_m, quat=body.quaternion)
        part.add_freejoint()
        add_geom(part, f"object{slot}", body.shape, body.half_extents_m, body.material)
    add_finger(spec)
    return spec.compile()
