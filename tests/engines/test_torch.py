"""Tick by tick with a memory, or all at once as in training: the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orrery.engines.torch import TorchEngine
from orrery.models.kv_cache import KVCache
from orrery.models.transformer import WorldTransformer

RANKS = {"action": 0, "state": 0, "audio.main": 1, "video.main": 2}
BY_RANK = (("action", "state"), ("audio.main",), ("video.main",))
WORDS = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0]])
SILENCE = torch.zeros_like(WORDS)
NEAREST_WINDOW = 2
"""The video's, the shortest of the small transformer's."""
Streams = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Numbers and features."""


@pytest.fixture
def engine(small_transformer: WorldTransformer) -> TorchEngine:
    return TorchEngine(small_transformer, RANKS)


def _draw(engine: TorchEngine, num_ticks: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    shapes = engine.config.streams
    numbers = {
        name: torch.randn(1, num_ticks, shape.num_tokens, shape.width, generator=generator)
        for name, shape in shapes.items()
    }
    return numbers, {"state": torch.randn(1, num_ticks, 3, 5, generator=generator)}


def _pass(
    engine: TorchEngine, cache: KVCache, streams: Streams, tick: int, rank: int,
    level: float = 0.0, settle: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    numbers, features = streams
    names = BY_RANK[rank]
    return engine.estimate(
        cache,
        {name: numbers[name][:, tick] for name in names},
        {name: features[name][:, tick] for name in names if name in features},
        dict.fromkeys(names, level),
        settle=settle,
    )


@torch.no_grad()
@pytest.mark.parametrize("words", [WORDS, SILENCE], ids=["words", "no words"])
def test_ticks_one_by_one_are_the_parallel_pass(engine: TorchEngine, words: Tensor) -> None:
    """While nothing has left a window: the first tick, the window's and the one that asks."""
    num_ticks = NEAREST_WINDOW + 2
    numbers, features = streams = _draw(engine, num_ticks)
    levels = {name: torch.zeros(1, num_ticks) for name in numbers}
    together = engine.model(words, numbers, features, levels, RANKS)
    cache = engine.new_cache(words)
    for tick in range(num_ticks):
        for rank, names in enumerate(BY_RANK):
            out = _pass(engine, cache, streams, tick, rank)
            for name in names:
                torch.testing.assert_close(
                    out[name], together[name][:, tick], atol=1e-5, rtol=0, msg=f"{name} at tick {tick}"
                )
        cache.end_tick()


@torch.no_grad()
def test_refining_is_the_parallel_pass_at_that_level(engine: TorchEngine) -> None:
    """A pass that does not settle leaves no trace, whatever it was fed."""
    numbers, features = streams = _draw(engine, 2)
    cache = engine.new_cache(WORDS)
    for rank in range(3):
        _pass(engine, cache, streams, 0, rank)
    cache.end_tick()
    _pass(engine, cache, ({n: 9 * v for n, v in numbers.items()}, features), 1, 0, level=0.9, settle=False)
    out = _pass(engine, cache, streams, 1, 0, level=0.4, settle=False)
    levels = {name: torch.tensor([[0.0, 0.4]]) for name in numbers}
    together = engine.model(WORDS, numbers, features, levels, RANKS)
    for name in BY_RANK[0]:
        torch.testing.assert_close(out[name], together[name][:, 1], atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_layer_stays_exact_after_the_window_is_full(small_transformer: WorldTransformer) -> None:
    """With a single layer keys depend on their own tick only, so a later tick equals a parallel pass over the
    first tick and the window, however much was forgotten in between."""
    del small_transformer.blocks[1]
    engine = TorchEngine(small_transformer, RANKS)
    num_ticks = 12
    numbers, features = streams = _draw(engine, num_ticks)
    cache = engine.new_cache(WORDS)
    for tick in range(num_ticks):
        last = [_pass(engine, cache, streams, tick, rank) for rank in range(3)]
        cache.end_tick()
    for rank, names in enumerate(BY_RANK):
        window = engine.config.streams[names[0]].window
        kept = [0, *range(num_ticks - 1 - window, num_ticks)]
        together = engine.model(
            WORDS,
            {name: value[:, kept] for name, value in numbers.items()},
            {name: value[:, kept] for name, value in features.items()},
            {name: torch.zeros(1, len(kept)) for name in numbers},
            RANKS,
        )
        for name in names:
            torch.testing.assert_close(last[rank][name], together[name][:, -1], atol=1e-5, rtol=0, msg=name)


@torch.no_grad()
def test_an_hour_later_it_still_answers_from_as_much_memory(engine: TorchEngine) -> None:
    """The same tick over and over becomes a fixed point: neither time nor memory goes on."""
    streams = _draw(engine, 1)
    cache = engine.new_cache(WORDS)
    seen, outs = [], []
    for _ in range(40):
        out = [_pass(engine, cache, streams, 0, rank) for rank in range(3)]
        past = cache.past(2, 4)
        assert past is not None
        seen.append(len(past.positions))
        outs.append(out[2]["video.main"])
        cache.end_tick()
    assert len(set(seen[5:])) == 1
    assert seen[0] < seen[4]
    torch.testing.assert_close(outs[-1], outs[-2], atol=1e-6, rtol=0)
    assert (outs[1] - outs[0]).abs().max() > 1e-4


def test_streams_of_two_ranks_do_not_share_a_pass(engine: TorchEngine) -> None:
    numbers, features = _draw(engine, 1)
    with pytest.raises(ValueError, match=r"one rank, got action, state, audio\.main, video\.main"):
        engine.estimate(
            engine.new_cache(WORDS),
            {name: value[:, 0] for name, value in numbers.items()},
            {"state": features["state"][:, 0]},
            dict.fromkeys(numbers, 0.0),
        )
