"""Clips for training the world transformer, drawn from encoded episodes.

A clip is an episode's first tick followed by a run of later ones: the same thing the network sees when it
generates, whose window holds the first tick and the most recent ones. Where the scene is one of bodies that
our language tells of, its sentence is written anew for every clip, and where there are no pictures to
contradict it, objects are recoloured and change slots first. Any other episode is shown as it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from orrery.streams import Array
from orrery.tokenizers.text import WordTokenizer
from orrery.training.latents import LatentSet
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.captions import caption
from orrery.worlds.tabletop.scene import MAX_BODIES, Body, Scene

__all__ = ["Clips", "draw_clips"]


@dataclass
class Clips:
    """A batch. B clips of T ticks; tick 0 is a first tick, without anchor.

    words `[B, n]`, n words in the longest sentence, 0 is padding; state `[B, T, frames, K, D]`; anchor
    `[B, T, K, D]`, the frame before each tick; streams: the other streams, `[B, T, ...]` as stored;
    is_start `[B]`: tick 0 is the episode's own first; steered `[B]`: a policy acts, of which no sentence
    tells; pixels: the frames, uint8 `[B, T, frames, H, W, 3]`, where they are known.
    """

    words: Tensor
    state: Tensor
    anchor: Tensor
    has_anchor: Tensor
    streams: dict[str, Tensor]
    is_start: Tensor
    steered: Tensor
    pixels: Tensor | None = None

    def to(self, device: str) -> Clips:
        """The same batch on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return Clips(**moved, streams={k: v.to(device) for k, v in self.streams.items()})


def draw_clips(
    latents: LatentSet, rng: np.random.Generator, num: int, num_ticks: int, words: WordTokenizer
) -> Clips:
    """`num` random clips of `num_ticks` ticks, at most an episode's; `rng` decides everything."""
    rows = rng.integers(len(latents), size=num)
    spans = [_pick_ticks(rng, latents.num_ticks, num_ticks) for _ in rows]
    recolour = "video.main" not in latents.arrays
    names = [name for name in latents.arrays if name != "state"]
    states, anchors, texts, pixels, streams = [], [], [], [], {name: [] for name in names}
    for row, (ticks, is_start) in zip(rows, spans, strict=True):
        whole = np.array(latents.arrays["state"][row])
        text = latents.texts[row] if is_start else ""
        if "bodies" in latents.scenes[row]:
            scene, whole = _dress(Scene.from_json(latents.scenes[row]), whole, rng, recolour)
            text = caption(scene, (), rng) if is_start else ""
        states.append(whole[ticks])
        anchors.append(whole[np.maximum(ticks - 1, 0), -1])
        texts.append(text)
        if latents.pixels is not None:
            pixels.append(latents.pixels[row][ticks])
        for name in names:
            streams[name].append(latents.arrays[name][row][ticks])
    anchor = torch.from_numpy(np.stack(anchors))
    has_anchor = torch.ones(anchor.shape[:2], dtype=torch.bool)
    has_anchor[:, 0] = False
    anchor[:, 0] = 0.0
    return Clips(
        _without_padding(torch.from_numpy(words.encode_batch(texts))),
        torch.from_numpy(np.stack(states)),
        anchor,
        has_anchor,
        {name: torch.from_numpy(np.stack(values).astype(np.float32)) for name, values in streams.items()},
        torch.tensor([is_start for _, is_start in spans]),
        torch.from_numpy(latents.steered[rows]),
        torch.from_numpy(np.stack(pixels)) if pixels else None,
    )


def _without_padding(words: Tensor) -> Tensor:
    """The columns of `words [B, n]` up to the last that holds a word, at least one: sentences rarely fill
    what they may."""
    used = (words != 0).any(dim=0).nonzero()
    return words[:, : int(used[-1]) + 1 if len(used) else 1]


def _pick_ticks(rng: np.random.Generator, available: int, wanted: int) -> tuple[Array, bool]:
    """Tick numbers `[wanted]`, and whether the first is the episode's start.

    One clip in seven starts in the middle of things, so that any moment can serve as a beginning.
    """
    if rng.random() < 1 / 7 and available > wanted:
        start = int(rng.integers(1, available - wanted + 1))
        return np.arange(start, start + wanted), False
    late = int(rng.integers(1, available - wanted + 2)) if rng.random() < 0.7 else 1
    return np.concatenate([[0], np.arange(late, late + wanted - 1)]), True


def _dress(scene: Scene, state: Array, rng: np.random.Generator, recolour: bool) -> tuple[Scene, Array]:
    """Slots in a new order, perhaps new colours, in the scene and in `state [ticks, frames, K, D]` alike."""
    order = rng.permutation(len(scene.bodies))
    slots = np.array([*order, *range(len(order), MAX_BODIES + 1)])
    bodies = [scene.bodies[k] for k in order]
    push = scene.push and replace(scene.push, target=int(np.flatnonzero(order == scene.push.target)[0]))
    state = state[:, :, slots]
    if recolour:
        bodies = [
            replace(body, colour=name) for body, name in zip(bodies, _colours(bodies, rng), strict=True)
        ]
        for slot, body in enumerate(bodies):
            state[:, :, slot, STATE.slice("colour")] = COLOURS[body.colour]
    return Scene(tuple(bodies), scene.camera, push), state


def _colours(bodies: list[Body], rng: np.random.Generator) -> list[str]:
    """New colours, all different, except that two that look and move alike are twins half of the time: a
    sentence then counts them ("two red balls"), which scenes drawn at random hardly ever call for."""
    names = [str(name) for name in rng.permutation(list(COLOURS))[: len(bodies)]]
    for index, (before, body) in enumerate(pairwise(bodies), start=1):
        if (before.shape, before.motion) == (body.shape, body.motion) and rng.random() < 0.5:
            names[index] = names[index - 1]
    return names
