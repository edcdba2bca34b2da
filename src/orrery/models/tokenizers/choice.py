"""Choices: one of `num_choices`, one-hot in -1 and 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.streams import StreamSpec

__all__ = ["ChoiceTokenizer"]


class ChoiceTokenizer(Tokenizer):
    """Payloads are integers `[..., *shape]` in [0, num_choices); one token for each number of the payload."""

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__(spec)
        if spec.num_choices < 1:
            raise ValueError(f"{spec.name}: a choice stream needs num_choices of at least 1")
        tokens = 1
        for axis in spec.shape:
            tokens *= axis
        self._set_sizes(tokens, spec.num_choices)
        self.low.fill_(-1.0)
        self.high.fill_(1.0)

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {}

    def note_range(self, latents: Tensor) -> None:
        """The range of a one-hot is known."""

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`."""
        chosen = ticks.reshape(*ticks.shape[:2], self.tokens).long()
        return functional.one_hot(chosen, self.width).float() * 2 - 1, {}

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`: the largest wins."""
        chosen = latents.argmax(-1).reshape(*latents.shape[:2], *self.spec.shape)
        return chosen.to(getattr(torch, self.spec.dtype)), {}
