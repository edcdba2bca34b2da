"""The reference engine: runs the world transformer in torch, one rank of one tick a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from orrery.engines.packing import packed
from orrery.models.kv_cache import KVCache
from orrery.models.transformer import WorldTransformer

__all__ = ["TorchEngine"]


class TorchEngine:
    """Runs passes over single ticks, with everything before them in a `KVCache`.

    ranks: stream to rank, in the sense of `WorldTransformer`. The model's weights are taken as they are now.
    """

    def __init__(self, model: WorldTransformer, ranks: Mapping[str, int]) -> None:
        self.model = packed(model.eval().requires_grad_(False))
        self.config = model.config
        self.ranks = dict(ranks)
        self._levels: dict[tuple[str, float], Tensor] = {}

    def new_cache(self, words: Tensor) -> KVCache:
        """A memory that holds only the sentence. words: `[B, max_words]`, 0 is padding; B is 1."""
        cache = KVCache(max(shape.window for shape in self.config.streams.values()), self.model.turned)
        self.read_text(cache, words)
        return cache

    def read_text(self, cache: KVCache, words: Tensor) -> None:
        """Put a sentence, `[1, max_words]`, in the place of the one before."""
        words = words[:, : int((words[0] != 0).sum())]
        if not words.shape[1]:
            cache.set_text(None)
            return
        tokens = self.model.embed_words(words)
        positions = torch.zeros(words.shape[1], dtype=torch.long)
        _, keys = self.model.run(tokens, [("text", words.shape[1])], positions)
        cache.set_text(keys)

    def estimate(
        self,
        cache: KVCache,
        numbers: Mapping[str, Tensor],
        features: Mapping[str, Tensor],
        levels: Mapping[str, float],
        settle: bool = False,
    ) -> dict[str, Tensor]:
        """One pass over streams of one rank in the current tick; the clean estimates, `[B, tokens, width]`.

        numbers, features: `[B, tokens, width]`. settle: keep this pass's keys and values for what follows.
        """
        names = [name for name in self.config.streams if name in numbers]
        rank = self.ranks[names[0]]
        if any(self.ranks[name] != rank for name in names):
            raise ValueError(f"one pass serves streams of one rank, got {', '.join(names)}")
        parts, spans = [], []
        for name in names:
            seen = features[name][:, None] if name in features else None
            level = self._level(name, levels[name])
            parts.append(self.model.embed(name, numbers[name][:, None], seen, level))
            spans.append((self.config.streams[name].expert, parts[-1].shape[1]))
        tokens = torch.cat(parts, dim=1)
        window = min(self.config.streams[name].window for name in names)
        positions = torch.full((tokens.shape[1],), cache.position(window))
        out, keys = self.model.run(tokens, spans, positions, cache.past(rank, window))
        if settle:
            cache.settle(rank, keys)
        return self._read(names, out, spans)

    def _level(self, name: str, level: float) -> Tensor:
        """A level as `embed` takes it; a sampler has few, and asks for them again and again."""
        if (name, level) not in self._levels:
            self._levels[name, level] = self.model.embed_level(name, torch.full((1, 1), level))
        return self._levels[name, level]

    def _read(self, names: Sequence[str], out: Tensor, spans: Sequence[tuple[str, int]]) -> dict[str, Tensor]:
        pieces = out.split([count for _, count in spans], dim=1)
        return {name: self.model.read(name, piece)[:, 0] for name, piece in zip(names, pieces, strict=True)}
