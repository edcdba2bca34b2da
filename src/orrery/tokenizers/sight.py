"""What each cell of a picture knows of the objects near it, from their state and the camera's pose.

Without it, cells must learn from pictures alone where in them a point of the world lies. `see` tells the
cells of latents, which are imagined; `look` tells the finer ones in which a decoder draws them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orrery.tokenizers.bodies import reach
from orrery.tokenizers.perspective import (
    axes_seen,
    facing,
    half_width,
    is_a,
    left_to_right,
    project,
    view,
    world_axes,
)
from orrery.tokenizers.rotation import rotate
from orrery.tokenizers.silhouette import directions, silhouette
from orrery.tokenizers.surface import NUM_CREASES, surface
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["look", "look_width", "see", "see_width"]

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

    Outlines and sides are those of a view along the camera's axis, as the shipped transformer learned them;
    `look` has them in perspective.

    state: `[..., K, D]`. what: `[..., K, n]`, numbers about what each object is. camera: `[..., 8]`.
    """
    present, cells = state[..., layout.slice("present")], _cell_centres(grid, state)
    uv, apparent, depth = project(
        state[..., layout.slice("position")], state[..., layout.slice("size")], camera
    )
    axes = axes_seen(state, camera, layout)
    normals = facing(axes, torch.tensor([0.0, 0.0, 1.0], dtype=axes.dtype, device=axes.device))
    knee = _knee(normals, state, layout) / depth / half_width(camera)
    outline = _outline(state, camera, depth, layout)
    placed = [apparent * grid / 2, depth - 1.0, what, _sides(normals, state, layout), knee * grid / 2]
    about = torch.cat([*placed, outline * grid / 2], dim=-1)
    weight, seen = _nearest_in_cells(uv, about, present, cells, grid, num=NUM_SEEN, reach_cells=1.2)
    exact = _exact_places(seen)
    objects = _faded(weight, torch.cat([seen, exact.clamp(-2.0, 2.0), _waves(exact)], dim=-1))
    uv, height = _foot(state, camera, grid, layout)
    feet = _nearest_in_cells(uv, height, present, cells, grid, num=1, reach_cells=2.0)
    return torch.cat([objects, _faded(*feet)], dim=-1)


def look_width(what_width: int) -> int:
    """Numbers a cell that `look` gives, for `what_width` numbers of what an object is."""
    num_exact = 1 + 2 * OUTLINE_DIRECTIONS + 2 + NUM_CREASES
    num_sides = 3 * (1 + NUM_CREASES) + 2 * NUM_CREASES
    return NUM_SEEN * (3 + what_width + num_sides + 4 + len(BANDS_PER_CELL) * num_exact + 5)


def look(state: Tensor, what: Tensor, camera: Tensor, grid: int, layout: StateLayout) -> Tensor:
    """What each cell of a fine grid knows: `[..., grid * grid, look_width]`, cells in rows from the top left.

    Of the two objects whose outlines the cell's centre is furthest inside of, or nearest to, the one in front
    first: depth, size and what they are; how the side is turned that the cell's centre lies on, and those
    beyond its nearest creases, in the world's axes, in which light falls the same for every camera; the ways
    to the creases, out of the outline, and to the object's centre; and, at several scales, how far inside the
    outline and each line that touches it the cell's centre lies, where the knee is and how near the creases
    are (see `Silhouette` and `Surface`). All is faded outside of the outline. And the feet of the two that
    are nearest, near which shadows fall. Arguments as of `see`.
    """
    spare = (0, 0, 0, max(NUM_SEEN - state.shape[-2], 0))
    state, what = torch.nn.functional.pad(state, spare), torch.nn.functional.pad(what, spare)
    present, cells = state[..., layout.slice("present")], _cell_centres(grid, state)
    uv, apparent, depth = project(
        state[..., layout.slice("position")], state[..., layout.slice("size")], camera
    )
    shown = silhouette(state, camera, 2 * OUTLINE_DIRECTIONS, layout)
    lines = shown.reach[..., None, :] - cells @ shown.out.transpose(-1, -2)  # [..., K, C, n]
    gap, nearest = lines.min(-1, keepdim=True)
    out = shown.out.gather(-2, nearest.expand(*nearest.shape[:-1], 2))
    sides = surface(state, camera, cells, shown, layout)
    turned = sides.normals.flatten(-3, -2) @ world_axes(camera)
    turned = turned.unflatten(-2, (len(cells), -1)).flatten(-2)
    offset, to_knee = (place[..., None, :] - cells for place in (uv, shown.knee))
    exact = torch.cat([gap, lines[..., : 2 * OUTLINE_DIRECTIONS], to_knee, sides.creases], dim=-1)
    rest = torch.cat([turned, sides.across.flatten(-2), out, offset * (grid / 8)], dim=-1)
    about = torch.cat([depth - 1.0, apparent * (grid / 8), what], dim=-1)[..., None, :]

    chosen = _in_front_first(gap[..., 0], depth, present)
    near, about, rest, exact = (
        _of_chosen(told.expand(*gap.shape[:-1], told.shape[-1]), chosen)
        for told in (present[..., None, :], about, rest, exact * (grid / 2))
    )
    fade = torch.exp(-exact[..., :1].clamp(-FARTHEST_CELLS, 0.0).square() / (2.0 * FADE_CELLS**2))
    bands = [torch.tanh(exact * band) for band in BANDS_PER_CELL]
    objects = _faded((near * fade)[..., 0], torch.cat([about, rest, *bands], dim=-1))
    uv, height = _foot(state, camera, grid / 4, layout)
    weight, seen = _nearest_in_cells(
        uv / 4, height, present, cells / 4, grid, num=NUM_SEEN, reach_cells=FOOT_REACH * grid / 4
    )
    return torch.cat([objects, _faded(weight, seen)], dim=-1)


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
    along = offset @ _half_turn(offset).T
    return torch.cat([outline + along, outline - along], dim=-1)


def _in_front_first(gap: Tensor, depth: Tensor, present: Tensor) -> Tensor:
    """The two slots with the greatest `gap [..., K, C]`, the nearer to the camera first, absent ones
    last, `[..., C, 2]`. depth, present: `[..., K, 1]`."""
    gap, chosen = gap.masked_fill(present < 0.5, -torch.inf).topk(NUM_SEEN, dim=-2)
    depth = depth.expand(*depth.shape[:-1], gap.shape[-1]).gather(-2, chosen)
    first = depth.masked_fill(gap.isinf(), torch.inf).argsort(dim=-2)
    return chosen.gather(-2, first).transpose(-1, -2)


def _of_chosen(told: Tensor, chosen: Tensor) -> Tensor:
    """`[..., C, 2, n]`: of `told [..., K, C, n]` what belongs to the slots `chosen [..., C, 2]`."""
    index = chosen[..., None].expand(*chosen.shape, told.shape[-1])
    return told.movedim(-3, -2).gather(-2, index)


def _half_turn(like: Tensor) -> Tensor:
    """The directions `[n, 2]` in which outlines that are the same both ways are told."""
    return directions(2 * OUTLINE_DIRECTIONS, like)[:OUTLINE_DIRECTIONS]


def _outline(state: Tensor, camera: Tensor, depth: Tensor, layout: StateLayout) -> Tensor:
    """How far each object reaches in the picture from its centre, in directions over a half turn,
    `[..., K, directions]` (1 is half the picture): its outline, since all shapes are symmetric."""
    flat = torch.nn.functional.pad(_half_turn(state), (0, 1))
    shape = *depth.shape[:-1], len(flat)
    towards = rotate(view(camera)[..., None, :].expand(*shape, 4), flat.expand(*shape, 3))
    return reach(state, towards, layout) / depth / half_width(camera)


def _sides(normals: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """Normals of the sides that face the camera, in its axes, `[..., K, 9]`: a box's three from left to
    right, so that it does not matter which is which; a cylinder's end, then zeros; zeros for others."""
    box, cylinder = (is_a(state, layout, name) for name in ("box", "cylinder"))
    end = torch.cat([normals[..., 2, :], torch.zeros_like(normals[..., :2, :]).flatten(-2)], dim=-1)
    return box * left_to_right(normals).flatten(-2) + cylinder * end


def _knee(normals: Tensor, state: Tensor, layout: StateLayout) -> Tensor:
    """From an object's centre to where its sides meet, right and up in the camera's axes, `[..., K, 2]` m: a
    box's corner that is nearest to the camera, the middle of a cylinder's end; zeros for others."""
    reaches = normals[..., :2] * state[..., layout.slice("size")][..., None]
    box, cylinder = (is_a(state, layout, name) for name in ("box", "cylinder"))
    return box * reaches.sum(-2) + cylinder * reaches[..., 2, :]


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
