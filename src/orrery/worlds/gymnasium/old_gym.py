"""Environments of the old Gym (the package `gym`), through shimmy's wrappers, where these are installed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium

from orrery.errors import UserError

__all__ = ["adapted", "is_of_old_gym", "old_environment"]

_MODULE = "shimmy.openai_gym_compatibility"


def is_of_old_gym(name: str) -> bool:
    """Whether the old Gym is installed and has an environment of this name."""
    try:
        registry: Any = importlib.import_module("gym.envs.registration").registry
    except Exception:  # it is old, and may not run with what is installed beside it
        return False
    return name in getattr(registry, "env_specs", registry)


def old_environment(name: str, options: Mapping[str, Any], pictures: bool) -> gymnasium.Env[Any, Any]:
    """The environment that the old Gym has under a name."""
    shimmy = _shimmy(name)
    gym: Any = importlib.import_module("gym")
    if hasattr(gym.envs.registration.registry, "env_specs"):  # before 0.26
        mode = "rgb_array" if pictures else None
        return shimmy.GymV21CompatibilityV0(env_id=name, make_kwargs=dict(options), render_mode=mode)
    drawn = {"render_mode": "rgb_array"} if pictures else {}
    keywords = {"disable_env_checker": True, **drawn, **options}
    return shimmy.GymV26CompatibilityV0(env_id=name, make_kwargs=keywords)


def adapted(env: Any, name: str, pictures: bool) -> gymnasium.Env[Any, Any]:
    """An environment of one of the old Gym's two forms, whose `reset` takes a seed or does not."""
    shimmy = _shimmy(name)
    if "seed" in inspect.signature(env.reset).parameters:
        return shimmy.GymV26CompatibilityV0(env=env)
    return shimmy.GymV21CompatibilityV0(env=env, render_mode="rgb_array" if pictures else None)


def _shimmy(name: str) -> Any:
    try:
        return importlib.import_module(_MODULE)
    except ImportError as error:
        raise UserError(
            f"{name} is no gymnasium.Env; for one of the old Gym shimmy is needed ({error}): "
            'pip install "shimmy[gym-v26]"'
        ) from error
