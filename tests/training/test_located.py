"""Located streams: cells of a picture learn from tracks what lies where, and move it where they go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orrery.models.located import LocatedCells
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.models.tokens import Noisy, StreamTokens, WorldModelConfig
from orrery.models.world_model import WorldModel
from orrery.streams import StreamSpec
from orrery.training.encoded import Clip
from orrery.training.train import place_located
from orrery.training.world_loss import LossConfig, world_loss

GRID, CHANNELS = 8, 2
GROUPS, NUMBERS = 2, 6
NUM_STEPS = 150
TRACKS = StreamSpec(
    "tracks.main",
    "vector",
    "observed",
    (1, GROUPS * NUMBERS),
    "float32",
    groups=GROUPS,
    located_in="video.main",
)
"""Of each thing: u, v, width, height, depth, and how bright it is, from -1 to 1."""


def tracks(u: Tensor, v: Tensor, bright: Tensor) -> Tensor:
    """Payload `[..., 1, GROUPS * NUMBERS]` of things `[..., GROUPS]` of one size and depth."""
    size = torch.full_like(u, 0.2)
    return torch.stack([u, v, size, size, 3 + 0 * u, bright], -1).flatten(-2)[..., None, :]


def drawn(payload: Tensor) -> Tensor:
    """The picture of some tracks, `[..., GRID * GRID, CHANNELS]`: each thing fills the cell it is in."""
    u, v, *_, bright = payload[..., 0, :].unflatten(-1, (GROUPS, NUMBERS)).unbind(-1)
    cell = (v * GRID).long() * GRID + (u * GRID).long()
    picture = torch.zeros(*cell.shape[:-1], GRID * GRID).scatter_add(-1, cell, 4 * bright)
    return picture[..., None].expand(*picture.shape, CHANNELS)


def fitted(generator: torch.Generator) -> VectorTokenizer:
    """A tokenizer of tracks in the right and lower part of the picture, whose centre is not the middle's."""
    u, v, bright = torch.rand(3, 400, GROUPS, generator=generator)
    tokenizer = VectorTokenizer(TRACKS)
    tokenizer.fit([tracks(0.3 + 0.6 * u, 0.5 + 0.4 * v, 2 * bright - 1)])
    return tokenizer


def small_model(tokenizer: VectorTokenizer) -> WorldModel:
    streams = (
        StreamTokens("video.main", GRID * GRID, CHANNELS, grid=(GRID, GRID)),
        StreamTokens(TRACKS.name, GROUPS, tokenizer.width, located_in="video.main", numbers=NUMBERS),
    )
    order = ((TRACKS.name,), ("video.main",))
    config = WorldModelConfig(
        streams, order, 0.1, few_width=32, few_layers=1, head_layers=1, grid_width=16, grid_layers=1,
        grid_head_width=32, grid_head_blocks=1,
    )  # fmt: skip
    return WorldModel(config)


def test_place_located_turns_latents_into_places_again() -> None:
    """What the cells are told depends on where things are, not on the statistics by which it was written."""
    tokenizer = fitted(torch.Generator().manual_seed(0))
    model = small_model(tokenizer)
    module = model.located["tracks/main"]
    assert isinstance(module, LocatedCells)
    payload = tracks(torch.rand(1, 3, GROUPS), torch.rand(1, 3, GROUPS), torch.zeros(1, 3, GROUPS))
    few, level = torch.randn(1, 3, GROUPS, 32), torch.zeros(1, 3)
    as_they_are = torch.zeros(1, 3, GROUPS, 2, NUMBERS)
    as_they_are[..., 0, :] = payload[..., 0, :].unflatten(-1, (GROUPS, NUMBERS))
    with torch.no_grad():
        expected = module(as_they_are.flatten(3), level, few, (GRID, GRID))  # centre 0 and scale 1, as made
        latents, _ = tokenizer.encode(payload)
        before = module(latents, level, few, (GRID, GRID))
        place_located(model, {TRACKS.name: tokenizer})
        after = module(latents, level, few, (GRID, GRID))
    assert not torch.allclose(before, expected, atol=1e-2), "the statistics are none, so this shows nothing"
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("down", "right"), [(0, 3), (2, 0), (-1, -2)])
def test_what_cells_are_told_moves_with_the_track(down: int, right: int) -> None:
    """By as many cells, to the last bit nearly, whatever the weights; and what is not known tells nothing."""
    torch.manual_seed(0)
    module = LocatedCells(1, NUMBERS, 32, 16)
    few, level = torch.randn(1, 1, GROUPS, 32), torch.zeros(1, 1)

    def told(v: float, u: float, level: Tensor = level) -> Tensor:
        """`[GRID, GRID, 16]`, with one thing at (u, v) and another a quarter picture beside it."""
        latents = torch.zeros(1, 1, GROUPS, 2, NUMBERS)
        payload = tracks(torch.tensor([u, u + 0.25]), torch.tensor([v, v]), torch.zeros(GROUPS))
        latents[0, 0, :, 0] = payload[0].unflatten(-1, (GROUPS, NUMBERS))
        with torch.no_grad():
            return module(latents.flatten(3), level, few, (GRID, GRID))[0, 0]

    here, there = told(0.4, 0.3), told(0.4 + down / GRID, 0.3 + right / GRID)
    rows = [r for r in range(GRID) if 0 <= r + down < GRID]
    columns = [c for c in range(GRID) if 0 <= c + right < GRID]
    for r in rows:
        for c in columns:
            torch.testing.assert_close(there[r + down, c + right], here[r, c], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(there, here, atol=1e-2)
    assert not told(0.4, 0.3, torch.ones(1, 1)).any()


@pytest.mark.slow
def test_a_model_draws_things_where_the_tracks_are() -> None:
    """After some seconds of training: in the right cell, as bright as it is, and moved with its track."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    tokenizer = fitted(generator)
    model = small_model(tokenizer)
    place_located(model, {TRACKS.name: tokenizer})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, NUM_STEPS)
    batch, valid = 32, torch.tensor([[False, True]]).expand(32, 2)  # first ticks of an episode
    for _ in range(NUM_STEPS):
        u, v, bright = torch.rand(3, batch, 2, GROUPS, generator=generator)
        payload = tracks(u, v, (bright > 0.5) * 2.0 - 1)
        latents = {TRACKS.name: tokenizer.encode(payload)[0], "video.main": drawn(payload)}
        clip = Clip(latents, valid, torch.zeros(1), torch.zeros(batch, dtype=torch.bool))
        loss = torch.stack([*world_loss(model, clip, LossConfig(), generator, own=False).values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    u, v = torch.rand(2, 200, 1, GROUPS, generator=generator)
    bright = torch.tensor([1.0, -1.0]).expand(200, 1, GROUPS)
    payload = tracks(u, v, bright)
    told, untold = predicted(model, tokenizer, payload, 0.0), predicted(model, tokenizer, payload, 1.0)
    nothing = drawn(payload).square().mean()
    assert (told - drawn(payload)).square().mean() < 0.5 * nothing
    assert (untold - drawn(payload)).square().mean() > 0.9 * nothing
    moved = tracks((u + 0.5) % 1, v, bright)
    again = (
        predicted(model, tokenizer, moved, 0.0).unflatten(2, (GRID, GRID)).roll(GRID // 2, 3).flatten(2, 3)
    )
    assert (again - drawn(payload)).square().mean() < 0.5 * nothing


@torch.no_grad()
def predicted(model: WorldModel, tokenizer: VectorTokenizer, payload: Tensor, level: float) -> Tensor:
    """The picture of a first tick, `[B, 1, GRID * GRID, CHANNELS]`, whose tracks are known at a level."""
    latents, batch = tokenizer.encode(payload)[0], len(payload)
    absent = torch.ones(batch, 1)
    nothing = {
        TRACKS.name: Noisy(torch.zeros_like(latents), absent),
        "video.main": Noisy(torch.zeros(batch, 1, GRID * GRID, CHANNELS), absent),
    }
    hidden, _ = model.trunk(nothing, {}, torch.zeros(1))
    now = {TRACKS.name: Noisy(latents, torch.full((batch, 1), level))}
    return model.head(hidden, now, nothing, ["video.main"])["video.main"]
