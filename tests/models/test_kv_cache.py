"""The memory of a rollout: what is in it, what is forgotten, and that it stops growing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from orrery.models.kv_cache import KVCache
from orrery.models.transformer import Past

WINDOW = 3


def _keys(value: float, num_tokens: int = 1) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One layer's keys and values, all of one value, so that they can be recognised."""
    tensor = torch.full((1, 1, num_tokens, 2), float(value))
    return [(tensor, -tensor)]


def _after(num_ticks: int, ranks: int = 1) -> KVCache:
    """Tick t's keys of rank r are 10 t + r."""
    cache = KVCache(WINDOW)
    for tick in range(num_ticks):
        for rank in range(ranks):
            cache.settle(rank, _keys(10 * tick + rank))
        cache.end_tick()
    return cache


def _seen(cache: KVCache, rank: int = 0, window: int = WINDOW) -> list[tuple[int, float]]:
    """(position, value) of everything a query may look at."""
    past = cache.past(rank, window)
    if past is None:
        return []
    keys, values = past.keys[0], past.values[0]
    assert torch.equal(keys, -values)
    return list(zip(past.positions.tolist(), keys[0, 0, :, 0].tolist(), strict=True))


def test_nothing_is_nothing() -> None:
    assert KVCache(WINDOW).past(0, WINDOW) is None


def test_before_the_window_is_full_everything_is_seen_in_its_place() -> None:
    cache = _after(3)
    assert _seen(cache) == [(1, 0), (2, 10), (3, 20)]
    assert cache.position(WINDOW) == 4


@pytest.mark.parametrize("num_ticks", [5, 6, 50])
def test_after_that_the_first_tick_and_the_latest_stay_and_time_stands_still(num_ticks: int) -> None:
    cache = _after(num_ticks)
    latest = [10.0 * (num_ticks - k) for k in (3, 2, 1)]
    assert _seen(cache) == list(zip([1, 2, 3, 4], [0.0, *latest], strict=True))
    assert cache.position(WINDOW) == WINDOW + 2


def test_a_narrower_query_sees_less_and_counts_from_the_first_tick_too() -> None:
    cache = _after(9)
    assert _seen(cache, window=1) == [(1, 0), (2, 80)]
    assert cache.position(1) == 3
    assert _seen(cache, window=0) == [(1, 0)]


def test_cost_is_flat() -> None:
    def size(num_ticks: int) -> int:
        past = _after(num_ticks, ranks=2).past(1, WINDOW)
        assert past is not None
        return past.keys.numel() + past.values.numel()

    assert size(3) < size(4) == size(5) == size(100)


def test_higher_ranks_are_not_seen_and_lower_ones_of_this_tick_are() -> None:
    cache = _after(1, ranks=3)
    cache.settle(0, _keys(100))
    cache.settle(1, _keys(101))
    assert [value for _, value in _seen(cache, rank=1)] == [0, 1, 100, 101]
    assert [value for _, value in _seen(cache, rank=0)] == [0, 100]
    assert _seen(cache, rank=2)[-1] == (2, 101)


def test_a_past_is_gathered_and_turned_once_until_something_changes() -> None:
    turned: list[Past] = []
    cache = KVCache(WINDOW, lambda past: turned.append(past) or replace(past, keys=past.keys + 100.0))
    cache.settle(0, _keys(1))
    first = cache.past(0, WINDOW)
    assert first is not None
    assert first.keys.unique().tolist() == [101.0]
    assert cache.past(0, WINDOW) is first
    changes = [
        lambda: cache.settle(1, _keys(2)), cache.end_tick, lambda: cache.set_text(_keys(3)),
        lambda: cache.set_text(None),
    ]  # fmt: skip
    for number, change in enumerate(changes, start=2):
        change()
        assert cache.past(1, WINDOW) is cache.past(1, WINDOW)
        assert len(turned) == number
    here, there = cache.past(1, WINDOW), cache.copy().past(1, WINDOW)
    assert here is not None
    assert there is not None
    assert torch.equal(there.keys, here.keys)


def test_a_sentence_comes_first_and_can_change_while_the_past_stays() -> None:
    cache = _after(2)
    cache.set_text(_keys(-7, num_tokens=2))
    assert _seen(cache) == [(0, -7), (0, -7), (1, 0), (2, 10)]
    cache.set_text(_keys(-8))
    assert _seen(cache) == [(0, -8), (1, 0), (2, 10)]
    cache.set_text(None)
    assert _seen(cache) == [(1, 0), (2, 10)]


def test_a_copy_goes_its_own_way() -> None:
    cache = _after(5)
    cache.settle(0, _keys(50))
    copy = cache.copy()
    before = _seen(cache)
    assert _seen(copy) == before
    copy.end_tick()
    copy.settle(0, _keys(60))
    copy.set_text(_keys(-1))
    assert _seen(cache) == before
    assert cache.num_ticks == 5
    cache.end_tick()
    cache.settle(0, _keys(61))
    assert _seen(copy)[-1][1] == 60
