"""Sources by name: one small table from what is asked for to what makes the episodes."""

from __future__ import annotations

import math
from collections.abc import Callable

from orrery.data.record.films import ClipsSource
from orrery.data.record.gym import GymSource
from orrery.data.record.hdf5 import hdf5_source, minari_source
from orrery.data.record.lerobot import lerobot_source
from orrery.data.record.source import Request, Source
from orrery.data.record.world import WorldSource
from orrery.errors import BadUse
from orrery.world import World
from orrery.worlds import WORLDS

__all__ = ["SOURCES", "longest_of", "source_of"]


SOURCES: dict[str, Callable[[str, Request], Source]] = {
    "gym": GymSource,
    "clips": ClipsSource,
    "lerobot": lerobot_source,
    "hdf5": hdf5_source,
    "minari": minari_source,
}
"""Prefix to what makes the source of `PREFIX:REST` from REST; any other name is that of a world."""


RECORDINGS = ("lerobot", "hdf5", "minari")
"""Prefixes of sources whose episodes are recorded whole if nothing else is asked for."""


def longest_of(name: str | Callable[..., World]) -> float:
    """Seconds of the longest episode of a source where nobody says."""
    return math.inf if isinstance(name, str) and name.partition(":")[0] in RECORDINGS else 5.0


def source_of(name: str | Callable[..., World], request: Request) -> Source:
    """The source that `name` stands for: `tabletop`, `gym:ENV_ID`, ...; or an importable factory of worlds.

    BadUse for a prefix or a world that is not known.
    """
    if request.sample_rate is not None and isinstance(name, str) and ":" in name:
        raise BadUse(f"{name} keeps its own sample rate; leave --sample-rate out")
    if request.min_seconds is not None and not (isinstance(name, str) and name.startswith("clips:")):
        raise BadUse("only films have a shortest clip; leave --min-seconds out")
    if not isinstance(name, str):
        return WorldSource(name, request)
    prefix, colon, rest = name.partition(":")
    is_world = not colon or any(world.startswith(f"{prefix}:") for world in WORLDS)
    if is_world:
        return WorldSource(name, request)
    if prefix not in SOURCES or not rest:
        known = ", ".join(f"{prefix}:…" for prefix in SOURCES)
        raise BadUse(f"{name!r} is no source of episodes; there are the worlds (orrery worlds), and {known}")
    return SOURCES[prefix](rest, request)
