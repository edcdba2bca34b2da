"""What each cell of a picture knows of the objects near it, from their state and the camera's pose.

Without it, cells must learn from pictures alone where in them a point of the world lies.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orrery.streams import StateLayout
from orrery.tokenizers.bodies import reach
from orrery.tokenizers.rotation import conjugate, multiply, rotate

__all__ = ["project", "see", "see_width"]

NUM_SEEN = 2
OUTLINE_DIRECTIONS = 8


def see_width(what_width: int) -> int:
    """Numbers a cell that `see` gives, for `what_width` numbers of what an object is."""
    return NUM_SEEN * (5 + what_width + OUTLINE_DIRECTIONS + 9) + 5


def see(state: Tensor, what: Tensor, camera: Tensor, grid: int, layout: StateLayout) -> Tensor:
    """What each cell of the picture knows: `[..., grid * grid, see_width]`, cells in rows from the top left.

    The two objects whose centres are nearest to the cell (offset in cells, size, depth, what they are, their
    outline and the sides they show), faded with distance; and the foot of the nearest one: the table right
    below it, near which its shadow falls.

    state: `[..., K, D]`. what: `[..., K, n]`, numbers about what each object is. camera: `[..., 8]`.
    """
    position, size = state[..., layout.slice("position")], state[..., layout.slice("size")]
    present = state[..., layout.slice("present")]
    cells = _cell_centres(grid, state)
    uv, apparent, depth = project(position, size, camera)
    outline, sides = _outline(state, camera, depth, layout) * grid / 2, _sides(state, camera, layout)
    about = torch.cat([apparent * grid / 2, depth - 1.0, what, outline, sides], dim=-1)
    objects = _nearest_in_cells(uv, about, present, cells, grid, num=NUM_SEEN, reach_cells=1.2)
    foot = torch.cat([position[..., :2], torch.zeros_like(position[..., 2:])], dim=-1)
    foot_uv, foot_size, _ = project(foot, size, camera)
    height = torch.cat([position[..., 2:] / 0.2, foot_size * grid / 2], dim=-1)
    feet = _nearest_in_cells(foot_uv, height, present, cells, grid, num=1, reach_cells=2.0)
    return torch.cat([objects, feet], dim=-1)


def project(position: Tensor, size: Tensor, camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place in the picture `[..., K, 2]` (right, up; edges at 1), apparent size, depth `[..., K, 1]`."""
    inverse = conjugate(_view(camera)).expand(*position.shape[:-1], 4)
    seen = rotate(inverse, position - camera[..., None, :3])
    depth = (-seen[..., 2:]).clamp_min(0.2)
    half = _half_width(camera)
    return (seen[..., :2] / depth / half).clamp(-2.0, 2.0), size[..., :1] / depth / half, depth


def _outline(state: Tensor, camera: Tensor, depth: Tensor, layout: StateLayout) -> Tensor:
    """How far each object reaches in the picture from its centre, in directions over a half turn,
    `[..., K, directions]` (1 is half the picture): its outline, since all shapes are symmetric."""
    turn = torch.arange(OUTLINE_DIRECTIONS, dtype=state.dtype, device=state.device)
    turn = turn * (torch.pi / OUTLINE_DIRECTIONS)
    flat = torch.stack([torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)], dim=-1)
    shape = *depth.shape[:-1], len(flat)
    towards = rotate(_view(camera)[..., None, :].expand(*shape, 4), flat.expand(*shape, 3))
    return reach(state, towards, layout) / depth / _half_width(camera)


def _sides(state: Tensor, camera: Tensor, layout: StateLayout) -> Tensor:
    """Normals of the sides that face the camera, in its axes, `[..., K, 9]`: a box's three from left to
    right, so that it does not matter which is which; a cylinder's end, then zeros; zeros for others."""
    turned = state[..., layout.slice("quaternion")]
    turned = multiply(conjugate(_view(camera)).expand_as(turned), turned)[..., None, :]
    axes = torch.eye(3, dtype=state.dtype, device=state.device).expand(*turned.shape[:-2], 3, 3)
    normals = rotate(turned.expand(*axes.shape[:-1], 4), axes)
    normals = torch.where(normals[..., 2:] < 0, -normals, normals)  # the camera looks along its -z
    order = normals[..., 0].argsort(dim=-1)[..., None].expand_as(normals)
    shape = state[..., layout.slice("shape")]
    is_box, is_cylinder = (shape[..., layout.shapes.index(n), None] for n in ("box", "cylinder"))
    end = torch.cat([normals[..., 2, :], torch.zeros_like(normals[..., :2, :]).flatten(-2)], dim=-1)
    return is_box * normals.gather(-2, order).flatten(-2) + is_cylinder * end


def _view(camera: Tensor) -> Tensor:
    """The camera's rotation as a unit quaternion `[..., 1, 4]`, of `camera [..., 8]`."""
    turned = camera[..., None, 3:7]
    return turned / turned.norm(dim=-1, keepdim=True).clamp_min(1e-6)


def _half_width(camera: Tensor) -> Tensor:
    """Half the picture's width at a depth of 1, `[..., 1, 1]`, of `camera [..., 8]`."""
    return torch.tan(camera[..., None, 7:].clamp(0.1, 2.0) / 2)


def _cell_centres(grid: int, like: Tensor) -> Tensor:
    """Centres of a picture's cells, rows from the top left, `[grid * grid, 2]` (right, up; edges at 1)."""
    place = (torch.arange(grid, dtype=like.dtype, device=like.device) + 0.5) * (2.0 / grid) - 1.0
    up, right = torch.meshgrid(-place, place, indexing="ij")
    return torch.stack([right, up], dim=-1).flatten(0, 1)


def _nearest_in_cells(
    uv: Tensor, about: Tensor, present: Tensor, cells: Tensor, grid: int, num: int, reach_cells: float
) -> Tensor:
    """Nearness, offset in cells and `about` of the `num` nearest points for each cell, faded with distance.

    uv: `[..., K, 2]`, about: `[..., K, n]`, present: `[..., K, 1]`, cells: `[C, 2]`. Returns
    `[..., C, num * (3 + n)]`.
    """
    offset = (uv[..., None, :, :] - cells[:, None, :]) * (grid / 2)
    near = torch.exp(-offset.square().sum(-1) / (2.0 * reach_cells**2)) * present[..., None, :, 0]
    weight, index = near.topk(num, dim=-1)
    pick = index[..., None]
    chosen = [
        torch.ones_like(weight)[..., None],
        offset.gather(-2, pick.expand(*index.shape, 2)),
        about[..., None, :, :]
        .expand(*near.shape, about.shape[-1])
        .gather(-2, pick.expand(*index.shape, about.shape[-1])),
    ]
    return (torch.cat(chosen, dim=-1) * weight[..., None]).flatten(-2)
