"""`generate --object`: meshes for nouns of a sentence, and what is refused before anything is made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trimesh")
pytest.importorskip("coacd")
pytest.importorskip("pyoidn")

import trimesh

from orrery.cli import main
from orrery.media import read_film

SENTENCE = "a bottle drops onto the table"
SOFT = ("--exact", "--look", "soft", "--size", "64x64", "--samples", "1", "--seconds", "0.25")


def bottle(path: Path, kind: str = "sound") -> Path:
    """6 cm wide, 16 cm high and green; or something of which no body can be made."""
    mesh = trimesh.creation.cylinder(radius=0.03, height=0.16)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))  # glTF: y is up
    mesh.visual.face_colors = (20, 200, 40, 255)
    if kind == "flat":
        mesh.apply_scale((1, 0, 1))
    if kind == "far too large":
        mesh.apply_scale(100)
    mesh.export(path)
    if kind == "damaged":
        path.write_bytes(path.read_bytes()[:200])
    return path


@pytest.mark.slow
def test_a_sentence_with_a_mesh_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To scale, of the mass that is asked for, in its own colour, by its noun in the controls."""
    out, file = tmp_path / "film.mp4", bottle(tmp_path / "bottle.glb")
    asked = [f"{file},size_m=0.2,mass_kg=0.4", "--controls", "tracks,segmentation"]
    assert main(["generate", SENTENCE, "--out", str(out), *SOFT, "--object", *asked]) == 0
    assert "film.mp4" in capsys.readouterr().out
    tracks = json.loads((tmp_path / "film.controls/tracks.json").read_text())["things"]
    (thing,) = [thing for thing in tracks if any(thing["seen_pixels"])]
    assert thing["name"] == "bottle"
    heights = [place[2] for place in thing["position_m"]]
    assert heights[0] > heights[-1] > 0.09
    left, top, right, bottom = thing["box_px"][0]
    assert (bottom - top) / (right - left) == pytest.approx(16 / 6, rel=0.3)
    frames = read_film(out).frames.astype(int)
    own = np.load(tmp_path / "film.controls/segmentation.npy") == thing["instance"]
    red, green, blue = np.median(frames[0][own[0]], axis=0)
    assert green > red + 40
    assert green > blue + 40
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["exact_world"] == "laboratory"
    assert about["objects"]["bottle"]["longest_m"] == 0.2
    assert about["objects"]["bottle"]["mass_kg"] == 0.4
    assert len(about["objects"]["bottle"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("kind", "options", "sentence", "more", "match"),
    [
        ("sound", "", "a ball drops", SOFT, 'nothing in the sentence is called "bottle"'),
        ("sound", "", "a red bottle drops", SOFT, "the colours of its file"),
        ("flat", "", SENTENCE, SOFT, "is flat"),
        ("damaged", "", SENTENCE, SOFT, "no mesh that can be read"),
        ("far too large", "", SENTENCE, SOFT, "as size_m, in metres"),
        ("sound", ",size_m=9", SENTENCE, SOFT, "size_m"),
        ("sound", ",size=0.2", SENTENCE, SOFT, "there is no 'size'; perhaps size_m"),
        ("sound", ",size_m=big", SENTENCE, SOFT, "size_m is a number"),
        ("sound", ",up=x", SENTENCE, SOFT, "no axis 'x'"),
        ("sound", "", SENTENCE, (), "no imagined world has meshes"),
        ("sound", "", SENTENCE, ("--exact", "--side-by-side"), "no imagined world has meshes"),
        ("sound", "", SENTENCE, ("--exact",), "--object is of --look soft"),
        ("sound", "", SENTENCE, (*SOFT, "--world", "tabletop"), "of the laboratory"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    options: str,
    sentence: str,
    more: tuple[str, ...],
    match: str,
) -> None:
    file, out = bottle(tmp_path / "bottle.glb", kind), tmp_path / "film.mp4"
    assert main(["generate", sentence, "--out", str(out), *more, "--object", f"{file}{options}"]) != 0
    said = capsys.readouterr().err
    assert match in " ".join(said.split())
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["bottle.glb"]


def test_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = bottle(tmp_path / "bottle_v2.glb"), tmp_path / "film.mp4"
    asked = ["generate", SENTENCE, "--out", str(out), *SOFT, "--object"]
    assert main([*asked, str(file)]) != 0
    assert "name it: bottle=" in capsys.readouterr().err
    assert main([*asked, f"bottle={file}", "--object", f"bottle={file}"]) != 0
    assert "two are called 'bottle'" in " ".join(capsys.readouterr().err.split())
    assert main([*asked, f"flask={file}"]) != 0
    assert 'is called "flask"' in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "none.glb")]) != 0
    assert "cannot be read" in " ".join(capsys.readouterr().err.split())
