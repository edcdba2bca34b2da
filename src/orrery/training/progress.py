"""What takes long shows how far it is: as a bar, and to whoever watches the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from orrery.training import parallel

__all__ = ["Watch", "columns", "progress"]

Watch = Callable[[str, float], None]
"""Called every few seconds, in the first process alone, with what is being done and the share of it that is
done."""


def columns() -> Iterator[ProgressColumn]:
    """Of a bar, in which only names and words give way where a terminal is narrow."""
    yield TextColumn(
        "{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=26)
    )
    yield BarColumn(bar_width=12, table_column=Column(min_width=12))
    yield TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4))
    yield TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7))
    yield TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))


@contextmanager
def progress(doing: str, watch: Watch | None = None) -> Iterator[Callable[[float, str], None]]:
    """A bar with the time left; yields what to call with the share that is done and a few words."""
    is_first = parallel.rank() == 0
    with Progress(*columns(), expand=True) as bar:
        task = bar.add_task(doing, total=1.0, words="", visible=is_first)

        def on_step(share: float, words: str = "") -> None:
            bar.update(task, completed=share, words=words)
            if watch is not None and is_first:
                watch(doing, share)

        yield on_step
