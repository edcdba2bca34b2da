"""Whatever is damaged in a data set or a film is told in words: no traceback, no hang, nothing invented."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("h5py", reason='h5py is not installed (pip install "orrery[hdf5]")')

import damage
from damage_sources import SOURCES

NUM = 40


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_every_damage_is_told(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    outcomes = {damage.once(source, seed)[0] for seed in range(1, NUM)}
    assert outcomes & {damage.PART, damage.TOLD}  # of two files, one is still whole


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the log holds is not done again; a failure in it is counted."""
    log = tmp_path / "damage.log"
    log.write_text("ours\t0\tFAILED\t0.10 s\twords\n")
    assert damage.run(3, {"ours": SOURCES["ours"](tmp_path)}, log) == 1
    assert [line.split("\t")[1] for line in log.read_text().splitlines()] == ["0", "1", "2"]
    assert damage.run(3, {"ours": "nowhere"}, log) == 1
    assert "3 damages, 1 failed" in capsys.readouterr().out
