"""Films of episodes: encoded once, joined without loss, reached at any frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.data import video
from orrery.errors import UserError
from orrery.streams import Array

RATE = 24
LENGTHS = (30, 12, 25)


def _frames(num_frames: int, seed: int) -> Array:
    """A soft spot that wanders on a tinted ground, `[n, 32, 48, 3]`."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(40, 120, 3)
    row, column = np.mgrid[:32, :48]
    t = np.arange(num_frames)[:, None, None]
    spot = np.exp(-((row - 16 - 8 * np.sin(t / 5 + seed)) ** 2 + (column - 24 - t / 2) ** 2) / 30)
    return (ground + 120 * spot[..., None]).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    folder = tmp_path_factory.mktemp("films")
    parts = [folder / f"{k}.mp4" for k in range(len(LENGTHS))]
    for k, (part, length) in enumerate(zip(parts, LENGTHS, strict=True)):
        video.encode(part, _frames(length, k), RATE)
    joined = folder / "joined.mp4"
    video.join(joined, parts, RATE)
    return parts, joined


def test_encoding_is_near_the_truth(films: tuple[list[Path], Path]) -> None:
    decoded = video.decode(films[0][0], 0, LENGTHS[0], RATE).astype(float)
    error = decoded - _frames(LENGTHS[0], 0)
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 38
    assert np.abs(error.mean((0, 1, 2))).max() < 2, "a colour shift"


def test_joining_loses_nothing(films: tuple[list[Path], Path]) -> None:
    parts, joined = films
    apart = np.concatenate([video.decode(p, 0, n, RATE) for p, n in zip(parts, LENGTHS, strict=True)])
    np.testing.assert_array_equal(video.decode(joined, 0, sum(LENGTHS), RATE), apart)


def test_every_frame_can_be_reached_alone(films: tuple[list[Path], Path]) -> None:
    whole = video.decode(films[1], 0, sum(LENGTHS), RATE)
    for start in range(sum(LENGTHS)):
        num_frames = min(3, sum(LENGTHS) - start)
        np.testing.assert_array_equal(
            video.decode(films[1], start, num_frames, RATE), whole[start : start + num_frames]
        )


def test_bytes_repeat(films: tuple[list[Path], Path], tmp_path: Path) -> None:
    video.encode(tmp_path / "again.mp4", _frames(LENGTHS[0], 0), RATE)
    assert (tmp_path / "again.mp4").read_bytes() == films[0][0].read_bytes()
    video.join(tmp_path / "joined.mp4", films[0], RATE)
    assert (tmp_path / "joined.mp4").read_bytes() == films[1].read_bytes()


def test_an_odd_size_comes_back_as_it_was(tmp_path: Path) -> None:
    frames = _frames(3, 0)[:, :31, :47]
    video.encode(tmp_path / "odd.mp4", frames, RATE)
    back = video.decode(tmp_path / "odd.mp4", 0, 3, RATE)
    assert back.shape == frames.shape
    assert np.abs(back.astype(int) - frames).mean() < 6


def test_a_film_that_is_too_short_is_named(films: tuple[list[Path], Path]) -> None:
    with pytest.raises(UserError, match=r"1\.mp4 ends at frame 12"):
        video.decode(films[0][1], 10, 5, RATE)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_film_is_named(films: tuple[list[Path], Path], tmp_path: Path, damage: str) -> None:
    whole = films[1].read_bytes()
    bad = tmp_path / "bad.mp4"
    bad.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"no film" * 100, "empty": b""}[damage])
    with pytest.raises(UserError, match=r"bad\.mp4"):
        video.decode(bad, 0, 10, RATE)
