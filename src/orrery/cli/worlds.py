"""`orrery worlds`: what can be reset and stepped here."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orrery.cli.console import needs
from orrery.errors import UserError
from orrery.registry import SHIPPED, resolve_model

__all__ = ["worlds"]


def worlds() -> int:
    """List the exact worlds, and the models that imagine one."""
    from orrery.worlds import WORLDS

    table = Table("world", "kind", "what it is", "streams")
    for name in WORLDS:
        table.add_row(name, "exact", *map(Text, _exact(name)))
    for name, what in SHIPPED.items():
        table.add_row(name, "imagined", *map(Text, _imagined(name, what)))
    Console().print(table)
    return 0


def _exact(name: str) -> tuple[str, str]:
    """What the module of an exact world says it is, and its streams."""
    from orrery.worlds import world_factory

    try:
        with needs("sim", "this world"):
            world = world_factory(name)()
    except UserError as error:
        return str(error), ""
    about = sys.modules[type(world).__module__].__doc__ or ""
    return about.splitlines()[0].rstrip("."), ", ".join(world.spec.streams)


def _imagined(name: str, what: str) -> tuple[str, str]:
    from orrery.checkpoint import load_checkpoint

    try:
        config = load_checkpoint(resolve_model(name)).config
    except UserError as error:
        return f"{what} ({error})", ""
    streams = config.get("spec", {}).get("streams", [])
    return what, ", ".join(stream["name"] for stream in streams)
