"""Small MuJoCo scenes at rest, as a world would give them, and what tests measure them with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import mujoco
import numpy as np

from orrery.worlds.rigid_bodies.bench import camera_pose
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook, MujocoScene

INSTANTS = 40


def resting_scene(
    xml: str,
    looks: Mapping[str, GeomLook],
    eye_m: tuple[float, float, float] = (0.1, -0.75, 0.45),
    subject_m: tuple[float, float, float] = (0.0, 0.0, 0.05),
    field_of_view: float = 32.0,
) -> MujocoScene:
    """One frame of the model, seen from `eye_m`. field_of_view: degrees, of the shorter side."""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = camera_pose(Camera(eye_m, subject_m, math.radians(field_of_view)))
    return MujocoScene(
        model, np.tile(data.xpos, (1, INSTANTS, 1, 1)), np.tile(data.xquat, (1, INSTANTS, 1, 1)),
        camera[None], np.array([subject_m]), looks,
    )  # fmt: skip


def write_ball(path: Path, radius_m: float, rings: int = 12) -> Path:
    """A ball of flat faces, as an OBJ."""
    lines = []
    for i in range(rings + 1):
        for j in range(2 * rings):
            t, p = math.pi * i / rings, math.pi * j / rings
            x, y, z = math.sin(t) * math.cos(p), math.sin(t) * math.sin(p), math.cos(t)
            lines.append(f"v {radius_m * x:.6f} {radius_m * y:.6f} {radius_m * z:.6f}")
    for i in range(rings):
        for j in range(2 * rings):
            a, b = i * 2 * rings + j, i * 2 * rings + (j + 1) % (2 * rings)
            c, d = a + 2 * rings, b + 2 * rings
            if i > 0:
                lines.append(f"f {a + 1} {c + 1} {b + 1}")
            if i < rings - 1:
                lines.append(f"f {b + 1} {c + 1} {d + 1}")
    path.write_text("\n".join(lines) + "\n")
    return path
