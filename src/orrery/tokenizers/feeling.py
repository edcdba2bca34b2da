"""What the finger's pad knows of the body it touches, from the state.

A push is felt as hard as the pushed body resists: its mass times the change of its velocity, and its
friction. Without this the network must find out by attention which body that is, on which side, and what
changed its speed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orrery.tokenizers.bodies import apart
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["feel", "feel_width"]

_NEAR_M = 0.02
_IMPULSE_NS = 0.002
"""0.05 N for a frame of 1/24 s: touch is squashed from that force on, and so are its causes."""
_WATER_KG_M3 = 1000.0
_FALL_M_S = 9.81 / 24.0
"""The speed that a fall gains in a frame."""


def feel_width(what_width: int) -> int:
    """Numbers that `feel` gives, for `what_width` numbers of what an object is."""
    return 16 + what_width


def feel(state: Tensor, before: Tensor, what: Tensor, layout: StateLayout) -> Tensor:
    """What there is to be felt in one frame, `[..., feel_width]`; the finger is the last slot.

    Of the body nearest to the finger, fading with the gap between them: the gap at the frame's end and at its
    beginning, the direction to it, its velocity past the finger, what it is, and, as if it were of water, its
    weight and the impulse that changed its velocity (its density is for the network to learn). Of the finger,
    the change of its own velocity.

    state, before: `[..., K, D]`, at the frame's end and at its beginning. what: `[..., K, n]`, numbers about
    what each object is.
    """
    (gaps, earlier), (directions, _) = apart(torch.stack([state, before]), layout)
    gap, nearest = gaps[..., -1, :].min(dim=-1, keepdim=True)
    near = torch.exp(-gap.clamp_min(0.0) / _NEAR_M)  # 0 where nothing is there
    first_gap = earlier[..., -1, :].gather(-1, nearest).clamp_max(1.0)

    def of_nearest(values: Tensor) -> Tensor:
        return values.gather(-2, nearest[..., None].expand(*nearest.shape, values.shape[-1]))[..., 0, :]

    velocity, speed_before = (s[..., layout.slice("linear_velocity")] for s in (state, before))
    kick = velocity - speed_before
    water_kg = _WATER_KG_M3 * of_nearest(state[..., layout.slice("size")]).prod(-1, keepdim=True) * 8.0
    felt = [
        torch.asinh(gap.clamp_max(1.0) / 0.002),
        torch.asinh(first_gap / 0.002),
        torch.ones_like(gap),
        of_nearest(directions[..., -1, :, :]),
        of_nearest(velocity) - velocity[..., -1, :],
        torch.asinh(water_kg * _FALL_M_S / _IMPULSE_NS),
        torch.asinh(water_kg * of_nearest(kick) / _IMPULSE_NS),
        of_nearest(what),
    ]
    own = torch.asinh(kick[..., -1, :] / 0.02)
    return torch.cat([near * torch.cat(felt, dim=-1), own], dim=-1)
