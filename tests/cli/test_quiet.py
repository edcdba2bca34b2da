"""What others print on a machine without a screen or a GPU is no business of a user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SDL_VIDEODRIVER")


@pytest.mark.parametrize("source", ["tabletop", "gym:CartPole-v1"])
def test_stderr_is_empty(source: str, tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "orrery", "collect", source, "--out", str(tmp_path / "d")),
            *("--episodes", "2", "--seconds", "0.2", "--workers", "2"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in SCREENS},
    )
    assert (run.returncode, run.stderr) == (0, "")
