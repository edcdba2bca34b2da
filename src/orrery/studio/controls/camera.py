"""The camera's path as others read it: a matrix and the intrinsics of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orrery.streams import Array
from orrery.studio.views import camera_axes, half_tangents
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene

__all__ = ["CAMERA_FORM", "camera_path", "pixels_of"]

CAMERA_FORM = (
    "camera_to_world: 4x4, metres, the camera's x right, y down, z ahead (OpenCV), the world's z up. "
    "intrinsics: fx, fy, cx, cy in pixels, from the picture's upper left corner, so that the middle of the "
    "first pixel is at (0.5, 0.5); no distortion"
)


def camera_path(scenes: Sequence[MujocoScene], size: tuple[int, int]) -> dict[str, Any]:
    """All frames' cameras, plain values; see CAMERA_FORM. size: width and height, pixels. focus_m and
    lens_radius_m of each frame where the shot has a lens; focus is along the axis."""
    poses = [scene.cameras[0] for scene in scenes]
    path: dict[str, Any] = {
        "camera_to_world": [_matrix(pose).tolist() for pose in poses],
        "intrinsics": [_intrinsics(pose, size) for pose in poses],
    }
    for name in ("focus_m", "lens_radius_m"):
        values = [getattr(scene, name) for scene in scenes]
        if all(value is not None for value in values):
            path[name] = [float(value[0]) for value in values]
    return path


def pixels_of(points_m: Array, pose: Array, size: tuple[int, int]) -> Array:
    """Where points `[..., 3]` of the world are in a picture, and how far: `[..., 3]`, pixels right and down
    from the upper left corner, and metres along the axis."""
    right, up, backward = np.moveaxis((points_m - pose[:3]) @ camera_axes(pose), -1, 0)
    half = half_tangents(float(pose[7]), size)
    depth = -backward
    x = 0.5 * size[0] * (1.0 + right / (depth * half[0]))
    y = 0.5 * size[1] * (1.0 - up / (depth * half[1]))
    return np.stack([x, y, depth], -1)


def _matrix(pose: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = camera_axes(pose) * (1.0, -1.0, -1.0)
    matrix[:3, 3] = pose[:3]
    return matrix


def _intrinsics(pose: Array, size: tuple[int, int]) -> list[float]:
    half = half_tangents(float(pose[7]), size)
    return [size[0] / 2 / half[0], size[1] / 2 / half[1], size[0] / 2, size[1] / 2]
