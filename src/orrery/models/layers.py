"""The parts that the transformer is made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LevelEmbedding", "RMSNorm", "SwiGLU", "attend", "rotary_angles", "turn"]


class RMSNorm(nn.Module):
    """Root-mean-square norm (Zhang & Sennrich 2019, arXiv 1910.07467) that stays in its input's precision.

    `nn.RMSNorm` under autocast meets bf16 data with fp32 weights, leaves its fused kernel and returns fp32.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), eps=1e-6)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention, `[B, heads, n, head]`; mask: bool, True where a query may look.

    Written out: on CPUs torch's fused kernel is twice as slow to differentiate, and no faster forwards.
    """
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e4)
    return scores.softmax(dim=-1) @ value


class SwiGLU(nn.Module):
    """Gated feed-forward (Shazeer 2020, arXiv 2002.05202). width in and out, `hidden` gated units."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rise = nn.Linear(width, 2 * hidden, bias=False)
        self.fall = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.rise(x).chunk(2, dim=-1)
        return self.fall(functional.silu(gate) * value)


class LevelEmbedding(nn.Module):
    """A noise level in [0, 1], `[...]`, as `[..., width]`."""

    def __init__(self, width: int, num_bands: int = 16) -> None:
        super().__init__()
        self.register_buffer(
            "bands", torch.exp(torch.linspace(0.0, math.log(60.0), num_bands)), persistent=False
        )
        self.mix = nn.Sequential(nn.Linear(2 * num_bands, width), nn.SiLU(), nn.Linear(width, width))

    bands: Tensor

    def forward(self, level: Tensor) -> Tensor:
        phase = level[..., None] * self.bands * math.pi
        return self.mix(torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1))


def rotary_angles(positions: Tensor, head_width: int, tick_seconds: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[..., head_width / 2]` for positions in ticks `[...]`.

    Rotary embedding (Su et al. 2021, arXiv 2104.09864) in seconds: periods from 0.25 s to 32 s.
    """
    num = head_width // 2
    periods = 0.25 * 128.0 ** (torch.arange(num, device=positions.device) / max(num - 1, 1))
    angle = positions[..., None].float() * (2.0 * math.pi * tick_seconds) / periods
    return torch.cos(angle), torch.sin(angle)


def turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Apply rotary angles `[n, head_width / 2]` to `x [..., n, head_width]`."""
    a, b = x.chunk(2, dim=-1)
    cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
