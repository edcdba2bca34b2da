"""Gymnasium spaces as plain JSON and back, exactly: `space_from_json(space_to_json(space)) == space`.

A data set and a checkpoint carry them, so that a learned world offers the spaces of the environment that it
was learned from. `Box`, `Discrete`, `MultiDiscrete`, `MultiBinary`, `Text`, and `Dict` and `Tuple` of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = ["null_action", "space_from_json", "space_to_json"]

Space = spaces.Space[Any]


def space_to_json(space: Space) -> dict[str, Any]:
    """Plain values of a space. BadUse for one that no stream can hold, such as a sequence."""
    if isinstance(space, spaces.Dict):
        return {"space": "Dict", "parts": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, spaces.Tuple):
        return {"space": "Tuple", "parts": [space_to_json(part) for part in space.spaces]}
    if isinstance(space, spaces.Box):
        low = _bound_to_json(space.low, space.bounded_below, "-inf")
        high = _bound_to_json(space.high, space.bounded_above, "inf")
        shape, dtype = list(space.shape), space.dtype.name
        return {"space": "Box", "shape": shape, "dtype": dtype, "low": low, "high": high}
    if isinstance(space, spaces.Discrete):
        return {"space": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": _dtype(space)}
    if isinstance(space, spaces.MultiDiscrete):
        nvec, start = space.nvec.tolist(), space.start.tolist()
        return {"space": "MultiDiscrete", "nvec": nvec, "start": start, "dtype": _dtype(space)}
    if isinstance(space, spaces.MultiBinary):
        return {"space": "MultiBinary", "shape": list(space.shape)}
    if isinstance(space, spaces.Text):
        lengths = {"min_length": space.min_length, "max_length": space.max_length}
        return {"space": "Text", **lengths, "charset": "".join(space.character_list)}
    raise BadUse(f"{type(space).__name__} is a space that no stream can hold; wrap the environment: {space}")


def space_from_json(values: Mapping[str, Any]) -> Space:
    """The space that `space_to_json` gave these values of."""
    kind = values.get("space")
    if kind == "Dict":
        return spaces.Dict([(key, space_from_json(part)) for key, part in values["parts"]])
    if kind == "Tuple":
        return spaces.Tuple([space_from_json(part) for part in values["parts"]])
    if kind == "Box":
        return _box(values)
    if kind == "Discrete":
        return spaces.Discrete(values["n"], start=values["start"], dtype=np.dtype(values["dtype"]).type)
    if kind == "MultiDiscrete":
        nvec, start = np.array(values["nvec"]), np.array(values["start"])
        return spaces.MultiDiscrete(nvec, dtype=np.dtype(values["dtype"]).type, start=start)
    if kind == "MultiBinary":
        shape = values["shape"]
        return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)
    if kind == "Text":
        lengths = {"min_length": values["min_length"], "max_length": values["max_length"]}
        return spaces.Text(**lengths, charset=values["charset"])
    raise BadUse(f"{kind!r} is no space that can be read; it was written by another version")


def null_action(space: Space) -> Any:
    """What is played where no action is given: zeros, clipped into a Box's bounds; first choices."""
    if isinstance(space, spaces.Dict):
        return {key: null_action(part) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(null_action(part) for part in space.spaces)
    if isinstance(space, spaces.Box):
        return np.asarray(np.clip(np.zeros(space.shape, space.dtype), space.low, space.high))
    if isinstance(space, spaces.Discrete):
        return space.start
    if isinstance(space, spaces.MultiDiscrete):
        return space.start.copy()
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, space.dtype)
    raise BadUse(f"{type(space).__name__} is an action space that no stream can hold; wrap the environment")


def _dtype(space: Space) -> str:
    return np.dtype(space.dtype).name


def _bound_to_json(bound: Array, is_bounded: Array, infinity: str) -> Any:
    """A Box's lowest or highest values, nested as its shape is; one value where all are the same."""
    pairs = zip(bound.ravel().tolist(), is_bounded.ravel().tolist(), strict=True)
    flat = [value if bounded else infinity for value, bounded in pairs]
    if flat and all(value == flat[0] for value in flat):
        return flat[0]
    return np.array(flat, object).reshape(bound.shape).tolist()


def _box(values: Mapping[str, Any]) -> spaces.Box:
    dtype, shape = np.dtype(values["dtype"]), tuple(values["shape"])
    low, is_low = _bound_from_json(values["low"], dtype, shape)
    high, is_high = _bound_from_json(values["high"], dtype, shape)
    box = spaces.Box(low, high, shape, dtype.type)
    box.bounded_below, box.bounded_above = is_low, is_high  # Gymnasium cannot tell of arrays of whole numbers
    return box


def _bound_from_json(values: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A Box's bound, and where it is one."""
    array = np.broadcast_to(np.array(values, object), shape)
    is_bounded = np.array([not isinstance(value, str) for value in array.ravel()], bool).reshape(shape)
    limits = {"-inf": -np.inf, "inf": np.inf}
    if dtype.kind in "iu":
        limits = {"-inf": np.iinfo(dtype).min, "inf": np.iinfo(dtype).max}
    flat = [limits[value] if isinstance(value, str) else value for value in array.ravel()]
    return np.array(flat, dtype).reshape(shape), is_bounded
