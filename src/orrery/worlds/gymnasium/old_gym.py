"""Environments of the old Gym (the package `gym`), through shimmy's wrappers, where these are installed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from orrery.errors import UserError

__all__ = ["adapted", "is_of_old_gym", "old_environment"]

AnyEnv = gymnasium.Env[Any, Any]


def is_of_old_gym(name: str) -> bool:
    """Whether the old Gym is installed and has an environment of this name."""
    return name in _registry()


def old_environment(name: str, options: Mapping[str, Any], pictures: bool) -> AnyEnv:
    """The environment that the old Gym has under a name."""
    make: Any = importlib.import_module("gym").make
    unchecked = "disable_env_checker" in inspect.signature(make).parameters  # since 0.24
    options = {**({"disable_env_checker": True} if unchecked else {}), **options}
    try:
        env = make(name, render_mode="rgb_array" if pictures else None, **options)
    except TypeError:  # it knows no render_mode
        env = make(name, **options)
    longest = options.get("max_episode_steps", _registry()[name].max_episode_steps)
    return adapted(env.unwrapped, EnvSpec(name, max_episode_steps=longest), pictures)


def adapted(env: Any, spec: EnvSpec, pictures: bool) -> AnyEnv:
    """An environment of one of the old Gym's two forms, whose `reset` takes a seed or does not, cut off where
    `spec` says."""
    try:
        shimmy: Any = importlib.import_module("shimmy.openai_gym_compatibility")
    except ImportError as error:
        raise UserError(
            f"{spec.id} is no gymnasium.Env; for one of the old Gym shimmy is needed ({error}): "
            'pip install "shimmy[gym-v26]"'
        ) from error
    if "seed" in inspect.signature(env.reset).parameters:
        new = shimmy.GymV26CompatibilityV0(env=env)
    else:
        new = shimmy.GymV21CompatibilityV0(env=env, render_mode="rgb_array" if pictures else None)
    new.spec = spec
    longest = spec.max_episode_steps
    return new if longest is None else gymnasium.wrappers.TimeLimit(new, longest)


def _registry() -> Mapping[str, Any]:
    """Name to spec of what the old Gym has; empty where it is not installed, or does not run."""
    try:
        registry: Any = importlib.import_module("gym.envs.registration").registry
    except Exception:  # it is old: whatever may be missing
        return {}
    return getattr(registry, "env_specs", registry)
