"""The fixed parts of the audio tokenizer: what it hears, how tones and noise sound. Nothing here is learned.

A tick of N samples has frames that begin at `floor(k N / frames)`, so that N need not divide: hops differ by
at most one sample, and the pattern is the same in every tick.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["AudioFeatures", "NoiseBands", "Tones"]

FLOOR = 3e-5  # features start 90 dB under full scale: below that nothing is heard
BIN_HZ = 30.0  # about the distance of two oscillators
TAPS = 5  # bins over which an oscillator is spread
SHARPNESS = 2.3 * TAPS  # of the spreading kernel, right for a spectrum twice as long as what is used of it
REACH = 0.55  # bins that an oscillator may be from the centre of its own
NOISE_SECONDS = 1.0  # after which the noise repeats


def edges(samples: int, parts: int) -> list[int]:
    """Where `parts` parts of a tick of `samples` begin, and where the last one ends."""
    return [k * samples // parts for k in range(parts + 1)]


def spectrum_length(samples: int, frames: int, sample_rate: float) -> int:
    """Samples of the transform: bins of about 30 Hz, and at least four times a frame."""
    return 64 * math.ceil(max(4 * math.ceil(samples / frames) + 4, sample_rate / BIN_HZ) / 64)


class AudioFeatures(nn.Module):
    """Causal log spectra of a long and a short window, and energies of subframes; zero for silence."""

    long: Tensor
    short: Tensor
    which_subframe: Tensor
    subframe_lengths: Tensor

    def __init__(self, samples: int, channels: int, frames: int, subframes: int, sample_rate: float) -> None:
        super().__init__()
        self.samples, self.frames, self.subframes = samples, frames, subframes
        self.ends = edges(samples, frames)[1:]
        length = spectrum_length(samples, frames, sample_rate)
        self.history = length
        short = max(16, length // 4)
        self.width = length // 2 + 1 + channels * (short // 2 + 1 + 2 * subframes)
        self.register_buffer("long", _late_window(length), persistent=False)
        self.register_buffer("short", _late_window(short), persistent=False)
        parts = edges(samples, frames * subframes)
        lengths = torch.tensor([b - a for a, b in itertools.pairwise(parts)])
        self.register_buffer("subframe_lengths", lengths.clamp_min(1).float(), persistent=False)
        self.register_buffer(
            "which_subframe", torch.repeat_interleave(torch.arange(len(lengths)), lengths), persistent=False
        )

    def forward(self, ticks: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, T, N, C]` to `[B, T, frames, width]`; frame k uses samples up to its own end.

        before: the last `history` samples `[B, history, C]` before; returned for what follows, too.
        """
        sound = torch.cat([before, ticks.flatten(1, 2)], 1).transpose(1, 2)  # [B, C, samples]
        ticked = sound.unfold(2, self.history + self.samples, self.samples)  # [B, C, T, history + N]
        long = self._magnitudes(ticked, self.long).square().mean(1).sqrt()
        short = self._magnitudes(ticked, self.short)
        now = ticked[..., self.history :]
        # The first difference is a high pass: clicks stand out of a low ring in it.
        sharp = now - ticked[..., self.history - 1 : -1]
        energy = torch.cat([self._energies(now), self._energies(sharp)], -1)
        channels = torch.cat([short, energy], -1).permute(0, 2, 3, 1, 4).flatten(3)
        features = torch.cat([long, channels], -1)
        log = (features / FLOOR + 1).log() / -math.log(FLOOR)
        return log, sound[..., sound.shape[2] - self.history :].transpose(1, 2)

    def _magnitudes(self, ticked: Tensor, window: Tensor) -> Tensor:
        """`[B, C, T, frames, bins]`; a sinusoid of amplitude 1 reads 1."""
        first = self.history - len(window)
        cut = torch.stack([ticked[..., first + end : self.history + end] for end in self.ends], 3)
        return torch.fft.rfft(cut * window).abs()

    def _energies(self, now: Tensor) -> Tensor:
        """Root mean squares `[B, C, T, frames, subframes]`."""
        sums = now.new_zeros(*now.shape[:3], self.frames * self.subframes)
        sums = sums.index_add(3, self.which_subframe, now.square())
        return (sums / self.subframe_lengths).sqrt().unflatten(3, (self.frames, self.subframes))


class Tones(nn.Module):
    """One oscillator in every bin of a spectrum, made to sound by inverse FFT and crossfaded frames."""

    fades: Tensor
    turns: Tensor
    steps: Tensor
    own: Tensor
    previous: Tensor
    which_pan: Tensor

    def __init__(self, samples: int, frames: int, sample_rate: float, pans: int = 8) -> None:
        super().__init__()
        self.samples = samples
        self.spectrum = spectrum_length(samples, frames, sample_rate)
        self.bins = self.spectrum // 2 - 4
        begins = edges(samples, frames)
        hops = np.diff(begins)
        fade = int(hops.min())
        self.length = length = 2 * ((int(hops.max()) + fade + 2) // 2)  # of a frame; the last sample is 0
        rise = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / fade) ** 2
        fades = np.zeros((frames, length))
        for frame, hop in enumerate(hops):
            fades[frame, :fade], fades[frame, fade:hop] = rise, 1
            fades[frame, hop : hop + fade] = 1 - rise
        fades /= _kernel_transform((np.arange(length) - length // 2) / self.spectrum) * 2 / self.spectrum
        self._keep("fades", torch.from_numpy(fades).float()[..., None])
        # Whole bins turn by whole parts of a circle: wrapped here, where it is exact.
        bins = np.arange(2, self.bins + 2)
        turns = np.roll(hops, 1)[:, None] * bins % self.spectrum / self.spectrum
        self._keep("turns", torch.from_numpy(turns))
        self._keep("steps", torch.from_numpy(np.roll(hops, 1) / self.spectrum)[:, None])
        # A sample is played by the frame that it lies in and by the one before; frame 0 is the last tick's.
        frame = np.repeat(np.arange(frames), hops)
        offset = np.arange(samples) - np.asarray(begins)[frame]
        late = np.minimum(offset + np.roll(hops, 1)[frame], length - 1)
        self._keep("own", torch.from_numpy((frame + 1) * length + offset))
        self._keep("previous", torch.from_numpy(frame * length + late))
        self._keep("which_pan", _groups(bins * sample_rate / self.spectrum, pans, sample_rate))

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def forward(
        self, amplitude: Tensor, detune: Tensor, sides: Tensor, phase: Tensor, overlap: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """amplitude, detune in [-1, 1]: `[B, T, frames, bins]`. sides: `[B, T, frames, pans, C]`.

        phase: of the last frame, in turns, `[B, bins]`. overlap: its samples, `[B, length, C]`. Returns sound
        `[B, T, N, C]`, phase and overlap. No gradient goes through the phase, which is not heard.
        """
        offset = REACH * detune
        with torch.no_grad():
            turns = (self.turns + offset.double() * self.steps).flatten(1, 2).cumsum(1)
            turns = (turns + phase[:, None]) % 1.0
            angle = (2 * math.pi * turns).float().unflatten(1, amplitude.shape[1:3])
        phase = turns[:, -1].to(amplitude.dtype)
        taps = torch.arange(TAPS, device=offset.device) - TAPS // 2
        spread = amplitude * _kernel(taps.view(-1, *[1] * offset.dim()) - offset)
        spread = torch.complex(spread * angle.cos(), spread * angle.sin())
        spread = spread[..., None] * sides[..., self.which_pan, :]
        spectrum = spread.new_zeros(*spread.shape[1:4], self.spectrum // 2 + 1, spread.shape[-1])
        for tap in range(TAPS):
            spectrum[..., tap : tap + self.bins, :] += spread[tap]
        spectrum[..., 0, :] *= 2
        wave = torch.fft.irfft(spectrum, self.spectrum, dim=3)
        half = self.length // 2
        wave = torch.cat([wave[..., -half:, :], wave[..., :half, :]], 3) * self.fades
        last = torch.cat([overlap[:, None], wave[:, :-1, -1]], 1)
        frames = torch.cat([last[:, :, None], wave], 2).flatten(2, 3)
        return frames[:, :, self.own] + frames[:, :, self.previous], phase, wave[:, -1, -1]


class NoiseBands(nn.Module):
    """White noise in bands of equal width to the ear, each as loud as asked at a few points of a tick."""

    table: Tensor
    part: Tensor
    share: Tensor
    which_pan: Tensor

    def __init__(self, samples: int, points: int, sample_rate: float, bands: int = 24, pans: int = 8) -> None:
        super().__init__()
        self.bands, self.points = bands, points
        self.ticks = max(1, math.ceil(NOISE_SECONDS * sample_rate / samples))
        begins = np.asarray(edges(samples, points))
        part = np.repeat(np.arange(points), np.diff(begins))
        share = (np.arange(samples) + 1 - begins[part]) / np.diff(begins)[part]
        self.register_buffer("part", torch.from_numpy(part), persistent=False)
        self.register_buffer("share", torch.from_numpy(share).float()[:, None, None], persistent=False)
        length = self.ticks * samples
        hertz = np.arange(length // 2 + 1) * sample_rate / length
        which = _groups(hertz, bands, sample_rate).numpy()
        angle = np.random.default_rng(0).uniform(0, 2 * np.pi, len(hertz))
        angle[0] = 0
        table = np.stack(
            [np.fft.irfft((which == band) * np.exp(1j * angle), length) for band in range(bands)], -1
        )
        table /= np.sqrt((table**2).mean(0)) + 1e-9
        self.register_buffer(
            "table", torch.from_numpy(table).float().view(self.ticks, samples, bands), persistent=False
        )
        self.register_buffer("which_pan", torch.arange(bands) * pans // bands, persistent=False)

    def forward(
        self, amplitude: Tensor, sides: Tensor, before: Tensor, tick: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """amplitude: root mean squares `[B, T, frames, subframes, bands]`. sides: `[B, T, frames, pans, C]`.

        before: the last loudness `[B, bands, C]`. tick: which tick of the noise is next, `[B]`. Returns sound
        `[B, T, N, C]`, loudness and tick.
        """
        loud = (amplitude[..., None] * sides[:, :, :, None, self.which_pan]).flatten(2, 3)
        first = torch.cat([before[:, None], loud[:, :-1, -1]], 1)
        loud = torch.cat([first[:, :, None], loud], 2)  # [B, T, points + 1, bands, C]
        here = torch.lerp(loud[:, :, self.part], loud[:, :, self.part + 1], self.share)
        number = (tick[:, None] + torch.arange(loud.shape[1], device=tick.device)) % self.ticks
        sound = (here * self.table[number][..., None]).sum(3)
        return sound, loud[:, -1, -1], (tick + loud.shape[1]) % self.ticks


def _late_window(length: int) -> Tensor:
    """A window that rises slowly and falls within its last eighth, so that what just happened counts."""
    fall = length // 8
    rise = torch.hann_window(2 * (length - fall))[: length - fall]
    window = torch.cat([rise, torch.hann_window(2 * fall)[fall:]])
    return window * 2 / window.sum()


def _kernel(x: Tensor) -> Tensor:
    """How much of an oscillator that is `x` bins away a bin takes."""
    inside = (1 - (2 / TAPS * x).square()).clamp_min(1e-6)
    return (SHARPNESS * (inside.sqrt() - 1)).exp()


def _kernel_transform(u: np.ndarray) -> np.ndarray:
    """Fourier transform of `_kernel` at `u` turns a bin: what spreading makes of a constant loudness."""
    x = (np.arange(4000) + 0.5) / 4000 * (TAPS / 2)
    kernel = np.exp(SHARPNESS * (np.sqrt(1 - (2 / TAPS * x) ** 2) - 1))
    return 2 * (kernel * np.cos(2 * np.pi * x * u[:, None])).mean(1) * (TAPS / 2)


def _groups(hertz: np.ndarray, count: int, sample_rate: float) -> Tensor:
    """Which of `count` groups of equal width to the ear (mel) each frequency belongs to."""
    mel = np.log1p(hertz / 700) / np.log1p(sample_rate / 2 / 700)
    return torch.from_numpy(np.minimum((mel * count).astype(np.int64), count - 1))
