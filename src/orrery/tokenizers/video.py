"""One frame in, a small grid of latent vectors out, and back: the video tokenizer.

Each frame stands alone, so the tokenizer is causal and streams without a memory; two frames squeezed into one
latent show fast objects twice. Convolutions start after a pixel-unshuffle by 4 and end before a pixel-shuffle
by 4, so none runs at full resolution. Changes of resolution have a parameter-free shortcut, as in the deep
compression autoencoder (Chen et al. 2024, arXiv:2410.10733); blocks have no normalisation.

Where it is known what stands where, the decoder is told, in cells finer than its latents' (`sight`): one
latent must say of 16x16 pixels where the edges of three bodies run, and does so to a pixel or two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orrery.errors import BadUse

__all__ = ["VideoTokenizer", "VideoTokenizerConfig"]

PATCH = 4
"""Side in pixels of the patch that becomes the channels of the finest stage."""


@dataclass(frozen=True)
class VideoTokenizerConfig:
    """Sizes of a `VideoTokenizer`.

    image_size: side of the frames it is trained for, pixels; other multiples of `downsampling` work too.
    latent_grid: side of the latent grid of a frame of `image_size`.
    latent_channels: length of a latent vector.
    channels: width of each stage, finest first; a stage has half the resolution of the one before it, so
        `image_size / latent_grid` is `4 * 2 ** (len(channels) - 1)`.
    num_blocks: residual blocks of each stage of the encoder, finest first.
    num_decoder_blocks: of the decoder, which has more to do: it also draws latents that were imagined. None
        takes `num_blocks`.
    sight_grid: side of the grid of cells of a frame of `image_size` that the decoder is told of; None tells
        it nothing but latents. It is that of one of its stages.
    sight_width: numbers a cell. sight_hidden: what they are brought down to first.
    Raises BadUse where these do not fit together.
    """

    image_size: int = 128
    latent_grid: int = 8
    latent_channels: int = 32
    channels: tuple[int, ...] = (48, 96, 192)
    num_blocks: tuple[int, ...] = (1, 1, 1)
    num_decoder_blocks: tuple[int, ...] | None = None
    sight_grid: int | None = None
    sight_width: int = 0
    sight_hidden: int = 192

    def __post_init__(self) -> None:
        for blocks in (self.num_blocks, self.decoder_blocks):
            if len(self.channels) != len(blocks):
                raise BadUse(f"video tokenizer: {len(self.channels)} widths but {len(blocks)} block counts")
        if self.latent_grid * self.downsampling != self.image_size:
            raise BadUse(
                f"video tokenizer: {len(self.channels)} stages shrink a frame {self.downsampling} times; "
                f"that does not take {self.image_size} pixels to a grid of {self.latent_grid}; change either"
            )
        if self.channels[-1] % self.latent_channels:
            raise BadUse(
                f"video tokenizer: the last width {self.channels[-1]} is not a multiple of "
                f"latent_channels {self.latent_channels}"
            )
        for fine, coarse in zip(self.channels, self.channels[1:], strict=False):
            if fine % 4 or (4 * fine) % coarse:
                raise BadUse(f"video tokenizer: a width of {fine} cannot be followed by {coarse}")
        grids = [self.latent_grid * 2**k for k in range(len(self.channels))]
        if self.sight_grid is not None and self.sight_grid not in grids:
            raise BadUse(
                f"video tokenizer: its decoder has stages of {', '.join(map(str, grids))} cells a side, none "
                f"of sight_grid {self.sight_grid}"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> VideoTokenizerConfig:
        """A configuration from the plain values of `dataclasses.asdict`, with lists for tuples."""
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**arguments)

    @property
    def decoder_blocks(self) -> tuple[int, ...]:
        """Residual blocks of each stage of the decoder, finest first."""
        return self.num_blocks if self.num_decoder_blocks is None else self.num_decoder_blocks

    @property
    def downsampling(self) -> int:
        """Pixels of a frame along one side of a latent cell."""
        return PATCH * 2 ** (len(self.channels) - 1)


def _conv(num_in: int, num_out: int) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, 3, padding=1)


class _Block(nn.Module):
    """x + f(x); f starts at zero, so that a deep stack starts as its shortcuts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class _Down(nn.Module):
    """Half the resolution: space goes into channels, and the shortcut averages neighbouring channels."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.num_out = num_out
        self.conv = _conv(num_in, num_out // 4)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = _average_channels(F.pixel_unshuffle(x, 2), self.num_out)
        return F.pixel_unshuffle(self.conv(x), 2) + shortcut


class _Up(nn.Module):
    """Twice the resolution: channels go into space, and the shortcut repeats channels."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.num_repeats = 4 * num_out // num_in
        self.conv = nn.Conv2d(
            num_in, 4 * num_out, 1
        )  # the blocks around it mix space; 3x3 costs a third more

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x) + x.repeat_interleave(self.num_repeats, dim=1), 2)


def _average_channels(x: Tensor, num_out: int) -> Tensor:
    return x.unflatten(1, (num_out, -1)).mean(2)


class _Encoder(nn.Module):
    def __init__(self, config: VideoTokenizerConfig) -> None:
        super().__init__()
        widths = config.channels
        self.num_latent = config.latent_channels
        self.stem = _conv(3 * PATCH**2, widths[0])
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers.append(_Down(widths[stage - 1], width))
            layers += [_Block(width) for _ in range(config.num_blocks[stage])]
        self.body = nn.Sequential(*layers)
        self.head = _conv(widths[-1], 2 * self.num_latent)

    def forward(self, pixels: Tensor) -> Tensor:
        """Means; the head's second half, the spread about them, counted in training only."""
        x = self.body(self.stem(F.pixel_unshuffle(pixels, PATCH)))
        mean, _ = self.head(F.silu(x)).float().chunk(2, dim=1)
        return mean + _average_channels(x, self.num_latent)


class _Decoder(nn.Module):
    """Latents to pixels. `look` brings what is known of the objects into the stage of that resolution; it
    starts at zero, so that a decoder which has learned without it goes on from what it was."""

    def __init__(self, config: VideoTokenizerConfig) -> None:
        super().__init__()
        widths = config.channels
        self.num_repeats = widths[-1] // config.latent_channels
        self.stem = _conv(config.latent_channels, widths[-1])
        self.look, self.look_before = None, -1
        layers: list[nn.Module] = []
        for stage in reversed(range(len(widths))):
            if config.sight_grid == config.latent_grid * 2 ** (len(widths) - 1 - stage):
                self.look, self.look_before = _look(config, widths[stage]), len(layers)
            layers += [_Block(widths[stage]) for _ in range(config.decoder_blocks[stage])]
            if stage:
                layers.append(_Up(widths[stage], widths[stage - 1]))
        self.body = nn.Sequential(*layers)
        self.head = _conv(widths[0], 3 * PATCH**2)

    def forward(self, latents: Tensor, sight: Tensor | None = None) -> Tensor:
        x = self.stem(latents) + latents.repeat_interleave(self.num_repeats, dim=1)
        for index, layer in enumerate(self.body):
            if index == self.look_before and self.look is not None and sight is not None:
                x = x + self.look(sight)
            x = layer(x)
        return F.pixel_shuffle(self.head(F.silu(x)), PATCH)


def _look(config: VideoTokenizerConfig, width: int) -> nn.Module:
    last = nn.Conv2d(config.sight_hidden, width, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.Conv2d(config.sight_width, config.sight_hidden, 1), nn.SiLU(), last)


class VideoTokenizer(nn.Module):
    """A per-frame convolutional autoencoder with a Gaussian bottleneck.

    `encode` and `decode` speak *normalised* latents: zero mean and unit deviation per channel over the frames
    of training. The network is fully convolutional, so frames of any size that is a multiple
    of `config.downsampling` work.
    """

    latent_mean: Tensor
    latent_deviation: Tensor

    def __init__(self, config: VideoTokenizerConfig | None = None) -> None:
        super().__init__()
        self.config = config or VideoTokenizerConfig()
        self.encoder = _Encoder(self.config)
        self.decoder = _Decoder(self.config)
        self.register_buffer("latent_mean", torch.zeros(self.config.latent_channels))
        self.register_buffer("latent_deviation", torch.ones(self.config.latent_channels))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Normalised latents `[B, T, h, w, c]` float32 of uint8 frames `[B, T, H, W, 3]`.

        Raises BadUse for another dtype, or a size that is no multiple of the downsampling.
        """
        latents = self._encode_raw(frames)
        return (latents - self.latent_mean.float()) / self.latent_deviation.float()

    @torch.no_grad()
    def decode(self, latents: Tensor, sight: Tensor | None = None) -> Tensor:
        """uint8 frames `[B, T, H, W, 3]` of normalised latents `[B, T, h, w, c]`.

        sight: `[B, T, cells, sight_width]` of cells in rows from the top left; None where nothing is known.
        Raises BadUse.
        """
        if latents.ndim != 5 or latents.shape[-1] != self.config.latent_channels:
            raise BadUse(
                f"video tokenizer: latents are [B, T, h, w, {self.config.latent_channels}], "
                f"got {list(latents.shape)}"
            )
        if sight is not None:
            side = latents.shape[3] * self.sight_cells
            sight = sight.flatten(0, 1).unflatten(1, (-1, side)).permute(0, 3, 1, 2)
        pixels = self.to_pixels(latents.flatten(0, 1).permute(0, 3, 1, 2), sight)
        frames = pixels.permute(0, 2, 3, 1).float().add(1.0).mul(127.5).round().clamp(0, 255)
        return frames.to(torch.uint8).unflatten(0, latents.shape[:2])

    def to_pixels(self, latents: Tensor, sight: Tensor | None = None) -> Tensor:
        """Pixels `[N, 3, H, W]`, about [-1, 1], of normalised latents `[N, c, h, w]`.

        sight: `[N, sight_width, h * sight_cells, w * sight_cells]`, or None.
        """
        deviation, mean = (v.float()[:, None, None] for v in (self.latent_deviation, self.latent_mean))
        dtype = self.decoder.stem.weight.dtype
        told = None if sight is None else sight.to(dtype)
        return self.decoder((latents.float() * deviation + mean).to(dtype), told)

    @property
    def sight_cells(self) -> int:
        """Cells of what the decoder is told along a side of a latent's cell; 0 where it is told nothing."""
        return (self.config.sight_grid or 0) // self.config.latent_grid

    def _encode_raw(self, frames: Tensor) -> Tensor:
        """Posterior means `[B, T, h, w, c]` float32, not normalised."""
        if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
            raise BadUse(
                f"video tokenizer: frames are uint8 [B, T, H, W, 3], got {frames.dtype} {list(frames.shape)}"
            )
        step = self.config.downsampling
        height, width = frames.shape[2:4]
        if height % step or width % step or not height or not width:
            raise BadUse(f"video tokenizer: {width}x{height} is no multiple of {step} pixels")
        pixels = frames.flatten(0, 1).permute(0, 3, 1, 2).to(self.encoder.stem.weight.dtype) / 127.5 - 1.0
        mean = self.encoder(pixels)
        return mean.float().permute(0, 2, 3, 1).unflatten(0, frames.shape[:2])
