"""What each shape looks like: shaded silhouettes of balls, boxes and cylinders, to compare blobs with.

Analysis by synthesis. A shape is known by its outline *and* by how light falls on it (a cube has flat faces,
a cylinder a round side), so every shape is drawn in many poses, for the direction in which it is seen, by a
few lines of ray casting; outlines and shades are then brought to a common size and area, as blobs in a film
are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.tabletop.scene import BODY_SHAPES, CAMERAS

__all__ = ["ShapeBank", "normalised_view", "shape_bank", "view_cell"]

PATCH = 20
"""Side of a normalised view in samples."""
CELLS = 6
"""Directions in the picture for which a bank is drawn, along each axis."""
_RENDER = 40
_MARGIN = 1.2  # half side of a normalised view over the square root of the outline's area
_AMBIENT, _HEADLIGHT, _LAMP = 0.39, 0.10, 0.61
_LAMP_DIRECTION = np.array([-0.35, -0.45, 1.0]) / math.sqrt(0.35**2 + 0.45**2 + 1.0)
_TILTED_COST = 0.03
"""Added for a pose that is neither flat on the table nor rolling: most are, most of the time."""


@dataclass(frozen=True)
class ShapeBank:
    """Views of all shapes in one direction.

    outlines, shades: `[num_views, PATCH * PATCH]` (see `normalised_view`). shape: `[num_views]`, index into
    BODY_SHAPES. extra_cost: `[num_views]`.
    """

    outlines: Array
    shades: Array
    shape: Array
    extra_cost: Array

    def costs(self, outline: Array, shade: Array, shade_weight: float = 1.0) -> Array:
        """How badly each shape fits: `[num_shapes]`, 0 is perfect, about 1 is no likeness.

        outline, shade: one normalised view. shade_weight: how far the shades can be trusted.
        """
        area = max(float(outline.sum()), 1.0)
        misfit = ((self.outlines - outline) ** 2).sum(1) / area
        misfit += shade_weight * ((self.shades - shade) ** 2).sum(1) / area
        misfit += self.extra_cost
        return np.array([misfit[self.shape == k].min() for k in range(len(BODY_SHAPES))])


def normalised_view(mask: Array, brightness: Array) -> tuple[Array, Array]:
    """Outline and shade of a blob, centred and scaled to equal area, each `[PATCH * PATCH]` float32.

    mask: `[H, W]` bool, brightness: `[H, W]`, any scale. The shade is brightness over the blob's mean, less
    1, limited to [-1, 1]; 0 outside.
    """
    rows, columns = np.nonzero(mask)
    mean = max(float(brightness[mask].mean()), 1e-6)
    shade = np.where(mask, np.clip(brightness / mean - 1.0, -1.0, 1.0), 0.0)
    half = _MARGIN * math.sqrt(len(rows)) / 2 * 1.15
    steps = (np.arange(PATCH) + 0.5) / PATCH * 2 - 1
    grid = np.meshgrid(rows.mean() + half * steps, columns.mean() + half * steps, indexing="ij")
    outline = ndimage.map_coordinates(mask.astype(np.float32), grid, order=1)
    shade = ndimage.map_coordinates(shade.astype(np.float32), grid, order=1)
    return outline.ravel(), shade.ravel()


def view_cell(row: float, column: float, image_size: int) -> tuple[int, int]:
    """Which of the CELLS x CELLS directions a place in the picture belongs to."""
    down, across = (int(np.clip(v / image_size * CELLS, 0, CELLS - 1)) for v in (row, column))
    return down, across


@lru_cache(maxsize=128)
def shape_bank(camera: str, cell: tuple[int, int]) -> ShapeBank:
    """The views of all shapes as `camera` sees them in one cell of its picture."""
    down, across = ((v + 0.5) / CELLS * 2 - 1 for v in cell)
    return _draw_bank(CAMERAS[camera], across, -down)


def _draw_bank(camera: Camera, right: float, up: float) -> ShapeBank:
    """right, up: place in the picture, -1 to 1."""
    reach = math.tan(camera.field_of_view_rad / 2)
    towards = camera.axes @ np.array([right * reach, up * reach, -1.0])
    towards /= np.linalg.norm(towards)
    views, shapes, extra = [], [], []
    for index, shape in enumerate(BODY_SHAPES):
        for rotation, cost in _poses(shape):
            views.append(normalised_view(*_cast(shape, rotation, towards, camera)))
            shapes.append(index)
            extra.append(cost)
    outlines, shades = (np.stack(part) for part in zip(*views, strict=True))
    return ShapeBank(outlines, shades, np.array(shapes), np.array(extra))


def _poses(shape: str) -> list[tuple[Array, float]]:
    """Rotations (body to world, `[3, 3]`) in which a shape is drawn, each with its extra cost."""
    if shape == "ball":
        return [(np.eye(3), 0.0)]
    lying = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    if shape == "box":
        flat = [_yaw(math.radians(angle)) for angle in range(0, 90, 9)]
    else:
        flat = [np.eye(3), *(_yaw(math.radians(angle)) @ lying for angle in range(0, 180, 12))]
    rng = np.random.default_rng(0)
    tilted = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(40)]
    return [(r, 0.0) for r in flat] + [(r, _TILTED_COST) for r in tilted]


def _yaw(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _cast(shape: str, rotation: Array, towards: Array, camera: Camera) -> tuple[Array, Array]:
    """Mask and brightness `[_RENDER, _RENDER]` of a shape of half extent 1, seen from 20 away."""
    across = np.cross(towards, camera.axes[:, 1])
    across /= np.linalg.norm(across)
    upward = np.cross(across, towards)
    steps = ((np.arange(_RENDER) + 0.5) / _RENDER * 2 - 1) * 1.9
    offsets = steps[None, :, None] * across - steps[:, None, None] * upward
    origin = -20.0 * towards @ rotation
    rays = 20.0 * towards @ rotation + offsets @ rotation
    rays = rays.reshape(-1, 3) / np.linalg.norm(rays.reshape(-1, 3), axis=1, keepdims=True)
    hit, normal = _INTERSECT[shape](origin, rays)
    world = normal @ rotation.T
    light = _AMBIENT + _HEADLIGHT * np.maximum(-(world @ towards), 0)
    light += _LAMP * np.maximum(world @ _LAMP_DIRECTION, 0)
    return hit.reshape(_RENDER, _RENDER), light.reshape(_RENDER, _RENDER)


def _ball(origin: Array, rays: Array) -> tuple[Array, Array]:
    """Whether rays `[n, 3]` meet the unit ball, and the normals `[n, 3]` there."""
    along = rays @ origin
    gap = along**2 - origin @ origin + 1.0
    point = origin + (-along - np.sqrt(np.maximum(gap, 0)))[:, None] * rays
    return gap > 0, point


def _slabs(origin: Array, rays: Array, axes: slice) -> tuple[Array, Array, Array]:
    """Where rays enter and leave the slabs |x| <= 1 along `axes`, and the axis of entry."""
    speed = np.where(np.abs(rays[:, axes]) < 1e-9, 1e-9, rays[:, axes])
    first, second = (-1 - origin[axes]) / speed, (1 - origin[axes]) / speed
    enter = np.minimum(first, second)
    return enter.max(1), np.maximum(first, second).min(1), enter.argmax(1)


def _box(origin: Array, rays: Array) -> tuple[Array, Array]:
    enter, leave, axis = _slabs(origin, rays, slice(0, 3))
    normal = np.zeros_like(rays)
    index = np.arange(len(rays))
    normal[index, axis] = -np.sign(rays[index, axis])
    return enter < leave, normal


def _cylinder(origin: Array, rays: Array) -> tuple[Array, Array]:
    a = np.maximum((rays[:, :2] ** 2).sum(1), 1e-12)
    b = rays[:, :2] @ origin[:2]
    gap = b**2 - a * (origin[:2] @ origin[:2] - 1.0)
    root = np.sqrt(np.maximum(gap, 0))
    low, high, _ = _slabs(origin, rays, slice(2, 3))
    side = (-b - root) / a
    enter, leave = np.maximum(low, side), np.minimum(high, (-b + root) / a)
    round_normal = (origin + enter[:, None] * rays) * [1.0, 1.0, 0.0]
    flat_normal = np.outer(-np.sign(rays[:, 2]), [0.0, 0.0, 1.0])
    return (gap > 0) & (enter < leave), np.where((low > side)[:, None], flat_normal, round_normal)


_INTERSECT = {"ball": _ball, "box": _box, "cylinder": _cylinder}
