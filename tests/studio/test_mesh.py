"""Meshes of one's own: as heavy, as high and as hollow as they are, in their own colours; and unfit ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

pytest.importorskip("trimesh")
pytest.importorskip("coacd")

import coacd
import trimesh
from PIL import Image
from trimesh.visual.texture import SimpleMaterial, TextureVisuals

from orrery.errors import UserError
from orrery.studio.shoot import shoot
from orrery.studio.shots import Shot, Storyboard, ThingInShot
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.studio.storyboard import read_storyboard
from orrery.studio.take import Take, takes
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.world import LaboratoryWorld
from orrery.worlds.rigid_bodies import mesh as meshes
from orrery.worlds.rigid_bodies.mesh import read_mesh
from orrery.worlds.rigid_bodies.mesh_file import MeshFile


def saved(mesh: Any, path: Path) -> str:
    mesh.export(path)
    return str(path)


def cup() -> Any:
    """10 cm wide and high, hollow and open above, standing on z = 0."""
    outline = [[0, 0], [0.05, 0], [0.05, 0.1], [0.044, 0.1], [0.044, 0.008], [0, 0.008]]
    return trimesh.creation.revolve(np.array(outline), sections=24)


def spool(length: float) -> Any:
    """A foot with a pin on it, which is not convex."""
    outline = [[0, 0], [0.15, 0], [0.15, 0.1], [0.05, 0.1], [0.05, length], [0, length]]
    return trimesh.creation.revolve(np.array(outline), sections=6)


def acted(*things: ThingInShot, seconds: float = 0.6) -> Take:
    return takes(Storyboard(shots=(Shot(things=things, seconds=seconds),)))[0]


def height(take: Take, name: str) -> float:
    return float(take.scenes[-1].positions_m[-1, -1, 1 + take.names.index(name), 2])


def test_a_box_of_a_file_falls_as_the_box_of_the_same_size(tmp_path: Path) -> None:
    """Weight, inertia, height and sound's events."""
    file = saved(trimesh.creation.box((0.08, 0.06, 0.04)), tmp_path / "brick.stl")
    own = acted(ThingInShot(file=file, material="wood", position_m=(0.0, 0.0, 0.15)))
    ours = acted(
        ThingInShot(shape="box", size_m=(0.08, 0.06, 0.04), material="wood", position_m=(0.0, 0.0, 0.15))
    )
    for name in ("body_mass", "body_inertia"):
        values = [np.sort(np.atleast_1d(getattr(take.first.model, name)[1])) for take in (own, ours)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert height(own, "brick") == pytest.approx(0.02, abs=2e-4)
    heights = [take.scenes[4].positions_m[-1, -1, 1, 2] for take in (own, ours)]
    assert heights[0] == pytest.approx(heights[1], abs=1e-4), "in free fall"
    first = [next(e.seconds for e in take.events if e.kind == "impact") for take in (own, ours)]
    assert first[0] == pytest.approx(first[1], abs=2e-3)
    assert np.abs(own.audio).max() > 0.01


def test_a_cup_is_hollow(tmp_path: Path) -> None:
    """A ball that falls into it stays in it, above its bottom."""
    file = saved(cup(), tmp_path / "cup.stl")
    take = acted(
        ThingInShot(file=file, material="ceramic"),
        ThingInShot(name="ball", size_m=(0.03,), material="rubber", position_m=(0.0, 0.0, 0.2)),
        seconds=1.5,
    )
    scene = take.scenes[-1]
    ball = scene.positions_m[-1, -1, 2]
    assert np.hypot(*(ball - scene.positions_m[-1, -1, 1])[:2]) < 0.04
    assert 0.015 < ball[2] < 0.04


def test_parts_are_kept_whatever_the_size(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found once; what is damaged in the cache is found anew."""
    file = saved(spool(0.4), tmp_path / "spool.stl")
    first = read_mesh(MeshFile.of(file))
    assert len(first.parts) > 1
    kept = max((own_cache / "convex_parts").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with monkeypatch.context() as patch:
        patch.setattr(coacd, "run_coacd", pytest.fail)
        read_mesh.cache_clear()
        again, large = (read_mesh(MeshFile.of(file, longest_m=longest)) for longest in (None, 0.8))
    for one, other, larger in zip(first.parts, again.parts, large.parts, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(2 * one, larger, rtol=1e-6)  # an STL holds float32
    kept.write_bytes(kept.read_bytes()[:-100])
    read_mesh.cache_clear()
    anew = read_mesh(MeshFile.of(file))
    for one, other in zip(first.parts, anew.parts, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.load(kept)["counts"].sum() == sum(map(len, first.parts))


def test_a_cache_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ORRERY_CACHE", str(tmp_path / "file"))
    assert len(read_mesh(MeshFile.of(saved(spool(0.3), tmp_path / "spool.stl"))).parts) > 1


def test_size_weight_and_axis_are_as_asked(tmp_path: Path) -> None:
    """glTF's own axis upwards is y."""
    tall = trimesh.creation.box((1.0, 4.0, 1.0))
    glb = saved(tall, tmp_path / "tower.glb")
    mesh = read_mesh(MeshFile.of(glb, longest_m=0.2))
    assert mesh.half_extents_m == pytest.approx((0.025, 0.025, 0.1))
    lying = read_mesh(MeshFile.of(glb, longest_m=0.2, up="z"))
    assert lying.half_extents_m == pytest.approx((0.025, 0.1, 0.025))
    assert mesh.volume_m3 == pytest.approx(0.05 * 0.05 * 0.2, rel=1e-3)
    take = acted(ThingInShot(file=glb, size_m=(0.2,), mass_kg=1.5))
    assert take.first.model.body_mass[1] == pytest.approx(1.5)
    assert height(take, "tower") == pytest.approx(0.1, abs=1e-3)


def test_edges_are_sharp_and_round_things_round(tmp_path: Path) -> None:
    box = read_mesh(MeshFile.of(saved(trimesh.creation.box((0.1, 0.1, 0.1)), tmp_path / "box.stl"))).pieces[0]
    faces = np.cross(*np.diff(box.vertices[box.faces], axis=1).transpose(1, 0, 2))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    assert box.corner_normals == pytest.approx(np.repeat(faces, 3, 0), abs=1e-9)
    ball = read_mesh(
        MeshFile.of(saved(trimesh.creation.icosphere(subdivisions=3, radius=0.05), tmp_path / "ball.stl"))
    ).pieces[0]
    outward = ball.vertices[ball.faces.ravel()] / 0.05
    assert (ball.corner_normals * outward).sum(1).min() > 0.999


def half_and_half(path: Path) -> str:
    """A box, red to the left (x < 0), green to the right; on its upper half darker."""
    box = trimesh.creation.box((0.1, 0.02, 0.1))
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:, :32], colours[:, 32:] = (220, 0, 0), (0, 220, 0)
    colours[:32] //= 4  # the picture's upper rows
    uv = box.vertices[:, [0, 2]] / 0.1 + 0.5
    look = SimpleMaterial(image=Image.fromarray(colours), diffuse=(255, 255, 255, 255))
    box.visual = TextureVisuals(uv=uv, material=look)
    return saved(box, path)


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_its_texture_is_where_it_was_painted(tmp_path: Path, ending: str) -> None:
    """As the path tracer's guide of colours has it, which holds no light."""
    file = half_and_half(tmp_path / f"plate.{ending}")
    take = acted(ThingInShot(file=file, up="z", position_m=(0.0, 0.0)), seconds=0.1)
    look = SoftLook(SoftSettings((96, 96), samples=4))
    guide = look.trace(take.scenes[-1]).colour
    seen = {}
    for name, (x, z) in {
        "left up": (-0.025, 0.08), "right up": (0.025, 0.08), "left": (-0.025, 0.02), "right": (0.025, 0.02),
    }.items():  # fmt: skip
        row, column = _pixel(take.scenes[-1], np.array([x, -0.01, z]), 96)
        seen[name] = guide[row, column]
    assert seen["left"][0] > 0.5 > 0.1 > seen["left"][1]
    assert seen["right"][1] > 0.5 > 0.1 > seen["right"][0]
    assert 0.02 < seen["left up"][0] < 0.2
    assert 0.02 < seen["right up"][1] < 0.2


def _pixel(scene: Any, point_m: Any, size: int) -> tuple[int, int]:
    """Where a point is seen in a square picture."""
    camera = scene.cameras[-1]
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, camera[3:7])
    right, up, back = turn.reshape(3, 3).T @ (point_m - camera[:3])
    half = np.tan(camera[7] / 2) * -back
    return round((1 - up / half) * size / 2 - 0.5), round((1 + right / half) * size / 2 - 0.5)


def test_a_scene_with_a_mesh_comes_back_from_json(tmp_path: Path) -> None:
    thing = ThingInShot(file=saved(trimesh.creation.box((0.1, 0.1, 0.1)), tmp_path / "a.stl"), mass_kg=0.3)
    scene = Shot(things=(thing,)).scene()
    assert LabScene.from_json(scene.to_json()) == scene
    assert scene.to_json()["things"][0]["mesh"] == asdict(MeshFile.of(tmp_path / "a.stl", mass_kg=0.3))
    with pytest.raises(UserError, match="soft look alone"):
        LaboratoryWorld(streams=["video.main"]).reset(seed=0, scene=scene)


def test_a_board_finds_its_files_beside_it_and_is_drawn_anew_when_one_changes(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text(
        "{size: 64x64, samples: 1, shots: [{seconds: 0.05, things: [{file: my/thing.ply, size_m: 0.1}]}]}"
    )
    (tmp_path / "my").mkdir()
    saved(trimesh.creation.box((1, 1, 1)), tmp_path / "my/thing.ply")
    out = tmp_path / "film.mp4"
    assert shoot(read_storyboard(board), out).shots[0].was_made
    assert not shoot(read_storyboard(board), out, force=True).shots[0].was_made
    saved(trimesh.creation.icosphere(), tmp_path / "my/thing.ply")
    assert shoot(read_storyboard(board), out, force=True).shots[0].was_made


def test_holes_and_colours_that_are_not_drawn_are_told(tmp_path: Path) -> None:
    open_box = trimesh.creation.box((0.1, 0.1, 0.1))
    open_box.update_faces(np.arange(12) > 1)
    open_box.visual.face_colors = np.arange(40).reshape(10, 4) + 100
    take = acted(ThingInShot(file=saved(open_box, tmp_path / "open.ply")), seconds=0.1)
    told = " ".join(take.notes)
    assert "open.ply: its surface has holes" in told
    assert "colours by vertex are not drawn" in told


def _unfit(path: Path, kind: str) -> str:
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    if kind == "flat":
        box.apply_scale((1, 1, 0))
    if kind == "huge":
        box.apply_scale(1000)
    if kind == "tiny":
        box.apply_scale(0.001)
    if kind == "nan":
        box.vertices[0, 0] = np.nan
    if kind == "points":
        box = trimesh.PointCloud(box.vertices)
    if kind == "text":
        path.write_text("no mesh")
        return str(path)
    if kind == "cut":
        path.write_bytes(trimesh.creation.box((1, 1, 1)).export(file_type="ply")[:150])
        return str(path)
    return saved(box, path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("flat", "is flat"), ("huge", "is 100 m long"), ("tiny", "give its longest side as size_m"),
        ("nan", "no numbers"), ("points", "holds no faces"), ("text", "no mesh that can be read"),
        ("cut", "no mesh that can be read|holds no faces"),
    ],
)  # fmt: skip
def test_an_unfit_mesh_is_told_before_anything_is_acted(tmp_path: Path, kind: str, said: str) -> None:
    file = _unfit(tmp_path / "thing.ply", kind)
    with pytest.raises(UserError, match=said):
        acted(ThingInShot(file=file))


def test_a_mesh_that_is_too_fine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshes, "MOST_FACES", 1000)
    file = saved(trimesh.creation.icosphere(subdivisions=4, radius=0.05), tmp_path / "fine.stl")
    with pytest.raises(UserError, match="has 5,120 faces; simplify it to at most 1,000"):
        acted(ThingInShot(file=file))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shape": "mesh"}, "name it"),
        ({"file": "a.glb", "shape": "box"}, "whose shape is mesh"),
        ({"file": "a.glb", "size_m": [0.1, 0.2]}, "one size"),
        ({"file": "a.glb", "colour": "red"}, "colours of its file"),
        ({"mass_kg": 1.0}, "whose shape is mesh"),
        ({"file": "a.glb", "up": "x"}, "no axis 'x'"),
    ],
)
def test_what_a_mesh_cannot_have_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ThingInShot.model_validate(values)


@pytest.mark.parametrize(("name", "said"), [("nowhere.glb", "cannot be read"), ("a.blend", "ends in .glb")])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        acted(ThingInShot(file=str(tmp_path / name)))
