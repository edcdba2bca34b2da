"""Where each field lies in the state of rigid bodies."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.worlds.rigid_bodies.state import STATE, StateLayout


def test_state_fields_tile_the_last_axis() -> None:
    covered = [i for name in STATE.fields for i in range(*STATE.slice(name).indices(STATE.width))]
    assert covered == list(range(STATE.width))


def test_state_layout_follows_its_words() -> None:
    layout = StateLayout(shapes=("ball",), materials=("wood", "steel"))
    assert layout.width == STATE.width - len(STATE.shapes) - len(STATE.materials) + 3
    state = np.arange(layout.width)
    assert layout.get(state, "material").tolist() == [layout.width - 2, layout.width - 1]
    with pytest.raises(KeyError, match="colour"):
        layout.slice("color")
