"""A mistake is one line that names it, the right exit status, and nothing lost."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from orrery.cli import main
from orrery.data.record.collect import collect
from orrery.media import read_film

SENTENCE = "a red ball drops and a blue box stands on the table"
Refused = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a red ball " * 909, "limit"),
        ("a red baal drops", '"baal" (word 3 of the sentence); the nearest known: ball'),
        ("a red", "no object"),
        ("a red ball \x00", "control character"),
        ("twelve red balls drop", "holds 1 to"),
    ],
)
@pytest.mark.parametrize("exact", [("--exact",), ()])
def test_a_bad_sentence_is_named_before_anything_runs(
    tmp_path: Path, prompt: str, said: str, exact: tuple[str, ...], refused: Refused
) -> None:
    assert said in refused(1, "generate", prompt, "--out", tmp_path / "a.mp4", *exact)
    assert not any(tmp_path.iterdir())


def test_bytes_that_are_no_text_are_refused(tmp_path: Path, orrery: Run) -> None:
    run = orrery("generate", b"a red ball \xff\xfe", "--out", tmp_path / "a.mp4", "--exact")
    assert run.returncode == 1
    assert "not UTF-8" in run.stderr
    assert run.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_film_may_have_a_name_that_is_no_text(tmp_path: Path, orrery: Run) -> None:
    out = os.fsencode(tmp_path) + b"/\xff.avi"
    run = orrery("generate", SENTENCE, "--out", out, "--exact")
    assert run.returncode == 2
    assert "end its name in .mp4" in run.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "-0.5", "3601", "1e99", "nan", "inf", "-inf", "0.001"])
def test_bad_seconds(tmp_path: Path, seconds: str, refused: Refused) -> None:
    said = refused(2, "generate", SENTENCE, "--exact", f"--seconds={seconds}", "--out", tmp_path / "a.mp4")
    assert "--seconds" in said
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("seed", ["-1", str(2**63), str(10**100)])
def test_bad_seeds(tmp_path: Path, seed: str, refused: Refused) -> None:
    said = refused(2, "generate", SENTENCE, "--exact", f"--seed={seed}", "--out", tmp_path / "a.mp4")
    assert "--seed" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["generate"],
        ["generate", SENTENCE],
        ["generate", SENTENCE, "--out", "a.mp4", "--seconds", "long"],
        ["generate", SENTENCE, "--out", "a.mp4", "--seed", "0.5"],
        ["generate", SENTENCE, "--out", "a.mp4", "--no-such-option"],
        ["collect", "tabletop"],
    ],
)
def test_a_call_that_makes_no_sense_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_bad_places_for_a_film(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "folder.mp4").mkdir()
    places = [
        ("folder.mp4", 1, "is a folder"),
        ("", 2, "end its name in .mp4"),
        ("no/such/a.mp4", 1, "there is no folder"),
        ("a.avi", 2, "end its name in .mp4"),
        ("a" * 300 + ".mp4", 1, "too long"),
    ]
    for place, status, said in places:
        line = refused(status, "generate", SENTENCE, "--exact", "--out", tmp_path / place)
        assert said in line, line
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, orrery: Run) -> None:
    """/proc refuses root too, which a folder without the right to write does not."""
    places = [Path("/proc/a.mp4")] if Path("/proc").is_dir() else []
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o555)
        places.append(tmp_path / "closed" / "a.mp4")
    if not places:
        pytest.skip("no folder here refuses this user")
    for place in places:
        run = orrery("generate", SENTENCE, "--exact", "--seconds", "0.1", "--out", place)
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1].startswith(f"orrery: {place}")
        assert "Traceback" not in run.stderr


def test_an_existing_film_is_replaced_only_when_told(tmp_path: Path, refused: Refused) -> None:
    out = tmp_path / "a.mp4"
    for taken in (out, out.with_suffix(".json")):
        taken.write_text("precious")
        said = refused(1, "generate", SENTENCE, "--exact", "--out", out)
        assert f"{taken} already exists" in said
        assert "--force" in said
        assert taken.read_text() == "precious"
        taken.unlink()
    out.write_text("precious")
    assert main(["generate", SENTENCE, "--exact", "--out", str(out), "--force", "--seconds", "0.1"]) == 0
    assert len(read_film(out).frames) == 2


def test_bad_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Refused) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1000])
    for name in ("text.png", "empty.png", "cut.png", "missing.png", ""):
        image = tmp_path / name
        said = refused(1, "generate", SENTENCE, "--image", image, "--out", tmp_path / "a.mp4")
        assert str(image) in said
    said = refused(
        2,
        "generate",
        SENTENCE,
        "--exact",
        "--image",
        tmp_path / "whole.png",
        "--out",
        tmp_path / "a.mp4",
    )
    assert "--image" in said
    assert not (tmp_path / "a.mp4").exists()


def test_bad_models(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for model, said in (
        ("tabletob", "tabletop"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "empty", "config.json"),
    ):
        line = refused(1, "generate", SENTENCE, "--model", model, "--out", tmp_path / "a.mp4")
        assert said in line


def test_collect_refuses_bad_numbers(tmp_path: Path, refused: Refused) -> None:
    base = ["collect", "dummy", "--out", tmp_path / "set"]
    for more, said in (
        (["--episodes", "0"], "num_episodes"),
        (["--episodes", "1", "--workers", "0"], "num_workers"),
        (["--episodes", "1", "--seconds", "nan"], "--seconds"),
        (["--episodes", "1", "--seconds", "1e9"], "--seconds"),
        (["--episodes", "1", "--seed=-1"], "--seed"),
        (["--episodes", "1", "--image-size", "33"], "--image-size"),
        (["--episodes", "1", "--image-size", "32x2"], "--image-size"),
        (["--episodes", "1", "--image-size", "32xx32"], "96x128"),
        (["--episodes", "1", "--image-size", "32x64"], "only environments"),
        (["--episodes", "1", "--sample-rate", "44100"], "24000 or 48000"),
        (["--episodes", "1", "--streams", "video.mian"], "video.mian"),
    ):
        assert said in refused(2, *base, *more)
    assert "--episodes" in refused(2, "collect", "dummy", "--out", tmp_path / "set")
    assert "dummy" in refused(2, "collect", "dumy", "--out", tmp_path / "set", "--episodes", "1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused(1, "collect", "dummy", "--out", tmp_path / "mine", "--episodes", "1")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "set").exists()


def _vouch(folder: Path, name: str) -> None:
    """Make the config vouch for a file as it now is, so that only its content is wrong."""
    config = json.loads((folder / "config.json").read_text())
    content = (folder / name).read_bytes()
    config["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config))


def _damages() -> Iterator[tuple[str, str]]:
    yield "missing", "is missing"
    yield "truncated", "bytes where config.json says"
    yield "flipped", "is not the file that was written"
    yield "giant header", "not a safetensors file"
    yield "empty", "not a safetensors file"
    yield "config", "cannot be read as JSON"
    yield "outside", "'files' is missing or damaged"


@pytest.mark.parametrize(("damage", "said"), list(_damages()))
@pytest.mark.parametrize("command", ["inspect", "generate"])
def test_a_damaged_checkpoint_is_named(
    tmp_path: Path, command: str, damage: str, said: str, refused: Refused, checkpoint: Path
) -> None:
    folder = checkpoint
    file = folder / "transformer.safetensors"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:-7])
    elif damage == "flipped":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "giant header":
        file.write_bytes(struct.pack("<Q", 2**60) + content[8:])
        _vouch(folder, file.name)
    elif damage == "empty":
        file.write_bytes(b"")
        _vouch(folder, file.name)
    elif damage == "config":
        (folder / "config.json").write_bytes(b"\xff{")
    else:
        config = json.loads((folder / "config.json").read_text())
        config["files"]["../../secret"] = {"bytes": 1, "sha256": ""}
        (folder / "config.json").write_text(json.dumps(config))
    if command == "inspect":
        line = refused(1, "inspect", folder)
        assert said in line
    else:
        line = refused(1, "generate", SENTENCE, "--model", folder, "--out", tmp_path / "a.mp4")
        assert not (tmp_path / "a.mp4").exists()
    assert str(folder) in line


def test_what_is_nothing_we_know_is_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    for name, status in (("missing", 1), ("notes.txt", 1), ("folder", 1)):
        assert name in refused(status, "inspect", tmp_path / name)
    said = refused(2, "inspect", tmp_path / "notes.txt", "--out", tmp_path / "notes.txt")
    assert ".png" in said
    assert (tmp_path / "notes.txt").read_text() == "hello"


def test_a_film_cut_short_is_named(exact_film: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "cut.mp4").write_bytes(exact_film.read_bytes()[:-500])
    assert "cut short" in refused(1, "inspect", tmp_path / "cut.mp4")


def test_inspect_finds_what_cannot_be_read_in_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    collect("dummy", tmp_path / "set", 2, seconds=0.5, image_size=32, progress=False)
    for film in (tmp_path / "set" / "videos").rglob("*.mp4"):
        film.write_bytes(film.read_bytes()[:600])
    assert main(["inspect", str(tmp_path / "set")]) == 1
    captured = capsys.readouterr()
    assert "0 of 2 episodes" in captured.out
    assert captured.err.startswith("orrery: ")
    assert ".mp4" in captured.err
    assert main(["inspect", str(tmp_path / "set"), "--no-verify"]) == 0
    assert "not drawn" in capsys.readouterr().out
    info = tmp_path / "set" / "meta" / "info.json"
    info.write_text('{"codebase_version": "v3.0", "orrery": {}}')
    assert "info.json" in refused(1, "inspect", tmp_path / "set")


def test_an_episode_that_is_not_there(dataset: Path, tmp_path: Path, refused: Refused) -> None:
    sheet = tmp_path / "a.png"
    said = refused(2, "inspect", dataset, "--episode", "3", "--out", sheet, "--no-verify")
    assert "0 to 2" in said
    assert not sheet.exists()
