"""Whatever film is given, the report says something sensible or refuses it in one line."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_films import GROUND, Disc, Film, bouncing, clicks, drawn, instants, wall

from orrery.cli import main
from orrery.errors import UserError
from orrery.evaluation.film.report import FilmReport, film_report
from orrery.evaluation.film.stretch import MAX_FRAMES
from orrery.evaluation.film.watch import watch
from orrery.streams import Array


def ball(seconds: Array) -> Array:
    return drawn([Disc(bouncing(seconds)[0])], wall(), len(seconds))


def write(
    path: Path, frames: Sequence[Array], stamps: Sequence[float], pixel_format: str = "yuv420p", turn: int = 0
) -> Path:
    """A film of any stamps, seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "18", "preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1200)
        if turn:
            stream.set_display_rotation(turn)
        for picture, seconds in zip(frames, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1200), Fraction(1, 1200)
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return path


def report_of(path: Path) -> FilmReport:
    return film_report(watch(path))


def test_one_picture_says_nothing(tmp_path: Path) -> None:
    report = report_of(write(tmp_path / "one.mp4", ball(instants(1 / 24)), [0.0]))
    assert report.verdict == "abstain"
    assert report.findings == []


@pytest.mark.parametrize("begin", [0, 4])
def test_nothing_stirs_for_longer_than_a_stretch(film: Film, begin: int) -> None:
    """Whole stretches hold nothing that could be told from their plate."""
    pictures = np.repeat(wall()[None], 2 * MAX_FRAMES + 10, 0)
    for k in range(begin):
        pictures[k, 60:90, 40 + 12 * k : 70 + 12 * k] = 230
    report = report_of(film(pictures))
    assert report.verdict == "abstain"
    assert report.watched.num_pictures == len(pictures)


@pytest.mark.parametrize("size", [(16, 16), (2, 64)])
def test_a_tiny_film_says_nothing(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (8, *size, 3), np.uint8)
    assert report_of(write(tmp_path / "tiny.mp4", frames, np.arange(8) / 24)).verdict == "abstain"


def test_pictures_at_uneven_instants_are_taken_at_their_own(tmp_path: Path) -> None:
    """Free fall is found to be free fall only where each picture counts at the instant it was taken."""
    rng = np.random.default_rng(1)
    stamps = np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 20], 60))
    stamps -= stamps[0]
    report = report_of(write(tmp_path / "uneven.mp4", ball(stamps), stamps))
    assert report.findings == []
    assert len(report.watched.flights) >= 2
    scale = report.watched.upright[0]
    assert all(abs(flight.fall / 900 - 1) < 0.1 for flight in report.watched.flights), scale


def test_ten_bits_are_read(tmp_path: Path) -> None:
    seconds = instants(1.0)
    report = report_of(write(tmp_path / "ten.mp4", ball(seconds), seconds, "yuv420p10le"))
    assert report.findings == []
    assert report.watched.flights


def test_a_film_on_its_side_is_seen_upright(tmp_path: Path) -> None:
    """Turned back by its header, what falls falls down."""
    seconds = instants(1.0)
    lying = np.rot90(ball(seconds), 1, axes=(1, 2))
    report = report_of(write(tmp_path / "lying.mp4", lying, seconds, turn=-90))
    assert report.watched.upright == (192, 256)
    assert report.watched.flights


@pytest.mark.slow
def test_four_k_is_made_smaller_while_it_is_decoded(tmp_path: Path) -> None:
    seconds = instants(0.25)
    large = np.kron(ball(seconds), np.ones((1, 11, 11, 1), np.uint8))
    report = report_of(write(tmp_path / "large.mp4", large[:, :2110, :2810], seconds))
    assert report.watched.size[0] * report.watched.size[1] <= 101_000
    assert report.watched.upright == (2110, 2810)


def test_a_film_without_pictures_and_what_is_no_film_are_refused(
    tmp_path: Path, film: Film, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = film(ball(instants(0.5)), clicks([0.2], 0.5)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mp4").write_bytes(b"")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=24_000, layout="stereo")
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 24_000), np.float32), "fltp", "stereo")
        sound.sample_rate = 24_000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    for name in ("cut", "noise", "empty", "sound"):
        with pytest.raises(UserError):
            watch(tmp_path / f"{name}.mp4")
        out = tmp_path / f"{name}.html"
        assert main(["report", str(tmp_path / f"{name}.mp4"), "--out", str(out)]) == 1
        assert not out.exists()
        said = capsys.readouterr().err
        assert said.startswith("orrery: ")
        assert said.count("\n") == 1


def test_the_command_writes_a_page_and_its_figures(
    tmp_path: Path, film: Film, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = instants()
    path, landings = bouncing(seconds)
    blue = Disc(np.stack([220 + 0 * seconds, GROUND - 9 + 0 * seconds], 1), 9.0, (40, 60, 200))
    blue.path[20:40] = np.nan
    made = film(drawn([Disc(path), blue], wall(), len(seconds)), clicks(landings))
    out = tmp_path / "report.html"
    assert main(["report", str(made), "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "film.mp4: fail" in said
    assert "s: the blue thing" in said
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["verdict"] == record["sections"]["identity"] == "fail"
    page = out.read_text()
    assert page.count("data:image/png;base64") >= 6
    assert "<svg" in page
    assert "http://" not in page
    assert "https://" not in page
    assert main(["report", str(made), "tabletop", "--out", str(tmp_path / "two.html")]) == 2
    assert "one film at a time" in capsys.readouterr().err


PEAK = """
import resource, sys
from orrery.evaluation.film.watch import watch
watch(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "RUSAGE_SELF"), reason="needs the peak memory of a process")
def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """Both are longer than a stretch; the second five times as long as the first."""
    peaks = []
    for num in (240, 1200):
        stamps = np.arange(num) / 24
        few = ball(np.arange(24) / 24)
        path = write(tmp_path / f"{num}.mp4", [few[k % 24] for k in range(num)], stamps)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True, timeout=600
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0] + 20_000, peaks
