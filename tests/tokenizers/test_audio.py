"""The audio tokenizer streams, is causal, keeps silence silent, and learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.errors import BadUse, UserError
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.oscillators import BandControls
from orrery.training.audio_losses import Parts, audio_loss, spectral_distance_db
from orrery.training.tokenizer_audio import (
    AudioClips,
    AudioTrainingConfig,
    silence_level_dbfs,
    synthetic_impacts,
    train_audio_tokenizer,
)

SMALL = AudioTrainingConfig(
    tokenizer=AudioTokenizerConfig(width=48, num_encoder_blocks=1, num_decoder_blocks=1, num_bands=64),
    batch_size=6,
    batch_heard=3,
    clip_ticks=4,
    log_every=1,
)


@pytest.fixture(scope="module")
def impacts() -> list[np.ndarray]:
    return synthetic_impacts(24, 24, seed=0)


@pytest.fixture(scope="module")
def trained(
    impacts: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[AudioTokenizer, Path]:
    out = tmp_path_factory.mktemp("audio")
    return train_audio_tokenizer(AudioClips(impacts), SMALL, out, num_steps=100), out


def lively(seed: int = 0, **sizes: int) -> AudioTokenizer:
    """Random weights that sound."""
    torch.manual_seed(seed)
    tokenizer = AudioTokenizer(AudioTokenizerConfig(**sizes)).eval()
    for head in (tokenizer.level, tokenizer.course, tokenizer.detune, tokenizer.pan):
        torch.nn.init.normal_(head.weight, std=0.2)
    return tokenizer


@pytest.mark.parametrize("sizes", [{}, {"tokens_per_tick": 4, "latent_width": 12, "kernel": 3}])
@torch.no_grad()
def test_streamed_sound_is_the_whole_clips_sound(sizes: dict[str, int]) -> None:
    # In double precision: phase is a sum over all frames, and with it the rounding of any one product.
    tokenizer = lively(**sizes).double()
    shape = 2, 30, tokenizer.config.tokens_per_tick, tokenizer.config.latent_width
    latents = torch.randn(*shape, dtype=torch.float64)
    whole = tokenizer.decode(latents)
    assert whole.shape == (2, 30, 2000, 2)
    assert whole.abs().max() > 1e-3
    state, ticks = None, []
    for tick in range(30):
        audio, state = tokenizer.decode_tick(latents[:, tick], state)
        assert audio.shape == (2, 2000, 2)
        ticks.append(audio)
    torch.testing.assert_close(torch.stack(ticks, 1), whole, atol=1e-5, rtol=0)


def steady_controls(
    tokenizer: AudioTokenizer, num_frames: int, tones: dict[int, tuple[float, float]]
) -> BandControls:
    """Tones that stand: band to (amplitude, detune); right at a third of left's gain."""
    config = tokenizer.config
    tone = torch.zeros(1, num_frames, config.subframes_per_frame, config.num_bands)
    detune = torch.zeros(1, num_frames, config.num_bands)
    for band, (amplitude, offset) in tones.items():
        tone[..., band], detune[..., band] = amplitude, offset
    hiss = torch.zeros(1, num_frames, config.subframes_per_frame, config.num_noise_bands)
    pan = torch.tensor([1.8, 0.2]).sqrt()[:, None].expand(1, num_frames, 2, config.num_pan_bands)
    return BandControls(tone, hiss, detune, pan)


@torch.no_grad()
def test_the_bank_plays_the_pitch_and_side_it_is_told() -> None:
    tokenizer = AudioTokenizer().eval()
    bank = tokenizer.bank
    samples, _ = bank(steady_controls(tokenizer, 96, {60: (0.5, 0.5)}), bank.initial_state(1))
    spectrum = torch.fft.rfft(samples[0, :24_000] * torch.hann_window(24_000)[:, None], dim=0).abs()
    told_hz = float(bank.increment[60] + 0.5 * bank.half_width[60]) * 24_000 / tokenizer.config.hop
    assert abs(int(spectrum[:, 0].argmax()) - told_hz) <= 1
    levels = samples[0, 2000:].square().mean(0).sqrt() * 2**0.5
    np.testing.assert_allclose(levels, 0.5 * np.sqrt([1.8, 0.2]), rtol=0.03)


@torch.no_grad()
def test_parts_are_read_back_from_what_was_played() -> None:
    tokenizer = AudioTokenizer().eval()
    told = {20: (0.1, 0.3), 50: (0.05, -0.5), 90: (0.2, 0.7), 110: (0.01, 0.0)}
    samples, _ = tokenizer.bank(steady_controls(tokenizer, 64, told), tokenizer.bank.initial_state(1))
    parts = Parts(tokenizer)(samples)
    heard = torch.nonzero(parts.tone[0, 32] > 2e-3)[:, 0].tolist()
    assert heard == sorted(told)
    for band, (amplitude, detune) in told.items():
        assert float(parts.tone[0, 32, band]) == pytest.approx(amplitude, rel=0.05)
        assert float(parts.detune[0, 32, band]) == pytest.approx(detune, abs=0.05)


@torch.no_grad()
def test_white_noise_is_read_as_noise_of_its_level() -> None:
    tokenizer = AudioTokenizer().eval()
    generator = torch.Generator().manual_seed(0)
    parts = Parts(tokenizer)(0.05 * torch.randn(1, 96_000, 2, generator=generator))
    # Each of the group's four bands plays A^2 / 2; together with the lines they hold all power.
    power = 2 * parts.hiss.square().sum(-1).mean() + parts.tone.square().sum(-1).mean() / 2
    assert 10 * abs(float(torch.log10(power / 0.05**2))) < 1.5
    assert parts.hiss.square().sum() > 10 * parts.tone.square().sum()


@torch.no_grad()
def test_neither_way_looks_ahead() -> None:
    tokenizer = lively()
    audio = 0.1 * torch.randn(1, 8, 2000, 2)
    later = audio.clone()
    later[:, 5:] = torch.randn(1, 3, 2000, 2)
    latents, other = tokenizer.encode(audio), tokenizer.encode(later)
    torch.testing.assert_close(latents[:, :5], other[:, :5], atol=1e-6, rtol=0)
    assert (latents[:, 5] - other[:, 5]).abs().max() > 1e-2
    torch.testing.assert_close(
        tokenizer.decode(latents)[:, :5], tokenizer.decode(other)[:, :5], atol=1e-6, rtol=0
    )


@torch.no_grad()
def test_a_change_of_latents_is_heard_at_once() -> None:
    tokenizer = lively()
    latents = torch.randn(1, 4, 2, 32)
    other = latents.clone()
    other[:, 2] += 1.0
    difference = (tokenizer.decode(latents) - tokenizer.decode(other))[0, 2].abs().amax(-1)
    assert difference[:60].max() > 1e-5  # within 2.5 ms of the tick's beginning


@torch.no_grad()
def test_normalisation_standardises_and_is_undone() -> None:
    tokenizer = lively()
    clips = [0.1 * torch.randn(2, 6, 2000, 2) * torch.rand(2, 6, 1, 1) for _ in range(4)]
    raw = torch.cat([tokenizer.encode_raw(clip) for clip in clips])
    tokenizer.fit_normalisation(clips)
    latents = tokenizer.normalise(raw)
    assert latents.mean((0, 1, 2)).abs().max() < 0.5
    assert 0.7 < latents.std((0, 1, 2)).mean() < 1.1
    torch.testing.assert_close(tokenizer.denormalise(latents), raw, atol=1e-4, rtol=1e-4)


def test_training_beats_silence(trained: tuple[AudioTokenizer, Path]) -> None:
    tokenizer, out = trained
    figures = json.loads((out / "figures.json").read_text())
    assert figures["spectral_distance_db"] < 0.85 * figures["spectral_distance_of_silence_db"]
    assert silence_level_dbfs(tokenizer) < -60
    assert silence_level_dbfs(tokenizer, latent_noise=0.1) < -60
    losses = [json.loads(line).get("loss") for line in (out / "log.jsonl").read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])


def test_a_saved_tokenizer_comes_back(trained: tuple[AudioTokenizer, Path], tmp_path: Path) -> None:
    tokenizer, out = trained
    again = AudioTokenizer.load(out / "audio_tokenizer.safetensors")
    audio = 0.1 * torch.randn(1, 3, 2000, 2)
    with torch.no_grad():
        torch.testing.assert_close(again.encode(audio), tokenizer.encode(audio))
    (tmp_path / "other").write_bytes(b"no tensors here")
    with pytest.raises(UserError, match="not an audio tokenizer"):
        AudioTokenizer.load(tmp_path / "other")


def test_resuming_repeats_an_unbroken_run(impacts: list[np.ndarray], tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, save_every=3)
    clips = AudioClips(impacts)
    whole = train_audio_tokenizer(clips, config, tmp_path / "whole", num_steps=6)

    class Interrupted(AudioClips):
        num_batches = 0

        def sample(self, rng: np.random.Generator, batch_size: int, num_ticks: int) -> torch.Tensor:
            if self.num_batches == 4:
                raise KeyboardInterrupt
            self.num_batches += 1
            return super().sample(rng, batch_size, num_ticks)

    with pytest.raises(KeyboardInterrupt):
        train_audio_tokenizer(Interrupted(impacts), config, tmp_path / "broken", num_steps=6)
    resumed = train_audio_tokenizer(clips, config, tmp_path / "broken", num_steps=6, resume=True)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, atol=0, rtol=0, msg=name)


def test_a_decoder_is_trained_further_without_touching_the_latents(
    impacts: list[np.ndarray], trained: tuple[AudioTokenizer, Path], tmp_path: Path
) -> None:
    before, _ = trained
    after = train_audio_tokenizer(AudioClips(impacts), SMALL, tmp_path, num_steps=2, decoder_of=before)
    audio = torch.from_numpy(impacts[0][None, :4])
    with torch.no_grad():
        latents = before.encode(audio)
        torch.testing.assert_close(after.encode(audio), latents, atol=0, rtol=0)
        assert (after.decode(latents) - before.decode(latents)).abs().max() > 0


def test_clips_are_drawn_around_onsets() -> None:
    episode = np.zeros((100, 2000, 2), np.float32)
    episode[70] = 0.1
    clips = AudioClips([episode, episode])
    batch = clips.sample(np.random.default_rng(0), 64, 4)
    heard = (batch.abs().amax((1, 2, 3)) > 0).float().mean()
    assert heard > 0.6  # 4 % of unweighted clips would hold it
    assert clips.held_out_clips(4).shape == (25, 4, 2000, 2)


def test_the_loss_is_zero_for_the_same_sound_and_grows_with_a_late_onset() -> None:
    audio = torch.from_numpy(np.stack(synthetic_impacts(2, 12, seed=3)))
    assert spectral_distance_db(audio, audio) == 0
    audio = audio.flatten(1, 2)
    assert float(torch.stack(list(audio_loss(audio, audio).values())).sum()) < 1e-5
    losses = []
    for shift in (24, 120, 480):
        late = torch.roll(audio, shift, 1)
        losses.append(float(audio_loss(late, audio)["envelope"]))
    assert losses == sorted(losses)


def test_bad_use_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadUse, match="frames_per_tick"):
        AudioTokenizerConfig(tokens_per_tick=3)
    with pytest.raises(BadUse, match="do not divide"):
        AudioTokenizerConfig(samples_per_tick=2001)
    with pytest.raises(BadUse, match="num_bands"):
        AudioTokenizerConfig(num_bands=100)
    with pytest.raises(BadUse, match="audio is"):
        AudioTokenizer().encode(torch.zeros(1, 4000, 2))
    with pytest.raises(BadUse, match="empty"):
        AudioClips([])
    clips = AudioClips([np.zeros((4, 2000, 2), np.float32)])
    with pytest.raises(BadUse, match="either"):
        train_audio_tokenizer(clips, SMALL, tmp_path)
