"""A run that learned CartPole from a few episodes in a few steps: bad at it, but all of it is there."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cartpole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; its world has an observation, an action, a reward and a termination, and no pictures.
    Made once, also for several test processes."""
    pytest.importorskip("gymnasium")
    from orrery.data.dataset import Dataset
    from orrery.data.record.collect import collect
    from orrery.training.recipe import sized_recipe
    from orrery.training.train import train

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "cartpole"
    folder.mkdir(exist_ok=True)
    streams = ["observation", "action", "reward", "terminated"]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "run" / "checkpoint").exists():
            collect("gym:CartPole-v1", folder / "data", 12, streams=streams, progress=False)
            data = Dataset(folder / "data")
            train(data, replace(sized_recipe(data.spec, steps=30), few_batch=4), folder / "run")
    return folder / "run"
