"""A storyboard dressed by a real pipeline with tiny weights: exact sound, retakes, what was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

pytest.importorskip("diffusers")
pytest.importorskip("peft")
pytest.importorskip("pyoidn")

from tiny_pipelines import save_wan_vace

from orrery.cli import main
from orrery.errors import BadUse
from orrery.media import read_film
from orrery.studio.backends.dress import DressedFilm, Dressing, dress, dressed_folder, fitted_sound
from orrery.studio.backends.pipeline import DiffusersPipeline, find_backend
from orrery.studio.backends.wan_vace import WAN_VACE
from orrery.studio.shots import CameraKey, Shot, ShotCamera, Storyboard, ThingInShot
from orrery.studio.take import takes

pytestmark = pytest.mark.slow
KEY = CameraKey(from_m=(0.0, -0.5, 0.3), look_at=(0.0, 0.0, 0.05))
BALL = ThingInShot(name="marble", size_m=(0.08,), position_m=(0.0, 0.0, 0.08))


def board(**of_the_second: object) -> Storyboard:
    """A ball falls and lands, 17 frames of 16 a second; the same from where it stands, a moment longer."""
    second = {"name": "on", "continues": True, "seconds": 0.25, **of_the_second}
    shots = (
        Shot(name="fall", things=(BALL,), seconds=1.0625, camera=ShotCamera(keys=(KEY,))),
        Shot.model_validate(second),
    )
    return Storyboard(title="A test", size="64x64", shots=shots)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_wan_vace(tmp_path_factory.mktemp("weights") / "wan"))


def dressing(weights: str, **changed: object) -> Dressing:
    return Dressing(weights, WAN_VACE, "a red ball falls", **{"steps": 2, "seed": 3, **changed})  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def made(weights: str, tmp_path_factory: pytest.TempPathFactory) -> DressedFilm:
    out = tmp_path_factory.mktemp("made") / "film.mp4"
    return dress(board(), out, dressing(weights), lambda: DiffusersPipeline(weights, WAN_VACE))


def test_the_film_is_the_models_at_its_rate(made: DressedFilm) -> None:
    film = read_film(made.path)
    assert film.frames_per_second == 16
    assert film.frames.shape == (17 + 4, 64, 64, 3)
    assert [(shot.name, shot.num_frames, shot.was_made) for shot in made.shots] == [
        ("fall", 17, True), ("on", 4, True),
    ]  # fmt: skip
    assert made.seconds == 21 / 16
    settings = json.loads(made.path.with_suffix(".json").read_text())
    assert settings["dressed"]["backend"] == "wan-vace"
    assert settings["dressed"]["prompt"] == "a red ball falls"
    assert any("timecode knows no 16" in line for line in made.told)
    assert set(made.edits) == {"film.otio"}


def test_the_exact_sound_is_on_it_without_a_samples_shift(made: DressedFilm) -> None:
    """To the sample in the WAV; and in the film, as it is decoded, the contact is where it was."""
    rate, wav = wavfile.read(made.path.with_suffix(".wav"))
    acted = takes(board())
    assert rate == 48_000
    at = 0
    for take, frames in zip(acted, (17, 4), strict=True):
        length = min(len(take.audio), frames * 3000)
        np.testing.assert_array_equal(wav[at : at + length], take.audio[:length])
        at += frames * 3000
    assert len(wav) == at
    coded = read_film(made.path).audio
    assert coded is not None
    assert coded.shape == wav.shape
    loudest = int(np.abs(wav).max(1).argmax())
    loud = slice(loudest - 500, loudest + 2000)
    shifts = range(-40, 41)
    match = [float((np.roll(coded, shift, 0)[loud] * wav[loud]).sum()) for shift in shifts]
    assert shifts[int(np.argmax(match))] == 0
    contact = acted[0].events[0].seconds
    assert loudest / 48_000 == pytest.approx(contact, abs=0.01)


def test_sound_is_cut_or_silent_at_its_end_and_never_moved() -> None:
    sound = np.random.default_rng(0).normal(size=(9000, 2)).astype(np.float32)
    np.testing.assert_array_equal(fitted_sound(sound, 2, 16), sound[:6000])
    longer = fitted_sound(sound, 4, 16)
    np.testing.assert_array_equal(longer[:9000], sound)
    assert not longer[9000:].any()
    assert longer.shape == (12_000, 2)
    assert longer.dtype == np.float32


def test_what_ends_between_frames_is_told(made: DressedFilm) -> None:
    """1.0625 s are 26 frames of 24 (25.5), and 17 of 16: the sound is longer."""
    assert any(line.startswith("fall: 0.0208 s of its sound cut") for line in made.told)
    assert not any(line.startswith("on:") for line in made.told)


def test_a_retake_makes_only_what_changed(made: DressedFilm, weights: str, tmp_path: Path) -> None:
    for path in [made.path, *dressed_folder(made.path).iterdir()]:
        copy = tmp_path / path.relative_to(made.path.parent)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    out, steps = tmp_path / "film.mp4", []
    load = lambda: DiffusersPipeline(weights, WAN_VACE)  # noqa: E731
    again = dress(board(), out, dressing(weights), pytest.fail, force=True)
    assert out.read_bytes() == made.path.read_bytes()
    assert not any(shot.was_made for shot in again.shots)
    changed = board(prompt="blurry")
    again = dress(changed, out, dressing(weights), load, True, lambda *step: steps.append(step))
    assert [shot.was_made for shot in again.shots] == [False, True]
    assert steps == [(1, 2), (2, 2)]
    first = dressed_folder(made.path) / "fall.mp4"
    assert again.shots[0].path.read_bytes() == first.read_bytes()


def test_what_was_stopped_goes_on(made: DressedFilm, weights: str, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 4
        if done == 3:
            raise KeyboardInterrupt

    out = tmp_path / "film.mp4"
    load = lambda: DiffusersPipeline(weights, WAN_VACE)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        dress(board(), out, dressing(weights), load, on_step=stop)
    assert not out.exists()
    assert {path.name for path in dressed_folder(out).iterdir()} == {"fall.mp4", "fall.json"}
    again = dress(board(), out, dressing(weights), load)
    assert [shot.was_made for shot in again.shots] == [False, True]
    assert out.read_bytes() == made.path.read_bytes()


def test_what_cannot_be_is_refused_before_the_model_is_loaded(weights: str, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    for match, changed in (
        ("takes 1 guide at once", {"guides": ("depth", "edges")}),
        ("is not guided by segmentation", {"guides": ("segmentation",)}),
        ("--steps 0", {"steps": 0}),
        ("--seed -1", {"seed": -1}),
        ("--strength 3", {"strength": 3.0}),
    ):
        with pytest.raises(BadUse, match=match):
            dressing(weights, **changed)
    silent = Dressing(weights, WAN_VACE, "")
    with pytest.raises(BadUse, match="shot 'fall' has no prompt"):
        dress(board(prompt="a ball"), out, silent, pytest.fail)
    large = board().model_copy(update={"size": "1920x1080"})
    with pytest.raises(BadUse, match="--size 1280x720 would do"):
        dress(large, out, dressing(weights), pytest.fail)
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("{size: 32x32, shots: [{name: one, seconds: 0.3125, things: [{}]}]}")

    def run(*more: str) -> tuple[int, str]:
        status = main(["shoot", str(path), "--out", str(tmp_path / "film.mp4"), *more])
        said = capsys.readouterr()
        return status, said.out + said.err

    status, said = run("--dress", weights, "--prompt", "a ball", "--steps", "1", "--controls", "edges")
    assert status == 0
    assert "dressed by wan-vace" in said
    assert len(read_film(tmp_path / "film.mp4").frames) == 5
    assert (tmp_path / "film.controls" / "one" / "edges.mp4").is_file()
    for more, word in (
        (["--prompt", "a ball"], "--prompt is of --dress"),
        (["--dress", weights, "--for", "ltx-2"], "leave it out"),
        (["--dress", weights, "--backend", "cogvideox-fun", "--prompt", "a"], "is a WanVACEPipeline"),
        (["--dress", str(tmp_path), "--prompt", "a"], "has no model_index.json"),
    ):
        status, said = run(*more)
        assert status != 0
        assert word in said
        assert "Traceback" not in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_only_a_gpu_has_a_use_for_is_refused_before_anything_is_written(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("{size: 32x32, shots: [{name: one, seconds: 0.3125, things: [{}]}]}")
    asked = ["shoot", str(path), "--out", str(tmp_path / "film.mp4"), "--dress", weights, "--prompt", "a"]
    assert main([*asked, "--memory", "least"]) == 2
    assert "--memory least: is for a GPU" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_a_signed_film_names_the_guides_that_it_was_made_from(weights: str, tmp_path: Path) -> None:
    c2pa = pytest.importorskip("c2pa")
    from certificates import Studio

    board_path, out = tmp_path / "board.yaml", tmp_path / "film.mp4"
    board_path.write_text("{size: 32x32, shots: [{name: one, seconds: 0.3125, things: [{}]}]}")
    pem = Studio().written(tmp_path / "studio.pem")
    asked = ["shoot", str(board_path), "--sign", str(pem), "--out"]
    assert main([*asked, str(out), "--dress", weights, "--prompt", "a ball", "--steps", "1"]) == 0
    reader = c2pa.Reader(str(out))
    assert reader.get_validation_state() == "Valid"
    manifest = reader.get_active_manifest()
    assert [one["title"] for one in manifest["ingredients"]] == ["depth.mp4"]
    assert "trainedAlgorithmicMedia" in json.dumps(manifest)
    assert main([*asked, str(tmp_path / "alone"), "--controls", "depth"]) == 2


def test_the_backend_is_found_from_the_weights(weights: str) -> None:
    assert find_backend(weights, None) is WAN_VACE
