"""What a wrong picture costs: as latents, where the objects are, and as pixels seen through the decoder."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from orrery.tokenizers.video import VideoTokenizer
from orrery.training.clips import Clips
from orrery.training.latents import LatentSet
from orrery.training.tokenizer_video import pixel_cost

__all__ = ["DecodedCost", "picture_weights"]


def picture_weights(pictures: LatentSet, object_weight: float) -> Callable[[Clips], Tensor]:
    """A function from clips to the weight of each video token `[B, T, tokens]`, 1 on average.

    A token weighs more the further it is from the empty scene: the median of its camera's latents over many
    episodes, in units of its typical distance. Objects are a few percent of the picture and all of the news.
    """
    cameras = np.asarray(pictures.arrays["camera.main"][:, 0])
    kinds, which = np.unique(cameras.round(4), axis=0, return_inverse=True)
    plates = [
        np.median(np.asarray(pictures.arrays["video.main"][which == k][:200, ::7], np.float32), axis=(0, 1))
        for k in range(len(kinds))
    ]
    known, empty = torch.from_numpy(kinds).float(), torch.from_numpy(np.stack(plates)).float()

    def weigh(clips: Clips) -> Tensor:
        nearest = torch.cdist(clips.streams["camera.main"][:, 0].float().cpu(), known).argmin(dim=1)
        distance = (clips.streams["video.main"].cpu() - empty[nearest][:, None]).square().mean(-1).sqrt()
        weight = 1.0 + object_weight * (distance / 0.5).clamp(max=1.0)
        return (weight / weight.mean()).to(clips.state.device)

    return weigh


class DecodedCost:
    """How different two grids of latents look: the mean cost of their decoded pixels.

    Latents that are equally far apart may look alike or not; what counts is what is seen. Decoding whole
    frames would cost more than the transformer, so one square of `side` x `side` cells is decoded of each
    tick, drawn near what weighs most. The decoder itself does not learn. frames: of a tick.
    """

    def __init__(self, tokenizer: VideoTokenizer, frames: int, side: int = 4) -> None:
        self.tokenizer, self.frames = tokenizer.requires_grad_(False), frames
        self.grid = tokenizer.config.latent_grid
        self.side = min(side, self.grid)

    def __call__(
        self, estimate: Tensor, clean: Tensor, weights: Tensor, generator: torch.Generator
    ) -> Tensor:
        """A scalar. estimate, clean: `[N, tokens, frames * channels]`. weights: `[N, tokens]`."""
        cells = self._draw_squares(weights.cpu(), generator).to(estimate.device)
        found = self._pixels(estimate, cells)
        with torch.no_grad():
            wanted = self._pixels(clean, cells)
        return pixel_cost(found.float() - wanted.float()).mean()

    def _draw_squares(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Token numbers `[N, side * side]` of a square about a token drawn by its squared weight."""
        centre = torch.multinomial(weights.square(), 1, generator=generator)
        jitter = torch.randint(0, 2, (len(weights), 2), generator=generator)
        first = torch.cat([centre // self.grid, centre % self.grid], dim=1) - self.side // 2 + jitter
        first = first.clamp(0, self.grid - self.side)
        steps = torch.arange(self.side)
        rows, columns = (first[:, axis, None] + steps for axis in (0, 1))
        return (rows[:, :, None] * self.grid + columns[:, None, :]).flatten(1)

    def _pixels(self, tokens: Tensor, cells: Tensor) -> Tensor:
        """Decoded squares `[N * frames, 3, H, W]` of `tokens [N, tokens, frames * channels]`."""
        picked = tokens.gather(1, cells[..., None].expand(-1, -1, tokens.shape[-1]))
        side = math.isqrt(cells.shape[1])
        grids = picked.unflatten(1, (side, side)).unflatten(3, (self.frames, -1))
        return self.tokenizer.to_pixels(grids.permute(0, 3, 4, 1, 2).flatten(0, 1))
