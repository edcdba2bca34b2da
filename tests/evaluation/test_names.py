"""States in words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from orrery.evaluation.names import colour_of, objects_named
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE


def _state(*bodies: tuple[str, str]) -> np.ndarray:
    state = np.zeros((3, 4, STATE.width), np.float32)
    for slot, (colour, shape) in enumerate(bodies):
        state[:, slot, STATE.slice("present")] = 1.0
        state[:, slot, STATE.slice("colour")] = COLOURS[colour]
        state[:, slot, STATE.slice("shape")] = np.eye(len(STATE.shapes))[STATE.shapes.index(shape)]
    state[:, 3] = 0.0
    state[:, 3, STATE.slice("present")] = 1.0
    state[:, 3, STATE.slice("shape")] = np.eye(len(STATE.shapes))[STATE.shapes.index("finger")]
    return state


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_slightly_off_keeps_its_name(colour: str) -> None:
    body = _state((colour, "ball"))[0, 0]
    STATE.get(body, "colour")[:] += 0.03
    assert colour_of(body) == colour


def test_objects_are_counted_and_the_finger_is_none() -> None:
    found = objects_named(_state(("red", "ball"), ("red", "ball"), ("blue", "box")))
    assert found == Counter({("red", "ball"): 2, ("blue", "box"): 1})
    assert objects_named(_state()) == Counter()
