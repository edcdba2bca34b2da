"""The fixed parts of the audio tokenizer: what it hears, how tones and noise sound. Nothing here is learned.

A tick of N samples has frames that begin at `floor(k N / frames)`, so that N need not divide: hops differ by
at most one sample, and the pattern is the same in every tick.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
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
        self.first, self.bins = 2, self.spectrum // 2 - 4
        begins = edges(samples, frames)
        self.begins = begins[:-1]
        hops = np.diff(begins)
        fade = int(hops.min())
        self.length = length = 2 * ((int(hops.max()) + fade + 2) // 2)  # of a frame; the last sample is 0
        rise = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / fade) ** 2
        fades = np.zeros((frames, length))
        for frame, hop in enumerate(hops):
            fades[frame, :fade], fades[frame, fade:hop] = rise, 1
            fades[frame, hop : hop + fade] = 1 - rise
        fades /= _kernel_transform((np.arange(length) - length // 2) / self.spectrum) * 2 / self.spectrum
        self._keep("fades", torch.from_numpy(fades).float()[:, None])
        # Whole bins turn by whole parts of a circle: wrapped here, where it is exact.
        bins = np.arange(self.first, self.first + self.bins)
        turns = np.roll(hops, 1)[:, None] * bins % self.spectrum / self.spectrum
        self._keep("turns", torch.from_numpy(turns))
        self._keep("steps", torch.from_numpy(np.roll(hops, 1) / self.spectrum)[:, None])
        # A sample is played by the frame that it lies in and by the one before; frame 0 is the last tick's.
        frame = np.repeat(np.arange(frames), hops)
        offset = np.arange(samples) - np.asarray(begins)[frame]
        late = np.minimum(offset + np.roll(hops, 1)[frame], length - 1)
        self._keep("own", torch.from_numpy((frame + 1) * length + offset))
        self._keep("previous", torch.from_numpy(frame * length + late))
        self._keep(
            "which_pan",
            _groups(np.arange(self.bins + TAPS - 1) * sample_rate / self.spectrum, pans, sample_rate),
        )

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def forward(
        self, amplitude: Tensor, detune: Tensor, sides: Tensor, phase: Tensor, overlap: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """amplitude, detune in [-1, 1]: `[B, T, frames, bins]`. sides: `[B, T, frames, pans, C]`.

        phase: of the last frame, in turns, `[B, bins]`. overlap: its samples, `[B, C, length]`. Returns sound
        `[B, T, N, C]`, phase and overlap. No gradient goes through the phase, which is not heard.
        """
        offset = REACH * detune
        with torch.no_grad():
            turns = (self.turns + offset.double() * self.steps).flatten(1, 2).cumsum(1)
            turns = (turns + phase[:, None]) % 1.0
            angle = (2 * math.pi * turns).float().unflatten(1, amplitude.shape[1:3])
        phase = turns[:, -1].to(amplitude.dtype)
        # Bin k takes what the oscillators two below to two above spread to it.
        taps = torch.arange(TAPS, device=offset.device) - TAPS // 2
        shares = _kernel(taps.view(-1, *[1] * offset.dim()) - offset).unbind(0)
        parts = torch.stack([amplitude * angle.cos(), amplitude * angle.sin()])
        spread = [F.pad(parts * share, (tap, TAPS - 1 - tap)) for tap, share in enumerate(shares)]
        spectrum = torch.complex(*sum(spread[1:], spread[0]).unbind(0))
        spectrum = spectrum[..., None, :] * sides[..., self.which_pan, :].mT
        wave = torch.fft.irfft(spectrum, self.spectrum)
        half = self.length // 2
        wave = torch.cat([wave[..., -half:], wave[..., :half]], -1) * self.fades  # [B, T, frames, C, length]
        last = torch.cat([overlap[:, None], wave[:, :-1, -1]], 1)
        frames = torch.cat([last[:, :, None], wave], 2).transpose(2, 3).flatten(3)
        sound = frames[..., self.own] + frames[..., self.previous]
        return sound.mT, phase, wave[:, -1, -1]


class NoiseBands(nn.Module):
    """White noise in bands of equal width to the ear, each as loud as asked at a few points of a tick."""

    table: Tensor
    share: Tensor
    place: Tensor
    which_pan: Tensor

    def __init__(self, samples: int, points: int, sample_rate: float, bands: int = 24, pans: int = 8) -> None:
        super().__init__()
        self.bands, self.sample_rate = bands, sample_rate
        self.ticks = max(1, math.ceil(NOISE_SECONDS * sample_rate / samples))
        begins = edges(samples, points)
        longest = max(b - a for a, b in itertools.pairwise(begins))
        table = np.zeros((self.ticks, points, bands, longest), np.float32)
        share = np.zeros((points, 1, longest), np.float32)
        noise = _band_noise(self.ticks * samples, bands, sample_rate).reshape(bands, self.ticks, samples)
        place = []
        for point, (begin, end) in enumerate(itertools.pairwise(begins)):
            table[:, point, :, : end - begin] = noise[:, :, begin:end].transpose(1, 0, 2)
            share[point, :, : end - begin] = np.arange(1, end - begin + 1) / (end - begin)
            place.append(point * longest + np.arange(end - begin))
        self.register_buffer("table", torch.from_numpy(table), persistent=False)
        self.register_buffer("share", torch.from_numpy(share), persistent=False)
        self.register_buffer("place", torch.from_numpy(np.concatenate(place)), persistent=False)
        self.register_buffer("which_pan", torch.arange(bands) * pans // bands, persistent=False)

    def forward(
        self, amplitude: Tensor, sides: Tensor, before: Tensor, tick: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """amplitude: root mean squares `[B, T, frames, subframes, bands]`. sides: `[B, T, frames, pans, C]`.

        before: the last loudness `[B, C, bands]`. tick: which tick of the noise is next, `[B]`. Returns sound
        `[B, T, N, C]`, loudness and tick. Between two points the loudness is a straight line.
        """
        gains = sides[..., self.which_pan, :].transpose(-1, -2)  # [B, T, frames, C, bands]
        loud = (amplitude[:, :, :, :, None] * gains[:, :, :, None]).flatten(2, 3)
        shape = loud.shape  # [B, T, points, C, bands]
        earlier = torch.cat([before[:, None], loud.flatten(1, 2)[:, :-1]], 1).view(shape)
        number = (tick[:, None] + torch.arange(shape[1], device=tick.device)) % self.ticks
        pair = torch.cat([earlier, loud], 3) @ self.table[number]  # [B, T, points, 2 C, longest]
        at_begin, at_end = pair.chunk(2, 3)
        sound = at_begin + (at_end - at_begin) * self.share
        sound = sound.transpose(2, 3).flatten(3)[..., self.place]
        return sound.transpose(2, 3), loud[:, -1, -1], (tick + shape[1]) % self.ticks

    def of_bins(self, length: int) -> Tensor:
        """`[length // 2 + 1, bands]`: 1 where a bin of a spectrum of `length` samples belongs to a band."""
        hertz = np.arange(length // 2 + 1) * self.sample_rate / length
        which = _groups(hertz, self.bands, self.sample_rate).to(self.share.device)
        return F.one_hot(which, self.bands).float()


def _band_noise(length: int, bands: int, sample_rate: float) -> np.ndarray:
    """`[bands, length]`: noise that repeats without a seam, in bands apart from each other; mean square 1."""
    hertz = np.arange(length // 2 + 1) * sample_rate / length
    which = _groups(hertz, bands, sample_rate).numpy()
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, len(hertz))
    noise = np.fft.irfft((which == np.arange(bands)[:, None]) * np.exp(1j * angle), length)
    return noise / (np.sqrt((noise**2).mean(1, keepdims=True)) + 1e-9)


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
