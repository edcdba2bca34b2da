"""The video tokenizer: contracts and cost."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from orrery.errors import BadUse
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig

SMALL = VideoTokenizerConfig(64, 4, 16, (16, 32, 64), (1, 1, 1))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def random_frames(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (*shape, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (VideoTokenizerConfig(), (128, 128)),
        (VideoTokenizerConfig(), (64, 96)),
        (VideoTokenizerConfig(256, 16), (32, 32)),
        (VideoTokenizerConfig(256, 8, 32, (48, 96, 192, 192), (1, 1, 1, 1)), (64, 64)),
    ],
)
def test_shapes_and_types(config: VideoTokenizerConfig, size: tuple[int, int]) -> None:
    tokenizer = VideoTokenizer(config)
    latents = tokenizer.encode(random_frames(2, 3, *size))
    step = config.downsampling
    assert latents.shape == (2, 3, size[0] // step, size[1] // step, config.latent_channels)
    assert latents.dtype == torch.float32
    frames = tokenizer.decode(latents)
    assert frames.shape == (2, 3, *size, 3)
    assert frames.dtype == torch.uint8


TOLD = dataclasses.replace(SMALL, sight_grid=8, sight_width=5, sight_hidden=6)


def test_a_decoder_that_has_not_learned_what_it_is_told_draws_the_same() -> None:
    """It goes on from one that was never told anything."""
    deaf, told = VideoTokenizer(SMALL), VideoTokenizer(TOLD)
    missing = told.load_state_dict(deaf.state_dict(), strict=False).missing_keys
    assert all(name.startswith("decoder.look.") for name in missing)
    latents, sight = torch.randn(2, 3, 4, 4, 16), torch.randn(2, 3, 64, 5)
    assert torch.equal(told.decode(latents, sight), deaf.decode(latents))
    assert torch.equal(told.decode(latents), deaf.decode(latents))


def test_what_a_cell_is_told_is_drawn_there() -> None:
    """Something in one cell changes the picture about it, and no other; cells come in rows from the top."""
    torch.manual_seed(0)
    tokenizer = VideoTokenizer(TOLD)
    assert tokenizer.sight_cells == 2
    for parameter in tokenizer.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    latents, nothing = torch.randn(1, 1, 4, 4, 16), torch.zeros(1, 1, 64, 5)
    something = nothing.clone()
    something[0, 0, 1 * 8 + 7] = 3.0  # second row, last column
    changed = (tokenizer.decode(latents, something) != tokenizer.decode(latents, nothing))[0, 0].any(-1)
    assert changed[8:16, 56:].any()
    assert not changed[16 + 28 :].any()  # what two blocks and the head see of one another
    assert not changed[:, : 56 - 28].any()


def test_frames_do_not_see_each_other() -> None:
    tokenizer = VideoTokenizer(SMALL)
    frames = random_frames(2, 3, 64, 64)
    together = tokenizer.encode(frames)
    for b in range(2):
        for t in range(3):
            alone = tokenizer.encode(frames[b : b + 1, t : t + 1])
            torch.testing.assert_close(together[b : b + 1, t : t + 1], alone, atol=1e-5, rtol=1e-4)


def test_normalised_latents_are_shifted_and_scaled_and_decoding_undoes_it() -> None:
    tokenizer = VideoTokenizer(SMALL)
    frames = random_frames(1, 4, 64, 64)
    plain, before = tokenizer.encode(frames), tokenizer.decode(tokenizer.encode(frames)).float()
    tokenizer.latent_mean.fill_(0.5)
    tokenizer.latent_deviation.fill_(2.0)
    latents = tokenizer.encode(frames)
    torch.testing.assert_close(latents, (plain - 0.5) / 2.0)
    assert (tokenizer.decode(latents).float() - before).abs().max() <= 1  # one step of rounding


def test_half_precision_weights_decode_nearly_the_same() -> None:
    tokenizer = VideoTokenizer(SMALL)
    latents = tokenizer.encode(random_frames(1, 2, 64, 64))
    exact = tokenizer.decode(latents).float()
    tokenizer.decoder.bfloat16()  # the encoder stays as it is
    half = tokenizer.decode(latents).float()
    assert (exact - half).abs().mean() < 2.0
    assert torch.equal(tokenizer.encode(random_frames(1, 2, 64, 64)), latents)
    tokenizer.bfloat16().encode(random_frames(1, 2, 64, 64))


@pytest.mark.parametrize(
    ("config", "pixels"),
    [
        (VideoTokenizerConfig(), 128),
        (VideoTokenizerConfig(256, 8, 32, (48, 96, 192, 192), (1, 1, 1, 1)), 256),
    ],
)
def test_decoder_cost(config: VideoTokenizerConfig, pixels: int) -> None:
    """At most 0.5 GFLOP a frame at 128, hence 2 at four times the pixels (a multiplication and an addition
    count as two)."""
    grid = pixels // config.downsampling
    latents = torch.zeros(1, 1, grid, grid, config.latent_channels)
    tokenizer = VideoTokenizer(config)
    with FlopCounterMode(display=False) as counter:
        tokenizer.decode(latents)
    assert 0 < counter.get_total_flops() <= 0.5e9 * (pixels / 128) ** 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"latent_grid": 16},
        {"image_size": 100},
        {"channels": (48, 96)},
        {"latent_channels": 7},
        {"channels": (48, 100, 192)},
    ],
)
def test_sizes_that_do_not_fit(arguments: dict[str, int]) -> None:
    with pytest.raises(BadUse):
        VideoTokenizerConfig(**arguments)  # type: ignore[arg-type]


def test_wrong_frames_and_latents() -> None:
    tokenizer = VideoTokenizer(SMALL)
    for frames in (
        random_frames(1, 1, 60, 64),
        random_frames(1, 64, 64),
        random_frames(1, 1, 64, 64).float(),
    ):
        with pytest.raises(BadUse, match="video tokenizer"):
            tokenizer.encode(frames)
    with pytest.raises(BadUse, match="latents"):
        tokenizer.decode(torch.zeros(1, 1, 4, 4, 15))
