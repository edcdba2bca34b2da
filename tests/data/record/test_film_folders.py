"""Every file of a folder is recorded, or named with the reason; what was chosen or changed is said."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_films import Track, disc, film, joined
from PIL import Image

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.clip_reader import scan_film
from orrery.data.record.collect import collect
from orrery.data.record.folder import listing, shown
from orrery.data.verify import verify
from orrery.errors import BadUse, UserError

SMALL: dict[str, Any] = {"seconds": 1.0, "image_size": 32, "progress": False}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
SHARED = Path(__file__).parents[4] / "shared"


def png(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path)


OTHERS = {
    "empty.mp4": ("empty file", lambda path: path.write_bytes(b"")),
    "pointer.mp4": ("git lfs pull", lambda path: path.write_text(POINTER)),
    "words.mp4": ("text", lambda path: path.write_text("Grüße\n" * 2000)),
    "notes.txt": ("text; not a film", lambda path: path.write_text("a note")),
    "still.png": ("a picture (PNG)", png),
    "still.jpg": ("a picture (JPEG)", png),
    "still.webp": ("a picture (WebP)", png),
    "still.bmp": ("a picture (BMP)", png),
    "still.tif": ("a picture (TIFF)", png),
    "pages.pdf": ("document", lambda path: path.write_bytes(b"%PDF-1.7\n\xff")),
    "numbers.npz": ("archive", lambda path: np.savez(path, a=np.arange(3))),
    ".hidden.mp4": ("hidden file", lambda path: path.write_bytes(b"x")),
    "nowhere.mp4": ("link to nothing", lambda path: path.symlink_to("gone.mp4")),
    "annexed.mp4": ("git annex get", lambda path: path.symlink_to(".git/annex/objects/a/b")),
    "pipe.mp4": ("a pipe", os.mkfifo),
    "noise.bin": ("no known form", lambda path: path.write_bytes(np.random.default_rng(0).bytes(9000))),
}


def test_every_file_is_recorded_or_named(tmp_path: Path) -> None:
    root = tmp_path / "films"
    (root / "deep" / "deeper").mkdir(parents=True)
    (root / ".cache").mkdir()
    (root / ".cache" / "film.mp4").write_bytes(b"x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    films = [
        film(root / "LOUD.MP4", 1.0, seed=1),
        film(root / "deep" / "deeper" / "film", 1.0, seed=2, container="mp4"),
        film(elsewhere / "film.flv", 1.0, seed=3, codec="flv1"),
    ]
    (root / "linked").symlink_to(elsewhere)
    (root / "deep" / "round").symlink_to(root)
    odd = os.fsdecode(b"caf\xe9\n.mkv")
    film(root / "plain.mkv", 1.0, seed=4).rename(root / odd)
    for name, (_, make) in OTHERS.items():
        make(root / name)
    report = collect(f"clips:{root}", tmp_path / "d", **SMALL)
    dataset = Dataset(tmp_path / "d")
    recorded = {dataset.scene(i)["file"] for i in range(len(dataset))}
    assert recorded == {"LOUD.MP4", "deep/deeper/film", "linked/film.flv", r"caf\xe9\n.mkv"}
    assert len(dataset) == len(films) + 1
    for name, (words, _) in OTHERS.items():
        assert words in report.skipped[name]
    assert "hidden folder with 1 files" in report.skipped[".cache/"]
    assert "link to a folder" in report.skipped["deep/round/"]
    assert len(report.skipped) == len(OTHERS) + 2
    assert dataset.left_out() == report.skipped
    assert verify(tmp_path / "d") == []


def test_many_of_one_kind_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    film(root / "a.mp4", 1.0)
    for number in range(40):
        (root / f"{number:02d}.txt").write_text("a note")
    out = tmp_path / "d"
    size = ("--image-size", "32")
    assert (
        main(["collect", f"clips:{root}", "--out", str(out), "--workers", "1", "--seconds", "1", *size]) == 0
    )
    said = capsys.readouterr().out
    assert "left out 40 (meta/plan.json names all): text; not a film: 00.txt, 01.txt" in said
    assert "39.txt" not in said
    assert "39.txt" in json.loads((out / "meta" / "plan.json").read_text())["skipped"]


def test_what_was_chosen_or_changed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "films"
    root.mkdir()
    film(root / "a.mkv", 1.0, seed=1, tracks=[Track(300, language="eng"), Track(900, language="deu")])
    joined(root / "b.ts", [{"seconds": 1.5, "seed": 2}, {"seconds": 1.5, "seed": 3, "size": (120, 200)}])
    film(root / "c.mp4", 1.0, seed=4)
    out = tmp_path / "d"
    size = ("--image-size", "32")
    assert (
        main(["collect", f"clips:{root}", "--out", str(out), "--workers", "1", "--seconds", "1", *size]) == 0
    )
    said = capsys.readouterr().out
    assert "a.mkv: sound track 1 of 2 taken (aac, stereo, eng)" in said
    assert "b.ts: its stamps start anew: 2 parts, put one behind the other; its picture changes size" in said
    assert "c.mp4:" not in said
    dataset = Dataset(out)
    assert set(dataset.notes()) == {"a.mkv", "b.ts"}
    shapes = [disc(dataset.load(i)["video.main"].reshape(-1, 32, 32, 3)[12]) for i in range(len(dataset))]
    assert all(abs(height - width) <= 2 for height, width, *_ in shapes)
    assert [dataset.num_ticks(i) for i in range(len(dataset))] == [12] * 4
    assert "1.00 s at the ends of shots left over" in said
    assert main(["inspect", str(out), "--no-verify"]) == 0
    assert "sound track 1 of 2" in " ".join(capsys.readouterr().out.split())


def test_short_clips_on_request(tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    film(root / "short.mp4", 0.5, seed=1)
    film(root / "long.mp4", 1.25, seed=2)
    film(root / "one.mp4", 1 / 24, seed=3)
    report = collect(f"clips:{root}", tmp_path / "a", **SMALL)
    assert report.num_episodes == 1
    assert report.skipped["short.mp4"] == "no shot is as long as a second"
    report = collect(f"clips:{root}", tmp_path / "b", min_seconds=0.25, **SMALL)
    dataset = Dataset(tmp_path / "b")
    lengths = [(dataset.scene(i)["file"], dataset.num_ticks(i)) for i in range(len(dataset))]
    assert lengths == [("long.mp4", 12), ("long.mp4", 3), ("short.mp4", 6)]
    assert report.skipped == {"one.mp4": "no shot is as long as 0.25 s"}
    with pytest.raises(UserError, match="min_seconds"):
        collect(f"clips:{root}", tmp_path / "b", **SMALL)
    for source, least in ((f"clips:{root}", 2.0), (f"clips:{root}", 0.0), ("dummy", 0.5)):
        with pytest.raises(BadUse, match=r"min.seconds"):
            collect(source, tmp_path / "c", 1, min_seconds=least, **SMALL)


def test_one_film_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "film.mp4", 1.0)
    film(tmp_path / "other.mp4", 1.0, seed=1)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert collect("clips:~/film.mp4", tmp_path / "d", **SMALL).num_episodes == 1
    assert Dataset(tmp_path / "d").scene(0)["file"] == "film.mp4"
    (tmp_path / "pointer.mp4").write_text(POINTER)
    with pytest.raises(UserError, match=r"pointer\.mp4: cannot be read as a film: it is a Git LFS pointer"):
        collect(f"clips:{tmp_path / 'pointer.mp4'}", tmp_path / "e", **SMALL)
    with pytest.raises(UserError, match=r"no folder and no film .*nothing\.mp4"):
        collect(f"clips:{tmp_path / 'nothing.mp4'}", tmp_path / "e", **SMALL)


def test_a_folder_that_holds_the_data_set_is_listed_without_it(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", 1.0)
    ours = tmp_path / "d/.part/seen"  # as a start that was stopped leaves it
    ours.mkdir(parents=True)
    (ours / "note.npz").write_bytes(b"of another version")
    report = collect(f"clips:{tmp_path}", tmp_path / "d", **SMALL)
    assert (report.num_episodes, report.skipped) == (1, {})


@given(
    name=st.binary(min_size=1, max_size=20).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_can_be_shown(tmp_path: Path, name: bytes) -> None:
    words = shown(os.fsdecode(name))
    assert words.isprintable()
    words.encode()
    if name not in (b".", b".."):
        (tmp_path / os.fsdecode(name)).write_text("a note")
        found = listing(tmp_path, tmp_path / "ours")
        assert [*found.others] == [os.fsdecode(name)]
        (tmp_path / os.fsdecode(name)).unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.mp4", {"tracks": [Track()]}),
        ("film.ts", {"tracks": [Track(codec="mp2")]}),
        ("film.mkv", {}),
        ("film.flv", {"codec": "flv1"}),
        ("film.avi", {"codec": "mpeg4"}),
        ("film.mpg", {"codec": "mpeg2video", "fps": 25}),
        ("film.gif", {"codec": "gif", "pixel_format": "rgb8", "fps": 25}),
    ],
)
def test_damage_is_named_or_shown_as_it_is(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """Bytes changed, cut out or cut off: a scan or a user's error, not longer than the film and a little."""
    content = film(tmp_path / name, 1.5, **options).read_bytes()
    rng = np.random.default_rng(len(content))
    for trial in range(12):
        damaged = bytearray(content)
        if trial % 3 == 0:
            for at in rng.integers(0, len(content), 8):
                damaged[at] = rng.integers(256)
        elif trial % 3 == 1:
            at = int(rng.integers(len(content)))
            del damaged[at : at + int(rng.integers(1, 2000))]
        else:
            damaged = damaged[: int(rng.integers(1, len(content)))]
        path = tmp_path / f"damaged_{name}"
        path.write_bytes(damaged)
        try:
            scan = scan_film(path)
        except UserError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert len(scan.grey) <= 40
            assert (np.diff(scan.seconds) > 0).all()


CASES = {
    "anamorphic_sar_64_45.mp4": (60, (288, 512)),
    "stamps_restart.ts": (72, (240, 320)),
    "old_flv.flv": (60, (240, 320)),
    "phone.3gp": (60, (240, 320)),
    "alpha_vp9.webm": (60, (240, 320)),
    "vfr_screen_recording.mp4": (101, (240, 320)),
    "audio_late_1s.mp4": (60, (240, 320)),
    "surround_5_1.mp4": (60, (240, 320)),
    "tiny_odd_18x34.mp4": (60, (34, 18)),
}


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "cases" / "films.py").is_file(), reason="the users' cases are not there")
def test_the_cases_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orrery.media.reader import iterate_pictures

    root = tmp_path / "films"
    monkeypatch.setattr("sys.argv", ["films.py", str(root)])
    code = (SHARED / "cases" / "films.py").read_text()
    exec(compile(code, "films.py", "exec"), {"__name__": "__main__"})
    for name, (num, size) in CASES.items():
        shapes = [picture.shape[:2] for _, picture in iterate_pictures(root / name)]
        assert shapes == [size] * num, name
    report = collect(f"clips:{root}", tmp_path / "d", **SMALL)
    recorded = {Dataset(tmp_path / "d").scene(i)["file"] for i in range(report.num_episodes)}
    assert recorded == {*CASES, "plain.mp4"}
    assert set(report.skipped) >= {"cut_short.mp4", "lfs_pointer.mp4"}


CLIPS = {
    "odd/bipbop_audioinit.mp4": "only sound",
    "odd/chunk_out_of_range.mp4": "damaged",
    "odd/short-cenc.mp4": "encrypted",
    "odd/minimal.mp4": "no shot",
    "odd/video_rotation_90.mp4": "no shot",
    "odd/white.mp4": "still",
    "real/ball-toss.mp4": "no shot",
}


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "clips").is_dir(), reason="the clips of others are not there")
def test_the_clips_of_others(tmp_path: Path) -> None:
    report = collect(f"clips:{SHARED / 'clips'}", tmp_path / "d", **SMALL)
    for name, words in CLIPS.items():
        assert words in report.skipped[name]
    recorded = {Dataset(tmp_path / "d").scene(i)["file"] for i in range(report.num_episodes)}
    files = {p.relative_to(SHARED / "clips").as_posix() for p in (SHARED / "clips").rglob("*") if p.is_file()}
    assert recorded | set(report.skipped) == files


def test_what_is_cut_short_or_only_heard_at_the_end_is_noted(tmp_path: Path) -> None:
    """A player shows what there is; a data set says that there was more."""
    films = tmp_path / "films"
    films.mkdir()
    film(films / "heard.mp4", seconds=1.2, tracks=[Track(seconds=3.0)])
    film(films / "whole.mkv", seconds=2.0, seed=1)
    cut = film(films / "cut.mkv", seconds=2.5, seed=2)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    report = collect(f"clips:{films}", tmp_path / "d", image_size=16, progress=False)
    assert report.num_episodes == 3
    assert report.notes["heard.mp4"].startswith("its pictures end at 1.21 s of 3.0")
    assert re.match(r"its pictures end at 1\.\d+ s of 2\.50 s; it is cut short", report.notes["cut.mkv"])
    assert "whole.mkv" not in report.notes
