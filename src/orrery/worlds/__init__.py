"""Worlds by name: one small table, so that a command line or a worker process can make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orrery.errors import BadUse, nearest
from orrery.streams import Clock
from orrery.world import World
from orrery.worlds.phyworld_scenes import KINDS, PARTS

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


def _phyworld(kind: str, part: str = "train") -> Callable[..., World]:
    def make(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
        from orrery.worlds.phyworld import PhyWorld

        return PhyWorld(kind, part, num_worlds, streams, image_size)

    return make


WORLDS: dict[str, Callable[..., World]] = {
    "dummy": _dummy,
    "tabletop": _tabletop,
    "laboratory": _laboratory,
    **{f"phyworld:{kind}": _phyworld(kind) for kind in KINDS},
}
"""Name to factory; each imports its world only when called."""


def world_factory(name: str) -> Callable[..., World]:
    """The factory (see `WorldFactory`) of the world `name`; BadUse with the nearest names if none is.

    `phyworld:KIND:PART` is a part of PhyWorld: `train` (also without a part), `held-out` or `outside`.
    """
    if name in WORLDS:
        return WORLDS[name]
    family, _, rest = name.partition(":")
    kind, _, part = rest.partition(":")
    if family == "phyworld" and kind in KINDS:
        if part not in PARTS:
            raise BadUse(f"no part of phyworld:{kind} is called {part!r}; there are {', '.join(PARTS)}")
        return _phyworld(kind, part)
    hint = nearest(name, WORLDS) or list(WORLDS)
    raise BadUse(f"no world is called {name!r}; perhaps {' or '.join(hint)}")
