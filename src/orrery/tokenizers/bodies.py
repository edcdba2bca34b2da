"""How far bodies extend and how far they are apart, from a state's shapes, sizes and poses.

state: `[..., K, D]` as `layout` says; lengths in metres, directions in the world's axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orrery.tokenizers.rotation import conjugate, rotate
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["apart", "clearance", "has_finger", "reach", "separation", "sphere_gap"]


def has_finger(layout: StateLayout) -> bool:
    """Whether the last slot is a finger, which goes where it is steered; where not, it is a body like any."""
    return "finger" in layout.shapes


def reach(state: Tensor, towards: Tensor, layout: StateLayout) -> Tensor:
    """How far objects extend from their centres along unit vectors of the world, metres.

    towards: `[..., K, n, 3]`. Returns `[..., K, n]`: the support function of each slot's shape.
    """
    size = state[..., layout.slice("size")][..., None, :]
    turned = conjugate(state[..., layout.slice("quaternion")])[..., None, :].expand(*towards.shape[:-1], 4)
    along = rotate(turned, towards).abs()  # in body axes
    radius, half_length = size[..., 0], size[..., 2]
    box = (along * size).sum(-1)
    across = (1.0 - along[..., 2].square()).clamp_min(0.0).sqrt()
    forms = {
        "ball": radius.expand_as(box),
        "box": box,
        "cylinder": along[..., 2] * half_length + across * radius,
        "finger": along[..., 2] * half_length + radius,
    }
    by_shape = torch.stack([forms[name] for name in layout.shapes], dim=-1)
    return (by_shape * state[..., layout.slice("shape")][..., None, :]).sum(-1)


def clearance(state: Tensor, layout: StateLayout) -> Tensor:
    """Height of the lowest point over the table, `[..., K, 1]` metres, from shape, size and rotation."""
    position = state[..., layout.slice("position")]
    up = torch.tensor([0.0, 0.0, 1.0], dtype=state.dtype, device=state.device).expand_as(position)
    return position[..., 2:] - reach(state, up[..., None, :], layout)


def separation(state: Tensor, layout: StateLayout) -> tuple[Tensor, Tensor]:
    """Gap between each two slots' bodies, `[..., K, K]` metres, negative where they overlap, and the unit
    vector from the first to the second along which it lies, `[..., K, K, 3]`.

    Along any direction, two convex bodies are at least as far apart as their extents leave between their
    centres; the gap is the largest such distance. The directions tried are those of the separating axis
    theorem (Gottschalk et al. 1996) that matter here: from centre to centre, the same within the
    horizontal, and the axes of both bodies.
    """
    position, num = state[..., layout.slice("position")], state.shape[-2]
    offset = position[..., None, :, :] - position[..., :, None, :]
    eye = torch.eye(3, dtype=state.dtype, device=state.device).expand(*position.shape[:-1], 3, 3)
    turned = state[..., layout.slice("quaternion")][..., None, :].expand(*eye.shape[:-1], 4)
    axes = rotate(turned, eye)  # [..., K, 3 axes, 3]
    pairs = *offset.shape[:-1], 3, 3
    level = offset * torch.tensor([1.0, 1.0, 0.0], dtype=state.dtype, device=state.device)
    tried = torch.cat(
        [
            torch.stack([offset, level], dim=-2),
            axes[..., :, None, :, :].expand(pairs),
            axes[..., None, :, :, :].expand(pairs),
        ],
        dim=-2,
    )  # [..., K, K, 8, 3]
    tried = tried / tried.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    along = (tried * offset[..., None, :]).sum(-1)
    tried = torch.where(along[..., None] < 0, -tried, tried)
    mine = reach(state, tried.flatten(-3, -2), layout).unflatten(-1, (num, -1))
    theirs = reach(state, tried.transpose(-4, -3).flatten(-3, -2), layout).unflatten(-1, (num, -1))
    gap, best = (along.abs() - mine - theirs.transpose(-3, -2)).max(dim=-1)
    pick = best[..., None, None].expand(*best.shape, 1, 3)
    return gap, tried.gather(-2, pick)[..., 0, :]


def apart(state: Tensor, layout: StateLayout) -> tuple[Tensor, Tensor]:
    """`separation` of bodies that are there: the gap of a slot with itself, and where one of the two is
    absent, is infinite."""
    gap, towards = separation(state, layout)
    there = state[..., layout.slice("present")][..., 0] > 0.5
    alone = ~(there[..., :, None] & there[..., None, :])
    alone = alone | torch.eye(gap.shape[-1], dtype=torch.bool, device=state.device)
    return gap.masked_fill(alone, torch.inf), towards


def sphere_gap(state: Tensor, layout: StateLayout) -> Tensor:
    """The least gap between the bounding spheres of two objects, `[...]` metres; infinite for a lone one.

    The finger (the last slot, where there is one) is no object.
    """
    objects = state[..., : state.shape[-2] - has_finger(layout), :]
    position, size = (objects[..., layout.slice(name)] for name in ("position", "size"))
    shape = objects[..., layout.slice("shape")]
    radius, half_length = size[..., 0], size[..., 2]
    forms = {
        "ball": radius,
        "box": size.norm(dim=-1),
        "cylinder": torch.hypot(radius, half_length),
        "finger": radius + half_length,
    }
    by_shape = torch.stack([forms[name] for name in layout.shapes], dim=-1)
    bounds = (by_shape * shape).sum(-1)
    gap = torch.cdist(position, position) - bounds[..., :, None] - bounds[..., None, :]
    there = objects[..., layout.slice("present")][..., 0] > 0.5
    pairs = torch.ones(gap.shape[-2:], dtype=torch.bool, device=gap.device).triu(1)
    counts = pairs & there[..., :, None] & there[..., None, :]
    return gap.masked_fill(~counts, torch.inf).amin((-2, -1))
