"""What a state says there is, in the words of the table: the colour and the shape of each object."""

from __future__ import annotations

from collections import Counter

import numpy as np

from orrery.evaluation.dynamics import object_slots, shape_of
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE

__all__ = ["colour_of", "objects_named"]


def colour_of(body: Array) -> str:
    """The name of the colour that is nearest to a body's, `[D]`, in sRGB."""
    colour = STATE.get(body, "colour")
    return min(COLOURS, key=lambda name: float(np.linalg.norm(colour - np.array(COLOURS[name]))))


def objects_named(state: Array) -> Counter[tuple[str, str]]:
    """How many of each (colour, shape) a state stream `[frames, K, D]` holds, by its first frame."""
    return Counter((colour_of(state[0, slot]), shape_of(state, slot)) for slot in object_slots(state))
