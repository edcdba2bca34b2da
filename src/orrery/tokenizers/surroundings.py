"""What the network sees of the state that changes are counted from: each body, and what is next to it.

anchor: `[..., K, D]` as `layout` says.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orrery.tokenizers.bodies import clearance, has_finger, separation
from orrery.tokenizers.rotation import six_numbers
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["BODY_WIDTH", "NEIGHBOUR_WIDTH", "body", "neighbour"]

BODY_WIDTH = 22
"""Numbers a slot in `body`."""
NEIGHBOUR_WIDTH = 13
"""Numbers a slot in `neighbour`."""


def body(anchor: Tensor, layout: StateLayout) -> Tensor:
    """Pose and velocities at coarse and at fine scale, `[..., K, BODY_WIDTH]`."""
    linear, angular = (anchor[..., layout.slice(f"{name}_velocity")] for name in ("linear", "angular"))
    return torch.cat(
        [
            anchor[..., layout.slice("position")] / 0.2,
            six_numbers(anchor[..., layout.slice("quaternion")]),
            torch.asinh(linear / 0.05),
            linear,
            torch.asinh(angular / 0.5),
            angular / 8.0,
            torch.asinh(clearance(anchor, layout) / 0.003),
        ],
        dim=-1,
    )


def neighbour(anchor: Tensor, layout: StateLayout) -> Tensor:
    """Offset, gap and its direction, speed and kind of the nearest other body, `[..., K, NEIGHBOUR_WIDTH]`;
    zero where none is."""
    num_slots = anchor.shape[-2]
    position, present = (anchor[..., layout.slice(name)] for name in ("position", "present"))
    offset = position[..., None, :, :] - position[..., :, None, :]
    gap, normal = separation(anchor, layout)
    eye = torch.eye(num_slots, dtype=torch.bool, device=anchor.device)
    blocked = eye | (present[..., None, :, 0] < 0.5)
    nearest = gap.masked_fill(blocked, torch.inf).argmin(-1, keepdim=True)
    chosen_gap = gap.gather(-1, nearest)
    none = blocked.gather(-1, nearest)
    pick = nearest[..., None].expand(*nearest.shape, 3)
    chosen, normal = (v.gather(-2, pick)[..., 0, :] for v in (offset, normal))
    linear = anchor[..., layout.slice("linear_velocity")]
    relative = (linear[..., None, :, :] - linear[..., :, None, :]).gather(-2, pick)[..., 0, :]
    is_finger = ((nearest == num_slots - 1) & has_finger(layout)).to(anchor.dtype)
    near = torch.exp(-chosen_gap.clamp_min(0.0) / 0.05)
    gaps = [torch.asinh(chosen_gap / 0.01), torch.asinh(chosen_gap / 0.002)]
    parts = [chosen / 0.2, normal, *gaps, near, relative, is_finger]
    return torch.cat(parts, dim=-1).masked_fill(none, 0.0)
