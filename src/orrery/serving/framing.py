"""One binary message: four bytes, little-endian, that say how long its JSON header is, the header, and its
`parts`, one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["Part", "pack", "unpack"]

Part = tuple[dict[str, Any], bytes]


def pack(header: dict[str, Any], parts: Sequence[Part] = ()) -> bytes:
    """One message. Each part's description gets its length, `bytes`."""
    described = [{**about, "bytes": len(content)} for about, content in parts]
    text = json.dumps({**header, "parts": described}, allow_nan=False, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(4, "little"), text, *(content for _, content in parts)])


def unpack(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The inverse of `pack`, for clients in Python."""
    end = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:end])
    parts: list[bytes] = []
    for about in header["parts"]:
        parts.append(message[end : end + about["bytes"]])
        end += about["bytes"]
    return header, parts
