"""What inertia makes of a state, against closed forms and against the exact world in flight."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from orrery.tokenizers.inertia import COAST_WIDTH, GRAVITY_M_S2, coast
from orrery.tokenizers.state import StateCodec
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

CODEC = StateCodec(num_slots=4, frames=2)
SECONDS = 2 / 24
PLACE, FALL, TURN = slice(0, 3), 3, slice(4, 7)
OVER, OVER_FALLING, GAP = 7, 8, 9


def _box(height_m: float, half_m: float = 0.04) -> Tensor:
    """A cube in slot 0 and the finger in slot 3, far above it."""
    state = torch.zeros(4, STATE.width)
    state[[0, 3], STATE.slice("present")] = 1.0
    state[[0, 3], STATE.slice("quaternion").start] = 1.0
    state[0, STATE.slice("shape").start + STATE.shapes.index("box")] = 1.0
    state[3, STATE.slice("shape").start + STATE.shapes.index("finger")] = 1.0
    state[0, STATE.slice("size")] = half_m
    state[3, STATE.slice("size")] = torch.tensor([0.016, 0.016, 0.07])
    state[0, STATE.slice("position")] = torch.tensor([0.0, 0.0, height_m])
    state[3, STATE.slice("position")] = torch.tensor([0.0, 0.0, 0.8])
    return state


def _told(state: Tensor, seconds: float = SECONDS) -> Tensor:
    """Of the cube, unsquashed: m, m, rad, m, m, m."""
    told = coast(state, torch.tensor([seconds]), CODEC.change_scale, CODEC.layout)[0, 0]
    assert told.shape == (COAST_WIDTH,)
    scales = [0.008] * 4 + [0.06] * 3 + [0.003] * 2 + [0.01, 0.002]
    return torch.sinh(told) * torch.tensor(scales)


def test_what_lies_still_stays() -> None:
    told = _told(_box(0.04))
    assert told[PLACE].abs().max() < 1e-6
    assert float(told[OVER]) == pytest.approx(0.0, abs=1e-6)
    assert float(told[GAP]) == pytest.approx(0.8 - 0.086 - 0.08, abs=1e-3)


def test_what_flies_falls_and_what_that_makes_of_the_table() -> None:
    """Thrown down from 1 cm over the table it would be in it, by what it falls besides."""
    state = _box(0.05)
    state[0, STATE.slice("linear_velocity")] = torch.tensor([0.3, 0.0, -0.6])
    told = _told(state)
    drop = GRAVITY_M_S2 * SECONDS**2 / 2
    np.testing.assert_allclose(told[PLACE], [0.3 * SECONDS, 0.0, -0.6 * SECONDS], atol=1e-6)
    assert float(told[FALL]) == pytest.approx(-0.6 * SECONDS - drop, abs=1e-6)
    assert float(told[OVER]) == pytest.approx(0.01 - 0.6 * SECONDS, abs=1e-6)
    assert float(told[OVER_FALLING]) == pytest.approx(0.01 - 0.6 * SECONDS - drop, abs=1e-6)


def test_what_turns_stands_on_its_edge() -> None:
    """A cube on the table that turns by an eighth reaches below it by what its diagonal is longer."""
    state = _box(0.04)
    state[0, STATE.slice("angular_velocity")] = torch.tensor([np.pi / 4 / SECONDS, 0.0, 0.0])
    told = _told(state)
    np.testing.assert_allclose(told[TURN], [np.pi / 4, 0.0, 0.0], atol=1e-6)
    assert float(told[OVER]) == pytest.approx(0.04 * (1 - np.sqrt(2)), abs=1e-6)


def test_the_gap_is_that_of_where_both_get() -> None:
    state = _box(0.04)
    state[1] = state[0]
    state[1, STATE.slice("position")] = torch.tensor([0.2, 0.0, 0.04])
    state[0, STATE.slice("linear_velocity")] = torch.tensor([0.6, 0.0, 0.0])
    state[1, STATE.slice("linear_velocity")] = torch.tensor([-0.6, 0.0, 0.0])
    assert float(_told(state)[GAP]) == pytest.approx(0.12 - 1.2 * SECONDS, abs=1e-5)


def test_the_finger_does_not_fall() -> None:
    told = coast(_box(0.04), torch.tensor([SECONDS]), CODEC.change_scale, CODEC.layout)[0, 3]
    assert not told[:7].any()


def test_flight_in_the_exact_world_is_what_inertia_says() -> None:
    """To half a millimetre, which are the steps of its own in time, and a hundredth of a radian."""
    world, checked = TabletopWorld(streams=["state"]), 0
    for seed in range(30):
        ticks = [world.reset(seed=seed)["state"][0]]
        ticks += [world.step()["state"][0] for _ in range(8)]
        for before, after in pairwise(ticks):
            anchor, last = (torch.from_numpy(frames[-1]) for frames in (before, after))
            told = coast(anchor, torch.tensor([SECONDS]), CODEC.change_scale, CODEC.layout)[0]
            true = CODEC.encode(last[None].repeat(2, 1, 1), anchor, torch.tensor(True))[:, CODEC.what_width :]
            flies = (told[:, OVER_FALLING] > np.arcsinh(10.0)) & (told[:, GAP] > np.arcsinh(3.0))
            for slot in flies[:-1].nonzero()[:, 0]:
                way = told[slot, [0, 1, FALL]].sinh() * 0.008
                np.testing.assert_allclose(way, true[slot, :3].sinh() * 0.008, atol=5e-4)
                np.testing.assert_allclose(
                    told[slot, TURN].sinh() * 0.06, true[slot, 3:6].sinh() * 0.06, atol=1e-2
                )
                checked += 1
    assert checked > 20
