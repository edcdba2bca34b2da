"""A camera that turns away and comes back finds things as they were, or tells which are not."""

from __future__ import annotations

import numpy as np
import pytest
from made_films import GROUND, WIDTH, Disc, Report, drawn, instants, wall

from orrery.evaluation.film.report import FilmReport
from orrery.streams import Array

SECONDS = 6.0
RESTS = 90.0


def panned(path: Array | None = None, light: float = 1.0, widths: float = 1.3) -> Array:
    """Pictures of a wall three times as wide as they are: away from what lies at the left by some `widths` of
    a picture, and back.

    path: where that is in each picture. light: after the camera has turned away, as a share of before."""
    seconds = instants(SECONDS)
    num = len(seconds)
    lies = Disc(np.tile([RESTS, GROUND - 12], (num, 1)) if path is None else path)
    swings = Disc(np.stack([180 + 20 * np.sin(3 * seconds), np.full(num, 60.0)], 1), 10.0, (40, 60, 200))
    wide = drawn([lies, swings], wall(width=3 * WIDTH), num)
    wide[seconds > 2.6] = (wide[seconds > 2.6] * light).astype(np.uint8)
    lefts = np.interp(seconds, [1.0, 2.2, 3.0, 4.2], [0.0, 1.0, 1.0, 0.0]) * widths * WIDTH
    return np.stack(
        [frame[:, left : left + WIDTH] for frame, left in zip(wide, lefts.astype(int), strict=True)]
    )


def told(report: FilmReport) -> list[str]:
    return [f.text for f in report.findings if f.question.name == "changed while nobody looked"]


@pytest.mark.parametrize("light", [1.0, 0.7])
def test_what_is_as_it_was_passes(report_on: Report, light: float) -> None:
    report = report_on(panned(light=light))
    assert told(report) == []
    again = [f for f in report.figures if f.name == "picture when the camera comes back"]
    assert again[0].value is not None
    assert again[0].value < 0.112


def test_what_is_gone_is_found(report_on: Report) -> None:
    path = np.tile([RESTS, GROUND - 12], (len(instants(SECONDS)), 1))
    path[instants(SECONDS) > 2.6] = np.nan
    texts = told(report_on(panned(path)))
    assert texts
    assert all("red" in text and "is gone" in text for text in texts)


def test_what_lies_elsewhere_is_found_at_both_places(report_on: Report) -> None:
    path = np.tile([RESTS, GROUND - 12], (len(instants(SECONDS)), 1))
    path[instants(SECONDS) > 2.6, 0] += 50
    texts = told(report_on(panned(path)))
    assert {"gone" in text for text in texts} == {True, False}


def test_a_place_that_was_never_left_is_not_come_back_to(report_on: Report) -> None:
    """The camera turns by half a picture only, and what lies at its middle is moved while that is in view."""
    path = np.tile([160.0, GROUND - 12], (len(instants(SECONDS)), 1))
    path[:, 0] += 45 * np.clip((instants(SECONDS) - 2.2) / 0.5, 0, 1)
    report = report_on(panned(path, widths=0.5))
    assert report.watched.num_stretches > 1
    assert told(report) == []


def test_what_changes_in_view_was_looked_at(report_on: Report) -> None:
    """A camera that stays has nothing to come back to."""
    seconds = instants(SECONDS)
    lies = np.tile([RESTS, GROUND - 12], (len(seconds), 1))
    lies[seconds > 2.6, 0] += 50
    swings = np.stack([180 + 20 * np.sin(3 * seconds), np.full(len(seconds), 60.0)], 1)
    frames = drawn([Disc(lies), Disc(swings, 10.0, (40, 60, 200))], wall(), len(seconds))
    report = report_on(frames)
    assert told(report) == []
    assert {f.verdict for f in report.figures if f.id == "I3"} == {"abstain"}
