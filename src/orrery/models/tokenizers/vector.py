"""Vectors: where every number is, and how far it moved since the tick before.

Positions change little from tick to tick, so that a network that predicts where things are learns to say that
they stay. The change is written beside the value, through asinh, in which small changes and impacts both have
a size that a network can hit. What takes only a few values (a contact, a lamp, a reward of -1, 0 or 1) is put
back onto the nearest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.streams import StreamSpec

__all__ = ["VectorTokenizer"]

MAX_LEVELS = 16
NO_CHANGE = 1e6
"""Divides the changes of what takes few values: they say nothing that the values do not."""
SMALL_CHANGE = 0.5  # a number is followed by its changes where they are smaller than this share of its spread


class VectorTokenizer(Tokenizer):
    """`spec.groups` tokens a tick; each holds value and change of its part of the vector in every frame.

    The payload is `[frames, groups * numbers]`, in any shape that flattens to it; a shape of one axis is one
    frame. Statistics, taken by `fit`, are shared by frames and groups.
    """

    centre: Tensor
    scale: Tensor
    change_scale: Tensor
    change_spread: Tensor
    by_change: Tensor
    levels: Tensor
    snaps: Tensor

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__(spec)
        size = 1
        for axis in spec.shape:
            size *= axis
        self.frames = spec.shape[0] if len(spec.shape) > 1 else 1
        if size % (self.frames * spec.groups):
            raise ValueError(f"{spec.name}: {spec.shape} does not divide into {spec.groups} groups a frame")
        self.numbers = size // (self.frames * spec.groups)
        self._set_sizes(spec.groups, 2 * self.frames * self.numbers)
        for name in ("centre", "by_change", "snaps"):
            self.register_buffer(name, torch.zeros(self.numbers))
        for name in ("scale", "change_scale", "change_spread"):
            self.register_buffer(name, torch.ones(self.numbers))
        self.register_buffer("levels", torch.zeros(self.numbers, MAX_LEVELS))

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {}

    @torch.no_grad()
    def fit(self, episodes: Sequence[Tensor]) -> None:
        """See `Tokenizer`. Values must be finite."""
        parts = [
            self._split(episode[None])[0].double() for episode in episodes
        ]  # [T, frames, groups, numbers]
        values = torch.cat([part.reshape(-1, self.numbers) for part in parts])
        changes = torch.cat([_changes(part, part[:1, -1]).reshape(-1, self.numbers) for part in parts])
        quantiles = torch.quantile(_thinned(values), torch.tensor([0.01, 0.5, 0.99]).double(), dim=0)
        spread = values.std(0, correction=0)
        scale = torch.maximum(spread, (quantiles[2] - quantiles[0]) / 4)
        self.centre.copy_(quantiles[1])
        change = changes.square().mean(0).sqrt()
        self.change_scale.copy_(torch.where(change > 1e-9, 0.25 * change, 1.0))
        squashed = torch.asinh(changes / self.change_scale.double()).square().mean(0).sqrt()
        self.change_spread.copy_(torch.where(squashed > 1e-9, squashed, 1.0))
        for number in range(self.numbers):
            distinct = torch.unique(values[:, number].float())
            self.snaps[number] = float(len(distinct) <= MAX_LEVELS)
            self.levels[number] = distinct[torch.arange(MAX_LEVELS).clamp(max=len(distinct) - 1)]
        # A rare reward is many deviations away: by the deviation it would drown everything else in the loss.
        scale = torch.where(self.snaps > 0, (values.amax(0) - values.amin(0)) / 2, scale)
        self.scale.copy_(torch.where(scale > 1e-9, scale, 1.0))
        self.change_spread.copy_(torch.where(self.snaps > 0, NO_CHANGE, self.change_spread))
        self.by_change.copy_(((change < SMALL_CHANGE * spread) & (self.snaps == 0)).float())

    def without_past(self, latents: Tensor) -> Tensor:
        """See `Tokenizer`: changes are those since the tick's own first frame."""
        frames = latents.to(self.device).unflatten(-1, (self.frames, 2, self.numbers)).clone()
        moved = (frames[..., 0, :] - frames[..., :1, 0, :]) * self.scale
        frames[..., 1, :] = self._squashed(moved)
        return frames.flatten(-3).to(latents.device)

    def _squashed(self, changes: Tensor) -> Tensor:
        return torch.asinh(changes / self.change_scale) / self.change_spread

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`; the memory holds the last frame."""
        parts = self._split(ticks)  # [B, T, frames, groups, numbers]
        before = parts[:, :1, 0] if memory is None else memory["last"][:, None]
        changes = self._squashed(_changes(parts, before, 1))
        latents = torch.stack([(parts - self.centre) / self.scale, changes], -2)
        latents = latents.permute(0, 1, 3, 2, 4, 5).flatten(3)  # [B, T, groups, frames * 2 * numbers]
        return latents, {"last": parts[:, -1, -1]}

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`. Numbers that move little are counted up from the last frame in `memory`."""
        latents = latents.float().unflatten(3, (self.frames, 2, self.numbers)).permute(0, 1, 3, 2, 4, 5)
        values = latents[..., 0, :] * self.scale + self.centre
        changes = torch.sinh(latents[..., 1, :] * self.change_spread) * self.change_scale
        last = None if memory is None else memory["last"]
        ticks: list[Tensor] = []
        for value, change in zip(values.unbind(1), changes.unbind(1), strict=True):
            tick = value if last is None else torch.where(self.by_change > 0, last[:, None] + change, value)
            tick = self._snap(tick)
            last = tick[:, -1]
            ticks.append(tick)
        assert last is not None
        payload = torch.stack(ticks, 1).reshape(*latents.shape[:2], *self.spec.shape)
        low, high = self.spec.low, self.spec.high
        if low is not None or high is not None:
            payload = payload.clamp(low, high)
        return payload, {"last": last}

    def _split(self, ticks: Tensor) -> Tensor:
        """`[B, T, *shape]` as `[B, T, frames, groups, numbers]` float32."""
        return ticks.float().reshape(*ticks.shape[:2], self.frames, self.tokens, self.numbers)

    def _snap(self, values: Tensor) -> Tensor:
        """Numbers that take few values, put onto the nearest of them."""
        if not bool(self.snaps.any()):
            return values
        nearest = (values[..., None] - self.levels).abs().argmin(-1, keepdim=True)
        snapped = self.levels.expand(*values.shape, -1).gather(-1, nearest)[..., 0]
        return torch.where(self.snaps > 0, snapped, values)


def _changes(parts: Tensor, before: Tensor, axis: int = 0) -> Tensor:
    """How far every frame `[..., T, frames, groups, numbers]` is from the last frame of the tick before.

    before: that of the first tick, `[..., 1, groups, numbers]`. axis: of T.
    """
    last = parts.select(axis + 1, -1)
    earlier = torch.cat([before, last.narrow(axis, 0, last.shape[axis] - 1)], axis)
    return parts - earlier.unsqueeze(axis + 1)


def _thinned(values: Tensor, most: int = 200_000) -> Tensor:
    """At most so many rows, evenly spaced."""
    return values[:: max(1, -(-len(values) // most))]
