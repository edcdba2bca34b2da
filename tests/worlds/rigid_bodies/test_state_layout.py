"""Where each field lies in the state of rigid bodies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from orrery.worlds.rigid_bodies.state import STATE, StateLayout


def test_state_fields_tile_the_last_axis() -> None:
    covered = [i for name in STATE.fields for i in range(*STATE.slice(name).indices(STATE.width))]
    assert covered == list(range(STATE.width))


def test_both_ways_to_write_a_rotation_give_the_same_axes() -> None:
    turned = Rotation.random(20, random_state=0)
    axes = np.swapaxes(turned.as_matrix(), -1, -2)  # the body's own, one in a row
    smooth = StateLayout(rotation="axes")
    with_quaternions, with_axes = np.zeros((20, STATE.width)), np.zeros((20, smooth.width))
    with_quaternions[:, STATE.slice("quaternion")] = turned.as_quat(scalar_first=True)
    with_axes[:, smooth.slice("axes")] = axes[:, :2].reshape(20, 6)
    np.testing.assert_allclose(STATE.body_axes(with_quaternions), axes, atol=1e-12)
    np.testing.assert_allclose(smooth.body_axes(with_axes), axes, atol=1e-12)


def test_state_layout_follows_its_words() -> None:
    layout = StateLayout(shapes=("ball",), materials=("wood", "steel"))
    assert layout.width == STATE.width - len(STATE.shapes) - len(STATE.materials) + 3
    state = np.arange(layout.width)
    assert layout.get(state, "material").tolist() == [layout.width - 2, layout.width - 1]
    with pytest.raises(KeyError, match="colour"):
        layout.slice("color")
