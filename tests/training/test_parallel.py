"""Several processes train as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import Parameter

from orrery.errors import BadUse, UserError
from orrery.training import parallel


def _take_a_step(folder: Path) -> int:
    """What each process does; it leaves what it saw in a file."""
    me = parallel.rank()
    used, unused, once = Parameter(torch.zeros(2, 3)), Parameter(torch.zeros(4)), Parameter(torch.zeros(5))
    used.grad = torch.full((2, 3), 1.0 + me)
    if me == 0:
        once.grad = torch.full((5,), 3.0)
    with parallel.rank_zero_first():
        found = (folder / "made").exists()
        (folder / "made").touch()
    seconds = parallel.average_gradients([unused, once, used], 10.0 * me)
    assert used.grad is not None
    assert once.grad is not None
    means = [grad.unique().tolist() for grad in (used.grad, once.grad)]
    told = [parallel.num_processes(), means, unused.grad is None, seconds, found]
    (folder / f"told{me}.json").write_text(json.dumps(told))
    return me


def _fail(folder: Path) -> None:
    if parallel.rank() == 0:
        raise ValueError("the first")
    with parallel.rank_zero_first():  # waits for a process that will never come
        pass


def _meet_a_mistake(folder: Path) -> None:
    raise UserError(f"{folder}: nothing in it")


def test_alone_nothing_changes(tmp_path: Path) -> None:
    assert parallel.together(1, _take_a_step, tmp_path) == 0
    assert json.loads((tmp_path / "told0.json").read_text()) == [1, [[1.0], [3.0]], True, 0.0, False]


@pytest.mark.slow
def test_two_processes_take_the_mean_and_the_first_goes_first(tmp_path: Path) -> None:
    assert parallel.together(2, _take_a_step, tmp_path) == 0
    first, second = (json.loads((tmp_path / f"told{rank}.json").read_text()) for rank in (0, 1))
    assert first == [2, [[1.5], [1.5]], True, 5.0, False]
    assert second == [2, [[1.5], [1.5]], True, 5.0, True]
    assert parallel.num_processes() == 1, "the processes have parted"


@pytest.mark.slow
def test_what_the_first_process_raises_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the first"):
        parallel.together(2, _fail, tmp_path)
    assert parallel.num_processes() == 1


@pytest.mark.slow
def test_a_mistake_of_the_user_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="nothing in it"):
        parallel.together(2, _meet_a_mistake, tmp_path)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_torchrun_starts_the_processes_too(tmp_path: Path) -> None:
    """As a cluster does: one source, recorded once, trained by two processes, measured and told by the
    first."""
    run = tmp_path / "run"
    train = ["train", "gym:CartPole-v1", "--out", str(run), "--episodes", "3", "--steps", "2"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
            *("-m", "orrery.cli", *train, "--streams", "observation", "reward", "terminated"),
        ],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    made = json.loads((run / "checkpoint/config.json").read_text())["provenance"]
    assert made["processes"] == 2
    assert "rollouts" in made
    assert len((run / "stages/world/log.jsonl").read_text().splitlines()) == 1
    assert done.stdout.count("page.html shows it") == 1


def test_processes_are_not_started_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.distributed, "is_initialized", lambda: True)
    with pytest.raises(BadUse, match="leave --processes out"):
        parallel.together(2, print)
