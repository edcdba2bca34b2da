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
    force: bool = False,
) -> int:
    """Say what a film, a dataset or a checkpoint is, read all of it, and draw a contact sheet.

    Args:
        path: a film, or the folder of a dataset or a checkpoint.
        out: the contact sheet, a PNG; beside PATH if left out, where a file that is there is kept.
        episode: which episode of a dataset is drawn.
        no_verify: do not read all episodes of a dataset, which takes time.
        force: replace the contact sheet that is there.
    """
    from orrery.inference.inspect import inspect as run

    with needs("sim", "reading a dataset"), progress_bar(path.name, "steps") as on_step:
        summary = run(path, out, force, episode, not no_verify, on_step)
    table = Table(title=Text(f"{path}: a {summary.kind}"), title_justify="left", show_header=False)
    for name, value in summary.facts:
        table.add_row(Text(name, style="bold"), Text(value))
    Console().print(table)
    if summary.problems:
        more = f" (and {len(summary.problems) - 1} more)" if len(summary.problems) > 1 else ""
        raise UserError(f"{path}: not all of it can be read: {summary.problems[0]}{more}")
    return 0
