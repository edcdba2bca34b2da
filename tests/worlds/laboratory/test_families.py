"""Scene families: what each sets up is whole, stands apart, keeps to its request, and survives JSON."""

from __future__ import annotations

import json
import re

import mujoco
import numpy as np
import pytest

from orrery.errors import UserError
from orrery.streams import Clock
from orrery.worlds.laboratory.drawing import LabRequest, ThingRequest
from orrery.worlds.laboratory.families import FAMILIES, sample_laboratory
from orrery.worlds.laboratory.model import build_laboratory
from orrery.worlds.laboratory.scene import (
    BACKGROUNDS,
    LAB_TRAY,
    LIGHTS,
    MAX_FIXTURES,
    MAX_THINGS,
    MOVES,
    SIDES,
    LabScene,
    size_word,
)
from orrery.worlds.laboratory.studio import POOL
from orrery.worlds.laboratory.tales import TALES
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, COLOURS, SURFACES

every_family = pytest.mark.parametrize("family", FAMILIES)


def scenes(family: str | None, count: int, first: int = 0) -> list[LabScene]:
    request = LabRequest(family)
    return [sample_laboratory(np.random.default_rng(first + k), request) for k in range(count)]


@every_family
def test_scenes_are_whole_and_survive_json(family: str) -> None:
    for scene in scenes(family, 40):
        assert scene.family == family
        assert 1 <= len(scene.things) <= MAX_THINGS
        assert len(scene.fixtures) <= MAX_FIXTURES
        assert LabScene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
        assert scene == LabScene.from_json(scene.to_json())
        colours = [thing.colour for thing in scene.things if thing.role != "domino"]
        assert len(set(colours)) == len(colours), "a sentence can name each"
        for shape in ("ball", "box", "cylinder", "capsule"):
            bodies = [*scene.things, *scene.fixtures]
            assert sum(body.shape == shape for body in bodies) <= POOL[shape], "the stage has a geom for each"


@every_family
def test_nothing_overlaps_or_lies_outside_at_first(family: str) -> None:
    """No contact deeper than 0.5 mm between any two bodies, and every centre within the rims."""
    for scene in scenes(family, 25, first=100):
        model = build_laboratory(scene, Clock())
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        deepest = min((float(c.dist) for c in data.contact), default=0.0)
        assert deepest > -5e-4, f"{scene.family}: {deepest}"
        places = np.array([thing.position_m for thing in scene.things])
        assert (np.abs(places[:, 0]) < LAB_TRAY.half_x).all()
        assert (np.abs(places[:, 1]) < LAB_TRAY.half_y).all()


def test_everything_occurs() -> None:
    drawn = scenes(None, 500)
    things = [thing for scene in drawn for thing in scene.things]
    assert {scene.family for scene in drawn} == set(FAMILIES)
    assert {scene.surface for scene in drawn} == set(SURFACES)
    assert {scene.light for scene in drawn} == set(LIGHTS)
    assert {scene.background for scene in drawn} == set(BACKGROUNDS)
    assert {scene.orbit.side for scene in drawn} == set(SIDES)
    assert {scene.orbit.move for scene in drawn} == set(MOVES)
    assert {thing.material for thing in things} == set(ALL_MATERIALS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.shape for thing in things} == {"ball", "box", "cylinder", "capsule"}
    assert {len(scene.things) for scene in drawn} >= set(range(1, 9))
    assert set(FAMILIES) == {"plain", *TALES}, "every family can be told"


def test_same_seed_same_scene() -> None:
    assert scenes(None, 3) == scenes(None, 3)
    assert scenes(None, 3) != scenes(None, 3, first=5)


def test_what_is_asked_is_what_there_is() -> None:
    wish = ThingRequest("ball", "purple", "ceramic", "small", "left")
    targets = (ThingRequest("box", material="glass"), ThingRequest(colour="white", size="big"))
    request = LabRequest("ramp", {"roller": (wish,), "target": targets}, "cloth", "lamp", "left", "orbits")
    for seed in range(10):
        scene = sample_laboratory(np.random.default_rng(seed), request)
        ball, box, white = scene.things
        assert (ball.shape, ball.colour, ball.material) == ("ball", "purple", "ceramic")
        assert (size_word(ball.half_extents_m), ball.heading) == ("small", "left")
        assert (box.shape, box.material) == ("box", "glass")
        assert (white.colour, white.size_word) == ("white", "big")
        orbit = scene.orbit
        assert (scene.surface, scene.light, orbit.side, orbit.move) == ("cloth", "lamp", "left", "orbits")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (LabRequest("rampe"), "no scene family 'rampe'; perhaps ramp"),
        (LabRequest("ramp", {"roller": (ThingRequest("box"),)}), "cannot be box; it can be ball, cylinder"),
        (LabRequest("ramp", {"target": (ThingRequest(),) * 4}), "4 of them are too many here; .* 0 to 3"),
        (LabRequest("dominoes", {"domino": (ThingRequest(),) * 2}), "2 of them are too few here; .* 3 to 7"),
        (LabRequest("wall", {"roller": (ThingRequest(heading="back"),)}), "nothing heads back"),
        (LabRequest("plain", {"faller": (ThingRequest(),) * 9}), "9 of them are too many"),
        (LabRequest("see-saw", {"load": (ThingRequest(material="steel"),)}), "cannot be steel"),
    ],
)
def test_what_cannot_be_is_named(request_: LabRequest, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        sample_laboratory(np.random.default_rng(0), request_)
    assert not re.search(r"\n", str(caught.value))
