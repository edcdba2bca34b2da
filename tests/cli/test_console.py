"""What the commands share in talking to a person."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from orrery.cli.console import progress_bar


@pytest.fixture(autouse=True)
def ctrl_c_counts() -> Iterator[None]:
    """Also where the tests run in the background, and Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class _InterruptedWhenDropped:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_that_a_destructor_swallows_stops_at_the_next_step() -> None:
    with progress_bar("a film", "ticks") as on_step:
        on_step(1, 3)
        swallows = _InterruptedWhenDropped()
        del swallows  # Python only reports what is raised here
        with pytest.raises(KeyboardInterrupt):
            on_step(2, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with progress_bar("a film", "ticks") as on_step:
            signal.raise_signal(signal.SIGINT)
            on_step(1, 1)
    finally:
        signal.signal(signal.SIGINT, before)
