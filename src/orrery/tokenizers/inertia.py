"""Where bodies get in the next frames if nothing stops them: what inertia alone makes of a state.

Free motion is most of what there is, and easy to write down; a network that is shown it has only to learn
when it holds, and what a hit makes of it. How deep a body would be in the table or in another one, had it
gone on, also tells whether there is a hit within a frame, and how early in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from orrery.tokenizers.bodies import apart, clearance, has_finger
from orrery.tokenizers.rotation import from_rotation_vector, multiply
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["COAST_WIDTH", "coast"]

GRAVITY_M_S2 = 9.81
LIES_M = 0.002
"""A body that is nearer to the table than this is held by it, and one further away falls."""
COAST_WIDTH = 11
"""Numbers a slot and frame in `coast`."""


def coast(anchor: Tensor, seconds: Tensor, scale: Mapping[str, float], layout: StateLayout) -> Tensor:
    """How the slots of `anchor [..., K, D]` are changed after `seconds [n]`, `[..., n, K, COAST_WIDTH]`.

    Position, once held by the table and once falling, and rotation vector are squashed as `StateCodec` writes
    changes, by `scale` (m, rad); then the clearance over the table, held and falling, and the smallest gap to
    another body, coarse and fine. A finger is driven and does not fall.
    """
    place, turned = layout.slice("position"), layout.slice("quaternion")
    seconds = seconds[:, None, None]
    anchor = anchor[..., None, :, :].expand(*anchor.shape[:-2], len(seconds), *anchor.shape[-2:])
    way = anchor[..., layout.slice("linear_velocity")] * seconds
    turn = anchor[..., layout.slice("angular_velocity")] * seconds
    drop = torch.ones_like(way[..., 2:]) * (GRAVITY_M_S2 / 2 * seconds.square())
    if has_finger(layout):
        drop[..., -1, :] = 0.0
    on = anchor.clone()
    on[..., place] += way
    on[..., turned] = multiply(from_rotation_vector(turn), anchor[..., turned])
    over = clearance(on, layout)
    free = on.clone()
    free[..., place.stop - 1 : place.stop] -= drop * (clearance(anchor, layout) > LIES_M)
    gap = apart(free, layout)[0].amin(-1, keepdim=True).clamp(max=1.0)
    numbers = [
        torch.asinh(way / scale["position"]), torch.asinh((way[..., 2:] - drop) / scale["position"]),
        torch.asinh(turn / scale["rotation"]), torch.asinh(over / 0.003), torch.asinh((over - drop) / 0.003),
        torch.asinh(gap / 0.01), torch.asinh(gap / 0.002),
    ]  # fmt: skip
    return torch.cat(numbers, dim=-1)
