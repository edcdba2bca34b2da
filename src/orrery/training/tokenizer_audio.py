"""Trains the audio tokenizer on short clips, most of which hold an onset.

Every clip of a batch is compared by its parts (lines and noise of its spectrum, against the decoder's
controls), which is cheap and teaches which band rings; a few are also synthesised and compared as sound.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orrery.atomic import write_atomically
from orrery.data.dataset import Dataset
from orrery.errors import BadUse
from orrery.streams import Array
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.oscillators import BandControls
from orrery.training.audio_losses import AUDIBLE, Parts, audio_loss, parts_loss, spectral_distance_db
from orrery.training.optimizers import MuonWithAdamW, cosine, make_optimizer

__all__ = [
    "AudioClips", "AudioTrainingConfig", "load_audio", "silence_level_dbfs", "synthetic_impacts",
    "train_audio_tokenizer",
]  # fmt: skip

ENCODER = ("embed", "encoder", "to_token", "token_norm", "to_latent")
SILENCE_DBFS = -120.0  # what digital silence is called, since its logarithm is not a number


@dataclass(frozen=True)
class AudioTrainingConfig:
    """How to train.

    tokenizer: the network. batch_size, clip_ticks: a batch is `[batch_size, clip_ticks, samples, 2]`.
    latent_noise: standard deviation added to the latents (which lie within 3), so that small errors of a
    model of latents are not heard. latent_penalty: weight of their mean square.
    batch_heard: how many clips of the batch are also synthesised and compared as sound, which costs far more
    than comparing what they consist of.
    log_every, save_every: steps.
    """

    tokenizer: AudioTokenizerConfig = dataclasses.field(default_factory=AudioTokenizerConfig)
    batch_size: int = 16
    batch_heard: int = 4
    clip_ticks: int = 6
    lr_matrix: float = 0.01
    lr_other: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 20
    latent_noise: float = 0.1
    latent_penalty: float = 0.03
    ema_decay: float = 0.998
    log_every: int = 25
    save_every: int = 500


class AudioClips:
    """Episodes of sound, from which clips are drawn, mostly such that something starts to sound in them.

    episodes: each `[ticks, samples, 2]` float32, full scale 1. The last one in twenty (at least one, where
    there are two) is held out.
    """

    def __init__(self, episodes: Sequence[Array], onset_share: float = 0.8) -> None:
        if not episodes:
            raise BadUse("there is no sound to train on: the list of episodes is empty")
        num_held_out = max(1, len(episodes) // 20) if len(episodes) > 1 else 0
        self.held_out = list(episodes[len(episodes) - num_held_out :]) or list(episodes)
        self.episodes = list(episodes[: len(episodes) - num_held_out])
        self.onset_share = onset_share
        self._rises = [self._rise(episode) for episode in self.episodes]

    @staticmethod
    def _rise(episode: Array) -> Array:
        """Chance of each tick to be asked for: by how many nepers it is louder than the one before."""
        level = np.log(np.sqrt((episode.astype(np.float32) ** 2).mean((1, 2))) + AUDIBLE)
        rise = np.maximum(np.diff(level, prepend=math.log(AUDIBLE)), 0)
        return rise / rise.sum() if rise.sum() > 0 else np.full(len(rise), 1 / len(rise))

    def sample(self, rng: np.random.Generator, batch_size: int, num_ticks: int) -> Tensor:
        """`[batch_size, num_ticks, samples, 2]`; shorter episodes are followed by silence."""
        clips = []
        for _ in range(batch_size):
            index = int(rng.integers(len(self.episodes)))
            episode, last = self.episodes[index], max(0, len(self.episodes[index]) - num_ticks)
            start = int(rng.integers(last + 1))
            if rng.random() < self.onset_share:
                onset = int(rng.choice(len(episode), p=self._rises[index]))
                start = int(np.clip(onset - rng.integers(num_ticks), 0, last))
            clips.append(self._cut(episode, start, num_ticks))
        # A swapped or quieter world sounds just as real.
        batch = np.stack(clips) * np.exp(rng.uniform(-0.7, 0.3, (batch_size, 1, 1, 1)))
        swap = rng.random(batch_size) < 0.5
        batch[swap] = batch[swap][..., ::-1]
        return torch.from_numpy(np.ascontiguousarray(batch, np.float32))

    def held_out_clips(self, num_ticks: int, most: int = 32) -> Tensor:
        """At most `most` clips, the same each time."""
        cuts = [self._cut(e, s, num_ticks) for e in self.held_out for s in range(0, len(e), num_ticks)]
        chosen = np.linspace(0, len(cuts) - 1, min(most, len(cuts))).round().astype(int)
        return torch.from_numpy(np.stack([cuts[i] for i in chosen]))

    @staticmethod
    def _cut(episode: Array, start: int, num_ticks: int) -> Array:
        clip = np.asarray(episode[start : start + num_ticks], np.float32)
        return np.pad(clip, ((0, num_ticks - len(clip)), (0, 0), (0, 0)))


def load_audio(dataset: Dataset, stream: str = "audio.main") -> AudioClips:
    """The sound of all readable episodes of a dataset, in memory as 16-bit floats (0.4 GB an hour)."""
    episodes = [dataset.load(index, [stream])[stream] for index in dataset.readable]
    return AudioClips([episode.astype(np.float16) for episode in episodes])


def synthetic_impacts(
    num_episodes: int, num_ticks: int, seed: int, samples_per_tick: int = 2000
) -> list[Array]:
    """Impacts without physics, `[num_ticks, samples_per_tick, 2]` each at 24 kHz: sums of damped sinusoids at
    random times, levels and places, with true silence in between. For tests and first trials."""
    rate, length = 24_000, num_ticks * samples_per_tick
    episodes = []
    for index in range(num_episodes):
        rng = np.random.default_rng((seed, index))
        audio = np.zeros((length, 2))
        for _ in range(rng.poisson(length / rate * 1.5)):
            start = int(rng.integers(length))
            seconds = np.arange(min(length - start, rate)) / rate
            frequency = np.exp(rng.uniform(math.log(200), math.log(2000))) * np.cumsum(
                rng.uniform(0.3, 1.2, 8)
            )
            ring = 10 ** rng.uniform(-1.4, -0.25) * rng.uniform(0.7, 1.3, 8)
            modes = np.cos(2 * np.pi * frequency[:, None] * seconds) * 10 ** (-3 * seconds / ring[:, None])
            modes *= rng.uniform(0, 1, (8, 1)) * (frequency < 11_000)[:, None]
            force = np.sin(np.pi * np.arange(1, 25) / 25)
            sound = np.convolve(modes.sum(0), force / force.sum())[: len(seconds)]
            place = rng.uniform(0.15, math.pi / 2 - 0.15)
            gains = np.array([math.cos(place), math.sin(place)]) * 10 ** rng.uniform(-2, -0.5)
            audio[start : start + len(seconds)] += sound[:, None] * gains
        episodes.append(audio.clip(-1, 1).reshape(num_ticks, samples_per_tick, 2).astype(np.float32))
    return episodes


@torch.no_grad()
def silence_level_dbfs(tokenizer: AudioTokenizer, latent_noise: float = 0.0, num_ticks: int = 12) -> float:
    """RMS, dB of full scale, of decoded silence whose normalised latents carry noise of that deviation."""
    config, device = tokenizer.config, tokenizer.latent_mean.device
    latents = tokenizer.encode(torch.zeros(4, num_ticks, config.samples_per_tick, 2, device=device))
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(device)
    level = tokenizer.decode(latents + latent_noise * noise)[:, 2:].square().mean().sqrt()
    return max(SILENCE_DBFS, 20 * math.log10(max(float(level), 1e-9)))


class _Trainer:
    """Everything that changes while training, so that it can be saved and taken up again."""

    def __init__(
        self,
        clips: AudioClips,
        config: AudioTrainingConfig,
        seed: int,
        device: str,
        decoder_of: AudioTokenizer | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.clips, self.config, self.seed, self.device = clips, config, seed, device
        self.keeps_latents = decoder_of is not None
        self.model = AudioTokenizer(config.tokenizer if decoder_of is None else decoder_of.config).to(device)
        if decoder_of is not None:
            self.model.load_state_dict(decoder_of.state_dict())
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(not name.startswith(ENCODER))
        self.average = deepcopy(self.model).requires_grad_(False).eval()
        self.optimizer: MuonWithAdamW = make_optimizer(
            self.model.named_parameters(), config.lr_matrix, config.lr_other, config.weight_decay, _is_inner
        )
        self.analyse = Parts(self.model).to(device)
        self.step, self.seconds = 0, 0.0

    def train_step(self, progress: float, warmup: float) -> dict[str, float]:
        """One step at `progress` of the whole; drawn from (seed, step) alone, so that resuming repeats it."""
        rng = np.random.default_rng((self.seed, self.step))
        audio = self.clips.sample(rng, self.config.batch_size, self.config.clip_ticks).to(self.device)
        raw = self.model.encode_raw(audio)
        noise = torch.from_numpy(rng.standard_normal(raw.shape, np.float32)).to(self.device)
        noisy = raw + self.config.latent_noise * noise
        controls, _ = self.model.controls(noisy, self.model.initial_state(len(audio)).caches)
        terms = parts_loss(controls, self.analyse(audio.flatten(1, 2)))
        heard = self.config.batch_heard
        # The noise bands start anywhere in their loop, so that no pattern of theirs is learned by heart.
        state = self.model.bank.initial_state(heard)._replace(frame=int(rng.integers(1000)))
        found, _ = self.model.bank(BandControls(*(value[:heard] for value in controls)), state)
        terms |= audio_loss(found, audio[:heard].flatten(1, 2))
        terms["latent"] = self.config.latent_penalty * raw.square().mean()
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, 1.0)
        self.optimizer.set_scale(cosine(progress, warmup, 1.0))
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for average, current in pairs:
            average.lerp_(current, 1 - decay)

    def figures(self) -> dict[str, float]:
        """Held-out figures of the averaged weights, whose normalisation is fitted first."""
        ticks = self.config.clip_ticks
        rng = np.random.default_rng((self.seed, 2**31))
        plain = AudioClips(self.clips.episodes, onset_share=0.0)
        if not self.keeps_latents:
            self.average.fit_normalisation(plain.sample(rng, 16, ticks).to(self.device) for _ in range(8))
        truth = self.clips.held_out_clips(ticks).to(self.device)
        with torch.no_grad():
            found = self.average.decode(self.average.encode(truth))
        return {
            "spectral_distance_db": spectral_distance_db(found, truth),
            "spectral_distance_of_silence_db": spectral_distance_db(torch.zeros_like(truth), truth),
            "silence_dbfs": silence_level_dbfs(self.average),
            "noisy_silence_dbfs": silence_level_dbfs(self.average, 0.1),
        }

    def save(self, out: Path) -> None:
        """Train state to `out/train_state.pt`, in one step; tensors and plain values only."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(out / "train_state.pt", buffer.getvalue())

    def load(self, out: Path) -> None:
        state = torch.load(out / "train_state.pt", map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def _is_inner(name: str, parameter: Tensor) -> bool:
    return name.endswith(("expand.weight", "contract.weight", "to_token.weight", "to_frames.weight"))


def train_audio_tokenizer(
    clips: AudioClips,
    config: AudioTrainingConfig,
    out: Path,
    *,
    budget_minutes: float | None = None,
    num_steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str = "cpu",
    decoder_of: AudioTokenizer | None = None,
) -> AudioTokenizer:
    """Train for a number of steps or of minutes, and return the averaged weights in eval mode.

    out: folder that gets `log.jsonl`, `train_state.pt`, and at the end `audio_tokenizer.safetensors` and
    `figures.json`. resume: go on from its train state; by steps, the result is as if there had been no pause.
    decoder_of: train only the decoder of this tokenizer further; its latents stay what they are, and so does
    the worth of everything that was encoded with it.
    """
    if (budget_minutes is None) == (num_steps is None):
        raise BadUse("give either budget_minutes or num_steps")
    out.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(clips, config, seed, device, decoder_of)
    if resume and (out / "train_state.pt").exists():
        trainer.load(out)
    _run(trainer, out, None if budget_minutes is None else budget_minutes * 60, num_steps)
    trainer.save(out)
    figures = trainer.figures()
    _log(out, {"step": trainer.step, **figures})
    trainer.average.save(out / "audio_tokenizer.safetensors")
    write_atomically(out / "figures.json", json.dumps(figures, indent=2).encode())
    return trainer.average


def _run(trainer: _Trainer, out: Path, budget_seconds: float | None, num_steps: int | None) -> None:
    config, began = trainer.config, time.monotonic() - trainer.seconds
    while True:
        if num_steps is not None:
            progress, warmup = trainer.step / num_steps, config.warmup_steps / num_steps
        else:
            assert budget_seconds is not None
            progress = trainer.seconds / budget_seconds
            warmup = config.warmup_steps * max(progress, 1e-3) / max(trainer.step, 1)
        if progress >= 1:
            return
        terms = trainer.train_step(progress, min(warmup, 0.5))
        trainer.seconds = time.monotonic() - began
        if trainer.step % config.log_every == 0:
            _log(out, {"step": trainer.step, "seconds": round(trainer.seconds, 1), **terms})
        if trainer.step % config.save_every == 0:
            trainer.save(out)
            _log(out, {"step": trainer.step, **trainer.figures()})


def _log(out: Path, record: dict[str, Any]) -> None:
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
