"""What a wrong picture costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from orrery.errors import BadUse
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.build import word_tokenizer
from orrery.training.clips import draw_clips
from orrery.training.latents import LatentSet
from orrery.training.pictures import IMAGINED_WEIGHT, DecodedCost, picture_weights

MakeLatents = Callable[..., LatentSet]
GRID, CHANNELS, FRAMES, NUM = 4, 8, 2, 6
EVEN = torch.ones(NUM, GRID**2)


@pytest.fixture
def tokenizer() -> VideoTokenizer:
    torch.manual_seed(0)
    config = VideoTokenizerConfig(32, GRID, CHANNELS, channels=(16, 32), num_blocks=(1, 1))
    return VideoTokenizer(config).eval()


@pytest.fixture
def pictures(make_latents: MakeLatents) -> LatentSet:
    return make_latents()


def _tokens(seed: int = 1) -> Tensor:
    return torch.randn(NUM, GRID**2, FRAMES * CHANNELS, generator=torch.Generator().manual_seed(seed))


def _decoded(tokenizer: VideoTokenizer, tokens: Tensor) -> Tensor:
    """What the decoder draws of tokens, uint8 `[N, frames, H, W, 3]`."""
    grids = tokens.unflatten(1, (GRID, GRID)).unflatten(3, (FRAMES, CHANNELS)).permute(0, 3, 1, 2, 4)
    return tokenizer.decode(grids)


def _costs(
    cost: DecodedCost, estimate: Tensor, clean: Tensor, pixels: Tensor, weights: Tensor = EVEN
) -> dict[str, Tensor]:
    camera = cost.known[:1].expand(NUM, 8)
    return cost(estimate, clean, pixels, camera, weights, torch.Generator().manual_seed(2))


def test_what_looks_right_costs_nothing(tokenizer: VideoTokenizer, pictures: LatentSet) -> None:
    """Latents whose decoded whole frames are the pictures, but for the rounding to 8 bits."""
    cost = DecodedCost(tokenizer, [pictures])
    cost.whole = True
    right, wrong = 0.2 * _tokens(), 0.2 * _tokens(3)  # within the range of pixels
    pixels = _decoded(tokenizer, right)
    costs = _costs(cost, right, wrong, pixels)
    assert float(costs["imagined"].detach()) < 1e-3
    assert float(costs["encoded"].detach()) > 1e-3
    costs = _costs(cost, wrong, right, pixels)
    assert float(costs["imagined"].detach()) > 1e-3
    assert float(costs["encoded"].detach()) < 1e-3


def test_whole_frames_cost_what_their_pixels_do(tokenizer: VideoTokenizer, pictures: LatentSet) -> None:
    """With squares as large as the picture and even weights, the cost is that of all pixels, written out."""
    found, pixels = _tokens(), torch.randint(256, (NUM, FRAMES, 32, 32, 3), dtype=torch.uint8)
    costs = _costs(DecodedCost(tokenizer, [pictures], object_weight=0.0, side=GRID), found, found, pixels)
    grids = found.unflatten(1, (GRID, GRID)).unflatten(3, (FRAMES, CHANNELS)).permute(0, 3, 4, 1, 2)
    drawn = tokenizer.to_pixels(grids.flatten(0, 1)).permute(0, 2, 3, 1)
    error = drawn - (pixels.flatten(0, 1) / 127.5 - 1.0)
    expected = IMAGINED_WEIGHT * 5 * float((torch.sqrt(error.square() + 0.04) - 0.2).mean().detach())
    assert float(costs["imagined"].detach()) == pytest.approx(expected, rel=1e-4)


def test_a_square_lies_where_the_weight_is(tokenizer: VideoTokenizer, pictures: LatentSet) -> None:
    """Of every frame, the gradient of the tokens about the one of weight, and of no others."""
    weights = torch.zeros(NUM, GRID**2)
    weights[:, 0] = 1.0  # the top left corner
    found = _tokens().requires_grad_()
    pixels = torch.zeros(NUM, FRAMES, 32, 32, 3, dtype=torch.uint8)
    cost = DecodedCost(tokenizer, [pictures], side=2)
    _costs(cost, found, _tokens(), pixels, weights)["imagined"].backward()
    assert found.grad is not None
    touched = (found.grad != 0).unflatten(1, (GRID, GRID)).all(-1)
    assert touched[:, :2, :2].all()
    assert not touched[:, 2:].any()
    assert not touched[:, :, 2:].any()


def test_squares_are_cut_where_their_cells_are(tokenizer: VideoTokenizer, pictures: LatentSet) -> None:
    """Of a picture that is bright in its bottom right quarter."""
    cost = DecodedCost(tokenizer, [pictures], side=2)
    frames = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    frames[:, 16:, 16:] = 255
    for corner, bright in (((2, 2), 1.0), ((0, 2), -1.0), ((0, 0), -1.0)):
        square, _ = cost._cut(frames, torch.zeros(1, dtype=torch.long), torch.tensor([corner]), side=2)
        assert square.shape == (1, 3, 16, 16)
        assert (square == bright).all(), corner


def test_what_the_decoder_is_told_is_cut_as_its_latents_are(pictures: LatentSet) -> None:
    """A square costs what it does where only it is told, and the gradient lies in its own cells alone; what
    is encoded is drawn without."""
    torch.manual_seed(0)
    config = VideoTokenizerConfig(
        32, GRID, CHANNELS, channels=(16, 32), num_blocks=(1, 1), sight_grid=2 * GRID, sight_width=3
    )
    tokenizer = VideoTokenizer(config).eval()
    assert tokenizer.decoder.look is not None
    torch.nn.init.normal_(tokenizer.decoder.look[-1].weight)
    weights = torch.zeros(NUM, GRID**2)
    weights[:, -1] = 1.0  # the bottom right corner
    sight = torch.randn(NUM, FRAMES, 4 * GRID**2, 3).requires_grad_()
    pixels = torch.zeros(NUM, FRAMES, 32, 32, 3, dtype=torch.uint8)
    cost = DecodedCost(tokenizer, [pictures], side=2)
    camera = cost.known[:1].expand(NUM, 8)
    costs = cost(_tokens(), _tokens(), pixels, camera, weights, torch.Generator().manual_seed(2), sight)
    costs["imagined"].backward()
    assert sight.grad is not None
    touched = (sight.grad != 0).any(-1).unflatten(2, (2 * GRID, 2 * GRID))
    assert touched[..., GRID:, GRID:].all()
    assert not touched[..., :GRID, :].any()
    assert not touched[..., :GRID].any()
    untold = cost(_tokens(), _tokens(), pixels, camera, weights, torch.Generator().manual_seed(2))
    assert torch.equal(untold["encoded"], costs["encoded"])
    assert not torch.equal(untold["imagined"], costs["imagined"])


def test_several_squares_of_a_frame_cost_their_mean(
    tokenizer: VideoTokenizer, pictures: LatentSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many are decoded as asked for; of pictures that are everywhere alike, they cost no more than one."""
    found, pixels = torch.zeros(NUM, GRID**2, FRAMES * CHANNELS), torch.zeros(NUM, FRAMES, 32, 32, 3)
    counts, draw = [], tokenizer.to_pixels
    monkeypatch.setattr(tokenizer, "to_pixels", lambda x, told=None: counts.append(len(x)) or draw(x, told))
    tokenizer.requires_grad_(False)  # so that nothing encoded is drawn
    costs = [DecodedCost(tokenizer, [pictures], 0.0, 2, squares) for squares in (1, 3)]
    one, many = (float(_costs(cost, found, found, pixels.byte())["imagined"]) for cost in costs)
    assert counts == [NUM * FRAMES, 3 * NUM * FRAMES]
    assert many == pytest.approx(one, rel=1e-4)


def test_a_decoder_that_stands_still_takes_no_gradient(
    tokenizer: VideoTokenizer, pictures: LatentSet
) -> None:
    cost = DecodedCost(tokenizer.requires_grad_(False), [pictures])
    found = _tokens().requires_grad_()
    costs = _costs(cost, found, _tokens(), torch.zeros(NUM, FRAMES, 32, 32, 3, dtype=torch.uint8))
    assert set(costs) == {"imagined"}
    costs["imagined"].backward()
    assert found.grad is not None
    assert found.grad.any()
    assert all(parameter.grad is None for parameter in tokenizer.parameters())


def test_pictures_need_their_pixels(tokenizer: VideoTokenizer, pictures: LatentSet) -> None:
    with pytest.raises(BadUse, match="without their pixels"):
        DecodedCost(tokenizer, [dataclasses.replace(pictures, pixels=None)])


def test_a_camera_of_several_sets_is_known_once(tokenizer: VideoTokenizer, make_latents: MakeLatents) -> None:
    """With the empty scene of the first set that has it: here every set's pictures are of one brightness."""
    sets = []
    for brightness, shift in ((50, 0.0), (100, 0.0), (150, 1.0)):
        latents = make_latents()
        latents.arrays["camera.main"][:] = latents.arrays["camera.main"][:1] + np.float32(shift)
        assert latents.pixels is not None
        latents.pixels[:] = brightness
        sets.append(latents)
    cost = DecodedCost(tokenizer, sets)
    assert len(cost.known) == 2
    assert sorted(int(scene.mean()) for scene in cost.empty) == [50, 150]


def test_objects_weigh_more_than_the_empty_scene(make_latents: MakeLatents) -> None:
    """Pictures that are empty but for one token: it weighs 5, the others 1, over their mean of 2."""
    latents = make_latents(num=30)
    latents.arrays["camera.main"][:] = latents.arrays["camera.main"][:1]
    video = np.zeros_like(latents.arrays["video.main"])
    busy = np.arange(30) % 4
    video[np.arange(30), :, busy] = 2.0
    latents.arrays["video.main"] = video
    clips = draw_clips(latents, np.random.default_rng(0), 8, 3, word_tokenizer())
    weights = picture_weights([latents], object_weight=4.0)(clips)
    assert weights.shape == (8, 3, 4)
    assert float(weights.mean()) == pytest.approx(1.0, abs=1e-5)
    marked = clips.streams["video.main"].abs().sum(-1) > 0
    ratio = float(weights[marked].mean() / weights[~marked].mean())
    assert ratio == pytest.approx(5.0, rel=1e-4)
    assert math.isclose(float(weights[~marked].mean()), 0.5, rel_tol=1e-4)
