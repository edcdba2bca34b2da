"""Which objects a camera can see, by casting rays at them: the same answer with and without pictures."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera

__all__ = ["visible_slots"]

_OFFSETS = np.array([[0.0, 0.0], [0.6, 0.0], [-0.6, 0.0], [0.0, 0.6], [0.0, -0.6]])
"""Where rays aim, in half extents along the camera's right and up axes from the object's centre."""


def visible_slots(model: mujoco.MjModel, data: mujoco.MjData, camera: Camera) -> Array:
    """1.0 for each moving body (objects, then finger) of which some aimed ray hits it inside the picture.

    Returns `[num_bodies]` float64. The picture is square.
    """
    origin = np.array(camera.position_m)
    geoms = model.body_geomadr[1:]
    reach = model.geom_size[geoms, 0]
    aims = data.geom_xpos[geoms][:, None] + reach[:, None, None] * (_OFFSETS @ camera.axes[:, :2].T)[None]
    rays = (aims - origin).reshape(-1, 3)
    inside = _in_picture(rays, camera)
    hit = np.zeros(len(rays), np.int32)
    distance = np.zeros(len(rays))
    unit = rays / np.sqrt((rays * rays).sum(axis=1, keepdims=True))
    mujoco.mj_multiRay(model, data, origin, unit.ravel(), None, 1, -1, hit, distance, None, len(rays), 10.0)
    seen = (hit.reshape(len(geoms), -1) == geoms[:, None]) & inside.reshape(len(geoms), -1)
    return seen.any(axis=1).astype(float)


def _in_picture(rays: Array, camera: Camera) -> Array:
    """Whether directions `[n, 3]` fall inside the square picture, `[n]` bool."""
    right, up, backward = (rays @ camera.axes).T
    edge = math.tan(camera.field_of_view_rad / 2) * -backward
    return (backward < 0) & (np.abs(right) <= edge) & (np.abs(up) <= edge)
