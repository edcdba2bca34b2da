"""Draws the scenes that the physics report is asked on, `evaluation/suite.json`, from fixed seeds.

Run once for a version: a report's figures can be compared only where they are of the same scenes. Candidates
are drawn by the functions below and kept where the exact world does with them what their part is for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import tyro

from harness import console
from orrery.atomic import write_atomically
from orrery.evaluation.hidden import passages
from orrery.evaluation.rollouts import Held, hold
from orrery.evaluation.steering import is_pushed, moves_freely
from orrery.evaluation.striking import strikes
from orrery.evaluation.suite import FILE, SHORT_CONTEXT_SECONDS, VERSION
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS
from orrery.worlds.rigid_bodies.materials import COLOURS, MATERIAL_TABLE
from orrery.worlds.tabletop.scene import (
    BODY_SHAPES,
    SIZES,
    Body,
    BodyRequest,
    Scene,
    SceneRequest,
    sample_scene,
)

Draw = Callable[[np.random.Generator], Scene]
Wanted = Callable[[Held], bool]


@dataclass(frozen=True)
class Part:
    """about: what its scenes are, and how far they are from what models train on. wanted: what the exact
    world must do with one, `seconds` from a context of `context_seconds` on."""

    about: str
    draw: Draw
    wanted: Wanted
    num_scenes: int
    seconds: float = 2.0
    context_seconds: float = 1.0


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _dressed(
    rng: np.random.Generator, shape: str, half: float, position: tuple[float, float, float], **more: Any
) -> Body:
    """A body of some colour and material."""
    colour, material = (str(rng.choice(list(table))) for table in (COLOURS, MATERIAL_TABLE))
    return Body(shape, colour, material, half, position, **more)


def _rolling(rng: np.random.Generator, half: float, at: tuple[float, float], velocity: np.ndarray) -> Body:
    """A ball that rolls without slipping."""
    return _dressed(
        rng, "ball", half, (*at, half),
        linear_velocity_m_s=(float(velocity[0]), float(velocity[1]), 0.0),
        angular_velocity_rad_s=(-float(velocity[1]) / half, float(velocity[0]) / half, 0.0), motion="rolls",
    )  # fmt: skip


def _size(rng: np.random.Generator, word: str | None = None) -> float:
    return _between(rng, *SIZES[word or str(rng.choice(list(SIZES)))])


def _in_colours(rng: np.random.Generator, *bodies: Body) -> tuple[Body, ...]:
    """The same in colours that differ."""
    colours = rng.permutation(list(COLOURS))
    return tuple(replace(body, colour=str(colour)) for body, colour in zip(bodies, colours, strict=False))


def free(rng: np.random.Generator) -> Scene:
    return sample_scene(rng)


def pushed(rng: np.random.Generator) -> Scene:
    first, *others = (BodyRequest() for _ in range(int(rng.integers(1, 4))))
    return sample_scene(rng, SceneRequest((replace(first, motion="pushed"), *others)))


def resting(rng: np.random.Generator) -> Scene:
    return sample_scene(rng, SceneRequest((BodyRequest(motion="rests"),) * int(rng.integers(2, 4))))


def fast(rng: np.random.Generator) -> Scene:
    """A scene of the usual kind in which what moves moves 1.25 to 2 times as fast as the fastest, or falls
    1.25 to 1.7 times as far as the highest."""
    wish = str(rng.choice(["rolls", "flies", "drops"]))
    scene = sample_scene(rng, SceneRequest((BodyRequest(motion=wish), *[BodyRequest(motion="rests")] * 1)))
    body = scene.bodies[0]
    if wish == "drops":
        x, y, _ = body.position_m
        body = replace(body, position_m=(x, y, body.half_extent_m + _between(rng, 0.375, 0.50)))
        return replace(scene, bodies=(body, *scene.bodies[1:]))
    most = 0.8 if wish == "rolls" else 0.6
    towards = np.array(DIRECTIONS[str(body.direction)])
    speed = _between(rng, 1.25, 2.0) * most
    x, y = towards * speed
    spin = (-y / body.half_extent_m, x / body.half_extent_m, 0.0)
    body = replace(
        body,
        linear_velocity_m_s=(float(x), float(y), body.linear_velocity_m_s[2]),
        angular_velocity_rad_s=tuple(map(float, spin)) if wish == "rolls" else body.angular_velocity_rad_s,
    )
    return replace(scene, bodies=(body, *scene.bodies[1:]))


def sized(rng: np.random.Generator) -> Scene:
    """Two bodies, one that drops or rolls, both 0.74 to 0.89 times the smallest or 1.1 to 1.3 times the
    largest."""

    def half() -> float:
        return _between(rng, 0.028, 0.034) if rng.random() < 0.5 else _between(rng, 0.066, 0.078)

    one, other = half(), half()
    side = float(rng.choice([-1.0, 1.0]))
    rest = _dressed(rng, str(rng.choice(BODY_SHAPES)), other, (0.2 * side, _between(rng, -0.08, 0.08), other))
    at = (-0.15 * side, _between(rng, -0.1, 0.1))
    if rng.random() < 0.5:
        moving = _rolling(rng, one, at, np.array([side * _between(rng, 0.3, 0.8), 0.0]))
    else:
        place = (*at, one + _between(rng, 0.12, 0.30))
        moving = _dressed(rng, str(rng.choice(BODY_SHAPES)), one, place, motion="drops")
    return Scene(_in_colours(rng, moving, rest))


def combined(rng: np.random.Generator) -> Scene:
    """What never is at the start of a scene: a box that slides, a ball that rolls aslant, a thing that spins
    on the spot, a stack that a ball rolls into."""
    return COMBINATIONS[int(rng.integers(len(COMBINATIONS)))](rng)


def _sliding(rng: np.random.Generator) -> Scene:
    half, side = _size(rng), float(rng.choice([-1.0, 1.0]))
    velocity = (side * _between(rng, 0.4, 0.8), 0.0, 0.0)
    at = (-0.2 * side, _between(rng, -0.1, 0.1), half)
    return Scene((_dressed(rng, "box", half, at, linear_velocity_m_s=velocity, motion="flies"),))


def _aslant(rng: np.random.Generator) -> Scene:
    angle = math.pi / 4 + math.pi / 2 * int(rng.integers(4)) + _between(rng, -0.3, 0.3)
    heading = np.array([math.cos(angle), math.sin(angle)])
    at = -0.15 * heading
    return Scene(
        (_rolling(rng, _size(rng), (float(at[0]), float(at[1])), _between(rng, 0.3, 0.8) * heading),)
    )


def _spinning(rng: np.random.Generator) -> Scene:
    half = _size(rng)
    spin = float(rng.choice([-1.0, 1.0])) * _between(rng, 12.0, 25.0)
    at = (_between(rng, -0.1, 0.1), _between(rng, -0.1, 0.1), half)
    shape = str(rng.choice(["box", "cylinder"]))
    spun = _dressed(rng, shape, half, at, angular_velocity_rad_s=(0.0, 0.0, spin), motion="rolls")
    return Scene((spun,))


def _stacked(rng: np.random.Generator) -> Scene:
    below, above, half = _size(rng, "big"), _size(rng, "small"), _size(rng)
    y, side = _between(rng, -0.08, 0.08), float(rng.choice([-1.0, 1.0]))
    base = _dressed(rng, "box", below, (0.1 * side, y, below))
    top = _dressed(rng, "box", above, (0.1 * side, y, 2 * below + above))
    ball = _rolling(rng, half, (-0.2 * side, y), np.array([side * _between(rng, 0.5, 0.8), 0.0]))
    return Scene(_in_colours(rng, ball, base, top))


COMBINATIONS = (_sliding, _aslant, _spinning, _stacked)


def striking(rng: np.random.Generator) -> Scene:
    """A ball rolls into something that rests, or into another ball that comes towards it."""
    half, other, side = _size(rng), _size(rng), float(rng.choice([-1.0, 1.0]))
    y = _between(rng, -0.1, 0.1)
    off = y + _between(rng, -0.5, 0.5) * min(half, other)
    ball = _rolling(rng, half, (-0.27 * side, y), np.array([side * _between(rng, 0.25, 0.5), 0.0]))
    if rng.random() < 0.3:
        towards = np.array([-side * _between(rng, 0.1, 0.25), 0.0])
        return Scene(_in_colours(rng, ball, _rolling(rng, other, (0.22 * side, off), towards)))
    shape = str(rng.choice(BODY_SHAPES))
    place = (side * _between(rng, 0.05, 0.2), off, other)
    return Scene(_in_colours(rng, ball, _dressed(rng, shape, other, place)))


def behind(rng: np.random.Generator) -> Scene:
    """A small ball rolls across behind one big box, or behind two side by side."""
    half, side = _size(rng, "small"), float(rng.choice([-1.0, 1.0]))
    wall = [_size(rng, "big") for _ in range(int(rng.integers(1, 3)))]
    y = _between(rng, 0.02, 0.14)
    speed = side * _between(rng, 0.4, 0.75)
    ball = _rolling(rng, half, (-0.28 * side, y), np.array([speed, 0.0]))
    x = side * _between(rng, -0.02, 0.1)
    boxes = []
    for box in wall:
        boxes.append(_dressed(rng, "box", box, (x, y - half - box - _between(rng, 0.012, 0.025), box)))
        x += side * 2 * (box + 0.002)
    return Scene(_in_colours(rng, ball, *boxes))


def _moves_soon(held: Held) -> bool:
    return held.scene.push is None and moves_freely(held)


PARTS: dict[str, Part] = {
    "free": Part(
        "as models train on: something moves on by itself after the first second", free, moves_freely, 40
    ),
    "pushed": Part(
        "as models train on: the finger pushes something after the first second", pushed, is_pushed, 40
    ),
    "usual": Part(
        "as models train on: something moves on by itself after the first quarter of a second", free,
        _moves_soon, 24, 1.0, SHORT_CONTEXT_SECONDS,
    ),
    "fast": Part(
        "rolls or flies 1.25 to 2 times as fast as the fastest of training (0.8 and 0.6 m/s), or falls 1.25 "
        "to 1.7 times as far as the highest (0.30 m)", fast, _moves_soon, 24, 1.0, SHORT_CONTEXT_SECONDS,
    ),
    "sized": Part(
        "half extents 0.74 to 0.89 times the smallest of training (0.038 m) or 1.1 to 1.3 times the largest "
        "(0.060 m)", sized, _moves_soon, 24, 1.0, SHORT_CONTEXT_SECONDS,
    ),
    "combined": Part(
        "begins as nothing in training does: a box slides, a ball rolls aslant, a thing spins on the spot, a "
        "ball rolls into a stack; all speeds and sizes usual", combined, _moves_soon, 24, 1.0,
        SHORT_CONTEXT_SECONDS,
    ),
    "striking": Part(
        "a ball rolls into another body, and nothing else is near", striking,
        lambda held: bool(strikes(held.truth)), 40, 2.5, SHORT_CONTEXT_SECONDS,
    ),
    "behind": Part(
        "a ball rolls across behind one or two boxes: out of sight and in again", behind,
        lambda held: bool(passages(held)), 40, 1.75, SHORT_CONTEXT_SECONDS,
    ),
    "resting": Part(
        "two or three things rest", resting,
        lambda held: not moves_freely(held), 24, 1.0,
    ),
}  # fmt: skip


def drawn(number: int, part: Part) -> Iterator[Scene]:
    """The scenes of a part, without end."""
    for candidate in count():
        scene = _rounded(part.draw(np.random.default_rng([VERSION, number, candidate])))
        if part.wanted(hold(candidate, part.seconds, scene, part.context_seconds)):
            yield scene


def _rounded(scene: Scene) -> Scene:
    """The same to a hundredth of a millimetre, as it is written."""
    return Scene.from_json(json.loads(json.dumps(scene.to_json()), parse_float=lambda v: round(float(v), 5)))


@dataclass
class Settings:
    """only: parts to draw anew; all if left out."""

    only: tuple[str, ...] = tuple(PARTS)


def main(settings: Settings) -> None:
    parts = json.loads(FILE.read_text())["parts"] if FILE.exists() else {}
    for number, (name, part) in enumerate(PARTS.items()):
        if name in settings.only:
            scenes = [
                scene.to_json() for _, scene in zip(range(part.num_scenes), drawn(number, part), strict=False)
            ]
            parts[name] = {"about": part.about, "scenes": scenes}
            console.print(f"{name}: {len(scenes)}")
    rows = ",\n".join(
        f' {json.dumps(name)}: {{"about": {json.dumps(part["about"])}, "scenes": [\n'
        + ",\n".join(f"  {json.dumps(scene)}" for scene in part["scenes"])
        + "\n ]}"
        for name, part in sorted(parts.items(), key=lambda item: list(PARTS).index(item[0]))
    )
    write_atomically(FILE, f'{{"version": {VERSION}, "parts": {{\n{rows}\n}}}}\n'.encode())


if __name__ == "__main__":
    main(tyro.cli(Settings))
