"""A hundred held-out sentences: the fixed examination that every checkpoint sits.

Their forms are written for this list and are not those of the captions that models train on ("show", "being
dropped", "travels", "here is"), while every word is known. Each names the shape and the colour of each of its
objects, so that what should be seen is never in doubt. Drawn once, from a fixed seed: the list never changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from orrery.worlds.rigid_bodies.geometry import DIRECTIONS
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.words import MATERIAL_WORDS, SHAPE_WORDS
from orrery.worlds.tabletop.language import parse
from orrery.worlds.tabletop.scene import BODY_SHAPES, SceneRequest

__all__ = ["NUM_PROMPTS", "HeldOutPrompt", "held_out_prompts", "resting_prompts"]

NUM_PROMPTS = 100
_SEED = 7_301
_HEADINGS = {
    "left": ("leftward", "toward the left", "from the right to the left"),
    "right": ("rightward", "toward the right", "from the left to the right"),
    "forward": ("toward the camera", "towards me", "toward us"),
    "back": ("away from me", "backward", "away from us"),
}
_CLAUSES: dict[str, tuple[str, ...]] = {
    "rests": ("{a} remains at rest", "{a} is placed on the tray", "{a} stays on the ground", "{a} is still"),
    "drops": ("{a} is being dropped onto the tray", "{a} falls from above", "{a} is released from above"),
    "flies": (
        "{a} is being thrown {to}",
        "{a} flies across the tray {to}",
        "{a} is tossed across the tray {to}",
    ),
    "rolls": (
        "{a} is rolled along the table {to}",
        "{a} is being rolled {to}",
        "{a} rolls {to} along the ground",
    ),
    "pushed": ("{a} is shoved {to}", "the finger shoves {a} {to}", "{a} is being pushed {to}"),
}
_OPENINGS: dict[str, tuple[str, ...]] = {
    "rests": ("place {a} on the table", "here is {a} on the tray", "show {a} standing on the ground"),
    "drops": ("here is {a} being dropped", "release {a}", "a film of {a} falling down"),
    "flies": ("here is {a} being tossed {to}", "show {a} flying {to}", "a clip of {a} thrown {to}"),
    "rolls": ("show {a} rolling {to}", "here is {a} being rolled {to}", "a clip of {a} rolling {to}"),
    "pushed": ("shove {a} {to}", "show {a} being pushed {to}", "here is {a} shoved {to}"),
}
_JOINS = (" and ", " while ", ", then ", " as ")
_CAMERAS = ("", "", "", " shown from the left", " watched from the front", " shown from the right")


@dataclass(frozen=True)
class HeldOutPrompt:
    """One sentence. seed: of the world that is to obey it. request: what it asks, as `parse` reads it."""

    text: str
    seed: int
    request: SceneRequest

    @property
    def objects(self) -> Counter[tuple[str, str]]:
        """How many of each (colour, shape) it names."""
        return Counter((str(body.colour), str(body.shape)) for body in self.request.bodies)

    @property
    def colours(self) -> Counter[str]:
        """How many objects of each colour it names."""
        return Counter(str(body.colour) for body in self.request.bodies)


@lru_cache(maxsize=1)
def held_out_prompts() -> tuple[HeldOutPrompt, ...]:
    """The hundred sentences with their seeds, always the same: 1 to 3 objects, every colour, shape and
    motion."""
    rng = np.random.default_rng(_SEED)
    prompts: dict[str, HeldOutPrompt] = {}
    while len(prompts) < NUM_PROMPTS:
        text = _sentence(rng, num_objects=1 + len(prompts) % 3)
        prompts.setdefault(text, HeldOutPrompt(text, 900_000 + len(prompts), parse(text)))
    return tuple(prompts.values())


def resting_prompts(count: int = 10) -> tuple[HeldOutPrompt, ...]:
    """`count` sentences in which everything rests, so that nothing should be heard."""
    rng = np.random.default_rng(_SEED + 1)
    prompts: dict[str, HeldOutPrompt] = {}
    while len(prompts) < count:
        text = _sentence(rng, num_objects=1 + len(prompts) % 3, motions=("rests",))
        prompts.setdefault(text, HeldOutPrompt(text, 910_000 + len(prompts), parse(text)))
    return tuple(prompts.values())


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(rng: np.random.Generator, num_objects: int, motions: Sequence[str] = tuple(_CLAUSES)) -> str:
    """One sentence of the held-out forms."""
    colours = list(rng.permutation(list(COLOURS)))
    clauses: list[str] = []
    twins = num_objects > 1 and rng.random() < 0.12
    free = list(motions)
    for index in range(num_objects - 2 * twins):
        motion = _pick(rng, free)
        if motion == "pushed":
            free.remove(motion)  # the finger has one thing to push
        shape = _pick(rng, [s for s in BODY_SHAPES if not (motion == "rolls" and s == "box")])
        forms = _OPENINGS[motion] if index == 0 and rng.random() < 0.5 else _CLAUSES[motion]
        to = _pick(rng, _HEADINGS[_pick(rng, list(DIRECTIONS))])
        clauses.append(_pick(rng, forms).format(a=_thing(rng, colours[index], shape), to=to))
    if twins:
        shape, verb = _pick(rng, BODY_SHAPES), _pick(rng, [m for m in motions if m in ("rests", "drops")])
        noun = SHAPE_WORDS[shape][0] + ("es" if shape == "box" else "s")
        doing = {"rests": "remain on the table", "drops": "fall from above"}[verb]
        clauses.append(f"two {colours[-1]} {noun} {doing}")
    text = clauses[0]
    for clause in clauses[1:]:
        text += _pick(rng, _JOINS) + clause
    return text + _pick(rng, _CAMERAS)


def _thing(rng: np.random.Generator, colour: str, shape: str) -> str:
    """`a small red wooden ball`, its size and material said once in four times each."""
    words = []
    if rng.random() < 0.25:
        words.append(_pick(rng, ("small", "tiny", "big", "large")))
    words.append(colour)
    if rng.random() < 0.25:
        words.append(_pick(rng, [word for words in MATERIAL_WORDS.values() for word in words]))
    words.append(_pick(rng, SHAPE_WORDS[shape]))
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])
