"""Which side of each object a place in the picture shows, how it is turned, and where the next sides begin.

Places outside of an outline are told as if the sides went on. Everything is in the picture (right, up; edges
at 1), all directions in space in the camera's axes (right, up, to the viewer).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from orrery.tokenizers.perspective import by_shape, project
from orrery.tokenizers.silhouette import Silhouette
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["NUM_CREASES", "Surface", "surface"]

NUM_CREASES = 2
"""Where one side of an object meets the next: those of a box's side that it sees; the rim of a cylinder."""
NONE_NEAR = 2.0
"""Distance to a crease that is not there."""
_LEAST = 1e-4


class Surface(NamedTuple):
    """Of each object and place, creases the nearest first.

    normals: `[..., K, C, 1 + NUM_CREASES, 3]`, of the side that is seen and of those beyond the creases,
    zeros for none. creases: `[..., K, C, NUM_CREASES]`, how far away they are. across: `[..., K, C,
    NUM_CREASES, 2]`, unit vectors straight to them, zeros for none.
    """

    normals: Tensor
    creases: Tensor
    across: Tensor


def surface(state: Tensor, camera: Tensor, places: Tensor, shown: Silhouette, layout: StateLayout) -> Surface:
    """state: `[..., K, D]`. camera: `[..., 8]`. places: `[C, 2]`. shown: the objects' outlines."""
    position, size = state[..., layout.slice("position")], state[..., layout.slice("size")]
    uv, apparent, _ = project(position, size, camera)
    from_centre = (places - uv[..., None, :]) / apparent[..., None, :].clamp_min(_LEAST)
    from_knee = places - shown.knee[..., None, :]
    round_side = _round_side(from_centre, shown)
    forms = {
        "ball": _without_creases(_of_ball(from_centre)),
        "box": _of_box(from_knee, shown),
        "cylinder": _of_cylinder(round_side, from_knee, shown),
        "finger": _without_creases(round_side),
    }
    normals, creases, across = (
        by_shape(state, layout, {name: form[part] for name, form in forms.items()}) for part in range(3)
    )
    return Surface(normals, creases.clamp(max=NONE_NEAR), across)


def _of_ball(from_centre: Tensor) -> Tensor:
    """A ball's normals `[..., K, C, 3]`. from_centre: `[..., K, C, 2]` in radii."""
    flat = from_centre / from_centre.norm(dim=-1, keepdim=True).clamp_min(1.0)
    up = (1.0 - flat.square().sum(-1, keepdim=True)).clamp_min(0.0).sqrt()
    return torch.cat([flat, up], dim=-1)


def _round_side(from_centre: Tensor, shown: Silhouette) -> Tensor:
    """A cylinder's normals `[..., K, C, 3]` between its ends. from_centre: `[..., K, C, 2]` in radii."""
    axis = shown.facing[..., 2, :]
    beside = _unit(torch.linalg.cross(axis, shown.towards))
    front = torch.linalg.cross(beside, axis)
    side = (from_centre @ _unit(beside[..., :2])[..., None]).clamp(-1.0, 1.0)
    return side * beside[..., None, :] + (1.0 - side.square()).sqrt() * front[..., None, :]


def _of_box(from_knee: Tensor, shown: Silhouette) -> Surface:
    """Of the sides that it shows that in which the place lies furthest along both edges at the knee."""
    one, other = shown.edges.roll(-1, dims=-2), shown.edges.roll(-2, dims=-2)
    area = _not_zero(_cross(one, other), _LEAST)[..., None, :]
    beside = _cross(shown.edges[..., None, :, :], from_knee[..., None, :])
    along_both = torch.minimum(-beside.roll(-2, dims=-1) / area, beside.roll(-1, dims=-1) / area)
    seen = along_both.masked_fill(~shown.shows[..., None, :], -torch.inf).argmax(-1, keepdim=True)
    edges = (seen + torch.tensor([1, 2], device=seen.device)) % 3
    # Beyond the edge along one axis lies the side of the other.
    normals = _each(shown.facing, torch.cat([seen, edges.flip(-1)], dim=-1))
    side_of = beside.gather(-1, edges)
    across = -torch.sign(side_of)[..., None] * _left_of(_each(shown.edges, edges))
    away = side_of.abs()
    swap = away[..., :1] > away[..., 1:]
    away = torch.where(swap, away.flip(-1), away)
    across = torch.where(swap[..., None], across.flip(-2), across)
    beyond = torch.where(swap[..., None], normals[..., 1:, :].flip(-2), normals[..., 1:, :])
    return Surface(torch.cat([normals[..., :1, :], beyond], dim=-2), away, across)


def _each(rows: Tensor, chosen: Tensor) -> Tensor:
    """`[..., K, C, n, d]`: of `rows [..., K, 3, d]` those that are `chosen [..., K, C, n]`."""
    index = chosen.flatten(-2)[..., None]
    return rows.gather(-2, index.expand(*index.shape[:-1], rows.shape[-1])).unflatten(-2, chosen.shape[-2:])


def _of_cylinder(round_side: Tensor, from_knee: Tensor, shown: Silhouette) -> Surface:
    """Its end or its round side, and between them the rim, along the way from the middle of the end."""
    end, rim = shown.facing[..., 2:, :], shown.rim[..., None, :, :]
    area = _not_zero(_cross(rim[..., 0, :], rim[..., 1, :]), _LEAST**2)
    share = torch.hypot(_cross(from_knee, rim[..., 1, :]), _cross(rim[..., 0, :], from_knee))
    share = (share / area.abs()).clamp_min(1e-3)[..., None]
    is_end, outwards = share < 1.0, _unit(from_knee)
    seen, beyond = torch.where(is_end, end, round_side), torch.where(is_end, round_side, end)
    away = from_knee.norm(dim=-1, keepdim=True) * (1.0 - 1.0 / share).abs()
    across = torch.where(is_end, outwards, -outwards)
    plain = _without_creases(seen)
    return Surface(
        torch.cat([plain.normals[..., :1, :], beyond[..., None, :], plain.normals[..., 2:, :]], dim=-2),
        torch.cat([away, plain.creases[..., 1:]], dim=-1),
        torch.cat([across[..., None, :], plain.across[..., 1:, :]], dim=-2),
    )


def _without_creases(seen: Tensor) -> Surface:
    """seen: `[..., K, C, 3]`."""
    shape = *seen.shape[:-1], NUM_CREASES
    normals = torch.cat([seen[..., None, :], seen.new_zeros(*shape, 3)], dim=-2)
    return Surface(normals, seen.new_full(shape, NONE_NEAR), seen.new_zeros(*shape, 2))


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """`[...]` of vectors in the picture `[..., 2]`."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _not_zero(values: Tensor, least: float) -> Tensor:
    return torch.where(values < 0, values.clamp(max=-least), values.clamp_min(least))


def _left_of(vectors: Tensor) -> Tensor:
    return torch.stack([-vectors[..., 1], vectors[..., 0]], dim=-1)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-6)
