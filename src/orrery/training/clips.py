"""Clips for training the world transformer, drawn from encoded episodes.

A clip is an episode's first tick followed by a run of later ones: the same thing the network sees when it
generates, whose window holds the first tick and the most recent ones. Sentences are written anew for every
clip, and where there are no pictures to contradict it, objects are recoloured and change slots first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from orrery.scenes.captions import caption
from orrery.scenes.materials import COLOURS
from orrery.scenes.scene import MAX_BODIES, Scene
from orrery.streams import STATE, Array
from orrery.tokenizers.text import WordTokenizer
from orrery.training.latents import LatentSet

__all__ = ["Clips", "draw_clips"]


@dataclass
class Clips:
    """A batch. B clips of T ticks; tick 0 is a first tick, without anchor.

    words `[B, max_words]`; state `[B, T, frames, K, D]`; anchor `[B, T, K, D]`, the frame before each tick;
    streams: the other streams, `[B, T, ...]` as stored; is_start `[B]`: tick 0 is the episode's own first.
    """

    words: Tensor
    state: Tensor
    anchor: Tensor
    has_anchor: Tensor
    streams: dict[str, Tensor]
    is_start: Tensor

    def to(self, device: str) -> Clips:
        """The same batch on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return Clips(**moved, streams={k: v.to(device) for k, v in self.streams.items()})


def draw_clips(
    latents: LatentSet, rng: np.random.Generator, num: int, num_ticks: int, words: WordTokenizer
) -> Clips:
    """`num` random clips of `num_ticks` ticks, at most an episode's; `rng` decides everything."""
    recolour = "video.main" not in latents.arrays
    rows = rng.integers(len(latents), size=num)
    spans = [_pick_ticks(rng, latents.num_ticks, num_ticks) for _ in rows]
    names = [name for name in latents.arrays if name != "state"]
    states, anchors, texts, streams = [], [], [], {name: [] for name in names}
    for row, (ticks, is_start) in zip(rows, spans, strict=True):
        whole = np.array(latents.arrays["state"][row])
        scene, whole = _dress(Scene.from_json(latents.scenes[row]), whole, rng, recolour)
        states.append(whole[ticks])
        anchors.append(whole[np.maximum(ticks - 1, 0), -1])
        texts.append(caption(scene, (), rng) if is_start else "")
        for name in names:
            streams[name].append(latents.arrays[name][row][ticks])
    has_anchor = torch.ones(num, num_ticks, dtype=torch.bool)
    has_anchor[:, 0] = False
    anchor = torch.from_numpy(np.stack(anchors))
    anchor[:, 0] = 0.0
    return Clips(
        torch.from_numpy(words.encode_batch(texts)),
        torch.from_numpy(np.stack(states)),
        anchor,
        has_anchor,
        {name: torch.from_numpy(np.stack(values).astype(np.float32)) for name, values in streams.items()},
        torch.tensor([is_start for _, is_start in spans]),
    )


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
        names = rng.permutation(list(COLOURS))[: len(bodies)]
        bodies = [replace(body, colour=str(name)) for body, name in zip(bodies, names, strict=True)]
        for slot, body in enumerate(bodies):
            state[:, :, slot, STATE.slice("colour")] = COLOURS[body.colour]
    return Scene(tuple(bodies), scene.camera, push), state
