"""What a state that is read off pictures is told of them, around where an object is thought to be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.glance import Glances
from orrery.tokenizers.perspective import project
from orrery.tokenizers.state import StateCodec
from orrery.worlds.phyworld import LAYOUT, PhyWorld

SIDE, REACH = 8, 1
CELLS = torch.arange(1.0, SIDE * SIDE + 1)[None, :, None]
"""Latents of one number a cell: which it is, from the top left."""


def _seen(places: list[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    """`[K, 3, 3]` cells and `[K, 2]` offsets of balls at `places`, cells right and down of the corner."""
    tick = PhyWorld("collision", image_size=16).reset(0)
    state, camera = torch.from_numpy(tick["state"])[0], torch.from_numpy(tick["camera.main"][0])
    place, size = LAYOUT.slice("position"), LAYOUT.slice("size")
    for slot, (right, down) in enumerate(places):
        wanted = torch.tensor([2 * right / SIDE - 1, 1 - 2 * down / SIDE])
        for _ in range(3):  # Newton: the picture's axes are the state's x and z
            uv, apparent, _ = project(state[..., place], state[..., size], camera)
            metres = state[0, slot, size][0] / apparent[0, slot, 0]
            step = (wanted - uv[0, slot]) * metres
            state[0, slot, place] += torch.stack([step[0], torch.zeros(()), step[1]])
    told = Glances(REACH, 1).at(CELLS, state, camera, LAYOUT)[0]
    return told[:, :9].reshape(-1, 3, 3), told[:, 9:]


def test_the_cells_around_it_and_where_it_lies_in_the_middle_one() -> None:
    cells, offsets = _seen([(3.5, 2.5), (5.9, 6.2)])
    expected = torch.tensor([[11.0, 12, 13], [19, 20, 21], [27, 28, 29]])
    torch.testing.assert_close(cells[0], expected)
    torch.testing.assert_close(cells[1], expected + 4 * SIDE + 2)
    torch.testing.assert_close(offsets, torch.tensor([[0.0, 0.0], [0.4, -0.3]]), atol=1e-3, rtol=0)


def test_outside_of_the_picture_is_nothing() -> None:
    cells, _ = _seen([(0.5, 0.5), (7.5, -3.5)])
    torch.testing.assert_close(cells[0], torch.tensor([[0.0, 0, 0], [0, 1, 2], [0, 9, 10]]))
    assert not cells[1].any()


def test_an_estimate_is_told_of_the_pictures_it_is_read_off_and_of_no_others() -> None:
    tick = PhyWorld("collision", image_size=16).reset(0)
    state, camera = torch.from_numpy(tick["state"]), torch.from_numpy(tick["camera.main"][0])
    codec = StateCodec(2, 1, layout=LAYOUT, frame_seconds=0.1)
    codecs = Codecs(codec, {}, Glances(REACH, 1))
    anchor, known, level = state[:, -1], torch.tensor([True]), torch.tensor([0.3])
    seen = (codec.encode(state, anchor, known), anchor, known, level, camera, codec.tell(anchor, known))
    looking, blind = codecs.state_features(*seen, CELLS), codecs.state_features(*seen)
    assert looking.shape == blind.shape == (1, 2, codecs.state_width)
    own = codec.feature_width
    assert torch.equal(looking[..., :own], blind[..., :own])
    assert not blind[..., own:].any()
    assert torch.equal(looking[0, :, own:], Glances(REACH, 1).at(CELLS, state[:, 0], camera, LAYOUT)[0])
    without = replace(codecs, glances=None)
    assert torch.equal(without.state_features(*seen, CELLS), blind[..., :own])


@pytest.mark.parametrize("glances", [None, Glances(2, 16)])
def test_codecs_come_back_from_their_values(glances: Glances | None) -> None:
    codecs = Codecs(StateCodec(2, 1, layout=LAYOUT), {}, glances)
    assert Codecs.from_json(codecs.to_json()) == codecs
