"""The report of a film is quiet on one that is right, and finds what is put into it."""

from __future__ import annotations

import numpy as np
import pytest
from made_films import (
    FPS,
    GROUND,
    SECONDS,
    WIDTH,
    Disc,
    Report,
    bouncing,
    clicks,
    drawn,
    found,
    instants,
    wall,
)  # fmt: skip

from orrery.evaluation.film.channels import lab
from orrery.evaluation.film.question import thing_words
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import COLOURS

NUM = round(SECONDS * FPS)


def two_things() -> tuple[list[Disc], list[float]]:
    """A red disc that bounces, and a blue one that rolls on and stops far from it."""
    path, landings = bouncing(instants())
    blue = np.stack([235 - 15 * np.minimum(instants(), 1.5), np.full(NUM, GROUND - 9.0)], 1)
    return [Disc(path), Disc(blue, 9.0, (40, 60, 200))], landings


def pictures(discs: list[Disc]) -> Array:
    return drawn(discs, wall(), NUM)


def test_a_film_that_is_right_passes(report_on: Report) -> None:
    discs, landings = two_things()
    report = report_on(pictures(discs), clicks(landings))
    assert report.findings == []
    assert report.verdict == "pass"
    assert report.sections == dict.fromkeys(("identity", "physics", "picture", "sound"), "pass")
    assert report.watched.num_things == 2
    assert report.watched.coverage > 0.9


@pytest.mark.parametrize("num_moving", [0, 3])
def test_a_film_that_stands_still_says_nothing(report_on: Report, num_moving: int) -> None:
    discs, landings = two_things()
    frames = pictures(discs)
    frames[num_moving:] = frames[num_moving]
    report = report_on(frames, clicks(landings))
    assert report.verdict == "abstain"
    assert set(report.sections.values()) == {"abstain"}
    assert "too little moves" in report.reasons.values()


def test_a_silent_film_says_nothing_about_sound_only(report_on: Report) -> None:
    report = report_on(pictures(two_things()[0]))
    assert report.sections["sound"] == "abstain"
    assert report.reasons == {"sound": "the film has no sound"}
    assert report.verdict == "pass"


def test_what_vanishes_and_comes_back_is_found(report_on: Report) -> None:
    discs, _ = two_things()
    discs[1].path[20:40] = np.nan
    report = report_on(pictures(discs))
    assert report.verdict == report.sections["identity"] == "fail"
    texts = [finding.text for finding in report.findings]
    assert any("blue" in text and ("vanishes" in text or "leaps" in text) for text in texts)
    assert all(0.7 < finding.seconds < 1.8 for finding in report.findings)


def test_of_two_things_that_touch_the_one_that_vanishes_is_found(report_on: Report) -> None:
    """They rest beside each other; a third thing, which passes far above, is all that moves."""
    num = len(instants())
    red = Disc(np.tile([120.0, GROUND - 12], (num, 1)), 12.0)
    blue = Disc(np.tile([143.0, GROUND - 12], (num, 1)), 12.0, (40, 60, 200))
    passing = Disc(np.stack([30 + 60 * instants(), np.full(num, 40.0)], 1), 10.0, (60, 160, 60))
    blue.path[20:50] = np.nan
    pictures = drawn([red, blue, passing], wall(), num)
    findings = report_on(pictures).findings
    assert {finding.question.name for finding in findings} == {"births, deaths and leaps", "changes at once"}
    assert all("blue" in finding.text for finding in findings)


def test_a_leap_is_found(report_on: Report) -> None:
    discs, _ = two_things()
    discs[1].path[30:, 1] -= 70
    report = report_on(pictures(discs))
    assert "births, deaths and leaps" in found(report)
    assert any("leaps" in f.text and abs(f.seconds - 30 / FPS) < 0.1 for f in report.findings)


def test_a_colour_that_drifts_is_found(report_on: Report) -> None:
    discs, _ = two_things()
    share = np.linspace(0, 1, NUM)[:, None]
    discs[0].colour = (1 - share) * [200, 40, 40] + share * [60, 160, 60]
    report = report_on(pictures(discs))
    assert "colour drift" in found(report)
    assert "changes colour" in report.findings[0].text


def test_what_grows_where_it_stands_is_found(report_on: Report) -> None:
    discs, _ = two_things()
    radius = 9.0 * np.linspace(1.0, 1.7, NUM)
    discs[1].radius = radius
    discs[1].path[:, 1] = GROUND - radius
    assert "growth in place" in found(report_on(pictures(discs)))


def test_what_bounces_higher_than_it_fell_is_found(report_on: Report) -> None:
    path, _ = bouncing(instants(), drop=50, keeps=1.5)
    report = report_on(pictures([Disc(path)]))
    assert "bounces" in found(report)


def test_weaker_gravity_in_one_flight_is_found(report_on: Report) -> None:
    path, landings = bouncing(instants(), keeps=0.9)
    first, second = landings[:2]
    slow = np.interp(instants(), [0, first, second, second + 1.2], [0, first, second, second + 0.6])
    warped = np.stack([np.interp(slow, instants(), path[:, k]) for k in range(2)], 1)
    warped[:, 0] = path[:, 0]
    report = report_on(pictures([Disc(warped)]))
    assert "free fall" in found(report)


def test_what_starts_by_itself_is_found(report_on: Report) -> None:
    """A film of a disc that drops and stays, run backwards."""
    path, _ = bouncing(instants(), speed=0.0, drop=110, keeps=0.0)
    aside = Disc(np.stack([180 + 30 * instants(), np.full(NUM, GROUND - 8.0)], 1), 8.0, (40, 60, 200))
    report = report_on(pictures([Disc(path), aside])[::-1])
    assert found(report) & {"starts by itself", "bounces"}


def test_a_stop_of_the_picture_is_found(report_on: Report) -> None:
    discs, _ = two_things()
    frames = pictures(discs)
    frames[8:20] = frames[8]
    report = report_on(frames)
    assert "stands still, then jumps" in found(report)


def test_a_stop_is_found_that_ends_in_the_last_thing_that_happens(report_on: Report) -> None:
    """Nothing moves after the jump; and what jumped went no further than it had gone in a picture before."""
    path, _ = bouncing(instants(), keeps=0.0)
    frames = pictures([Disc(path)])
    fastest = int(np.hypot(*np.diff(path, axis=0).T).argmax())
    frames[fastest + 40 :] = frames[fastest + 1]
    frames[fastest + 1 : fastest + 40] = frames[fastest]
    report = report_on(frames)
    assert "stands still, then jumps" in found(report)


def test_what_lies_and_is_then_pushed_is_no_jump(report_on: Report) -> None:
    seconds = instants()
    path, _ = bouncing(seconds, speed=0.0, keeps=0.0)
    comes = 60.0 * np.clip(seconds - 1.0, 0.0, 1.5)
    hand = Disc(np.stack([comes - 12.0, path[:, 1]], 1), 10.0, (40, 60, 200))
    path[:, 0] = np.maximum(path[:, 0], hand.path[:, 0] + 22.0)
    assert "stands still, then jumps" not in found(report_on(pictures([Disc(path), hand])))


def test_flicker_is_found(report_on: Report) -> None:
    frames = pictures(two_things()[0]).astype(float)
    frames[::2] += 12
    report = report_on(frames.clip(0, 255).astype(np.uint8))
    assert "flicker" in found(report)
    assert report.sections["picture"] == "fail"


@pytest.mark.parametrize("delay", [0.25, -0.2])
def test_sound_out_of_step_is_found(report_on: Report, delay: float) -> None:
    discs, landings = two_things()
    report = report_on(pictures(discs), clicks([landing + delay for landing in landings]))
    assert "sound out of step" in found(report)
    assert ("late" if delay > 0 else "early") in " ".join(finding.text for finding in report.findings)


def test_silent_contacts_are_found(report_on: Report) -> None:
    discs, _ = two_things()
    report = report_on(pictures(discs), clicks([]))
    assert found(report) == {"silent contacts"}


def test_a_sound_while_nothing_moves_is_found(report_on: Report) -> None:
    path, landings = bouncing(instants(), speed=20.0, keeps=0.5)
    path[40:] = path[40]
    report = report_on(pictures([Disc(path)]), clicks([*landings[:3], 2.5]))
    assert found(report) == {"sounds without a contact"}
    assert abs(report.findings[0].seconds - 2.5) < 0.05


def test_a_moving_camera_is_followed(report_on: Report) -> None:
    """The same film through a window that is panned over it."""
    discs, _ = two_things()
    for disc in discs:
        disc.path[:, 0] += 20
    wide = drawn(discs, wall(width=WIDTH + 80), NUM)
    panned = np.stack([frame[:, k // 3 : k // 3 + WIDTH] for k, frame in enumerate(wide)])
    report = report_on(panned)
    assert report.watched.num_standing < report.watched.num_stretches
    assert report.watched.lost == 0
    assert report.findings == []


def test_a_cut_is_no_fault(report_on: Report) -> None:
    discs, _ = two_things()
    one, other = pictures(discs), drawn(discs[:1], 255 - wall(), NUM)
    report = report_on(np.concatenate([one, other]))
    assert len(report.watched.cuts) == 1
    assert report.findings == []


@pytest.mark.parametrize("shade", [1.0, 0.75, 0.5, 0.35])
@pytest.mark.parametrize("name", ["red", "green", "blue", "yellow", "orange", "purple"])
def test_a_thing_in_the_shade_keeps_its_name(name: str, shade: float) -> None:
    colour = lab(255.0 * shade * np.array([COLOURS[name]]))[0]
    assert thing_words(colour, 0.1, 0.5) == f"the {name} thing at left"
