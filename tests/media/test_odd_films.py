"""Films as people have them, read as a player shows and sounds them."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from odd_films import FPS, Track, disc, film, joined, scene, write

from orrery.errors import UserError
from orrery.media import film_header, read_film
from orrery.media.display import square_size
from orrery.media.opening import opened
from orrery.media.reader import _sought, iterate_pictures, iterate_sound
from orrery.media.timeline import first_instant, instant
from orrery.streams import Array


def notes_of(path: Path) -> str:
    notes = set[str]()
    for _ in iterate_pictures(path, 64 * 64, note=notes.add):
        pass
    return "; ".join(notes)


def aspect(width_by_height: Fraction) -> Any:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = width_by_height

    return prepare


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("ts", "libx264"), ("avi", "mpeg4"), ("mov", "mjpeg")]
)
@pytest.mark.parametrize(("pixels", "shown"), [(Fraction(64, 45), (120, 171)), (Fraction(1, 2), (240, 120))])
def test_pixels_are_made_square(
    tmp_path: Path, suffix: str, codec: str, pixels: Fraction, shown: tuple[int, int]
) -> None:
    path = film(
        tmp_path / f"film.{suffix}",
        0.25,
        size=(120, 120),
        stretch=float(pixels),
        codec=codec,
        pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
        prepare=aspect(pixels),
    )
    frames = read_film(path).frames
    assert frames.shape[1:3] == shown
    height, width, *_ = disc(frames[2])
    assert abs(height - width) <= 4
    assert (film_header(path).height, film_header(path).width) == shown
    small = [picture for _, picture in iterate_pictures(path, short_side=32)]
    assert min(small[0].shape[:2]) == 32
    assert f"pixels of {pixels.numerator}:{pixels.denominator} made square" in notes_of(path)


def test_pixels_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="200 times as wide as high"):
        square_size(120, 160, Fraction(200))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize(("across", "down"), [(False, False), (True, False), (False, True)])
def test_turned_and_mirrored_pictures_are_set_upright(
    tmp_path: Path, suffix: str, turn: int, across: bool, down: bool
) -> None:
    """All eight ways in which a camera can be held, against FFmpeg's own words for them."""
    truth = np.zeros((64, 96, 3), np.uint8)
    truth[:32, :48], truth[:32, 48:], truth[32:, :48] = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    path = write(
        tmp_path / f"film.{suffix}",
        [truth] * 3,
        prepare=lambda stream: stream.set_display_rotation(turn, hflip=across, vflip=down),
    )
    expected = np.rot90(truth[:: -1 if down else 1, :: -1 if across else 1], turn // 90)
    if turn % 180 and across != down:  # the flip is of what the rotation has made
        expected = np.rot90(truth, turn // 90)[:: -1 if down else 1, :: -1 if across else 1]
    np.testing.assert_allclose(read_film(path).frames[1].astype(int), expected, atol=40)


def test_turned_and_not_square_at_once(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.set_display_rotation(90)
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    path = film(tmp_path / "film.mp4", 0.25, size=(120, 80), stretch=2.0, prepare=prepare)
    frames = read_film(path).frames
    assert frames.shape[1:3] == (160, 120)
    height, width, *_ = disc(frames[2])
    assert abs(height - width) <= 4


COLOURS = np.array(
    [(0, 0, 0), (64, 64, 64), (128, 128, 128), (160, 40, 40), (40, 160, 60), (40, 60, 160), (255, 255, 255)]
)
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def linear(colours: Array) -> Array:
    code = colours / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def as_pq(nits: Array) -> Array:
    root = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


def as_hlg(nits: Array) -> Array:
    display = nits / 1000
    luma = display @ np.array([0.2627, 0.6780, 0.0593])
    light = display / np.maximum(luma, 1e-9)[:, None] ** (0.2 / 1.2)
    log = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), log)


def patches(codes: Array, matrix: int, pixel_format: str, full: bool = False) -> av.VideoFrame:
    """`[n, 3]` codes from 0 to 1 as squares in a row."""
    levels = np.rint(codes * 65_535).astype(np.uint16)
    picture = np.ascontiguousarray(levels[None].repeat(32, 0).repeat(16, 1))
    frame = av.VideoFrame.from_ndarray(picture, "rgb48le")
    return frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=2 if full else 1)


def in_colour(transfer: int, primaries: int, matrix: int, full: bool = False) -> Any:
    def prepare(stream: Any) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, primaries, matrix
        context.color_range = 2 if full else 1

    return prepare


@pytest.mark.parametrize(("name", "transfer"), [("PQ", 16), ("HLG", 18)])
def test_hdr_is_mapped_to_srgb(tmp_path: Path, name: str, transfer: int) -> None:
    """What sRGB can show stays as it is where it is not bright; white paper, 203 cd/m², is bright."""
    nits = linear(COLOURS) @ TO_2020.T * 203
    frame = patches(as_pq(nits) if transfer == 16 else as_hlg(nits), 9, "yuv444p10le")
    path = write(
        tmp_path / "hdr.mp4", [frame] * 3, codec="libx265", pixel_format="yuv444p10le",
        prepare=in_colour(transfer, 9, 9),
    )  # fmt: skip
    found = read_film(path).frames[1][16, 8::16].astype(int)
    assert np.abs(found[:-1] - COLOURS[:-1]).max() <= 5
    assert 220 <= found[-1].min() <= found[-1].max() <= 240
    assert f"HDR ({name}) mapped to sRGB, BT.2390" in notes_of(path)


def test_brighter_is_never_darker(tmp_path: Path) -> None:
    nits = np.geomspace(0.1, 10_000, 24)[:, None].repeat(3, 1)
    frame = patches(as_pq(nits), 9, "yuv444p10le")
    path = write(
        tmp_path / "ramp.mp4", [frame] * 3, codec="libx265", pixel_format="yuv444p10le",
        prepare=in_colour(16, 9, 9),
    )  # fmt: skip
    levels = read_film(path).frames[1][16, 8::16].mean(-1)
    assert (np.diff(levels) >= -1).all()
    assert levels[-1] == 255
    assert levels[np.searchsorted(nits[:, 0], 1000)] >= 254


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range_are_those_of_the_film(tmp_path: Path, matrix: int, full: bool) -> None:
    """BT.709, BT.601 (both kinds) and BT.2020, limited and full."""
    frame = patches(COLOURS / 255, {6: 5}.get(matrix, matrix), "yuv444p", full)
    path = write(
        tmp_path / "film.mp4", [frame] * 3, pixel_format="yuv444p", prepare=in_colour(1, 1, matrix, full)
    )
    assert np.abs(read_film(path).frames[1][16, 8::16].astype(int) - COLOURS).max() <= 4


def test_a_large_film_that_names_no_matrix_is_in_bt709(tmp_path: Path) -> None:
    red = np.zeros((720, 64, 3), np.uint8)
    red[..., 0] = 200
    frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format="yuv444p", dst_colorspace=1)
    path = write(tmp_path / "large.mp4", [frame] * 2, pixel_format="yuv444p")
    assert np.abs(read_film(path).frames[0, 360, 32].astype(int) - (200, 0, 0)).max() <= 4


def test_wide_colours_are_brought_to_srgb(tmp_path: Path) -> None:
    """A grey and a red that sRGB has, in Display P3."""
    srgb = np.array([(128, 128, 128), (200, 60, 60)])
    to_p3 = np.array([[0.8225, 0.1775, 0.0], [0.0332, 0.9668, 0.0], [0.0171, 0.0724, 0.9105]])
    light = linear(srgb) @ to_p3.T
    codes = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    path = write(
        tmp_path / "p3.mp4",
        [patches(codes, 1, "yuv444p")] * 2,
        pixel_format="yuv444p",
        prepare=in_colour(1, 12, 1),
    )
    assert np.abs(read_film(path).frames[0][16, 8::16].astype(int) - srgb).max() <= 4


def test_fields_are_made_whole_pictures(tmp_path: Path) -> None:
    """A bar that moves between the fields of a frame has no comb at its edge."""
    pictures = []
    for number in range(8):
        picture = np.full((64, 96, 3), 40, np.uint8)
        for field in (0, 1):
            left = 6 * number + 3 * field
            picture[field::2, left : left + 20] = 220
        pictures.append(picture)
    path = write(tmp_path / "film.mp4", pictures, encoder={"x264-params": "interlaced=1:tff=1"})
    frames = read_film(path).frames.astype(int)
    assert len(frames) == 8
    assert np.abs(np.diff(frames[4, 8:-8, :, 0], axis=0)).max() < 60 < 140
    assert "yadif" in notes_of(path)


@pytest.mark.parametrize(
    ("lengths", "tracks"), [((1.5, 1.5), ()), ((0.5, 0.25, 1.0), ()), ((1.0, 1.0), (Track(), Track()))]
)
@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_stamps_that_start_again_are_read_to_the_end(
    tmp_path: Path, suffix: str, lengths: tuple[float, ...], tracks: tuple[Track, ...]
) -> None:
    """Every picture of every part, the sound of each with it."""
    parts = [
        {
            "seconds": seconds, "seed": k + 1, "fps": 24 if suffix == "ts" else 25,
            "codec": "libx264" if suffix == "ts" else "mpeg2video",
            "tracks": [Track(300 + 600 * k, "mp2")] if tracks else [],
        }
        for k, seconds in enumerate(lengths)
    ]  # fmt: skip
    path = joined(tmp_path / f"film.{suffix}", parts)
    read, fps = read_film(path), parts[0]["fps"]
    numbers = [round(seconds * fps) for seconds in lengths]
    assert len(read.frames) == sum(numbers)
    shown = list(iterate_pictures(path))
    assert len(shown) == sum(numbers)
    assert [t for t, _ in shown] == pytest.approx(np.arange(len(shown)) / fps, abs=0.002)
    truth = np.concatenate(
        [[scene(n / fps, seed=k + 1) for n in range(many)] for k, many in enumerate(numbers)]
    )
    assert np.abs(read.frames.astype(int) - truth).mean((1, 2, 3)).max() < 18
    for begin in (0.2, lengths[0] - 0.02, lengths[0] + 0.1):
        rest = list(iterate_pictures(path, start_seconds=begin))
        assert [t for t, _ in rest] == [t for t, _ in shown if t >= begin]
        np.testing.assert_array_equal(rest[0][1], shown[-len(rest)][1])
    if tracks:
        assert read.audio is not None
        for k, begin in enumerate((0.2, 1.2)):
            heard = read.audio[round(begin * 48_000) :][:24_000, 0]
            assert abs(int(np.abs(np.fft.rfft(heard)).argmax()) * 2 - (300 + 600 * k)) <= 4


def test_a_part_that_comes_much_later_follows_at_once(tmp_path: Path) -> None:
    parts = [{"seconds": 1.0, "seed": 1}, {"seconds": 1.0, "seed": 2, "begin": 5000.0}]
    assert len(read_film(joined(tmp_path / "film.ts", parts)).frames) == 48


def test_a_broadcast_that_was_joined_halfway_begins_with_its_first_whole_picture(tmp_path: Path) -> None:
    path = film(
        tmp_path / "film.ts",
        3.0,
        tracks=[Track(codec="mp2")],
        encoder={"x264-params": "keyint=24:scenecut=0"},
    )
    content = path.read_bytes()
    path.write_bytes(content[188 * (len(content) // 188 // 8) + 50 :])
    read = read_film(path)
    assert len(read.frames) == 48
    assert disc(read.frames[0])[2:] == pytest.approx(disc(scene(1.0))[2:], abs=0.02)
    assert next(iterate_pictures(path))[0] == 0.0


def test_a_picture_that_changes_size_is_read_to_its_end(tmp_path: Path) -> None:
    """In the size of the first, whole, on black; as it is where any size will do."""
    parts = [{"seconds": 1.0, "seed": 1}, {"seconds": 1.0, "seed": 2, "size": (120, 240)}]
    path = joined(tmp_path / "film.ts", parts)
    frames = read_film(path).frames
    assert frames.shape == (48, 120, 160, 3)
    assert frames[36, :18].max() < 30 < frames[36, 40:80].max(-1).min()
    height, width, *_ = disc(frames[36])
    assert abs(height - width) <= 2
    assert {picture.shape[:2] for _, picture in iterate_pictures(path)} == {(120, 160), (120, 240)}
    assert "changes size" in notes_of(path)


def test_the_track_marked_as_default_is_heard_and_named(tmp_path: Path) -> None:
    first = Track(300, language="eng", is_default=False)
    path = film(
        tmp_path / "film.mkv", tracks=[first, Track(900, "ac3", "5.1", language="deu", is_default=True)]
    )
    assert film_header(path).sound_note == "sound track 2 of 2 taken (ac3, 5.1(side), deu)"
    heard = np.concatenate(list(iterate_sound(path)))[:48_000, 0]
    assert abs(int(np.abs(np.fft.rfft(heard)).argmax()) - 900) <= 3
    only = film(tmp_path / "one.mkv", tracks=[first])
    assert film_header(only).sound_note is None


@pytest.mark.parametrize("layout", ["mono", "stereo", "4.0", "5.1", "7.1"])
def test_any_number_of_channels_is_heard_as_two(tmp_path: Path, layout: str) -> None:
    path = film(tmp_path / "film.mkv", tracks=[Track(500, "pcm_s16le", layout)])
    read = read_film(path)
    assert read.audio is not None
    assert read.audio.shape == (48_000, 2)
    assert np.abs(read.audio).max() <= 1
    for ear in read.audio.T:
        assert abs(int(np.abs(np.fft.rfft(ear)).argmax()) - 500) <= 1
        assert ear.std() > 0.05


def test_pictures_before_zero_are_shown(tmp_path: Path) -> None:
    """Of those of Matroska FFmpeg does not tell the stamps."""
    pictures = [scene(k / FPS) for k in range(60)]
    path = write(tmp_path / "film.mkv", pictures, [k / FPS - 1 for k in range(60)], tracks=[Track(500)])
    read = read_film(path)
    assert len(read.frames) == len(pictures)
    places = [disc(frame)[2:] for frame in read.frames]
    assert np.allclose(places, [disc(picture)[2:] for picture in pictures], atol=0.02)
    assert read.audio is not None
    assert np.flatnonzero(np.abs(read.audio[:, 0]) > 0.05)[0] / 48_000 == pytest.approx(1, abs=0.03)
    seen = list(iterate_pictures(path))
    assert np.allclose([seconds for seconds, _ in seen], [k / FPS for k in range(60)], atol=0.002)
    late = list(iterate_pictures(path, start_seconds=0.7))
    assert [seconds for seconds, _ in late] == [seconds for seconds, _ in seen if seconds >= 0.7]


@pytest.mark.parametrize(("begin", "delay", "silent"), [(0.0, 0.5, 0.5), (3.0, 3.25, 0.25), (1.0, 0.0, 0.0)])
def test_sound_keeps_its_place_by_the_first_picture(
    tmp_path: Path, begin: float, delay: float, silent: float
) -> None:
    """Late, or begun before the picture, which then is left out."""
    path = film(
        tmp_path / "film.mkv", 1.0, begin=begin, tracks=[Track(500, "pcm_s16le", delay=delay, seconds=3)]
    )
    read = read_film(path)
    assert read.audio is not None
    assert np.flatnonzero(np.abs(read.audio[:, 0]) > 0.05)[0] / 48_000 == pytest.approx(silent, abs=0.003)
    assert len(read.frames) == FPS


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flv.flv", {"codec": "flv1"}),
        ("h264.flv", {}),
        ("phone.3gp", {}),
        ("old.mpg", {"codec": "mpeg1video", "fps": 25}),
        ("dvd.vob", {"codec": "mpeg2video", "fps": 25, "container": "vob", "tracks": [Track(codec="ac3")]}),
        ("prores.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
        ("alpha.mov", {"codec": "prores_ks", "pixel_format": "yuva444p10le"}),
        ("wmv.wmv", {"codec": "wmv2"}),
        ("gif.gif", {"codec": "gif", "pixel_format": "rgb8", "fps": 25}),
        ("moving.png", {"codec": "apng", "pixel_format": "rgb24", "container": "apng"}),
        ("av1.mkv", {"codec": "libsvtav1"}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("loss.mkv", {"codec": "ffv1"}),
        ("deep.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
        ("LOUD.MP4", {}),
        ("nothing", {"container": "mp4"}),
    ],
)
def test_whatever_the_container_and_the_codec(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = film(tmp_path / name, 1.0, **options)
    read, fps = read_film(path), options.get("fps", FPS)
    assert len(read.frames) == fps
    assert np.abs(read.frames[12].astype(int) - scene(12 / fps)).mean() < 20


def test_transparent_parts_are_shown_on_white(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 4), np.uint8)
    picture[:, :24] = (200, 30, 30, 255)
    picture[:, 24:36] = (0, 0, 0, 128)
    path = write(tmp_path / "film.png", [picture] * 3, codec="apng", pixel_format="rgba", container="apng")
    found = read_film(path).frames[1]
    assert [tuple(found[16, x]) for x in (8, 30, 44)] == [(200, 30, 30), (127, 127, 127), (255, 255, 255)]


def test_encrypted_films_are_named(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", 0.5)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"avc1", b"encv"))
    with pytest.raises(UserError, match="encrypted"):
        read_film(path)


@pytest.mark.parametrize("begin", [0.3, 1.01, 1.7])
def test_a_jump_decodes_from_the_last_key_frame_on(tmp_path: Path, begin: float) -> None:
    """Half a second lies between two; B-frames put what is shown two frames behind what is decoded."""
    path = film(tmp_path / "index.mp4", 2.0, encoder={"x264-params": "keyint=12:min-keyint=12:bframes=3"})
    with opened(path) as container:
        origin = first_instant(path, container)
        frames = _sought(path, container, origin + Fraction(begin))
        assert frames is not None
        first = instant(next(frames))
    assert first is not None
    assert 0 <= begin - float(first - origin) < 2 * 12 / FPS
    assert (first > origin) == (begin > 1)


def test_a_jump_leads_to_the_same_pictures(tmp_path: Path) -> None:
    """By an index, without one, and where pictures need some that are shown later."""
    for name, options in {
        "index.mp4": {"encoder": {"x264-params": "keyint=12:bframes=3"}},
        "none.flv": {"codec": "flv1"},
        "moving.gif": {"codec": "gif", "pixel_format": "rgb8", "fps": 25},
    }.items():
        path = film(tmp_path / name, 2.0, **options)
        whole = list(iterate_pictures(path))
        for begin in (0.3, 1.01, 1.7):
            rest = list(iterate_pictures(path, start_seconds=begin))
            wanted = [pair for pair in whole if pair[0] >= begin]
            assert len(rest) == len(wanted), name
            for (seconds, picture), (at, truth) in zip(rest, wanted, strict=True):
                assert seconds == pytest.approx(at, abs=0.001)
                np.testing.assert_array_equal(picture, truth)


def test_frames_are_freed_as_the_film_goes_on(tmp_path: Path) -> None:
    """Also without a garbage collection: a frame of 4K takes 12 MB, and one of HDR 25 MB."""
    path = film(tmp_path / "film.mp4", prepare=lambda stream: stream.set_display_rotation(90))
    gc.collect()
    gc.disable()
    try:
        num_pictures = sum(1 for _ in iterate_pictures(path))
        num_held = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert num_pictures == FPS
    assert num_held < 4
