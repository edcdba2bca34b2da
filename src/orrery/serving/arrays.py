"""Arrays between a world and its client: one binary message with a JSON header and the arrays as they are.

Four bytes, little-endian, say how long the header is; its `parts` say name, type and shape of each array,
whose bytes follow one after the other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.serving.framing import pack
from orrery.streams import Array

__all__ = ["GIVEN", "MASK", "PATH", "pack_arrays", "unpack_arrays"]

PATH = "/v1/realtime/world"
"""Where such messages are exchanged."""
GIVEN, MASK = "given/", "mask"
"""What precedes the names of given streams in a reset, and the array that says which worlds it is for."""

_TYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")
_MAX_AXES = 8


def pack_arrays(header: dict[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message."""
    parts = []
    for name, value in arrays.items():
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        about = {"name": name, "dtype": value.dtype.name, "shape": list(value.shape)}
        parts.append((about, little.tobytes()))
    return pack(header, parts)


def unpack_arrays(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The inverse, of a message from anybody. BadUse for one that is not as `pack_arrays` writes it."""
    end = 4 + int.from_bytes(message[:4], "little")
    try:
        header = json.loads(message[4:end].decode())
        parts = header.pop("parts")
        arrays: dict[str, Array] = {}
        for part in parts:
            name, dtype, shape = part["name"], part["dtype"], part["shape"]
            known = isinstance(name, str) and dtype in _TYPES and len(shape) <= _MAX_AXES
            if not known or any(type(side) is not int or side < 0 for side in shape):
                raise ValueError(f"an array {part}"[:200])
            size = math.prod(shape) * np.dtype(dtype).itemsize
            if end + size > len(message):
                raise ValueError(f"{name} is cut short")
            flat = np.frombuffer(message, np.dtype(dtype).newbyteorder("<"), math.prod(shape), end)
            arrays[name] = flat.reshape(shape).astype(dtype)
            end += size
        if end != len(message):
            raise ValueError("more came than its parts")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadUse(f"a message is a header and its arrays: {error}") from error
    return header, arrays
