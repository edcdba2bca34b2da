"""Sound: log spectra in, a spectrum of oscillators and bands of noise out, both causal, any tick length.

The encoder hears magnitudes only, so latents carry no phase, which no model of a world could predict. The
decoder therefore integrates phase: every bin of a spectrum holds one oscillator that keeps its phase from
frame to frame and may lie anywhere within its bin. An oscillator between two bins is spread over the five
nearest, an inverse FFT makes all of them sound, and frames are crossfaded (Rodet and Depalle 1992, "Spectral
envelopes and inverse FFT synthesis"; the spreading and its correction are those of a non-uniform FFT, Barnett
et al. 2019, arXiv:1808.06736). What is no tone is noise in bands whose loudness changes every two
milliseconds (Serra and Smith 1990, "Spectral modeling synthesis"). A network of frames that ends in a fixed
inverse transform follows Siuzdak 2023, "Vocos", arXiv:2306.00814.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orrery.models.tokenizers.audio_parts import AudioFeatures, NoiseBands, Tones
from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.streams import Clock, StreamSpec

__all__ = ["AudioControls", "AudioTokenizer"]

FRAME_SECONDS = 0.008
SUBFRAME_SECONDS = 0.002
KERNEL = 5  # frames that a block reads
QUIET = 3e-4  # amplitudes are linear in the network's output below this, exponential above
LOUDEST = 9.0  # of the network's output: an amplitude of 1.2
SOFT_CLIP = 2.0  # standard deviations: latents are nearly linear below it and logarithmic above
COURSES = 8  # groups of noise bands whose loudness takes the same course within a frame
PANS = 8  # groups of neighbouring frequencies that come from the same side


class AudioControls(NamedTuple):
    """What is played, frame by frame.

    tone: amplitude of each oscillator, `[B, T, frames, bins]`. detune: where in its bin it is, in [-1, 1] of
    the reach. hiss: root mean square of each band of noise, `[B, T, frames, subframes, bands]`. sides: gains
    of the channels, `[B, T, frames, PANS, channels]`, squares of mean 1.
    """

    tone: Tensor
    detune: Tensor
    hiss: Tensor
    sides: Tensor


class AudioTokenizer(Tokenizer):
    """`[B, T, N, channels]` float32, full scale 1, as two to four tokens a tick; any N, one or two channels.

    A frame of the network is about 8 ms, or the tick where that is shorter. The sound of a tick is made from
    its own latents and those before; what overlaps into the next tick is in the memory.

    sample_rate: hertz. latents: numbers a token. hidden: width of the network. frame_rank: numbers by which
    a frame passes between the frames of a tick and its tokens; 0 for what suits the number of frames.
    """

    learned = True
    which_course: Tensor
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        spec: StreamSpec,
        sample_rate: float,
        latents: int = 32,
        hidden: int = 128,
        encoder_blocks: int = 2,
        decoder_blocks: int = 3,
        frame_rank: int = 0,
    ) -> None:
        super().__init__(spec)
        self.samples, self.channels = spec.shape
        if self.channels not in (1, 2):
            raise ValueError(f"{spec.name}: sound has one or two channels, got {self.channels}")
        self.sample_rate, self.hidden = float(sample_rate), hidden
        seconds = self.samples / self.sample_rate
        self.frames = max(1, round(seconds / FRAME_SECONDS))
        self.subframes = max(1, round(seconds / self.frames / SUBFRAME_SECONDS))
        self.frame_rank = frame_rank = frame_rank or max(4, min(48, 512 // self.frames))
        self._set_sizes(min(4, max(2, round(seconds * 25))), latents)
        self.features = AudioFeatures(
            self.samples, self.channels, self.frames, self.subframes, self.sample_rate
        )
        self.tones = Tones(self.samples, self.frames, self.sample_rate)
        self.noise = NoiseBands(self.samples, self.frames * self.subframes, self.sample_rate)

        numbers = self.tokens * latents
        self.embed = nn.Linear(self.features.width, hidden)
        self.encoder = nn.ModuleList(_Block(hidden) for _ in range(encoder_blocks))
        self.narrow = nn.Linear(hidden, frame_rank)
        self.to_latents = nn.Linear(self.frames * frame_rank, numbers)
        self.from_latents = nn.Linear(numbers, self.frames * frame_rank)
        self.widen = nn.Linear(frame_rank, hidden)
        self.place = nn.Parameter(0.02 * torch.randn(self.frames, hidden))
        self.decoder = nn.ModuleList(_Block(hidden) for _ in range(decoder_blocks))
        self.norm = nn.RMSNorm(hidden)
        bins, bands = self.tones.bins, self.noise.bands
        self.head_sizes = [bins, bins, bands, COURSES * self.subframes, PANS]
        self.head = nn.Linear(hidden, sum(self.head_sizes))
        which_course = torch.arange(bands) * COURSES // bands
        self.register_buffer("which_course", which_course, persistent=False)
        self.register_buffer("latent_mean", torch.zeros(latents))
        self.register_buffer("latent_std", torch.ones(latents))
        nn.init.normal_(self.head.weight, std=0.02)
        with torch.no_grad():
            loud = self.head.bias.zero_().split(self.head_sizes)
            loud[0].fill_(0.5)
            loud[2].fill_(0.5)

    @classmethod
    def for_stream(cls, spec: StreamSpec, clock: Clock) -> Self:
        """See `Tokenizer`."""
        return cls(spec, sample_rate=clock.samples_per_second)

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {
            "sample_rate": self.sample_rate,
            "latents": self.width,
            "hidden": self.hidden,
            "encoder_blocks": len(self.encoder),
            "decoder_blocks": len(self.decoder),
            "frame_rank": self.frame_rank,
        }

    @torch.no_grad()
    def normalise(self, raw: Tensor) -> None:
        """Take mean and spread of raw latents `[..., width]`; `encode` then gives about unit variance."""
        flat = raw.float().reshape(-1, self.width)
        self.latent_mean.copy_(flat.mean(0))
        self.latent_std.copy_(flat.std(0, correction=0).clamp_min(1e-2))

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`; the memory holds the last samples and the last frames of each block."""
        raw, memory = self.encode_raw(ticks, memory)
        return SOFT_CLIP * torch.asinh((raw - self.latent_mean) / (self.latent_std * SOFT_CLIP)), memory

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`; the memory holds the overlap, the phases and the last frames of each block."""
        bounded = torch.sinh(latents.float().clamp(-8.0, 8.0) / SOFT_CLIP)
        sound, memory = self.decode_raw(bounded * self.latent_std * SOFT_CLIP + self.latent_mean, memory)
        low, high = self.spec.low, self.spec.high
        return (sound if low is None and high is None else sound.clamp(low, high)), memory

    def encode_raw(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Latents before they are normalised."""
        before = memory or self._silence(ticks.shape[0])
        after: Memory = {}
        features, after["samples"] = self.features(ticks.float(), before["samples"])
        x = self.embed(features.flatten(1, 2))
        x = self._blocks("encoder", x, before, after)
        x = self.narrow(x).unflatten(1, (-1, self.frames)).flatten(2)
        raw = SOFT_CLIP * torch.asinh(self.to_latents(x) / SOFT_CLIP)
        return raw.unflatten(2, (self.tokens, self.width)), after

    def decode_raw(self, raw: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """The inverse of `encode_raw`, unclipped."""
        before = memory or self._silence(raw.shape[0])
        controls, after = self.controls(raw, before)
        sound, more = self.play(controls, before)
        return sound, after | more

    def controls(self, raw: Tensor, memory: Memory | None = None) -> tuple[AudioControls, Memory]:
        """What the latents ask to be played."""
        before = memory or self._silence(raw.shape[0])
        after: Memory = {}
        x = self.from_latents(raw.flatten(2)).unflatten(2, (self.frames, -1))
        x = (self.widen(F.silu(x)) + self.place).flatten(1, 2)
        x = self.norm(self._blocks("decoder", x, before, after)).unflatten(1, (-1, self.frames))
        tone, detune, hiss, course, pan = self.head(x).split(self.head_sizes, -1)
        # What rings changes slowly and band by band, what begins changes fast and for many bands at once.
        course = course.unflatten(-1, (self.subframes, COURSES))[..., self.which_course]
        hiss = self._loudness(hiss[..., None, :] + course)
        return AudioControls(self._loudness(tone), torch.tanh(detune), hiss, self._sides(pan)), after

    def play(self, controls: AudioControls, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Sound `[B, T, N, channels]`, unclipped."""
        before = memory or self._silence(controls.tone.shape[0])
        after: Memory = {}
        tones, after["phase"], after["overlap"] = self.tones(
            controls.tone, controls.detune, controls.sides, before["phase"], before["overlap"]
        )
        noise, after["hiss"], after["tick"] = self.noise(
            controls.hiss, controls.sides, before["hiss"], before["tick"]
        )
        return tones + noise, after

    def _blocks(self, name: str, x: Tensor, before: Memory, after: Memory) -> Tensor:
        for index, block in enumerate(getattr(self, name)):
            x, after[f"{name}{index}"] = block(x, before[f"{name}{index}"])
        return x

    def _silence(self, batch: int) -> Memory:
        """The memory of who has heard and played nothing."""
        like = self.embed.weight
        shapes = {
            "samples": (self.features.history, self.channels),
            "phase": (self.tones.bins,),
            "overlap": (self.channels, self.tones.length),
            "hiss": (self.channels, self.noise.bands),
        }
        for name, count in (("encoder", len(self.encoder)), ("decoder", len(self.decoder))):
            shapes |= {f"{name}{index}": (KERNEL - 1, self.hidden) for index in range(count)}
        memory = {name: like.new_zeros(batch, *shape) for name, shape in shapes.items()}
        return memory | {"tick": torch.zeros(batch, dtype=torch.int64, device=like.device)}

    def _sides(self, pan: Tensor) -> Tensor:
        """Gains of the channels `[..., PANS, channels]`, of equal power."""
        if self.channels == 1:
            return torch.ones_like(pan)[..., None]
        angle = math.pi / 4 * (1 + torch.tanh(pan))
        return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], -1)

    def _loudness(self, x: Tensor) -> Tensor:
        """Any number to an amplitude: exactly 0 below 0, linear up to about -70 dBFS, exponential above."""
        if not x.requires_grad:
            return QUIET * torch.sinh(x.clamp(0.0, LOUDEST))
        # In training nothing is quite zero, since the gradient of a magnitude vanishes there.
        return QUIET * (torch.sinh(_Rectifier.apply(x).clamp(max=LOUDEST)) + 0.02)  # pyright: ignore


class _Block(nn.Module):
    """Depthwise causal convolution, then a pointwise MLP, with a residual; `[B, L, C]` in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(KERNEL, width) / math.sqrt(KERNEL * 4))
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.normal_(self.down.weight, std=0.02)

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """before: the `KERNEL - 1` inputs before `x`; returns those before what follows, too."""
        padded, length = torch.cat([before, x], 1), x.shape[1]
        mixed = (padded.unfold(1, KERNEL, 1) * self.mix.T).sum(-1)
        return x + self.down(F.silu(self.up(self.norm(mixed + x)))), padded[:, length:]


class _Rectifier(torch.autograd.Function):
    """max(x, 0) whose gradient also reaches a negative x that should grow.

    Without it, or with a leak both ways, what was silent once drifts down and never sounds again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        (gradient,) = grad_outputs
        return torch.where((x > 0) | (gradient < 0), gradient, 0.0)
