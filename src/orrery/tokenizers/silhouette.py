"""Each object's outline in the picture, and the edges inside of it, to a fraction of a pixel.

Everything is seen in perspective: at the edge of a picture a ball is no circle, and of a box that is near the
far side is smaller than the near one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from orrery.tokenizers.perspective import (
    NEAREST_M,
    axes_seen,
    by_shape,
    facing,
    half_width,
    is_a,
    seen_from,
)
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["Silhouette", "directions", "silhouette"]

NUM_OWN = 6
"""Straight parts of an outline: the six of a box that shows three sides."""
ROUND = 24
"""Points that stand for a circle: between two of them it reaches less than one percent further out."""
HEXAGON = ((1, 1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1), (-1, 1, 1), (-1, 1, -1))
"""The corners of a box, in order, which are neither nearest to the camera nor furthest from it."""
CORNERS = tuple((x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1))


class Silhouette(NamedTuple):
    """Of each object, in the picture (right, up; edges at 1).

    out, reach: `[..., K, n, 2]` and `[..., K, n]`, lines that touch the outline: which way is out, and how
    far that way it reaches from the picture's middle. First those in `directions`, then those along straight
    parts of the outline. facing: `[..., K, 3, 3]`, its own axes in the camera's, turned so that they point
    to the camera. shows: `[..., K, 3]` bool, whether a box shows the side that each is the normal of.
    towards: `[..., K, 3]`, the unit vector to the camera, in its axes. knee: `[..., K, 2]`,
    where its sides meet: a box's corner that is nearest to the camera, the middle of a cylinder's end, the
    centre of others. edges: `[..., K, 3, 2]`, unit vectors from there along a box's edges, one for each
    axis. rim: `[..., K, 2, 2]`, from there to the rim of a cylinder's end, along its first two axes.
    """

    out: Tensor
    reach: Tensor
    facing: Tensor
    shows: Tensor
    towards: Tensor
    knee: Tensor
    edges: Tensor
    rim: Tensor


def silhouette(state: Tensor, camera: Tensor, num_directions: int, layout: StateLayout) -> Silhouette:
    """state: `[..., K, D]`. camera: `[..., 8]`. num_directions: over a full turn."""
    centre = seen_from(camera, state[..., layout.slice("position")])
    size, axes = state[..., layout.slice("size")], axes_seen(state, camera, layout)
    normals = facing(axes, -centre)
    half = half_width(camera)
    points = _in_picture(centre[..., None, :] + _outermost(state, centre, axes, layout), half)
    fixed = directions(num_directions, state).expand(*centre.shape[:-1], num_directions, 2)
    out = torch.cat([fixed, _straight(state, centre, axes, normals, half, layout)], dim=-2)
    reach = (points @ out.transpose(-1, -2)).amax(-2)
    box, cylinder = (is_a(state, layout, name) for name in ("box", "cylinder"))
    sides = normals * size[..., None]
    corner = centre + box * sides.sum(-2) + cylinder * sides[..., 2, :]
    knee = _in_picture(corner[..., None, :], half)
    edges = _unit(_in_picture(corner[..., None, :] - 2.0 * sides, half) - knee)
    rim = _in_picture(corner[..., None, :] + sides[..., :2, :], half) - knee
    shows = -(normals @ centre[..., None])[..., 0] > size
    return Silhouette(out, reach, normals, shows, _unit(-centre), knee[..., 0, :], edges, rim)


def directions(num: int, like: Tensor) -> Tensor:
    """Unit vectors over a full turn in the picture, `[num, 2]` (right, up)."""
    turn = torch.arange(num, dtype=like.dtype, device=like.device) * (2.0 * torch.pi / num)
    return torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1)


def _outermost(state: Tensor, centre: Tensor, axes: Tensor, layout: StateLayout) -> Tensor:
    """Points that an object's outline goes round, from its centre in the camera's axes, `[..., K, n, 3]`."""
    size = state[..., layout.slice("size")]
    radius, half_length = size[..., :1], size[..., 2:, None]
    circle = directions(ROUND, state)
    rim = radius[..., None] * (circle @ axes[..., :2, :])
    end = half_length * axes[..., 2:, :]
    corners = torch.tensor(CORNERS, dtype=state.dtype, device=state.device)
    box = (corners * size[..., None, :]) @ axes
    ball = _rim_of_ball(centre, radius, circle)
    forms = {
        "ball": torch.cat([ball, ball], dim=-2),
        "box": box.repeat_interleave(2 * ROUND // len(CORNERS), dim=-2),
        "cylinder": torch.cat([rim + end, rim - end], dim=-2),
        "finger": torch.cat(
            [s * end + _rim_of_ball(centre + (s * end)[..., 0, :], radius, circle) for s in (1.0, -1.0)],
            dim=-2,
        ),
    }
    return by_shape(state, layout, forms)


def _rim_of_ball(centre: Tensor, radius: Tensor, circle: Tensor) -> Tensor:
    """The circle in which lines of sight touch a ball, from its centre, `[..., n, 3]`.

    centre: `[..., 3]` in the camera's axes. radius: `[..., 1]`. circle: `[n, 2]`.
    """
    away = centre.norm(dim=-1, keepdim=True).clamp_min(NEAREST_M)
    sight = centre / away
    sine = (radius / away).clamp(max=0.99)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=centre.dtype, device=centre.device).expand_as(centre)
    right = _unit(torch.linalg.cross(sight, up))
    across = torch.stack([right, torch.linalg.cross(right, sight)], dim=-2)
    rim = (radius * (1.0 - sine.square()).sqrt())[..., None] * (circle @ across)
    return rim - (radius * sine * sight)[..., None, :]


def _straight(
    state: Tensor, centre: Tensor, axes: Tensor, normals: Tensor, half: Tensor, layout: StateLayout
) -> Tensor:
    """Which way is out of the straight parts of each outline, `[..., K, NUM_OWN, 2]`; where an object has
    fewer, some of them twice, and to the right for what has none."""
    size = state[..., layout.slice("size")]
    corners = torch.tensor(HEXAGON, dtype=state.dtype, device=state.device)
    hexagon = _in_picture(centre[..., None, :] + (corners * size[..., None, :]) @ normals, half)
    along = hexagon.roll(-1, dims=-2) - hexagon
    across = torch.stack([along[..., 1], -along[..., 0]], dim=-1)
    middle = _in_picture(centre[..., None, :], half)
    outwards = ((hexagon - middle) * across).sum(-1, keepdim=True)
    box = torch.where(outwards < 0, -across, across)
    long = _beside(centre, axes, size[..., :1]).repeat_interleave(NUM_OWN // 2, dim=-2)
    right = torch.tensor([1.0, 0.0], dtype=state.dtype, device=state.device).expand_as(box)
    is_box = is_a(state, layout, "box")[..., None]
    is_long = (is_a(state, layout, "cylinder") + is_a(state, layout, "finger"))[..., None]
    return _unit(is_box * _unit(box) + is_long * _unit(long) + (1.0 - is_box - is_long) * right)


def _beside(centre: Tensor, axes: Tensor, radius: Tensor) -> Tensor:
    """Out of both sides of a cylinder in the picture, `[..., 2, 2]`: of the two planes through the camera
    that touch it, which meet its axis nowhere. Not of unit length."""
    camera = -(axes @ centre[..., None])[..., 0]  # in the body's axes
    towards = torch.atan2(camera[..., 1], camera[..., 0])
    beside = camera[..., :2].norm(dim=-1).clamp_min(1e-6)
    turn = torch.acos((radius[..., 0] / beside).clamp(max=1.0))
    both = torch.stack([towards + turn, towards - turn], dim=-1)
    normals = torch.stack([torch.cos(both), torch.sin(both)], dim=-1)  # in the first two of the body's axes
    return (normals @ axes[..., :2, :])[..., :2]


def _in_picture(points: Tensor, half: Tensor) -> Tensor:
    """Where points `[..., K, n, 3]` in the camera's axes are seen, `[..., K, n, 2]`."""
    return points[..., :2] / (-points[..., 2:]).clamp_min(NEAREST_M) / half[..., None]


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-6)
