"""How far two sounds are apart to the ear: as spectra, as envelopes, and as the parts they consist of.

The decoder's phases are integrated from its pitches, not copied from the input, so there is no waveform term:
it would ask for the one thing that the latents do not carry. The parts follow Serra and Smith 1990, "Spectral
modeling synthesis": lines are the peaks of a spectrum that stand out, noise is what is left beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.tokenizers.audio import AudioTokenizer
from orrery.tokenizers.oscillators import BandControls

__all__ = [
    "AUDIBLE", "Parts", "SoundParts", "audio_loss", "magnitudes", "parts_loss", "spectral_distance_db",
]  # fmt: skip

AUDIBLE = 1e-4  # log spectra start here, 80 dB under full scale
PARTS_WINDOW = 1024
LINE_RATIO = 2.5  # a line is this much above the mean of its surroundings; noise seldom is
LINE_REACH = 8  # bins either side that are its surroundings
HANN_NOISE_BINS = 1.5  # a Hann window spreads noise over this many bins


class SoundParts(NamedTuple):
    """What a sound consists of, by frame of the network; the counterpart of `BandControls`.

    tone: `[B, frames, bands]` amplitude of the strongest line in each band, 0 for none. detune: where it
    lies, [-1, 1] of the band's half width. hiss: `[B, frames, noise bands]` amplitude of each band's noise.
    """

    tone: Tensor
    detune: Tensor
    hiss: Tensor


class Parts(nn.Module):
    """Analyses sound into parts on the grid of a tokenizer."""

    centre: Tensor
    half_width: Tensor
    window: Tensor
    noise_map: Tensor

    def __init__(self, tokenizer: AudioTokenizer) -> None:
        super().__init__()
        config = tokenizer.config
        self.frame = config.samples_per_frame
        self.bin_hz = config.samples_per_second / PARTS_WINDOW
        scale = config.samples_per_second / config.hop
        centre = tokenizer.bank.increment.cpu().numpy() * scale
        group = config.num_bands // config.num_noise_bands
        edges = np.concatenate([[0.0], (centre[group - 1 : -1 : group] + centre[group::group]) / 2, [1e9]])
        bins = np.arange(PARTS_WINDOW // 2 + 1) * self.bin_hz
        inside = (bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])
        # Each of the group's bands plays noise of amplitude A and hence of power A^2 / 2.
        noise_map = inside / (group * HANN_NOISE_BINS)
        self.register_buffer("centre", torch.from_numpy(centre).float())
        self.register_buffer("half_width", (tokenizer.bank.half_width.cpu() * scale).float())
        self.register_buffer("window", torch.hann_window(PARTS_WINDOW))
        self.register_buffer("noise_map", torch.from_numpy(noise_map).float())

    @torch.no_grad()
    def forward(self, audio: Tensor) -> SoundParts:
        """Parts of `audio [B, samples, 2]`, mean power of both channels, of windows centred on the frames."""
        margin = (PARTS_WINDOW - self.frame) // 2
        padded = F.pad(audio.transpose(1, 2), (margin, PARTS_WINDOW - self.frame - margin))
        frames = padded.unfold(2, PARTS_WINDOW, self.frame) * (self.window * 2 / self.window.sum())
        spectrum = torch.fft.rfft(frames)
        power = (spectrum.real.square() + spectrum.imag.square()).mean(1)
        lines, frequency, amplitude = self._lines(power.sqrt())
        band = torch.bucketize(frequency, (self.centre[1:] + self.centre[:-1]) / 2)
        tone = torch.zeros(*power.shape[:2], len(self.centre), device=audio.device)
        tone.scatter_reduce_(2, band, amplitude * lines, "amax")
        strongest = (amplitude * lines >= tone.gather(2, band)) & lines
        offset = ((frequency - self.centre[band]) / self.half_width[band]).clamp(-1, 1) * strongest
        detune = torch.zeros_like(tone).scatter_add_(2, band, offset)
        # A line's main lobe is four bins wide; noise is what lies beside all lobes.
        lobe = F.max_pool1d(lines.float(), 5, 1, 2)
        hiss = ((power * (1 - lobe)) @ self.noise_map).sqrt()
        return SoundParts(tone, detune, hiss)

    def _lines(self, magnitude: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which bins are lines; and frequency (Hz) and amplitude by a parabola through their logarithm."""
        padded = F.pad(magnitude, (1, 1), mode="replicate")
        left, right = padded[..., :-2], padded[..., 2:]
        around = F.avg_pool1d(magnitude, 2 * LINE_REACH + 1, 1, LINE_REACH, count_include_pad=False)
        lines = (magnitude > left) & (magnitude >= right) & (magnitude > LINE_RATIO * around)
        lines &= magnitude > 0.1 * AUDIBLE
        a, b, c = ((value + 1e-9).log() for value in (left, magnitude, right))
        shift = (0.5 * (a - c) / (a - 2 * b + c - 1e-9)).clamp(-0.5, 0.5)
        amplitude = (b - 0.25 * (a - c) * shift).exp()
        bins = torch.arange(magnitude.shape[-1], device=magnitude.device)
        return lines, (bins + shift) * self.bin_hz, amplitude


def parts_loss(found: BandControls, truth: SoundParts) -> dict[str, Tensor]:
    """Terms of the loss between controls and the parts that were analysed, weighted; to be summed."""
    tone, hiss = (value.square().mean(2).add(1e-12).sqrt() for value in (found.tone, found.hiss))
    loudest = torch.maximum(truth.tone.amax(-1, keepdim=True), truth.hiss.amax(-1, keepdim=True)) + AUDIBLE
    weight = (truth.tone / loudest).sqrt() * (truth.tone > AUDIBLE)
    away = (weight * (found.detune - truth.detune).abs()).sum() / (weight.sum() + 1)
    return {
        "tone": _level_difference(tone, truth.tone, _prominence(truth.tone, loudest)),
        "hiss": _level_difference(hiss, truth.hiss, _prominence(truth.hiss, loudest)),
        "detune": away,
    }


def _prominence(truth: Tensor, loudest: Tensor) -> Tensor:
    """Weight of what is as loud as `truth` beside something `loudest`: masking lets the rest count little."""
    return 0.1 + (truth / loudest).sqrt()


def _level_difference(found: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Difference of levels, in nepers above -80 dBFS, summed over all but counted by what is audible.

    A mean over all would mostly count silence. Squares, since most of a sound is silent and an absolute value
    alone, which seeks the median, would be content with silence everywhere.
    """
    difference = (torch.asinh(found / AUDIBLE) - torch.asinh(truth / AUDIBLE)).abs()
    heard = (weight * (truth > AUDIBLE)).sum() + 0.02 * weight.sum()
    return 0.25 * (weight * (difference + difference.square())).sum() / heard


def magnitudes(audio: Tensor, window_length: int) -> Tensor:
    """STFT magnitudes `[B * 2, bins, frames]` of `audio [B, samples, 2]`; a full-scale tone reads 1."""
    window = torch.hann_window(window_length, device=audio.device)
    flat = audio.transpose(1, 2).flatten(0, 1)
    spectrum = torch.stft(flat, window_length, window_length // 4, window=window, return_complex=True)
    parts = torch.view_as_real(spectrum)
    return (parts.square().sum(-1) + 1e-12).sqrt() * (2 / window.sum())


def envelope(audio: Tensor, hop: int) -> Tensor:
    """RMS of runs of `hop` samples, `[B, runs, 2]`, of `audio [B, samples, 2]`."""
    return (audio.unfold(1, hop, hop).square().mean(-1) + 1e-12).sqrt()


def audio_loss(found: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Terms of the loss between sounds `[B, samples, 2]`, weighted; their sum is the loss.

    log: log spectra, weighted more where the truth grows louder. root: square roots of spectra, over their
    mean. envelope: log RMS over about two milliseconds, which holds onsets to the millisecond.
    """
    terms = {name: found.new_zeros(()) for name in ("log", "root", "envelope")}
    for window_length in (128, 512, 2048):
        a, b = magnitudes(found, window_length), magnitudes(truth, window_length)
        loudest = b.amax(1, keepdim=True)
        growth = (loudest[..., 1:] + AUDIBLE).log() - (loudest[..., :-1] + AUDIBLE).log()
        attack = 1 + F.pad(growth.clamp(0, 3), (1, 0))
        weight = _prominence(b, loudest + AUDIBLE) * attack
        terms["log"] = terms["log"] + _level_difference(a, b, weight)
        scale = b.sqrt().mean((1, 2), keepdim=True) + AUDIBLE**0.5
        terms["root"] = terms["root"] + 0.5 * ((a.sqrt() - b.sqrt()).abs() / scale).mean()
    a, b = (envelope(sound, 50) for sound in (found, truth))
    terms["envelope"] = _level_difference(a, b, torch.ones_like(b))
    return terms


@torch.no_grad()
def spectral_distance_db(found: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of log spectra, dB, over the bins where either is within 80 dB of full scale.

    Mean over windows of 128, 512 and 2,048 samples; sounds `[B, ticks, samples, 2]`.
    """
    distances = []
    for window_length in (128, 512, 2048):
        pair = [magnitudes(sound.flatten(1, 2), window_length).clamp_min(AUDIBLE) for sound in (found, truth)]
        heard = (pair[0] > AUDIBLE) | (pair[1] > AUDIBLE)
        difference = 20 * (pair[0] / pair[1]).log10().abs()
        distances.append(float(difference[heard].mean()) if heard.any() else 0.0)
    return float(np.mean(distances))
