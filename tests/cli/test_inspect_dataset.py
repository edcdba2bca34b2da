"""`orrery inspect` of a dataset: checked, repaired, and as a page that holds everything in itself."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record import collect as collect_module
from orrery.data.record.collect import collect
from orrery.media import read_film

Refused = Callable[..., str]


@pytest.fixture
def own_copy(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "set"))


def test_a_page_shows_films_with_sound_touch_and_numbers(own_copy: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["inspect", str(own_copy), "--page", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r'(src|href)="(?!data:)', text), "the page needs something beside itself"
    films = re.findall(r'src="data:video/mp4;base64,([^"]+)"', text)
    assert len(films) == 3
    (tmp_path / "film.mp4").write_bytes(base64.b64decode(films[0]))
    film, episode = read_film(tmp_path / "film.mp4"), Dataset(own_copy).load(0)
    truth = episode["video.main"].reshape(-1, 32, 32, 3)
    assert np.abs(film.frames.astype(float) - truth).mean() < 4
    assert film.audio is not None
    assert film.audio.shape == (12_000, 2)
    assert "touch.finger: the pad when it is pressed hardest" in text
    assert "A ball rolls to the" in text
    assert "as they were written" in text


def test_a_page_names_what_is_damaged(own_copy: Path, tmp_path: Path, refused: Refused) -> None:
    film = next(own_copy.rglob("*.mp4"))
    film.write_bytes(film.read_bytes()[:600])
    page = tmp_path / "page.html"
    assert film.name in refused(1, "inspect", own_copy, "--page", page)
    text = page.read_text()
    assert "What is wrong" in text
    assert "cannot be decoded" in text or "cannot be read" in text


def test_a_page_of_episodes_without_pictures_or_touch(tmp_path: Path) -> None:
    collect(
        "dummy", tmp_path / "set", 2, seconds=0.5, streams=["state", "action"], progress=False, image_size=16
    )
    assert main(["inspect", str(tmp_path / "set"), "--page", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "<svg" in text
    assert "<video" not in text


def test_a_page_is_not_overwritten_unless_told(own_copy: Path, tmp_path: Path, refused: Refused) -> None:
    page = tmp_path / "page.html"
    page.write_text("precious")
    assert "--force" in refused(1, "inspect", own_copy, "--page", page)
    assert page.read_text() == "precious"
    assert ".html" in refused(2, "inspect", own_copy, "--page", tmp_path / "page.txt")
    assert "no dataset" in refused(2, "inspect", page, "--page", tmp_path / "other.html")


def test_a_flipped_bit_is_found_and_repaired(
    own_copy: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    stats = own_copy / "meta/stats.json"
    content = stats.read_bytes()
    stats.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    assert "meta/stats.json" in refused(1, "inspect", own_copy)
    assert main(["inspect", str(own_copy), "--repair"]) == 0
    said = capsys.readouterr().out
    assert "3 episodes kept, 0 left out" in said
    assert "3 of 3 episodes" in said
    assert stats.read_bytes() == content


def test_a_stopped_collection_can_be_kept_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(collect_module, "finalize", lambda *_: 0)
        collect("dummy", tmp_path / "set", 2, seconds=0.5, image_size=16, progress=False)
    assert "--repair" in refused(1, "inspect", tmp_path / "set")
    assert main(["inspect", str(tmp_path / "set"), "--repair"]) == 0
    assert "2 episodes kept, 0 left out" in capsys.readouterr().out


def test_a_repair_of_what_is_no_dataset(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder", "missing"):
        assert name in refused(1, "inspect", tmp_path / name, "--repair")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_page_of_pictures_with_odd_sides(tmp_path: Path) -> None:
    collect("gym:CartPole-v1", tmp_path / "d", 1, seconds=0.2, image_size=(17, 33), progress=False)
    assert Dataset(tmp_path / "d").load(0)["video.main"].shape[1:] == (1, 17, 33, 3)
    assert main(["inspect", str(tmp_path / "d"), "--page", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text().count("data:video/mp4") == 1
