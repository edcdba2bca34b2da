"""Worlds by name: one small table, so that a command line or a worker process can make one.

Each world is a folder of its own here. One whose folder is not there is not in the table.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from orrery.errors import BadUse, nearest
from orrery.world import World

__all__ = ["WORLDS", "WorldFactory", "action_axes", "world_factory"]


class WorldFactory(Protocol):
    """Makes a world. streams: names to emit, None for all. image_size: pixels on each side.

    One that can run at other rates takes a `clock` as well; one whose pictures can come at other rates takes
    `frames_per_second`.
    """

    def __call__(
        self, num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128
    ) -> World: ...


_FOLDERS = {folder.name for folder in pkgutil.iter_modules(__path__)}

WORLDS: dict[str, str] = {
    name: f"{__name__}.{folder}:{factory}"
    for name, folder, factory in (
        ("dummy", "dummy", "make_world"),
        ("tabletop", "tabletop", "make_world"),
        ("tabletop:close", "tabletop", "make_close"),
        ("laboratory", "laboratory", "make_world"),
        ("phyworld:uniform", "phyworld", "make_uniform"),
        ("phyworld:collision", "phyworld", "make_collision"),
        ("phyworld:parabola", "phyworld", "make_parabola"),
    )
    if folder in _FOLDERS
}
"""Name to where its factory is, `module:function`; each imports its world only when called."""


def world_factory(name: str) -> Callable[..., World]:
    """The factory (see `WorldFactory`) of the world `name`; BadUse with the nearest names if none is.

    `NAME:PART` is a part of a world that has parts: `phyworld:uniform:held-out`.
    """
    if name in WORLDS:
        return _factory_and_parts(name)[0]
    base, _, part = name.rpartition(":")
    factory, parts = _factory_and_parts(base) if base in WORLDS else (None, ())
    if factory is None or not parts:
        hint = nearest(name, WORLDS) or list(WORLDS)
        raise BadUse(f"no world is called {name!r}; perhaps {' or '.join(hint)}")
    if part not in parts:
        raise BadUse(f"no part of {base} is called {part!r}; there are {', '.join(parts)}")
    return partial(factory, part=part)


def action_axes(name: str) -> Sequence[tuple[str, str, str]]:
    """Label, key for less and key for more of each number of a world's action, as its folder says in
    `ACTION_AXES`. name: begins with the folder's. Nothing where the folder says nothing, or none is that."""
    folder = next((folder for folder in _FOLDERS if name.startswith(folder)), None)
    return () if folder is None else getattr(import_module(f"{__name__}.{folder}"), "ACTION_AXES", ())


def _factory_and_parts(name: str) -> tuple[Callable[..., World], Sequence[str]]:
    """The factory of a world of the table, and the names of the world's parts, if it has any."""
    module_name, _, attribute = WORLDS[name].partition(":")
    module: Any = import_module(module_name)
    return getattr(module, attribute), getattr(module, "PARTS", ())
