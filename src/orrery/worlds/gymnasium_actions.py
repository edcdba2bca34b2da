"""An environment's action as a vector of float32, and back.

A `Box` is flattened; a choice (`Discrete`, each of a `MultiDiscrete`) is one score per possibility, of which
the largest wins; a `MultiBinary` is on above one half; a `Tuple` or `Dict` is its parts, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = ["action_bounds", "action_to_vector", "action_width", "null_action", "vector_to_action"]


def action_width(space: spaces.Space[Any]) -> int:
    """Length of the vector; BadUse for spaces that have none, such as text."""
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return int(np.prod(space.shape))
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(space.nvec.sum())
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return sum(map(action_width, _parts(space)))
    raise BadUse(
        f"an action space of numbers is needed (Box, Discrete, ...), got {space}; wrap the environment"
    )


def null_action(space: spaces.Space[Any]) -> Array:
    """What is played where no action is given, `[A]`: zeros, clipped into a Box's bounds; first choices."""
    if isinstance(space, spaces.Box):
        return np.clip(0.0, space.low, space.high).astype(np.float32).ravel()
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return np.concatenate([null_action(part) for part in _parts(space)])
    zeros = np.zeros(action_width(space), np.float32)
    return action_to_vector(space, vector_to_action(space, zeros))


def action_bounds(space: spaces.Space[Any]) -> tuple[float | None, float | None]:
    """Lowest and highest value of the vector in any channel; None where there is no bound."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        lows, highs = zip(*map(action_bounds, _parts(space)), strict=True)
        return (
            None if None in lows else min(low for low in lows if low is not None),
            None if None in highs else max(high for high in highs if high is not None),
        )
    if not isinstance(space, spaces.Box):
        return 0.0, 1.0
    low, high = float(np.min(space.low)), float(np.max(space.high))
    return low if np.isfinite(low) else None, high if np.isfinite(high) else None


def vector_to_action(space: spaces.Space[Any], vector: Array) -> Any:
    """The action that `vector [A]` (finite) stands for, always inside the space."""
    if isinstance(space, spaces.Box):
        return np.clip(vector.reshape(space.shape), space.low, space.high).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        return int(space.start) + int(np.argmax(vector))
    if isinstance(space, spaces.MultiBinary):
        return (vector.reshape(space.shape) > 0.5).astype(space.dtype)
    if isinstance(space, spaces.MultiDiscrete):
        scores = np.split(vector, np.cumsum(space.nvec.ravel())[:-1])
        choices = np.array([int(np.argmax(score)) for score in scores])
        return (choices.reshape(space.shape) + space.start).astype(space.dtype)
    assert isinstance(space, spaces.Tuple | spaces.Dict)
    parts = _parts(space)
    pieces = np.split(vector, np.cumsum([action_width(part) for part in parts])[:-1])
    actions = [vector_to_action(part, piece) for part, piece in zip(parts, pieces, strict=True)]
    return (
        tuple(actions) if isinstance(space, spaces.Tuple) else dict(zip(space.spaces, actions, strict=True))
    )


def action_to_vector(space: spaces.Space[Any], action: Any) -> Array:
    """The vector `[A]` float32 of an action of the space."""
    if isinstance(space, spaces.Discrete):
        return np.eye(int(space.n), dtype=np.float32)[int(action) - int(space.start)]
    if isinstance(space, spaces.MultiDiscrete):
        choices = (np.asarray(action) - space.start).ravel()
        return np.concatenate(
            [np.eye(int(n), dtype=np.float32)[c] for n, c in zip(space.nvec.ravel(), choices, strict=True)]
        )
    if isinstance(space, spaces.Tuple | spaces.Dict):
        actions = action if isinstance(space, spaces.Tuple) else [action[name] for name in space.spaces]
        pairs = zip(_parts(space), actions, strict=True)
        return np.concatenate([action_to_vector(part, piece) for part, piece in pairs])
    return np.asarray(action, np.float32).ravel()


def _parts(space: spaces.Tuple | spaces.Dict) -> Sequence[spaces.Space[Any]]:
    return space.spaces if isinstance(space, spaces.Tuple) else list(space.spaces.values())
