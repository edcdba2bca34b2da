"""The loss of the audio tokenizer, and clips of sound in which something happens.

Phases are integrated by the decoder, not copied, so no term compares waveforms: what is compared is what can
be heard, spectra and envelopes. Resolutions as in Yamamoto et al. 2020, "Parallel WaveGAN", arXiv:1910.11480.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orrery.models.tokenizers.audio import AudioTokenizer
from orrery.streams import Array

__all__ = ["audio_loss", "draw_audio_clips", "magnitudes", "onset_chances"]

AUDIBLE = 1e-4  # log spectra start here, 80 dB under full scale
WINDOW_SECONDS = (0.005, 0.02, 0.08)
ENVELOPE_SECONDS = 0.002
LATENT_NOISE, LATENT_PENALTY = 0.1, 1e-3


def audio_loss(
    tokenizer: AudioTokenizer, clips: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Terms of the loss, weighted; their sum is to be made small.

    clips: `[B, T, N, C]` float32, full scale 1. generator: of the noise on the latents, so that small errors
    of a model of latents are not heard. `spectrum`: log spectra, more where the truth is loud beside what
    masks it and where it grows louder. `root`: square roots of spectra. `envelope`: log loudness every 2 ms.
    `silence`: what is heard where the truth is silent. `latent`: mean square of the latents.
    """
    raw, _ = tokenizer.encode_raw(clips)
    noise = torch.randn(raw.shape, generator=generator, device=raw.device, dtype=raw.dtype)
    found, _ = tokenizer.decode_raw(raw + LATENT_NOISE * noise)
    terms = sound_terms(found.flatten(1, 2), clips.flatten(1, 2), tokenizer.sample_rate)
    return terms | {"latent": LATENT_PENALTY * raw.square().mean()}


def sound_terms(found: Tensor, truth: Tensor, sample_rate: float) -> dict[str, Tensor]:
    """The terms of `audio_loss` that compare two sounds `[B, samples, C]`."""
    terms = {name: found.new_zeros(()) for name in ("spectrum", "root", "envelope", "silence")}
    for seconds in WINDOW_SECONDS:
        length = _window_length(seconds, sample_rate, truth.shape[1])
        a, b = magnitudes(found, length), magnitudes(truth, length)
        loudest = b.amax(1, keepdim=True)
        growth = (loudest[..., 1:] + AUDIBLE).log() - (loudest[..., :-1] + AUDIBLE).log()
        attack = 1 + F.pad(growth.clamp(0, 3), (1, 0))
        terms["spectrum"] = terms["spectrum"] + _level_difference(a, b, _prominence(b, loudest) * attack)
        scale = b.sqrt().mean((1, 2), keepdim=True) + AUDIBLE**0.5
        terms["root"] = terms["root"] + 0.5 * ((a.sqrt() - b.sqrt()).abs() / scale).mean()
    hop = max(2, round(ENVELOPE_SECONDS * sample_rate))
    a, b = (_envelope(sound, hop) for sound in (found, truth))
    terms["envelope"] = _level_difference(a, b, torch.ones_like(b))
    terms["silence"] = torch.asinh(a / AUDIBLE)[b < 0.1 * AUDIBLE].sum() / b.numel()
    return terms


def magnitudes(sound: Tensor, window_length: int) -> Tensor:
    """STFT magnitudes `[B * C, bins, frames]` of `[B, samples, C]`; a full-scale tone reads 1."""
    window = torch.hann_window(window_length, device=sound.device)
    flat = sound.transpose(1, 2).flatten(0, 1)
    spectrum = torch.stft(flat, window_length, window_length // 4, window=window, return_complex=True)
    return (torch.view_as_real(spectrum).square().sum(-1) + 1e-12).sqrt() * (2 / window.sum())


def onset_chances(episode: Array) -> Array:
    """Chance of each tick of `[T, N, C]` to be asked for: how many nepers it is louder than the last."""
    level = np.log(np.sqrt(np.square(episode, dtype=np.float32).mean((1, 2))) + AUDIBLE)
    rise = np.maximum(np.diff(level, prepend=math.log(AUDIBLE)), 0)
    return rise / rise.sum() if rise.sum() > 0 else np.full(len(rise), 1 / len(rise))


def draw_audio_clips(
    episodes: Sequence[Array],
    rng: np.random.Generator,
    batch: int,
    num_ticks: int,
    onset_share: float = 0.7,
    chances: Sequence[Array] | None = None,
) -> Array:
    """`[batch, num_ticks, N, C]` float32 from episodes `[T, N, C]`; shorter ones are followed by silence.

    onset_share: of the clips, in which something starts to sound, at any tick of the clip. chances:
    `onset_chances` of the episodes, if they are at hand.
    """
    clips = []
    for _ in range(batch):
        index = int(rng.integers(len(episodes)))
        episode, last = episodes[index], max(0, len(episodes[index]) - num_ticks)
        start = int(rng.integers(last + 1))
        if rng.random() < onset_share:
            chance = onset_chances(episode) if chances is None else chances[index]
            start = int(np.clip(int(rng.choice(len(episode), p=chance)) - rng.integers(num_ticks), 0, last))
        clip = np.asarray(episode[start : start + num_ticks], np.float32)
        clips.append(np.pad(clip, ((0, num_ticks - len(clip)), (0, 0), (0, 0))))
    return np.stack(clips)


def _window_length(seconds: float, sample_rate: float, samples: int) -> int:
    """Samples of an analysis window, a multiple of 16, that fits into so many samples."""
    fits = max(16, samples // 2 // 16 * 16)
    return min(fits, max(16, round(seconds * sample_rate / 16) * 16))


def _prominence(truth: Tensor, loudest: Tensor) -> Tensor:
    """Weight of what is as loud as `truth` beside something `loudest`: masking lets the rest count little."""
    return 0.1 + (truth / (loudest + AUDIBLE)).sqrt()


def _level_difference(found: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Difference of levels, in nepers above -80 dBFS, summed over all but counted by what is audible.

    A mean over all would mostly count silence. Squares, since most of a sound is silent and an absolute value
    alone, which seeks the median, would be content with silence everywhere.
    """
    difference = (torch.asinh(found / AUDIBLE) - torch.asinh(truth / AUDIBLE)).abs()
    heard = (weight * (truth > AUDIBLE)).sum() + 0.02 * weight.sum()
    return 0.25 * (weight * (difference + difference.square())).sum() / heard


def _envelope(sound: Tensor, hop: int) -> Tensor:
    """Root mean squares of runs of `hop` samples, `[B, runs, C]`, of `[B, samples, C]`."""
    return (sound.unfold(1, hop, hop).square().mean(-1) + 1e-12).sqrt()
