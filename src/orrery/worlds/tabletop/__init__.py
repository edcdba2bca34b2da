"""A table with a tray: things fall, roll, slide and ring, and a finger pushes them."""

from __future__ import annotations

from collections.abc import Sequence

from orrery.streams import Clock
from orrery.world import World

__all__ = ["ACTION_AXES", "make_close", "make_world"]

ACTION_AXES = (
    ("finger right", "ArrowLeft", "ArrowRight"),
    ("finger away", "ArrowDown", "ArrowUp"),
    ("finger up", "KeyS", "KeyW"),
)
"""What each number of the action is, and the keys for less and more; see `orrery.worlds.action_axes`."""


def make_world(
    num_worlds: int = 1,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    frames_per_second: int = 24,
) -> World:
    """See `orrery.worlds.WorldFactory`."""
    from orrery.worlds.tabletop.world import TabletopWorld  # imports MuJoCo, which not every install has

    return TabletopWorld(num_worlds, streams, image_size, clock=Clock(frames_per_second))


def make_close(
    num_worlds: int = 1,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    frames_per_second: int = 24,
) -> World:
    """The tabletop in its close setting; see `orrery.worlds.WorldFactory`."""
    from orrery.worlds.tabletop.setting import CLOSE
    from orrery.worlds.tabletop.world import TabletopWorld

    return TabletopWorld(num_worlds, streams, image_size, CLOSE, Clock(frames_per_second))
