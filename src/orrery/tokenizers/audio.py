"""Sound as a few numbers a tick, and back, without latency.

The encoder reads causal log spectra. The decoder writes the amplitude and the pitch of a bank of narrow bands
about every millisecond (`oscillators.py`). Phase is integrated from pitch, never predicted, so that only what
can be heard has to be learned.

Sources: oscillator bank and filtered noise as the decoder's head, Engel et al. 2020, "DDSP",
arXiv:2001.04643; a head that ends in a fixed frame-wise transform, Siuzdak 2023, "Vocos", arXiv:2306.00814;
blocks after Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.errors import BadUse
from orrery.tokenizers.oscillators import BandControls, BankState, OscillatorBank

__all__ = ["AudioDecoderState", "AudioTokenizer", "AudioTokenizerConfig"]

FLOOR = 3e-5  # features start 90 dB under full scale: below that the encoder hears nothing
QUIET = 3e-4  # amplitudes are linear in the decoder's output below this, exponential above
TONE_GROUPS, NOISE_GROUPS = 16, 8  # of bands whose level takes the same course within a frame
SOFT_CLIP = 2.0  # in standard deviations: latents are nearly linear below it and logarithmic above


@dataclass(frozen=True)
class AudioTokenizerConfig:
    """Sizes of an `AudioTokenizer`.

    samples_per_tick, samples_per_second: the clock; two channels (left, right).
    tokens_per_tick, latent_width: the bottleneck.
    frames_per_tick: frames of the network in a tick; a multiple of `tokens_per_tick`.
    subframes_per_frame: amplitudes that a frame emits; sets the sharpness of onsets.
    num_bands: oscillators. num_noise_bands, num_pan_bands: coarser groups of them (divisors of `num_bands`).
    long_window, short_window: samples of the encoder's two analysis windows.
    """

    samples_per_tick: int = 2000
    samples_per_second: int = 24_000
    tokens_per_tick: int = 2
    latent_width: int = 32
    width: int = 128
    frames_per_tick: int = 8
    subframes_per_frame: int = 10
    num_bands: int = 128
    num_noise_bands: int = 32
    num_pan_bands: int = 8
    num_encoder_blocks: int = 3
    num_decoder_blocks: int = 3
    kernel: int = 5
    long_window: int = 1024
    short_window: int = 256

    def __post_init__(self) -> None:
        if self.frames_per_tick % self.tokens_per_tick:
            raise BadUse(
                f"frames_per_tick {self.frames_per_tick} is not a multiple of {self.tokens_per_tick}"
            )
        if self.samples_per_tick % (self.frames_per_tick * self.subframes_per_frame):
            raise BadUse(f"{self.samples_per_tick} samples a tick do not divide into frames and subframes")
        if any(self.num_bands % n for n in (self.num_noise_bands, self.num_pan_bands, TONE_GROUPS)):
            raise BadUse(f"num_bands {self.num_bands} is not a multiple of the noise bands, pan bands and 16")
        if self.num_noise_bands % NOISE_GROUPS:
            raise BadUse(f"num_noise_bands {self.num_noise_bands} is not a multiple of {NOISE_GROUPS}")

    @property
    def samples_per_frame(self) -> int:
        return self.samples_per_tick // self.frames_per_tick

    @property
    def hop(self) -> int:
        """Samples between two amplitudes of the synthesis."""
        return self.samples_per_frame // self.subframes_per_frame

    @property
    def frames_per_token(self) -> int:
        return self.frames_per_tick // self.tokens_per_tick


class AudioDecoderState(NamedTuple):
    """All that the decoder remembers between ticks; every tensor leads with the batch.

    caches: inputs of each causal convolution, `[B, kernel - 1, width]`. bank: the oscillators' state.
    """

    caches: tuple[Tensor, ...]
    bank: BankState


class CausalBlock(nn.Module):
    """Depthwise causal convolution, then a pointwise MLP, with a residual; `[B, L, C]` in and out."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.mix = nn.Parameter(torch.randn(kernel, width) / math.sqrt(kernel * 4))
        self.norm = nn.RMSNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        nn.init.normal_(self.contract.weight, std=0.02)

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """cache: the `kernel - 1` inputs before `x`; returns the output and the cache for what follows."""
        padded = torch.cat([cache, x], 1)
        length = x.shape[1]
        mixed = padded[:, :length] * self.mix[0]
        for tap in range(1, self.kernel):
            mixed = torch.addcmul(mixed, padded[:, tap : tap + length], self.mix[tap])
        x = x + self.contract(F.gelu(self.expand(self.norm(mixed + x)), approximate="tanh"))
        return x, padded[:, length:]


class AudioFeatures(nn.Module):
    """Causal log spectra and millisecond energies of stereo sound; exactly zero for silence."""

    long: Tensor
    short: Tensor

    def __init__(self, config: AudioTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.long_window // 2 + 1 + 2 * (config.short_window // 2 + 1)
        self.width += 4 * config.subframes_per_frame
        self.register_buffer("long", late_window(config.long_window), persistent=False)
        self.register_buffer("short", late_window(config.short_window), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """`[B, samples, 2]` to `[B, frames, width]`; frame k uses samples up to its own end."""
        frame = self.config.samples_per_frame
        left_right = audio.transpose(1, 2)
        long = self.magnitude(left_right, self.long).square().mean(1).sqrt()
        short = self.magnitude(left_right, self.short).transpose(1, 2).flatten(2)
        # The first difference is a high pass: clicks stand out of a low ring in it.
        difference = left_right - F.pad(left_right, (1, 0))[..., :-1]
        both = torch.cat([left_right, difference], 1).unflatten(2, (-1, frame))
        energy = both.unflatten(3, (-1, self.config.hop)).square().mean(-1).sqrt()
        features = torch.cat([long, short, energy.transpose(1, 2).flatten(2)], -1)
        return (features + FLOOR).log() / -math.log(FLOOR) + 1

    def magnitude(self, left_right: Tensor, window: Tensor) -> Tensor:
        frame = self.config.samples_per_frame
        padded = F.pad(left_right, (len(window) - frame, 0))
        return torch.fft.rfft(padded.unfold(2, len(window), frame) * window).abs()


def late_window(length: int) -> Tensor:
    """A window that rises slowly and falls within its last eighth, so that what just happened counts; a
    sinusoid of amplitude 1 reads 1."""
    fall = length // 8
    rise = torch.hann_window(2 * (length - fall))[: length - fall]
    window = torch.cat([rise, torch.hann_window(2 * fall)[fall:]])
    return window * 2 / window.sum()


class AudioTokenizer(nn.Module):
    """Stereo sound to `tokens_per_tick` latents of `latent_width` a tick, and back; both ways causal.

    Latents are near zero mean, unit variance and within about 4.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AudioTokenizerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AudioTokenizerConfig()
        width, per_token = config.width, config.frames_per_token
        self.features = AudioFeatures(config)
        self.embed = nn.Linear(self.features.width, width)
        self.encoder = self._blocks(config.num_encoder_blocks)
        self.to_token = nn.Linear(per_token * width, width)
        self.token_norm = nn.RMSNorm(width)
        self.to_latent = nn.Linear(width, config.latent_width)
        self.from_latent = nn.Linear(config.latent_width, width)
        self.token_decoder = self._blocks(1)
        self.to_frames = nn.Linear(width, per_token * width)
        self.decoder = self._blocks(config.num_decoder_blocks)
        self.norm = nn.RMSNorm(width)
        self.level = nn.Linear(width, config.num_bands + config.num_noise_bands)
        self.course = nn.Linear(width, config.subframes_per_frame * (TONE_GROUPS + NOISE_GROUPS))
        self.detune = nn.Linear(width, config.num_bands)
        self.pan = nn.Linear(width, config.num_pan_bands)
        self.bank = OscillatorBank(config.num_bands, config.hop, config.samples_per_second)
        self.register_buffer("latent_mean", torch.zeros(config.latent_width))
        self.register_buffer("latent_std", torch.ones(config.latent_width))
        for head in (self.level, self.course, self.detune, self.pan):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        nn.init.orthogonal_(self.to_latent.weight)
        nn.init.constant_(self.level.bias, 0.5)

    def _blocks(self, count: int) -> nn.ModuleList:
        return nn.ModuleList(CausalBlock(self.config.width, self.config.kernel) for _ in range(count))

    def encode(self, audio: Tensor) -> Tensor:
        """Sound `[B, ticks, samples, 2]`, full scale 1, to normalised latents `[B, ticks, tokens, D]`."""
        return self.normalise(self.encode_raw(audio))

    def encode_raw(self, audio: Tensor) -> Tensor:
        """Latents before normalisation, each within [-3, 3]."""
        config = self.config
        if audio.dim() != 4 or audio.shape[2:] != (config.samples_per_tick, 2):
            raise BadUse(f"audio is [B, ticks, {config.samples_per_tick}, 2], got {list(audio.shape)}")
        x = self.embed(self.features(audio.flatten(1, 2)))
        for block in self.encoder:
            x, _ = block(x, x.new_zeros(x.shape[0], config.kernel - 1, config.width))
        x = self.to_token(x.unflatten(1, (-1, config.frames_per_token)).flatten(2))
        latents = 3 * torch.tanh(self.to_latent(self.token_norm(x)) / 3)
        return latents.unflatten(1, (-1, config.tokens_per_tick))

    def normalise(self, raw: Tensor) -> Tensor:
        """Standardise and soft-clip: silence dominates, so that sound lies many deviations from the mean."""
        return SOFT_CLIP * torch.asinh((raw - self.latent_mean) / (self.latent_std * SOFT_CLIP))

    def denormalise(self, latents: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        bounded = latents.clamp(-6.0, 6.0) / SOFT_CLIP
        return torch.sinh(bounded) * self.latent_std * SOFT_CLIP + self.latent_mean

    def initial_state(self, batch: int) -> AudioDecoderState:
        """The state of a decoder that has heard nothing."""
        config, weight = self.config, self.level.weight
        num_caches = 1 + config.num_decoder_blocks
        cache = weight.new_zeros(batch, config.kernel - 1, config.width)
        return AudioDecoderState((cache,) * num_caches, self.bank.initial_state(batch))

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents `[B, ticks, tokens, D]` to sound `[B, ticks, samples, 2]`, after silence."""
        samples, _ = self.decode_raw(self.denormalise(latents), self.initial_state(latents.shape[0]))
        return samples

    def decode_tick(
        self, latents: Tensor, stream_state: AudioDecoderState | None = None
    ) -> tuple[Tensor, AudioDecoderState]:
        """One tick of latents `[B, tokens, D]` to its sound `[B, samples, 2]` and the state for the next.

        The same sound as `decode`, to rounding. None starts a stream.
        """
        state = stream_state or self.initial_state(latents.shape[0])
        samples, state = self.decode_raw(self.denormalise(latents)[:, None], state)
        return samples[:, 0], state

    def decode_raw(self, raw: Tensor, state: AudioDecoderState) -> tuple[Tensor, AudioDecoderState]:
        """Latents before normalisation `[B, ticks, tokens, D]` to sound `[B, ticks, samples, 2]`."""
        controls, caches = self.controls(raw, state.caches)
        samples, bank = self.bank(controls, state.bank)
        return samples.unflatten(1, (raw.shape[1], -1)), AudioDecoderState(caches, bank)

    def controls(self, raw: Tensor, before: tuple[Tensor, ...]) -> tuple[BandControls, tuple[Tensor, ...]]:
        """What `decode_raw` plays, and the caches moved on."""
        config, caches = self.config, list(before)
        x = self.from_latent(raw.flatten(1, 2))
        x, caches[0] = self.token_decoder[0](x, caches[0])
        x = self.to_frames(x).unflatten(2, (config.frames_per_token, -1)).flatten(1, 2)
        for index, block in enumerate(self.decoder, 1):
            x, caches[index] = block(x, caches[index])
        x = self.norm(x)
        # What rings changes slowly and band by band, when it rings changes fast and for many bands at once.
        level = self.level(x).split([config.num_bands, config.num_noise_bands], -1)
        course = self.course(x).unflatten(2, (config.subframes_per_frame, -1))
        tone, hiss = (
            self.loudness(a[:, :, None] + b.repeat_interleave(a.shape[-1] // b.shape[-1], -1))
            for a, b in zip(level, course.split([TONE_GROUPS, NOISE_GROUPS], -1), strict=True)
        )
        # Equal power: the squares of the two gains sum to 2.
        angle = math.pi / 4 * (1 + torch.tanh(self.pan(x)))
        pan = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], 2)
        controls = BandControls(tone, hiss, torch.tanh(self.detune(x)), pan)
        return controls, tuple(caches)

    def loudness(self, x: Tensor) -> Tensor:
        """Any number to an amplitude: exactly 0 below 0, linear up to about -70 dBFS, exponential above."""
        return QUIET * torch.sinh(x.clamp(0.0, 9.0))
