"""The parts of the world model: attention over few tokens, convolutions over many.

Everything runs over `[B, T, ...]`: whole clips in training, one tick at a time with a cache when imagining.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "Attention",
    "FewBlock",
    "GridBlock",
    "LevelEmbedding",
    "StreamFeedForward",
    "apply_rotary",
    "rms_norm",
    "rotary_angles",
    "rotation",
]

M = TypeVar("M", bound=nn.Module)
LAGS = 3
"""Ticks that a block of convolutions mixes: this one and the two before."""


def rms_norm(x: Tensor) -> Tensor:
    """Root-mean-square norm over the last axis (Zhang & Sennrich 2019, arXiv:1910.07467), without a gain: the
    layer that follows has one."""
    return F.rms_norm(x, (x.shape[-1],), eps=1e-6)


def rotary_angles(seconds: Tensor, num: int) -> Tensor:
    """Angles `[..., num]` of a rotary embedding (Su et al. 2021, arXiv:2104.09864) of seconds `[...]`:
    periods from 0.25 s to 32 s."""
    periods = 0.25 * 128.0 ** (torch.arange(num, device=seconds.device) / max(num - 1, 1))
    return (seconds.double()[..., None] * (2.0 * math.pi) / periods).remainder(2.0 * math.pi).float()


Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of the angle of every pair of numbers of a query or key: `[n, half]`, `[B, 1, n, half]`."""


def rotation(seconds: Tensor, num: int, head_width: int) -> Rotation:
    """How `num` tokens of every tick are rotated. seconds: `[T]`, or `[B, T]`."""
    positions = seconds.repeat_interleave(num, -1)
    angle = rotary_angles(positions[:, None] if seconds.ndim == 2 else positions, head_width // 2)
    return angle.cos(), angle.sin()


def apply_rotary(x: Tensor, turn: Rotation) -> Tensor:
    """Rotated queries or keys `[B, heads, n, width]`."""
    cosine, sine = turn[0].to(x.dtype), turn[1].to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


class LevelEmbedding(nn.Module):
    """A noise level in [0, 1], `[...]`, as `[..., width]`."""

    bands: Tensor

    def __init__(self, width: int, num_bands: int = 16) -> None:
        super().__init__()
        bands = torch.exp(torch.linspace(0.0, math.log(60.0), num_bands))
        self.register_buffer("bands", bands, persistent=False)
        self.mix = nn.Sequential(nn.Linear(2 * num_bands, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, level: Tensor) -> Tensor:
        phase = level[..., None] * self.bands
        return self.mix(torch.cat([phase.sin(), phase.cos()], -1))


class StreamFeedForward(nn.Module):
    """A feed-forward of each stream's own for its run of tokens `[..., n, width]`. runs: tokens of each
    stream."""

    def __init__(self, width: int, runs: Sequence[int]) -> None:
        super().__init__()
        self.runs = list(runs)
        self.up = nn.ModuleList(nn.Linear(width, 2 * width) for _ in runs)
        self.down = nn.ModuleList(nn.Linear(2 * width, width) for _ in runs)
        for down in self.down:
            _zero(down)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.runs, -2)
        return torch.cat(
            [down(F.silu(up(part))) for up, down, part in zip(self.up, self.down, parts, strict=True)], -2
        )


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys (Henry et al. 2020, arXiv:2010.04245)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.gain = nn.Parameter(torch.full((num_heads, 1, 1), 1.5))
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def queries(self, x: Tensor) -> Tensor:
        """`[B, n, width]` to `[B, heads, n, width / heads]`."""
        return rms_norm(self.query(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, n, width]` to keys and values `[B, heads, n, width / heads]`."""
        key, value = self.key_value(x).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return rms_norm(key), value

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[B, heads, n, head]` to `[B, n, width]`. mask: True where a query may attend; broadcast to
        `[B, heads, n, m]`. Written out: differentiating torch's fused kernel takes twice as long on CPUs."""
        query = query * (self.gain / math.sqrt(query.shape[-1])).to(query.dtype)
        scores = query @ key.transpose(-1, -2).to(query.dtype)
        if mask is not None:
            scores = scores.masked_fill_(~mask, -1e4)
        mixed = scores.softmax(-1).to(query.dtype) @ value.to(query.dtype)
        return self.out(mixed.transpose(1, 2).flatten(2))


class FewBlock(nn.Module):
    """Attention to the words of a sentence, then among all few tokens and the past, then each stream's own
    feed-forward.

    reads: whether there are sentences. They are attended apart: where words share a softmax with the other
    tokens, what they say is learned later.
    """

    def __init__(self, width: int, num_heads: int, runs: Sequence[int], reads: bool = False) -> None:
        super().__init__()
        self.reading = Attention(width, num_heads) if reads else None
        self.attention = Attention(width, num_heads)
        self.feed_forward = StreamFeedForward(width, runs)

    def forward(
        self,
        x: Tensor,
        turn: Rotation | None,
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None = None,
        text: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x: `[B, T, n, width]`. turn: see `rotation`; None for tokens that are all at one time. past: keys
        and values that come first. mask: `[B or 1, 1, T * n, past + T * n]`. text: words `[S, words, width]`
        and which of them are words; each sentence is read by `B / S` rows. Returns x and the keys and values
        of its own."""
        batch, ticks, num, width = x.shape
        if self.reading is not None and text is not None:
            words, is_word = text
            query = self.reading.queries(rms_norm(x).view(len(words), -1, width))
            said = self.reading.attend(query, *self.reading.keys_values(words), is_word[:, None, None])
            x = x + said.view_as(x)
        flat = rms_norm(x).flatten(1, 2)
        query = self.attention.queries(flat)
        key, value = self.attention.keys_values(flat)
        if turn is not None:
            query, key = apply_rotary(query, turn), apply_rotary(key, turn)
        own = (key, value)
        if past is not None:
            key, value = (
                torch.cat([past[0].to(key.dtype), key], 2),
                torch.cat([past[1].to(value.dtype), value], 2),
            )
        x = x + self.attention.attend(query, key, value, mask).view(batch, ticks, num, -1)
        return x + self.feed_forward(rms_norm(x)), own


class GridBlock(nn.Module):
    """A mix over the last ticks of each cell, then two 3x3 convolutions; modulated by a vector (FiLM, Perez
    et al. 2018, arXiv:1709.07871). Over `[B, T, rows, columns, width]`.

    lags: ticks that are mixed; 1 for a block that sees no past.
    """

    def __init__(self, width: int, condition_width: int, lags: int = LAGS) -> None:
        super().__init__()
        self.lags = lags
        self.mix = nn.Linear(lags * width, width, bias=False) if lags > 1 else None
        self.modulate = _zero(nn.Linear(condition_width, 2 * width))
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = _zero(nn.Conv2d(width, width, 3, padding=1))

    def forward(
        self, x: Tensor, condition: Tensor, past: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """condition: `[B, T, condition_width]`. past: what the block returned beside its output for the ticks
        before, `[B, lags - 1, rows, columns, width]`; None where there are none."""
        scale, shift = self.modulate(condition)[:, :, None, None].chunk(2, -1)
        y = rms_norm(x)
        memory = None
        if self.mix is not None:
            ticks = x.shape[1]
            if past is None:
                past = torch.zeros_like(y[:, :1]).expand(-1, self.lags - 1, -1, -1, -1)
            joined = torch.cat([past.to(y.dtype), y], 1)
            memory = joined[:, ticks:]
            y = self.mix(torch.cat([joined[:, k : k + ticks] for k in reversed(range(self.lags))], -1))
        y = (y * (1 + scale) + shift).flatten(0, 1).permute(0, 3, 1, 2)
        y = self.second(F.silu(self.first(F.silu(y)))).permute(0, 2, 3, 1)
        return x + y.view_as(x), memory


def _zero(layer: M) -> M:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
