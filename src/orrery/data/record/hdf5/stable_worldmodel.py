"""stable-worldmodel: columns in which all episodes lie one after the other, with `ep_len` and `ep_offset`.

A row holds what was seen, the reward that came with it, and the action that was taken after it; in an
episode's last row is the action before its first, or NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from orrery.data.record.hdf5.files import fault
from orrery.data.record.hdf5.layouts import Layout, Stretch

__all__ = ["STABLE_WORLDMODEL"]

_NAMES = {
    "pixels": "observation.images.main",
    "proprio": "observation.state",
    "reward": "next.reward",
    "terminated": "next.terminated",
    "truncated": "next.truncated",
}
_MOST_EPISODES = 10**7


def _stretches(file: Any) -> list[Stretch]:
    lengths, offsets = file["ep_len"], file["ep_offset"]
    if fault(lengths) or fault(offsets) or lengths.shape != offsets.shape or lengths.size > _MOST_EPISODES:
        raise ValueError("ep_len and ep_offset do not say where its episodes are")
    pairs = zip(lengths[()].ravel().tolist(), offsets[()].ravel().tolist(), strict=True)
    return [Stretch("", int(begin), int(begin) + int(length)) for length, begin in pairs]


def _fits(file: Any) -> bool:
    names = [name for name in ("ep_len", "ep_offset") if name in file]
    return len(names) == 2 and all(np.dtype(file[name].dtype).kind in "iu" for name in names)


def _feature(path: str) -> str:
    if path.startswith("pixels"):
        return _NAMES.get(path, f"observation.images.{path.removeprefix('pixels').lstrip('._')}")
    return _NAMES.get(path, path.replace("/", "."))


STABLE_WORLDMODEL = Layout(
    "stable-worldmodel",
    _fits,
    _stretches,
    _feature,
    skipped={"ep_len|ep_offset": "where the episodes are"},
    is_flat=True,
    is_after=False,
)
