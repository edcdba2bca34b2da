"""Pictures: a convolutional autoencoder without norm, one latent a frame, any size.

Pixel-unshuffle in and pixel-shuffle out, so that no convolution runs at full size; residual blocks of two
convolutions; a shortcut beside every change of size (Chen et al. 2024, "Deep compression autoencoder",
arXiv:2410.10733).
"""

from __future__ import annotations

import math
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.streams import Clock, StreamSpec

__all__ = ["VideoTokenizer", "resized"]

LATENT_NOISE = 0.1
GRID = 8  # cells along the shorter side, about


def _patch_size(height: int, width: int) -> int:
    """Pixels along a side of the squares that are unshuffled, so that a cell of the latent grid is four of
    them and the shorter side has about eight cells."""
    return max(1, round(math.sqrt(height * width) / (4 * GRID)))


class VideoTokenizer(Tokenizer):
    """`[B, T, frames, H, W, 3]` uint8 as a grid of cells of `4 * patch` pixels, `channels` numbers a frame.

    Pictures whose sides are not multiples of a cell are padded by their own edge. channels: latents a cell
    and frame. widths: of the network at 1/patch, 1/(2 patch) and 1/(4 patch) of the size; the one after
    divides four times the one before, and the one before divides four times the one after.
    """

    learned = True
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self, spec: StreamSpec, patch: int, channels: int = 16, widths: tuple[int, int, int] = (32, 64, 128)
    ) -> None:
        super().__init__(spec)
        self.frames, self.height, self.picture_width = spec.shape[:3]
        self.patch, self.channels, self.widths = patch, channels, tuple(widths)
        cell = 4 * patch
        self.grid = (-(-self.height // cell), -(-self.picture_width // cell))
        self._set_sizes(self.grid[0] * self.grid[1], self.frames * channels)
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_std", torch.ones(channels))
        a, b, c = self.widths
        pixels = 3 * patch * patch
        self.encoder = nn.Sequential(
            nn.Conv2d(pixels, a, 3, padding=1), _Block(a), _Down(a, b), _Block(b), _Block(b),
            _Down(b, c), _Block(c), nn.Conv2d(c, channels, 1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, c, 3, padding=1), _Block(c), _Up(c, b), _Block(b), _Block(b),
            _Up(b, a), _Block(a), nn.Conv2d(a, pixels, 3, padding=1),
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def for_stream(cls, spec: StreamSpec, clock: Clock) -> Self:
        """See `Tokenizer`."""
        return cls(spec, _patch_size(*spec.shape[1:3]))

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {"patch": self.patch, "channels": self.channels, "widths": list(self.widths)}

    @torch.no_grad()
    def normalise(self, raw: Tensor) -> None:
        """Take mean and spread of raw latents `[N, channels, rows, columns]`; `encode` gives unit
        variance."""
        self.latent_mean.copy_(raw.float().mean((0, 2, 3)))
        self.latent_std.copy_(raw.float().std((0, 2, 3), correction=0).clamp_min(1e-4))

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`. Pictures of another size are brought to the stream's."""
        batch = ticks.shape[:2]
        ticks = resized(ticks.flatten(0, 2), (self.height, self.picture_width))
        raw = self.encode_raw(self.to_pixels(ticks))
        latents = (raw.float() - _along(self.latent_mean)) / _along(self.latent_std)
        latents = latents.unflatten(0, (*batch, self.frames)).permute(0, 1, 4, 5, 2, 3)
        return latents.reshape(*batch, self.tokens, self.width), {}

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`."""
        batch = latents.shape[:2]
        raw = latents.reshape(*batch, *self._grid, self.frames, self.channels).permute(0, 1, 4, 5, 2, 3)
        raw = raw.flatten(0, 2) * _along(self.latent_std) + _along(self.latent_mean)
        pixels = self.decode_raw(raw.contiguous(memory_format=torch.channels_last)).float()
        pictures = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
        return pictures.reshape(*batch, *self.spec.shape), {}

    def encode_raw(self, pixels: Tensor) -> Tensor:
        """`[N, 3, H, W]` in -1 to 1, to latents `[N, channels, rows, columns]` before they are normalised."""
        rows, columns = self._grid
        cell = 4 * self.patch
        missing = (0, columns * cell - pixels.shape[3], 0, rows * cell - pixels.shape[2])
        if any(missing):
            pixels = F.pad(pixels, missing, mode="replicate")
        return self.encoder(
            F.pixel_unshuffle(pixels, self.patch).contiguous(memory_format=torch.channels_last)
        )

    def decode_raw(self, raw: Tensor) -> Tensor:
        """The inverse of `encode_raw`."""
        pixels = F.pixel_shuffle(self.decoder(raw), self.patch)
        return pixels[:, :, : self.height, : self.picture_width]

    @staticmethod
    def to_pixels(pictures: Tensor) -> Tensor:
        """`[N, H, W, 3]` uint8 to `[N, 3, H, W]` in -1 to 1."""
        pixels = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels.contiguous(memory_format=torch.channels_last)

    @property
    def _grid(self) -> tuple[int, int]:
        assert self.grid is not None
        return self.grid


def resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """`[N, H, W, 3]` uint8 as `[N, *size, 3]`, by averaging areas."""
    if tuple(pictures.shape[1:3]) == size:
        return pictures
    pixels = F.interpolate(pictures.permute(0, 3, 1, 2).float(), size, mode="area")
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class _Block(nn.Module):
    """Two convolutions with a residual that starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class _Down(nn.Module):
    """Half the size; the shortcut averages groups of the unshuffled channels."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * width, out, 3, padding=1)
        self.group = 4 * width // out

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(x, 2)
        return self.conv(x) + x.unflatten(1, (-1, self.group)).mean(2)


class _Up(nn.Module):
    """Twice the size; the shortcut repeats channels."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * out, 3, padding=1)
        self.repeats = 4 * out // width

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x) + x.repeat_interleave(self.repeats, 1), 2)


def _along(statistics: Tensor) -> Tensor:
    return statistics[:, None, None]
