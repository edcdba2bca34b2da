"""Minimum, maximum, mean and standard deviation of every feature, by episode and over all of them.

Vectors (state, camera, action) are counted element by element; sound, touch and pictures would fill the
metadata, so sound, touch, depth and labels have one number each and pictures one a colour channel (in [0, 1],
`[3, 1, 1]`), as in LeRobot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from orrery.streams import Array, StreamSpec

__all__ = ["Stats", "merge_stats", "stats_of"]

Stats = dict[str, Any]
"""`min`, `max`, `mean`, `std` as nested lists and `count` as `[n]`."""

_ONE_NUMBER = ("audio", "touch", "depth", "segmentation")
_PICTURE_STRIDE = 12


def stats_of(spec: StreamSpec, rows: Array) -> Stats:
    """Statistics of one episode of one stream. rows: `[num_rows, width]`, or `[num_rows, H, W, 3]` uint8."""
    if spec.kind == "video":
        values = rows[::_PICTURE_STRIDE].reshape(-1, rows.shape[-1]) / 255.0
        return {k: np.reshape(v, (-1, 1, 1)).tolist() for k, v in _moments(values).items()} | {
            "count": [len(rows[::_PICTURE_STRIDE])]
        }
    values = rows.reshape(-1, 1) if spec.name.partition(".")[0] in _ONE_NUMBER else rows
    return {k: v.tolist() for k, v in _moments(values).items()} | {"count": [len(rows)]}


def _moments(values: Array) -> dict[str, Array]:
    exact = values.astype(np.float64)
    return {"min": exact.min(0), "max": exact.max(0), "mean": exact.mean(0), "std": exact.std(0)}


def merge_stats(episodes: Iterable[Mapping[str, Any]]) -> Stats:
    """Statistics of all rows together, from each episode's own (total variance = within + between)."""
    stack = list(episodes)
    counts = np.array([s["count"][0] for s in stack], np.float64)
    means, stds = np.array([s["mean"] for s in stack]), np.array([s["std"] for s in stack])
    weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
    mean = (weights * means).sum(0)
    variance = (weights * (stds**2 + (means - mean) ** 2)).sum(0)
    return {
        "min": np.min([s["min"] for s in stack], axis=0).tolist(),
        "max": np.max([s["max"] for s in stack], axis=0).tolist(),
        "mean": mean.tolist(),
        "std": np.sqrt(variance).tolist(),
        "count": [int(counts.sum())],
    }
