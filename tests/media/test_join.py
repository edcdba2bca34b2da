"""Films joined: every frame as it was, in its place, and the sound in step to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.media import FilmWriter, read_film
from orrery.media.join import join_films
from orrery.streams import Array

RATE, SAMPLES = 24, 48_000


def part(path: Path, num_frames: int, seed: int, size: tuple[int, int] = (64, 96)) -> Array:
    """A film of soft noise that moves, so that it has frames of every type; its sound."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8).repeat(size[0] // 8, 0).repeat(size[1] // 12, 1)
    frames = np.stack([np.roll(base, 2 * k, 1) for k in range(num_frames)])
    sound = (0.1 * rng.standard_normal((num_frames * SAMPLES // RATE, 2))).astype(np.float32)
    with FilmWriter(path, RATE, SAMPLES, size) as writer:
        writer.write(frames, sound)
    return sound


def test_frames_are_those_of_the_parts_to_the_bit(tmp_path: Path) -> None:
    counts = (30, 1, 17)
    parts = [tmp_path / f"{k}.mp4" for k in range(3)]
    sounds = [part(path, count, k) for k, (path, count) in enumerate(zip(parts, counts, strict=True))]
    join_films(parts, tmp_path / "film.mp4", sounds, SAMPLES, tags={"title": "three"})
    whole = read_film(tmp_path / "film.mp4")
    np.testing.assert_array_equal(whole.frames, np.concatenate([read_film(p).frames for p in parts]))
    assert whole.frames_per_second == RATE


def test_a_click_is_heard_at_its_sample(tmp_path: Path) -> None:
    parts = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    sounds = [np.zeros_like(part(path, 24, k)) for k, path in enumerate(parts)]
    sounds[1][1000] = 0.9  # in the second part
    join_films(parts, tmp_path / "film.mp4", sounds, SAMPLES)
    audio = read_film(tmp_path / "film.mp4").audio
    assert audio is not None
    assert np.abs(audio).max(1).argmax() == SAMPLES + 1000


def test_the_same_parts_give_the_same_bytes(tmp_path: Path) -> None:
    sounds = [part(tmp_path / "a.mp4", 10, 0)]
    for name in ("x.mp4", "y.mp4"):
        join_films([tmp_path / "a.mp4"], tmp_path / name, sounds, SAMPLES)
    assert (tmp_path / "x.mp4").read_bytes() == (tmp_path / "y.mp4").read_bytes()


def test_parts_of_two_sizes_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    sounds = [part(tmp_path / "a.mp4", 5, 0), part(tmp_path / "b.mp4", 5, 0, (32, 48))]
    with pytest.raises(UserError, match=r"b\.mp4: is not of the size"):
        join_films([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "film.mp4", sounds, SAMPLES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    sounds = [part(tmp_path / "a.mp4", 5, 0)]
    (tmp_path / "film.mp4").write_bytes(b"mine")
    with pytest.raises(UserError, match="already exists"):
        join_films([tmp_path / "a.mp4"], tmp_path / "film.mp4", sounds, SAMPLES)
    assert (tmp_path / "film.mp4").read_bytes() == b"mine"
