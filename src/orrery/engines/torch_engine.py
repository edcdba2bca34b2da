"""The reference engine: torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from orrery.engines.base import Latents
from orrery.engines.few_tokens import FewCache, FewTokens
from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import Memory, Tokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokens import Noisy, StreamTokens
from orrery.models.trained import TrainedWorld
from orrery.models.world_model import Hidden, TrunkCache
from orrery.streams import Array

__all__ = ["TorchEngine"]

IMAGINED_NOISE = 0.1
"""Noise level at which the network is told that imagined pictures of the past are: they are nearly right."""


class _State(NamedTuple):
    """seconds: `[B]`, of each world's coming tick. past, levels: what was committed last, and its noise
    level, by stream. is_new: nothing was committed yet. encoders, decoders: memories of the tokenizers.
    hidden, given: of the tick that was begun."""

    cache: TrunkCache | FewCache
    seconds: Tensor
    past: dict[str, Tensor]
    levels: dict[str, Tensor]
    is_new: bool
    encoders: dict[str, Memory]
    decoders: dict[str, Memory]
    hidden: Hidden | Tensor | None = None
    given: dict[str, Tensor] | None = None


class TorchEngine:
    """See `Engine`. Takes the trained world's networks as they are.

    Worlds of which no picture is imagined, and that know no words, take a way of fewer operations
    (`FewTokens`)."""

    def __init__(self, world: TrainedWorld) -> None:
        self.spec = world.spec
        self.order: Sequence[Sequence[str]] = world.model.config.order
        self.streams: Mapping[str, StreamTokens] = {s.name: s for s in world.model.config.streams}
        self.starts: Mapping[str, Array] = {name: value.numpy() for name, value in world.starts.items()}
        self.sampling_steps = world.model.config.sampling_steps
        self._model = world.model.eval()
        self._tokenizers: dict[str, Tokenizer] = world.tokenizers
        self._text = [t for t in world.tokenizers.values() if isinstance(t, TextTokenizer)]
        self._few: FewTokens | None = None

    @torch.inference_mode()
    def empty(self, num_worlds: int, streams: Iterable[str]) -> _State:
        """See `Engine`."""
        kept = [self.streams[n] for n in streams if self.streams[n].in_context]
        past = {s.name: torch.zeros(num_worlds, s.tokens, s.width) for s in kept}
        levels = {s.name: torch.ones(num_worlds) for s in kept}
        if self._text or any(s.grid is not None for s in kept):
            cache: TrunkCache | FewCache = self._model.empty_cache(num_worlds)
        else:
            self._few = self._few or FewTokens(self._model)
            cache = self._few.empty_cache(num_worlds)
        return _State(cache, torch.zeros(num_worlds), past, levels, True, {}, {})

    @torch.inference_mode()
    def begin(self, state: _State, given: Latents) -> _State:
        """See `Engine`."""
        known = {n: _tensor(v) for n, v in given.items()}
        if isinstance(state.cache, FewCache):
            assert self._few is not None
            levelled = {n: (v, 0.0) for n, v in known.items()}
            hidden, cache = self._few.trunk(_few_past(state), levelled, state.seconds, state.cache)
        else:
            noisy = {n: _noisy(v, 0.0) for n, v in known.items()}
            with mixed_precision():
                hidden, cache = self._model.trunk(_past(state), noisy, state.seconds[:, None], state.cache)
        assert cache is not None
        now = {n: v for n, v in known.items() if not self.streams[n].text}
        seconds = state.seconds + self._model.config.tick_seconds
        return state._replace(cache=cache, seconds=seconds, hidden=hidden, given=now)

    @torch.inference_mode()
    def denoise(self, state: _State, now: Mapping[str, tuple[Array, float]], want: Iterable[str]) -> Latents:
        """See `Engine`."""
        assert state.hidden is not None
        assert state.given is not None
        known = {n: (v, 0.0) for n, v in state.given.items()} | {
            n: (_tensor(v), s) for n, (v, s) in now.items()
        }
        if isinstance(state.hidden, Tensor):
            assert self._few is not None
            predicted = self._few.head(state.hidden, known, _few_past(state), want)
        else:
            noisy = {n: _noisy(v, level) for n, (v, level) in known.items()}
            with mixed_precision():
                predicted = self._model.head(state.hidden, noisy, _past(state), want)
            predicted = {n: v[:, 0].float() for n, v in predicted.items()}
        return {n: self._tokenizers[n].clamp(v).numpy() for n, v in predicted.items()}

    @torch.inference_mode()
    def commit(self, state: _State, latents: Latents, is_real: bool = False) -> _State:
        """See `Engine`."""
        past = {n: _tensor(v) for n, v in latents.items() if self.streams[n].in_context}
        levels = {
            n: torch.full((len(v),), 0.0 if is_real or self.streams[n].grid is None else IMAGINED_NOISE)
            for n, v in past.items()
        }
        # Numbers are counted up from the last that were settled, whether they were given or imagined.
        settled = {n: m for n, m in state.encoders.items() if self.spec.streams[n].is_numbers}
        decoders = {**state.decoders, **settled}
        return state._replace(
            past=past, levels=levels, is_new=False, hidden=None, given=None, decoders=decoders
        )

    @torch.inference_mode()
    def encode(self, state: _State, name: str, payload: Array) -> tuple[Array, _State]:
        """See `Engine`."""
        latents, memory = self._tokenizers[name].encode(
            torch.from_numpy(np.ascontiguousarray(payload))[:, None], state.encoders.get(name)
        )
        return latents[:, 0].float().numpy(), state._replace(encoders={**state.encoders, name: memory})

    @torch.inference_mode()
    def decode(self, state: _State, name: str, latents: Array) -> tuple[Array, _State]:
        """See `Engine`."""
        tokenizer = self._tokenizers[name]
        with mixed_precision(wanted=tokenizer.grid is not None):
            payload, memory = tokenizer.decode(_tensor(latents)[:, None], state.decoders.get(name))
        return payload[:, 0].numpy(), state._replace(decoders={**state.decoders, name: memory})

    def encode_text(self, sentences: Sequence[str]) -> Latents:
        """See `Engine`."""
        encoded: Latents = {}
        for tokenizer in self._text:
            numbers = torch.stack([tokenizer.numbers(sentence) for sentence in sentences])
            encoded[tokenizer.spec.name] = tokenizer.encode(numbers[:, None])[0][:, 0].numpy()
        return encoded

    @torch.inference_mode()
    def merge(self, state: _State, part: _State, worlds: Array) -> _State:
        """See `Engine`. Both states are between ticks, after the same streams were committed."""
        index = torch.from_numpy(np.asarray(worlds, np.int64))
        return _combined([state, part], lambda pair, axis: pair[0].index_copy(axis, index, pair[1]))

    @torch.inference_mode()
    def join(self, states: Sequence[_State]) -> _State:
        """See `Engine`."""
        return _combined(states, torch.cat)

    @torch.inference_mode()
    def select(self, state: _State, worlds: Array) -> _State:
        """See `Engine`."""
        index = torch.from_numpy(np.asarray(worlds, np.int64))
        return _combined([state], lambda one, axis: one[0].index_select(axis, index))

    def layout(self, state: _State) -> Hashable:
        """See `Engine`."""
        names = (state.past, state.encoders, state.decoders)
        return type(state.cache), state.is_new, *(tuple(sorted(each)) for each in names)


def _combined(states: Sequence[_State], combine: Callable[[list[Tensor], int], Tensor]) -> _State:
    """A state between ticks, each tensor of which is made of those of `states`. combine: takes them and the
    axis of their worlds."""

    def tree(parts: list[Any], axis: int) -> Any:
        if isinstance(parts[0], Tensor):
            return combine(parts, axis)
        if isinstance(parts[0], dict):
            return {name: tree([part[name] for part in parts], axis) for name in parts[0]}
        return tuple(tree(list(items), axis) for items in zip(*parts, strict=True))

    caches = [state.cache for state in states]
    if isinstance(caches[0], FewCache):
        cache: TrunkCache | FewCache = FewCache(*tree(caches, 0))
    else:
        axes = (1, 1, 0, 1)  # of keys, values, valid, grids
        parts = zip(*caches, strict=True)
        cache = TrunkCache(*(tree(list(p), axis) for p, axis in zip(parts, axes, strict=True)))
    kept = (
        tree([getattr(state, name) for state in states], 0)
        for name in ("seconds", "past", "levels", "encoders", "decoders")
    )
    seconds, past, levels, encoders, decoders = kept
    return _State(cache, seconds, past, levels, states[0].is_new, encoders, decoders)


def _past(state: _State) -> dict[str, Noisy]:
    return {n: Noisy(v[:, None], state.levels[n][:, None]) for n, v in state.past.items()}


def _few_past(state: _State) -> dict[str, tuple[Tensor, float]]:
    """Few tokens are known as they were committed, or nothing was."""
    return {n: (v, 1.0 if state.is_new else 0.0) for n, v in state.past.items()}


def _noisy(latents: Tensor, level: float) -> Noisy:
    return Noisy(latents[:, None], torch.full((len(latents), 1), float(level)))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
