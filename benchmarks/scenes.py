"""A thousand random scenes of the laboratory: does each stay sound, and do its sentences mean what happens?

Each scene runs by its own script, without pictures (a sample is drawn as well). Faults: a value that is not
finite; an explosion (something faster than anything thrown or dropped here can be, or, where no finger
pushes, more energy than the scene began with); a thing under the table; sound that clips; an empty caption.
Things that bounce or roll off the table are counted too: that is no fault. Sentences: the scene satisfies
what is read from its own caption, what is told to happen in it included; a new scene made from that sentence
satisfies it too; and, for some, a scene is found in which what the sentence tells does happen.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro

from harness import EXACT, Subject, console, progress, save, show
from orrery.errors import UserError
from orrery.evaluation.statistics import share
from orrery.streams import Array, Event
from orrery.worlds.laboratory.captions import caption_laboratory
from orrery.worlds.laboratory.drawing import LabRequest
from orrery.worlds.laboratory.families import FAMILIES, sample_laboratory
from orrery.worlds.laboratory.scene import LAB_STATE, LabScene
from orrery.worlds.laboratory.sentences.agreement import disagreements
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.sentences.staging import stage
from orrery.worlds.laboratory.sentences.story import Story
from orrery.worlds.laboratory.world import LaboratoryWorld
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS

SEED = 960_000
FASTEST_M_S = 6.0
FARTHEST_M = 1.2
DEEPEST_M = 0.010
MORE_ENERGY, MORE_ENERGY_J = 1.02, 0.01
FULL_SCALE = 0.999
OFF = "off the table"
BAR = 0.99


@dataclass
class Settings:
    """num_scenes: over all families in turn. seconds: of each. num_drawn: of which a picture is looked at.
    num_searched: sentences with happenings for which a scene is sought."""

    num_scenes: int = 1000
    seconds: float = 2.5
    num_drawn: int = 24
    num_searched: int = 30


def lowest_m(state: Array) -> float:
    """Height of the lowest point of any thing in `[..., D]`; things that are absent do not count."""
    things = state.reshape(-1, LAB_STATE.width).astype(float)
    things = things[LAB_STATE.get(things, "present")[:, 0] > 0.5]
    size, shape = LAB_STATE.get(things, "size"), LAB_STATE.get(things, "shape").argmax(axis=1)
    inverse = LAB_STATE.get(things, "quaternion") * [1, -1, -1, -1]
    up = np.abs(rotate(inverse, np.broadcast_to([0.0, 0.0, 1.0], (len(things), 3))))
    across = np.sqrt(np.clip(1.0 - up[:, 2] ** 2, 0.0, 1.0))
    drop = {
        "ball": size[:, 0],
        "box": (up * size).sum(axis=1),
        "cylinder": up[:, 2] * size[:, 2] + across * size[:, 0],
        "capsule": up[:, 2] * size[:, 2] + size[:, 0],
    }
    reach = np.choose(shape, [drop[name] for name in LAB_STATE.shapes[:4]])
    return float((LAB_STATE.get(things, "position")[:, 2] - reach).min())


def gains_energy(state: Array) -> bool:
    """Whether things `[n, 8, D]` ever have more energy than they began with, joules.

    Spin counts in full at the start, by a radius that no thing's exceeds, and not at all later: so friction
    and gears of contacts cannot raise the figure.
    """
    things = np.where(LAB_STATE.get(state, "present") > 0.5, state, 0.0).astype(float)
    size, shape = LAB_STATE.get(things, "size"), LAB_STATE.get(things, "shape").argmax(axis=-1)
    radius, half_length = size[..., 0], size[..., 2]
    volume = np.choose(shape, [
        4.0 / 3.0 * np.pi * radius**3, 8.0 * size.prod(axis=-1), 2.0 * np.pi * radius**2 * half_length,
        np.pi * radius**2 * (2.0 * half_length + 4.0 / 3.0 * radius),
    ])  # fmt: skip
    density = np.array([ALL_MATERIALS[name].density_kg_m3 for name in LAB_STATE.materials])
    mass = volume * density[LAB_STATE.get(things, "material").argmax(axis=-1)]
    square = (LAB_STATE.get(things, "linear_velocity") ** 2).sum(axis=-1)
    spin = (LAB_STATE.get(things, "angular_velocity") ** 2).sum(axis=-1)
    energy = (mass * (square / 2 + 9.81 * LAB_STATE.get(things, "position")[..., 2])).sum(axis=-1)
    spinning = (mass * (size**2).sum(axis=-1) * spin / 2)[0].sum()
    return bool(energy.max() > MORE_ENERGY * (energy[0] + spinning) + MORE_ENERGY_J)


def faults(state: Array, audio: Array, caption: str, is_pushed: bool) -> list[str]:
    """What is wrong with an episode: state `[n, slots, D]`, audio `[n, 2]`. is_pushed: by the finger."""
    things = state[:, : len(state[0]) - 1]
    found = []
    if not (np.isfinite(state).all() and np.isfinite(audio).all()):
        return ["not finite"]
    speed = np.linalg.norm(LAB_STATE.get(things, "linear_velocity"), axis=-1).max()
    far = np.abs(LAB_STATE.get(things, "position")).max()
    if speed > FASTEST_M_S or (not is_pushed and gains_energy(things[:, :8])):
        found.append("explosion")
    if far > FARTHEST_M:
        found.append(OFF)
    if lowest_m(things[:, :8]) < -DEEPEST_M:
        found.append("under the table")
    if np.abs(audio).max() >= FULL_SCALE:
        found.append("clipped sound")
    if not caption.strip():
        found.append("empty caption")
    return found


def told_wrong(
    scene: LabScene, events: list[Event], rng: np.random.Generator
) -> tuple[str, list[str], Story]:
    """A caption, where it and its own scene or one made from it disagree, and what it asks."""
    text = caption_laboratory(scene, events, rng)
    try:
        request = parse_laboratory(text)
        again = stage(rng, request).scene
    except UserError as problem:
        return text, [f"not read back: {problem}"], Story()
    wrong = disagreements(request, scene, events)
    return text, wrong + [f"made anew: {what}" for what in disagreements(request, again)], request


def measured(settings: Settings) -> dict[str, Any]:
    world = LaboratoryWorld(streams=["state", "audio.main"])
    num_ticks = world.spec.clock.num_ticks(settings.seconds)
    tally: Counter[str] = Counter()
    agreed, sought, found, examples = 0, 0, 0, []
    began = time.process_time()
    for number in progress(range(settings.num_scenes), "scenes"):
        rng = np.random.default_rng([SEED, number])
        family = list(FAMILIES)[number % len(FAMILIES)]
        scene = sample_laboratory(rng, LabRequest(family=family))
        ticks = [world.reset(SEED + number, scene=scene), *(world.step() for _ in range(num_ticks - 1))]
        state = np.concatenate([tick["state"][0] for tick in ticks])
        audio = np.concatenate([tick["audio.main"][0] for tick in ticks])
        text, wrong, request = told_wrong(scene, world.events(), rng)
        bad = faults(state, audio, text, scene.task is not None)
        tally.update(bad)
        agreed += not wrong
        if (bad or wrong) and len(examples) < 20:
            examples.append(
                {"scene": number, "family": family, "faults": bad, "sentence": text, "wrong": wrong}
            )
        if any(deed.is_then for deed in request.deeds) and not wrong and sought < settings.num_searched:
            sought += 1
            found += _happens_again(world, text, number)
    return {
        "num_scenes": settings.num_scenes, "seconds_each": settings.seconds,
        "faults": {name: tally[name] for name in (
            "not finite", "explosion", "under the table", "clipped sound", "empty caption")},
        "bounced_or_rolled_off_the_table": tally[OFF],
        "sentence_agrees": share(agreed, settings.num_scenes), "bar": BAR,
        "happenings_found": share(found, sought),
        "pictures": _pictures(settings.num_drawn),
        "core_seconds_a_scene": (time.process_time() - began) / settings.num_scenes,
        "examples": examples,
    }  # fmt: skip


def _happens_again(world: LaboratoryWorld, text: str, seed: int) -> bool:
    """Whether a world that starts from the sentence comes to what it tells."""
    request = parse_laboratory(text)
    try:
        world.reset(seed, prompt=text)
    except UserError:
        return False
    scene = LabScene.from_json(world.scene())
    for _ in range(world.spec.clock.num_ticks(3.0)):
        world.step()
    return not disagreements(request, scene, world.events())


def _pictures(count: int) -> dict[str, Any]:
    """Whether pictures show something: a thing in view, and a spread of brightness."""
    world = LaboratoryWorld(streams=["video.main", "segmentation.main", "state"])
    shown = 0
    for number in range(count):
        family = list(FAMILIES)[number % len(FAMILIES)]
        scene = sample_laboratory(np.random.default_rng([SEED, 1, number]), LabRequest(family=family))
        tick = world.reset(SEED + number, scene=scene)
        things = (tick["segmentation.main"][0, -1] >= 2).sum()
        shown += bool(things > 30 and tick["video.main"][0, -1].std() > 8.0)
    return {"drawn": count, "show_something": shown}


def main(settings: Settings) -> None:
    figures = measured(settings)
    rows = [[name, count, 0] for name, count in figures["faults"].items()]
    rows += [
        ["things bounce or roll off the table", figures["bounced_or_rolled_off_the_table"], ""],
        ["sentence, its scene and one made from it agree", figures["sentence_agrees"], f">= {BAR:.0%}"],
        ["a scene is found in which what is told happens", figures["happenings_found"], ""],
        ["pictures that show something", figures["pictures"]["show_something"], settings.num_drawn],
    ]
    show(f"{settings.num_scenes} scenes of the laboratory", ["", "found", "bar"], rows)
    for example in figures["examples"]:
        console.print(example)
    save("scenes", Subject(EXACT), {"exact_world": "laboratory", **figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
