"""Shots acted out: physics is exact, paths are followed, what goes on goes on."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.streams import Array
from orrery.studio.shots import CameraKey, FixtureInShot, PathKey, Shot, ShotCamera, Storyboard, ThingInShot
from orrery.studio.take import Take, takes

BALL = ThingInShot(name="marble", size_m=(0.05,), position_m=(0.0, 0.0, 0.5))


def acted(*shots: Shot, frames_per_second: int = 24) -> list[Take]:
    return takes(Storyboard(shots=shots, frames_per_second=frames_per_second))


def places(take: Take) -> Array:
    """Of the things, `[frames, poses, things, 3]`."""
    return np.concatenate([scene.positions_m for scene in take.scenes])[:, :, 1:]


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
def test_a_ball_falls_as_it_must(rate: int) -> None:
    """Frame k shows the world at (k + 1) / rate seconds; sound and pictures are equally long."""
    (take,) = acted(Shot(things=(BALL,), seconds=0.25), frames_per_second=rate)
    seconds = np.arange(1, len(places(take)) + 1) / rate
    fallen = 0.5 - places(take)[:, -1, 0, 2]
    np.testing.assert_allclose(fallen, 9.81 / 2 * seconds**2, atol=2e-3)
    assert len(take.audio) == len(places(take)) * 48_000 // rate
    assert len(take.scenes) == round(0.25 * rate)


def test_poses_fill_the_time_of_a_frame() -> None:
    thing = BALL.model_copy(update={"velocity_m_s": (0.6, 0.0, 0.0)})
    (take,) = acted(Shot(things=(thing,), seconds=0.1))
    x = places(take)[:, :, 0, 0].ravel()
    assert (np.diff(x) > 0).all()
    assert x[-1] == pytest.approx(0.6 * 2 / 24, abs=1e-4)


def test_an_impact_is_seen_heard_and_told_at_one_time() -> None:
    (take,) = acted(Shot(things=(BALL,), seconds=0.6))
    touched = np.sqrt(2 * (0.5 - 0.025) / 9.81)
    assert take.events[0].seconds == pytest.approx(touched, abs=0.01)
    assert {take.events[0].a, take.events[0].b} == {"table", "marble"}
    first_heard = np.flatnonzero(np.abs(take.audio).max(1) > 1e-4)[0] / 48_000
    assert first_heard == pytest.approx(touched, abs=0.012)


def test_a_shot_that_continues_is_the_rest_of_a_longer_one() -> None:
    """To the bit, pictures' poses and sound; only the camera may be another."""
    (whole,) = acted(Shot(things=(BALL,), seconds=1.0))
    first, second = acted(
        Shot(things=(BALL,), seconds=0.5), Shot(continues=True, seconds=0.5, camera=ShotCamera())
    )
    np.testing.assert_array_equal(np.concatenate([places(first), places(second)]), places(whole))
    np.testing.assert_array_equal(np.concatenate([first.audio, second.audio]), whole.audio)
    later = [event.seconds - 0.5 for event in whole.events if event.seconds >= 0.5]
    assert [event.seconds for event in second.events] == pytest.approx(later)


def test_a_thing_is_led_along_its_path() -> None:
    keys = (
        PathKey(seconds=0, position_m=(0, 0, 0.3)),
        PathKey(seconds=1, position_m=(0.2, 0.1, 0.4)),
        PathKey(seconds=2, position_m=(0.2, -0.1, 0.3)),
    )
    thing = BALL.model_copy(update={"position_m": (0.0, 0.0, 0.3)})
    (take,) = acted(Shot(things=(thing,), seconds=2.0, paths={"marble": keys}))
    for second in (1.0, 2.0):
        frame = round(second * 24) - 1
        np.testing.assert_allclose(places(take)[frame, -1, 0], keys[round(second)].position_m, atol=0.005)
    (led,) = take.led
    assert led.rms_m < 0.005
    assert led.mean_force == pytest.approx(1.0, abs=0.3)  # its weight, and what speeds it up


def test_what_is_led_on_the_table_rolls_there_and_is_let_go() -> None:
    keys = (PathKey(seconds=0, position_m=(0, 0)), PathKey(seconds=1, position_m=(0.2, 0)))
    thing = BALL.model_copy(update={"position_m": (0.0, 0.0)})
    (take,) = acted(Shot(things=(thing,), seconds=1.5, paths={"marble": keys}))
    x, z = places(take)[:, -1, 0, 0], places(take)[:, -1, 0, 2]
    np.testing.assert_allclose(z, 0.025, atol=1e-3)
    assert x[23] == pytest.approx(0.2, abs=0.01)
    on = np.diff(x)[24:]  # let go at the path's speed, it rolls on and slows down
    assert on[0] == pytest.approx(0.2 / 24, rel=0.15)
    assert on.min() > 0
    assert (np.diff(on) < 0).all()


def test_a_path_against_something_heavy_says_that_it_was_not_followed() -> None:
    """Forces, not teleports: a big steel block in the way holds a small ball back."""
    block = ThingInShot(name="block", shape="box", material="steel", size_m=(0.3,), position_m=(0.3, 0.0))
    ball = BALL.model_copy(update={"position_m": (0.0, 0.0)})
    keys = (PathKey(seconds=0, position_m=(0, 0)), PathKey(seconds=1, position_m=(0.4, 0)))
    (take,) = acted(Shot(things=(ball, block), seconds=1.2, paths={"marble": keys}))
    (led,) = take.led
    assert led.max_m > 0.1
    assert led.mean_force > 3
    assert places(take)[..., 0, 0].max() < 0.4 - 0.05


def test_a_level_is_that_of_the_sound_and_what_is_beyond_full_scale_is_counted() -> None:
    plain, loud = (acted(Shot(things=(BALL,), seconds=0.6, level_db=db))[0] for db in (0.0, 20.0))
    np.testing.assert_allclose(loud.audio, 10 * plain.audio, rtol=1e-5)
    assert plain.num_clipped == 0
    assert loud.num_clipped == (np.abs(10 * plain.audio).max(1) > 1).sum() > 0


@pytest.mark.parametrize(
    ("shot", "words"),
    [
        (
            Shot(things=(BALL, BALL.model_copy(update={"name": "twin"}))),
            "'marble' and 'twin' are in one place",
        ),
        (Shot(things=(BALL.model_copy(update={"position_m": (0.0, 0.0, 0.0)}),)), "'table' and 'marble'"),
        (
            Shot(things=(BALL,), fixtures=(FixtureInShot(name="wall", position_m=(0.02, 0.0, 0.5)),)),
            "'marble' and 'wall'",
        ),
        (
            Shot(things=(BALL,), paths={"marble": (PathKey(seconds=0, position_m=(2.0, 0.0)),)}),
            "leaves the world",
        ),
        (
            Shot(
                things=(BALL,),
                fixtures=(FixtureInShot(name="wall", size_m=(0.02, 0.3, 0.3), position_m=(0.2, 0.0)),),
                paths={
                    "marble": (
                        PathKey(seconds=0, position_m=(0.0, 0.0, 0.1)),
                        PathKey(seconds=1, position_m=(0.4, 0.0, 0.1)),
                    )
                },
            ),
            "the path of 'marble' goes through 'wall'",
        ),
        (
            Shot(things=(BALL,), camera=ShotCamera(keys=(CameraKey(look_at="marbel"),))),
            "nothing is called so; perhaps 'marble'",
        ),
        (
            Shot(sentence="a red ball falls", paths={"marble": (PathKey(seconds=0, position_m=(0, 0)),)}),
            "nothing is called 'marble'; perhaps 'red ball'",
        ),
        (Shot(sentence="a red ball melts"), "melts"),
    ],
)
def test_what_cannot_be_is_named(shot: Shot, words: str) -> None:
    with pytest.raises(UserError) as caught:
        acted(shot)
    assert words in str(caught.value)
    assert "shot 'shot1'" in str(caught.value)
