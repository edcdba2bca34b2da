"""What every tokenizer is: the payloads of one stream as latents, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from orrery.streams import Clock, StreamSpec

__all__ = ["Memory", "Tokenizer"]

Memory = dict[str, Tensor]
"""What a tokenizer carries from one stretch of ticks to the next; every tensor leads with the batch."""

CLAMP_DEVIATIONS = 4.0


class Tokenizer(nn.Module):
    """Payloads `[B, T, *spec.shape]` as latents `[B, T, tokens, width]`, and back.

    spec: the stream. tokens, width: of one tick. grid: rows and columns where the tokens are the cells of a
    picture, row by row; None where they are not.

    Latents have about zero mean and unit variance. A subclass is made untrained by `from_config(spec,
    config())`; what it learned from data is all in its parameters and buffers.
    """

    learned: ClassVar[bool] = False
    """Whether it is trained by gradients; if not, its statistics are all there is to it."""

    tokens: int
    width: int
    grid: tuple[int, int] | None = None
    low: Tensor
    high: Tensor

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__()
        self.spec = spec

    def _set_sizes(self, tokens: int, width: int) -> None:
        """Every subclass calls this once, when it knows how many tokens of which width it has."""
        self.tokens, self.width = tokens, width
        self.register_buffer("low", torch.full((width,), -CLAMP_DEVIATIONS))
        self.register_buffer("high", torch.full((width,), CLAMP_DEVIATIONS))

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.low.device

    @classmethod
    def for_stream(cls, spec: StreamSpec, clock: Clock) -> Self:
        """An untrained tokenizer of the sizes that suit a stream."""
        return cls(spec)

    @classmethod
    def from_config(cls, spec: StreamSpec, config: dict[str, Any]) -> Self:
        """An untrained tokenizer of the same sizes as the one whose `config()` this was."""
        return cls(spec, **config)

    def config(self) -> dict[str, Any]:
        """Plain JSON values: the sizes that `from_config` needs."""
        raise TypeError(f"{type(self).__name__} has no config()")

    def fit(self, episodes: Sequence[Tensor]) -> None:
        """Take statistics of whole episodes, each `[T, *spec.shape]`; nothing for a tokenizer that learns."""

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """`[B, T, *shape]` to `[B, T, tokens, width]`. memory: what the ticks before these left; None at the
        start of an episode."""
        raise TypeError(f"{type(self).__name__} does not encode")

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """The inverse of `encode`, in the stream's dtype and within its range."""
        raise TypeError(f"{type(self).__name__} does not decode")

    def without_past(self, latents: Tensor) -> Tensor:
        """Latents `[..., tokens, width]` of ticks as `encode` gives them where no tick came before."""
        return latents

    @torch.no_grad()
    def note_range(self, latents: Tensor) -> None:
        """Note the range of the latents `[..., width]` of real ticks: `clamp` keeps imagined ones within
        it."""
        flat = latents.float().reshape(-1, self.width)
        margin = 0.05 * (flat.amax(0) - flat.amin(0))
        self.low.copy_(flat.amin(0) - margin)
        self.high.copy_(flat.amax(0) + margin)

    def clamp(self, latents: Tensor) -> Tensor:
        """Imagined latents cut to what real ones were seen to be."""
        return torch.maximum(torch.minimum(latents, self.high), self.low)
