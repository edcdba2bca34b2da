"""Sentences as keys that the few tokens attend to: each word with those beside it, then with all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.models.blocks import FewBlock, rms_norm
from orrery.models.tokens import StreamTokens, Ticks, module_key

__all__ = ["Sentences"]

NUM_BLOCKS = 2
NEIGHBOURS = 5
"""Words that are mixed by position, the one in the middle among them: a noun with its adjectives."""
WORD_STD = 0.1
SLOWEST = 20.0
"""Words, over two pi, of the longest wave that says where in a sentence a word is."""


class Sentences(nn.Module):
    """`[B, words, width]`, and which of them are words `[B, words]`. streams: those of kind text."""

    def __init__(self, streams: Sequence[StreamTokens], width: int, num_heads: int) -> None:
        super().__init__()
        self.names = [s.name for s in streams]
        num = sum(s.tokens for s in streams)
        self.words = nn.ModuleDict(
            {module_key(s.name): nn.Linear(s.width, width, bias=False) for s in streams}
        )
        self.places = nn.Parameter(WORD_STD * _waves(num, width))
        self.mixes = nn.ModuleList(
            nn.Conv1d(width, width, NEIGHBOURS, padding=NEIGHBOURS // 2) for _ in range(NUM_BLOCKS)
        )
        self.blocks = nn.ModuleList(FewBlock(width, num_heads, [num]) for _ in range(NUM_BLOCKS))
        for word in self.words.values():
            nn.init.normal_(word.weight, std=WORD_STD)  # pyright: ignore[reportArgumentType]

    def forward(self, given: Ticks) -> tuple[Tensor, Tensor]:
        """given: every sentence, of one tick, which serves all."""
        known = [given[name].visible[:, 0] for name in self.names]
        is_word = torch.cat([words.abs().amax(-1) > 0 for words in known], 1)
        x = torch.cat(
            [self.words[module_key(name)](words) for name, words in zip(self.names, known, strict=True)], 1
        )
        x = x + self.places
        for mix, block in zip(self.mixes, self.blocks, strict=True):
            beside = mix((rms_norm(x) * is_word[..., None]).transpose(1, 2)).transpose(1, 2)
            x, _ = block((x + F.silu(beside))[:, None], None, is_word[:, None, None])
            x = x[:, 0]
        return rms_norm(x), is_word


def _waves(num: int, width: int) -> Tensor:
    """Sines and cosines of places `[num, width]`, from a wave of two pi words to SLOWEST times as long."""
    speeds = SLOWEST ** -torch.linspace(0, 1, width // 2)
    phases = torch.arange(num)[:, None] * speeds
    return torch.cat([phases.sin(), phases.cos()], 1)
