"""What the pictures of tabletop and laboratory share: lamp, camera, rims, finger and looks of materials.

A stage is made once: compiling it takes seconds. Geoms that a scene does not use lie buried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import mujoco

from orrery.worlds.rigid_bodies.geometry import Colour, Lamp, Tray
from orrery.worlds.rigid_bodies.materials import Material
from orrery.worlds.rigid_bodies.physics import FINGER_COLOUR, FINGER_HALF_LENGTH_M, FINGER_RADIUS_M, rim_boxes
from orrery.worlds.rigid_bodies.ray_tracer import BURIED_M, add_look, add_texture, grain_pixels

__all__ = ["add_rims_and_finger", "lit_stage"]


def lit_stage(
    ambient: Colour, materials: Mapping[str, Material], field_of_view_rad: float, lamp: Lamp | None = None
) -> mujoco.MjSpec:
    """A stage with one lamp that throws shadows, one camera `main`, and the looks of `materials` and `matte`.

    ambient: light from everywhere, linear RGB. field_of_view_rad: vertical.
    """
    lamp = lamp or Lamp()
    spec = mujoco.MjSpec()
    spec.visual.headlight.active = 1
    spec.visual.headlight.ambient = ambient
    spec.visual.headlight.diffuse = [0.10, 0.10, 0.10]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    add_texture(spec, "grain", grain_pixels())
    for name, stuff in materials.items():
        add_look(spec, name, stuff.specular, stuff.shininess, "grain" if stuff.texture == "grain" else "")
    add_look(spec, "matte", 0.0, 0.0)
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[-0.6, -0.8, 1.6], dir=lamp.direction,
        diffuse=lamp.diffuse, specular=[0.4] * 3, castshadow=True,
    )  # fmt: skip
    spec.worldbody.add_camera(name="main", pos=[0, 0, 1], fovy=math.degrees(field_of_view_rad))
    return spec


def add_rims_and_finger(root: mujoco.MjsBody, tray: Tray, rim_colour: Colour) -> None:
    """The tray's rims, `rim0` to `rim3`, and the finger, buried."""
    for index, (position, size) in enumerate(rim_boxes(tray)):
        root.add_geom(
            name=f"rim{index}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, material="matte",
            rgba=[*rim_colour, 1],
        )  # fmt: skip
    root.add_geom(
        name="finger", type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[FINGER_RADIUS_M, FINGER_HALF_LENGTH_M, 0],
        pos=BURIED_M, material="matte", rgba=[*FINGER_COLOUR, 1],
    )  # fmt: skip
