"""What every picture of a MuJoCo scene needs, whatever is traced in it: its camera, the backdrop, and all
rows launched at once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import warp as wp

from orrery.streams import Array
from orrery.studio.geoms import Sweep, floor_m
from orrery.studio.kernels.path_tracer import Camera
from orrery.studio.lights import LightRig
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["backdrop", "camera_axes", "half_tangents", "launch_rows", "picture_camera"]

SWEEP_UNITS = (2.6, 1.2, 3.6)
"""The sweep's floor, curve and wall, in distances of the camera from its subject."""
BELOW_M = 0.001
"""How far the sweep lies under the lowest plane."""
ROWS_AT_ONCE = 16


def half_tangents(field_of_view_rad: float, size: tuple[int, int]) -> tuple[float, float]:
    """Tangents of half the picture's width and height: what a camera sees in a square picture is in a picture
    of any shape. size: width and height, pixels."""
    half, shorter = math.tan(field_of_view_rad / 2), min(size)
    return half * size[0] / shorter, half * size[1] / shorter


def camera_axes(pose: Array) -> Array:
    """Columns right, up and backward of a camera's pose `[8]` (see `MujocoScene`), `[3, 3]`, world frame."""
    return rotate(np.asarray(pose[None, 3:7], float), np.eye(3)).T


def picture_camera(scene: MujocoScene, frame: int, size: tuple[int, int]) -> Any:
    """The camera of a frame as the kernels have it, all sharp."""
    pose = scene.cameras[frame]
    camera = Camera()
    camera.position, camera.axes = wp.vec3(*map(float, pose[:3])), wp.mat33(*camera_axes(pose).ravel())
    camera.half = wp.vec2(*half_tangents(float(pose[7]), size))
    camera.focus, camera.aperture = 1.0, 0.0
    return camera


def backdrop(rig: LightRig, scene: MujocoScene) -> Sweep | None:
    """The rig's sweep behind what a scene's first camera looks at."""
    if rig.sweep is None:
        return None
    unit = float(np.linalg.norm(scene.cameras[0, :3] - scene.subjects_m[0]))
    floor, curve, wall = (unit * share for share in SWEEP_UNITS)
    x, y, _ = scene.subjects_m[0]
    return Sweep((x, y, floor_m(scene) - BELOW_M), (floor, curve, wall), rig.sweep)


def launch_rows(
    kernel: Any, size: tuple[int, int], what: Sequence[Any], picture: Any, device: wp.Device
) -> None:
    """Trace a whole picture: on a processor in as many threads as the process may use. The kernel takes
    `what`, the number of its first row, and the picture; it is launched over [rows, width]."""
    width, height = size

    def rows(first: int, count: int) -> None:
        wp.launch(kernel, dim=(count, width), inputs=[*what, first, picture], device=device)

    if not device.is_cpu:
        rows(0, height)
        return
    wp.load_module(kernel.module, device=device)
    mine = getattr(os, "sched_getaffinity", None)  # Linux alone says which cores a process may use
    with ThreadPoolExecutor(len(mine(0)) if mine is not None else os.cpu_count()) as pool:
        starts = range(0, height, ROWS_AT_ONCE)
        list(pool.map(lambda first: rows(first, min(ROWS_AT_ONCE, height - first)), starts))
