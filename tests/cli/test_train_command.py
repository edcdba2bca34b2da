"""`orrery train`: what looks on while it trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from orrery.cli.train import QuickReports, train
from orrery.errors import BadUse


def test_a_report_that_fails_says_why_in_its_log_and_harms_nobody(tmp_path: Path) -> None:
    """A folder that holds no model; and while that is found out, no second report is begun."""
    pytest.importorskip("skimage")
    reports, checkpoint = QuickReports(), tmp_path / "000" / "checkpoint"
    checkpoint.mkdir(parents=True)
    reports(checkpoint)
    first = reports.running
    assert first is not None
    if first.poll() is None:
        reports(checkpoint)
        assert reports.running is first
    assert first.wait(timeout=120) == 1
    log = (tmp_path / "000" / "report.log").read_text()
    assert str(checkpoint) in log
    assert "Traceback" not in log
    assert not (tmp_path / "000" / "report.html").exists()


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_reports_need_some_minutes_between_them(tmp_path: Path, minutes: float) -> None:
    with pytest.raises(BadUse, match="--report-every"):
        train("tiny", tmp_path, tmp_path / "run", report_every=minutes)
    assert not (tmp_path / "run").exists()
