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
WAVES_PER_CELL = (0.5, 1.0, 2.0)
"""What counts to a pixel is also told as waves: a network is slow to learn what changes fast with what it is
told (Tancik et al. 2020, "Fourier features let networks learn high frequency functions")."""


def see_width(what_width: int) -> int:
    """Numbers a cell that `see` gives, for `what_width` numbers of what an object is."""
    num_exact = 4 + 2 * OUTLINE_DIRECTIONS
    waves = 2 * len(WAVES_PER_CELL) * num_exact
    return NUM_SEEN * (7 + what_width + OUTLINE_DIRECTIONS + 9 + num_exact + waves) + 5


def see(state: Tensor, what: Tensor, camera: Tensor, grid: int, layout: StateLayout) -> Tensor:
    """What each cell of the picture knows: `[..., grid * grid, see_width]`, cells in rows from the top left.

    The two objects whose centres are nearest to the cell (offset in cells, size, depth, what they are, their
    outline and the sides they show; where exactly centre, knee and outline lie), faded with distance; and the
    foot of the nearest one: the table right below it, near which its shadow falls.

    state: `[..., K, D]`. what: `[..., K, n]`, numbers about what each object is. camera: `[..., 8]`.
    """
    position, size = state[..., layout.slice("position")], state[..., layout.slice("size")]
    present = state[..., layout.slice("present")]
    cells = _cell_centres(grid, state)
    uv, apparent, depth = project(position, size, camera)
    facing = _facing(state, camera, layout)
    outline, sides = _outline(state, camera, depth, layout) * grid / 2, _sides(facing, state, layout)
    knee = _knee(facing, state, layout) / depth / _half_width(camera) * grid / 2
    about = torch.cat([apparent * grid / 2, depth - 1.0, what, sides, knee, outline], dim=-1)
    weight, seen = _nearest_in_cells(uv, about, present, cells, grid, num=NUM_SEEN, reach_cells=1.2)
    exact = _exact_places(seen)
    objects = _faded(weight, torch.cat([seen, exact.clamp(-2.0, 2.0), _waves(exact)], dim=-1))
    foot = torch.cat([position[..., :2], torch.zeros_like(position[..., 2:])], dim=-1)
    foot_uv, foot_size, _ = project(foot, size, camera)
    height = torch.cat([position[..., 2:] / 0.2, foot_size * grid / 2], dim=-1)
    feet = _nearest_in_cells(foot_uv, height, present, cells, grid, num=1, reach_cells=2.0)
    return torch.cat([objects, _faded(*feet)], dim=-1)


def project(position: Tensor, size: Tensor, camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place in the picture `[..., K, 2]` (right, up; edges at 1), apparent size, depth `[..., K, 1]`."""
    inverse = conjugate(_view(camera)).expand(*position.shape[:-1], 4)
    seen = rotate(inverse, position - camera[..., None, :3])
    depth = (-seen[..., 2:]).clamp_min(0.2)
    half = _half_width(camera)
    return (seen[..., :2] / depth / half).clamp(-2.0, 2.0), size[..., :1] / depth / half, depth


def _directions(like: Tensor) -> Tensor:
    """Unit vectors over a half turn in the picture, `[directions, 2]` (right, up)."""
    turn = torch.arange(OUTLINE_DIRECTIONS, dtype=like.dtype, device=like.device)
    turn = turn * (torch.pi / OUTLINE_DIRECTIONS)
    return torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1)


def _outline(state: Tensor, camera: Tensor, depth: Tensor, layout: StateLayout) -> Tensor:
    """How far each object reaches in the picture from its centre, in directions over a half turn,
    `[..., K, directions]` (1 is half the picture): its outline, since all shapes are symmetric."""
    flat = torch.nn.functional.pad(_directions(state), (0, 1))
    shape = *depth.shape[:-1], len(flat)
    towards = rotate(_view(camera)[..., None, :].expand(*shape, 4), flat.expand(*shape, 3))
    return reach(state, towards, layout) / depth / _half_width(camera)


def _facing(state: Tensor, camera: Tensor, layout: StateLayout) -> Tensor:
    """Each object's own axes, turned so that they point to the camera, in its axes, `[..., K, 3, 3]`: normals
    of the three sides of a box that are seen."""
    turned = state[..., layout.slice("quaternion")]
    turned = multiply(conjugate(_view(camera)).expand_as(turned), turned)[..., None, :]
    axes = torch.eye(3, dtype=state.dtype, device=state.device).expand(*turned.shape[:-2], 3, 3)
    normals = rotate(turned.expand(*axes.shape[:-1], 4), axes)
    return torch.where(normals[..., 2:] < 0, -normals, normals)  # the camera looks along its -z


def _sides(facing: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """Normals of the sides that face the camera, in its axes, `[..., K, 9]`: a box's three from left to
    right, so that it does not matter which is which; a cylinder's end, then zeros; zeros for others."""
    order = facing[..., 0].argsort(dim=-1)[..., None].expand_as(facing)
    is_box, is_cylinder = _is_a(state, layout)
    end = torch.cat([facing[..., 2, :], torch.zeros_like(facing[..., :2, :]).flatten(-2)], dim=-1)
    return is_box * facing.gather(-2, order).flatten(-2) + is_cylinder * end


def _knee(facing: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """From an object's centre to where its sides meet, right and up in the camera's axes, `[..., K, 2]` m: a
    box's corner that is nearest to the camera, the middle of a cylinder's end; zeros for others."""
    reaches = facing[..., :2] * state[..., layout.slice("size")][..., None]
    is_box, is_cylinder = _is_a(state, layout)
    return is_box * reaches.sum(-2) + is_cylinder * reaches[..., 2, :]


def _is_a(state: Tensor, layout: StateLayout) -> tuple[Tensor, Tensor]:
    """How much of a box and of a cylinder each object is, `[..., K, 1]` each; 0 in a world without them."""
    shape = state[..., layout.slice("shape")]
    none = torch.zeros_like(shape[..., :1])
    box, cylinder = (
        shape[..., layout.shapes.index(name), None] if name in layout.shapes else none
        for name in ("box", "cylinder")
    )
    return box, cylinder


def _exact_places(seen: Tensor) -> Tensor:
    """What of an object must be known to a pixel, in cells from the cell's centre: its own centre, its knee,
    and how far inside each line that touches its outline the cell's centre lies, `[..., 4 + 2 * directions]`.

    seen: `[..., n]`, the offset of the centre first, the knee and the outline last.
    """
    offset, knee = seen[..., :2], seen[..., -OUTLINE_DIRECTIONS - 2 : -OUTLINE_DIRECTIONS]
    outline = seen[..., -OUTLINE_DIRECTIONS:]
    along = offset @ _directions(seen).T
    return torch.cat([offset, offset + knee, outline + along, outline - along], dim=-1)


def _waves(places: Tensor) -> Tensor:
    """Sine and cosine of each number of `places [..., n]`, in cells, `[..., n * 2 * waves]`."""
    waves = torch.tensor(WAVES_PER_CELL, dtype=places.dtype, device=places.device)
    angle = 2.0 * torch.pi * places[..., None] * waves
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(-2)


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
) -> tuple[Tensor, Tensor]:
    """Nearness `[..., C, num]`, 1 to 0, of the `num` nearest points for each cell; their offset in cells and
    `about`, `[..., C, num, 2 + n]`. Where there are fewer points, the others have no nearness.

    uv: `[..., K, 2]`, about: `[..., K, n]`, present: `[..., K, 1]`, cells: `[C, 2]`.
    """
    spare = (0, 0, 0, max(num - uv.shape[-2], 0))
    uv, about, present = (torch.nn.functional.pad(part, spare) for part in (uv, about, present))
    offset = (uv[..., None, :, :] - cells[:, None, :]) * (grid / 2)
    near = torch.exp(-offset.square().sum(-1) / (2.0 * reach_cells**2)) * present[..., None, :, 0]
    weight, index = near.topk(num, dim=-1)
    every = torch.cat([offset, about[..., None, :, :].expand(*near.shape, about.shape[-1])], dim=-1)
    return weight, every.gather(-2, index[..., None].expand(*index.shape, every.shape[-1]))


def _faded(weight: Tensor, seen: Tensor) -> Tensor:
    """The weights `[..., C, num]`, and `seen [..., C, num, n]` times them, `[..., C, num * (1 + n)]`."""
    told = torch.cat([torch.ones_like(weight)[..., None], seen], dim=-1)
    return (told * weight[..., None]).flatten(-2)
