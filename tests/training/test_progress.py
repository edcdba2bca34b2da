"""A bar shows the share that is done and the time left, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from orrery.training.progress import columns


@pytest.mark.parametrize("width", [80, 60, 200])
def test_percentage_and_time_left_are_shown(width: int) -> None:
    shown = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = Progress(*columns(), console=shown, expand=True)
    task = bar.add_task("tokenizer of video.agentview_image, decoder", total=1.0, words="")
    bar.update(task, completed=0.3, words="total 0.123 video.agentview_image 0.123 proprioception 0.5")
    shown.print(bar.get_renderable())
    assert isinstance(shown.file, io.StringIO)
    line = shown.file.getvalue().splitlines()[0]
    assert "30%" in line
    assert "-:--:--" in line
    assert line.startswith("tokenizer of video")
    assert len(line) <= width
