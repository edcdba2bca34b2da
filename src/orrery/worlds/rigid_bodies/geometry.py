"""Where things are on a table: directions, trays, cameras and lamps, and turning.

World frame: x right, y away from the front camera, z up, metres; the table's top is z = 0. Quaternions are
wxyz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = [
    "DIRECTIONS",
    "Camera",
    "Colour",
    "Lamp",
    "Tray",
    "about_x",
    "cross",
    "lying",
    "quaternion_product",
    "rotate",
    "yawed",
]

DIRECTIONS: dict[str, tuple[float, float]] = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "forward": (0.0, -1.0),
    "back": (0.0, 1.0),
}
"""Where a moving thing heads, as the front camera sees it: `forward` is towards the viewer."""
Colour = tuple[float, float, float]
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Tray:
    """Inner half extents and rim height of the tray, metres."""

    half_x: float = 0.34
    half_y: float = 0.24
    rim_height: float = 0.05
    rim_thickness: float = 0.015


@dataclass(frozen=True)
class Camera:
    """A standing camera. position_m, target_m: world frame. field_of_view_rad: vertical."""

    position_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    field_of_view_rad: float

    @cached_property
    def axes(self) -> np.ndarray:
        """`[3, 3]`, columns right, up, backward (MuJoCo's camera frame) in world coordinates."""
        backward = np.subtract(self.position_m, self.target_m)
        backward = backward / math.sqrt(backward @ backward)
        right = cross(_UP, backward)
        right /= math.sqrt(right @ right)
        return np.array([right, cross(backward, right), backward]).T.copy()


@dataclass(frozen=True)
class Lamp:
    """A lamp far away. direction: in which it shines, world frame. diffuse: linear RGB."""

    direction: tuple[float, float, float] = (0.35, 0.45, -1.0)
    diffuse: Colour = (0.62, 0.61, 0.58)


def yawed(angle: float) -> tuple[float, float, float, float]:
    """Turned by `angle` radians about the vertical."""
    return (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2))


def about_x(angle: float) -> tuple[float, float, float, float]:
    """Turned by `angle` radians about the x axis."""
    return (math.cos(angle / 2), math.sin(angle / 2), 0.0, 0.0)


def lying(heading: float) -> tuple[float, float, float, float]:
    """A cylinder on its side that rolls along `heading`: its axis is level and across."""
    return quaternion_product(yawed(heading), about_x(math.pi / 2))


def quaternion_product(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Hamilton product of two wxyz quaternions."""
    w, x, y, z = a
    s, i, j, k = b
    return (
        w * s - x * i - y * j - z * k,
        w * i + x * s + y * k - z * j,
        w * j - x * k + y * s + z * i,
        w * k + x * j - y * i + z * s,
    )


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rotate `vector [..., 3]` by unit wxyz `quaternion [..., 4]`."""
    w, u = quaternion[..., :1], quaternion[..., 1:]
    twice = 2.0 * cross(u, vector)
    return vector + w * twice + cross(u, twice)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product of vectors `[..., 3]`: `np.cross`, to the last bit, at a fraction of its cost on few
    vectors.
    """
    product = np.empty(np.broadcast(a, b).shape, np.result_type(a, b))
    for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        product[..., k] = a[..., i] * b[..., j] - a[..., j] * b[..., i]
    return product
