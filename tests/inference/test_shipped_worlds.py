"""Learned worlds that ship with the package: small, and stepped as the environments they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from orrery.checkpoint import load_checkpoint  # noqa: E402
from orrery.models.trained import is_trained  # noqa: E402
from orrery.registry import SHIPPED, resolve_model  # noqa: E402

LARGEST_BYTES = 8_000_000


WORLDS = [name for name in SHIPPED if is_trained(load_checkpoint(resolve_model(name)).config)]


def rolled(name: str, seed: int) -> list[tuple[Any, ...]]:
    """Ticks of an episode under random actions."""
    env = gymnasium.make("orrery/imagined", checkpoint=name)
    observation, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    ticks: list[tuple[Any, ...]] = [(observation,)]
    for _ in range(12):
        ticks.append(env.step(env.action_space.sample()))
        if ticks[-1][2] or ticks[-1][3]:
            break
    env.close()
    return ticks


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_small_and_its_card_says_what_was_measured(name: str) -> None:
    folder = resolve_model(name)
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) <= LARGEST_BYTES
    card = (folder / "card.md").read_text()
    assert "copying the last frame" in card
    assert "against the real world" in card


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_stepped_as_an_environment_and_a_seed_repeats_it(name: str) -> None:
    first, again, other = rolled(name, 3), rolled(name, 3), rolled(name, 4)
    space = gymnasium.make("orrery/imagined", checkpoint=name).observation_space
    assert all(space.contains(tick[0]) for tick in first)
    assert all(np.isfinite(tick[1]) for tick in first[1:])
    np.testing.assert_equal(first, again)
    with pytest.raises(AssertionError):
        np.testing.assert_equal(first, other)
