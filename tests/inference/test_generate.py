"""A film holds what its world emitted, frame for frame, for exactly as long as was asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from orrery.errors import BadUse, UserError
from orrery.inference.generate import check_request, make_film
from orrery.inference.inspect import inspect
from orrery.inference.side_by_side import SideBySide
from orrery.media import iterate_film, read_film
from orrery.streams import Clock, Observation
from orrery.worlds.dummy import DummyWorld

FPS, RATE = 24, 24_000


def _emitted(world: DummyWorld, seed: int, prompt: str, num_ticks: int) -> list[Observation]:
    return [world.reset(seed, prompt), *(world.step() for _ in range(num_ticks - 1))]


def test_a_film_is_what_the_world_emitted(tmp_path: Path) -> None:
    result = make_film(DummyWorld(size=64), "left", 1.0, 3, tmp_path / "a.mp4")
    ticks = _emitted(DummyWorld(size=64), 3, "left", 12)
    film = read_film(result.path)
    frames = np.concatenate([tick["video.main"][0] for tick in ticks])
    assert film.frames.shape == frames.shape == (24, 64, 64, 3)
    error = np.abs(film.frames.astype(int) - frames).mean(axis=(1, 2, 3))
    assert error.max() < 4  # H.264 at CRF 16; another tick's frame is further off
    assert np.abs(film.frames.astype(int) - np.roll(frames, 4, axis=0)).mean() > 2 * error.mean()
    audio = np.concatenate([tick["audio.main"][0] for tick in ticks])
    assert film.audio is not None
    assert film.audio.shape == audio.shape
    if audio.any():
        assert np.corrcoef(film.audio[:, 0], audio[:, 0])[0, 1] > 0.9


@given(num_frames=st.integers(1, 20), offset=st.floats(-0.49, 0.49))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_length_is_met_to_the_frame(tmp_path: Path, num_frames: int, offset: float) -> None:
    seconds = (num_frames + offset) / FPS
    result = make_film(DummyWorld(), None, seconds, 0, tmp_path / "a.mp4", force=True)
    pieces = list(iterate_film(result.path))
    assert len(pieces) == num_frames
    assert result.seconds == num_frames / FPS
    assert sum(len(audio) for _, audio in pieces if audio is not None) == num_frames * RATE // FPS


def test_the_sound_ends_with_the_last_frame(tmp_path: Path) -> None:
    """The container's own account, which a reader that trims to the pictures would not show."""
    import av

    result = make_film(DummyWorld(), None, 5 / FPS, 0, tmp_path / "a.mp4")
    with av.open(str(result.path)) as container:
        sound = container.streams.audio[0]
        assert sound.duration is not None
        assert sound.time_base is not None
        assert float(sound.duration * sound.time_base) == pytest.approx(5 / FPS, abs=1e-3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_film(DummyWorld(), "left", 0.5, seed, tmp_path / f"{name}.mp4", sheet=True)
    a, b, c = ([(tmp_path / f"{n}{end}").read_bytes() for end in (".mp4", ".json", ".png")] for n in "abc")
    assert a == b
    assert a[0] != c[0]


def test_the_sidecar_says_how_to_make_the_film_again(tmp_path: Path) -> None:
    result = make_film(DummyWorld(), "right", 0.51, 7, tmp_path / "a.mp4", sidecar_values={"checkpoint": "x"})
    values = json.loads(result.sidecar_path.read_text())
    assert result.sidecar_path == tmp_path / "a.json"
    assert values["prompt"] == "right"
    assert values["seed"] == 7
    assert values["num_frames"] == 12
    assert values["checkpoint"] == "x"
    assert Clock(**values["clock"]) == Clock()
    make_film(DummyWorld(), values["prompt"], values["seconds"], values["seed"], tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == result.path.read_bytes()


def test_progress_counts_every_tick_once(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    make_film(
        DummyWorld(),
        None,
        7 / FPS,
        0,
        tmp_path / "a.mp4",
        on_tick=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


class _Echo(DummyWorld):
    """A world that takes a picture and keeps showing it."""

    def reset(self, seed, prompt=None, scene=None, given=None, mask=None):  # type: ignore[no-untyped-def]
        assert given is not None
        self.given = given["video.main"]
        return self._shown(super().reset(seed, prompt))

    def step(self, action=None):  # type: ignore[no-untyped-def]
        return self._shown(super().step(action))

    def _shown(self, observation: Observation) -> Observation:
        return observation | {"video.main": self.given[:, 0]}


def test_a_picture_is_given_to_the_world_as_its_first_tick(tmp_path: Path) -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, 48:] = (0, 200, 0)
    Image.fromarray(pixels).save(tmp_path / "start.png")
    world = _Echo(size=32)
    result = make_film(world, None, 0.25, 0, tmp_path / "a.mp4", image=tmp_path / "start.png")
    assert world.given.shape == (1, 1, 2, 32, 32, 3)
    assert world.given.dtype == np.uint8
    frames = read_film(result.path).frames.astype(int)
    assert np.abs(frames[:, :, :12]).max() < 30  # the left half is black, the right one green
    assert np.abs(frames[:, :, 20:] - [0, 200, 0]).max() < 30
    digest = hashlib.sha256((tmp_path / "start.png").read_bytes()).hexdigest()
    assert json.loads(result.sidecar_path.read_text())["image_sha256"] == digest


def test_two_worlds_share_a_film_and_one_is_heard(tmp_path: Path) -> None:
    for sound in ("left", "right"):
        pair = SideBySide(DummyWorld(size=32), DummyWorld(size=32), sound)
        assert pair.spec.streams["video.main"].shape == (2, 32, 68, 3)
        observation = pair.reset(5, "left")
        pair.spec.streams["video.main"].check(observation["video.main"])
    left, right = DummyWorld(size=32), DummyWorld(size=32)
    pair, quiet = SideBySide(left, right, "right"), DummyWorld(size=32, streams=["video.main"])
    alone = _emitted(DummyWorld(size=32), 5, "left", 4)
    together = [pair.reset(5, "left"), *(pair.step() for _ in range(3))]
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(two["video.main"][..., :32, :], one["video.main"])
        np.testing.assert_array_equal(two["video.main"][..., -32:, :], one["video.main"])
        np.testing.assert_array_equal(two["audio.main"], one["audio.main"])
    assert "audio.main" not in SideBySide(quiet, right, "left").spec.streams
    result = make_film(pair, "left", 0.2, 5, tmp_path / "pair.mp4")
    assert read_film(result.path).frames.shape == (5, 32, 68, 3)
    with pytest.raises(ValueError, match="same clock"):
        SideBySide(DummyWorld(), DummyWorld(num_worlds=2))


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3600.1, 1e300, float("nan"), float("inf"), 0.01])
def test_a_length_that_cannot_be_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(BadUse, match="--seconds"):
        make_film(DummyWorld(), None, seconds, 0, tmp_path / "a.mp4")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(BadUse, match="--seed"):
        check_request(1.0, seed, tmp_path / "a.mp4")


@pytest.mark.parametrize("taken", ["a.mp4", "a.json", "a.png"])
def test_nothing_that_is_there_is_lost(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")
    with pytest.raises(UserError, match=taken):
        check_request(1.0, 0, tmp_path / "a.mp4", sheet=True)
    check_request(1.0, 0, tmp_path / "a.mp4", sheet=True, force=True)
    assert (tmp_path / taken).read_text() == "precious"


def test_the_picture_to_start_from_is_never_overwritten(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    check_request(1.0, 0, tmp_path / "a.mp4", image=tmp_path / "a.png")
    with pytest.raises(BadUse, match="would be overwritten"):
        check_request(1.0, 0, tmp_path / "a.mp4", image=tmp_path / "a.png", force=True, sheet=True)


class _Failing(DummyWorld):
    def step(self, action=None):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt


def test_a_stop_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("precious")
    with pytest.raises(KeyboardInterrupt):
        make_film(_Failing(), None, 1.0, 0, tmp_path / "a.mp4", force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "precious"


def test_inspect_measures_a_film(tmp_path: Path) -> None:
    result = make_film(DummyWorld(size=32), "left", 1.25, 0, tmp_path / "a.mp4")
    summary = inspect(result.path)
    facts = dict(summary.facts)
    assert facts["duration"] == "1.250 s, 30 frames"
    assert facts["picture"].startswith("32x32, 24 frames/s")
    assert facts["prompt"] == "left"
    assert summary.sheet_path == tmp_path / "a.png"
    sheet = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert sheet.std() > 10
    again = inspect(result.path)  # the sheet that is there is kept, and that is no failure
    assert again.sheet_path is None
    assert dict(again.facts)["contact sheet"].startswith("not drawn")
    assert inspect(result.path, force=True).sheet_path == tmp_path / "a.png"


def test_inspect_takes_no_json_of_another_kind_for_settings(tmp_path: Path) -> None:
    result = make_film(DummyWorld(), None, 0.25, 0, tmp_path / "a.mp4")
    for content in (b"[1]", b"{", b"\xff\xfe", b'{"prompt": "x"}'):
        result.sidecar_path.write_bytes(content)
        assert "prompt" not in dict(inspect(result.path).facts)
