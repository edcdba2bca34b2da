"""Sixty sentences that people type (`sentences.yaml`, written before the work on the language): how many are
understood, in how many of those what they say happens, and how many that cannot be are refused by name.

*Understood* is a sentence that is read, and whose scene has just the things, the relations, the speeds, the
length and the camera that it says. *Happens* is judged from the exact world's states and events
(`sentences_judge.py`), never from the reader's idea of the sentence. *Ignored* is a sentence that was filmed
though something that it says did not happen, or cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml

from harness import EXACT, Subject, console, progress, save, show
from orrery.errors import UserError
from orrery.evaluation.statistics import share
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.world import LaboratoryWorld
from sentences_judge import Film, failures

FILE = Path(__file__).with_suffix(".yaml")
UNDERSTOOD, HAPPENS = 0.80, 0.95
SECONDS = 5.0
"""How long a film is where its sentence does not say."""


@dataclass
class Settings:
    """seed: of every scene. only: numbers of sentences (from 1); all if left out."""

    seed: int = 0
    only: tuple[int, ...] = ()


def asked_seconds(world: LaboratoryWorld, prompt: str) -> float | None:
    """The length that the world reads in a sentence."""
    read = getattr(world, "prompt_seconds", None)
    return None if read is None else read(prompt)


def filmed(prompt: str, seed: int) -> tuple[Film, float | None]:
    """The sentence in the exact world, without pictures; UserError where it is refused."""
    world = LaboratoryWorld(streams=["state", "camera.main"])
    first = world.reset(seed, prompt=prompt)
    seconds = asked_seconds(world, prompt)
    ticks = [first] + [world.step() for _ in range(world.spec.clock.num_ticks(seconds or SECONDS) - 1)]
    state, camera = (np.concatenate([tick[name][0] for tick in ticks]) for name in ("state", "camera.main"))
    return Film(LabScene.from_json(world.scene()), state, camera, world.events()), seconds


def camera_failures(asked: Mapping[str, Any], film: Film) -> list[str]:
    """Where the camera is not as said, from its own poses."""
    place = film.camera[:, :3].astype(float)
    azimuth = np.degrees(np.arctan2(place[0, 1], place[0, 0]))
    elevation = np.degrees(np.arctan2(place[0, 2], np.hypot(*place[0, :2])))
    found = []
    if asked.get("from") == "left" and not -175 < azimuth < -110:
        found.append(f"camera from the left: azimuth {azimuth:.0f}")
    if asked.get("from") == "above" and elevation < 55:
        found.append(f"camera from above: elevation {elevation:.0f}")
    moved = np.linalg.norm(place[-1] - place[0])
    if asked.get("orbits") and not 0.1 < moved < 1.2:
        found.append(f"camera slowly orbits: moved {moved:.2f} m")
    if asked.get("close") and np.linalg.norm(place[0]) > 0.95:
        found.append("camera is not close")
    return found


def judged(sentence: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One sentence: what became of it, and what was wrong."""
    said = sentence["says"]
    try:
        film, seconds = filmed(said, seed)
    except UserError as refusal:
        word = next((w for w in sentence.get("refused", ()) if f'"{w}"' in str(refusal).lower()), None)
        return {"says": said, "outcome": "refused", "word": word, "message": str(refusal)}
    if "refused" in sentence:
        return {"says": said, "outcome": "filmed", "understood": False, "wrong": ["it cannot be"]}
    start, wrong = failures(sentence, film)
    start += camera_failures(sentence.get("camera", {}), film)
    if seconds != sentence.get("seconds"):
        start.append(f"{sentence.get('seconds')} seconds asked, {seconds} read")
    return {"says": said, "outcome": "filmed", "understood": not start, "wrong": start + wrong,
            "happens": not wrong}  # fmt: skip


def main(settings: Settings) -> None:
    sentences = yaml.safe_load(FILE.read_text())
    numbers = settings.only or range(1, len(sentences) + 1)
    found = []
    for number in progress(list(numbers), "sentences"):
        found.append({"number": number, **judged(sentences[number - 1], settings.seed)})
        console.print(found[-1])
    can = [f for f in found if "refused" not in sentences[f["number"] - 1]]
    cannot = [f for f in found if "refused" in sentences[f["number"] - 1]]
    understood = [f for f in can if f.get("understood")]
    ignored = [f for f in found if f["outcome"] == "filmed" and f["wrong"]]
    figures = {
        "num_sentences": len(found),
        "understood": share(len(understood), len(can)),
        "happens": share(sum(f["happens"] for f in understood), len(understood)),
        "refused_with_a_useful_word": share(sum(bool(f.get("word")) for f in cannot), len(cannot)),
        "ignored": len(ignored),
        "bars": {"understood": UNDERSTOOD, "happens": HAPPENS, "ignored": 0},
        "sentences": found,
    }
    rows = [
        ["understood, of those that can be", figures["understood"], f">= {UNDERSTOOD:.0%}"],
        ["of these, what they say happens", figures["happens"], f">= {HAPPENS:.0%}"],
        ["refused with a useful word, of those that cannot be", figures["refused_with_a_useful_word"], ""],
        ["filmed though something said is not so", len(ignored), 0],
    ]
    show(f"{len(found)} sentences that people type", ["", "found", "bar"], rows)
    if not settings.only:
        save("sentences", Subject(EXACT), {"exact_world": "laboratory", **figures}, seed=settings.seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
