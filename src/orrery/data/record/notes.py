"""What is to be told of an environment's episode: numbers that its streams do not hold as they were, and what
is unlike most; counted in ticks, whoever recorded it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orrery.rounding import losses, num_rows
from orrery.streams import Array, WorldSpec
from orrery.worlds.gymnasium.layout import SpaceLayout

__all__ = ["noted_of", "rewards_noted"]

_NOT_FINITE = (
    "not finite in float32 (NaN, infinite, too large); the last finite number, or 0, is in its place"
)
_OUTSIDE = "outside of the bounds that the environment states; recorded as it is"
_ENDS_AT_ONCE = "the episode ends with its first step"


def rewards_noted(rewards: Array) -> dict[str, int]:
    """What float32 does not hold of rewards `[n]`."""
    return {f"reward: {what}": count for what, count in num_rows(losses(rewards, np.float32)).items()}


def noted_of(
    spec: WorldSpec, layouts: Sequence[SpaceLayout], streams: dict[str, Array], ended: bool
) -> dict[str, int]:
    """What is to be told of an episode, and in how many ticks it was so; in `streams`, numbers that are none
    give way to the last ones that are, or to 0 before there were any.

    layouts: of its observations and actions. ended: whether the environment ended it.
    """
    num_ticks, noted = len(next(iter(streams.values()))), dict[str, int]()
    for layout in layouts:
        noted |= {f"{name}: {_OUTSIDE}": count for name, count in layout.outside(streams).items()}
    for name, values in streams.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            is_bad = ~np.isfinite(values)
            ticks = np.arange(num_ticks).reshape(-1, *[1] * (values.ndim - 1))
            last = np.maximum.accumulate(np.where(is_bad, -1, ticks))
            held = np.take_along_axis(values, np.maximum(last, 0), 0)
            streams[name] = np.where(last < 0, 0, held).astype(values.dtype)
            noted[f"{name}: {_NOT_FINITE}"] = int(is_bad.reshape(num_ticks, -1).any(1).sum())
    clock, rate = spec.clock.ticks_per_second, spec.environment["ticks_per_second"]
    if abs(clock - rate) > 1e-6:
        noted[f"the environment has {rate:g} ticks a second, its clock here {clock:g}"] = num_ticks
    if ended and num_ticks <= 2:
        noted[_ENDS_AT_ONCE] = 1
    return noted
