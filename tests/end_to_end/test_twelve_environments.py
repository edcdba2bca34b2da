"""Environments that nobody here made: recorded, trained for a step, and stepped as Gymnasium environments.

Their spaces are the real ones, so that what a policy is given inside is what it is given outside.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

import orrery  # noqa: F401
from orrery.cli import main
from orrery.worlds.gymnasium.make import make_environment

RUNS = Path(__file__).parents[2] / "runs"
ENVIRONMENTS = {
    "CartPole-v1": None,
    "Pendulum-v1": None,
    "MountainCar-v0": None,
    "Acrobot-v1": None,
    "LunarLander-v3": "Box2D",
    "CarRacing-v3?repeat=4": "Box2D",
    "ALE/Pong-v5": "ale_py",
    "ALE/Breakout-v5": "ale_py",
    "VizdoomBasic-v1": "vizdoom",
    f"{RUNS / 'pusht/environment.py'}:PushT-v0": "gym_pusht",
    "FrozenLake-v1": None,
    f"{Path(__file__).with_name('grid_world.py')}:GridWorld-v0": "minigrid",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS, ids=lambda name: name.rpartition("/")[2])
def test_it_is_learned_and_stepped(name: str, tmp_path: Path) -> None:
    module = ENVIRONMENTS[name]
    if module is not None:
        pytest.importorskip(module)
    out = tmp_path / "run"
    options = ["--steps", "1", "--episodes", "3", "--seconds", "1.5", "--image-size", "48"]
    assert main(["train", f"gym:{name}", "--out", str(out), *options]) == 0
    real = make_environment(name)
    inside = gymnasium.make("orrery/imagined", checkpoint=str(out))
    assert inside.action_space == real.action_space
    observation, _ = inside.reset(seed=3)
    assert inside.observation_space.contains(observation)
    inside.action_space.seed(0)
    for _ in range(3):
        observation, reward, terminated, truncated, _ = inside.step(inside.action_space.sample())
        assert inside.observation_space.contains(observation)
        assert np.isfinite(reward)
        assert {type(terminated), type(truncated)} == {bool}
        if terminated or truncated:
            inside.reset()
    if not any(len(getattr(s, "shape", None) or ()) == 3 for s in _leaves(real.observation_space)):
        assert inside.observation_space == real.observation_space
    real.close()


def _leaves(space: gymnasium.Space) -> list[gymnasium.Space]:
    if isinstance(space, gymnasium.spaces.Dict):
        return [leaf for part in space.spaces.values() for leaf in _leaves(part)]
    return [space]
