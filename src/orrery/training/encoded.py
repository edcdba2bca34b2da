"""Clips of encoded episodes: episodes of any length, cut, padded and masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from orrery.streams import Array

__all__ = ["Clip", "EncodedEpisodes"]

START_SHARE = 0.1
"""Share of clips that begin with their episode, beyond those that do by chance."""
CUT_SHARE = 0.1
"""Share of clips of which nothing before their first tick is known, as in a rollout that begins anywhere."""


@dataclass(frozen=True)
class Clip:
    """T ticks of B episodes, with the tick before the first of them.

    latents: by stream, `[B, T + 1, tokens, width]` float32; of a sentence `[B, 1, words, width]`. valid:
    `[B, T + 1]`; False for the tick before an episode's first, and for what lies beyond its end. seconds:
    `[T]`, of ticks 1 to T. cut: `[B]`, clips whose first tick is no episode's first, and of which nothing
    before it is known.
    """

    latents: dict[str, Tensor]
    valid: Tensor
    seconds: Tensor
    cut: Tensor

    @property
    def targets(self) -> Tensor:
        """Ticks 1 to T that the network is asked for, `[B, T]`: not the first of a clip that was cut."""
        first = torch.arange(len(self.seconds), device=self.valid.device) == 0
        return self.valid[:, 1:] & ~(self.cut[:, None] & first)

    def to(self, device: torch.device) -> Clip:
        """The same clip on a device."""
        latents = {name: value.to(device) for name, value in self.latents.items()}
        return Clip(latents, self.valid.to(device), self.seconds.to(device), self.cut.to(device))

    def without(self, names: Sequence[str]) -> Clip:
        """The same clip, in which the named streams are absent."""
        return replace(self, latents={n: v for n, v in self.latents.items() if n not in names})


@dataclass(frozen=True)
class EncodedEpisodes:
    """All ticks of several episodes end to end, as latents.

    latents: by stream, `[total ticks, tokens, width]`; of a sentence `[episodes, words, width]`. lengths:
    ticks of each episode. text_streams: those that have one value an episode. without_past: by stream, what
    becomes of its latents where the tick before is not known.
    """

    latents: Mapping[str, Array]
    lengths: Array
    tick_seconds: float
    text_streams: tuple[str, ...] = ()
    without_past: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)

    @property
    def starts(self) -> Array:
        """Where each episode begins among the ticks."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]])

    @property
    def sentence_share(self) -> float:
        """Different sentences over episodes: 1 where each has its own, which tells its scene; near 0 where a
        few tasks are done again and again."""
        told = {
            tuple(np.asarray(self.latents[name][episode]).tobytes() for name in self.text_streams)
            for episode in range(len(self.lengths))
        }
        return len(told) / len(self.lengths) if self.text_streams else 0.0

    def draw(self, rng: np.random.Generator, batch: int, ticks: int) -> Clip:
        """Clips from anywhere, by how long each episode is; and some from their episode's start. Where no
        episode is as long as `ticks`, shorter clips, and more of them."""
        longest = int(min(ticks, self.lengths.max()))
        batch, ticks = batch * ticks // longest, longest
        episodes = rng.choice(len(self.lengths), batch, p=self.lengths / self.lengths.sum())
        latest = np.maximum(self.lengths[episodes] - ticks, 0)
        firsts = np.where(rng.random(batch) < START_SHARE, 0, rng.integers(0, latest + 1))
        return self.clip(episodes, firsts, ticks, rng.random(batch) < CUT_SHARE)

    def draw_starts(self, rng: np.random.Generator, batch: int) -> Clip:
        """Clips of one tick, the first of any episode."""
        return self.clip(rng.integers(0, len(self.lengths), batch), np.zeros(batch, int), 1)

    def clip(self, episodes: Array, firsts: Array, ticks: int, cut: Array | None = None) -> Clip:
        """The clips that begin at tick `firsts` of `episodes`. cut: `[B]` bool, those of which nothing
        before it is to be known."""
        cut = (firsts > 0) & (cut if cut is not None else False)
        index = firsts[:, None] + np.arange(-1, ticks)[None]
        lengths = self.lengths[episodes][:, None]
        valid = (index >= 0) & (index < lengths)
        valid[cut, 0] = False
        rows = self.starts[episodes][:, None] + np.clip(index, 0, lengths - 1)
        latents = {
            name: torch.from_numpy(np.asarray(values[rows], np.float32))
            for name, values in self.latents.items()
            if name not in self.text_streams
        }
        for name in self.text_streams:
            latents[name] = torch.from_numpy(np.asarray(self.latents[name][episodes], np.float32))[:, None]
        for name, without_past in self.without_past.items():
            latents[name][cut, 1] = without_past(latents[name][cut, 1])
        seconds = torch.arange(ticks) * self.tick_seconds
        return Clip(latents, torch.from_numpy(valid), seconds, torch.from_numpy(cut))
