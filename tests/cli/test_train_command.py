"""`orrery train` on the command line: what is refused, told, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orrery.cli import main
from orrery.data.record import collect as collecting

SMALL = ["--steps", "1", "--streams", "observation", "reward", "terminated"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "data"
    collecting.collect("gym:CartPole-v1", folder, 4, image_size=32, progress=False)
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--minutes", "0"], "--minutes 0: must be above 0"),
        (["--steps", "0"], "--steps 0: must be 1 or above"),
        (["--seconds", "-1"], "--seconds -1: must be above 0"),
        (["--streams", "smell"], "no stream smell; it has"),
    ],
)
def test_what_is_wrong_is_named(
    options: list[str], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_data_and_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once it has begun, nothing more is recorded: other data would be another run."""
    command = ["train", "gym:CartPole-v1", "--out", str(tmp_path / "run"), *SMALL]
    assert main([*command, "--minutes", "0.01"]) == 0
    weights = (tmp_path / "run/checkpoint/world.safetensors").read_bytes()
    page = (tmp_path / "run/page.html").read_text()
    assert "Held-out episodes" in page
    assert "refresh" not in page, "the page of a finished run is read once"

    def never(*_: object, **__: object) -> None:
        raise AssertionError("recorded again")

    monkeypatch.setattr(collecting, "collect", never)
    assert main([*command, "--minutes", "5"]) == 0
    assert "goes on with the 0.01 minutes" in capsys.readouterr().out
    assert (tmp_path / "run/checkpoint/world.safetensors").read_bytes() == weights


def test_other_data_in_the_same_run_are_refused_unless_it_may_be_lost(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["train", str(data), "--out", run, *SMALL]) == 0
    other = tmp_path / "other"
    collecting.collect("gym:CartPole-v1", other, 5, seed=3, image_size=32, progress=False)
    assert main(["train", str(other), "--out", run, *SMALL]) == 1
    assert "a run with other data" in capsys.readouterr().err
    assert main(["train", str(other), "--out", run, *SMALL, "--restart"]) == 0
    settings = json.loads((tmp_path / "run/checkpoint/config.json").read_text())
    assert settings["provenance"]["data"]["episodes"] == 5


def test_a_failed_start_leaves_nothing_that_must_be_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not its minutes, and its recording only as long as nobody says --restart."""
    command = ["--out", str(tmp_path / "run"), "--steps", "1", "--episodes", "3"]
    failed = ["train", "gym:CartPole-v1", *command, "--minutes", "0.1", "--streams", "smell"]
    assert main(failed) == 2
    other = ["train", "gym:MountainCar-v0", *command, "--minutes", "0.5", "--streams", "observation"]
    assert main(other) == 1
    assert "holds another collection" in (told := capsys.readouterr().err)
    assert "or lose it with --restart" in " ".join(told.split())
    assert main([*other, "--restart"]) == 0
    assert "goes on with" not in capsys.readouterr().out
    assert json.loads((tmp_path / "run/minutes.json").read_text())["asked"] == 0.5


def test_large_pictures_are_averaged_down_and_that_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(data), "--out", str(tmp_path / "run"), "--steps", "1", "--image-size", "16"]
    assert main([*command, "--streams", "video.main"]) == 0
    assert "video.main is learned at 16x16 pixels, averaged from 32x32" in capsys.readouterr().out
