"""A sentence becomes a film: simulated exactly, and imagined by a model.

Run it from anywhere: `python examples/01_generate.py [FOLDER]`. The films go to FOLDER (default: here).
"""

from __future__ import annotations

import sys
from pathlib import Path

from orrery.errors import UserError
from orrery.inference.generate import make_film
from orrery.inference.imagined_world import load_world
from orrery.registry import DEFAULT_MODEL, resolve_model
from orrery.world import World
from orrery.worlds import world_factory

SENTENCE = "a red ball drops and a blue box stands on the table"


def main(folder: Path, seconds: float = 2.0) -> None:
    # Any world can be filmed: reset with a seed and a sentence, then stepped.
    worlds: dict[str, World] = {"exact": world_factory("tabletop")()}
    try:
        worlds["imagined"] = load_world(resolve_model(DEFAULT_MODEL))
    except UserError as error:  # an installation without the model
        print(error)
    for name, world in worlds.items():
        film = make_film(world, SENTENCE, seconds, seed=0, out=folder / f"{name}.mp4", force=True, sheet=True)
        print(
            f"{film.path}: {film.seconds:.2f} s of film in {film.wall_seconds:.1f} s, and {film.sheet_path}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
