"""What the state stream says of rigid bodies: shape, material, place and motion, one slot a body."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import cross, rotate

__all__ = ["MATERIALS", "SHAPES", "STATE", "StateLayout"]

SHAPES = ("ball", "box", "cylinder", "finger")
MATERIALS = ("wood", "steel", "rubber", "plastic")


@dataclass(frozen=True)
class StateLayout:
    """Where each field lies in the last axis of the state stream.

    World frame: x right, y away from the viewer, z up; metres, seconds, radians. `linear_velocity` and
    `angular_velocity` are in the world frame. `size` holds half extents along the body's own axes (ball:
    radius three times; cylinder and finger: radius, radius, half length). `colour` is sRGB in [0, 1].
    `shape` and `material` are one-hot over `shapes` and `materials`.

    rotation: the field that holds it. `quaternion` is wxyz: four numbers, of which a pose has two, alike but
    for their sign. `axes` is the body's own x and y axis in the world frame: six numbers, which change
    smoothly, and of which a pose has one.
    """

    shapes: tuple[str, ...] = SHAPES
    materials: tuple[str, ...] = MATERIALS
    rotation: Literal["quaternion", "axes"] = "quaternion"

    @property
    def fields(self) -> dict[str, int]:
        """Field name to width, in order."""
        return {
            "present": 1,
            "visible": 1,
            "position": 3,
            self.rotation: {"quaternion": 4, "axes": 6}[self.rotation],
            "linear_velocity": 3,
            "angular_velocity": 3,
            "shape": len(self.shapes),
            "size": 3,
            "colour": 3,
            "material": len(self.materials),
        }

    @property
    def width(self) -> int:
        return sum(self.fields.values())

    def slice(self, name: str) -> slice:
        """The slice of the last axis that holds `name`."""
        if name not in self._slices:
            raise KeyError(f"no state field {name!r}; there are {', '.join(self.fields)}")
        return self._slices[name]

    @cached_property
    def _slices(self) -> dict[str, slice]:
        ends = itertools.accumulate(self.fields.values())
        return {
            name: slice(end - self.fields[name], end) for name, end in zip(self.fields, ends, strict=True)
        }

    def get(self, state: Array, name: str) -> Array:
        """View of field `name` of `state [..., D]`, as `[..., width]`."""
        return state[..., self.slice(name)]

    def body_axes(self, state: Array) -> Array:
        """The body's own axes in the world frame, `[..., 3, 3]`, one in a row."""
        if self.rotation == "quaternion":
            return rotate(self.get(state, "quaternion")[..., None, :], np.eye(3, dtype=state.dtype))
        x_and_y = self.get(state, "axes").reshape(*state.shape[:-1], 2, 3)
        z = cross(x_and_y[..., 0, :], x_and_y[..., 1, :])
        return np.concatenate([x_and_y, z[..., None, :]], axis=-2)


STATE = StateLayout()
