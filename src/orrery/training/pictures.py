"""What a wrong picture costs: as latents, where the objects are, and as pixels seen through the decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from orrery.errors import BadUse
from orrery.streams import Array
from orrery.tokenizers.video import VideoTokenizer
from orrery.training.clips import Clips
from orrery.training.frames import camera_backgrounds, object_mask
from orrery.training.latents import LatentSet
from orrery.training.tokenizer_video import pixel_cost, pixel_weights

__all__ = ["DecodedCost", "picture_weights"]

IMAGINED_WEIGHT = 4.0
"""Weight of what imagined latents look like, beside the latents themselves."""
ENCODED_WEIGHT = 1.0
"""Weight of what encoded latents look like, so that the decoder stays one of films that are given."""
ENCODED_SHARE = 0.25


def picture_weights(pictures: Sequence[LatentSet], object_weight: float) -> Callable[[Clips], Tensor]:
    """A function from clips to the weight of each video token `[B, T, tokens]`, 1 on average.

    A token weighs more the further it is from the empty scene: the median of its camera's latents over many
    episodes, in units of its typical distance. Objects are a few percent of the picture and all of the news.
    """
    known, seen_by = _cameras(pictures)
    plates = [
        np.median(latents.arrays["video.main"][rows[:200], ::7].astype(np.float32), axis=(0, 1))
        for latents, rows in seen_by
    ]
    empty = torch.from_numpy(np.stack(plates)).float()

    def weigh(clips: Clips) -> Tensor:
        nearest = torch.cdist(clips.streams["camera.main"][:, 0].float().cpu(), known).argmin(dim=1)
        distance = (clips.streams["video.main"].cpu() - empty[nearest][:, None]).square().mean(-1).sqrt()
        weight = 1.0 + object_weight * (distance / 0.5).clamp(max=1.0)
        return (weight / weight.mean()).to(clips.state.device)

    return weigh


def _cameras(pictures: Sequence[LatentSet]) -> tuple[Tensor, list[tuple[LatentSet, Array]]]:
    """The poses `[n, 8]` of the cameras that episodes start with, and for each the first set that has it,
    with the numbers of its episodes there."""
    seen_by: dict[tuple[float, ...], tuple[LatentSet, Array]] = {}
    for latents in pictures:
        poses = np.asarray(latents.arrays["camera.main"][:, 0])
        kinds, which = np.unique(poses.round(4), axis=0, return_inverse=True)
        for number, kind in enumerate(kinds):
            seen_by.setdefault(tuple(kind.tolist()), (latents, np.flatnonzero(which == number)))
    return torch.tensor(list(seen_by)), list(seen_by.values())


class DecodedCost:
    """How latents look once they are decoded, against the pictures themselves.

    Latents that are equally far apart may look alike or not; what counts is what is seen. The decoder may
    learn with the transformer: it was made for an encoder's latents, and has never seen the small errors of
    imagined ones; what it draws of encoded ones counts too, so that it stays a decoder of films.

    Decoding whole frames would cost more than the transformer, so squares of `side` x `side` cells are
    decoded, drawn near what weighs most; or, where `whole`, as many pixels of fewer whole frames, whose edges
    are a picture's own. A decoder that is told what stands where is told it of imagined latents; encoded ones
    are those of films, of which it need not be known.

    pictures: what clips are drawn from, with its pixels. object_weight: what pixels of objects, and pixels
    next to them, weigh more than others. squares: how many of each frame are decoded.
    """

    def __init__(
        self,
        tokenizer: VideoTokenizer,
        pictures: Sequence[LatentSet],
        object_weight: float = 8.0,
        side: int = 4,
        squares: int = 1,
    ) -> None:
        if any(latents.pixels is None for latents in pictures):
            raise BadUse("pictures without their pixels cannot be compared as pixels")
        self.tokenizer, self.object_weight = tokenizer, object_weight
        self.grid = tokenizer.config.latent_grid
        self.side, self.squares, self.whole = min(side, self.grid), squares, False
        self.known, seen_by = _cameras(pictures)
        self.empty = np.stack([_empty_scene(latents, rows) for latents, rows in seen_by])

    def __call__(
        self,
        estimate: Tensor,
        clean: Tensor,
        pixels: Tensor,
        camera: Tensor,
        weights: Tensor,
        generator: torch.Generator,
        sight: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Scalars: `imagined`, and `encoded` while the decoder learns.

        estimate, clean: `[N, tokens, frames * channels]`. pixels: uint8 `[N, frames, H, W, 3]`. camera:
        `[N, 8]`. weights: `[N, tokens]`. sight: `[N, frames, cells, numbers]`, what the decoder is told.
        """
        num, frames = pixels.shape[:2]
        side = self.grid if self.whole else self.side
        num_drawn = max(1, self.squares * num * frames * self.side**2 // side**2)
        chosen = torch.randperm(num * frames, generator=generator).repeat(self.squares)[:num_drawn]
        corners = self._draw_corners(weights.cpu()[chosen // frames], side, generator)
        nearest = torch.cdist(camera.float().cpu(), self.known).argmin(dim=1)
        true, mask = self._cut(pixels.cpu().flatten(0, 1)[chosen], nearest[chosen // frames], corners, side)
        true, mask = true.to(estimate.device), mask.to(estimate.device)
        drawn = self._draw(estimate, chosen, corners, side, sight)
        costs = {"imagined": IMAGINED_WEIGHT * self._cost(drawn, true, mask)}
        if self.tokenizer.decoder.head.weight.requires_grad:
            few = slice(math.ceil(ENCODED_SHARE * num_drawn))
            again = self._draw(clean, chosen[few], corners[few], side, None)
            costs["encoded"] = ENCODED_WEIGHT * self._cost(again, true[few], mask[few])
        return costs

    def _draw_corners(self, weights: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Row and column `[N, 2]` of the first cell of a square about a token drawn by its squared weight."""
        centre = torch.multinomial(weights.square(), 1, generator=generator)
        jitter = torch.randint(0, 2, (len(weights), 2), generator=generator)
        first = torch.cat([centre // self.grid, centre % self.grid], dim=1) - side // 2 + jitter
        return first.clamp(0, self.grid - side)

    def _cut(self, frames: Tensor, cameras: Tensor, corners: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Squares of `frames [N, H, W, 3]` as `[N, 3, h, w]` in [-1, 1], and where in them objects are,
        `[N, 1, h / 4, w / 4]`."""
        cell = self.tokenizer.config.downsampling
        spans = [tuple(slice(cell * int(a), cell * (int(a) + side)) for a in corner) for corner in corners]
        squares = np.stack([frame[span].numpy() for frame, span in zip(frames, spans, strict=True)])
        empty = np.stack([self.empty[int(k)][span] for k, span in zip(cameras, spans, strict=True)])
        mask = torch.from_numpy(object_mask(squares, empty)).float()
        return torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 127.5 - 1.0, mask[:, None]

    def _cost(self, drawn: Tensor, true: Tensor, mask: Tensor) -> Tensor:
        return (pixel_weights(mask, self.object_weight) * pixel_cost(drawn - true)).mean()

    def _draw(
        self, tokens: Tensor, chosen: Tensor, corners: Tensor, side: int, sight: Tensor | None
    ) -> Tensor:
        """Pixels `[n, 3, h, w]` of the squares at `corners` of frames `chosen` of `tokens
        [N, tokens, frames * c]`, with what is known of them."""
        channels = self.tokenizer.config.latent_channels
        every = tokens.unflatten(2, (-1, channels)).transpose(1, 2).flatten(0, 1)
        latents = _squares(every, chosen, corners, side, self.grid)
        told = None
        if sight is not None:
            cells = self.tokenizer.sight_cells
            told = _squares(sight.flatten(0, 1), chosen, cells * corners, cells * side, cells * self.grid)
        return self.tokenizer.to_pixels(latents, told).float()


def _squares(grids: Tensor, chosen: Tensor, corners: Tensor, side: int, grid: int) -> Tensor:
    """`[n, c, side, side]`: of each chosen one of `grids [N, grid * grid, c]` the square whose first row and
    column are `corners [n, 2]`."""
    steps = torch.arange(side)
    rows, columns = (corners[:, axis, None] + steps for axis in (0, 1))
    cells = (rows[:, :, None] * grid + columns[:, None, :]).to(grids.device)
    picked = grids[chosen.to(grids.device)[:, None, None], cells]
    return picked.permute(0, 3, 1, 2)


def _empty_scene(latents: LatentSet, rows: Array) -> Array:
    """What the camera of episodes `rows` sees where nothing stands, uint8 `[H, W, 3]`."""
    assert latents.pixels is not None
    frames = latents.pixels[rows[:64], ::7, 0].reshape(-1, *latents.pixels.shape[3:])
    return camera_backgrounds(frames, np.zeros(len(frames), np.int64), np.random.default_rng(0))[0]
