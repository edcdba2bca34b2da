"""The loss of the audio tokenizer, and clips of sound in which something happens.

Phases are integrated by the decoder, not copied, so no term compares waveforms: what is compared is what can
be heard: the parts of a sound (lines and noise of its spectrum, after Serra and Smith 1990, "Spectral
modeling synthesis"), and spectra at several resolutions (Yamamoto et al. 2020, "Parallel WaveGAN",
arXiv:1910.11480).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orrery.models.tokenizers.audio import AudioControls, AudioTokenizer
from orrery.models.tokenizers.audio_parts import REACH
from orrery.streams import Array

__all__ = ["audio_loss", "draw_audio_clips", "magnitudes", "onset_chances"]

AUDIBLE = 1e-4  # log spectra start here, 80 dB under full scale
WINDOW_SECONDS = (0.005, 0.02, 0.08)
ENVELOPE_SECONDS = 0.002
LATENT_NOISE, LATENT_PENALTY = 0.1, 0.02
NEAR_BINS, NEAR_WEIGHT = (4, 12, 36), 0.5
HEARD_SHARE = 0.25  # of the clips are played and compared as sound, which costs more than comparing parts
LINE_RATIO = 2.5  # a line is this much above the mean of its surroundings; noise seldom is


def audio_loss(
    tokenizer: AudioTokenizer, clips: Tensor, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Terms of the loss, weighted; their sum is to be made small.

    clips: `[B, T, N, C]` float32, full scale 1. generator: on the CPU, of the noise on the latents, so that
    small errors of a model of latents are not heard. Of all clips, what is played is compared with the parts
    of the truth: `tone` (amplitude of every oscillator), `near` (of groups of neighbours, since a tone beside
    the true one is better than one far from it), `hiss` (loudness of the bands), `detune` (pitch within a
    bin). The first quarter of them is also played and compared as sound: `spectrum` (log spectra, more where
    the truth is loud beside what masks it and where it grows louder), `root` (square roots of spectra),
    `envelope` (log loudness every 2 ms), `silence` (what is heard where the truth is silent). `latent`: mean
    square of the latents.
    """
    raw, _ = tokenizer.encode_raw(clips)
    noise = torch.randn(raw.shape, generator=generator).to(raw)
    controls, _ = tokenizer.controls(raw + LATENT_NOISE * noise)
    terms = parts_terms(tokenizer, controls, clips)
    heard = max(1, round(HEARD_SHARE * len(clips)))
    found, _ = tokenizer.play(AudioControls(*(part[:heard] for part in controls)))
    terms |= sound_terms(found.flatten(1, 2), clips[:heard].flatten(1, 2), tokenizer.sample_rate)
    return terms | {"latent": LATENT_PENALTY * raw.square().mean()}


def parts_terms(tokenizer: AudioTokenizer, controls: AudioControls, clips: Tensor) -> dict[str, Tensor]:
    """The terms of `audio_loss` that compare what is played with the parts of the truth, frame by frame."""
    parts = sound_parts(tokenizer, clips)
    tone, hiss = controls.tone.flatten(1, 2), controls.hiss.square().mean(3).add(1e-14).sqrt().flatten(1, 2)
    frames = parts.tone.shape[1]
    tone, hiss, detune = tone[:, :frames], hiss[:, :frames], controls.detune.flatten(1, 2)[:, :frames]
    loudest = torch.maximum(parts.tone.amax(-1, keepdim=True), parts.hiss.amax(-1, keepdim=True))
    weight = (parts.tone / (loudest + AUDIBLE)).sqrt() * (parts.tone > AUDIBLE)
    away = (weight * (detune - parts.detune).abs()).sum() / (weight.sum() + 1)
    near = tone.new_zeros(())
    for bins in NEAR_BINS:
        wide = _pooled(parts.tone, bins)
        near = near + NEAR_WEIGHT * _level_difference(_pooled(tone, bins), wide, _prominence(wide, loudest))
    return {
        "near": near,
        "tone": _level_difference(tone, parts.tone, _prominence(parts.tone, loudest)),
        "hiss": _level_difference(hiss, parts.hiss, _prominence(parts.hiss, loudest)),
        "detune": away,
    }


class Parts(NamedTuple):
    """What a sound consists of, by frame: the counterpart of `AudioControls`, `[B, frames, ...]`.

    tone: amplitude of the line in each bin, 0 for none. detune: where in its bin it is. hiss: root mean
    square of what is left in each band. The last frames, which reach beyond the clip, are missing.
    """

    tone: Tensor
    detune: Tensor
    hiss: Tensor


@torch.no_grad()
def sound_parts(tokenizer: AudioTokenizer, clips: Tensor) -> Parts:
    """The parts of `[B, T, N, C]`, of the mean power of its channels."""
    tones = tokenizer.tones
    length, near = tones.spectrum, tones.length
    sound = clips.flatten(1, 2).transpose(1, 2)
    ticks = torch.arange(clips.shape[1], device=clips.device)[:, None]
    begins = ticks * clips.shape[2] + torch.tensor(tones.begins, device=clips.device)
    # A frame is centred in its crossfade, half of which lies beyond the sample at which it begins.
    begins = begins.flatten()[begins.flatten() + near // 2 + length // 2 <= sound.shape[2]]
    padded = F.pad(sound, (length, 0)).unfold(2, length, 1)[:, :, begins + near // 2 + length // 2]
    window = torch.hann_window(length, device=clips.device)
    spectrum = torch.fft.rfft(padded * (window * 2 / window.sum())).abs().square().mean(1)
    # What is in the long window but not in the frame itself has ended or is still to come.
    inner = torch.hann_window(near, device=clips.device)
    middle = padded[..., (length - near) // 2 : (length + near) // 2]
    here = (middle.square() * inner).sum(-1).mean(1) / inner.sum()
    around = (padded.square() * window).sum(-1).mean(1) / window.sum()
    power = spectrum * (here / (around + 1e-12)).clamp(max=1.0)[..., None]
    lines, shift, amplitude = _lines(power.sqrt())
    # The main lobe of a line is four bins wide; noise is what lies beside all lobes. The window makes of
    # noise with a mean square of 1 a sum of 3.
    lobe = F.max_pool1d(lines.float(), 5, 1, 2)
    hiss = ((power * (1 - lobe)) @ tokenizer.noise.of_bins(length) / 3).sqrt()
    bins = slice(tones.first, tones.first + tones.bins)
    detune = (shift / REACH).clamp(-1, 1) * lines
    return Parts((amplitude * lines)[..., bins], detune[..., bins], hiss)


def _lines(magnitude: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which bins are lines, and by a parabola through the logarithm: bins off centre, and amplitude."""
    left, right = F.pad(magnitude, (1, 0))[..., :-1], F.pad(magnitude, (0, 1))[..., 1:]
    around = F.avg_pool1d(magnitude, 17, 1, 8, count_include_pad=False)
    lines = (magnitude > left) & (magnitude >= right) & (magnitude > LINE_RATIO * around)
    lines &= magnitude > 0.1 * AUDIBLE
    a, b, c = ((value + 1e-9).log() for value in (left, magnitude, right))
    shift = (0.5 * (a - c) / (a - 2 * b + c - 1e-9)).clamp(-0.5, 0.5)
    return lines, shift, (b - 0.25 * (a - c) * shift).exp()


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
    heard = (weight * (truth > AUDIBLE)).sum() + 0.02 * weight.sum() + 1e-6
    return 0.25 * (weight * (difference + difference.square())).sum() / heard


def _pooled(amplitude: Tensor, bins: int) -> Tensor:
    """Amplitude of groups of so many oscillators `[..., bins]`, each group half over the next."""
    power = F.avg_pool1d(amplitude.square(), bins, bins // 2, ceil_mode=True) * bins
    return (power + 1e-14).sqrt()


def _envelope(sound: Tensor, hop: int) -> Tensor:
    """Root mean squares of runs of `hop` samples, `[B, runs, C]`, of `[B, samples, C]`."""
    return (sound.unfold(1, hop, hop).square().mean(-1) + 1e-12).sqrt()
