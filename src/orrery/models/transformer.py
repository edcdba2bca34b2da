"""One causal transformer over all streams: shared attention, feed-forwards by kind of stream.

Tokens are ordered twice. In time: a tick sees itself and the past. Within a tick, by *rank*: a stream sees
the streams of its own rank and of lower ranks, now and in the past. With ranks (action, camera, state) <
(touch, sound) < video, where things are is settled before how they sound and look, and a tick's pictures
cost one pass however often its dynamics are refined; with the state ranked last, the same network perceives.
A token therefore never depends on a higher rank, so keys and values of a settled stream are final.

Text is a prefix that everything sees. The model knows no data and no worlds: it maps named groups of token
inputs to named groups of token outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from orrery.models.layers import LevelEmbedding, RMSNorm, SwiGLU, attend, rotary_angles, turn

__all__ = ["Past", "StreamShape", "TransformerConfig", "WorldTransformer"]


@dataclass(frozen=True)
class StreamShape:
    """How a stream enters and leaves the network.

    num_tokens: tokens a tick. width: numbers a token that are denoised. feature_width: numbers a token that
    are only seen. expert: which feed-forward it uses. window: ticks of past that its queries see, besides
    the first tick.
    """

    num_tokens: int
    width: int
    expert: str
    feature_width: int = 0
    window: int = 24


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes. streams: name to shape. hidden: expert to gated units. num_words: vocabulary with padding."""

    streams: Mapping[str, StreamShape]
    hidden: Mapping[str, int]
    num_words: int
    max_words: int
    width: int = 192
    num_heads: int = 4
    num_layers: int = 6
    tick_seconds: float = 1.0 / 12.0

    def to_json(self) -> dict[str, Any]:
        values = dict(vars(self))
        return values | {
            "streams": {name: vars(shape).copy() for name, shape in self.streams.items()},
            "hidden": dict(self.hidden),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TransformerConfig:
        streams = {name: StreamShape(**shape) for name, shape in values["streams"].items()}
        return cls(**{**values, "streams": streams})


@dataclass
class Past:
    """Keys and values that a pass may look at, `[layers, B, heads, n, head]`.

    positions: `[n]` in ticks, on the same axis as the queries' positions.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor


class Block(nn.Module):
    """Pre-norm attention and feed-forward. Tokens of one expert lie together."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        head = config.width // config.num_heads
        self.norm_attention = RMSNorm(config.width)
        self.project = nn.Linear(config.width, 3 * config.width, bias=False)
        self.norm_query = RMSNorm(head)
        self.norm_key = RMSNorm(head)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.norm_feed = RMSNorm(config.width)
        self.experts = nn.ModuleDict({n: SwiGLU(config.width, h) for n, h in config.hidden.items()})

    def attend(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        past: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attention's share `[B, n, width]`, and this pass's unturned keys and values. past: turned keys and
        values."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.project(self.norm_attention(x)).chunk(3, dim=-1)
        )
        query, key = self.norm_query(query), self.norm_key(key)
        fresh = (key, value)
        query, key = turn(query, *angles), turn(key, *angles)
        if past is not None:
            key, value = (
                torch.cat([before.expand(len(key), -1, -1, -1), new], dim=2)
                for before, new in zip(past, (key, value), strict=True)
            )
        seen = attend(query, key, value, mask)
        return self.out(seen.transpose(1, 2).flatten(-2)), fresh

    def feed(self, x: Tensor, spans: Sequence[tuple[str, int]]) -> Tensor:
        """Feed-forward's share; `spans` are (expert, number of tokens) in order."""
        parts = self.norm_feed(x).split([count for _, count in spans], dim=1)
        fed = [self.experts[name](part) for (name, _), part in zip(spans, parts, strict=True)]
        return torch.cat(fed, dim=1)


class WorldTransformer(nn.Module):
    """Maps named token inputs to named estimates of the clean tokens (x-prediction)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        shapes = config.streams
        self.words = nn.Embedding(config.num_words, width)
        self.word_places = nn.Parameter(0.02 * torch.randn(config.max_words, width))
        self.enter = nn.ModuleDict(
            {
                _key(name): nn.Sequential(
                    nn.Linear(shape.width + shape.feature_width, 2 * width),
                    nn.SiLU(),
                    nn.Linear(2 * width, width),
                )
                for name, shape in shapes.items()
            }
        )
        self.places = nn.ParameterDict(
            {
                _key(n): nn.Parameter(0.02 * torch.randn(shape.num_tokens, width))
                for n, shape in shapes.items()
            }
        )
        self.levels = nn.ModuleDict({_key(name): LevelEmbedding(width) for name in shapes})
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_layers)])
        self.leave = nn.ModuleDict(
            {
                _key(name): nn.Sequential(RMSNorm(width), nn.Linear(width, shape.width))
                for name, shape in shapes.items()
            }
        )

    def embed_words(self, words: Tensor) -> Tensor:
        """The first `n <= max_words` word numbers, `[B, n]`, to tokens `[B, n, width]`."""
        return self.words(words) + self.word_places[: words.shape[1]]

    def embed_level(self, name: str, level: Tensor) -> Tensor:
        """Noise levels of one stream, `[B, ticks]` in [0, 1], as `[B, ticks, 1, width]`."""
        return self.levels[_key(name)](level)[:, :, None]

    def embed(self, name: str, numbers: Tensor, features: Tensor | None, level: Tensor) -> Tensor:
        """Inputs of one stream as tokens `[B, ticks * tokens, width]`.

        numbers: `[B, ticks, tokens, width]`. features: the same with feature_width, or None.
        level: of `embed_level`.
        """
        inputs = numbers if features is None else torch.cat([numbers, features], dim=-1)
        tokens = self.enter[_key(name)](inputs) + self.places[_key(name)] + level
        return tokens.flatten(1, 2)

    def turned(self, past: Past) -> Past:
        """`past` with its keys turned to their positions, as `run` takes it."""
        head = self.config.width // self.config.num_heads
        angles = rotary_angles(past.positions, head, self.config.tick_seconds)
        return replace(past, keys=turn(past.keys, *angles))

    def run(
        self,
        tokens: Tensor,
        spans: Sequence[tuple[str, int]],
        positions: Tensor,
        past: Past | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The blocks over `tokens [B, n, width]`; returns the result and each layer's keys and values.

        The keys are not turned yet, those of `past` are. positions: `[n]` in ticks. mask: bool,
        `[B or 1, 1, n, past + n]`, True where a query may look.
        """
        head = self.config.width // self.config.num_heads
        angles = rotary_angles(positions, head, self.config.tick_seconds)
        spans = _merged(spans)
        x, fresh = tokens, []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            before = None if past is None else (past.keys[index], past.values[index])
            share, kept = block.attend(x, angles, before, mask)
            x = x + share
            x = x + block.feed(x, spans)
            fresh.append(kept)
        return x, fresh

    def read(self, name: str, tokens: Tensor) -> Tensor:
        """Estimates `[B, ticks, tokens, width]` from a stream's final tokens `[B, ticks * tokens, width]`."""
        return self.leave[_key(name)](tokens).unflatten(1, (-1, self.config.streams[name].num_tokens))

    def forward(
        self,
        words: Tensor,
        numbers: Mapping[str, Tensor],
        features: Mapping[str, Tensor],
        levels: Mapping[str, Tensor],
        ranks: Mapping[str, int],
    ) -> dict[str, Tensor]:
        """All ticks at once, as in training. Streams that are not in `numbers` are absent.

        words: `[B, n]` with n at most max_words, 0 is padding. numbers, features:
        `[B, ticks, tokens, width]`. levels: `[B, ticks]` in [0, 1]. ranks: stream to rank.
        Returns estimates in the shapes of `numbers`.
        """
        names = self._by_expert(numbers)
        num_ticks = next(iter(numbers.values())).shape[1]
        parts = [self.embed_words(words)]
        spans = [("text", words.shape[1])]
        for name in names:
            level = self.embed_level(name, levels[name])
            parts.append(self.embed(name, numbers[name], features.get(name), level))
            spans.append((self.config.streams[name].expert, parts[-1].shape[1]))
        layout = _Layout(self.config, names, ranks, num_ticks, words.shape[1], words.device)
        out, _ = self.run(torch.cat(parts, dim=1), spans, layout.positions, None, layout.mask(words != 0))
        pieces = out.split([count for _, count in spans], dim=1)[1:]
        return {name: self.read(name, piece) for name, piece in zip(names, pieces, strict=True)}

    def _by_expert(self, numbers: Mapping[str, Tensor]) -> list[str]:
        """Streams present, in the order of the configuration."""
        return [name for name in self.config.streams if name in numbers]


def _merged(spans: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Neighbours of one expert as one span: an expert called once is faster than twice."""
    return [(expert, sum(count for _, count in same)) for expert, same in groupby(spans, key=itemgetter(0))]


def _key(name: str) -> str:
    """A stream's name as a module's: torch allows no dots there."""
    return name.replace(".", "_")


class _Layout:
    """Where each token of a training sequence stands in time and rank, and so what it may look at."""

    def __init__(
        self,
        config: TransformerConfig,
        names: Sequence[str],
        ranks: Mapping[str, int],
        num_ticks: int,
        num_words: int,
        device: torch.device,
    ) -> None:
        tick, rank, window = (
            [torch.full((num_words,), -1)],
            [torch.full((num_words,), -1)],
            [torch.ones(num_words)],
        )
        for name in names:
            shape = config.streams[name]
            count = num_ticks * shape.num_tokens
            tick.append(torch.arange(num_ticks).repeat_interleave(shape.num_tokens))
            rank.append(torch.full((count,), ranks[name]))
            window.append(torch.full((count,), float(shape.window)))
        self._tick, self._rank = torch.cat(tick).to(device), torch.cat(rank).to(device)
        self._window = torch.cat(window).to(device)
        self._num_words = num_words
        self.positions = self._tick + 1

    def mask(self, is_word: Tensor) -> Tensor:
        """`[B, 1, n, n]` bool from `is_word [B, num_words]`."""
        age = self._tick[:, None] - self._tick[None, :]
        in_window = (age <= self._window[:, None]) | (self._tick[None, :] <= 0)
        allowed = (age >= 0) & in_window & (self._rank[:, None] >= self._rank[None, :])
        mask = allowed[None].repeat(len(is_word), 1, 1)
        mask[:, :, : self._num_words] &= is_word[:, None, :]
        own = torch.eye(len(age), dtype=torch.bool, device=age.device)
        return (mask | own)[:, None]
