"""The audio tokenizer streams, keeps silence silent, plays any pitch, and learns, whatever a tick holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from orrery.models.tokenizers.audio import AudioTokenizer
from orrery.models.tokenizers.audio_parts import Tones
from orrery.streams import StreamSpec
from orrery.training.audio_loss import audio_loss, draw_audio_clips

SIZES = [
    (2048, 1, 30_720),
    (2000, 2, 24_000),
    (512, 1, 30_720),
    (735, 1, 22_050),
    (735, 2, 44_100),
    (100, 1, 6_000),
]
"""Samples a tick, channels, hertz."""


def tokenizer(samples: int, channels: int, rate: float, lively: bool = True) -> AudioTokenizer:
    torch.manual_seed(0)
    spec = StreamSpec(
        "audio.main", "audio", "observed", (samples, channels), "float32", "full scale", -1.0, 1.0
    )
    made = AudioTokenizer(spec, rate, hidden=32).eval()
    if lively:
        torch.nn.init.normal_(made.head.weight, std=0.2)
    return made


def beeps(batch: int, ticks: int, samples: int, channels: int, rate: float) -> Tensor:
    """Tones that begin at different times, in true silence."""
    seconds = torch.arange(ticks * samples) / rate
    pitch, start = torch.linspace(400, 1200, batch)[:, None], torch.linspace(0.1, 0.5, batch)[:, None]
    sound = 0.3 * torch.sin(2 * torch.pi * pitch * seconds) * (seconds >= start * seconds[-1])
    return sound.view(batch, ticks, samples, 1).expand(-1, -1, -1, channels)


@pytest.mark.parametrize(("samples", "channels", "rate"), SIZES)
@torch.no_grad()
def test_tick_by_tick_is_the_whole(samples: int, channels: int, rate: float) -> None:
    made = tokenizer(samples, channels, rate)
    sound = beeps(2, 5, samples, channels, rate)
    latents, last = made.encode(sound)
    played, end = made.decode(latents)
    assert latents.shape == (2, 5, made.tokens, made.width)
    assert played.shape == sound.shape
    assert played.dtype == torch.float32
    assert played.abs().amax() > 1e-3
    heard, memory = None, None
    for tick in range(5):
        z, heard = made.encode(sound[:, tick : tick + 1], heard)
        torch.testing.assert_close(z, latents[:, tick : tick + 1], atol=1e-5, rtol=0)
        y, memory = made.decode(latents[:, tick : tick + 1], memory)
        torch.testing.assert_close(y, played[:, tick : tick + 1], atol=1e-5, rtol=0)
    assert heard is not None
    assert memory is not None
    assert heard.keys() == last.keys()
    assert memory.keys() == end.keys()
    assert all(len(value) == 2 for value in (heard | memory).values())


@torch.no_grad()
def test_a_tick_knows_nothing_of_later_ones() -> None:
    made = tokenizer(735, 1, 22_050)
    sound = beeps(1, 4, 735, 1, 22_050)
    other = torch.cat([sound[:, :2], torch.randn(1, 2, 735, 1)], 1)
    latents = made.encode(sound)[0]
    torch.testing.assert_close(made.encode(other)[0][:, :2], latents[:, :2])
    changed = torch.cat([latents[:, :2], torch.randn_like(latents[:, 2:])], 1)
    torch.testing.assert_close(made.decode(changed)[0][:, :2], made.decode(latents)[0][:, :2])


@torch.no_grad()
def test_a_sound_begins_in_its_own_tick() -> None:
    made = tokenizer(2048, 1, 30_720)
    quiet = torch.zeros(1, 3, made.tokens, made.width)
    loud = quiet.clone()
    loud[:, 1] = 3.0
    change = (made.decode(loud)[0] - made.decode(quiet)[0])[0, :, :, 0].abs()
    assert change[0].amax() == 0
    assert change[1, :256].amax() > 0.1 * change[1].amax() > 0


@pytest.mark.parametrize(
    ("samples", "frames", "rate"), [(2048, 8, 30_720), (735, 3, 44_100), (733, 4, 22_050), (100, 1, 6_000)]
)
@torch.no_grad()
def test_a_tone_of_any_pitch_is_pure(samples: int, frames: int, rate: float) -> None:
    tones, hertz = Tones(samples, frames, rate), 0.137 * rate
    bin_ = hertz * tones.spectrum / rate
    amplitude = torch.zeros(1, 5, frames, tones.bins)
    amplitude[..., round(bin_) - 2] = 0.5
    detune = torch.full_like(amplitude, (bin_ - round(bin_)) / 0.55)
    start = torch.zeros(1, tones.bins), torch.zeros(1, 1, tones.length)
    sound = tones(amplitude, detune, torch.ones(1, 5, frames, 8, 1), *start)[0].flatten()[samples:].numpy()
    turn = 2 * np.pi * hertz / rate * np.arange(len(sound))
    waves = np.stack([np.cos(turn), np.sin(turn)], 1)
    parts = np.linalg.lstsq(waves, sound, rcond=None)[0]
    assert np.hypot(*parts) == pytest.approx(0.5, abs=1e-4)
    np.testing.assert_allclose(waves @ parts, sound, atol=1e-4)


@torch.no_grad()
def test_silence_has_features_of_zero_and_negative_levels_are_exactly_silent() -> None:
    made = tokenizer(735, 2, 44_100, lively=False)
    features, _ = made.features(torch.zeros(1, 2, 735, 2), torch.zeros(1, made.features.history, 2))
    assert features.abs().amax() == 0
    made.head.bias.fill_(-1.0)
    made.head.weight.zero_()
    assert made.decode(made.encode(torch.zeros(1, 2, 735, 2))[0])[0].abs().amax() == 0


def test_config_and_state_make_the_same_tokenizer() -> None:
    made = tokenizer(800, 1, 16_000)
    made.normalise(torch.randn(50, made.width) * 2 + 1)
    again = AudioTokenizer.from_config(made.spec, made.config()).eval()
    again.load_state_dict(made.state_dict())
    latents = torch.randn(1, 2, made.tokens, made.width)
    with torch.no_grad():
        torch.testing.assert_close(again.decode(latents)[0], made.decode(latents)[0])
        torch.testing.assert_close(
            again.encode(torch.ones(1, 1, 800, 1))[0], made.encode(torch.ones(1, 1, 800, 1))[0]
        )


def test_normalised_latents_have_about_unit_variance() -> None:
    made = tokenizer(512, 1, 30_720)
    sound = 0.1 * torch.randn(8, 4, 512, 1) * torch.rand(8, 4, 1, 1)
    with torch.no_grad():
        made.normalise(made.encode_raw(sound)[0])
        latents = made.encode(sound)[0].flatten(0, 2)
    assert latents.mean(0).abs().amax() < 0.5
    assert latents.std(0).amin() > 0.5
    assert latents.std(0).amax() < 1.3


def test_only_one_or_two_channels() -> None:
    with pytest.raises(ValueError, match="channels"):
        tokenizer(100, 3, 6_000)


def _train(steps: int) -> list[float]:
    made = tokenizer(512, 1, 16_000, lively=False).train()
    optimizer = torch.optim.AdamW(made.parameters(), 3e-3)
    clips, generator = beeps(4, 6, 512, 1, 16_000), torch.Generator().manual_seed(0)
    losses = []
    for _ in range(steps):
        loss = torch.stack(list(audio_loss(made, clips, generator).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_a_few_steps_lower_the_loss_and_are_repeatable() -> None:
    losses = _train(12)
    assert losses[-1] < 0.8 * losses[0]
    assert losses[:4] == _train(4)


def test_the_gradient_reaches_every_parameter() -> None:
    made = tokenizer(735, 2, 22_050).train()
    torch.stack(list(audio_loss(made, beeps(2, 4, 735, 2, 22_050)).values())).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert parameter.grad.abs().amax() > 0, name


def test_clips_are_drawn_where_sound_begins() -> None:
    episode = np.zeros((100, 64, 1), np.float32)
    episode[70:73] = 0.5
    rng = np.random.default_rng(0)
    clips = draw_audio_clips([episode], rng, 60, 5, onset_share=1.0)
    assert clips.shape == (60, 5, 64, 1)
    assert clips.dtype == np.float32
    begins = [int(np.flatnonzero(np.abs(clip).max((1, 2)))[0]) for clip in clips]
    assert set(begins) == set(range(5))
    short = draw_audio_clips([episode[:2]], rng, 1, 5)
    assert short.shape == (1, 5, 64, 1)
