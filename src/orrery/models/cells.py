"""The cells of pictures on their way into the network, among the few tokens, and out again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from orrery.models.tokens import Noisy

__all__ = ["SUMMARY_TOKENS", "CellsIn", "Out", "Summary"]

SUMMARY_TOKENS = 4
"""Tokens that stand for a picture among the few, besides one of maxima."""


class CellsIn(nn.Module):
    """Latents of a picture as cells `[B, T, rows, columns, width]`, each knowing where it is."""

    def __init__(self, grid: tuple[int, int], latent_width: int, width: int) -> None:
        super().__init__()
        self.grid = grid
        self.embed = nn.Linear(latent_width, width)
        self.places = nn.Parameter(0.02 * torch.randn(*self.grid, width))

    def forward(self, noisy: Noisy | None, batch: int = 0, ticks: int = 0) -> Tensor:
        if noisy is None:
            return (self.places + self.embed.bias).expand(batch, ticks, -1, -1, -1)
        return self.embed(noisy.visible.unflatten(2, self.grid)) + self.places


class Summary(nn.Module):
    """Cells `[B, T, rows, columns, width]` as few tokens: learned queries that attend to them, and maxima."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, SUMMARY_TOKENS)
        self.values = nn.Linear(width, out)
        self.maxima = nn.Linear(width, out)

    def forward(self, cells: Tensor) -> Tensor:
        flat = cells.flatten(2, 3)
        weights = self.scores(flat).float().softmax(2).to(flat.dtype)  # over cells
        attended = self.values(weights.transpose(2, 3) @ flat)
        return torch.cat([attended, self.maxima(flat.amax(2, keepdim=True))], 2)


class Out(nn.Module):
    """From hidden to latents, as a change from those of the tick before, as far as a learned gate lets
    them. begins_as_copy: expect no change at first."""

    def __init__(self, width: int, out: int, begins_as_copy: bool = True) -> None:
        super().__init__()
        self.project = nn.Linear(width, out)
        self.gate = nn.Parameter(torch.ones(out))
        nn.init.zeros_(self.project.bias)
        if begins_as_copy:
            nn.init.zeros_(self.project.weight)

    def forward(self, hidden: Tensor, past: Noisy | None) -> Tensor:
        change = self.project(hidden).float()
        return change if past is None else change + self.gate * past.visible.float()
