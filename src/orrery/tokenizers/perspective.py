"""Where a camera sees the objects of a state, and which of their sides.

state: `[..., K, D]` as `layout` says. camera: `[..., 8]`, position in metres, wxyz rotation, field of view in
radians. Camera axes: right, up and to the viewer. Places in the picture: right and up, edges at 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from orrery.tokenizers.rotation import conjugate, multiply, rotate
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = [
    "axes_seen", "by_shape", "facing", "half_width", "is_a", "left_to_right", "project", "seen_from", "view",
    "world_axes",
]  # fmt: skip

NEAREST_M = 0.2
"""What is nearer to the camera, or behind it, is taken to be this far away."""


def view(camera: Tensor) -> Tensor:
    """The camera's rotation as a unit quaternion `[..., 1, 4]`."""
    turned = camera[..., None, 3:7]
    return turned / turned.norm(dim=-1, keepdim=True).clamp_min(1e-6)


def half_width(camera: Tensor) -> Tensor:
    """Half the picture's width at a depth of 1, `[..., 1, 1]`."""
    return torch.tan(camera[..., None, 7:].clamp(0.1, 2.0) / 2)


def seen_from(camera: Tensor, position: Tensor) -> Tensor:
    """`position [..., K, 3]` from the camera, in its axes."""
    inverse = conjugate(view(camera)).expand(*position.shape[:-1], 4)
    return rotate(inverse, position - camera[..., None, :3])


def project(position: Tensor, size: Tensor, camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place in the picture `[..., K, 2]`, apparent size, depth `[..., K, 1]`; 2 is the furthest outside."""
    seen = seen_from(camera, position)
    depth = (-seen[..., 2:]).clamp_min(NEAREST_M)
    half = half_width(camera)
    return (seen[..., :2] / depth / half).clamp(-2.0, 2.0), size[..., :1] / depth / half, depth


def world_axes(camera: Tensor) -> Tensor:
    """The camera's axes in the world's, `[..., 1, 3, 3]`, one in a row: what turns rows of vectors."""
    shape = *camera.shape[:-1], 1, 3, 3
    axes = torch.eye(3, dtype=camera.dtype, device=camera.device).expand(shape)
    return rotate(view(camera)[..., None, :].expand(*shape[:-1], 4), axes)


def axes_seen(state: Tensor, camera: Tensor, layout: StateLayout) -> Tensor:
    """Each object's own axes in the camera's, `[..., K, 3, 3]`, one in a row."""
    turned = state[..., layout.slice("quaternion")]
    turned = multiply(conjugate(view(camera)).expand_as(turned), turned)[..., None, :]
    axes = torch.eye(3, dtype=state.dtype, device=state.device).expand(*turned.shape[:-2], 3, 3)
    return rotate(turned.expand(*axes.shape[:-1], 4), axes)


def facing(axes: Tensor, towards: Tensor) -> Tensor:
    """`axes [..., 3, 3]`, each turned round where it does not point along `towards [..., 3]`: if that is the
    way to the camera, the normals of the three sides of a box that it sees."""
    return torch.where((axes * towards[..., None, :]).sum(-1, keepdim=True) < 0, -axes, axes)


def left_to_right(normals: Tensor) -> Tensor:
    """The rows of `normals [..., 3, 3]` by where they point, from left to right."""
    return normals.gather(-2, normals[..., 0].argsort(dim=-1)[..., None].expand_as(normals))


def is_a(state: Tensor, layout: StateLayout, name: str) -> Tensor:
    """How much of shape `name` each object is, `[..., K, 1]`; 0 in a world without it."""
    shape = state[..., layout.slice("shape")]
    if name not in layout.shapes:
        return torch.zeros_like(shape[..., :1])
    return shape[..., layout.shapes.index(name), None]


def by_shape(state: Tensor, layout: StateLayout, forms: Mapping[str, Tensor]) -> Tensor:
    """Of `forms`, numbers `[..., K, ...]` for each shape, those of each object's own."""
    every = torch.stack([forms[name] for name in layout.shapes])
    share = state[..., layout.slice("shape")].movedim(-1, 0)
    return (share.reshape(*share.shape, *[1] * (every.ndim - share.ndim)) * every).sum(0)
