"""`orrery report` from the outside."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from orrery.cli import main
from orrery.inference.checkpoints import load_model, save_model
from orrery.registry import resolve_model


@pytest.mark.slow
def test_the_exact_world_passes_its_own_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.html"
    short = ["--films", "2", "--seconds", "1.5", "--rollouts", "1", "--long", "0"]
    assert main(["report", "--exact", *short, "--out", str(out)]) == 0
    record = json.loads(out.with_suffix(".json").read_text())
    (world,) = record["worlds"]
    assert world["world"] == "exact"
    assert world["num_recordings"] == 2
    assert "fail" not in world["sections"].values()
    figures = {f["name"]: f for f in world["figures"]}
    assert figures.pop("picture before and after looking away")["value"] < 1e-3
    against_truth = [f for f in figures.values() if f["id"] in ("P1", "P2", "P4")]
    assert [f["value"] for f in against_truth] == [0.0] * 5
    assert all(f["value"] == f["floor"] for f in figures.values() if f not in against_truth)
    assert record["suite"]["version"] == 1
    assert record["minutes"] > 0
    assert "Physics report: exact" in out.read_text()
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["--films", "0"], "--films 0: from 1 to 100", 2),
        (["--films", "101"], "--films 101: from 1 to 100", 2),
        (["--seconds", "0.5"], "--seconds 0.5: from 1 to 60", 2),
        (["--seconds", "nan"], "--seconds nan: from 1 to 60", 2),
        (["--rollouts", "25"], "--rollouts 25: from 0 to 24", 2),
        (["--long", "-1"], "--long -1: from 0 to 24", 2),
        (["--out", "nowhere/report.html"], "there is no folder nowhere", 1),
        (["--out", "there.html"], "there.html already exists", 1),
        (["--out", "other.html"], "other.json already exists", 1),
        (["--out", "report.json"], "name it report.html", 2),
        (["tabeltop"], "did you mean tabletop", 1),
        (["tabletop", "tabeltop"], "did you mean tabletop", 1),
        (["tabletop", "--guard"], "--guard compares two models", 2),
        (["a", "b", "c"], "one model, or two to compare, got 3", 2),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str],
    said: str, status: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / "other.json").write_text("mine")
    before = sorted(tmp_path.iterdir())
    assert main(["report", *arguments]) == status
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.html").read_text() == "mine"


@pytest.mark.slow
def test_a_model_that_became_worse_is_not_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped model against one whose answer is always zero; and, as it was measured, against itself."""
    stands = resolve_model("tabletop")
    model = load_model(stands)
    for head in model.transformer.leave.values():
        for parameter in head.parameters():
            torch.nn.init.zeros_(parameter)
    save_model(model, tmp_path / "ruined")
    measured: list[Any] = []
    report = importlib.import_module("orrery.cli.report")
    guard = report._guard

    def kept(*chapters: Any) -> int:
        measured.extend(chapters)
        return guard(*chapters)

    monkeypatch.setattr(report, "_guard", kept)
    short = ["--films", "6", "--seconds", "1", "--rollouts", "2", "--long", "0", "--guard"]
    page = ["--out", str(tmp_path / "report.html")]
    assert main(["report", str(stands), str(tmp_path / "ruined"), *short, *page]) == 1
    assert f"ruined is worse than {stands} in " in capsys.readouterr().err
    assert "Beside each other" in (tmp_path / "report.html").read_text()
    assert guard(measured[0], measured[0]) == 0
    assert capsys.readouterr().err == ""
