"""A sentence in a laboratory that is under way happens from there, changes nothing else, and is refused by
name where it cannot be."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

mujoco = pytest.importorskip("mujoco")

from orrery.errors import UserError  # noqa: E402
from orrery.serving.session import Session, Start  # noqa: E402
from orrery.streams import Array, Observation  # noqa: E402
from orrery.world import Directable  # noqa: E402
from orrery.worlds.laboratory.scene import LAB_STATE, MAX_THINGS, LabScene  # noqa: E402
from orrery.worlds.laboratory.world import FINGER_SLOT, LaboratoryWorld  # noqa: E402
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS  # noqa: E402

BLIND = ["audio.main", "touch.finger", "state", "camera.main", "action"]
STANDING = "a red ball stands on the table and a blue box stands on the table"
HOLD = np.zeros((1, 2, 7), np.float32)
SAID = {"left": "to the left", "right": "to the right", "forward": "forward", "back": "away from the viewer"}


def started(prompt: str = STANDING, seed: int = 3, num_ticks: int = 4) -> LaboratoryWorld:
    world = LaboratoryWorld(streams=BLIND)
    world.reset(seed, prompt)
    for _ in range(num_ticks):
        world.step(HOLD)
    return world


def field(tick: Observation, name: str, slot: int) -> Array:
    """A state field of a slot at the end of a tick."""
    return LAB_STATE.get(tick["state"][0, -1, slot], name)


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_what_is_there_is_set_in_motion_from_where_it_is(direction: str) -> None:
    world, twin = started(), started()
    world.direct(f"the red ball rolls {SAID[direction]}")
    tick, still = world.step(HOLD), twin.step(HOLD)
    velocity = field(tick, "linear_velocity", 0)[:2]
    assert velocity @ np.array(DIRECTIONS[direction]) > 0.2
    np.testing.assert_array_equal(field(tick, "position", 1), field(still, "position", 1))
    moved = field(tick, "position", 0) - field(still, "position", 0)
    np.testing.assert_allclose(moved[:2], velocity * world.spec.clock.tick_seconds, atol=0.01)


def test_what_it_is_aimed_at_is_struck_and_nothing_was_before() -> None:
    world = started()
    assert not [e for e in world.events() if {e.a, e.b} == {"object0", "object1"}]
    world.direct("the red ball hits the blue box")
    for _ in range(30):
        world.step(HOLD)
    assert [e for e in world.events() if {e.a, e.b} == {"object0", "object1"}]


def test_another_thing_falls_in_and_a_ninth_is_refused() -> None:
    world = started()
    world.direct("a yellow rubber ball falls onto the blue box")
    tick = world.step(HOLD)
    assert field(tick, "present", 2)[0] == 1
    np.testing.assert_allclose(field(tick, "position", 2)[:2], field(tick, "position", 1)[:2], atol=0.05)
    assert field(tick, "position", 2)[2] > field(tick, "position", 1)[2]
    for _ in range(12):
        world.step(HOLD)
    assert {"object1", "object2"} in [{event.a, event.b} for event in world.events()]
    with pytest.raises(UserError, match=f"1 to {MAX_THINGS}"):
        world.direct("six boxes fall")


def test_the_finger_pushes_what_is_named_and_is_given_back() -> None:
    world = started()
    place = field(world.step(HOLD), "position", 1)
    world.direct("the finger pushes the blue box to the right")
    down = np.full((1, 2, 7), -0.1, np.float32)
    down[..., 3] = 0.0
    ticks = [world.step(down) for _ in range(60)]
    assert max(np.abs(tick["touch.finger"]).sum() for tick in ticks) > 0
    moved = field(ticks[-1], "position", 1) - place
    assert moved[0] > 0.05
    assert abs(moved[1]) < 0.05
    np.testing.assert_array_equal(ticks[-1]["action"], down)  # it is over; while it lasts, it is the action
    assert not np.array_equal(ticks[10]["action"][..., :3], down[..., :3])
    np.testing.assert_array_equal(ticks[10]["action"][..., 4:], down[..., 4:])


def test_a_pendulum_is_pushed_about_its_hinge_and_can_do_nothing_else() -> None:
    world = started("a red pendulum swings", num_ticks=2)
    world.direct("the pendulum stops")
    still = world.step(HOLD)
    world.direct("the pendulum swings to the left")
    tick = world.step(HOLD)
    anchor = np.array(world.scene()["things"][0]["hinge"]["anchor_m"])
    lengths = [np.linalg.norm(field(t, "position", 0) - anchor) for t in (still, tick)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-4)
    assert field(tick, "linear_velocity", 0)[0] < -0.2
    with pytest.raises(UserError, match="hangs; it cannot do that"):
        world.direct("the pendulum flies to the left")


def test_fixtures_stay_where_sound_and_sight_have_them_when_a_thing_is_added() -> None:
    world = started("a ball falls into a crate", num_ticks=20)
    before = len(world.events())
    world.direct("another ball hits the crate")
    for _ in range(30):
        world.step(HOLD)
    new = [event for event in world.events()[before:] if "object1" in (event.a, event.b)]
    assert any(name.startswith("fixture") for event in new for name in (event.a, event.b))


def test_a_sentence_that_only_turns_the_camera_leaves_no_seam() -> None:
    sentence = "a steel ball rolls to the right, seen from the front"
    world, twin = started(sentence, num_ticks=2), started(sentence, num_ticks=2)
    world.direct("in the evening")
    for _ in range(10):
        tick, same = world.step(), twin.step()
        np.testing.assert_allclose(tick["audio.main"], same["audio.main"], atol=2e-3)
        for name in ("state", "action", "camera.main"):
            np.testing.assert_allclose(tick[name], same[name], atol=5e-3, err_msg=name)
    assert world.scene()["light"] == "evening"
    assert world.text() == sentence


def test_a_camera_that_was_told_to_move_does_so_while_keys_are_held() -> None:
    world = started()
    world.direct("the camera orbits slowly")
    first, second = (world.step(HOLD)["camera.main"][0, -1] for _ in range(2))
    assert np.linalg.norm(second[:3] - first[:3]) > 0.005
    world.direct("the camera stops")
    first, second = (world.step(HOLD)["camera.main"][0, -1] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_it_is_the_same_each_time_and_is_taken_back() -> None:
    world = started()
    memory = world.snapshot()
    runs = []
    for _ in range(2):
        world.direct("a ball falls and the red ball is thrown to the left")
        runs.append([world.step(HOLD) for _ in range(5)])
        world.restore(memory)
    for a, b in zip(*runs, strict=True):
        for name in BLIND:
            np.testing.assert_array_equal(a[name], b[name])
    tick, same = world.step(HOLD), started().step(HOLD)
    np.testing.assert_array_equal(tick["state"], same["state"])


def test_a_snapshot_after_a_sentence_holds_what_was_said() -> None:
    world = started()
    world.direct("the finger pushes the blue box to the right and the camera orbits")
    memory = world.snapshot()
    first = [world.step(HOLD) for _ in range(20)]
    world.direct("a ball falls")
    world.step(HOLD)
    world.restore(memory)
    for tick in first:
        again = world.step(HOLD)
        for name in BLIND:
            np.testing.assert_array_equal(tick[name], again[name])


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("the green ball falls", "no green ball here; there is the red ball, the blue box"),
        ("the box rolls to the left", "a box cannot"),
        ("the red ball", "changes nothing"),
        ("the red bal falls", 'unknown word "bal"'),
        ("a ramp stands on the table", "no ramp can be set up on the way"),
        ("a pendulum swings", "no pendulum can be set up on the way"),
        ("the red ball swings", "the red ball hangs on nothing here; it can roll"),
        ("the blue box falls off the table", "has a rim all round"),
        ("the red ball stands next to the blue box", "the red ball is where it is"),
        ("the red ball rolls for three seconds", "leave the seconds out"),
        ("the red ball bounces eight times", "does not come about|times"),
        ("the finger pushes the ball and the finger pushes the box", "one thing"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_followed_changes_nothing(sentence: str, why: str) -> None:
    world, twin = started(), started()
    with pytest.raises(UserError, match=why):
        world.direct(sentence)
    np.testing.assert_array_equal(world.step()["state"], twin.step()["state"])


def test_which_of_several_is_asked_for() -> None:
    world = started("a red ball stands on the table and a blue ball stands on the table")
    with pytest.raises(UserError, match="may be the red ball, the blue ball; say which"):
        world.direct("the ball rolls to the left")


def test_a_live_session_goes_back_before_a_sentence_and_tells_another() -> None:
    session = Session(LaboratoryWorld(streams=BLIND), mark_seconds=0.25)
    session.reset(Start(3, STANDING))
    for _ in range(4):
        session.step(None)
    before = session.mark
    session.direct("the red ball rolls to the left")
    there = [session.step(None).observation["state"] for _ in range(4)]
    assert session.done[-4].sentences == ("the red ball rolls to the left",)
    session.rewind(before)
    back = len(session.done)
    for _ in range(4 - back):
        session.step(None)
    session.direct("the red ball rolls to the right")
    other = [session.step(None).observation["state"] for _ in range(4)]
    x = [LAB_STATE.get(states[-1][-1, 0], "position")[0] for states in (there, other)]
    assert x[0] < x[1] - 0.05
    session.rewind(before)
    for _ in range(4 - back):
        session.step(None)
    session.direct("the red ball rolls to the left")
    again = [session.step(None).observation["state"] for _ in range(4)]
    np.testing.assert_array_equal(there, again)


def test_only_the_worlds_of_the_mask_are_told() -> None:
    world = LaboratoryWorld(2, streams=BLIND)
    world.reset(3, STANDING)
    world.direct("the red ball is thrown to the right", np.array([False, True]))
    speed = np.linalg.norm(LAB_STATE.get(world.step()["state"][:, -1, 0], "linear_velocity"), axis=-1)
    assert speed[0] < 0.05
    assert speed[1] > 0.2
    assert isinstance(world, Directable)


def test_the_scene_as_it_goes_on_starts_a_world() -> None:
    world = started()
    world.direct("a ball rolls and hits the red ball")
    scene = LabScene.from_json(world.scene())
    again, tick = LaboratoryWorld(streams=BLIND).reset(0, scene=scene), world.step()
    things = slice(0, FINGER_SLOT)
    np.testing.assert_allclose(again["state"][..., things, :], tick["state"][..., things, :], atol=1e-2)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sentence=st.sampled_from(
        ["a ball falls", "they fall", "a steel box slides to the left", "the table is seen from above",
         "the ball rolls away", "the pendulum swings", "the finger lifts the box", "everything stops"]
    ),
)  # fmt: skip
def test_whatever_a_scene_is_told_it_follows_or_refuses_in_words(seed: int, sentence: str) -> None:
    world = LaboratoryWorld(streams=["state"])
    world.reset(seed)
    for _ in range(2):
        with suppress(UserError):
            world.direct(sentence)
        state = world.step()["state"]
        assert np.isfinite(state).all()
    world.check_prompt(world.text())


def test_what_is_in_the_way_is_named() -> None:
    """The finger presses on a cylinder that it is about to lift, which so cannot be laid down."""
    world = LaboratoryWorld(streams=BLIND)
    world.reset(13)
    scene = LabScene.from_json(world.scene())
    assert (scene.family, scene.things[0].shape) == ("lift", "cylinder")
    for _ in range(6):
        world.step()
    with pytest.raises(UserError, match="the finger is in the way"):
        world.direct(f"the {scene.things[0].colour} cylinder rolls to the left")
