"""A sentence on the way changes what it speaks of and nothing else, and goes on from there without a seam."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

mujoco = pytest.importorskip("mujoco")

from orrery.errors import UserError  # noqa: E402
from orrery.streams import Array, Observation  # noqa: E402
from orrery.world import Directable  # noqa: E402
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS  # noqa: E402
from orrery.worlds.rigid_bodies.materials import COLOURS  # noqa: E402
from orrery.worlds.rigid_bodies.state import STATE  # noqa: E402
from orrery.worlds.tabletop.captions import caption  # noqa: E402
from orrery.worlds.tabletop.scene import sample_scene  # noqa: E402
from orrery.worlds.tabletop.world import NUM_SLOTS, TabletopWorld  # noqa: E402

BLIND = ["audio.main", "touch.finger", "state", "camera.main", "action"]
STANDING = "a red ball stands on the table and a blue box stands on the table"
HOLD = np.zeros((1, 2, 3), np.float32)
FINGER = NUM_SLOTS - 1


def started(prompt: str = STANDING, seed: int = 3, num_ticks: int = 6) -> TabletopWorld:
    world = TabletopWorld(streams=BLIND)
    world.reset(seed, prompt)
    for _ in range(num_ticks):
        world.step(HOLD)
    return world


def field(tick: Observation, name: str, slot: int) -> Array:
    """A state field of a slot at the end of a tick."""
    return STATE.get(tick["state"][0, -1, slot], name)


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_what_is_there_is_set_in_motion(direction: str) -> None:
    said = {"left": "to the left", "right": "to the right", "forward": "forward", "back": "away"}[direction]
    world, twin = started(), started()
    world.direct(f"the red ball rolls {said}")
    tick, still = world.step(HOLD), twin.step(HOLD)
    velocity = field(tick, "linear_velocity", 0)[:2]
    assert velocity @ np.array(DIRECTIONS[direction]) > 0.2
    np.testing.assert_array_equal(field(tick, "position", 1), field(still, "position", 1))
    np.testing.assert_allclose(field(tick, "position", 0), field(still, "position", 0), atol=0.08)


def test_another_thing_falls_from_the_air_beside_what_is_there() -> None:
    world = started()
    before = world.step(HOLD)
    world.direct("a yellow rubber cylinder falls")
    tick = world.step(HOLD)
    assert field(tick, "present", 2)[0] == 1
    assert field(before, "present", 2)[0] == 0
    np.testing.assert_allclose(field(tick, "colour", 2), COLOURS["yellow"], atol=1e-6)
    height = field(tick, "position", 2)[2]
    for _ in range(12):
        tick = world.step(HOLD)
    assert height > 0.12 > field(tick, "position", 2)[2]
    assert {"object2", "table"} in [{event.a, event.b} for event in world.events()]
    with pytest.raises(UserError, match="no room for another: 3 of 3"):
        world.direct("another ball falls")


def test_the_finger_pushes_whatever_is_done_with_it_and_is_given_back() -> None:
    world = started()
    place = field(world.step(HOLD), "position", 1)
    world.direct("the finger pushes the blue box to the right")
    down = np.full((1, 2, 3), -0.1, np.float32)
    ticks = [world.step(down) for _ in range(60)]
    felt = [np.abs(tick["touch.finger"]).sum() for tick in ticks]
    assert max(felt) > 0
    moved = field(ticks[-1], "position", 1) - place
    assert 0.05 < moved[0] < 0.25
    assert abs(moved[1]) < 0.03
    np.testing.assert_array_equal(ticks[-1]["action"], down)  # it is over
    assert not np.array_equal(ticks[10]["action"], down)  # and is the action while it lasts


def test_a_push_starts_from_wherever_the_finger_is() -> None:
    world = started(num_ticks=1)
    for _ in range(10):
        world.step(np.array([[[0.3, 0.2, -0.5]] * 2], np.float32))
    place = field(world.step(HOLD), "position", 1)
    world.direct("the blue box is pushed to the left")
    tick = [world.step() for _ in range(80)][-1]
    assert -0.25 < (field(tick, "position", 1) - place)[0] < -0.05


def test_a_sentence_that_only_turns_the_camera_leaves_no_seam() -> None:
    """The bench is made anew for a sentence: all that it carries on must be as if it had not been."""
    sentence = "a steel ball rolls to the right and a blue box is pushed to the left, seen from the front"
    world, twin = started(sentence, num_ticks=4), started(sentence, num_ticks=4)
    world.direct("the camera looks from the left")
    world.direct("the camera looks from the front")
    for _ in range(12):
        tick, same = world.step(), twin.step()
        np.testing.assert_allclose(tick["audio.main"], same["audio.main"], atol=2e-3)
        for name in ("state", "action", "camera.main"):
            np.testing.assert_allclose(tick[name], same[name], atol=5e-3, err_msg=name)
    assert len(world.events()) == len(twin.events()) > 0


def test_what_rings_rings_on_when_a_thing_is_added() -> None:
    sentence = "a big steel ball drops and a wooden box stands on the table"
    world, twin = started(sentence, num_ticks=0), started(sentence, num_ticks=0)
    last = twin.step(HOLD)
    world.step(HOLD)
    while not world.events():
        world.step(HOLD)
        last = twin.step(HOLD)
    assert np.abs(last["audio.main"]).max() > 0.02
    world.direct("a small rubber ball stands on the table")
    tick, same = world.step(HOLD), twin.step(HOLD)
    start = slice(0, 200)  # before anything else is struck
    np.testing.assert_allclose(tick["audio.main"][0, start], same["audio.main"][0, start], atol=2e-3)


def test_it_is_the_same_each_time_and_is_taken_back() -> None:
    world = started()
    memory = world.snapshot()
    runs = []
    for _ in range(2):
        world.direct("a ball falls and the red ball is thrown to the left")
        runs.append([world.step(HOLD) for _ in range(5)])
        world.restore(memory)
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a["state"], b["state"])
        np.testing.assert_array_equal(a["audio.main"], b["audio.main"])
    tick, same = world.step(HOLD), started().step(HOLD)
    np.testing.assert_array_equal(tick["state"], same["state"])


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("the green ball falls", "there is no ball like that here; there is the red ball, the blue box"),
        ("the box rolls to the left", "cannot roll"),
        ("the red ball", "changes nothing"),
        ("the ball hits the box", "changes nothing"),
        ("the red bal falls", 'unknown word "bal"'),
        ("a ball falls and a box falls", "no room for another"),
        ("the ball is pushed to the left and the box is pushed to the left", "only one"),
        ("", "empty"),
    ],
)
def test_what_cannot_be_followed_changes_nothing(sentence: str, why: str) -> None:
    world, twin = started(), started()
    with pytest.raises(UserError, match=why):
        world.direct(sentence)
    np.testing.assert_array_equal(world.step()["state"], twin.step()["state"])


def test_only_the_worlds_of_the_mask_are_told() -> None:
    world = TabletopWorld(2, streams=BLIND)
    world.reset(3, STANDING)
    mask: Any = np.array([False, True])
    before = world.step()
    world.direct("the red ball is thrown to the right", mask)
    speed = np.linalg.norm(STATE.get(world.step()["state"][:, -1, 0], "linear_velocity"), axis=-1)
    assert speed[0] < 0.05
    assert speed[1] > 0.2
    assert isinstance(world, Directable)
    assert before["state"].shape[0] == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_whatever_a_scene_is_told_it_follows_or_refuses_in_words(seed: int) -> None:
    """Sentences as the caption writer makes them, of things that are there and of others."""
    rng = np.random.default_rng(seed)
    world = TabletopWorld(streams=["state"])
    world.reset(seed)
    for _ in range(3):
        with suppress(UserError):
            world.direct(caption(sample_scene(rng), (), rng))
        state = world.step()["state"]
        assert np.isfinite(state).all()
