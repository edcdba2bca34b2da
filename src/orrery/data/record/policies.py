"""Who acts while an environment is recorded: chance, or a function of the user's own.

A policy is called as `policy(observation, rng, env)` and returns the action in the environment's own form.
observation: what the environment last observed (of a world: its last tick, stream by stream). rng: a random
generator of the episode's own. env: the environment without its wrappers (or the world), whose memory or
physics it may read. One that remembers is a class: an object of it is made for each episode, and called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse, UserError, nearest
from orrery.modules import load_module
from orrery.rounding import cast
from orrery.streams import Array, StreamSpec

__all__ = ["RANDOM", "Policy", "checked_action", "checked_choice", "load_policy", "random_action"]

Policy = Callable[[Any, np.random.Generator, Any], Any]
RANDOM = "random"


def load_policy(name: str) -> Policy:
    """The policy for one episode that `module:function` or `path/to/file.py:function` names.

    A module may lie in the current folder. Of a class, a new object.

    BadUse for a name of another form or a function that is not there (nearest names), UserError for a module
    or file that cannot be imported.
    """
    module_name, colon, function = name.rpartition(":")
    if not colon or not module_name or not function:
        raise BadUse(f"a policy is {RANDOM!r}, MODULE:FUNCTION or FILE.py:FUNCTION, got {name!r}")
    try:
        module = load_module(module_name)
    except Exception as error:  # whatever a module of the user's own raises
        raise UserError(f"policy {name!r}: {module_name} cannot be imported ({error!r})") from error
    policy = getattr(module, function, None)
    if not callable(policy):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        perhaps = ", ".join(nearest(function, names) or names) or "nothing that can be called"
        raise BadUse(f"policy {name!r}: {module_name} has no function {function!r}; it has {perhaps}")
    return policy() if isinstance(policy, type) else policy


def checked_choice(action: Any, space: spaces.Space[Any]) -> Any:
    """A policy's action for an environment; BadUse if it is none of its action space."""
    if isinstance(space, spaces.Box):
        numbers = np.asarray(action)
        if numbers.shape == space.shape and numbers.dtype.kind in "biuf":
            choice = cast(np.clip(numbers, space.low, space.high), space.dtype)
            if np.isfinite(numbers).all() and np.isfinite(choice).all():
                return choice
    elif isinstance(space, spaces.Discrete):
        if np.ndim(action) == 0 and space.contains(int(action)):
            return int(action)
    elif space.contains(action):
        return action
    raise BadUse(f"the policy returned {_form(action)}, which is no action of {space}")


def checked_action(action: Any, spec: StreamSpec) -> Array:
    """A policy's action for a world, `[1, *spec.shape]`; BadUse if it has another shape or is not finite."""
    action = cast(np.asarray(action), np.float32)
    if action.shape != spec.shape or not np.isfinite(action).all():
        raise BadUse(f"the policy returned {_form(action)}; the world's action is {list(spec.shape)}, finite")
    return action[None]


def random_action(spec: StreamSpec, rng: np.random.Generator) -> Array:
    """Anything a world's action may be, `[1, *spec.shape]`; between -1 and 1 where it has no bounds."""
    low, high = (-1.0 if spec.low is None else spec.low), (1.0 if spec.high is None else spec.high)
    return rng.uniform(low, high, (1, *spec.shape)).astype(np.float32)


def _form(action: Any) -> str:
    array = np.asarray(action) if not isinstance(action, dict | tuple) else None
    if array is None or array.dtype == object:
        return type(action).__name__
    return f"{list(array.shape)} {array.dtype}" if array.ndim else f"{action!r}"
