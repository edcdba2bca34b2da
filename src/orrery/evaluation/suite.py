"""The scenes that a report is asked on: fixed, versioned, the same for every model.

`suite.json` holds them, in parts; `benchmarks/suite.py` drew it and says of each part what it is and how far
it is from what models train on. Figures of different versions cannot be compared.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from orrery.errors import BadUse
from orrery.evaluation.rollouts import Held, hold
from orrery.worlds.tabletop.scene import Scene

__all__ = [
    "FILE",
    "OUTSIDE",
    "SHORT_CONTEXT_SECONDS",
    "VERSION",
    "Part",
    "first_scenes",
    "held_part",
    "suite",
    "suite_hash",
]

VERSION = 1
MOST_SCENES = 24
"""Every part holds at least as many."""
FILE = Path(__file__).with_name("suite.json")
SHORT_CONTEXT_SECONDS = 0.25
"""Where a scene is outside of what models train on by how it begins, a second of context would hide it."""
OUTSIDE = ("fast", "sized", "combined")
"""The parts that models do not train on. Of counts none is outside: a state has three slots for objects, and
models train on one to three."""


@dataclass(frozen=True)
class Part:
    """about: what its scenes are, and how far from those of training. scenes: in a fixed order, of which the
    first few serve as well as all."""

    about: str
    scenes: tuple[Scene, ...]


@lru_cache(maxsize=1)
def suite() -> dict[str, Part]:
    """Every part by its name."""
    values = json.loads(FILE.read_text("utf-8"))
    return {
        name: Part(part["about"], tuple(Scene.from_json(scene) for scene in part["scenes"]))
        for name, part in values["parts"].items()
    }


def suite_hash() -> str:
    """SHA-256 of what the suite holds."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def first_scenes(name: str, num_scenes: int) -> tuple[Scene, ...]:
    """The first scenes of a part. Raises BadUse for more than there are."""
    scenes = suite()[name].scenes
    if not 0 <= num_scenes <= len(scenes):
        raise BadUse(f"the suite's part {name} holds {len(scenes)} scenes; asked for {num_scenes}")
    return scenes[:num_scenes]


def held_part(name: str, num_scenes: int, seconds: float, context_seconds: float = 1.0) -> list[Held]:
    """The first scenes of a part, run by the exact world for a context and `seconds` more."""
    scenes = first_scenes(name, num_scenes)
    return [hold(seed, seconds, scene, context_seconds) for seed, scene in enumerate(scenes)]
