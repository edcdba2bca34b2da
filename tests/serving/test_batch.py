"""Sessions of one model share its passes; one that stalls holds nobody up."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from orrery.engines.torch_engine import TorchEngine
from orrery.errors import BadUse
from orrery.inference import imagined
from orrery.inference.imagined import ImaginedWorld
from orrery.models.trained import load_trained
from orrery.registry import resolve_model
from orrery.serving import batch as batch_module
from orrery.serving.batch import Batch

NOOP = np.zeros((1, 1, 1), np.int64)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine(load_trained(resolve_model("pong")))


def started(batch: Batch, number: int) -> list[ImaginedWorld]:
    worlds = [batch.make_world(streams=["reward", "video.main"]) for _ in range(number)]
    for seed, world in enumerate(worlds):
        world.reset(seed)
    return worlds


class Held:
    """Passes that are made one by one, as the test lets them. sizes: how many worlds each had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.began, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        monkeypatch.setattr(batch_module, "step_together", self.step)

    def step(self, worlds: list[ImaginedWorld], actions: list[Any]) -> None:
        self.sizes.append(len(worlds))
        self.began.release()
        assert self.go_on.acquire(timeout=PATIENCE_SECONDS)
        imagined.step_together(worlds, actions)


def stepping(world: ImaginedWorld) -> threading.Thread:
    thread = threading.Thread(target=world.step, args=(NOOP,), daemon=True)
    thread.start()
    return thread


def waiting(batch: Batch, number: int) -> bool:
    for _ in range(6000):
        if len(batch._waiting) == number:
            return True
        threading.Event().wait(0.01)
    return False


def test_who_asks_while_a_pass_runs_shares_the_next(engine: TorchEngine, monkeypatch: Any) -> None:
    batch, held = Batch(engine), Held(monkeypatch)
    worlds = started(batch, 4)  # the last never asks: it stalls
    threads = [stepping(worlds[0])]
    assert held.began.acquire(timeout=PATIENCE_SECONDS)
    threads += [stepping(world) for world in worlds[1:3]]
    assert waiting(batch, 2)
    held.go_on.release(2)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    assert held.sizes == [1, 2]
    held.go_on.release()
    worlds[3].step(NOOP)  # it goes on from where it stood
    alone = ImaginedWorld(engine, streams=["reward", "video.main"])
    alone.reset(3)
    assert np.array_equal(worlds[3]._tick["video.main"], alone.step(NOOP)["video.main"])


def test_a_pass_has_so_many_at_most_and_the_rest_comes_next(engine: TorchEngine, monkeypatch: Any) -> None:
    batch, held = Batch(engine, most=2), Held(monkeypatch)
    worlds = started(batch, 4)
    threads = [stepping(worlds[0])]
    assert held.began.acquire(timeout=PATIENCE_SECONDS)
    threads += [stepping(world) for world in worlds[1:]]
    assert waiting(batch, 3)
    held.go_on.release(3)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert held.sizes == [1, 2, 1]


def test_an_action_that_is_wrong_is_the_fault_of_one(engine: TorchEngine) -> None:
    batch = Batch(engine)
    one, other = started(batch, 2)
    with pytest.raises(BadUse, match="choices are 0 to"):
        one.step(NOOP + 99)
    other.step(NOOP)
    one.step(NOOP)
    assert batch.num_passes == 2
    with pytest.raises(BadUse, match="reset the world"):
        batch.make_world().step(NOOP)


def test_a_pass_that_fails_is_told_to_all_in_it(engine: TorchEngine, monkeypatch: Any) -> None:
    def broken(worlds: Any, actions: Any) -> None:
        raise MemoryError("no room")

    batch = Batch(engine)
    (world,) = started(batch, 1)
    with monkeypatch.context() as patched:
        patched.setattr(batch_module, "step_together", broken)
        with pytest.raises(MemoryError):
            world.step(NOOP)
    world.step(NOOP)


def test_many_threads_at_once_get_what_is_their_own(engine: TorchEngine) -> None:
    """The pictures of each session are those that it has alone, to a hundredth of a level
    of 255 on average."""
    batch = Batch(engine)
    worlds = started(batch, 3)
    shown: dict[int, np.ndarray] = {}

    def play(number: int) -> None:
        for _ in range(4):
            shown[number] = worlds[number].step(NOOP)["video.main"]

    threads = [threading.Thread(target=play, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    for seed in range(3):
        alone = ImaginedWorld(engine, streams=["reward", "video.main"])
        alone.reset(seed)
        for _ in range(4):
            expected = alone.step(NOOP)["video.main"]
        assert np.abs(shown[seed].astype(int) - expected).mean() < 0.01
    assert batch.num_passes <= 12
