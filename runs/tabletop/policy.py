"""Who moves the finger while the tabletop is recorded: the scene's own script, or a wandering.

Where a sentence speaks of the finger, the finger does what it says. In most other episodes it wanders, so
that every kind of action is seen; in the rest it hangs where it is parked, as it does in most imagined films.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orrery.streams import Array
from orrery.worlds.tabletop.wandering import wander
from orrery.worlds.tabletop.world import TabletopWorld

WANDERING_SHARE = 0.7


class ScriptOrWander:
    """Made anew for each episode; called as `policy(tick, rng, world)`, see `wander`."""

    def __init__(self) -> None:
        self.wanders: bool | None = None

    def __call__(self, tick: Mapping[str, Array], rng: np.random.Generator, world: TabletopWorld) -> Array:
        if self.wanders is None:
            is_pushed = world.scene()["push"] is not None
            self.wanders = not is_pushed and bool(rng.random() < WANDERING_SHARE)
        return wander(tick, rng, world) if self.wanders else world.scripted_action()[0]
