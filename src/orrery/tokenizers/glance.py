"""What pictures show around the place where each object is thought to be.

A state that is read off pictures is denoised in the light of what lies there: near an object's true place the
latents tell by how much the estimate is off, where attention over all cells must find that out by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from orrery.streams import StateLayout
from orrery.tokenizers.perspective import project

__all__ = ["Glances"]


@dataclass(frozen=True)
class Glances:
    """How far around an object is looked: cells to each side of the middle one. width: numbers a cell."""

    reach: int
    width: int

    @property
    def total_width(self) -> int:
        """Numbers a slot."""
        return (2 * self.reach + 1) ** 2 * self.width + 2

    def at(self, latents: Tensor, state: Tensor, camera: Tensor, layout: StateLayout) -> Tensor:
        """The latents of the cells around each object, rows from the top left, and where in the middle one it
        lies (right, down; -0.5 to 0.5), `[..., K, total_width]`. Outside of the picture there are zeros.

        latents: `[..., cells, width]` of a square grid, rows from the top left. state: `[..., K, D]`, where
        the objects are thought to be. camera: `[..., 8]`.
        """
        side = math.isqrt(latents.shape[-2])
        uv, _, _ = project(state[..., layout.slice("position")], state[..., layout.slice("size")], camera)
        place = (uv * uv.new_tensor([1.0, -1.0]) + 1.0) * (side / 2) - 0.5  # in cells, right and down
        middle = place.round()
        around = torch.arange(-self.reach, self.reach + 1, device=uv.device)
        right, down = (middle[..., axis, None].long() + around for axis in range(2))  # [..., K, n]
        inside = ((down >= 0) & (down < side))[..., :, None] & ((right >= 0) & (right < side))[..., None, :]
        cell = down.clamp(0, side - 1)[..., :, None] * side + right.clamp(0, side - 1)[..., None, :]
        index = cell.flatten(-3)[..., None].expand(*cell.shape[:-3], -1, self.width)
        seen = latents.gather(-2, index).unflatten(-2, cell.shape[-3:]) * inside[..., None]
        return torch.cat([seen.flatten(-3), place - middle], dim=-1)
