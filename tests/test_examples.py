"""The examples run as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from orrery.media import read_film

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_generate(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    runpy.run_path(str(EXAMPLES / "01_generate.py"))["main"](tmp_path, seconds=0.25)
    films = sorted(tmp_path.glob("*.mp4"))
    assert tmp_path / "exact.mp4" in films
    for film in films:
        assert len(read_film(film).frames) == 6
        assert film.with_suffix(".png").is_file()
