"""A world of balls alone: no finger, no table, no other shape; and a single ball is enough."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orrery.tokenizers.bodies import apart, has_finger, sphere_gap
from orrery.tokenizers.inertia import COAST_WIDTH, coast
from orrery.tokenizers.sight import see, see_width
from orrery.tokenizers.state import StateCodec
from orrery.worlds.phyworld.world import LAYOUT, PhyWorld
from orrery.worlds.rigid_bodies.state import StateLayout


def _tick(kind: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """State `[1, 1, K, D]` and camera `[1, 8]` of a first tick."""
    tick = PhyWorld(kind, image_size=16).reset(seed)
    return torch.from_numpy(tick["state"]), torch.from_numpy(tick["camera.main"][0])


def _codec(num_slots: int) -> StateCodec:
    return StateCodec(num_slots, 1, layout=LAYOUT, frame_seconds=0.1)


def test_a_layout_tells_of_a_finger() -> None:
    assert has_finger(StateLayout())
    assert not has_finger(LAYOUT)


@pytest.mark.parametrize("kind", ["uniform", "collision"])
def test_states_come_back_and_are_seen(kind: str) -> None:
    """First ticks and later ones; the features are as many as the codec says, and finite."""
    state, camera = _tick(kind)
    codec = _codec(state.shape[-2])
    for known in (torch.tensor([False]), torch.tensor([True])):
        anchor = state[:, -1]
        numbers = codec.encode(state, anchor, known)
        torch.testing.assert_close(codec.decode(numbers, anchor, known), state, atol=1e-6, rtol=1e-5)
        level = torch.tensor([0.1])
        features = codec.features(numbers, anchor, known, level, camera, codec.tell(anchor, known))
        assert features.shape == (1, codec.num_slots, codec.feature_width)
        assert features.isfinite().all()
        sight = codec.sight(numbers, anchor, known, level, camera, 8)
        assert sight.shape == (1, 64, codec.sight_width)
        assert sight.isfinite().all()
        look = codec.look(state, camera, 16)
        assert look.shape == (1, 1, 256, codec.look_width)
        assert look.isfinite().all()


def test_all_balls_fall_alike_when_they_coast() -> None:
    state, _ = _tick("collision")
    told = coast(state[:, 0], torch.tensor([0.1]), _codec(2).change_scale, LAYOUT)[:, 0]
    assert told.shape == (1, 2, COAST_WIDTH)
    assert told[0, 0, 3] < 0.0
    assert told[0, 0, 3] == told[0, 1, 3], "neither is a finger, which would not fall"


def test_balls_in_one_place_are_both_moved_apart() -> None:
    state, _ = _tick("collision")
    place = LAYOUT.slice("position")
    state[..., 1, place] = state[..., 0, place] + torch.tensor([0.01, 0.0, 0.0])
    parted = _codec(2).part(state)
    moved = (parted - state)[0, 0, :, place].norm(dim=-1)
    assert (moved > 0.005).all()
    assert float(apart(parted, LAYOUT)[0][0, 0, 0, 1]) == pytest.approx(0.0, abs=1e-6)


def test_two_balls_crowd_and_one_does_not() -> None:
    both, _ = _tick("collision")
    one, _ = _tick("uniform")
    radii = LAYOUT.get(both.numpy(), "size")[0, 0, :, 0]
    places = LAYOUT.get(both.numpy(), "position")[0, 0, :, 0]
    assert float(sphere_gap(both, LAYOUT)[0, 0]) == pytest.approx(abs(places[1] - places[0]) - radii.sum())
    assert sphere_gap(one, LAYOUT).isinf().all()


def test_a_cell_that_could_see_two_sees_the_one_there_is() -> None:
    """As if the second slot were empty."""
    state, camera = _tick("uniform")
    alone, what = state[:, 0], torch.ones(1, 1, 3)
    empty = torch.zeros_like(alone)
    seen = see(alone, what, camera, 8, LAYOUT)
    beside = see(torch.cat([alone, empty], 1), torch.cat([what, 0 * what], 1), camera, 8, LAYOUT)
    assert seen.shape == (1, 64, see_width(3))
    assert torch.equal(seen, beside)
