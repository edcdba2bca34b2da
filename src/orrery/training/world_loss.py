"""The one loss of the world model: what each stream is, from everything at noise levels of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from orrery.models.flow import draw_levels, interpolate, known_or_absent
from orrery.models.tokens import Noisy, StreamTokens
from orrery.models.world_model import Hidden, WorldModel
from orrery.training.encoded import Clip

__all__ = ["OF_NUMBERS", "OF_NUMBERS_AND_SOUND", "LossConfig", "world_loss"]

CHANGED = 0.1
"""Mean square by which a token's latents (of unit variance) differ from those of the tick before to count as
changed."""
LOWEST_LEVEL = 0.02
OUTLIER = 3.0
"""Error, in deviations, from which on a loss grows no faster than the error: an impact's force is many."""


@dataclass(frozen=True)
class LossConfig:
    """How clips are corrupted and what weighs how much.

    changed_share: of the weight that tokens which change get together. max_weight: of one of them against
    one that does not; outcome_weight the same of rewards and endings, whose chances a large one would bend.
    own_chance: of a step, from `Recipe.own_from` on, to have predictions of the model's own in its context.
    own_share: of the ticks of the context that are the model's own predictions (self-forcing), in half of the
    clips; in the others, all are after a tick that is drawn. own_depth: most times that predictions are made
    from such a context: what fades with every tick is learned to be drawn whole again. picture_noise,
    number_noise: highest augmentation noise level of pictures and of all else in the context; noise_chance:
    of a tick to have any. drop_share: of clips in which a stream is absent throughout. known_share: in which
    actions are known. absent_share: of the streams that are being imagined, which begin from nothing.
    given_chance, outcome_chance: how often it is what is given, or an outcome, that is imagined, against any
    other group. first_share: how often it is the first group of what is observed; None for as often as any
    other.

    given_scale, outcome_scale: of the losses of what is given and of outcomes. inexact_scale: of ticks before
    which something was noised, absent, or the model's own, and of streams that are half known. What cannot be
    predicted (a policy's next action, a tick without its action) keeps a large loss however good the model,
    and rare endings a ragged one. Where a world can be predicted to a thousandth, such gradients would drown
    the one that makes it so; with AdamW, what is learned from a small loss alone is learned as fast.
    """

    changed_share: float = 0.5
    max_weight: float = 50.0
    outcome_weight: float = 4.0
    own_chance: float = 0.5
    own_share: float = 0.3
    own_depth: int = 6
    picture_noise: float = 0.3
    number_noise: float = 0.05
    noise_chance: float = 0.7
    drop_share: float = 0.1
    known_share: float = 0.9
    absent_share: float = 0.5
    given_chance: float = 0.2
    outcome_chance: float = 0.7
    first_share: float | None = None
    given_scale: float = 1.0
    outcome_scale: float = 1.0
    inexact_scale: float = 1.0


OF_NUMBERS = LossConfig(
    own_chance=0.2,
    own_depth=1,
    number_noise=0.02,
    noise_chance=0.05,
    drop_share=0.02,
    known_share=0.98,
    absent_share=0.9,
    outcome_weight=1.0,
    given_chance=0.1,
    outcome_chance=0.5,
    given_scale=0.01,
    outcome_scale=0.01,
    inexact_scale=0.01,
)
"""For worlds without pictures and sound, which can be predicted far more exactly."""

OF_NUMBERS_AND_SOUND = LossConfig(own_chance=0.3, own_depth=2)
"""For steps without pictures, in worlds that have them and sound: numbers do not fade from tick to tick."""


def world_loss(
    model: WorldModel, clip: Clip, config: LossConfig, generator: torch.Generator, own: bool
) -> dict[str, Tensor]:
    """Mean weighted square error (of outliers: error) of every stream of the clip, by name.

    generator: of the CPU, whatever device the model and the clip are on. own: replace part of the context by
    the model's own predictions. Streams that the clip lacks are absent.
    """
    draws = _Draws(generator, clip.valid.device)
    names = [s.name for s in model.config.streams if s.name in clip.latents and not s.text]
    order = [[n for n in group if n in names] for group in model.config.order]
    order = [group for group in order if group]
    batch, ticks = clip.valid.shape[0], clip.valid.shape[1] - 1
    given, levels = _given(model, clip, config, draws)
    chances = _chances(model, order, config)
    drawn = draw_levels(order, (batch, ticks), generator, config.absent_share, chances)
    levels = {**drawn, **levels}
    learned = [name for name in names if bool((levels[name] >= LOWEST_LEVEL).any())]
    levels = {name: level.to(draws.device) for name, level in levels.items()}
    clean = {name: clip.latents[name][:, 1:] for name in names}
    context = {name: clip.latents[name][:, :-1] for name in names}
    present = clip.valid[:, :-1]
    replaced = torch.zeros_like(present)
    if own:
        replaced = _own_ticks(present, config.own_share, draws)
        depth = 1 + int(config.own_depth * draws.uniform((1,)))
        context = _with_own(model, clip, context, given, replaced, depth)
    past = {
        s.name: _noised_context(context[s.name], present, s, config, draws)
        for s in model.config.streams
        if s.name in names and s.in_context
    }
    now = {}
    for name, level in levels.items():
        now[name] = Noisy(interpolate(clean[name], level, draws.normal(clean[name].shape)), level)
    inexact = replaced
    for known in (*past.values(), *given.values()):
        inexact = inexact | (known.level > 0)
    certain = torch.where(inexact, config.inexact_scale, 1.0)
    counted = _Counted(present, clip.targets, certain)
    hidden, _ = model.trunk(past, given, clip.seconds)
    predicted = model.head(hidden, {**given, **now}, past, learned)
    return {
        name: _weighted_error(
            predicted[name], clean[name], context[name], levels[name], counted, _stream(model, name), config

        )
        for name in learned
    }  # fmt: skip


class _Draws(NamedTuple):
    """Random numbers of a generator of the CPU, on the device where they are used: the same on every one."""

    generator: torch.Generator
    device: torch.device

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """In [0, 1)."""
        return torch.rand(*shape, generator=self.generator).to(self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(*shape, generator=self.generator).to(self.device)


class _Counted(NamedTuple):
    """Of ticks, `[B, T]`: whether there is one before, whether it is a target, how much it counts."""

    present: Tensor
    valid: Tensor
    certain: Tensor


def _chances(model: WorldModel, order: Sequence[Sequence[str]], config: LossConfig) -> list[float]:
    """How often it is each group that is imagined, against the others."""
    streams = [[_stream(model, name) for name in group] for group in order]
    is_given = [all(s.given for s in group) for group in streams]
    chances = [
        config.given_chance if given else config.outcome_chance if all(s.outcome for s in group) else 1.0
        for group, given in zip(streams, is_given, strict=True)
    ]
    if config.first_share is not None and not all(is_given):
        first = is_given.index(False)
        others = sum(chances) - chances[first]
        chances[first] = others * config.first_share / (1 - config.first_share) if others else 1.0
    return chances


def _given(
    model: WorldModel, clip: Clip, config: LossConfig, draws: _Draws
) -> tuple[dict[str, Noisy], dict[str, Tensor]]:
    """Streams that are known before a tick is imagined, in most clips; and the levels, on the CPU, of those
    that are."""
    batch, ticks = clip.valid.shape[0], clip.valid.shape[1] - 1
    given: dict[str, Noisy] = {}
    levels: dict[str, Tensor] = {}
    for stream in model.config.streams:
        if stream.name not in clip.latents or not (stream.given or stream.text):
            continue
        length = 1 if stream.text else ticks
        level = known_or_absent(batch, length, config.known_share, draws.generator)
        latents = clip.latents[stream.name] if stream.text else clip.latents[stream.name][:, 1:]
        given[stream.name] = Noisy(latents, level.to(draws.device))
        if not stream.text and bool((level == 0).all()):
            levels[stream.name] = level
    return given, levels


def _noised_context(
    context: Tensor, present: Tensor, stream: StreamTokens, config: LossConfig, draws: _Draws
) -> Noisy:
    """The tick before each, with a little noise of a level that is told; absent where there was none."""
    shape = present.shape
    most = config.picture_noise if stream.grid is not None else config.number_noise
    noisy = draws.uniform(shape) < config.noise_chance
    level = torch.where(noisy, most * draws.uniform(shape), 0.0)
    if stream.grid is None:
        dropped = draws.uniform((shape[0], 1)) < config.drop_share
        level = torch.where(dropped, 1.0, level)
    level = torch.where(present, level, 1.0)
    return Noisy(interpolate(context, level, draws.normal(context.shape)), level)


def _own_ticks(present: Tensor, share: float, draws: _Draws) -> Tensor:
    """Which ticks of the context are to be the model's own, `[B, T]`: a share, or all from one on."""
    batch, ticks = present.shape
    here_and_there = draws.uniform((batch, ticks)) < share
    from_one_on = torch.arange(ticks, device=draws.device) >= draws.uniform((batch, 1)) * ticks
    chosen = torch.where(draws.uniform((batch, 1)) < 0.5, here_and_there, from_one_on) & present
    chosen[:, :2] = False  # the first is real: at least one tick was seen
    return chosen


@torch.no_grad()
def _with_own(
    model: WorldModel,
    clip: Clip,
    context: Mapping[str, Tensor],
    given: Mapping[str, Noisy],
    replaced: Tensor,
    depth: int,
) -> dict[str, Tensor]:
    """The context, where `replaced` as the model says after one step, from a context that holds such
    ticks itself: `depth` times. So many of them in a row are those of a rollout."""
    level = torch.where(clip.valid[:, :-1], 0.0, 1.0)
    mixed = dict(context)
    for _ in range(depth):
        past = {
            s.name: Noisy(mixed[s.name], level)
            for s in model.config.streams
            if s.name in mixed and s.in_context
        }
        hidden, _ = model.trunk(past, given, clip.seconds)
        for name, value in _in_order(model, hidden, given, past).items():
            earlier = torch.cat([context[name][:, :1], value[:, :-1].to(context[name].dtype)], 1)
            mixed[name] = torch.where(replaced[..., None, None], earlier, context[name])
    return mixed


def _in_order(
    model: WorldModel, hidden: Hidden, given: Mapping[str, Noisy], past: Mapping[str, Noisy]
) -> dict[str, Tensor]:
    """One-step predictions of all streams, group after group."""
    known: dict[str, Noisy] = dict(given)
    predicted: dict[str, Tensor] = {}
    for group in model.config.order:
        want = [name for name in group if name in past]
        if want:
            made = model.head(hidden, known, past, want)
            predicted |= made
            known |= {n: Noisy(v, v.new_zeros(v.shape[:2])) for n, v in made.items()}
    return predicted


def _weighted_error(
    predicted: Tensor,
    clean: Tensor,
    context: Tensor,
    level: Tensor,
    counted: _Counted,
    stream: StreamTokens,
    config: LossConfig,
) -> Tensor:
    present, valid, certain = counted
    change = (clean - context).square().mean(-1)
    changed = ((change > CHANGED) & present[..., None]).float()
    if stream.grid is not None:
        cells = changed.unflatten(2, stream.grid).flatten(0, 1)[:, None]
        changed = F.max_pool2d(cells, 3, 1, 1)[:, 0].flatten(1).view_as(changed)
    share = changed[valid].mean().clamp_min(1e-4)
    odds = config.changed_share / (1 - config.changed_share)
    most = config.outcome_weight if stream.outcome else config.max_weight
    weight = 1 + (odds / share).clamp(max=most) * changed
    weight = weight / weight[valid].mean()
    certainty = 1 / level.clamp_min(0.3).square() * (level >= LOWEST_LEVEL)
    certainty = torch.where(level < 1, config.inexact_scale, 1.0) * certainty
    error = 2 * F.huber_loss(predicted.float(), clean, reduction="none", delta=OUTLIER).mean(-1)
    error = error * weight * (certainty * certain * valid)[..., None]
    scale = config.outcome_scale if stream.outcome else config.given_scale if stream.given else 1.0
    return scale * error.sum() / (valid.sum() * clean.shape[2]).clamp_min(1)


def _stream(model: WorldModel, name: str) -> StreamTokens:
    return next(s for s in model.config.streams if s.name == name)
