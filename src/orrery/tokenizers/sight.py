"""What each cell of a picture knows of the objects near it, from their state and the camera's pose.

Without it, cells must learn from pictures alone where in them a point of the world lies. `see` tells the
cells of latents, which are imagined; `look` tells the finer ones in which a decoder draws them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from orrery.streams import StateLayout
from orrery.tokenizers.bodies import reach
from orrery.tokenizers.rotation import conjugate, multiply, rotate

__all__ = ["look", "look_width", "project", "see", "see_width"]

NUM_SEEN = 2
FADE_CELLS = 1.5
"""How far outside of an outline it is still told, in fine cells (one sigma)."""
FARTHEST_CELLS = 9.0
"""Further out nothing fades any more: it is one part in a hundred million there, and numbers that are smaller
by far slow processors down."""
BANDS_PER_CELL = (0.5, 2.0, 8.0)
"""What counts to a pixel is told at several scales: at the finest, a cell is eight pixels."""
FOOT_REACH = 0.2
"""How far from its foot an object is told of, in widths of the picture (one sigma)."""
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
    present, cells = state[..., layout.slice("present")], _cell_centres(grid, state)
    placed = _place(state, camera, grid, layout)
    sides = _sides(placed.facing, state, layout)
    about = [placed.apparent, placed.depth - 1.0, what, sides, placed.knee, placed.outline]
    weight, seen = _nearest_in_cells(
        placed.uv, torch.cat(about, dim=-1), present, cells, grid, num=NUM_SEEN, reach_cells=1.2
    )
    exact = _exact_places(seen)
    objects = _faded(weight, torch.cat([seen, exact.clamp(-2.0, 2.0), _waves(exact)], dim=-1))
    uv, height = _foot(state, camera, grid, layout)
    feet = _nearest_in_cells(uv, height, present, cells, grid, num=1, reach_cells=2.0)
    return torch.cat([objects, _faded(*feet)], dim=-1)


def look_width(what_width: int) -> int:
    """Numbers a cell that `look` gives, for `what_width` numbers of what an object is."""
    num_exact = 1 + 2 * OUTLINE_DIRECTIONS + 2 + 3
    return NUM_SEEN * (16 + what_width + len(BANDS_PER_CELL) * num_exact + 5)


def look(state: Tensor, what: Tensor, camera: Tensor, grid: int, layout: StateLayout) -> Tensor:
    """What each cell of a fine grid knows: `[..., grid * grid, look_width]`, cells in rows from the top left.

    Of the two objects whose outlines the cell's centre is furthest inside of, or nearest to, the one in front
    first: depth, size, what they are and the sides they show; the way out and the offset of the centre; and,
    at several scales, how far inside the outline and each line that touches it the cell's centre lies, where
    the knee is, and on which side of the edges that meet there the cell lies. All is faded outside of the
    outline. And the feet of the two that are nearest, near which shadows fall. Arguments as of `see`.
    """
    present, cells = state[..., layout.slice("present")], _cell_centres(grid, state)
    placed = _place(state, camera, grid, layout)
    sides = _sides(placed.facing, state, layout)
    offset = (placed.uv[..., None, :, :] - cells[:, None, :]) * (grid / 2)
    inside = _inside(offset, placed.outline[..., None, :, :])
    gap, nearest = inside.min(-1, keepdim=True)
    out = torch.cat([_directions(state), -_directions(state)])[nearest[..., 0]]
    to_knee = offset + placed.knee[..., None, :, :]
    edges = _beside_edges(to_knee, placed.facing, state, layout)
    exact = torch.cat([gap, inside, to_knee, edges], dim=-1)
    about = torch.cat([placed.depth - 1.0, placed.apparent / 4, what, sides], dim=-1)[..., None, :, :]
    told = [about.expand(*gap.shape[:-1], about.shape[-1]), out, offset / 4, exact]
    near = torch.exp(-gap[..., 0].clamp(-FARTHEST_CELLS, 0.0).square() / (2.0 * FADE_CELLS**2))
    weight, chosen = _in_front_first(gap[..., 0], near, torch.cat(told, dim=-1), present[..., 0])
    rest, exact = chosen.tensor_split([chosen.shape[-1] - exact.shape[-1]], dim=-1)
    bands = [torch.tanh(exact * band) for band in BANDS_PER_CELL]
    objects = _faded(weight, torch.cat([rest, *bands], dim=-1))
    uv, height = _foot(state, camera, grid / 4, layout)
    weight, seen = _nearest_in_cells(
        uv / 4, height, present, cells / 4, grid, num=NUM_SEEN, reach_cells=FOOT_REACH * grid / 4
    )
    return torch.cat([objects, _faded(weight, seen)], dim=-1)


class _Placed(NamedTuple):
    """Objects in the picture, `[..., K, n]` each: place (see `project`); size, knee and outline in cells of a
    grid; depth in metres. facing: see `_facing`."""

    uv: Tensor
    apparent: Tensor
    depth: Tensor
    facing: Tensor
    knee: Tensor
    outline: Tensor


def _place(state: Tensor, camera: Tensor, grid: int, layout: StateLayout) -> _Placed:
    position, size = state[..., layout.slice("position")], state[..., layout.slice("size")]
    uv, apparent, depth = project(position, size, camera)
    facing = _facing(state, camera, layout)
    knee = _knee(facing, state, layout) / depth / _half_width(camera) * grid / 2
    outline = _outline(state, camera, depth, layout) * grid / 2
    return _Placed(uv, apparent * grid / 2, depth, facing, knee, outline)


def _foot(state: Tensor, camera: Tensor, grid: float, layout: StateLayout) -> tuple[Tensor, Tensor]:
    """Where in the picture the table right below each object lies, `[..., K, 2]`; the object's height, and
    its size there in cells of a grid, `[..., K, 2]`."""
    position, size = state[..., layout.slice("position")], state[..., layout.slice("size")]
    foot = torch.cat([position[..., :2], torch.zeros_like(position[..., 2:])], dim=-1)
    uv, apparent, _ = project(foot, size, camera)
    return uv, torch.cat([position[..., 2:] / 0.2, apparent * grid / 2], dim=-1)


def _inside(offset: Tensor, outline: Tensor) -> Tensor:
    """How far inside of each line that touches an outline a cell's centre lies, in cells,
    `[..., 2 * directions]`.

    offset: `[..., 2]`, from the cell's centre to the object's. outline: `[..., directions]`.
    """
    along = offset @ _directions(offset).T
    return torch.cat([outline + along, outline - along], dim=-1)


def _beside_edges(to_knee: Tensor, facing: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """How far on which side of each of the three edges that meet in a box's knee a cell's centre lies, in
    cells, `[..., C, K, 3]`; zeros for others. to_knee: `[..., C, K, 2]`, from the cell's centre."""
    along = _left_to_right(facing)[..., :2]
    along = along / along.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    is_box, _ = _is_a(state, layout)
    across = (
        to_knee[..., None, 0] * along[..., None, :, :, 1] - to_knee[..., None, 1] * along[..., None, :, :, 0]
    )
    return across * is_box[..., None, :, :]


def _in_front_first(gap: Tensor, near: Tensor, told: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Of `near [..., C, K]` and `told [..., C, K, n]`, depth first, what belongs to the two slots with the
    greatest `gap [..., C, K]`, the nearer to the camera first; where there are fewer, none is near."""
    spare = max(NUM_SEEN - gap.shape[-1], 0)
    there = present[..., None, :].expand_as(gap)
    gap = torch.nn.functional.pad(gap.masked_fill(there < 0.5, -torch.inf), (0, spare), value=-torch.inf)
    near = torch.nn.functional.pad(near * there, (0, spare))
    told = torch.nn.functional.pad(told, (0, 0, 0, spare))
    _, chosen = gap.topk(NUM_SEEN, dim=-1)
    depth = told[..., 0].masked_fill(gap.isinf(), torch.inf).gather(-1, chosen)
    chosen = chosen.gather(-1, depth.argsort(dim=-1))
    return near.gather(-1, chosen), told.gather(-2, chosen[..., None].expand(*chosen.shape, told.shape[-1]))


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


def _left_to_right(facing: Tensor) -> Tensor:
    """The rows of `facing [..., 3, 3]` by where they point, from left to right."""
    return facing.gather(-2, facing[..., 0].argsort(dim=-1)[..., None].expand_as(facing))


def _sides(facing: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """Normals of the sides that face the camera, in its axes, `[..., K, 9]`: a box's three from left to
    right, so that it does not matter which is which; a cylinder's end, then zeros; zeros for others."""
    is_box, is_cylinder = _is_a(state, layout)
    end = torch.cat([facing[..., 2, :], torch.zeros_like(facing[..., :2, :]).flatten(-2)], dim=-1)
    return is_box * _left_to_right(facing).flatten(-2) + is_cylinder * end


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
    return torch.cat([offset, offset + knee, _inside(offset, outline)], dim=-1)


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
