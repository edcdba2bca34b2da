"""What tracks of blobs tell, of blobs by formula."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.evaluation.film.blobs import Blob
from orrery.evaluation.film.identity import Shape, changes, growth
from orrery.evaluation.film.paths import path_of
from orrery.evaluation.film.physics import bounces, hits
from orrery.evaluation.film.sound import CLEAR
from orrery.evaluation.film.tracks import Track, Tracker
from orrery.streams import Array

FPS = 24
SHAPE = Shape(200, 300)


def blob(x: float, y: float, area: float = 400.0, came: float = 0.1, goes: float = 0.1) -> Blob:
    """A red one, square."""
    half = float(np.sqrt(area)) / 2
    box = round(x - half), round(y - half), round(x + half), round(y + half)
    return Blob(x, y, area, box, np.array([45.0, 60.0, 40.0]), 0.9, 1.0, came, goes, False)


def followed(pictures: list[list[Blob]]) -> list[Track]:
    """All tracks of what is seen in successive pictures."""
    tracker = Tracker(*SHAPE)
    done = [track for k, seen in enumerate(pictures) for track in tracker.see(seen, k / FPS)]
    return done + tracker.finish()


def test_a_crumb_that_splits_off_for_a_moment_hides_nothing() -> None:
    pictures = [[blob(100 + 2 * k, 100)] for k in range(20)]
    pictures[8] = [blob(116, 101, 330), blob(119, 92, 70)]
    track = max(followed(pictures), key=lambda track: len(track.blobs))
    assert all(track.clear)


def test_a_thing_that_merges_with_another_hides_it() -> None:
    pictures = [[blob(100, 100), blob(160 - 4 * k, 100)] for k in range(10)]
    pictures += [[blob(110, 100, 800)] for _ in range(6)]
    track = max(followed(pictures), key=lambda track: len(track.blobs))
    assert not any(track.clear[10:])


@pytest.mark.parametrize(("goes", "dies"), [(0.9, True), (0.2, False)])
def test_what_is_lost_is_gone_only_if_the_picture_says_so(goes: float, dies: bool) -> None:
    pictures: list[list[Blob]] = [[blob(100, 100, goes=goes if k == 14 else 0.1)] for k in range(15)]
    told = list(changes(followed(pictures + [[] for _ in range(15)]), [], SHAPE))
    assert ["vanishes" in answer.subject for answer in told] == ([True] if dies else [])


@pytest.mark.parametrize(("came", "is_born"), [(0.9, True), (0.2, False)])
def test_what_is_found_is_new_only_if_the_picture_says_so(came: float, is_born: bool) -> None:
    pictures = [[], *([blob(100, 100, came=came if k == 0 else 0.1)] for k in range(15))]
    told = list(changes(followed(pictures), [], SHAPE))
    assert ["appears" in answer.subject for answer in told] == ([True] if is_born else [])


def test_growth_is_asked_also_after_another_thing_passed() -> None:
    """Another one is in its blob for a while and leaves; then it grows, on its foot, to twice its area."""
    pictures = [[blob(100, 100), blob(142 - 3 * k, 100)] for k in range(7)]
    pictures += [[blob(105, 100, 800)] for _ in range(3)]
    pictures += [[blob(100, 100), blob(135 + 6 * k, 100)] for k in range(8)]
    for area in np.linspace(400, 900, 40):
        pictures.append([blob(100, 110 - float(np.sqrt(area)) / 2, float(area))])
    values = [answer.value for track in followed(pictures) for answer in growth(track, SHAPE)]
    assert max(values) > 0.4


def thrown(speeds: list[float], fall: float = 900.0, areas: Array | None = None) -> Track:
    """Falls 90 pixels, and goes up from the ground at each of some speeds, px/s, in turn."""
    start, height, up, places = 0.0, 90.0, 0.0, []
    seconds = np.arange(60) / FPS
    for speed in [*speeds, 0.0]:
        lands = start + (up + float(np.sqrt(up**2 + 2 * fall * height))) / fall
        inside = seconds[(seconds >= start) & (seconds < lands)] - start
        places += (height + up * inside - fall * inside**2 / 2).tolist()
        start, height, up = lands, 0.0, speed
    areas = np.full(len(places), 400.0) if areas is None else areas
    seen = [[blob(150, 160 - y, float(area))] for y, area in zip(places, areas, strict=False)]
    return max(followed(seen), key=lambda track: len(track.blobs))


@pytest.mark.parametrize(("speeds", "is_fault"), [([200.0, 310.0], False), ([200.0, 500.0], True)])
def test_spin_may_give_back_what_it_took_but_no_more(speeds: list[float], is_fault: bool) -> None:
    """It lands at 402 px/s. Up faster than it came down, but slower than that, may have been its spin."""
    values = [answer.value for answer in bounces(path_of(thrown(speeds)), SHAPE)]
    assert len(values) == 2
    assert (max(values) > 0.1) == is_fault


def test_what_is_hidden_by_half_as_it_turns_is_no_clear_hit() -> None:
    whole = thrown([300.0])
    areas = np.where(np.arange(60) < np.argmax(whole.of("y")), 400.0, 200.0)
    halved = thrown([300.0], areas=areas)
    assert any(hit.strength > CLEAR for hit in hits(path_of(whole), SHAPE))
    assert not any(hit.strength > CLEAR for hit in hits(path_of(halved), SHAPE))
