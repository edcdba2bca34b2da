"""kill -9 at any moment, again and again: at most the episode being written is lost, and the bytes come out
the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orrery.data import layout, writer
from orrery.data.record.collect import collect
from orrery.data.verify import verify
from orrery.data.writer import finished_parts, read_episode_rows

FilesOf = Callable[[Path], dict[str, bytes]]
NUM_EPISODES = 8
NUM_KILLS = 12
PATIENCE_SECONDS = 600.0
"""Until what must happen has happened, on a machine that does much else."""


def _collect(out: Path) -> None:
    collect("dummy", out, NUM_EPISODES, seconds=0.5, image_size=16, progress=False)


def _present(out: Path) -> set[int]:
    moved = {row["orrery/number"] for row in read_episode_rows(out)} if out.exists() else set()
    return moved | finished_parts(out).keys()


def _killed_after(out: Path, seconds: float) -> bool:
    """Collect in a child process and kill it -9 after that long; whether that came in time."""
    child = os.fork()
    if child == 0:
        try:
            _collect(out)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_lose_nothing_that_was_finished(
    tmp_path: Path, files_of: FilesOf, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_MAX_DATA_BYTES", 30_000)  # a few files of each kind
    began = time.perf_counter()
    _collect(tmp_path / "straight")
    duration = time.perf_counter() - began
    rng, num_killed = random.Random(seed), 0
    for number in range(NUM_KILLS // 3):
        out = tmp_path / f"cut-{number}"
        before: set[int] = set()
        while _killed_after(out, rng.uniform(0, duration)):
            num_killed += 1
            assert before <= _present(out)
            before = _present(out)
            if num_killed % 4 == 0:
                break
        _collect(out)
        assert files_of(out) == files_of(tmp_path / "straight")
        assert verify(out) == []
    assert num_killed >= 2


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="tells children apart by Linux's /proc")
def test_a_killed_collection_leaves_no_workers(tmp_path: Path) -> None:
    script = tmp_path / "collecting.py"
    script.write_text(
        "from orrery.data.record.collect import collect\n"
        "if __name__ == '__main__':\n"
        f"    collect('dummy', {str(tmp_path / 'set')!r}, 10**6, num_workers=2, progress=False)\n"
    )
    with subprocess.Popen([sys.executable, script]) as running:
        try:
            children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
            _until(lambda: any((tmp_path / "set" / layout.PARTS).glob("episode-*")))
            workers = [Path(f"/proc/{child}") for child in children.read_text().split()]
        finally:
            running.kill()
    assert len(workers) >= 2
    _until(lambda: not any(worker.exists() for worker in workers))


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen in {PATIENCE_SECONDS:g} s"
        time.sleep(0.05)
