"""Films against what is known of them: things shifted, painted, left out, by so much as is put in."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_films import HEIGHT, WIDTH, wall

from orrery.evaluation.film.placed import REACH, Reference, kept
from orrery.streams import Array

BALL, BOX = 2, 3
COUNT = 6
RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (30, 150, 60)


def scene(
    shift: tuple[int, int] = (0, 0),
    colour: tuple[int, int, int] = RED,
    moved: slice = slice(None),
    size: int = 1,
    is_there: bool = True,
) -> tuple[Array, Array]:
    """A ball that passes before a box that stands, and what each pixel is of. shift: down and across, of the
    ball in the pictures `moved`; size: of the picture, in times."""
    frames, instances = [], []
    height, width = size * HEIGHT, size * WIDTH
    rows, columns = np.mgrid[:height, :width]
    for k in range(COUNT):
        frame = wall(height, width)
        labels = np.where(rows > 0.8 * height, 1, 0)
        box = (abs(rows - 130 * size) < 20 * size) & (abs(columns - 150 * size) < 15 * size)
        frame[box], labels[box] = BLUE, BOX
        off = shift if k in range(COUNT)[moved] else (0, 0)
        centre = size * 100 + off[0], size * (60 + 18 * k) + off[1]
        away = np.hypot(rows - centre[0], columns - centre[1])
        ball = away < 14 * size
        if is_there:  # darker below, as a ball is
            shade = 1.0 - 0.4 * (rows - centre[0]) / (28 * size)
            frame = np.where(ball[..., None], np.array(colour) * shade[..., None], frame)
        labels[ball] = BALL
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
        instances.append(labels)
    return np.array(frames), np.array(instances)


def reference(size: int = 1) -> Reference:
    return Reference(*scene(size=size), {BALL: "ball", BOX: "box"})


def test_the_reference_itself_is_kept_perfectly() -> None:
    ball, box = kept(scene()[0], reference())
    assert (ball.name, box.name) == ("ball", "box")
    assert ball.num_judged == ball.num_frames == box.num_judged == COUNT
    assert ball.drift_px == box.drift_px == 0.0
    assert ball.colour == box.colour == 0.0
    assert not ball.is_lost


@pytest.mark.parametrize("shift", [(0, 1), (3, 4), (0, -9), (-12, 5)])
def test_a_thing_that_is_shifted_is_off_by_so_many_pixels(shift: tuple[int, int]) -> None:
    ball, box = kept(scene(shift)[0], reference())
    assert ball.drift_px == pytest.approx(np.hypot(*shift))
    assert ball.colour == pytest.approx(0.0, abs=1.0)
    assert box.drift_px == 0.0


def test_a_thing_may_have_any_colour_and_is_found_all_the_same() -> None:
    """Its place does not depend on its colour; its colour is told."""
    ball, box = kept(scene((0, 5), GREEN)[0], reference())
    assert ball.drift_px == 5.0
    assert ball.colour is not None
    assert ball.colour > 40.0
    assert (ball.looks, ball.looked) == ("green", "red")
    assert box.colour == 0.0


@pytest.mark.parametrize("shift", [(0, 0), (3, -4)])
def test_a_look_of_its_own_is_no_drift(shift: tuple[int, int]) -> None:
    """Another light, softer and noisier pictures, as those of a model: within a pixel."""
    rng = np.random.default_rng(1)
    styled = [
        255 * (cv2.GaussianBlur(frame, (0, 0), 0.8) / 255) ** 0.8 * [1.0, 0.9, 0.8]
        + rng.normal(0, 4, frame.shape)
        for frame in scene(shift)[0]
    ]
    ball, box = kept(np.clip(styled, 0, 255).astype(np.uint8), reference())
    assert ball.is_judged
    assert ball.drift_px == pytest.approx(np.hypot(*shift), abs=1.5)
    assert box.drift_px == pytest.approx(0.0, abs=1.5)
    assert (ball.looks, box.looks) == ("red", "blue")


@pytest.mark.parametrize("shift", [(0, 0), (-5, 12)])
def test_a_patterned_ground_is_no_thing(shift: tuple[int, int]) -> None:
    """Light and dark squares of the size of the ball, where the reference has a quiet wall."""
    frames = scene(shift)[0]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] // 24
    squares = np.where((rows + columns) % 2 == 0, 200, 70)[..., None].repeat(3, -1).astype(np.uint8)
    things = np.abs(frames.astype(int) - wall()).max(-1) > 0
    ball, box = kept(np.where(things[..., None], frames, squares), reference())
    assert ball.drift_px == pytest.approx(np.hypot(*shift))
    assert box.drift_px == 0.0


def test_the_worst_frame_is_told() -> None:
    ball, _ = kept(scene((0, 8), moved=slice(3, 4))[0], reference())
    assert (ball.drift_px, ball.drift_frame) == (8.0, 3)


def test_a_thing_that_is_not_there_is_as_far_off_as_one_looks() -> None:
    ball, _ = kept(scene(is_there=False)[0], reference())
    assert ball.is_lost
    assert ball.drift_px == np.ceil(REACH * HEIGHT)


@pytest.mark.slow
def test_large_pictures_are_looked_at_in_fewer_pixels() -> None:
    large = reference(size=4)
    assert large.step == 2
    ball, _ = kept(scene((0, 24), size=4)[0], large)
    assert ball.drift_px == pytest.approx(24.0, abs=2.0)


def test_what_cannot_be_told_from_what_is_about_it_is_not_judged() -> None:
    frames, instances = scene(is_there=False)
    ball, box = kept(scene()[0], Reference(frames, instances, {BALL: "ball", BOX: "box"}))
    assert ball.num_judged < ball.num_frames == COUNT
    assert not ball.is_judged
    assert box.num_judged == COUNT


def test_a_film_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="expected frames"):
        kept(scene()[0][1:], reference())
