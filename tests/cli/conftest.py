"""What the tests of the command line share: a call that must fail in one line, and things to look at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orrery.checkpoint import save_checkpoint
from orrery.cli import main
from orrery.data.record.collect import collect

SENTENCE = "a red ball drops and a blue box stands on the table"
Run = Callable[..., subprocess.CompletedProcess[str]]
Refused = Callable[..., str]


@pytest.fixture(scope="session")
def command() -> list[str]:
    return [sys.executable, "-m", "orrery.cli"]


@pytest.fixture(scope="session")
def orrery(command: list[str]) -> Run:
    """Runs the command in a process of its own; options as of `subprocess.run`."""

    def run(*arguments: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, errors="replace", timeout=300, **options
        )

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command here; it must fail with `status` and one line, which is returned."""

    def run(status: int, *arguments: str | Path) -> str:
        assert main([str(argument) for argument in arguments]) == status
        captured = capsys.readouterr()
        assert captured.err.startswith("orrery: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err + captured.out
        return captured.err

    return run


@pytest.fixture(scope="session")
def exact_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mujoco_warp")
    out = tmp_path_factory.mktemp("exact") / "film.mp4"
    assert main(["generate", SENTENCE, "--out", str(out), "--exact", "--seconds", "1.03", "--sheet"]) == 0
    return out


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "set"
    collect("dummy", out, 3, seconds=0.5, image_size=32, progress=False)
    return out


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Whole, but of no model."""
    tensors = {"transformer": {"weight": torch.ones(3, 4)}}
    config = {"kind": "world", "recipe": "tiny"}
    return save_checkpoint(tmp_path / "model", config, tensors, {"card.md": "A card of [one] line"})
