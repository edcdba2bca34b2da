"""Worlds by name: one small table, so that a command line or a worker process can make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orrery.errors import BadUse, nearest
from orrery.streams import Clock
from orrery.world import World

__all__ = ["WORLDS", "WorldFactory", "world_factory"]


class WorldFactory(Protocol):
    """Makes a world. streams: names to emit, None for all. image_size: pixels on each side.

    One that can run at other rates takes a `clock` as well.
    """

    def __call__(
        self, num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128
    ) -> World: ...


def _dummy(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
    from orrery.worlds.dummy import DummyWorld

    return DummyWorld(num_worlds, size=image_size, streams=streams)


def _tabletop(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
    from orrery.worlds.tabletop import TabletopWorld  # imports MuJoCo, which only this world needs

    return TabletopWorld(num_worlds, streams=streams, image_size=image_size)


def _laboratory(
    num_worlds: int = 1,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    clock: Clock | None = None,
) -> World:
    from orrery.worlds.laboratory import LaboratoryWorld

    return LaboratoryWorld(num_worlds, streams=streams, image_size=image_size, clock=clock)


WORLDS: dict[str, Callable[..., World]] = {
    "dummy": _dummy,
    "tabletop": _tabletop,
    "laboratory": _laboratory,
}
"""Name to factory; each imports its world only when called."""


def world_factory(name: str) -> Callable[..., World]:
    """The factory (see `WorldFactory`) of the world `name`; BadUse with the nearest names if none is."""
    if name in WORLDS:
        return WORLDS[name]
    hint = nearest(name, WORLDS) or list(WORLDS)
    raise BadUse(f"no world is called {name!r}; perhaps {' or '.join(hint)}")
