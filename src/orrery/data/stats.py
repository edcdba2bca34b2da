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
_LARGE = 1e140


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
    least, most = exact.min(0), exact.max(0)
    scale = _scale(least, most)
    exact = exact / scale if (scale > 1).any() else exact
    return {"min": least, "max": most, "mean": exact.mean(0) * scale, "std": exact.std(0) * scale}


def _scale(least: Array, most: Array) -> Array:
    """What numbers are divided by, so that sums of their squares stay below the largest float64."""
    largest = np.maximum(np.abs(least), np.abs(most))
    return np.where(largest > _LARGE, largest, 1.0)


def merge_stats(episodes: Iterable[Mapping[str, Any]]) -> Stats:
    """Statistics of all rows together, from each episode's own (total variance = within + between)."""
    stack = list(episodes)
    counts = np.array([s["count"][0] for s in stack], np.float64)
    least, most = np.min([s["min"] for s in stack], axis=0), np.max([s["max"] for s in stack], axis=0)
    scale = _scale(least, most)
    means, stds = (np.array([s[name] for s in stack]) / scale for name in ("mean", "std"))
    weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
    mean = (weights * means).sum(0)
    variance = (weights * (stds**2 + (means - mean) ** 2)).sum(0)
    return {
        "min": least.tolist(),
        "max": most.tolist(),
        "mean": (mean * scale).tolist(),
        "std": (np.sqrt(variance) * scale).tolist(),
        "count": [int(counts.sum())],
    }
