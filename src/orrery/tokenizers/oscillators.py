"""A bank of narrow bands, each an oscillator and a noise, that plays tick by tick without latency.

After Engel et al. 2020, "DDSP", arXiv:2001.04643, with the sum written as products of
matrices, frame by frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["BandControls", "BankState", "OscillatorBank"]

NOISE_PERIOD_FRAMES = 1920  # two seconds at the usual frame rate: long enough not to be heard as a loop


class BandControls(NamedTuple):
    """What the oscillator bank plays, frame by frame.

    tone: amplitudes `[B, frames, subframes, bands]` of the oscillators. hiss: the same of the noise bands,
    `[B, frames, subframes, noise bands]`. detune: `[B, frames, bands]`, in [-1, 1] of a band's half width.
    pan: left and right gains `[B, frames, 2, pan bands]`, whose squares sum to 2.
    """

    tone: Tensor
    hiss: Tensor
    detune: Tensor
    pan: Tensor


class BankState(NamedTuple):
    """All that the bank remembers; every tensor leads with the batch.

    phase: of the oscillators, in cycles, `[B, bands]` float64. cosine, sine: the last amplitudes,
    `[B, 2, bands]`. frame: index of the next row of the noise table.
    """

    phase: Tensor
    cosine: Tensor
    sine: Tensor
    frame: int


def band_centres_hz(num_bands: int, highest_hz: float) -> np.ndarray:
    """Centres `[num_bands]` from 60 Hz, even on the mel scale (m = 1127 ln(1 + f / 700))."""
    low, high = 1127 * math.log1p(60 / 700), 1127 * math.log1p(highest_hz / 700)
    return 700 * np.expm1(np.linspace(low, high, num_bands) / 1127)


def band_noise(half_widths: np.ndarray, num_frames: int, frames_per_second: float) -> np.ndarray:
    """Periodic complex Gaussian noise `[num_frames, bands]` of unit power, up to `half_widths` Hz."""
    rng = np.random.default_rng(0)
    spectrum = rng.standard_normal((2, num_frames, len(half_widths)))
    frequency = np.abs(np.fft.fftfreq(num_frames, 1 / frames_per_second))[:, None]
    signal = np.fft.ifft((spectrum[0] + 1j * spectrum[1]) * (frequency <= half_widths[None]), axis=0)
    return signal / np.sqrt((np.abs(signal) ** 2).mean(0, keepdims=True))


class OscillatorBank(nn.Module):
    """Amplitudes and pitches of bands, one every `hop` samples, to stereo samples; it has no weights.

    Phase is *integrated* from pitch, so a ring stays in tune from frame to frame. Between two amplitudes the
    complex envelope is interpolated linearly: an inverse STFT with triangular windows, hence no lookahead.
    """

    carriers: Tensor
    increment: Tensor
    half_width: Tensor
    noise: Tensor

    def __init__(self, num_bands: int, hop: int, samples_per_second: int) -> None:
        super().__init__()
        self.hop, rate = hop, samples_per_second
        centre = band_centres_hz(num_bands, 0.96 * rate / 2)
        # Neighbours overlap a little, so that a pitch on the border can be had from both.
        half_width = 0.6 * np.gradient(centre)
        time = np.arange(1, self.hop + 1)
        cycles = 2 * np.pi * centre[:, None] / rate
        fade = time / self.hop
        after, before = cycles * time, cycles * (time - self.hop)
        leave = (1 - fade) * np.concatenate([np.cos(after), -np.sin(after)])
        arrive = fade * np.concatenate([np.cos(before), -np.sin(before)])
        noise = band_noise(half_width, NOISE_PERIOD_FRAMES, rate / self.hop)
        self.register_buffer(
            "carriers", torch.from_numpy(np.stack([leave, arrive])).float(), persistent=False
        )
        self.register_buffer("increment", torch.from_numpy(centre * self.hop / rate), persistent=False)
        self.register_buffer("half_width", torch.from_numpy(half_width * self.hop / rate), persistent=False)
        table = np.stack([np.real(noise), np.imag(noise)])
        self.register_buffer("noise", torch.from_numpy(table).float(), persistent=False)

    def initial_state(self, batch: int) -> BankState:
        """The state of a bank that has played nothing."""
        last = self.noise.new_zeros(batch, 2, len(self.increment))
        return BankState(self.increment.new_zeros(batch, len(self.increment)), last, last, 0)

    def forward(self, controls: BandControls, state: BankState) -> tuple[Tensor, BankState]:
        """Samples `[B, L * hop, 2]` of L subframes, and the state after them."""
        per_frame, bands = controls.tone.shape[2:]
        tone, hiss = controls.tone.flatten(1, 2), controls.hiss.flatten(1, 2)
        hiss = hiss.repeat_interleave(bands // hiss.shape[-1], -1)
        detune = controls.detune.repeat_interleave(per_frame, 1)
        pan = controls.pan.repeat_interleave(bands // controls.pan.shape[-1], -1)
        pan = pan.repeat_interleave(per_frame, 1)
        num_frames = tone.shape[1]
        # Double precision: a float32 running sum would drift from the tick-by-tick one.
        step = self.increment + self.half_width * detune.double()
        phase = torch.remainder(state.phase[:, None] + step.cumsum(1), 1.0)
        angle = (2 * math.pi * phase).float()
        rows = (torch.arange(num_frames, device=tone.device) + state.frame) % self.noise.shape[1]
        cosine = tone * angle.cos() + hiss * self.noise[0, rows]
        sine = tone * angle.sin() + hiss * self.noise[1, rows]
        cosine, sine = pan * cosine[:, :, None], pan * sine[:, :, None]
        all_cosine = torch.cat([state.cosine[:, None], cosine], 1)
        all_sine = torch.cat([state.sine[:, None], sine], 1)
        both = torch.cat([all_cosine, all_sine], -1)
        samples = both[:, :-1] @ self.carriers[0] + both[:, 1:] @ self.carriers[1]
        samples = samples.transpose(2, 3).flatten(1, 2)
        frame = (state.frame + num_frames) % self.noise.shape[1]
        return samples, BankState(phase[:, -1], all_cosine[:, -1], all_sine[:, -1], frame)
