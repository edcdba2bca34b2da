"""What the commands share in talking to a person: bars on stderr, and what to install for which command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from orrery.errors import UserError

__all__ = ["needs", "progress_bar"]


class _Speed(ProgressColumn):
    """Steps a second, such as `11.8 ticks/s`."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {self._unit}/s" if speed else f"- {self._unit}/s")


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; yields what to call with (steps done, steps in all).

    What it yields raises KeyboardInterrupt if Ctrl-C was pressed and a library has swallowed it.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(unit))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(what, total=None)
        with _remembered_ctrl_c() as stop_if_pressed:

            def on_step(done: int, total: int) -> None:
                stop_if_pressed()
                bar.update(task, completed=done, total=total)

            yield on_step


@contextmanager
def _remembered_ctrl_c() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises as ever, and again in what this yields: Python drops what is raised in a destructor.

    Warp's arrays have one, which runs with each picture: about one Ctrl-C in forty was lost there.
    """
    pressed = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.default_int_handler(number, frame)

    def stop_if_pressed() -> None:
        if pressed:
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()  # only there may a handler be set
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # or Ctrl-C is ignored
        yield stop_if_pressed
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield stop_if_pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Turn a library that is not installed into a UserError that names the extra which brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "orrery":
            raise  # a fault of this program, not of the installation
        raise UserError(
            f'{what} needs {error.name}, which is not installed; pip install "orrery[{extra}]"'
        ) from error
