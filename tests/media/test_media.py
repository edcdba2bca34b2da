"""Films and pictures: in step, complete or absent, and no traceback whatever the file."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from orrery.errors import BadUse, UserError
from orrery.media import (
    FilmWriter,
    film_header,
    iterate_film,
    read_film,
    read_image,
    side_by_side,
    sidecar_path,
    write_sidecar,
)
from orrery.media.sheet import ContactSheet, contact_sheet

FPS, RATE, SIZE = 24, 24_000, (64, 96)
PER_TICK = RATE * 2 // FPS
COLOURS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128], [200, 120, 40]],
    np.uint8,
)


def clapper(num_ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """A black film that flashes, with a click at the same instant, half-way through every second."""
    frames = np.zeros((num_ticks * 2, *SIZE, 3), np.uint8)
    audio = np.zeros((num_ticks * PER_TICK, 2), np.float32)
    frames[FPS // 2 :: FPS] = 255
    audio[RATE // 2 :: RATE] = 0.9
    return frames, audio


def write(path: Path, frames: np.ndarray, audio: np.ndarray | None, force: bool = False) -> Path:
    rate = None if audio is None else RATE
    with FilmWriter(path, FPS, rate, frames.shape[1:3], force) as writer:
        for tick in range(len(frames) // 2):
            sound = None if audio is None else audio[tick * PER_TICK : (tick + 1) * PER_TICK]
            writer.write(frames[tick * 2 : tick * 2 + 2], sound)
    return path


@pytest.fixture(scope="module")
def film_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("film") / "film.mp4", *clapper(36))


def test_click_and_flash_stay_together_to_the_sample(film_path: Path) -> None:
    film = read_film(film_path)
    assert film.frames.shape == (72, *SIZE, 3)
    assert film.audio is not None
    assert film.audio.shape == (3 * RATE, 2)
    assert (film.frames_per_second, film.samples_per_second) == (FPS, RATE)
    flashes = np.flatnonzero(film.frames.min(axis=(1, 2, 3)) > 200)
    clicks = [second * RATE + np.abs(film.audio[second * RATE :][:RATE, 0]).argmax() for second in range(3)]
    assert flashes.tolist() == [12, 36, 60]
    np.testing.assert_allclose(np.array(clicks) / RATE, flashes / FPS, atol=1 / RATE)


def test_a_player_that_skips_nothing_is_told_of_the_encoder_delay(film_path: Path) -> None:
    with av.open(str(film_path)) as container:
        packets = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    assert packets[0] == -1024


def test_colours_and_stereo_survive(tmp_path: Path) -> None:
    frames = np.repeat(np.repeat(COLOURS[None, None], 32, 1), 16, 2).repeat(12, 0)
    seconds = np.arange(6 * PER_TICK) / RATE
    audio = np.stack([0.5 * np.sin(2 * np.pi * 440 * seconds), np.zeros_like(seconds)], 1).astype(np.float32)
    film = read_film(write(tmp_path / "colours.mp4", frames, audio))
    found = film.frames[6, 16, 8::16].astype(int)
    assert np.abs(found - COLOURS).max() <= 6
    assert film.audio is not None
    assert np.sqrt(np.mean((film.audio - audio)[2000:-2000] ** 2)) < 0.01


def test_a_lossless_film_is_read_as_it_was_written(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3)).astype(np.uint8)
    with FilmWriter(tmp_path / "film.mp4", FPS, None, SIZE, lossless=True) as writer:
        writer.write(frames)
    np.testing.assert_array_equal(read_film(tmp_path / "film.mp4").frames, frames)


def test_matrix_is_bt709_and_says_so(tmp_path: Path) -> None:
    red = np.zeros((4, *SIZE, 3), np.uint8)
    red[..., 0] = 255
    with av.open(str(write(tmp_path / "red.mp4", red, None))) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)
        luma = frame.to_ndarray()[: SIZE[0]]
    assert np.abs(luma.astype(int) - 63).max() <= 1  # 16 + 219 * 0.2126; BT.601 gives 81


def test_same_input_same_bytes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (8, *SIZE, 3), np.uint8)
    audio = np.random.default_rng(1).uniform(-1, 1, (4 * PER_TICK, 2)).astype(np.float32)
    assert (
        write(tmp_path / "a.mp4", frames, audio).read_bytes()
        == write(tmp_path / "b.mp4", frames, audio).read_bytes()
    )


def test_silent_film_and_streaming_agree_with_reading(tmp_path: Path, film_path: Path) -> None:
    frames, _ = clapper(4)
    assert read_film(write(tmp_path / "silent.mp4", frames, None)).audio is None
    whole = read_film(film_path)
    pieces = list(iterate_film(film_path))
    np.testing.assert_array_equal(np.stack([f for f, _ in pieces]), whole.frames)
    assert {len(a) for _, a in pieces if a is not None} == {RATE // FPS}
    assert film_header(film_path).num_frames == len(pieces)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, UserError])
@pytest.mark.parametrize("after_ticks", [0, 3])
def test_nothing_is_left_after_an_exception(
    tmp_path: Path, error: type[BaseException], after_ticks: int
) -> None:
    frames, audio = clapper(1)
    writer = FilmWriter(tmp_path / "film.mp4", FPS, RATE, SIZE)
    with pytest.raises(error), writer:  # noqa: PT012
        for _ in range(after_ticks):
            writer.write(frames, audio)
        raise error("stop")
    assert list(tmp_path.iterdir()) == []


def test_an_old_film_survives_a_failed_new_one(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", *clapper(2))
    before = path.read_bytes()
    with pytest.raises(RuntimeError), FilmWriter(path, FPS, RATE, SIZE, force=True) as writer:  # noqa: PT012
        writer.write(*clapper(1))
        raise RuntimeError("stop")
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="--force"):
        FilmWriter(path, FPS, RATE, SIZE)


FILLS_THE_DISK = """
import resource, sys
import numpy as np
from orrery.errors import UserError
from orrery.media import FilmWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
noise = np.random.default_rng(0)
try:
    with FilmWriter(sys.argv[1], 24, 24000, (64, 64)) as writer:
        for _ in range(30):
            writer.write(noise.integers(0, 256, (2, 64, 64, 3), np.uint8), np.zeros((2000, 2), np.float32))
except UserError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("limit_bytes", [0, 20_000, 170_000])
def test_a_disk_that_refuses_is_a_users_error(tmp_path: Path, limit_bytes: int) -> None:
    command = [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path / "film.mp4"), str(limit_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith("refused:"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_destinations_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for name, kind, words in [
        ("film.avi", BadUse, r"\.mp4"),
        ("nowhere/film.mp4", UserError, "no folder"),
        ("folder.mp4", UserError, "is a folder"),
    ]:
        with pytest.raises(kind, match=words):
            FilmWriter(tmp_path / name, FPS, RATE, SIZE)
    for size, fps, rate in [
        ((0, 64), FPS, RATE),
        (SIZE, 0, RATE),
        (SIZE, FPS, 12_345),
    ]:
        with pytest.raises(BadUse):
            FilmWriter(tmp_path / "film.mp4", fps, rate, size)
    with pytest.raises(UserError, match="cannot be written"):
        FilmWriter("/proc/film.mp4", FPS, RATE, SIZE).__enter__()


def test_wrong_arrays_are_refused(tmp_path: Path) -> None:
    frames, audio = clapper(1)
    for bad_frames, bad_audio in [
        (frames.astype(np.float32), audio),
        (frames[:, :32], audio),
        (frames, None),
        (frames, audio[:, :1]),
        (frames, np.full_like(audio, np.nan)),
    ]:
        with (
            pytest.raises(ValueError, match=r"frames|audio"),
            FilmWriter(tmp_path / "f.mp4", FPS, RATE, SIZE) as w,
        ):
            w.write(bad_frames, bad_audio)


def test_sidecar_lies_beside(tmp_path: Path) -> None:
    path = write_sidecar(tmp_path / "film.mp4", {"prompt": "a ball — fällt", "seed": 3})
    assert path == sidecar_path(tmp_path / "film.mp4") == tmp_path / "film.json"
    assert '"fällt' not in path.read_text("utf-8")
    assert "fällt" in path.read_text("utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_sidecar(tmp_path / "film.mp4", {"loss": float("nan")})
    assert "fällt" in path.read_text("utf-8")
    with pytest.raises(UserError):
        write_sidecar(tmp_path / "nowhere" / "film.mp4", {})


@settings(max_examples=25, deadline=None)
@given(kept=st.floats(0, 0.9999))
def test_a_film_cut_short_is_refused(film_path: Path, kept: float) -> None:
    content = film_path.read_bytes()
    short = film_path.with_name("short.mp4")
    short.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"short\.mp4"):
        read_film(short)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_film_is_a_film_or_a_users_error(film_path: Path, data: st.DataObject) -> None:
    content = bytearray(film_path.read_bytes())
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = film_path.with_name("damaged.mp4")
    damaged.write_bytes(content)
    try:
        film = read_film(damaged, max_bytes=10**8)
    except UserError as error:
        assert "damaged.mp4" in str(error)  # noqa: PT017
    else:
        assert film.audio is None or np.isfinite(film.audio).all()


def test_sound_that_changes_its_channels_is_refused(film_path: Path) -> None:
    """Where the table of its packets' sizes is damaged, other bytes are decoded, and may read as a new number
    of channels: PyAV's resampler hands such a frame on as it is, and reading that ends the process."""
    content = film_path.read_bytes()
    table = content.rindex(b"stsz")
    num_packets = int.from_bytes(content[table + 12 : table + 16], "big")
    said = set()
    for packet in range(num_packets):
        damaged = bytearray(content)
        damaged[table + 16 + 4 * packet + 1] = 58
        file = film_path.with_name("channels.mp4")
        file.write_bytes(damaged)
        try:
            read_film(file)
        except UserError as error:
            said.add("its sound goes from 2 channels to" in str(error))
    assert True in said


def test_rates_that_would_fill_the_memory_are_refused(tmp_path: Path, film_path: Path) -> None:
    content = film_path.read_bytes()
    # `stts` of the picture: version, one entry, 72 frames, and how long each is in units of 1/12288 s.
    entry = b"stts" + bytes(4) + (1).to_bytes(4, "big") + (72).to_bytes(4, "big")
    assert content.count(entry) == 1
    at = content.index(entry) + len(entry)
    (tmp_path / "slow.mp4").write_bytes(content[:at] + (2**31 - 1).to_bytes(4, "big") + content[at + 4 :])
    with pytest.raises(UserError, match="frames a second"):
        read_film(tmp_path / "slow.mp4")


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("once upon a time\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name in ["text.mp4", "empty.mp4", "list.mp4", "sound.mp4", "missing.mp4", ""]:
        with pytest.raises(UserError):
            read_film(tmp_path / name)
    with pytest.raises(UserError, match="no picture"):
        read_film(tmp_path / "sound.mp4")


def test_a_film_too_large_for_memory_is_refused(film_path: Path) -> None:
    with pytest.raises(UserError, match="GiB"):
        read_film(film_path, max_bytes=100_000)


def make_foreign(path: Path, times_ms: list[int], sound_from_ms: int) -> Path:
    """A Matroska film with frames at `times_ms`, brighter by 20 each, and half a second of mono."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "1", "preset": "ultrafast"})
        video.height, video.width, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream("flac", rate=8000, layout="mono")
        for index, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * index + 20, np.uint8))
            frame.pts, frame.time_base = time_ms * 25 // 1000, Fraction(1, 25)
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(np.full((1, 4000), 8000, np.int16), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 8000, sound_from_ms * 8, Fraction(1, 8000)
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


def test_a_film_that_jumps_in_time_keeps_its_instants(tmp_path: Path) -> None:
    path = make_foreign(tmp_path / "jumps.mkv", [0, 40, 80, 400, 440, 480, 520, 560], sound_from_ms=200)
    film = read_film(path)
    assert film.audio is not None
    fps = film.frames_per_second
    for time_ms, index in [(0, 0), (80, 2), (360, 2), (400, 3), (560, 7)]:
        assert abs(int(film.frames[round(time_ms / 1000 * fps), 16, 16, 0]) - (20 * index + 20)) <= 3
    onset = np.flatnonzero(np.abs(film.audio[:, 0]) > 0.1)[0]
    assert onset / 8000 == pytest.approx(0.2, abs=0.002)
    np.testing.assert_array_equal(film.audio[:, 0], film.audio[:, 1])
    assert len(film.audio) == round(len(film.frames) / fps * 8000)


def test_a_film_on_its_side_is_set_upright(tmp_path: Path) -> None:
    frames = np.zeros((4, 32, 64, 3), np.uint8)
    frames[:, :, :32, 0] = 255  # red on the left; turned clockwise it is at the top
    with av.open(str(tmp_path / "turned.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        stream.set_display_rotation(-90)
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))
    film = read_film(tmp_path / "turned.mp4")
    assert film.frames.shape[1:] == (64, 32, 3)
    assert film.frames[0, 10, 16, 0] > 200
    assert film.frames[0, 50, 16, 0] < 50


def test_read_image_crops_turns_and_fills(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = [10, 200, 30]
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(read_image(tmp_path / "wide.png", 40), wide[:, 40:80])
    halves = np.zeros((40, 40, 3), np.uint8)
    halves[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn clockwise to see it upright"
    Image.fromarray(halves).save(tmp_path / "turned.png", exif=exif)
    turned = read_image(tmp_path / "turned.png", 40)
    assert turned[:, 30].min() == 255
    assert turned[:, 5].max() == 0
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png", 8).min() == 255
    Image.fromarray(np.full((8, 8), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert np.unique(read_image(tmp_path / "deep.png", 8)).tolist() == [100]
    Image.new("L", (9, 5), 77).save(tmp_path / "grey.jpg")
    assert read_image(tmp_path / "grey.jpg", 16).shape == (16, 16, 3)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "giant.png")
    for name, words in [("text.png", "not a picture"), ("missing.png", "no such"), ("", "not a file")]:
        with pytest.raises(UserError, match=words):
            read_image(tmp_path / name, 32)
    with pytest.raises(UserError, match="giant"):
        read_image(tmp_path / "giant.png", 32)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
def test_an_image_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    for kept in np.linspace(0, 0.9, 20):
        (tmp_path / f"cut.{suffix}").write_bytes(content[: int(kept * len(content))])
        with pytest.raises(UserError):
            read_image(tmp_path / f"cut.{suffix}", 32)


@given(left=st.integers(1, 9), right=st.integers(1, 9), separator=st.integers(0, 5))
def test_side_by_side_keeps_both(left: int, right: int, separator: int) -> None:
    a, b = np.full((2, 4, left, 3), 7, np.uint8), np.full((2, 4, right, 3), 9, np.uint8)
    both = side_by_side(a, b, separator)
    assert both.shape[2] == left + separator + right
    np.testing.assert_array_equal(both[:, :, :left], a)
    np.testing.assert_array_equal(both[:, :, both.shape[2] - right :], b)
    with pytest.raises(ValueError, match="differ"):
        side_by_side(a, b[:1])


def test_contact_sheet_puts_sound_under_its_picture(tmp_path: Path) -> None:
    frames = np.full((24, 32, 32, 3), 128, np.uint8)
    audio = np.zeros((RATE, 2), np.float32)
    audio[RATE // 2 : RATE // 2 + 1000] = 0.8  # from 0.5 s: the left edge of picture 2 of 4
    sheet = Image.open(contact_sheet(frames, audio, RATE, tmp_path / "sheet.png", num_frames=4))
    pixels = np.asarray(sheet).astype(int)
    is_blue = (pixels[..., 2] - pixels[..., 0] > 60).sum(axis=0)
    is_grey = (np.abs(pixels - 128).max(axis=-1) <= 1).sum(axis=0) > 100
    loud = np.flatnonzero(is_blue > 20)
    left_edges = np.flatnonzero(is_grey[1:] & ~is_grey[:-1]) + 1
    assert len(left_edges) == 4
    assert loud[0] == pytest.approx(left_edges[2], abs=1)
    assert len(loud) == pytest.approx((left_edges[1] - left_edges[0]) * 1000 / (RATE / 4), abs=2)


def test_contact_sheet_tick_by_tick_is_the_same(tmp_path: Path) -> None:
    frames, audio = clapper(12)
    whole = contact_sheet(frames, audio, RATE, tmp_path / "whole.png", FPS, 7, "a title " * 60, [0.5])
    sheet = ContactSheet(len(frames), FPS, RATE, 7, "a title " * 60, [0.5])
    for tick in range(12):
        sheet.add(frames[tick * 2 : tick * 2 + 2], audio[tick * PER_TICK : (tick + 1) * PER_TICK])
    assert sheet.save(tmp_path / "ticks.png").read_bytes() == whole.read_bytes()
    with pytest.raises(UserError):
        sheet.save(tmp_path / "nowhere" / "sheet.png")


@pytest.mark.parametrize("size", [(33, 41), (17, 40), (1, 1)])
def test_odd_sides_repeat_their_last_line(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    row = np.linspace(40, 200, width).astype(np.uint8)
    frames = np.broadcast_to(row[None, None, :, None], (3, height, width, 3))
    with FilmWriter(tmp_path / "film.mp4", FPS, None, size) as writer:
        writer.write(frames)
        writer.write(frames[:0])
    film = read_film(tmp_path / "film.mp4").frames.astype(int)
    assert film.shape == (3, height + height % 2, width + width % 2, 3)
    assert np.abs(film[:, :height, :width] - frames).mean() < 3
    assert np.abs(film[:, -1] - film[:, height - 1]).mean() < 3
    assert np.abs(film[:, :, -1] - film[:, :, width - 1]).mean() < 8
