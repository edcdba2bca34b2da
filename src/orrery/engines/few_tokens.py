"""A world without pictures, tick by tick: the passes of a `WorldModel` in few operations.

A tick has a handful of tokens, so that its time goes into calling operations and reading weights, not into
multiplying. Here queries, keys and values are one product, the feed-forwards of all streams of one token are
one batched product, what depends on nothing (noise levels, places, pictures that nobody sees) is added up
once, and the last block of the head works out only what is asked for. The results are those of the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.models.blocks import FewBlock, rotary_angles
from orrery.models.cells import SUMMARY_TOKENS
from orrery.models.tokens import VISIBLE_BELOW, StreamTokens, module_key
from orrery.models.world_model import Hidden, WorldModel

__all__ = ["FewCache", "FewTokens"]

Known = Mapping[str, tuple[Tensor, float]]
"""Stream name to latents `[B, tokens, width]` and their noise level; a stream that is missing is absent."""
Span = tuple[int, int]
"""Tokens of a stream, and which of a block's feed-forwards is theirs."""


class FewCache(NamedTuple):
    """The past: keys and values of every block, `[B, heads, (window - 1) * n, head]`, and which of its ticks
    there are, `[B, window - 1]`."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    valid: Tensor


class FewTokens:
    """Passes over single ticks of B worlds. Tokens lie first, `[n, B, width]`, those of streams that have one
    token before the others.

    model: knows no text; its weights are copied as they are now. None of its pictures is seen.
    """

    def __init__(self, model: WorldModel) -> None:
        assert not model.texts
        self._model = model
        config = model.config
        self._window, self._heads = config.window_ticks, config.num_heads
        self._size = config.few_width // config.num_heads
        counts = {s.name: s.tokens for s in model.few} | {s.name: SUMMARY_TOKENS + 1 for s in model.pictures}
        firsts = dict(zip(counts, _starts(list(counts.values())), strict=True))
        self._names = sorted(counts, key=lambda name: counts[name] > 1)
        self._rows = {n: slice(firsts[n], firsts[n] + counts[n]) for n in self._names}
        self._spans = {n: (counts[n], list(counts).index(n)) for n in self._names}
        self._num = model.num_few
        spans = list(self._spans.values())
        self._trunk = [_Block(block, spans) for block in model.few_blocks]
        self._head = [_Block(block, spans) for block in model.head_blocks[:-1]]
        self._last: dict[tuple[str, ...], _Block] = {}
        self._streams = {s.name: s for s in model.few}
        self._inputs: dict[tuple[str, float, bool], Tensor] = {}
        for stream in model.pictures:
            nothing = torch.zeros(SUMMARY_TOKENS + 1, config.few_width)
            rows = self._rows[stream.name]
            self._inputs[stream.name, 1.0, False] = nothing + model.places[rows].detach()
            self._inputs[stream.name, 1.0, True] = _unseen(model, stream) + model.head_places[rows].detach()
        self._weights = {
            (n, in_head): _transposed((model.head_in if in_head else model.few_in)[module_key(n)])
            for n in self._streams
            for in_head in (False, True)
        }
        self._from_trunk = _transposed(model.head_from_trunk) * math.sqrt(config.few_width)

    def empty_cache(self, batch: int) -> FewCache:
        """A cache of `batch` worlds in which nothing has happened."""
        shape = (batch, self._heads, (self._window - 1) * self._num, self._size)
        keys, values = (tuple(torch.zeros(shape) for _ in self._trunk) for _ in range(2))
        return FewCache(keys, values, torch.zeros(batch, self._window - 1, dtype=torch.bool))

    def trunk(self, past: Known, given: Known, seconds: Tensor, cache: FewCache) -> tuple[Tensor, FewCache]:
        """See `WorldModel.trunk`. seconds: `[B]`, of each world's tick. Returns what the trunk says to every
        token of the head, `[n, B, width]`."""
        known = {n: (given if s.given else past).get(n) for n, s in self._streams.items()}
        x = self._embedded(known, len(seconds), in_head=False)
        angles = rotary_angles(seconds, self._size // 2)
        turn = torch.polar(torch.ones_like(angles), angles)[None, :, None, None]
        mask = None
        if not bool(cache.valid.all()):
            valid = torch.cat([cache.valid, torch.ones_like(cache.valid[:, :1])], 1)
            mask = torch.where(valid, 0.0, -1e4).repeat_interleave(self._num, 1)[:, None, None]
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for block, key, value in zip(self._trunk, cache.keys, cache.values, strict=True):
            x, key, value = block(x, turn, mask, (key, value))
            keys.append(key[:, :, self._num :])
            values.append(value[:, :, self._num :])
        bias = self._model.head_from_trunk.bias
        hidden = torch.addmm(bias, _unit(x).flatten(0, 1), self._from_trunk).view_as(x)
        valid = torch.cat([cache.valid[:, 1:], torch.ones_like(cache.valid[:, :1])], 1)
        return hidden, FewCache(tuple(keys), tuple(values), valid)

    def head(self, hidden: Tensor, now: Known, past: Known, want: Iterable[str]) -> dict[str, Tensor]:
        """See `WorldModel.head`. hidden: of `trunk`."""
        names = set(want)
        wanted = tuple(name for name in self._names if name in names)
        x = hidden + self._embedded({n: now.get(n) for n in self._streams}, hidden.shape[1], in_head=True)
        for block in self._head:
            x, _, _ = block(x)
        x, _, _ = self._last_block(wanted)(x)
        predictions: dict[str, Tensor] = {}
        x = _unit(x) * math.sqrt(x.shape[-1])
        parts = x.split([self._spans[name][0] for name in wanted])
        for name, part in zip(wanted, parts, strict=True):
            out = self._model.few_out[module_key(name)]
            predictions[name] = out.project(part.transpose(0, 1))  # pyright: ignore[reportCallIssue]
            if name in past and past[name][1] < VISIBLE_BELOW:
                predictions[name] = torch.addcmul(predictions[name], out.gate, past[name][0])  # pyright: ignore[reportArgumentType]
        return predictions

    def _embedded(
        self, known: Mapping[str, tuple[Tensor, float] | None], batch: int, in_head: bool
    ) -> Tensor:
        parts: list[Tensor] = []
        for name in self._names:
            latents, level = known.get(name) or (None, 1.0)
            added = self._input(name, level, in_head)
            if latents is None or level >= VISIBLE_BELOW:
                parts.append(added[:, None].expand(-1, batch, -1))
            elif len(added) == 1:
                parts.append(torch.addmm(added, latents[:, 0], self._weights[name, in_head])[None])
            else:
                parts.append(latents.transpose(0, 1) @ self._weights[name, in_head] + added[:, None])
        return torch.cat(parts)

    def _input(self, name: str, level: float, in_head: bool) -> Tensor:
        """Added to a stream's tokens, whatever they are: places, noise level, bias; `[tokens, width]`."""
        key = (name, level, in_head)
        if key not in self._inputs:
            model, rows = self._model, self._rows[name]
            places = (model.head_places if in_head else model.places)[rows].detach()
            layer = (model.head_in if in_head else model.few_in)[module_key(name)]
            assert isinstance(layer, nn.Linear)
            self._inputs[key] = places + layer.bias + model.level(torch.full((), level))
        return self._inputs[key]

    def _last_block(self, wanted: tuple[str, ...]) -> _Block:
        if wanted not in self._last:
            counts = [self._spans[name][0] for name in self._names]
            first = dict(zip(self._names, _starts(counts), strict=True))
            tokens = [first[n] + k for n in wanted for k in range(self._spans[n][0])]
            spans = [self._spans[name] for name in wanted]
            self._last[wanted] = _Block(self._model.head_blocks[-1], spans, torch.tensor(tokens))
        return self._last[wanted]


class _Block:
    """A `FewBlock` over one tick. spans: its tokens. tokens: which of those that come in these are; None for
    all of them."""

    def __init__(self, block: nn.Module, spans: Sequence[Span], tokens: Tensor | None = None) -> None:
        assert isinstance(block, FewBlock)
        attention, layers = block.attention, block.feed_forward
        self._heads, self._tokens = attention.num_heads, tokens
        width = attention.query.in_features
        size = width // self._heads
        pairs = torch.arange(size).view(2, -1).T.flatten()  # rotated pairs side by side
        order = (torch.arange(self._heads)[:, None] * size + pairs).flatten()
        key, value = attention.key_value.weight.chunk(2)
        rows = torch.cat([attention.query.weight[order], key[order], value]).detach()
        self._in = rows.T.contiguous() * math.sqrt(width)
        self._out = _transposed(attention.out)
        gain = attention.gain.detach() * math.sqrt(size)
        self._factor = torch.stack([gain[:, 0], torch.ones_like(gain[:, 0])])  # [2, heads, 1]
        single = [index for count, index in spans if count == 1]
        self._num_single = len(single)
        self._single = _Layers.stacked(layers, single, width) if single else None
        self._others = [
            (count, _Layers.stacked(layers, [index], width)) for count, index in spans if count > 1
        ]

    def __call__(
        self,
        x: Tensor,
        turn: Tensor | None = None,
        mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x: `[n, B, width]`. turn: `[1, B, 1, 1, head / 2]`, complex. Returns x, and all keys and values."""
        num, batch, width = x.shape
        mixed = torch.mm(_unit(x).view(num * batch, width), self._in).view(num, batch, 3, self._heads, -1)
        both = _unit(mixed[:, :, :2]) * self._factor
        if turn is not None:
            both = torch.view_as_real(torch.view_as_complex(both.unflatten(-1, (-1, 2))) * turn).flatten(-2)
        query, key = both.permute(2, 1, 3, 0, 4)
        value = mixed[:, :, 2].permute(1, 2, 0, 3)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        if self._tokens is not None:
            query, x = query[:, :, self._tokens], x[self._tokens]
        seen = F.scaled_dot_product_attention(query, key, value, mask, scale=1.0)
        x = x + torch.mm(seen.permute(2, 0, 1, 3).reshape(-1, width), self._out).view_as(x)
        return x + self._forward(_unit(x)), key, value

    def _forward(self, x: Tensor) -> Tensor:
        if self._single is not None and not self._others:
            return self._single(x)
        parts: list[Tensor] = []
        start = self._num_single
        if self._single is not None:
            parts.append(self._single(x[:start]))
        for count, layers in self._others:
            part = x[start : start + count]
            parts.append(layers(part.reshape(1, -1, x.shape[-1])).view_as(part))
            start += count
        return torch.cat(parts)


class _Layers(NamedTuple):
    """Feed-forwards of several streams over `[streams, rows, width]`."""

    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor

    @classmethod
    def stacked(cls, layers: nn.Module, which: Sequence[int], width: int) -> _Layers:
        """Of those of a `StreamFeedForward`; what comes in is `_unit`."""
        up, down = ([getattr(layers, name)[k] for k in which] for name in ("up", "down"))
        return cls(
            torch.stack([_transposed(layer) for layer in up]) * math.sqrt(width),
            torch.stack([layer.bias.detach() for layer in up])[:, None],
            torch.stack([_transposed(layer) for layer in down]),
            torch.stack([layer.bias.detach() for layer in down])[:, None],
        )

    def __call__(self, x: Tensor) -> Tensor:
        up = F.silu(torch.baddbmm(self.up_bias, x, self.up), inplace=True)
        return torch.baddbmm(self.down_bias, up, self.down)


_SMALLEST: dict[int, Tensor] = {}


def _unit(x: Tensor) -> Tensor:
    """`rms_norm` over the square root of the width: that factor is part of the weights that follow."""
    width = x.shape[-1]
    if width not in _SMALLEST:
        _SMALLEST[width] = torch.tensor(math.sqrt(width * 1e-6))
    return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), _SMALLEST[width])


def _unseen(model: WorldModel, stream: StreamTokens) -> Tensor:
    """The head's summary of a picture of which nothing is known, `[summary, width]`."""
    assert stream.grid is not None
    few = torch.zeros(1, 1, 0, model.config.few_width)
    grid = torch.zeros(1, 1, *stream.grid, model.config.grid_width)
    cells, _ = model._head_cells(stream, Hidden(few, {stream.name: grid}, None), None, True)
    return model.grid_head_summary[module_key(stream.name)](cells)[0, 0]


def _transposed(layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach().T.contiguous()


def _starts(counts: Sequence[int]) -> list[int]:
    return [sum(counts[:k]) for k in range(len(counts))]
