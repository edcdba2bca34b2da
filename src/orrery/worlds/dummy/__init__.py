"""A world small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence

from orrery.world import World
from orrery.worlds.dummy.world import DummyWorld, fold

__all__ = ["ACTION_AXES", "DummyWorld", "fold", "make_world"]

ACTION_AXES = (("push", "ArrowLeft", "ArrowRight"),)
"""What each number of the action is, and the keys for less and more; see `orrery.worlds.action_axes`."""


def make_world(num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 128) -> World:
    """See `orrery.worlds.WorldFactory`."""
    return DummyWorld(num_worlds, size=image_size, streams=streams)
