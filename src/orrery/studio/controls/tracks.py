"""Where things are in the picture, frame by frame: centres, boxes round the whole thing and round what is
seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from orrery.streams import Array
from orrery.studio.controls.camera import pixels_of
from orrery.studio.controls.geometry import Seen
from orrery.studio.geoms import bevel_m, seen_geoms
from orrery.studio.views import camera_axes, half_tangents
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene
from orrery.worlds.rigid_bodies.outline import NEAREST_M, Support, outermost, unit

__all__ = ["TRACKS_FORM", "Tracks", "whole_boxes"]

TRACKS_FORM = (
    "centre_px: x, y of a thing's middle; box_px: left, top, right, bottom of the whole thing, as if "
    "nothing hid it and the picture had no end; seen_box_px, seen_pixels: of what is seen of it; pixels "
    "from the picture's upper left corner. depth_m: of its middle, along the camera's axis. position_m, "
    "quaternion (wxyz): in the world's frame. null: nearer to the camera's plane than 5 cm, behind it, or "
    "not seen"
)
WORLD = 0
"""MuJoCo's body that does not move."""
STEPS = 8
"""Of the search for a thing's outermost point; it has converged long before."""
DIGITS = 4


class Tracks:
    """Gathers frames. names: of the instances. size: width and height, pixels."""

    def __init__(self, names: Mapping[int, str], size: tuple[int, int]) -> None:
        self._names, self._size = names, size
        self._frames: list[dict[int, dict[str, Any]]] = []

    def add(self, seen: Seen) -> None:
        """Take a frame in."""
        boxes = whole_boxes(seen.scene, self._size)
        counts = np.bincount(seen.instance.ravel(), minlength=seen.scene.model.nbody + 1)
        frame: dict[int, dict[str, Any]] = {}
        for body, box in boxes.items():
            position = seen.scene.positions_m[0, 0, body]
            x, y, depth = (float(v) for v in pixels_of(position, seen.scene.cameras[0], self._size))
            is_ahead = depth > NEAREST_M
            frame[body + 1] = {
                "centre_px": _rounded([x, y]) if is_ahead else None,
                "depth_m": round(depth, DIGITS + 2) if is_ahead else None,
                "box_px": _rounded(box) if box is not None else None,
                "seen_box_px": _seen_box(seen.instance == body + 1) if counts[body + 1] else None,
                "seen_pixels": int(counts[body + 1]),
                "position_m": _rounded(position, DIGITS + 2),
                "quaternion": _rounded(seen.scene.quaternions[0, 0, body], DIGITS + 2),
            }
        self._frames.append(frame)

    def values(self) -> list[dict[str, Any]]:
        """Each thing with its instance, its name and a list for each of what is in TRACKS_FORM, one entry a
        frame; null where it was not there at all."""
        instances = sorted({instance for frame in self._frames for instance in frame})
        keys = ("centre_px", "depth_m", "box_px", "seen_box_px", "seen_pixels", "position_m", "quaternion")
        return [
            {"instance": instance, "name": self._names[instance]}
            | {key: [frame.get(instance, {}).get(key) for frame in self._frames] for key in keys}
            for instance in instances
        ]


def whole_boxes(scene: MujocoScene, size: tuple[int, int]) -> dict[int, Array | None]:
    """Left, top, right and bottom of what moves and is to be seen, `[4]` pixels by body, whether or not
    something is in front; None for what reaches nearer to the camera's plane than NEAREST_M.

    scene: one frame of one instant. Of things that are drawn with rounded edges, as they are drawn.
    """
    model, pose = scene.model, scene.cameras[0]
    half = half_tangents(float(pose[7]), size)
    geoms = [geom for geom in seen_geoms(scene) if model.geom_bodyid[geom] != WORLD]
    moving = [geom for geom in geoms if model.body_dofnum[model.geom_bodyid[geom]] > 0]
    if not moving:
        return {}
    bodies = model.geom_bodyid[moving]
    axes, centre = _from_the_camera(scene, np.array(moving), pose)
    ratio = outermost(centre, axes, _support(model, moving), STEPS)
    nearest = centre[:, 2] - _reach_ahead(model, moving, axes)
    boxes: dict[int, Array | None] = {}
    for body in np.unique(bodies):
        own = bodies == body
        if nearest[own].min() < NEAREST_M:
            boxes[int(body)] = None
            continue
        right, left, down, up = ratio[:, own].max(axis=1)
        across, along = np.array([-left, right]) / half[0], np.array([-up, down]) / half[1]
        x, y = 0.5 * size[0] * (1.0 + across), 0.5 * size[1] * (1.0 + along)
        boxes[int(body)] = np.array([x[0], y[0], x[1], y[1]])
    return boxes


def _from_the_camera(scene: MujocoScene, geoms: Array, pose: Array) -> tuple[Array, Array]:
    """Axes `[n, 3, 3]`, one in a row, and middles `[n, 3]` of geoms: right, down, away."""
    model = scene.model
    bodies = model.geom_bodyid[geoms]
    turns, places = scene.quaternions[0, 0, bodies], scene.positions_m[0, 0, bodies]
    inner = np.stack([rotate(model.geom_quat[geoms], np.tile(axis, (len(geoms), 1))) for axis in np.eye(3)])
    axes = np.moveaxis(np.stack([rotate(turns, one) for one in inner]), 0, 1)
    middles = places + rotate(turns, model.geom_pos[geoms])
    seen_from = camera_axes(pose) * (1.0, -1.0, -1.0)
    return axes @ seen_from, (middles - pose[:3]) @ seen_from


def _support(model: mujoco.MjModel, geoms: list[int]) -> Support:
    """Of what the look draws: each kind is the sum of a box, a disc across its z axis and an ellipsoid; a
    mesh is its corners."""
    box, disc, radii = np.zeros((len(geoms), 3)), np.zeros((len(geoms), 1)), np.zeros((len(geoms), 3))
    corners: dict[int, Array] = {}
    for row, geom in enumerate(geoms):
        kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
        edge = bevel_m(model, geom)
        if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
            radii[row] = size[0]
        elif kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            radii[row] = size
        elif kind == mujoco.mjtGeom.mjGEOM_BOX:
            box[row], radii[row] = size - edge, edge
        elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            box[row, 2], disc[row], radii[row] = size[1] - edge, size[0] - edge, edge
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            box[row, 2], radii[row] = size[1], size[0]
        else:
            mesh = int(model.geom_dataid[geom])
            first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
            corners[row] = model.mesh_vert[first : first + count]

    def support(own: Array) -> Array:
        reach = np.sign(own) * box + disc * unit(own * (1, 1, 0)) + radii * unit(radii * own)
        for row, points in corners.items():
            reach[:, row] = points[(own[:, row] @ points.T).argmax(-1)]
        return reach

    return support


def _reach_ahead(model: mujoco.MjModel, geoms: list[int], axes: Array) -> Array:
    """How far geoms reach from their middles towards the camera, `[n]` metres."""
    own = -axes[..., 2]
    reach = _support(model, geoms)(own[None])[0]
    return (reach * own).sum(-1)


def _seen_box(mask: Array) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def _rounded(values: Any, digits: int = DIGITS) -> list[float]:
    return [round(float(v), digits) for v in values]
