"""What a wrong picture costs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.build import word_tokenizer
from orrery.training.clips import draw_clips
from orrery.training.latents import LatentSet
from orrery.training.pictures import DecodedCost, picture_weights

MakeLatents = Callable[..., LatentSet]
FRAMES, GRID, CHANNELS = 2, 4, 8


@pytest.fixture(scope="module")
def tokenizer() -> VideoTokenizer:
    torch.manual_seed(0)
    config = VideoTokenizerConfig(
        image_size=32, latent_grid=GRID, latent_channels=CHANNELS, channels=(16, 32), num_blocks=(1, 1)
    )
    return VideoTokenizer(config).eval()


def _tokens(num: int) -> torch.Tensor:
    return torch.randn(num, GRID**2, FRAMES * CHANNELS, generator=torch.Generator().manual_seed(1))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_what_looks_the_same_costs_nothing(tokenizer: VideoTokenizer) -> None:
    cost, clean = DecodedCost(tokenizer, FRAMES, side=2), _tokens(5)
    assert float(cost(clean, clean, torch.ones(5, GRID**2), _generator())) == 0.0
    assert float(cost(clean + 0.5, clean, torch.ones(5, GRID**2), _generator())) > 0.0


def test_whole_frames_cost_what_their_pixels_do(tokenizer: VideoTokenizer) -> None:
    """With squares as large as the picture, the cost is that of the decoded frames, written out."""
    clean, found = _tokens(3), _tokens(3).flip(0)
    cost = DecodedCost(tokenizer, FRAMES, side=GRID)(found, clean, torch.ones(3, GRID**2), _generator())

    def pixels(tokens: torch.Tensor) -> torch.Tensor:
        grid = tokens.reshape(3, GRID, GRID, FRAMES, CHANNELS).permute(0, 3, 4, 1, 2)
        return torch.stack([tokenizer.to_pixels(grid[:, frame]) for frame in range(FRAMES)])

    error = (pixels(found) - pixels(clean)).detach()
    expected = 5 * (torch.sqrt(error.square() + 0.04) - 0.2).mean()
    assert float(cost) == pytest.approx(float(expected), rel=1e-4)


def test_a_square_lies_where_the_weight_is(tokenizer: VideoTokenizer) -> None:
    """Only what is wrong near the one token of weight is seen; the gradient goes there alone, and not into
    the decoder."""
    weights = torch.zeros(6, GRID**2)
    weights[:, 0] = 1.0  # the top left corner
    clean = _tokens(6)
    found = clean.clone().requires_grad_()
    with torch.no_grad():
        found += 0.3
    DecodedCost(tokenizer, FRAMES, side=2)(found, clean, weights, _generator()).backward()
    assert found.grad is not None
    touched = found.grad.abs().sum(-1).reshape(6, GRID, GRID) > 0
    assert touched[:, :2, :2].all()
    assert not touched[:, 2:].any()
    assert not touched[:, :, 2:].any()
    assert all(parameter.grad is None for parameter in tokenizer.parameters())


def test_objects_weigh_more_than_the_empty_scene(make_latents: MakeLatents) -> None:
    """Pictures that are empty but for one token: it weighs 5, the others 1, over their mean of 2."""
    latents = make_latents(num=30)
    latents.arrays["camera.main"][:] = latents.arrays["camera.main"][:1]
    video = np.zeros_like(latents.arrays["video.main"])
    busy = np.arange(30) % 4
    video[np.arange(30), :, busy] = 2.0
    latents.arrays["video.main"] = video
    clips = draw_clips(latents, np.random.default_rng(0), 8, 3, word_tokenizer())
    weights = picture_weights(latents, object_weight=4.0)(clips)
    assert weights.shape == (8, 3, 4)
    assert float(weights.mean()) == pytest.approx(1.0, abs=1e-5)
    marked = clips.streams["video.main"].abs().sum(-1) > 0
    ratio = float(weights[marked].mean() / weights[~marked].mean())
    assert ratio == pytest.approx(5.0, rel=1e-4)
    assert math.isclose(float(weights[~marked].mean()), 0.5, rel_tol=1e-4)
