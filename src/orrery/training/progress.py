"""What takes long shows how far it is: as a bar, and to whoever watches the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from orrery.training import parallel

__all__ = ["Watch", "progress"]

Watch = Callable[[str, float], None]
"""Called every few seconds, in the first process alone, with what is being done and the share of it that is
done."""


@contextmanager
def progress(doing: str, watch: Watch | None = None) -> Iterator[Callable[[float, str], None]]:
    """A bar with the time left; yields what to call with the share that is done and a few words."""
    is_first = parallel.rank() == 0
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with Progress(*columns) as bar:
        task = bar.add_task(doing, total=1.0, words="", visible=is_first)

        def on_step(share: float, words: str = "") -> None:
            bar.update(task, completed=share, words=words)
            if watch is not None and is_first:
                watch(doing, share)

        yield on_step
