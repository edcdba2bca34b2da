"""Things that touch are told apart by colour; light, shade and patterns part nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from orrery.evaluation.film.parting import parted
from orrery.streams import Array

RED, BLUE, WHITE, ORANGE = (200, 40, 40), (40, 60, 200), (230, 230, 225), (235, 120, 20)


def _discs(*placed: tuple[tuple[int, int], tuple[int, int, int]]) -> tuple[Array, Array]:
    """A picture `[96, 96, 3]` of discs of radius 14, and the region of all of them."""
    picture, region = np.full((96, 96, 3), (140, 125, 110), np.uint8), np.zeros((96, 96), np.uint8)
    for place, colour in placed:
        cv2.circle(picture, place, 14, colour, -1, cv2.LINE_AA)
        cv2.circle(region, place, 14, 1, -1)
    return picture, region


def _shaded(picture: Array) -> Array:
    """Brighter at the left than at the right, by a factor of three."""
    return (picture * np.linspace(1.0, 0.33, picture.shape[1])[None, :, None]).astype(np.uint8)


@pytest.mark.parametrize("colours", [(RED, BLUE), (ORANGE, WHITE), (RED, ORANGE)])
def test_two_things_that_touch_are_parted_where_they_meet(colours: tuple[tuple[int, int, int], ...]) -> None:
    picture, region = _discs(((34, 50), colours[0]), ((61, 50), colours[1]))
    parts = parted(picture, region)
    assert len(parts) == 2
    assert np.array_equal(sum(parts), region)
    left = parts[0] if parts[0][50, 34] else parts[1]
    columns = np.broadcast_to(np.arange(96), region.shape)
    wrong = (left > 0) != (columns < 47.5)
    assert wrong[region > 0].mean() < 0.05


def test_three_things_in_a_row_are_parted() -> None:
    picture, region = _discs(((20, 50), RED), ((47, 50), WHITE), ((74, 50), BLUE))
    assert len(parted(picture, region)) == 3


def test_one_thing_in_light_and_shade_stays_whole() -> None:
    for colour in (RED, WHITE, ORANGE, BLUE):
        picture, region = _discs(((47, 50), colour))
        assert len(parted(_shaded(picture), region)) == 1


def test_a_pattern_stays_whole() -> None:
    picture, region = _discs(((47, 50), RED))
    stripes = (np.arange(96) // 4 % 2 == 0)[None, :] & (region > 0)
    picture[stripes] = WHITE
    assert len(parted(picture, region)) == 1
