"""Worlds that are stepped in one pass go as each would alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orrery.engines.torch_engine import TorchEngine
from orrery.inference import imagined
from orrery.inference.imagined import ImaginedWorld, step_together
from orrery.models.trained import load_trained
from orrery.registry import resolve_model
from orrery.streams import Array, Observation

Starts = list[dict[str, Any]]


@pytest.fixture(scope="module")
def pong() -> TorchEngine:
    return TorchEngine(load_trained(resolve_model("pong")))


def actions_of(engine: TorchEngine, rng: np.random.Generator, num_worlds: int) -> Array:
    spec = engine.spec.streams["action"]
    return rng.integers(spec.num_choices, size=(num_worlds, *spec.shape))


def film(engine: TorchEngine, start: dict[str, Any], actions: list[Any]) -> list[Observation]:
    """What a world shows that is alone. actions: of each tick after the first."""
    world = ImaginedWorld(engine)
    world.reset(**start)
    return [world.step(action) for action in actions]


def films_together(engine: TorchEngine, starts: Starts, actions: list[list[Any]]) -> list[list[Observation]]:
    worlds = [ImaginedWorld(engine) for _ in starts]
    for world, start in zip(worlds, starts, strict=True):
        world.reset(**start)
    shown: list[list[Observation]] = [[] for _ in worlds]
    for doings in zip(*actions, strict=True):
        step_together(worlds, [w.checked_action(a) for w, a in zip(worlds, doings, strict=True)])
        for world, ticks in zip(worlds, shown, strict=True):
            ticks.append(dict(world._tick))
    return shown


def test_a_film_with_sound_is_the_same_together_and_alone(pong: TorchEngine) -> None:
    """To a hundredth of a level of 255 on average, and a thousandth of full scale: products of half precision
    are summed in another order. Another seed is twenty times as far away."""
    rng = np.random.default_rng(0)
    starts: Starts = [{"seed": seed} for seed in (1, 2, 3)]
    actions = [[actions_of(pong, rng, 1) for _ in range(6)] for _ in starts]
    together = films_together(pong, starts, actions)
    alone = [film(pong, start, doings) for start, doings in zip(starts, actions, strict=True)]

    def apart(a: list[Observation], b: list[Observation], name: str) -> float:
        pairs = zip(a, b, strict=True)
        return max(float(np.abs(x[name].astype(np.float64) - y[name]).mean()) for x, y in pairs)

    for one, other in zip(together, alone, strict=True):
        assert apart(one, other, "video.main") < 0.01
        assert apart(one, other, "audio.main") < 1e-3
    assert apart(together[0], alone[1], "video.main") > 0.2
    assert apart(film(pong, starts[0], actions[0]), alone[0], "video.main") == 0


def test_worlds_of_numbers_are_the_same_together_and_alone(cartpole_run: Path) -> None:
    """Of several starts and several numbers of worlds; one is given more of its past than others, and one
    leaves its action to the model: each gets what is its own."""
    engine = TorchEngine(load_trained(resolve_model(cartpole_run)))
    rng = np.random.default_rng(0)
    given = {"observation": rng.normal(0, 0.02, (1, 5, *engine.spec.streams["observation"].shape))}
    given = {name: value.astype(np.float32) for name, value in given.items()}
    starts: Starts = [{"seed": 1}, {"seed": 2, "given": given}, {"seed": 3}, {"seed": 4}]
    actions: list[list[Any]] = [[actions_of(engine, rng, 1) for _ in range(8)] for _ in starts]
    actions[2] = [None] * 8
    together = films_together(engine, starts, actions)
    for ticks, start, doings in zip(together, starts, actions, strict=True):
        for tick, expected in zip(ticks, film(engine, start, doings), strict=True):
            for name in expected:
                np.testing.assert_allclose(tick[name], expected[name], atol=1e-4, err_msg=name)
    np.testing.assert_allclose(together[1][3]["observation"][0], given["observation"][0, 4], atol=1e-4)


def test_worlds_of_a_kind_take_one_pass(cartpole_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TorchEngine(load_trained(resolve_model(cartpole_run)))
    worlds = [ImaginedWorld(engine, num_worlds) for num_worlds in (1, 2, 1)]
    for world in worlds:
        world.reset(0)
    sizes: list[int] = []
    advance = imagined._advance_all
    monkeypatch.setattr(
        imagined,
        "_advance_all",
        lambda group, acts: (sizes.append(sum(w.num_worlds for w in group)), advance(group, acts)),
    )
    left = [w.checked_action(np.zeros((w.num_worlds, 1, 1), np.int64)) for w in worlds]
    step_together(worlds, left)
    assert sizes == [4]
    step_together(worlds, [left[0], {}, left[2]])
    assert sizes == [4, 2, 2]


def test_going_back_takes_nobody_else_along(cartpole_run: Path) -> None:
    engine = TorchEngine(load_trained(resolve_model(cartpole_run)))
    worlds = [ImaginedWorld(engine) for _ in range(2)]
    for seed, world in enumerate(worlds):
        world.reset(seed)
    none: list[dict[str, Array]] = [{}, {}]
    step_together(worlds, none)
    memory = worlds[0].snapshot()
    step_together(worlds, none)
    first = worlds[0]._tick["observation"]
    step_together(worlds, none)
    ahead = worlds[1].snapshot()
    worlds[0].restore(memory)
    assert np.allclose(worlds[0].step()["observation"], first, atol=1e-4)
    assert worlds[1].snapshot()[0] is ahead[0]
