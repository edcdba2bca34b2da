"""`orrery train`: a recipe and a dataset become a checkpoint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import tyro

from orrery.cli.console import needs
from orrery.errors import BadUse
from orrery.registry import resolve_model

__all__ = ["QuickReports", "train"]


class QuickReports:
    """Starts `orrery report --quick` on a checkpoint, in a process of its own at low priority. Training never
    waits for it, nor fails with it: what went wrong is in `report.log` beside the page. While one report is
    being made, no other is begun."""

    def __init__(self) -> None:
        self.running: subprocess.Popen[bytes] | None = None

    def __call__(self, checkpoint: Path) -> None:
        if self.running is not None and self.running.poll() is None:
            return
        page = checkpoint.with_name("report.html")
        command = [
            sys.executable,
            "-m",
            "orrery.cli",
            "report",
            str(checkpoint),
            "--quick",
            "--out",
            str(page),
        ]
        quietly = ["nice", "-n", "10"] if shutil.which("nice") else []
        with checkpoint.with_name("report.log").open("wb") as log:
            self.running = subprocess.Popen([*quietly, *command], stdout=log, stderr=log)


def train(
    recipe: tyro.conf.Positional[str],
    data: Path,
    out: Path,
    resume: bool = False,
    seed: int = 0,
    start: str | None = None,
    minutes: float | None = None,
    processes: int = 1,
    report_every: float | None = None,
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
        report_every: minutes after which the world that is being learned is reported on, again and again, in
            the quick form and beside the training: OUT/reports holds each checkpoint with its page.
    """
    if seed < 0:
        raise BadUse(f"--seed {seed}: must be 0 or above")
    if processes < 1:
        raise BadUse(f"--processes {processes}: must be 1 or above")
    if report_every is not None and not report_every > 0:
        raise BadUse(f"--report-every {report_every:g}: must be above 0 minutes")
    if report_every is not None:
        with needs("report", "reporting on the way"):
            import orrery.evaluation.page  # noqa: F401  (now rather than an hour later)
    with needs("train", "training"):
        from orrery.recipes import recipe as named
        from orrery.training.run import Reporting
        from orrery.training.run import train as run

        begin = None if start is None else resolve_model(start)
        reporting = None if report_every is None else Reporting(report_every, QuickReports())
        checkpoint = run(
            named(recipe, minutes), data, out, resume, seed, start=begin, processes=processes,
            reporting=reporting,
        )  # fmt: skip
    print(f"{checkpoint}: trained; film it with orrery generate PROMPT --model {checkpoint} --out film.mp4")
    return 0
