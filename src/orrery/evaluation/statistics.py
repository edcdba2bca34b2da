"""How far a measured share or median can be trusted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = ["median_interval", "share", "wilson"]


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), both in [0, 1]; (0, 1) without any trial."""
    if not 0 <= successes <= trials:
        raise BadUse(f"wilson: {successes} successes of {trials} trials")
    if not trials:
        return 0.0, 1.0
    p = successes / trials
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low, high = (p + z * z / (2 * trials) + sign * spread for sign in (-1, 1))
    return max(0.0, low / (1 + z * z / trials)), min(1.0, high / (1 + z * z / trials))


def share(successes: int, trials: int) -> dict[str, Any]:
    """A share with its counts and its 95 % interval, as plain values; the share is None without any trial."""
    low, high = wilson(successes, trials)
    value = successes / trials if trials else None
    return {"share": value, "low": low, "high": high, "successes": successes, "trials": trials}


def median_interval(values: Array, num_draws: int = 1000) -> dict[str, Any]:
    """Median, 95th percentile and the median's 95 % bootstrap interval (fixed seed), as plain values."""
    values = np.asarray(values, float)
    if not len(values):
        return {"median": None, "low": None, "high": None, "p95": None, "count": 0}
    rng = np.random.default_rng(0)
    medians = np.median(values[rng.integers(len(values), size=(num_draws, len(values)))], axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return {
        "median": float(np.median(values)), "low": float(low), "high": float(high),
        "p95": float(np.percentile(values, 95)), "count": len(values),
    }  # fmt: skip
