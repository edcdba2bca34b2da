"""A run that learned CartPole from a few episodes in a few steps: bad at it, but all of it is there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cartpole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; its world has an observation, an action, a reward and a termination, and no pictures.
    Made once, also for several test processes."""
    pytest.importorskip("gymnasium")
    with once(tmp_path_factory, "cartpole") as folder:
        streams = ("observation", "action", "reward", "terminated")
        return learned("gym:CartPole-v1", folder, 12, streams)


@pytest.fixture(scope="session")
def nested_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another's, whose environment observes a text, choices, bits and numbers in a nest of dictionaries; its
    data set lies beside it, as `data`."""
    gymnasium = pytest.importorskip("gymnasium")
    import numpy as np
    from gymnasium import spaces

    class Nest(gymnasium.Env):
        observation_space = spaces.Dict(
            {
                "robot": spaces.Dict({"qpos": spaces.Box(-1, 1, (2, 3)), "grip": spaces.Discrete(2)}),
                "mission": spaces.Text(20),
                "pair": spaces.Tuple([spaces.Discrete(9, start=-4), spaces.MultiBinary(3)]),
                "codes": spaces.MultiDiscrete([[2, 3], [4, 5]]),
            }
        )
        action_space = spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.t, self.luck = 0, int(self.np_random.integers(4))
            return self.seen(), {}

        def step(self, action: Any) -> Any:
            self.t += 1
            return self.seen(), 1.0, self.t >= 10, False, {}

        def seen(self) -> Any:
            return {
                "robot": {"qpos": np.full((2, 3), self.luck / 8, np.float32), "grip": self.t % 2},
                "mission": ("go to the red ball", "pick it up", "", "🪐")[self.luck],
                "pair": (self.luck - 4, np.array([1, 0, self.luck % 2], np.int8)),
                "codes": np.array([[1, 2], [self.luck, 4]]),
            }

    gymnasium.register("OrreryNest-v0", entry_point=Nest)
    try:
        with once(tmp_path_factory, "nest") as folder:
            return learned("gym:OrreryNest-v0", folder, 12, None)
    finally:
        del gymnasium.registry["OrreryNest-v0"]


@contextmanager
def once(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that all test processes share, for one of them at a time."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def learned(source: str, folder: Path, num_episodes: int, streams: tuple[str, ...] | None) -> Path:
    """The run of a source, made unless it is there."""
    from orrery.data.dataset import Dataset
    from orrery.data.record.collect import collect
    from orrery.training.recipe import sized_recipe
    from orrery.training.train import train

    if not (folder / "run" / "checkpoint").exists():
        collect(source, folder / "data", num_episodes, streams=streams, progress=False)
        data = Dataset(folder / "data")
        train(data, replace(sized_recipe(data.spec, steps=30), few_batch=4), folder / "run")
    return folder / "run"
