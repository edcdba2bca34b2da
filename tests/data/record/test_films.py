"""`clips:` turns any folder of films into episodes on one clock; what cannot be used is named."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from orrery.data.dataset import Dataset
from orrery.data.record import films as clips_module
from orrery.data.record.clip_reader import scan_film
from orrery.data.record.collect import collect
from orrery.data.record.films import ClipsSource
from orrery.data.record.isolation import Isolated
from orrery.data.record.shots import FilmScan, clips_of, cuts
from orrery.data.record.source import Request
from orrery.data.verify import verify
from orrery.errors import BadUse, UserError
from orrery.streams import Array

FilesOf = Callable[[Path], dict[str, bytes]]
SMALL: dict[str, Any] = {"seconds": 1.0, "image_size": 32, "progress": False}
SAMPLES = 44_100


def scene(seed: int, seconds: Array, height: int = 64, width: int = 96) -> Array:
    """A disc that wanders over a coloured pattern, at `seconds`, `[n, H, W, 3]`."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    a, b, phase = rng.uniform(4, 15), rng.uniform(4, 15), rng.uniform(0, 6)
    ground = 100 + 60 * np.sin(row / a + phase)[..., None] * np.sin(
        column[..., None] / b + phase + np.arange(3)
    )
    y = height * (0.5 + 0.35 * np.sin(3 * seconds + phase))[:, None, None]
    x = width * (0.5 + 0.35 * np.cos(2 * seconds + 2 * phase))[:, None, None]
    disc = np.hypot(row - y, column - x) < height / 6
    return np.where(disc[..., None], 255 - ground, ground).clip(0, 255).astype(np.uint8)


def write(
    path: Path,
    frames: Array,
    instants_ms: Array,
    sound: Array | None = None,
    codec: str = "libx264",
    rotation: int = 0,
) -> Path:
    """A film with pictures at `instants_ms`, whatever their spacing. sound: `[n]` at 44,100 a second."""
    options = {"crf": "20"} if codec == "libx264" else {"crf": "30", "b": "0", "cpu-used": "8"}
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=30, options=options)
        video.height, video.width, video.pix_fmt = *frames.shape[1:3], "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            video.set_display_rotation(rotation)
        audio = None
        if sound is not None:
            audio_codec = "aac" if path.suffix != ".webm" else "libopus"
            audio = container.add_stream(
                audio_codec, rate=SAMPLES if audio_codec == "aac" else 48_000, layout="mono"
            )
        for pixels, instant in zip(frames, instants_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.pts, frame.time_base = int(instant), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLES, 0, Fraction(1, SAMPLES)
            resampler = av.AudioResampler("fltp", "mono", audio.rate)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def tone(seconds: float, hertz: float = 500.0) -> Array:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLES)) / SAMPLES)


def even(seconds: float, rate: float = 30) -> Array:
    return np.round(np.arange(round(seconds * rate)) * 1000 / rate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people have: many kinds of films, some of them of no use."""
    root = tmp_path_factory.mktemp("films")
    (root / "deep").mkdir()
    ms = even(2.2)
    write(root / "a_sound.mp4", scene(1, ms / 1000), ms, tone(2.2))
    uneven = np.cumsum(np.random.default_rng(0).choice([20, 40, 70, 110], 60)) - 20
    write(root / "b_uneven.mov", scene(2, uneven / 1000), uneven)
    write(root / "c_portrait.mp4", scene(3, ms / 1000, 96, 64), ms)
    write(root / "d_web.webm", scene(4, ms / 1000), ms, tone(2.2, 800), codec="libvpx")
    shots = np.concatenate([scene(10 + k, ms[:33] / 1000) for k in range(3)])
    write(root / "deep" / "e_cuts.mp4", shots, even(3.3))
    write(root / "f_rotated.mp4", np.rot90(scene(5, ms / 1000, 96, 64), 1, (1, 2)), ms, rotation=-90)
    write(root / "g_copy.mp4", scene(1, ms / 1000)[:, ::2, ::2] // 8 * 7, ms)
    write(root / "h_still.mp4", np.repeat(scene(6, ms[:1]), 66, 0), ms)
    write(root / "i_short.mp4", scene(7, ms[:9] / 1000), ms[:9])
    (root / "j_broken.mp4").write_bytes((root / "a_sound.mp4").read_bytes()[:3000])
    (root / "k_text.mp4").write_text("not a film at all")
    (root / "notes.txt").write_text("nor is this")
    return root


@pytest.fixture(scope="module")
def collected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    out = tmp_path_factory.mktemp("clips") / "d"
    report = collect(f"clips:{folder}", out, **SMALL)
    assert report.dropped == {}
    return out, report.skipped


def _by_file(dataset: Dataset) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i in range(len(dataset)):
        found.setdefault(dataset.scene(i)["file"], []).append(i)
    return found


def test_good_films_are_recorded_and_the_others_named(collected: tuple[Path, dict[str, str]]) -> None:
    out, skipped = collected
    numbers = {name: len(found) for name, found in _by_file(Dataset(out)).items()}
    expected = {"a_sound.mp4": 2, "b_uneven.mov": 3, "c_portrait.mp4": 2, "d_web.webm": 2}
    assert numbers == {**expected, "deep/e_cuts.mp4": 3, "f_rotated.mp4": 2}
    assert skipped["g_copy.mp4"].startswith("1 of 2 clips: nearly the same as a_sound.mp4 at 0.00 s")
    assert skipped["h_still.mp4"] == "2 of 2 clips: still"
    assert skipped["i_short.mp4"] == "no shot is as long as a second"
    assert "cut short" in skipped["j_broken.mp4"]
    assert "cannot be read as a film" in skipped["k_text.mp4"]
    assert skipped["k_text.mp4"].endswith("it is text")
    assert skipped["notes.txt"] == "text; not a film"
    assert len(skipped) == 6
    assert verify(out) == []


def test_every_frame_is_what_was_shown_at_its_instant(collected: tuple[Path, dict[str, str]]) -> None:
    """Portrait, rotated or uneven: the centre square, at 24 frames a second."""
    dataset = Dataset(collected[0])
    uneven = np.cumsum(np.random.default_rng(0).choice([20, 40, 70, 110], 60)) - 20
    shown = np.searchsorted(uneven - uneven[0], np.arange(24) * 1000 / 24 + 0.01, side="right") - 1
    cases = {
        "a_sound.mp4": scene(1, np.floor(np.arange(24) * 30 / 24 + 1e-6) / 30)[:, :, 16:80],
        "b_uneven.mov": scene(2, uneven[shown] / 1000)[:, :, 16:80],
        "c_portrait.mp4": scene(3, np.floor(np.arange(24) * 30 / 24 + 1e-6) / 30, 96, 64)[:, 16:80],
        "f_rotated.mp4": scene(5, np.floor(np.arange(24) * 30 / 24 + 1e-6) / 30, 96, 64)[:, 16:80],
    }
    for name, truth in cases.items():
        read = dataset.load(_by_file(dataset)[name][0], ["video.main"])["video.main"].reshape(24, 32, 32, 3)
        small = truth.reshape(24, 32, 2, 32, 2, 3).mean((2, 4))
        assert np.abs(read - small).mean() < 9, name
        assert np.corrcoef(read.ravel(), small.ravel())[0, 1] > 0.95, name


def test_sound_keeps_its_pitch_and_its_place(collected: tuple[Path, dict[str, str]]) -> None:
    dataset = Dataset(collected[0])
    for name, hertz in (("a_sound.mp4", 500), ("d_web.webm", 800)):
        for number in _by_file(dataset)[name]:
            sound = dataset.load(number, ["audio.main"])["audio.main"].reshape(-1, 2)
            assert len(sound) == 24_000
            spectrum = np.abs(np.fft.rfft(sound[:, 0]))
            assert abs(int(spectrum.argmax()) - hertz) <= 1
            assert 0.25 < np.sqrt(np.mean(sound[4000:20000] ** 2)) < 0.4
            assert "absent" not in dataset.scene(number)
    silent = _by_file(dataset)["c_portrait.mp4"][0]
    assert not dataset.load(silent, ["audio.main"])["audio.main"].any()
    assert dataset.scene(silent)["absent"] == ["audio.main"]


def test_a_click_stays_with_its_flash(tmp_path: Path) -> None:
    """Both at 1.5 s, in the second clip of the film."""
    ms = even(3.0)
    frames, sound = scene(9, ms / 1000), np.zeros(3 * SAMPLES)
    frames[45] = 255
    sound[SAMPLES * 3 // 2 : SAMPLES * 3 // 2 + 40] = 0.9
    (tmp_path / "films").mkdir()
    write(tmp_path / "films" / "clap.mp4", frames, ms, sound)
    collect(f"clips:{tmp_path / 'films'}", tmp_path / "d", **SMALL)
    clip = Dataset(tmp_path / "d").load(1)
    flash = clip["video.main"].reshape(24, -1).mean(1).argmax()
    click = np.abs(clip["audio.main"].reshape(-1, 2)[:, 0]).argmax()
    assert flash == 12
    assert abs(click / 24_000 - 0.5) < 0.002


def test_the_number_of_workers_leaves_no_trace(
    folder: Path, collected: tuple[Path, dict[str, str]], tmp_path: Path, files_of: FilesOf
) -> None:
    collect(f"clips:{folder}", tmp_path / "d", 9, num_workers=2, **SMALL)
    assert len(Dataset(tmp_path / "d")) == 9
    report = collect(f"clips:{folder}", tmp_path / "d", num_workers=1, **SMALL)
    assert (report.num_new, report.num_wanted) == (5, 14)
    mine, whole = Dataset(tmp_path / "d"), Dataset(collected[0])
    for i in range(14):
        np.testing.assert_array_equal(mine.load(i)["video.main"], whole.load(i)["video.main"])
    assert files_of(tmp_path / "d")["meta/plan.json"] == files_of(collected[0])["meta/plan.json"]


@pytest.mark.parametrize("seed", range(4))
def test_cuts_are_found_to_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(12, 60, 6)
    frames = np.concatenate([scene(100 * seed + k, np.arange(n) / 30) for k, n in enumerate(lengths)])
    grey = frames.mean(-1).reshape(-1, 16, 4, 16, 6).mean((2, 4)).astype(np.float32)
    scan = FilmScan(np.arange(len(grey)) / 30, grey, len(grey) / 30, has_sound=False)
    assert cuts(scan) == np.cumsum(lengths)[:-1].tolist()
    for clip in clips_of(scan, 1.0, 12.0):
        first, last = clip.start_seconds * 30, (clip.start_seconds + clip.num_ticks / 12) * 30
        assert not [c for c in cuts(scan) if first + 1e-6 < c < last - 1e-6], "a clip over a cut"


def test_a_flash_or_fast_motion_is_no_cut() -> None:
    frames = scene(1, np.arange(90) / 6.0)
    grey = frames.mean(-1).reshape(-1, 16, 4, 16, 6).mean((2, 4)).astype(np.float32)
    assert cuts(FilmScan(np.arange(90) / 30, grey, 3.0, False)) == []


def _crash(path: Path) -> FilmScan:
    if path.name.startswith("c_"):
        ctypes.string_at(0)
    return scan_film(path)


def _crash_later(*arguments: Any) -> Any:
    if Path(arguments[0]).name.startswith("b_"):
        os.kill(os.getpid(), signal.SIGABRT)
    return clips_module.read_clip(*arguments)


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_clip_that_crashes_its_decoder_costs_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashing(name: str, request: Request) -> ClipsSource:
        return ClipsSource(name, request, scan=_crash, read=_crash_later)

    from orrery.data.record.sources import SOURCES

    monkeypatch.setitem(SOURCES, "clips", crashing)
    report = collect(f"clips:{folder}", tmp_path / "d", **SMALL)
    assert report.skipped["c_portrait.mp4"] == "its decoder crashed (SIGSEGV)"
    assert set(report.dropped.values()) == {"b_uneven.mov: its decoder crashed (SIGABRT)"}
    assert len(report.dropped) == 3
    assert report.num_episodes == 14 - 2 - 3 == len(Dataset(tmp_path / "d"))


def test_a_call_that_hangs_or_raises_is_told_apart() -> None:
    with Isolated(timeout_seconds=300.0) as child:
        assert child.call(_sleep, 0.0) == 0.0
        with pytest.raises(UserError, match="no such film"):
            child.call(scan_film, Path("nowhere.mp4"))
    with Isolated(timeout_seconds=0.2) as child, pytest.raises(UserError, match=r"within 0\.2 s"):
        child.call(_sleep, 60.0)


def test_a_stopped_look_through_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_of: FilesOf
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clips_module, "Signatures", _raise_interrupt)
        report = collect(f"clips:{folder}", tmp_path / "d", **SMALL)
        assert (report.stopped, report.num_episodes) == (True, 0)
    seen = {name for name in files_of(tmp_path / "d") if "seen/" in name}
    assert len(seen) == 9  # every film that can be read

    def unwanted(self: Isolated, *arguments: Any) -> Any:
        assert arguments[0] is not scan_film or arguments[1].name[0] in "jk", arguments
        return call(self, *arguments)

    call = Isolated.call
    monkeypatch.setattr(Isolated, "call", unwanted)
    assert collect(f"clips:{folder}", tmp_path / "d", 1, **SMALL).num_episodes == 1


def _raise_interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_a_film_that_changed_is_not_recorded(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "films"
    own.mkdir()
    for name in ("a_sound.mp4", "c_portrait.mp4"):
        (own / name).write_bytes((folder / name).read_bytes())
    collect(f"clips:{own}", tmp_path / "d", 1, **SMALL)
    (own / "a_sound.mp4").write_bytes((folder / "d_web.webm").read_bytes())
    (own / "c_portrait.mp4").unlink()
    report = collect(f"clips:{own}", tmp_path / "d", **SMALL)
    assert report.num_episodes == 1
    assert "is not the film that was looked through" in report.dropped[1]
    assert "is no longer there" in report.dropped[2]


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("nowhere", {}, UserError, "no folder"),
        ("empty", {}, UserError, "holds no films"),
        ("bad", {}, UserError, "no clip is left: k_text.mp4: cannot be read"),
        ("good", {"policy": "random"}, BadUse, "nobody acts"),
        ("good", {"streams": ["touch.finger"]}, BadUse, "no stream 'touch.finger'"),
    ],
)
def test_mistakes_are_named(
    folder: Path, tmp_path: Path, name: str, options: dict[str, Any], error: type[UserError], said: str
) -> None:
    for made, film in (("empty", "notes.txt"), ("bad", "k_text.mp4"), ("good", "a_sound.mp4")):
        (tmp_path / made).mkdir()
        (tmp_path / made / film).write_bytes((folder / film).read_bytes())
    with pytest.raises(error, match=said):
        collect(f"clips:{tmp_path / name}", tmp_path / "d", **SMALL, **options)
    assert not (tmp_path / "d/meta").exists()


_RECORD = """
import re, resource, sys
from pathlib import Path
from orrery.data.record.collect import collect
if __name__ == "__main__":
    assert collect(f"clips:{sys.argv[1]}", sys.argv[2], progress=False, min_seconds=0.1).num_episodes
    own = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
    print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="no /proc, which tells a process's peak memory"
)
def test_a_4k_film_in_hdr_at_an_odd_rate_is_recorded_in_less_than_a_gibibyte(tmp_path: Path) -> None:
    size, rate = (2160, 3840), Fraction(60_000, 1001)
    bars = np.broadcast_to((np.arange(size[1]) // 24 % 200).astype(np.uint8)[None, :, None], (*size, 3))
    (tmp_path / "films").mkdir()
    with av.open(str(tmp_path / "films/film.mp4"), "w") as container:
        options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        video = container.add_stream("libx265", rate=rate, options=options)
        video.height, video.width, video.pix_fmt = *size, "yuv420p10le"
        video.codec_context.color_trc, video.codec_context.color_primaries = 16, 9
        for k in range(60):
            picture = np.ascontiguousarray(np.roll(bars, 48 * k, 1))
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode())
    (tmp_path / "record.py").write_text(_RECORD)
    command = [sys.executable, str(tmp_path / "record.py"), str(tmp_path / "films"), str(tmp_path / "d")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    kibibytes = [int(number) for number in done.stdout.split()]
    assert sum(kibibytes) < 2**20
