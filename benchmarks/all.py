"""Every benchmark of a world, one after the other, each in its own process. `--quick` is a smoke test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from harness import EXACT, console

QUICK = {
    "obedience": ["--num-prompts", "4"],
    "dynamics": ["--num-scenes", "3", "--num-drops", "2"],
    "sound": ["--num-prompts", "3", "--num-silent", "2"],
    "report": ["--num-films", "2", "--seconds", "1.5", "--num-rollouts", "1", "--num-long", "0"],
    "perception": ["--num-scenes", "3"],
    "tokenizer_losses": ["--num-scenes", "2"],
    "cost": ["--seconds", "2", "4", "--num-runs", "1"],
    "reproducible": ["--seconds", "1", "--num-seeds", "2"],
}


OF_MODELS = ("perception", "tokenizer_losses")


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. quick: a few films of each, to see that everything runs."""

    model: str
    quick: bool = False


def main(settings: Settings) -> None:
    here = Path(__file__).parent
    failed = []
    # A smoke test measures nothing, so its figures stay out of the results.
    environment = os.environ | ({"ORRERY_RESULTS": tempfile.mkdtemp()} if settings.quick else {})
    for name, few in QUICK.items():
        if name in OF_MODELS and settings.model == EXACT:
            continue
        console.rule(name)
        command = [
            sys.executable,
            str(here / f"{name}.py"),
            "--model",
            settings.model,
            *(few if settings.quick else []),
        ]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(tyro.cli(Settings))
