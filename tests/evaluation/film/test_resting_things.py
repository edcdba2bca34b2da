"""What rests must not be there or gone at once, nor fade; what moves may do as it likes."""

from __future__ import annotations

import numpy as np
import pytest
from made_films import GROUND, Disc, Report, drawn, found, instants, wall

from orrery.streams import Array

NUM = len(instants())
BLUE, GREEN = (40, 60, 200), (60, 160, 60)


def at(x: float, y: float = GROUND - 12) -> Array:
    """Where something rests."""
    return np.tile([x, y], (NUM, 1))


def passing() -> Disc:
    """Something that moves far above the others, so that there is anything to report on."""
    return Disc(np.stack([30 + 60 * instants(), np.full(NUM, 40.0)], 1), 10.0, GREEN)


def test_what_leaps_among_others_is_found_at_once(report_on: Report) -> None:
    """Three that touch, so that no track is of one of them alone."""
    red, blue = Disc(at(120)), Disc(at(143), colour=BLUE)
    blue.path[40:] = [97, GROUND - 12]
    report = report_on(drawn([red, blue, passing()], wall(), NUM))
    times = [finding.seconds for finding in report.findings if finding.question.name == "changes at once"]
    assert times == [pytest.approx(40 / 24, abs=0.01)]


@pytest.mark.parametrize("hold", [1, 2, 4])
def test_what_moves_is_never_there_at_once(report_on: Report, hold: int) -> None:
    """Neither a flat, fast disc, nor one in pictures that are shown several times, as drawn films have."""
    fast = Disc(np.stack([20 + 75 * instants(), np.full(NUM, 100.0)], 1), 14.0)
    frames = drawn([fast, Disc(at(120), colour=BLUE)], wall(), NUM)
    frames = frames[np.arange(NUM) // hold * hold]
    assert "changes at once" not in found(report_on(frames))


def test_what_fades_among_others_is_found(report_on: Report) -> None:
    turning = np.linspace((200, 40, 40), (60, 160, 160), NUM)
    discs = [Disc(at(120), colour=turning), Disc(at(143), colour=BLUE), passing()]
    report = report_on(drawn(discs, wall(), NUM))
    fades = [finding for finding in report.findings if finding.question.name == "colour drift"]
    assert fades
    assert all(abs(finding.x - 120 / 256) < 0.04 for finding in fades)


@pytest.mark.parametrize("speed", [2.0, 5.0, 12.0])
def test_what_moves_slowly_does_not_fade(report_on: Report, speed: float) -> None:
    """Along its rim pixels change steadily too."""
    slow = Disc(np.stack([100 + speed * instants(), np.full(NUM, GROUND - 12)], 1))
    assert found(report_on(drawn([slow, passing()], wall(), NUM))) == set()


def test_light_that_fades_everywhere_is_no_paint(report_on: Report) -> None:
    frames = drawn([Disc(at(120)), passing()], wall(), NUM) * np.linspace(1.0, 0.4, NUM)[:, None, None, None]
    assert "colour drift" not in found(report_on(frames.astype(np.uint8)))


@pytest.mark.parametrize("turns", [False, True])
def test_stripes_that_go_are_found_and_stripes_that_turn_are_not(report_on: Report, turns: bool) -> None:
    """A disc with stripes rolls to and fro; they turn with it, or fade."""
    seconds = instants()
    disc = Disc(np.stack([120 + 25 * np.sin(2.5 * seconds), np.full(NUM, 100.0)], 1), 22.0)
    frames = drawn([disc], wall(), NUM)
    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]]
    for frame, (x, y), instant in zip(frames, disc.path, seconds, strict=True):
        angle = 3.0 * instant if turns else 0.0
        across = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        depth = 0.5 if turns else 0.5 * max(0.0, 1.0 - instant / 2.0)
        dark = np.where((across % 9 < 4.5) & (np.hypot(columns - x, rows - y) < 20), 1.0 - depth, 1.0)
        frame[:] = frame * dark[..., None]
    assert ("texture" in found(report_on(frames))) == (not turns)
