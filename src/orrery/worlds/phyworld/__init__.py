"""Two discs in two dimensions, for the protocol of PhyWorld's paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from orrery.world import World
from orrery.worlds.phyworld.scenes import PARTS

__all__ = ["ACTION_AXES", "PARTS", "make_collision", "make_parabola", "make_uniform"]

ACTION_AXES = (("push", "ArrowLeft", "ArrowRight"),)
"""What each number of the action is, and the keys for less and more; see `orrery.worlds.action_axes`."""


def _make(
    kind: str,
    num_worlds: int = 1,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    part: str = "train",
) -> World:
    from orrery.worlds.phyworld.world import PhyWorld

    return PhyWorld(kind, part, num_worlds, streams, image_size)


make_uniform = partial(_make, "uniform")
make_collision = partial(_make, "collision")
make_parabola = partial(_make, "parabola")
