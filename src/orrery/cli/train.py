"""`orrery train`: a recipe and a dataset become a checkpoint."""

from __future__ import annotations

from pathlib import Path

import tyro

from orrery.cli.console import needs
from orrery.errors import BadUse
from orrery.registry import resolve_model

__all__ = ["train"]


def train(
    recipe: tyro.conf.Positional[str],
    data: Path,
    out: Path,
    resume: bool = False,
    seed: int = 0,
    start: str | None = None,
    minutes: float | None = None,
    processes: int = 1,
) -> int:
    """Train a model on a dataset.

    Stages that are done are not done again, so a run that was stopped goes on with --resume.

    Args:
        recipe: which model, and how it is trained, such as tiny or tabletop.
        data: a dataset made by `orrery collect`, or a folder of several.
        out: the run's folder, which ends up holding the checkpoint.
        resume: go on with the run that is there.
        seed: of the weights and of the order of the data.
        minutes: how long to train in all; the recipe says if left out.
        processes: how many train the transformer together, one to a CPU core.
        start: a shipped model's name or a checkpoint's folder, to train that further.
    """
    if seed < 0:
        raise BadUse(f"--seed {seed}: must be 0 or above")
    if processes < 1:
        raise BadUse(f"--processes {processes}: must be 1 or above")
    with needs("train", "training"):
        from orrery.recipes import recipe as named
        from orrery.training.run import train as run

        begin = None if start is None else resolve_model(start)
        checkpoint = run(named(recipe, minutes), data, out, resume, seed, start=begin, processes=processes)
    print(f"{checkpoint}: trained; film it with orrery generate PROMPT --model {checkpoint} --out film.mp4")
    return 0
