"""The page of a run while it trains: there from the first minute, seldom written, left behind by a kill."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from orrery.data.record.collect import collect
from orrery.inspect.curves import loss_chart
from orrery.inspect.live_page import LivePage
from orrery.training.loop import Budget
from orrery.training.run import RunFolder

BUDGETS = {"video.main": Budget(minutes=1.0), "world": Budget(minutes=9.0)}


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def logged(folder: Path, name: str, *rows: dict[str, float]) -> None:
    file = RunFolder(folder).log(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_it_says_what_is_done_and_what_is_left(tmp_path: Path) -> None:
    first = {"step": 100, "num_steps": 400, "minutes": 0.25, "pixels": 1.5, "latents": 0.1}
    logged(tmp_path, "video.main", first, {**first, "step": 200, "minutes": 0.5, "pixels": 0.5})
    LivePage(tmp_path, BUDGETS)("video.main", 0.5)
    page = (tmp_path / "page.html").read_text()
    assert '<meta http-equiv="refresh"' in page
    assert "<b>video.main</b>, 50 %; about 10 min of training left" in page  # half a minute, and nine
    assert "<td>200 of 400</td><td>0.5</td><td>30 s</td>" in page
    assert "<td>to come</td>" in page
    assert page.count("<polyline") == 2
    assert "<script" not in page


def test_before_the_stages_are_known_it_says_what_is_being_done(tmp_path: Path) -> None:
    LivePage(tmp_path / "run")("recording 16 episodes", 0.25)
    page = (tmp_path / "run/page.html").read_text()
    assert "<b>recording 16 episodes</b>, 25 %" in page
    assert "left" not in page.partition("<p>As of")[0].partition("<body>")[2]


def test_it_is_written_at_most_every_half_minute(tmp_path: Path) -> None:
    clock = Clock()
    page = LivePage(tmp_path, clock=clock)
    written = []
    for clock.now in (100.0, 101.0, 129.9, 130.0, 159.0, 160.5):
        page(f"at {clock.now}", 0.0)
        written.append((tmp_path / "page.html").read_text().partition("<b>")[2].partition("</b>")[0])
    assert written == ["at 100.0"] * 3 + ["at 130.0"] * 2 + ["at 160.5"]


def test_it_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(LivePage(Path("run"), BUDGETS))).budgets == BUDGETS


def test_names_are_escaped(tmp_path: Path) -> None:
    name = "<script>state"
    logged(tmp_path, "world", {"step": 1, "num_steps": 2, "minutes": 0.1, name: 1.0})
    LivePage(tmp_path, {"world": Budget(steps=2)})("world", 0.5)
    assert name not in (tmp_path / "page.html").read_text()


def test_a_chart_leaves_out_what_a_logarithm_cannot_show() -> None:
    rows = [
        {"step": 1, "num_steps": 0, "minutes": 0.0, "a": 0.0, "b": float("nan")},
        {"step": 2, "num_steps": 9, "minutes": 0.0, "a": 0.01},
    ]
    chart = loss_chart(rows)
    assert [curve.name for curve in chart.curves] == ["a"]
    assert {words for _, words in chart.ticks} == {"0.01", "0.1"}
    assert loss_chart([]).curves == []


def test_a_long_log_is_thinned() -> None:
    rows = [{"step": k, "num_steps": 9999, "minutes": k / 10, "a": 1.0} for k in range(5000)]
    (curve,) = loss_chart(rows).curves
    assert 300 < curve.points.count(" ") < 400


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_a_page_that_says_how_far_it_came(tmp_path: Path) -> None:
    collect("gym:CartPole-v1", tmp_path / "data", 4, image_size=32, progress=False)
    command = ["train", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--steps", "12"]
    killed = (
        "import os, signal\n"
        "import orrery.inspect.live_page as live_page, orrery.training.loop as loop\n"
        "live_page.PAGE_SECONDS = loop.LOG_SECONDS = 0.0\n"
        "log = loop._log\n"
        "def log_and_die(folder, state, elapsed):\n"
        "    if state.step == 8: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return log(folder, state, elapsed)\n"
        "loop._log = log_and_die\n"
        "from orrery.cli import main\n"
        f"main({[*command, '--streams', 'observation', 'reward', 'terminated']!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    page = (tmp_path / "run/page.html").read_text()
    assert "<b>world</b>, 58 %" in page
    assert "<td>7 of 12</td>" in page
    assert "<polyline" in page
