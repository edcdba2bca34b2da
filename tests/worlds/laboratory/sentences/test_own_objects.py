"""Sentences about meshes of one's own: read, set up, run, and refused where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("trimesh")
pytest.importorskip("coacd")

import trimesh

from orrery.errors import UserError
from orrery.streams import Clock
from orrery.worlds.laboratory.scene import MESH, LabScene
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.world import LaboratoryWorld, told
from orrery.worlds.rigid_bodies.mesh_file import MeshFile


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MeshFile]:
    """A bottle (a cylinder 6 cm wide, 16 cm high) and a mug, which the lexicon knows as a container."""
    folder = tmp_path_factory.mktemp("objects")
    trimesh.creation.cylinder(radius=0.03, height=0.16).export(folder / "bottle.stl")
    trimesh.creation.box((0.08, 0.08, 0.09)).export(folder / "mug.ply")
    return {
        "bottle": MeshFile.of(folder / "bottle.stl", name="bottle", mass_kg=0.4),
        "mug": MeshFile.of(folder / "mug.ply", name="mug"),
    }


def only(objects: dict[str, MeshFile], *names: str) -> dict[str, MeshFile]:
    return {name: objects[name] for name in names}


def scene_of(prompt: str, objects: dict[str, MeshFile], seed: int = 0) -> LabScene:
    return told(np.random.default_rng(seed), prompt, Clock(), objects)


def test_a_noun_of_ones_own_is_its_mesh(objects: dict[str, MeshFile]) -> None:
    story = parse_laboratory("a bottle drops onto the table", only(objects, "bottle"))
    (wish,) = story.things
    assert (wish.shape, wish.mesh, wish.noun) == (MESH, objects["bottle"], "bottle")
    scene = scene_of("a bottle drops onto the table", only(objects, "bottle"))
    (thing,) = scene.things
    assert thing.mesh == objects["bottle"]
    assert thing.half_extents_m == pytest.approx((0.03, 0.03, 0.08), abs=1e-6)
    assert thing.position_m[2] > 0.1 + 0.08
    assert thing.material == "plastic"
    assert LabScene.from_json(scene.to_json()) == scene


def test_it_goes_before_a_noun_that_there_is(objects: dict[str, MeshFile]) -> None:
    """A mug without a mesh is a container, which stands fast."""
    plain, own = (parse_laboratory("a mug falls", o) for o in ({"mug": objects["mug"]},) * 2)
    assert plain == own
    assert own.things[0].fixture is None
    assert own.things[0].mesh == objects["mug"]


def test_each_noun_is_its_own_thing(objects: dict[str, MeshFile]) -> None:
    prompt = "a steel bottle slides to the right and hits the mug, and a box stands behind the mug"
    story = parse_laboratory(prompt, objects)
    assert [wish.mesh for wish in story.things] == [objects["bottle"], objects["mug"], None]
    assert [wish.material for wish in story.things] == ["steel", None, None]
    deeds = [(deed.verb, deed.a, deed.b) for deed in story.deeds]
    assert deeds[:2] == [("slides", (0,), ()), ("hits", (0,), (1,))]
    scene = scene_of(prompt, objects)
    assert [thing.shape for thing in scene.things] == ["mesh", "mesh", "box"]
    assert scene.things[0].material == "steel"


def test_several_of_one(objects: dict[str, MeshFile]) -> None:
    scene = scene_of("three bottles stand on the table and a ball drops", only(objects, "bottle"))
    assert [thing.mesh for thing in scene.things] == [objects["bottle"]] * 3 + [None]


def test_its_weight_is_that_of_the_file_and_it_is_called_by_its_noun(objects: dict[str, MeshFile]) -> None:
    world = LaboratoryWorld(streams=["state"], objects=only(objects, "bottle"))
    world.reset(seed=1, prompt="a bottle falls over and a red ball lies next to the bottle")
    scene = world.mujoco_scene()
    assert scene.model.body_mass[1] == pytest.approx(0.4)
    assert [scene.names[f"object{k}"] for k in range(2)] == ["bottle", "red ball"]


@pytest.mark.parametrize(
    ("prompt", "match"),
    [
        ("a ball drops", 'nothing in the sentence is called "bottle"'),
        ("a red bottle drops", 'has the colours of its file; leave "red" out'),
        ("a small bottle drops", 'has the size of its file; leave "small" out'),
        ("a bottle rolls to the right", 'a bottle cannot "rolls"'),
        ("a bottle drops and a flask drops", 'unknown word "flask"'),
        ("a red ball lies in the bottle", "lies in the bottle"),
    ],
)
def test_what_cannot_be_is_refused_by_name(objects: dict[str, MeshFile], prompt: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        scene_of(prompt, only(objects, "bottle"))


def test_the_ray_tracer_of_the_world_draws_no_mesh(objects: dict[str, MeshFile]) -> None:
    with pytest.raises(UserError, match="soft look alone"):
        LaboratoryWorld(objects=only(objects, "bottle")).reset(seed=0, prompt="a bottle drops")
