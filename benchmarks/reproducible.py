"""The same seed gives the same film, frame for frame and sample for sample; another seed gives another."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass

import tyro

from harness import EXACT, Subject, save, show, ticks_of

SEED = 960_000
PROMPT = "a red ball drops and a blue box stands on the table"


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. seconds: of each film. num_seeds: that are compared.

    one: print the hashes of the film of this seed as JSON, and nothing else; what each process does.
    """

    model: str = EXACT
    seconds: float = 2.0
    num_seeds: int = 3
    one: int | None = None


def hashes(subject: Subject, seed: int, seconds: float) -> dict[str, str]:
    """SHA-256 of each stream of one film."""
    world = subject.open()
    digests = {name: hashlib.sha256() for name in world.spec.streams}
    for tick in ticks_of(world, seed, world.spec.clock.num_ticks(seconds), prompt=PROMPT):
        for name, digest in digests.items():
            digest.update(tick[name].tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _apart(settings: Settings, seed: int) -> dict[str, str]:
    """`hashes` in a fresh process."""
    command = [sys.executable, __file__, "--model", settings.model, "--seconds", str(settings.seconds)]
    done = subprocess.run([*command, "--one", str(seed)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    if settings.one is not None:
        print(json.dumps(hashes(subject, settings.one, settings.seconds)))
        return
    films = [(_apart(settings, SEED + k), _apart(settings, SEED + k)) for k in range(settings.num_seeds)]
    same = all(first == second for first, second in films)
    videos = {first["video.main"] for first, _ in films}
    figures = {
        "same_seed_same_film": same,
        "other_seed_other_film": len(videos) == len(films),
        "films": [first for first, _ in films],
    }
    show(
        f"{len(films)} seeds, each in two processes",
        ["", subject.model],
        [
            ["same seed, every stream identical", str(same)],
            ["another seed, another film", str(figures["other_seed_other_film"])],
        ],
    )
    save("reproducible", subject, {"figures": figures}, seed=SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
