"""The reference engine: torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from orrery.engines.base import Latents
from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import Memory, Tokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.trained import TrainedWorld
from orrery.models.world_model import Hidden, Noisy, StreamTokens, TrunkCache
from orrery.streams import Array

__all__ = ["TorchEngine"]

IMAGINED_NOISE = 0.1
"""Noise level at which the network is told that imagined pictures of the past are: they are nearly right."""


@dataclass(frozen=True)
class _State:
    """seconds: `[B]`, of each world's coming tick. past, levels: what was committed last, and its noise
    level, by stream. encoders, decoders: memories of the tokenizers. hidden, given: of the tick that was
    begun."""

    cache: TrunkCache
    seconds: Tensor
    past: dict[str, Tensor]
    levels: dict[str, Tensor]
    encoders: dict[str, Memory]
    decoders: dict[str, Memory]
    hidden: Hidden | None = None
    given: dict[str, Noisy] | None = None


class TorchEngine:
    """See `Engine`. Takes the trained world's networks as they are."""

    def __init__(self, world: TrainedWorld) -> None:
        self.spec = world.spec
        self.order: Sequence[Sequence[str]] = world.model.config.order
        self.streams: Mapping[str, StreamTokens] = {s.name: s for s in world.model.config.streams}
        self.starts: Mapping[str, Array] = {name: value.numpy() for name, value in world.starts.items()}
        self._model = world.model.eval()
        self._tokenizers: dict[str, Tokenizer] = world.tokenizers
        self._text = [t for t in world.tokenizers.values() if isinstance(t, TextTokenizer)]

    @torch.inference_mode()
    def empty(self, num_worlds: int, streams: Iterable[str]) -> _State:
        """See `Engine`."""
        kept = [self.streams[n] for n in streams if not self.streams[n].given and not self.streams[n].text]
        past = {s.name: torch.zeros(num_worlds, s.tokens, s.width) for s in kept}
        levels = {s.name: torch.ones(num_worlds) for s in kept}
        return _State(self._model.empty_cache(num_worlds), torch.zeros(num_worlds), past, levels, {}, {})

    @torch.inference_mode()
    def begin(self, state: _State, given: Latents) -> _State:
        """See `Engine`."""
        known = {n: Noisy(_tensor(v)[:, None], torch.zeros(len(v), 1)) for n, v in given.items()}
        with mixed_precision():
            hidden, cache = self._model.trunk(self._past(state), known, state.seconds[:, None], state.cache)
        assert cache is not None
        now = {n: k for n, k in known.items() if not self.streams[n].text}
        seconds = state.seconds + self._model.config.tick_seconds
        return replace(state, cache=cache, seconds=seconds, hidden=hidden, given=now)

    @torch.inference_mode()
    def denoise(self, state: _State, now: Mapping[str, tuple[Array, float]], want: Iterable[str]) -> Latents:
        """See `Engine`."""
        assert state.hidden is not None
        assert state.given is not None
        known = {
            n: Noisy(_tensor(v)[:, None], torch.full((len(v), 1), float(level)))
            for n, (v, level) in now.items()
        }
        with mixed_precision():
            predicted = self._model.head(state.hidden, {**state.given, **known}, self._past(state), want)
        return {n: self._tokenizers[n].clamp(v[:, 0].float()).numpy() for n, v in predicted.items()}

    @torch.inference_mode()
    def commit(self, state: _State, latents: Latents, is_real: bool = False) -> _State:
        """See `Engine`."""
        past = {n: _tensor(v) for n, v in latents.items() if not self.streams[n].given}
        levels = {
            n: torch.full((len(v),), 0.0 if is_real or self.streams[n].grid is None else IMAGINED_NOISE)
            for n, v in past.items()
        }
        return replace(state, past=past, levels=levels, hidden=None, given=None)

    @torch.inference_mode()
    def encode(self, state: _State, name: str, payload: Array) -> tuple[Array, _State]:
        """See `Engine`."""
        latents, memory = self._tokenizers[name].encode(
            torch.from_numpy(np.ascontiguousarray(payload))[:, None], state.encoders.get(name)
        )
        return latents[:, 0].float().numpy(), replace(state, encoders={**state.encoders, name: memory})

    @torch.inference_mode()
    def decode(self, state: _State, name: str, latents: Array) -> tuple[Array, _State]:
        """See `Engine`."""
        tokenizer = self._tokenizers[name]
        with mixed_precision(wanted=tokenizer.grid is not None):
            payload, memory = tokenizer.decode(_tensor(latents)[:, None], state.decoders.get(name))
        return payload[:, 0].numpy(), replace(state, decoders={**state.decoders, name: memory})

    def encode_text(self, sentences: Sequence[str]) -> Latents:
        """See `Engine`."""
        encoded: Latents = {}
        for tokenizer in self._text:
            numbers = torch.stack([tokenizer.numbers(sentence) for sentence in sentences])
            encoded[tokenizer.spec.name] = tokenizer.encode(numbers[:, None])[0][:, 0].numpy()
        return encoded

    def select(self, state: _State, worlds: Array) -> _State:
        """See `Engine`."""
        index = torch.from_numpy(np.asarray(worlds, np.int64))
        cache = state.cache
        return _State(
            TrunkCache(
                cache.keys[:, index], cache.values[:, index], cache.valid[index],
                {n: g[:, index] for n, g in cache.grids.items()},
            ),
            state.seconds[index],
            {n: v[index] for n, v in state.past.items()},
            {n: v[index] for n, v in state.levels.items()},
            {n: {k: v[index] for k, v in m.items()} for n, m in state.encoders.items()},
            {n: {k: v[index] for k, v in m.items()} for n, m in state.decoders.items()},
        )  # fmt: skip

    def merge(self, state: _State, part: _State, worlds: Array) -> _State:
        """See `Engine`. Both states are between ticks, after the same streams were committed."""
        index = torch.from_numpy(np.asarray(worlds, np.int64))

        def put(whole: Tensor, piece: Tensor, axis: int = 0) -> Tensor:
            return whole.index_copy(axis, index, piece)

        def memories(whole: dict[str, Memory], piece: dict[str, Memory]) -> dict[str, Memory]:
            return {n: {k: put(v, piece[n][k]) for k, v in m.items()} for n, m in whole.items()}

        a, b = state.cache, part.cache
        return _State(
            TrunkCache(
                put(a.keys, b.keys, 1), put(a.values, b.values, 1), put(a.valid, b.valid),
                {n: put(g, b.grids[n], 1) for n, g in a.grids.items()},
            ),
            put(state.seconds, part.seconds),
            {n: put(v, part.past[n]) for n, v in state.past.items()},
            {n: put(v, part.levels[n]) for n, v in state.levels.items()},
            memories(state.encoders, part.encoders),
            memories(state.decoders, part.decoders),
        )  # fmt: skip

    def _past(self, state: _State) -> dict[str, Noisy]:
        return {n: Noisy(v[:, None], state.levels[n][:, None]) for n, v in state.past.items()}


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
