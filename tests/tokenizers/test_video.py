"""The video tokenizer: contracts, cost, and that its training learns, continues exactly and finds objects."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse, UserError
from orrery.tokenizers.video import Reconstruction, VideoTokenizer, VideoTokenizerConfig
from orrery.training import tokenizer_video
from orrery.training.frames import FrameSource, camera_backgrounds, extract_frames, object_mask
from orrery.training.pace import Pace
from orrery.training.tokenizer_video import (
    VideoTraining,
    measure_psnr,
    tokenizer_loss,
    train_video_tokenizer,
)

SMALL = VideoTokenizerConfig(64, 4, 16, (16, 32, 64), (1, 1, 1))
QUICK = VideoTraining(batch_size=16, crop_size=32, ema_decay=0.9, num_warmup_steps=10, num_held_out=16)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def gradient(size: int) -> np.ndarray:
    """An empty scene, `[size, size, 3]` uint8."""
    row, column = np.mgrid[:size, :size]
    return (np.stack([row, column, (row + column) / 2], -1) / size * 120 + 60).astype(np.uint8)


def synthetic(num_frames: int, size: int = 64) -> FrameSource:
    """A coloured disc and a box in front of a gradient, with their exact mask."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:size, :size]
    frames = np.repeat(gradient(size)[None], num_frames, axis=0)
    for frame in frames:
        for is_disc in (True, False):
            y, x = rng.uniform(8, size - 8, 2)
            radius = rng.uniform(4, 8)
            disc = (row - y) ** 2 + (column - x) ** 2 < radius**2
            box = np.maximum(abs(row - y), abs(column - x)) < radius
            frame[disc if is_disc else box] = rng.integers(0, 256, 3)
    return FrameSource(frames, object_mask(frames, gradient(size)))


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


def test_normalised_latents_are_standard_and_decode_undoes_it() -> None:
    tokenizer = VideoTokenizer(SMALL)
    frames = torch.from_numpy(synthetic(24).frames)[None]
    before = tokenizer.decode(tokenizer.encode(frames)).float()
    tokenizer.fit_normalisation([frames[:, :10], frames[:, 10:]])
    latents = tokenizer.encode(frames)
    flat = latents.flatten(0, 3)
    torch.testing.assert_close(flat.mean(0), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(flat.std(0, correction=0), torch.ones(16), atol=1e-3, rtol=0)
    assert (tokenizer.decode(latents).float() - before).abs().max() <= 1  # one step of rounding


def test_saved_and_loaded(tmp_path: Path) -> None:
    tokenizer = VideoTokenizer(SMALL)
    frames = random_frames(1, 2, 64, 64)
    tokenizer.fit_normalisation([frames])
    tokenizer.save(tmp_path / "deep" / "tokenizer.safetensors")
    loaded = VideoTokenizer.load(tmp_path / "deep" / "tokenizer.safetensors")
    assert loaded.config == SMALL
    assert torch.equal(loaded.encode(frames), tokenizer.encode(frames))
    (tmp_path / "text").write_text("not a tokenizer")
    for path in ("text", "absent"):
        with pytest.raises(UserError, match=path):
            VideoTokenizer.load(tmp_path / path)


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
    with pytest.raises(BadUse, match="no frames"):
        tokenizer.fit_normalisation([])


def test_training_learns(tmp_path: Path) -> None:
    """150 small steps beat the mean colour by 5 dB, and by 3 dB on objects; the log says the same."""
    source = synthetic(200)
    train, held_out = source.split(16)
    error = (held_out.frames - train.frames.mean(axis=(0, 1, 2))) ** 2
    tokenizer = train_video_tokenizer(source, SMALL, tmp_path, training=QUICK, num_steps=150)
    figures = measure_psnr(tokenizer, held_out)
    assert held_out.mask is not None
    on_objects = np.kron(held_out.mask, np.ones((1, 4, 4))).astype(bool)
    assert figures["psnr_all"] > 10 * np.log10(255**2 / error.mean()) + 5.0
    assert figures["psnr_objects"] > 10 * np.log10(255**2 / error[on_objects].mean()) + 3.0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 150
    assert lines[-1]["psnr_all"] == pytest.approx(figures["psnr_all"], abs=0.05)
    written = VideoTokenizer.load(tmp_path / "video_tokenizer.safetensors")
    assert measure_psnr(written, held_out) == pytest.approx(figures, abs=1e-3)


def test_resumed_training_is_bit_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = synthetic(60)
    training = VideoTraining(
        batch_size=8,
        crop_size=32,
        num_warmup_steps=2,
        num_held_out=8,
        save_seconds=0,
        full_frame_fraction=0.4,
    )
    whole = train_video_tokenizer(source, SMALL, tmp_path / "whole", training=training, num_steps=8, seed=3)
    step = tokenizer_video._Run._step

    def interrupted(run: tokenizer_video._Run) -> torch.Tensor:
        if run.pace.step == 5:
            raise KeyboardInterrupt
        return step(run)

    monkeypatch.setattr(tokenizer_video._Run, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_video_tokenizer(source, SMALL, tmp_path / "cut", training=training, num_steps=8, seed=3)
    monkeypatch.undo()
    resumed = train_video_tokenizer(
        source, SMALL, tmp_path / "cut", training=training, num_steps=8, seed=3, resume=True
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(UserError, match="another configuration or seed"):
        train_video_tokenizer(source, SMALL, tmp_path / "cut", training=training, num_steps=8, resume=True)


def test_training_goes_on_from_given_weights(tmp_path: Path) -> None:
    """With a learning rate of nothing, what comes out is what was given."""
    source, known = synthetic(60), VideoTokenizer(SMALL).eval()
    still = dataclasses.replace(QUICK, lr_matrix=0.0, lr_other=0.0)
    kept = train_video_tokenizer(source, SMALL, tmp_path, training=still, num_steps=3, seed=1, start=known)
    for name, value in known.decoder.state_dict().items():
        assert torch.equal(value, kept.decoder.state_dict()[name]), name


def test_the_decoder_can_learn_alone(tmp_path: Path) -> None:
    """Latents stay what they are, to the last bit of their normalisation."""
    source, known = synthetic(60), VideoTokenizer(SMALL).eval()
    known.fit_normalisation([torch.from_numpy(source.frames[None, :8])])
    alone = dataclasses.replace(QUICK, encoder=False)
    taught = train_video_tokenizer(source, SMALL, tmp_path, training=alone, num_steps=3, start=known)
    frames = torch.from_numpy(source.frames[None, :2])
    assert torch.equal(taught.encode(frames), known.encode(frames))
    assert not torch.equal(taught.decode(known.encode(frames)), known.decode(known.encode(frames)))


def test_time_budget_ends_training_and_is_not_spent_twice(tmp_path: Path) -> None:
    source = synthetic(60)
    train_video_tokenizer(source, SMALL, tmp_path, training=QUICK, budget_minutes=1.5 / 60)
    first = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()][-1]
    assert first["step"] > 1
    assert 1.5 <= first["elapsed_seconds"] + 0.05 < 5.0
    train_video_tokenizer(source, SMALL, tmp_path, training=QUICK, budget_minutes=1.5 / 60, resume=True)
    last = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()][-1]
    assert last["step"] == first["step"]


def test_bad_training_calls(tmp_path: Path) -> None:
    source = synthetic(20)
    for limits in ({}, {"num_steps": 1, "budget_minutes": 1.0}):
        with pytest.raises(BadUse, match="num_steps"):
            train_video_tokenizer(source, SMALL, tmp_path, **limits)  # type: ignore[arg-type]
    for training in (VideoTraining(crop_size=40), VideoTraining(crop_size=128)):
        with pytest.raises(BadUse, match="crop"):
            train_video_tokenizer(source, SMALL, tmp_path, training=training, num_steps=1)
    with pytest.raises(BadUse, match="hold out"):
        train_video_tokenizer(source, SMALL, tmp_path, training=VideoTraining(crop_size=32), num_steps=1)


def test_loss_closed_form() -> None:
    """A network that answers a constant error, and a posterior that is the standard normal or is not."""

    class Constant(torch.nn.Module):
        def __init__(self, mean: float) -> None:
            super().__init__()
            self.mean = mean

        def forward(self, pixels: torch.Tensor, noise: torch.Tensor) -> Reconstruction:
            shifted = pixels.clone()
            shifted[..., :16] += 0.3  # the left half
            return Reconstruction(shifted, torch.full_like(noise, self.mean), 0 * noise)

    pixels, noise = torch.zeros(2, 3, 32, 32), torch.zeros(2, 16, 2, 2)
    error_cost = 5 * ((0.09 + 0.04) ** 0.5 - 0.2)
    mask = torch.zeros(2, 1, 8, 8)
    training = VideoTraining()
    assert tokenizer_loss(Constant(0.0), pixels, mask, noise, training).item() == pytest.approx(
        error_cost / 2
    )
    mask[..., :3] = 1  # dilated by a cell, it covers the left half exactly
    weighted = tokenizer_loss(Constant(0.0), pixels, mask, noise, training).item()
    assert weighted == pytest.approx(error_cost * 4 / 5)
    divergent = tokenizer_loss(Constant(2.0), pixels, mask, noise, training).item()
    assert divergent - weighted == pytest.approx(3e-4 * 2.0, rel=1e-3)


def test_crops_are_centred_on_objects(tmp_path: Path) -> None:
    """With one small object, the share of crops that hold it follows `object_fraction`."""
    frames = np.repeat(gradient(128)[None], 4, axis=0)
    mask = np.zeros((4, 32, 32), np.uint8)
    mask[:, 3, 28] = 1
    shares = {}
    for fraction in (0.0, 0.7):
        training = VideoTraining(batch_size=400, crop_size=32, object_fraction=fraction, num_held_out=1)
        source, pace = FrameSource(frames, mask), Pace(None, 1)
        run = tokenizer_video._Run(source, SMALL, tmp_path, training, 0, "cpu", pace, None)
        pixels, cells = run._batch(np.random.default_rng(0), whole=False)
        assert pixels.shape == (400, 3, 32, 32)
        assert cells.shape == (400, 1, 8, 8)
        shares[fraction] = float(cells.amax((1, 2, 3)).mean())
    assert shares[0.0] < 0.12
    assert 0.65 < shares[0.7] < 0.8


@settings(max_examples=25, deadline=None)
@given(
    corner=st.tuples(st.integers(0, 10), st.integers(0, 10)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    noise=st.integers(0, 24),
    seed=st.integers(0, 99),
)
def test_object_mask_finds_planted_boxes(
    corner: tuple[int, int], size: tuple[int, int], noise: int, seed: int
) -> None:
    background = gradient(64)
    wanted = np.zeros((1, 16, 16), np.uint8)
    wanted[0, corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]] = 1
    noisy = background + np.random.default_rng(seed).integers(-noise, noise + 1, background.shape)
    frames = np.where(np.kron(wanted, np.ones((1, 4, 4)))[..., None] > 0, 250, noisy[None]).astype(np.uint8)
    frames[0, 63, 63] = 0  # one broken pixel is no object
    assert np.array_equal(object_mask(frames, background), wanted)


def test_background_is_the_empty_scene_of_each_camera() -> None:
    source = synthetic(80)
    frames, cameras = source.frames.copy(), np.arange(80) % 2
    frames[cameras == 1] = 255 - frames[cameras == 1]
    backgrounds = camera_backgrounds(frames, cameras, np.random.default_rng(0))
    assert np.array_equal(backgrounds, np.stack([gradient(64), 255 - gradient(64)]))


def test_frames_of_a_dataset(tmp_path: Path) -> None:
    collect("dummy", tmp_path / "data", 6, seconds=1.0, image_size=32, progress=False)
    dataset = Dataset(tmp_path / "data")
    source = extract_frames([dataset], tmp_path / "frames", every=5)
    assert 6 * 4 <= len(source) <= 6 * 5  # 24 frames an episode
    episode = dataset.load(0, ["video.main"])["video.main"].reshape(-1, 32, 32, 3)
    first = np.flatnonzero((episode == source.frames[0]).all(axis=(1, 2, 3)))
    assert first.size
    assert first[0] < 5
    assert source.mask is not None
    assert 0 < source.mask.mean() < 0.5
    again = FrameSource.open(tmp_path / "frames")
    assert np.array_equal(again.frames, source.frames)
    with pytest.raises(BadUse):
        extract_frames([dataset], tmp_path / "none", every=0)
    with pytest.raises(UserError, match="nowhere"):
        FrameSource.open(tmp_path / "nowhere")


def test_source_shapes_are_checked() -> None:
    frames = synthetic(4).frames
    for wrong in (frames[0], frames.astype(np.float32), frames[..., :2]):
        with pytest.raises(BadUse, match="uint8"):
            FrameSource(wrong)
    with pytest.raises(BadUse, match="mask"):
        FrameSource(frames, np.zeros((4, 64, 64), np.uint8))
