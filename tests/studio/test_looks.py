"""Sizes, rates and names of looks, and what the command says of bad ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.cli import main
from orrery.errors import BadUse
from orrery.studio.looks import MOST_PIXELS, read_size

SENTENCE = "a red ball drops"


@given(st.integers(8, 2048), st.integers(8, 2048))
def test_even_sizes_are_read(half_width: int, half_height: int) -> None:
    text, size = f"{2 * half_width}x{2 * half_height}", (2 * half_width, 2 * half_height)
    if size[0] * size[1] <= MOST_PIXELS:
        assert read_size(text) == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1281x720", "1282x720 would do"),
        ("1280x719", "1280x720 would do"),
        ("0x0", "from 16 to"),
        ("100000x100000", "from 16 to"),
        ("8192x8192", "there may be"),
        ("1280", "WIDTHxHEIGHT"),
        ("-1280x720", "WIDTHxHEIGHT"),
        ("wide", "WIDTHxHEIGHT"),
        ("", "WIDTHxHEIGHT"),
        ("1280x720x3", "WIDTHxHEIGHT"),
        ("１２８０x720", "WIDTHxHEIGHT"),
    ],
)
def test_other_sizes_are_refused_with_what_would_do(text: str, said: str) -> None:
    with pytest.raises(BadUse, match=said):
        read_size(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--exact", "--look", "nonsense"], "perhaps draft or soft"),
        (["--exact", "--look", "sof"], "perhaps soft"),
        (["--exact", "--look", ""], "no such look"),
        (["--exact", "--look", "soft", "--size", "1281x720"], "must be even"),
        (["--exact", "--look", "soft", "--light", "windw"], "perhaps window"),
        (["--exact", "--look", "soft", "--samples", "0"], "--samples 0"),
        (["--exact", "--fps", "23"], "24, 25, 30, 60"),
        (["--exact", "--size", "1280x720"], "--size is of --look soft"),
        (["--exact", "--samples", "4"], "--samples is of --look soft"),
        (["--look", "soft"], "add --exact"),
        (["--exact", "--side-by-side", "--look", "soft"], "and leave --side-by-side out"),
        (["--exact", "--world", "tabletp"], "perhaps tabletop"),
        (["--exact", "--world", "dummy", "--look", "soft"], "no MuJoCo model"),
        (["--exact", "--world", "dummy", "--fps", "30"], "leave --fps out"),
    ],
)
def test_the_command_names_what_is_wrong_before_it_begins(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "soft" in options and said in ("perhaps window", "--samples 0", "no MuJoCo model"):
        pytest.importorskip("pyoidn")
    assert main(["generate", SENTENCE, "--out", str(tmp_path / "a.mp4"), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_without_the_denoiser_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyoidn", None)
    options = ["--exact", "--look", "soft", "--out", str(tmp_path / "a.mp4")]
    assert main(["generate", SENTENCE, *options]) == 1
    assert 'pip install "orrery[studio]"' in capsys.readouterr().err
