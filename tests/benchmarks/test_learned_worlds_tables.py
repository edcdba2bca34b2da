"""Whether a world that is left alone stays what it is, and how learned worlds stand in the README."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyarrow")

from harness import command
from learned_worlds import stays_bars
from table import learned_headlines, learned_worlds, policies


def test_a_world_is_held_against_the_real_one_in_its_last_minute() -> None:
    real = {
        "video.main: share that moves": 0.01,
        "reward: a minute": 10.0,
        "audio.main: onsets a minute": 60.0,
        "ball: there": 0.7,
        "terminated: a minute": 0.0,
    }
    ratio = {
        "video.main: share that moves": 1.1,
        "reward: a minute": 0.2,
        "audio.main: onsets a minute": None,
        "ball: there": 0.0,
        "terminated: a minute": None,
    }
    moves, rewards, onsets = stays_bars({"real": real, "ratio": ratio, "minutes": 2.0})
    assert (moves["value"], moves["passes"]) == (pytest.approx(1.1), True)
    assert (rewards["value"], rewards["passes"]) == (pytest.approx(0.2), False)
    assert (onsets["value"], onsets["passes"]) == (None, None)  # what was not measured is no pass
    assert "left alone for 2 minutes" in moves["what"]


def record(stream: str) -> dict[str, Any]:
    rows = [{"seconds": s, "model": m, "copy": 20.0} for s, m in ((0.25, 4.0), (1.0, 10.0), (2.0, 15.0))]
    return {
        "rollouts": {"by_horizon": {"state": rows[:1], stream: rows}, "actions_matter": {stream: 1.75}},
        "bars": [{"what": "goes its way", "value": 0.5, "asked": ">= 0.9", "passes": False}],
        "cost": {"ticks_per_core_second": 25.0},
    }


def test_a_learned_world_is_one_line_of_the_readme_and_all_bars_of_the_docs() -> None:
    records = {"learned_worlds-a": record("video.main"), "learned_worlds-b": record("state"), "sound": {}}
    lines = learned_headlines(records).splitlines()
    assert lines[2:] == ["| a | 0.5 | 1.75 | 25 |"]  # b has no pictures
    told = learned_worlds(records)
    assert "| a | goes its way | 0.5 | >= 0.9 | missed |" in told
    assert "| b | ticks a core-second | 25 |  |  |" in told


def test_policies_trained_inside_are_a_line_with_each_ones_return() -> None:
    figures = {
        "environment": "CartPole-v1",
        "data": {"episodes": 400},
        "training": {"core_minutes": 4.97},
        "policies": [{"inside": {"mean": 500.0}, "outside": {"mean": m}} for m in (500.0, 481.5)],
    }
    line = policies({"policy_inside-CartPole-v1": figures, "live-pong": {}}).splitlines()[2]
    assert line == "| CartPole-v1 | 400 episodes | 4.97 | 500, 500 | 500, 482 | ≥ 475 of 500 |"


def test_a_command_tells_no_path_of_the_machine() -> None:
    told = command(["benchmarks/policy_inside.py", "--out", "/home/me/runs/a/", "--seeds", "3", "data/b"])
    assert told == "python benchmarks/policy_inside.py --out a --seeds 3 data/b"
