"""Located streams: what a box, a track or a keypoint tells the cells of the picture it lies in."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["PLACE", "LocatedCells"]

PLACE = 5
"""Numbers that begin each group of a located stream: u and v of its centre and its width and height, as
shares of the picture's width and height (0, 0 is the upper left corner), and its depth in any unit."""

WIDTHS = (0.03, 0.06, 0.12, 0.25)
FREQUENCIES = (1.0, 2.0, 4.0, 8.0)


class LocatedCells(nn.Module):
    """To every cell of a picture: the offset from each group's place, its nearness, its size and its
    embedding.

    frames, numbers: of a token, see `VectorTokenizer`, whose `centre` and `scale` of the first five numbers
    are `centre` and `scale` here. few_width: of the groups' embeddings. width: of the cells.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, frames: int, numbers: int, few_width: int, width: int) -> None:
        super().__init__()
        self.frames, self.numbers = frames, numbers
        self.register_buffer("centre", torch.zeros(PLACE))
        self.register_buffer("scale", torch.ones(PLACE))
        features = len(WIDTHS) + 4 * len(FREQUENCIES) + 2 + 3
        self.offset = nn.Linear(frames * features, width)
        self.group = nn.Linear(few_width, width)
        self.nearness = nn.Linear(frames * features, 1)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, latents: Tensor, level: Tensor, groups: Tensor, grid: tuple[int, int]) -> Tensor:
        """latents: `[B, T, K, frames * 2 * numbers]`; level: `[B, T]`; groups: embeddings `[B, T, K,
        few_width]`. Returns what is added to the cells, `[B, T, rows, columns, width]`."""
        values = latents.float().unflatten(-1, (self.frames, 2, self.numbers))[..., 0, :PLACE]
        places = values * self.scale + self.centre  # [B, T, K, frames, 5]
        features = _features(places, grid)  # [B, T, K, rows, columns, frames * features]
        hidden = torch.nn.functional.silu(self.offset(features) + self.group(groups)[:, :, :, None, None])
        hidden = self.mix(hidden)
        weight = self.nearness(features).float().softmax(2).to(hidden.dtype)
        certain = (1 - level)[:, :, None, None, None]
        return self.out((hidden * weight).sum(2)) * certain


def _features(places: Tensor, grid: tuple[int, int]) -> Tensor:
    rows, columns = grid
    v = (torch.arange(rows, device=places.device) + 0.5) / rows
    u = (torch.arange(columns, device=places.device) + 0.5) / columns
    cells = torch.stack([u.expand(rows, columns), v[:, None].expand(rows, columns)], -1)
    offset = cells[:, :, None] - places[..., None, None, :, :2]  # [B, T, K, rows, columns, frames, 2]
    size = places[..., None, None, :, 2:4].expand_as(offset)
    depth = places[..., None, None, :, 4:5].expand(*offset.shape[:-1], 1)
    distance = offset.square().sum(-1, keepdim=True)
    near = [torch.exp(-distance / (2 * width * width)) for width in WIDTHS]
    waves = [wave(offset.clamp(-1, 1) * math.pi * f) for f in FREQUENCIES for wave in (torch.sin, torch.cos)]
    inside = torch.tanh(offset / size.abs().clamp_min(0.01))
    return torch.cat([*near, *waves, inside, size, depth], -1).flatten(-2)
