"""`orrery inspect`: what a film, a dataset or a checkpoint is, and whether all of it can be read."""

from __future__ import annotations

from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orrery.cli.console import needs, progress_bar
from orrery.errors import UserError

__all__ = ["inspect"]


def inspect(
    path: tyro.conf.Positional[Path],
    out: Path | None = None,
    episode: int = 0,
    no_verify: bool = False,
    page: Path | None = None,
    repair: bool = False,
    force: bool = False,
) -> int:
    """Say what a film, a dataset or a checkpoint is, read all of it, and draw a contact sheet.

    Args:
        path: a film, or the folder of a dataset or a checkpoint.
        out: the contact sheet, a PNG; beside PATH if left out, where a file that is there is kept.
        episode: which episode of a dataset is drawn.
        no_verify: do not check and read all of a dataset, which takes time.
        page: an HTML page of a dataset to write: films, waveforms, touch, statistics.
        repair: first make a dataset whole: complete what a stopped collection left, leave out what is
            damaged. The damaged dataset is kept beside it.
        force: replace the contact sheet and the page that are there.
    """
    if repair:
        _repair(path)
    from orrery.inference.inspect import inspect as run

    with needs("sim", "reading a dataset"), progress_bar(path.name, "steps") as on_step:
        summary = run(path, out, force, episode, not no_verify, on_step, page)
    table = Table(title=Text(f"{path}: a {summary.kind}"), title_justify="left", show_header=False)
    for name, value in summary.facts:
        table.add_row(Text(name, style="bold"), Text(value))
    Console().print(table)
    if summary.problems:
        more = f" (and {len(summary.problems) - 1} more)" if len(summary.problems) > 1 else ""
        raise UserError(f"{path}: not all of it can be read: {summary.problems[0]}{more}")
    return 0


def _repair(path: Path) -> None:
    with needs("sim", "repairing a dataset"), progress_bar(f"repair {path.name}", "files") as on_step:
        from orrery.data.repair import repair

        done = repair(path, on_step)
    for fault in done.faults:
        print(f"{path / fault.file}: {fault.what}")
    aside = f"; what was there is now {done.aside}" if done.aside else ""
    print(f"{path}: {done.num_kept} episodes kept, {done.num_dropped} left out{aside}")
