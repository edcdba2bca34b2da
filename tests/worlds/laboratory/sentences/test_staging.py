"""Scenes for sentences: things stand as told and apart; what is told happens, or the sentence is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("mujoco")

import mujoco

from orrery.errors import UserError
from orrery.streams import Clock, Event
from orrery.worlds.laboratory import world
from orrery.worlds.laboratory.model import TABLE_BOX_M, build_laboratory
from orrery.worlds.laboratory.scene import FLOOR_M, LAB_STATE, LAB_TRAY, LabScene
from orrery.worlds.laboratory.sentences.deeds import contradictions, deed_words, not_standing, untold
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.sentences.run import Run
from orrery.worlds.laboratory.sentences.staging import Staged, stage
from orrery.worlds.laboratory.sentences.story import Deed, Story, Wish

SENTENCES = (
    "a red ball hits a blue box, and the box hits a can",
    "a marble rolls down a ramp into a cup",
    "a pendulum swings into a tower of three boxes",
    "a ball flies over a box and lands behind it",
    "a small box stands on a large box next to a ball",
    "a ball stands left of a box, and a can stands behind the box",
    "a can stands between two red boxes",
    "five marbles fall into a bowl",
    "eight balls fall",
    "a row of six dominoes falls to the left",
    "two balls roll down a ramp",
    "a finger pushes a box to the right until it hits a ball",
    "a ball rolls behind a screen",
    "a can sits on a seesaw and a box falls on its other end",
)


def staged(sentence: str, seed: int = 0) -> tuple[Story, Staged]:
    story = parse_laboratory(sentence)
    return story, stage(np.random.default_rng(seed), story)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_things_stand_apart_as_told_and_survive_json(sentence: str) -> None:
    for seed in range(3):
        story, set_up = staged(sentence, seed)
        scene = set_up.scene
        data = mujoco.MjData(model := build_laboratory(scene, Clock()))
        mujoco.mj_forward(model, data)
        assert min((float(c.dist) for c in data.contact), default=0.0) > -5e-4
        places = np.abs([thing.position_m for thing in scene.things])
        assert (places[:, 0] < LAB_TRAY.half_x).all()
        assert (places[:, 1] < LAB_TRAY.half_y).all()
        assert LabScene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
        state = np.zeros((1, 15, LAB_STATE.width), np.float32)
        for slot, thing in enumerate(scene.things):
            state[0, slot, LAB_STATE.slice("position")] = thing.position_m
            state[0, slot, LAB_STATE.slice("size")] = thing.half_extents_m
        run = Run(scene, set_up.cast, state, (), 1 / 24)
        assert not_standing(story, run) == []


def test_the_same_seed_gives_the_same_scene() -> None:
    assert staged(SENTENCES[0], 3) == staged(SENTENCES[0], 3)
    assert staged(SENTENCES[0], 3) != staged(SENTENCES[0], 4)


def test_what_is_said_of_a_thing_is_so() -> None:
    _, set_up = staged("a small pink glass ball rolls at one metre a second and hits a tall heavy cylinder")
    ball, can = set_up.scene.things
    assert (ball.colour, ball.material, ball.size_word) == ("pink", "glass", "small")
    assert np.linalg.norm(ball.linear_velocity_m_s) == pytest.approx(1.0)
    assert can.material == "steel"
    assert can.half_extents_m[2] > 2 * can.half_extents_m[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_told_happens(seed: int) -> None:
    """By the world's own events, from its own reset."""
    made = world.LaboratoryWorld(streams=["state"])
    made.reset(seed, prompt="the red ball hits the blue box")
    for _ in range(made.spec.clock.num_ticks(5.0)):
        made.step()
    assert any({event.a, event.b} == {"object0", "object1"} for event in made.events())


def test_a_ball_rolls_off_an_open_edge_and_lands_on_the_floor() -> None:
    story, set_up = staged("a ball rolls off the edge of the table")
    assert set_up.scene.open_edge in ("left", "right")
    run = world.watched(set_up, Clock(), 3.0)
    assert untold(story, run) == []
    place = run.body(0).place
    radius = set_up.scene.things[0].half_extents_m[0]
    assert abs(place[-1, 0]) > TABLE_BOX_M[0] - 0.01
    assert place[-1, 2] == pytest.approx(FLOOR_M + radius, abs=0.01)


def test_a_table_without_an_open_edge_keeps_its_rims() -> None:
    _, set_up = staged("a ball rolls to the right")
    model = build_laboratory(set_up.scene, Clock())
    assert {model.geom(k).name for k in range(model.ngeom)} >= {f"rim{k}" for k in range(4)}


def test_what_never_happens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "TRIES", 2)
    said = "in 2 tries it never came about that the ball bounces"
    with pytest.raises(UserError, match=said):
        world.told(
            np.random.default_rng(0),
            "a rubber ball bounces three times, for half a second",
            Clock(),
        )


WISHES = (Wish("ball", noun="ball"), Wish("box", noun="box"))
HITS = Deed("hits", (0,), (1,))


def told_run(*events: Event) -> Run:
    scene = staged("a ball hits a box")[1].scene
    state = np.zeros((24, 15, LAB_STATE.width), np.float32)
    return Run(scene, {0: ("object0",), 1: ("object1",)}, state, events, 1 / 24)


def test_a_hit_is_an_impact_on_the_table_after_the_start() -> None:
    story = Story(WISHES, (), (HITS,))
    hit = Event(0.5, "impact", "object0", "object1", 0.1, (0.0, 0.0, 0.02))
    assert untold(story, told_run(hit)) == []
    assert untold(story, told_run()) == [HITS]
    early = Event(0.01, "impact", "object0", "object1", 0.1, (0.0, 0.0, 0.02))
    assert untold(story, told_run(early)) == [HITS], "they touched as they were placed"


def test_a_miss_is_no_hit() -> None:
    miss = Deed("hits", (0,), (1,), never=True)
    hit = Event(0.5, "impact", "object1", "object0", 0.1, (0.0, 0.0, 0.02))
    assert untold(Story(WISHES, (), (miss,)), told_run()) == []
    assert untold(Story(WISHES, (), (miss,)), told_run(hit)) == [miss]


def test_order_is_kept_between_what_has_a_thing_in_common() -> None:
    lands = Deed("lands on", (1,), ("table",))
    hit = Event(0.5, "impact", "object0", "object1", 0.1, (0.0, 0.0, 0.02))
    late, early = (Event(t, "impact", "table", "object1", 0.1, (0.0, 0.0, 0.0)) for t in (0.7, 0.3))
    story = Story(WISHES, (), (HITS, lands))
    assert untold(story, told_run(hit, late)) == []
    assert untold(story, told_run(hit, early)) == [lands]


def test_what_nobody_told_is_found() -> None:
    story = Story(WISHES, (), (Deed("rests", (0, 1)),))
    run = told_run()
    assert contradictions(story, run) == []
    run.state[12:, 1, LAB_STATE.slice("position")] = (0.1, 0.0, 0.0)
    assert contradictions(story, run) == [1]
    assert deed_words(story, HITS) == "the ball hits the box"
