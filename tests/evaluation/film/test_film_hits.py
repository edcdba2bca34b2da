"""Hits are seen when they are, also between flights of three pictures; sound is held against them."""

from __future__ import annotations

import numpy as np
import pytest
from made_films import FPS, GROUND, Disc, Report, bouncing, clicks, drawn, found, instants, wall

from orrery.evaluation.film.sound import CLEAR, Hit, Sound, offset
from orrery.evaluation.shift import STEP_SECONDS, swells
from orrery.streams import Array


def hard(keeps: float = 0.7) -> tuple[Array, list[float]]:
    """A disc that falls as things do on a table seen from nearby: its bounces last 8, 5, 4 and 3 pictures."""
    return bouncing(instants(), speed=20.0, drop=70.0, fall=2600.0, keeps=keeps)


def test_bounces_of_a_few_pictures_are_seen_when_they_are(report_on: Report) -> None:
    path, landings = hard()
    report = report_on(drawn([Disc(path)], wall(), len(path)))
    seen = np.array([hit.seconds for hit in report.watched.hits if hit.strength > CLEAR])
    assert len(seen) >= 4
    errors = np.abs(seen[:, None] - np.array(landings)[None]).min(1)
    assert errors.max() < 0.5 / FPS
    assert np.median(errors) < 0.008
    assert np.abs(seen[:, None] - np.array(landings[:4])[None]).min(0).max() < 0.5 / FPS


def test_a_film_of_them_run_backwards_is_found(report_on: Report) -> None:
    path, _ = hard()
    assert "bounces" in found(report_on(drawn([Disc(path[::-1])], wall(), len(path))))


def test_what_rolls_and_stops_hits_nothing(report_on: Report) -> None:
    seconds = instants()
    x = 40 + 90 * np.minimum(seconds, 1.6) - 28 * np.minimum(seconds, 1.6) ** 2
    rolls = Disc(np.stack([x, np.full(len(seconds), GROUND - 12)], 1))
    report = report_on(drawn([rolls], wall(), len(seconds)))
    assert [hit for hit in report.watched.hits if hit.strength > CLEAR] == []


def test_what_turns_by_itself_hits_nothing(report_on: Report) -> None:
    """To and fro at even speed, as a hand moves something: there is no contact that had to be heard."""
    seconds = instants()
    x = 60 + 120 * np.abs((seconds / 0.9) % 2 - 1)
    moved = Disc(np.stack([x, np.full(len(seconds), 90.0)], 1))
    audio = clicks([0.2])
    report = report_on(drawn([moved], wall(), len(seconds)), audio)
    assert [hit for hit in report.watched.hits if hit.strength > CLEAR] == []
    assert "silent contacts" not in found(report)


def hits(instants: list[float]) -> list[Hit]:
    return [Hit(instant, 3.0, "a thing", 0.5, 0.5) for instant in instants]


@pytest.mark.parametrize("delay", [-0.25, -0.16, 0.0, 0.08, 0.22])
def test_sound_out_of_step_is_told_by_how_much(delay: float) -> None:
    """Also where something rings on after each hit, so that there is an onset near every one."""
    instants = [0.5, 0.78, 0.97, 1.4]
    audio = clicks([t + delay for t in instants]) + 0.3 * clicks([t + delay + 0.11 for t in instants])
    (answer,) = offset(Sound.of([audio], 24_000), hits(instants))
    assert answer.value == pytest.approx(1000 * max(0.0, -delay - 0.045, delay - 0.125), abs=12)


def test_one_hit_tells_nothing() -> None:
    audio = clicks([0.5]) + 2 * clicks([0.75])
    assert list(offset(Sound.of([audio], 24_000), hits([0.5]))) == []


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_swells_do_not_depend_on_the_pieces(rate: int) -> None:
    """A sound of half a minute, in pieces of odd lengths, is heard as if it were one."""
    rng = np.random.default_rng(2)
    loudness = rng.uniform(0, 0.1, (31, 1)).repeat(rate, 0)
    audio = (loudness * rng.standard_normal((31 * rate, 2))).astype(np.float32)
    pieces = np.split(audio, np.cumsum(rng.integers(500, 90_000, 12)))
    heard, whole = np.array(Sound.of(pieces, rate).swells), swells(audio, rate)
    assert len(heard) == len(whole) == round(31 / STEP_SECONDS)
    assert np.abs(heard - whole).max() < 1e-6
