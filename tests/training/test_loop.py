"""Steps that cannot be taken are skipped, counted and told; and where there are too many, training ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from orrery.errors import UserError
from orrery.inspect.curves import loss_chart, read_log
from orrery.inspect.live_page import LivePage
from orrery.training import loop
from orrery.training.loop import LOG, Budget, Stage, StepContext, train_stage
from orrery.training.run import RunFolder


def stage(steps: int, fails: Callable[[int], bool], failure: float = float("nan")) -> Stage:
    """Learns to say 1; the gradients of the steps that fail are not finite."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 1)

    def losses(context: StepContext) -> dict[str, Tensor]:
        x = torch.rand(8, 4, generator=context.generator)
        loss = (layer(x) - 1).square().mean()
        return {"error": loss * failure if fails(context.step) else loss}

    return Stage("numbers", layer, losses, Budget(steps=steps), lambda name, parameter: False)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


@pytest.mark.parametrize("failure", [float("nan"), float("inf")])
def test_skipped_steps_are_counted_and_told(
    failure: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = stage(50, lambda step: step % 20 == 3, failure)
    losses = train_stage(made, tmp_path, seed=0)
    assert rows(tmp_path)[-1]["skipped"] == 3
    assert all(torch.isfinite(p).all() for p in made.module.parameters())
    assert losses["error"] == pytest.approx(rows(tmp_path)[-1]["error"], abs=1e-4), "without what was skipped"
    assert "numbers: 3 of 50 steps were skipped: their gradients" in capsys.readouterr().out


def test_where_none_is_skipped_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_stage(stage(30, lambda step: False), tmp_path, seed=0)
    assert rows(tmp_path)[-1]["skipped"] == 0
    assert "skipped" not in capsys.readouterr().out


def test_the_count_goes_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)

    def fails(step: int) -> bool:
        if step == 40:
            raise KeyboardInterrupt
        return step in (5, 6)

    with pytest.raises(KeyboardInterrupt):
        train_stage(stage(50, fails), tmp_path, seed=0)
    train_stage(stage(50, lambda step: step in (5, 6, 45)), tmp_path, seed=0)
    assert rows(tmp_path)[-1]["skipped"] == 3


def test_too_many_end_the_stage_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    with pytest.raises(UserError, match=r"numbers: 11 of 104 steps were skipped.*--restart"):
        train_stage(stage(400, lambda step: step >= 93), tmp_path, seed=0)
    assert rows(tmp_path)[-1]["skipped"] == 11


def test_the_first_hundred_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of few steps says little."""
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    train_stage(stage(120, lambda step: step < 9), tmp_path, seed=0)
    assert rows(tmp_path)[-1]["skipped"] == 9


def test_the_page_says_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).stage("numbers")
    train_stage(stage(40, lambda step: step == 7), folder, seed=0)
    assert loss_chart(read_log(folder / LOG)).skipped == 1
    LivePage(tmp_path, {"numbers": Budget(steps=40)})("numbers", 1.0)
    assert "1 of 40 steps were skipped" in (tmp_path / "page.html").read_text()
