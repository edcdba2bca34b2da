"""The audio tokenizer streams and is causal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orrery.errors import BadUse
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.oscillators import BandControls


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
    raw = tokenizer.encode_raw(0.1 * torch.randn(8, 6, 2000, 2) * torch.rand(8, 6, 1, 1))
    tokenizer.latent_mean.copy_(raw.mean((0, 1, 2)))
    tokenizer.latent_std.copy_(raw.std((0, 1, 2)))
    latents = tokenizer.normalise(raw)
    assert latents.mean((0, 1, 2)).abs().max() < 0.5
    assert 0.7 < latents.std((0, 1, 2)).mean() < 1.1
    torch.testing.assert_close(tokenizer.denormalise(latents), raw, atol=1e-4, rtol=1e-4)


def test_bad_use_is_named() -> None:
    with pytest.raises(BadUse, match="frames_per_tick"):
        AudioTokenizerConfig(tokens_per_tick=3)
    with pytest.raises(BadUse, match="do not divide"):
        AudioTokenizerConfig(samples_per_tick=2001)
    with pytest.raises(BadUse, match="num_bands"):
        AudioTokenizerConfig(num_bands=100)
    with pytest.raises(BadUse, match="audio is"):
        AudioTokenizer().encode(torch.zeros(1, 4000, 2))
