"""Where episodes come from: one small table from what is asked for to what makes them.

A source is a plain description that other processes and machines can be sent; a recorder is what it opens
there. Episode i follows from the source and i alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from orrery.errors import BadUse
from orrery.streams import Episode, WorldSpec
from orrery.world import World

__all__ = ["SOURCES", "Closable", "Planned", "Recorder", "Request", "Source", "source_of"]

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What a collection is asked for, whatever its source.

    seconds: longest episode. streams: names to record, None for all. image_size: pixels on each side of the
    picture. policy: `random`, `module:function`, or None for what the source does by itself.
    sample_rate: of the sound, hertz; None for the source's own.
    """

    seed: int = 0
    seconds: float = 5.0
    streams: tuple[str, ...] | None = None
    image_size: int = 128
    policy: str | None = None
    sample_rate: int | None = None


class Recorder(Protocol):
    """Makes episodes, in one process."""

    def episode(self, number: int) -> Episode:
        """Episode `number`; whatever it raises costs this episode alone."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A recorder that holds more than memory, such as a game in a process of its own."""

    def close(self) -> None:
        """Let go of it; nothing is recorded after that."""
        ...


class Source(Protocol):
    """Where episodes come from; picklable."""

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; a collection goes on only with the same."""
        ...

    def spec(self) -> WorldSpec:
        """What will be recorded. BadUse for a stream that was asked for and is not there."""
        ...

    @property
    def num_episodes(self) -> int | None:
        """How many there are; None for as many as one likes."""
        ...

    def open(self) -> Recorder: ...


@runtime_checkable
class Planned(Protocol):
    """A source that first looks through what there is, and settles which stretch of it each episode is."""

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """The plan, as plain values. cache: name to a file that keeps what a stopped look-through found."""
        ...

    def with_plan(self, plan: Mapping[str, Any]) -> Source:
        """The same source, which now knows its episodes."""
        ...


def _world(name: str, request: Request) -> Source:
    from orrery.data.world_source import WorldSource

    return WorldSource(name, request)


def _phyworld(rest: str, request: Request) -> Source:
    return _world(f"phyworld:{rest}", request)


def _gym(name: str, request: Request) -> Source:
    from orrery.data.gym_source import GymSource

    return GymSource(name, request)


def _clips(folder: str, request: Request) -> Source:
    from orrery.data.clips import ClipsSource

    return ClipsSource(folder, request)


def _lerobot(path: str, request: Request) -> Source:
    from orrery.data.lerobot_source import LeRobotSource

    return LeRobotSource(path, request)


SOURCES: dict[str, Callable[[str, Request], Source]] = {
    "": _world,
    "phyworld": _phyworld,
    "gym": _gym,
    "clips": _clips,
    "lerobot": _lerobot,
}
"""Prefix to what makes the source of `PREFIX:REST` from REST; without a prefix it is the name of a world."""


def source_of(name: str | Callable[..., World], request: Request) -> Source:
    """The source that `name` stands for: `tabletop`, `gym:ENV_ID`, ...; or an importable factory of worlds.

    BadUse for a prefix or a world that is not known.
    """
    if request.sample_rate is not None and isinstance(name, str) and ":" in name:
        raise BadUse(f"{name} keeps its own sample rate; leave --sample-rate out")
    if not isinstance(name, str):
        from orrery.data.world_source import WorldSource

        return WorldSource(name, request)
    prefix, colon, rest = name.partition(":")
    if not colon:
        return SOURCES[""](name, request)
    if prefix not in SOURCES or not rest:
        known = ", ".join(f"{prefix}:…" for prefix in SOURCES if prefix)
        raise BadUse(f"{name!r} is no source of episodes; there are the worlds (orrery worlds), and {known}")
    return SOURCES[prefix](rest, request)
