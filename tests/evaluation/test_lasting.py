"""Slopes over a minute, put to films whose figures rise by a known rate; and the finger that never rests."""

from __future__ import annotations

import numpy as np
import pytest

from orrery.evaluation.examine import MEASURES, Examination
from orrery.evaluation.feeling import felt_n
from orrery.evaluation.figure import Figure
from orrery.evaluation.films import STREAMS
from orrery.evaluation.identity import COLOUR
from orrery.evaluation.lasting import WINDOW_SECONDS, lasting_figures, lasting_of
from orrery.evaluation.measure import Sample
from orrery.evaluation.physics import OVERLAP
from orrery.evaluation.recording import Recording
from orrery.evaluation.report import Examined
from orrery.evaluation.stirring import Stirrer
from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

WINDOWS, FILMS = 8, 6


def _film(colours: Array, overlaps: Array) -> list[Examined]:
    """One film whose windows show these samples, and no others."""
    windows = []
    for colour, overlap in zip(colours, overlaps, strict=True):
        told = {COLOUR: colour, OVERLAP: overlap}
        samples = [[Sample(0.0, "it", float(told[m]))] if m in told else [] for m in MEASURES]
        windows.append(Examined(Examination(samples, True), WINDOW_SECONDS, 1))
    return windows


def _by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


EXACT = [_film(np.zeros(WINDOWS), np.full(WINDOWS, 0.01))] * FILMS


def test_the_exact_world_neither_rises_nor_doubles() -> None:
    figures = _by_name(lasting_of(EXACT, EXACT))
    assert figures["excess doubles"].value == 0.0
    assert {figure.verdict for figure in figures.values()} == {"pass"}
    assert figures["slope of colour drift"].value == pytest.approx(0.0, abs=1e-9)
    assert "slope of free fall" not in figures, "nothing of it can be asked of the exact world either"


def test_a_figure_that_rises_is_told_by_how_much_and_how_soon_it_doubles() -> None:
    """Colour drifts by 1 in each window of 8 s, 7.5 a minute, from -0.5 on: less than the 3 that pass, so
    that it takes 3 / 7.5 minutes. Overlap is always a tenth too much, which is no slope."""
    film = _film(np.arange(WINDOWS), np.full(WINDOWS, 0.11))
    figures = _by_name(lasting_of([film] * FILMS, EXACT))
    colour, overlap = figures["slope of colour drift"], figures["slope of interpenetration"]
    assert colour.value == colour.low == colour.high == pytest.approx(7.5)
    assert colour.verdict == "fail"
    assert overlap.value == pytest.approx(0.0, abs=1e-9)
    assert overlap.verdict == "pass"
    assert figures["excess doubles"].value == pytest.approx(7.5 / 3.0)
    assert figures["excess doubles"].verdict == "between"
    told = [(s.start_seconds, s.value, s.floor) for s in colour.curve]
    assert told[:2] == [(0.0, 0.0, 0.0), (8.0, 1.0, 0.0)]


def test_a_slope_that_may_be_none_passes() -> None:
    """Films that rise and films that fall: the interval holds 0."""
    rising = _film(np.arange(WINDOWS) + 1.0, np.zeros(WINDOWS))
    falling = _film(WINDOWS - np.arange(WINDOWS, dtype=float), np.zeros(WINDOWS))
    colour = _by_name(lasting_of([rising, falling] * 3, EXACT))["slope of colour drift"]
    assert (colour.low or 0.0) < 0.0 < (colour.high or 0.0)
    assert colour.verdict == "pass"


def test_too_few_films_say_nothing() -> None:
    figures = _by_name(lasting_of([_film(np.arange(WINDOWS), np.zeros(WINDOWS))] * 4, EXACT[:4]))
    assert figures["slope of colour drift"].verdict == "abstain"
    assert figures["excess doubles"].verdict == "abstain"


def test_a_later_part_of_a_film_is_held_against_its_first_frame(recording: Recording) -> None:
    whole = Recording(Clock(), recording.state.copy(), recording.audio, recording.touch)
    STATE.get(whole.state[:, 0], "colour")[:] = np.linspace(
        [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], len(whole.state)
    )
    part = whole.part(1.0, 2.0)
    np.testing.assert_array_equal(part.state, whole.state[24:48])
    np.testing.assert_array_equal(part.audio, whole.audio[24_000:48_000])
    alone = Recording(Clock(), part.state, part.audio, part.touch)
    drift, less = (max(sample.value for sample in COLOUR.take(film)) for film in (part, alone))
    assert drift > less + 5.0
    assert part.part(0.5, 1.0).first is part.first


def test_nobody_there_is_nobody_to_push() -> None:
    empty = np.zeros((4, STATE.width), np.float32)
    stirrer = Stirrer(Clock(), 0)
    assert all(not stirrer.action(empty).any() for _ in range(20))


@pytest.mark.slow
def test_the_finger_pushes_one_thing_after_the_other() -> None:
    """In 12 s of the exact world it touches something twice, and what it touches moves."""
    world = TabletopWorld(streams=STREAMS)
    stirrer = Stirrer(world.spec.clock, 0)
    ticks = [world.reset(3, prompt="a red box and a blue box stand on the table")]
    for _ in range(143):
        action = stirrer.action(ticks[-1]["state"][0, -1])
        assert action.shape == (2, 3)
        ticks.append(world.step(action[None]))
    film = Recording.of(ticks, world.spec.clock)
    moved = np.ptp(STATE.get(film.state[:, :2], "position"), axis=0)[:, :2].max(-1)
    assert (moved > 0.05).all()
    assert (felt_n(film.touch)[24:140] > 0.05).any()


@pytest.mark.slow
def test_the_exact_world_lasts() -> None:
    steps: list[int] = []
    figures = lasting_figures(TabletopWorld(streams=STREAMS), 2, 3 * WINDOW_SECONDS, lambda: steps.append(1))
    assert len(steps) == 2
    assert all(figure.value in (0.0, None) or abs(figure.value or 0.0) < 1e-9 for figure in figures)
    assert {f.id for f in figures} == {"L1", "L2"}
