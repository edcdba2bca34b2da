"""What the world transformer is trained to do: tell clean streams from noisy ones, in every combination.

Each tick of each stream gets its own noise level. Three kinds of batches follow from what is given:
*motion* (state from text and past, then sound and touch from state), *pictures* (video from everything
else) and *perception* (state from video).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from orrery.diffusion.noise import add_noise, loss_weight
from orrery.models.transformer import WorldTransformer
from orrery.tokenizers.bodies import apart, has_finger
from orrery.tokenizers.codecs import GENERATE, PERCEIVE, Codecs
from orrery.tokenizers.perspective import project
from orrery.tokenizers.state import StateCodec
from orrery.training.clips import Clips
from orrery.training.pictures import DecodedCost
from orrery.worlds.rigid_bodies.state import StateLayout

__all__ = ["clean_numbers", "motion_loss", "perception_loss", "picture_loss"]

WHAT_WEIGHT = 0.05
"""Weight of what an object is, on ticks whose anchor already tells it."""
FINGER_WEIGHT = 5.0
"""Weight of how a finger (the last slot) moves: it turns seldom, but what it pushes inherits its errors."""
NEAR_WEIGHT = 4.0
NEAR_M = 0.02
"""Weight of how a body moves that has another this near: collisions are rare, and all that parts bodies."""
TOUCHED_WEIGHT = 4.0
"""Weight of ticks in which the finger feels something: few are, and the mean of all is near nothing."""
FIRST_TICK_WEIGHT = 4.0
DRAWN_FROM_STATE_SHARE = 0.85


def clean_numbers(codecs: Codecs, clips: Clips) -> dict[str, Tensor]:
    """All streams of a batch but the state as numbers `[B, T, tokens, width]`."""
    return {
        name: codecs.vectors[name].encode(value) if name in codecs.vectors else value
        for name, value in clips.streams.items()
    }


def random_levels(shape: tuple[int, ...], generator: torch.Generator, share_of_ones: float = 0.25) -> Tensor:
    """Noise levels in (0, 1]; a share of them exactly 1, where sampling starts."""
    levels = torch.rand(shape, generator=generator) * 0.98 + 0.02
    ones = torch.rand(shape, generator=generator) < share_of_ones
    return torch.where(ones, torch.ones(()), levels)


def slight_levels(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Levels of context: exactly 0 half of the time, else up to 0.05."""
    levels = 0.05 * torch.rand(shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < 0.5, torch.zeros(()), levels)


def shake(anchor: Tensor, codec: StateCodec, generator: torch.Generator, most: float = 1.0) -> Tensor:
    """Anchors `[B, T, K, D]` slightly wrong, as a model's own are, so that it learns to come back.

    Positions by up to 2 mm, velocities by up to 4 cm/s and 0.3 rad/s (one sigma), drawn anew for each clip;
    all times `most`.
    """
    strength = most * torch.rand(anchor.shape[0], 1, 1, 1, generator=generator).square()
    shaken = anchor.clone()
    for name, sigma in (("position", 0.002), ("linear_velocity", 0.04), ("angular_velocity", 0.3)):
        part = shaken[..., codec.layout.slice(name)]
        part += sigma * strength * torch.randn(part.shape, generator=generator)
    return shaken * (anchor[..., :1] > 0.5)


def with_strange_velocities(anchor: Tensor, layout: StateLayout) -> Tensor:
    """`anchor [B, T, K, D]`, every other clip with the velocities of the next one.

    Where a tick is a single frame, the first one shows no velocity: what is perceived of it has some velocity
    that occurs, and the pictures that follow must put it right.
    """
    strange, speed = anchor.clone(), layout.slice("linear_velocity")
    strange[::2, ..., speed] = anchor.roll(-1, 0)[::2, ..., speed]
    return strange


def motion_loss(
    model: WorldTransformer,
    codecs: Codecs,
    clips: Clips,
    generator: torch.Generator,
    own_errors: bool = False,
    shaken: float = 1.0,
) -> dict[str, Tensor]:
    """Losses by stream on clips without pictures.

    own_errors: count changes from the model's own one-step estimates of the tick before (pushforward).
    shaken: how much anchors are shaken, 1 as on the tabletop.
    """
    num, ticks = clips.state.shape[:2]
    levels = motion_levels(num, ticks, generator, clips.steered.cpu())
    words = drop_words(clips.words, generator)
    others = clean_numbers(codecs, clips)
    anchor = shake(clips.anchor, codecs.state, generator, shaken)
    if own_errors:
        anchor = own_anchor(model, codecs, clips, anchor, others, words, levels["action"])
    clean = others | {"state": codecs.state.encode(clips.state, anchor, clips.has_anchor)}
    estimate = _estimate(model, codecs, clips, anchor, clean, levels, words, GENERATE, generator)
    first = torch.ones(num, ticks)
    first[:, 0] = FIRST_TICK_WEIGHT
    rare = {"state": first}
    if "touch.finger" in clean:
        touched = clean["touch.finger"].abs().amax((-1, -2)) > 0.0
        rare["touch.finger"] = torch.where(touched, TOUCHED_WEIGHT, 1.0)
    losses = {}
    for name in estimate.keys() - {"action"}:
        weight = loss_weight(levels[name]) * is_asked(levels, name) * rare.get(name, 1.0)
        error = _state_error(codecs, clips, estimate[name] - clean[name]) if name == "state" else (
            (estimate[name] - clean[name]).square().mean((-1, -2))
        )  # fmt: skip
        losses[name] = (error * weight).sum() / is_asked(levels, name).sum().clamp_min(1.0)
    return losses


def picture_loss(
    model: WorldTransformer,
    codecs: Codecs,
    clips: Clips,
    weights: Tensor,
    generator: torch.Generator,
    looks: DecodedCost | None = None,
) -> dict[str, Tensor]:
    """Loss of video when state, sound and touch are given. weights: `[B, T, tokens]`, about 1 on average.

    looks: also compares the decoded estimates with the pictures themselves.
    """
    num, ticks = clips.state.shape[:2]
    levels = picture_levels(num, ticks, generator)
    words = drop_words(clips.words, generator)
    clean = clean_numbers(codecs, clips) | {
        "state": codecs.state.encode(clips.state, clips.anchor, clips.has_anchor)
    }
    estimate = _estimate(model, codecs, clips, clips.anchor, clean, levels, words, GENERATE, generator)
    found, wanted = estimate["video.main"], clean["video.main"]
    asked = is_asked(levels, "video.main")
    weight = (loss_weight(levels["video.main"]) * asked)[..., None] * weights
    error = (found - wanted).square().mean(-1)
    losses = {"video.main": (error * weight).sum() / (asked.sum() * error.shape[-1]).clamp_min(1.0)}
    if looks is not None and asked.any():
        some = asked > 0
        camera = clips.streams["camera.main"][some]
        assert clips.pixels is not None
        sight = codecs.outlook(looks.tokenizer.config, clips.state[some], camera)
        losses |= looks(
            found[some], wanted[some], clips.pixels[some], camera, weights[some], generator, sight
        )
    return losses


def perception_loss(
    model: WorldTransformer, codecs: Codecs, clips: Clips, generator: torch.Generator, shaken: float = 1.0
) -> dict[str, Tensor]:
    """Loss of the state when video and sound are given. shaken: how much anchors are shaken."""
    shape = clips.state.shape[:2]
    state = random_levels(shape, generator, share_of_ones=0.5)
    seen = slight_levels(shape, generator)
    heard = torch.where(torch.rand(shape[0], 1, generator=generator) < 0.5, torch.ones(()), seen)
    camera = torch.zeros(shape)
    camera[:, 0] = state[:, 0]
    steered = torch.rand(shape[0], 1, generator=generator) < 0.5
    levels = {
        "action": 1.0 - steered.float().expand(shape), "camera.main": camera, "state": state,
        "touch.finger": heard, "audio.main": heard, "video.main": seen,
    }  # fmt: skip
    silent = torch.rand(shape[0], 1, generator=generator) < 0.5
    words = torch.where(silent, torch.zeros_like(clips.words), clips.words)
    clips = from_left_to_right(clips, silent[:, 0], codecs.state.layout)
    anchor = shake(clips.anchor, codecs.state, generator, shaken)
    if codecs.state.frames == 1:
        anchor = with_strange_velocities(anchor, codecs.state.layout)
    clean = clean_numbers(codecs, clips) | {
        "state": codecs.state.encode(clips.state, anchor, clips.has_anchor)
    }
    estimate = _estimate(model, codecs, clips, anchor, clean, levels, words, PERCEIVE, generator)
    error = _state_error(codecs, clips, estimate["state"] - clean["state"])
    looked = (estimate["camera.main"] - clean["camera.main"])[:, 0].square().mean()
    return {"perceived": (error * loss_weight(state)).mean() + 0.1 * looked}


def from_left_to_right(clips: Clips, which: Tensor, layout: StateLayout) -> Clips:
    """The same clips; in those that `which [B]` names, objects take their slots in the order in which the
    first picture shows them. Where no sentence names them in turn, any order is as good as another, and a
    network that is asked for all learns their mean.
    """
    first = clips.state[:, 0, 0]
    seen, _, _ = project(
        first[..., layout.slice("position")], first[..., layout.slice("size")],
        clips.streams["camera.main"][:, 0],
    )  # fmt: skip
    num_slots = clips.state.shape[-2]
    num_bodies = num_slots - has_finger(layout)
    there = first[:, :num_bodies, layout.slice("present")][..., 0] > 0.5
    order = seen[:, :num_bodies, 0].masked_fill(~there, torch.inf).argsort(dim=1)
    slots = torch.arange(num_slots, device=order.device).repeat(len(order), 1)
    slots[:, :num_bodies] = torch.where(which.to(order.device)[:, None], order, slots[:, :num_bodies])

    def reorder(values: Tensor) -> Tensor:
        index = slots.view(len(slots), *[1] * (values.ndim - 3), num_slots, 1)
        return values.gather(-2, index.expand_as(values))

    return replace(clips, state=reorder(clips.state), anchor=reorder(clips.anchor))


def motion_levels(num: int, ticks: int, generator: torch.Generator, steered: Tensor) -> dict[str, Tensor]:
    """Each tick is at one stage of its making: state under way, sound under way, or done.

    steered: bool `[num]`, clips whose action must be given, since nothing else tells of it.
    """
    shape = (num, ticks)
    stage = torch.rand(shape, generator=generator) * (ticks > 1)  # a lone first tick is there for its state
    moving, sounding = stage < 0.5, (stage >= 0.5) & (stage < 0.8)
    state = torch.where(moving, random_levels(shape, generator, share_of_ones=0.4), torch.zeros(()))
    sound = torch.where(sounding, random_levels(shape, generator), slight_levels(shape, generator))
    sound = torch.where(moving, torch.ones(()), sound)
    camera = torch.zeros(shape)
    camera[:, 0] = state[:, 0]
    withheld = (torch.rand(num, 1, generator=generator) < 0.3) & ~steered[:, None]
    action = withheld.float().expand(shape)
    return {
        "action": action, "camera.main": camera, "state": state, "touch.finger": sound, "audio.main": sound
    }  # fmt: skip


def picture_levels(num: int, ticks: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Pictures are mostly drawn from the state alone, as in generation: a share of the clips is wholly at
    level 1. The others hold every level, and pictures that are given."""
    shape = (num, ticks)
    given = torch.rand(shape, generator=generator) < 0.25
    mixed = torch.where(given, slight_levels(shape, generator), random_levels(shape, generator))
    alone = torch.rand(num, 1, generator=generator) < DRAWN_FROM_STATE_SHARE
    heard, steered = (torch.rand(num, 1, generator=generator) for _ in range(2))
    heard = (heard >= 0.7).float().expand(shape)
    nothing = torch.zeros(shape)
    return {
        "action": (steered < 0.5).float().expand(shape), "camera.main": nothing, "state": nothing,
        "touch.finger": heard, "audio.main": heard,
        "video.main": torch.where(alone, torch.ones(()), mixed),
    }  # fmt: skip


def is_asked(levels: Mapping[str, Tensor], name: str) -> Tensor:
    """Where a stream's estimate counts, `[B, T]`: noisy, and not merely withheld until the state is done."""
    asked = levels[name] > 0.05
    if name in ("touch.finger", "audio.main"):
        asked = asked & (levels["state"] <= 0.0)
    return asked.float()


def drop_words(words: Tensor, generator: torch.Generator) -> Tensor:
    """One sentence in ten withheld."""
    keep = torch.rand(len(words), 1, generator=generator) >= 0.1
    return words * keep


def steering(codecs: Codecs, clips: Clips, level: Tensor) -> Tensor | None:
    """The action `[B, T, frames, 3]` as `StateCodec.features` takes it: NaN where it is withheld, None in a
    world without a finger to steer."""
    if not codecs.state.has_finger:
        return None
    withheld = (level >= 1.0)[..., None, None].to(clips.state.device)
    return torch.where(withheld, torch.nan, clips.streams["action"])


def _state_error(codecs: Codecs, clips: Clips, difference: Tensor) -> Tensor:
    """Mean squared error a tick, `[B, T]`: what an object is counts fully only where nothing tells it."""
    squared = difference.square()
    what = squared[..., : codecs.state.what_width].mean((-1, -2))
    moving = squared[..., codecs.state.what_width :].mean(-1) * _care(clips, codecs.state.layout)
    moving = moving.mean(-1)
    return torch.where(clips.has_anchor, WHAT_WEIGHT * what + moving, what + moving)


@torch.no_grad()
def _care(clips: Clips, layout: StateLayout) -> Tensor:
    """How much each slot's motion weighs in each tick, `[B, T, K]`."""
    gap, _ = apart(clips.state, layout)  # [B, T, frames, K, K]
    care = torch.where(gap.amin((-1, -3)) < NEAR_M, NEAR_WEIGHT, 1.0)
    if has_finger(layout):
        care[..., -1] = FINGER_WEIGHT
    return care


def _estimate(
    model: WorldTransformer,
    codecs: Codecs,
    clips: Clips,
    anchor: Tensor,
    clean: Mapping[str, Tensor],
    levels: Mapping[str, Tensor],
    words: Tensor,
    ranks: Mapping[str, int],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    noisy = {
        name: add_noise(value, torch.randn(value.shape, generator=generator), levels[name])
        for name, value in clean.items()
    }
    camera = codecs.vectors["camera.main"].decode(noisy["camera.main"])
    seen = (noisy["state"], anchor, clips.has_anchor, levels["state"], camera)
    told = codecs.state.tell(anchor, clips.has_anchor, steering(codecs, clips, levels["action"]))
    features = {"state": codecs.state.features(*seen, told)}
    # Where pictures and touch come first, they must not be told what is to be read off them.
    if "touch.finger" in noisy:
        feeling = codecs.state.feeling(*seen[:4])
        features["touch.finger"] = feeling * (ranks["state"] < ranks["touch.finger"])
    if "video.main" in noisy:
        grid = math.isqrt(noisy["video.main"].shape[2])
        features["video.main"] = codecs.state.sight(*seen, grid) * (ranks["state"] < ranks["video.main"])
    return model(words, noisy, features, levels, ranks)


@torch.no_grad()
def own_anchor(
    model: WorldTransformer,
    codecs: Codecs,
    clips: Clips,
    anchor: Tensor,
    others: Mapping[str, Tensor],
    words: Tensor,
    action_level: Tensor,
) -> Tensor:
    """Anchors `[B, T, K, D]` that the model itself arrives at in one step; ticks after a gap keep theirs.

    action_level: `[B, T]`, 1 where the action is withheld, else 0.
    """
    shape = clips.state.shape[:2]
    levels = {name: torch.ones(shape) for name in others} | {"state": torch.ones(shape)}
    levels |= {"camera.main": torch.zeros(shape), "action": action_level}
    numbers = {name: torch.zeros_like(value) for name, value in others.items()}
    numbers["camera.main"] = others["camera.main"]
    numbers["action"] = others["action"] * (1.0 - action_level)[..., None, None]
    numbers["state"] = torch.zeros(*shape, codecs.state.num_slots, codecs.state.width)
    told = codecs.state.tell(anchor, clips.has_anchor, steering(codecs, clips, action_level))
    seen = codecs.state.features(
        numbers["state"], anchor, clips.has_anchor, levels["state"], clips.streams["camera.main"], told
    )
    nothing = torch.zeros(*shape, 1, codecs.state.feeling_width)  # the state is not known yet
    features = {"state": seen, "touch.finger": nothing}
    estimate = model(words, numbers, features, levels, GENERATE)["state"]
    reached = codecs.state.decode(estimate.float(), anchor, clips.has_anchor)[:, :, -1]
    own = anchor.clone()
    own[:, 2:] = reached[:, 1:-1]
    return own
