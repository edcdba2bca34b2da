"""Figures, verdicts and the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orrery.evaluation.examine import examine
from orrery.evaluation.faults import inject
from orrery.evaluation.figure import VERDICTS, Figure, Stretch, better, interval
from orrery.evaluation.films import Moment
from orrery.evaluation.page import Chapter, page
from orrery.evaluation.prompts import held_out_prompts
from orrery.evaluation.recording import Recording
from orrery.evaluation.report import Examined, Report, grade
from orrery.streams import Array


def _examined(recording: Recording) -> Examined:
    return Examined(examine(recording), recording.seconds, len(recording.slots))


@pytest.fixture(scope="module")
def exact(recording: Recording) -> list[Examined]:
    return [_examined(recording)] * 6


def _broken(recording: Recording, name: str) -> list[Examined]:
    return [_examined(inject(name, recording, 1.0, np.random.default_rng(seed))) for seed in range(6)]


def _verdicts(report: Report) -> dict[str, str]:
    return {figure.name: figure.verdict for figure in report.figures}


def test_the_exact_world_passes_wherever_it_can_be_asked(exact: list[Examined]) -> None:
    report = grade(exact, exact)
    assert report.verdict == "pass"
    assert report.motion == 1.0
    assert set(_verdicts(report).values()) == {"pass", "abstain"}
    assert _verdicts(report)["touch across a gap"] == "abstain", "the finger touches nothing here"
    assert report.sections == {"identity": "pass", "physics": "pass", "sound": "pass", "touch": "abstain"}


@pytest.mark.parametrize(
    ("fault", "section", "figure"),
    [
        ("vanishing", "identity", "births, deaths, switches and leaps"),
        ("colour drift", "identity", "colour drift"),
        ("growth", "identity", "spread of size"),
        ("floating", "physics", "free fall"),
        ("energy gain", "physics", "energy gained"),
        ("interpenetration", "physics", "interpenetration"),
        ("missing sound", "sound", "silent contacts"),
    ],
)
def test_a_fault_keeps_its_section_and_the_whole_from_passing(
    recording: Recording, exact: list[Examined], fault: str, section: str, figure: str
) -> None:
    report = grade(_broken(recording, fault), exact)
    assert _verdicts(report)[figure] in ("between", "fail")
    assert report.sections[section] in ("between", "fail")
    assert report.verdict in ("between", "fail")


def test_a_film_that_stands_still_abstains(recording: Recording, exact: list[Examined]) -> None:
    still = replace(recording, state=np.repeat(recording.state[-1:], len(recording.state), axis=0))
    report = grade([_examined(still)] * 6, exact)
    assert report.motion == 0.0
    assert report.verdict == "abstain"
    assert _verdicts(report)["free fall"] == "abstain"


def _figure(value: float | None, floor: float = 0.0, coverage: float = 1.0) -> Figure:
    return Figure("P0", "physics", "x", "median, m", value, 0.0, 1.0, floor, 0.1, 0.5, coverage)


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (_figure(0.1), "pass"), (_figure(0.3), "between"), (_figure(0.51), "fail"),
        (_figure(None), "abstain"), (_figure(0.6, floor=0.5), "pass"), (_figure(0.2, floor=0.5), "pass"),
        (_figure(0.6, coverage=0.7), "abstain"),
    ],
)  # fmt: skip
def test_what_counts_is_the_excess_over_the_floor(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert verdict in VERDICTS


def test_the_verdict_is_the_worst_sections(exact: list[Examined]) -> None:
    good, bad = _figure(0.0), replace(_figure(0.9), section="sound")
    assert Report([good, good, bad], 3, 1.0).verdict == "fail"
    assert Report([good], 3, 0.5).verdict == "abstain"


def test_intervals_hold_their_value(recording: Recording, exact: list[Examined]) -> None:
    for figure in grade(_broken(recording, "growth"), exact).figures:
        if figure.value is not None and figure.low is not None and figure.high is not None:
            assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9, figure.name


def test_the_page_holds_everything_and_fetches_nothing(recording: Recording, exact: list[Examined]) -> None:
    film = inject("vanishing", recording, 1.0, np.random.default_rng(0))
    strip = np.full((6, 16, 16, 3), 90, np.uint8)
    moments = [
        Moment(
            f, held_out_prompts()[0], strip, film.audio, film.clock.samples_per_second, film.hits, film.heard
        )
        for f in examine(film).findings
    ]
    report = grade(_broken(recording, "vanishing"), exact)
    html = page([Chapter("<a> world", report, moments)], [("films", "a & b")])
    assert "Physics report: &lt;a&gt; world" in html
    assert "a &amp; b" in html
    assert html.count("<figure>") == len(moments) > 0
    assert html.count("<tr>") == 1 + len(report.figures)
    assert all(moment.finding.text in html for moment in moments)
    assert not re.search(r"(src|href)=.(?!data:)", html)
    json.dumps(report.to_json(), allow_nan=False)


def test_two_worlds_stand_beside_each_other(recording: Recording, exact: list[Examined]) -> None:
    """The one that grows things is worse in that, and cannot be told apart where nothing was done to it."""
    good, bad = grade(exact, exact), grade(_broken(recording, "growth"), exact)
    html = page([Chapter("good", good, []), Chapter("bad", bad, [])], [])
    rows = re.findall(r"<tr>(.*?)</tr>", html[html.index("beside") : html.index("<h2>good")], re.DOTALL)
    told = {row.split("<small>")[0].split(" ", 1)[1]: row.rsplit("<td>", 1)[1][:-5] for row in rows[1:]}
    assert told.keys() == {figure.name for figure in good.figures}
    assert told["spread of size"] == "good"
    assert told["silent contacts"] == "–"


@pytest.mark.parametrize(
    ("one", "other", "best"),
    [
        ((0.1, 0.2), (0.3, 0.4), 0), ((0.3, 0.4), (0.1, 0.2), 1), ((0.1, 0.3), (0.2, 0.4), None),
        ((0.0, 0.0), (0.0, 0.0), None), ((None, None), (0.1, 0.2), None),
    ],
)  # fmt: skip
def test_the_better_is_the_lower_where_intervals_do_not_meet(
    one: tuple[float, float], other: tuple[float, float], best: int | None
) -> None:
    figures = [replace(_figure(0.2), low=low, high=high) for low, high in (one, other)]
    assert better(*figures) == best


def test_an_interval_takes_five_recordings_that_say_something() -> None:
    """Of 4, or of 9 of which 4 say nothing, there is none; of 5 that agree, there is one without width."""

    def mean(told: list[float | None]) -> Callable[[Array], float | None]:
        def statistic(chosen: Array) -> float | None:
            values = [value for k in chosen if (value := told[k]) is not None]
            return float(np.mean(values)) if values else None

        return statistic

    assert interval(mean([1.0] * 4), 4) == (None, None)
    assert interval(mean([1.0] * 4 + [None] * 5), 9) == (None, None)
    assert interval(mean([1.0] * 5 + [None] * 4), 9) == (1.0, 1.0)
    low, high = interval(mean([1.0, 2.0, 3.0, 4.0, 5.0]), 5)
    assert low is not None
    assert high is not None
    assert 1.0 < low < 2.5 < 3.5 < high < 5.0


def test_a_curve_is_drawn_and_told(exact: list[Examined]) -> None:
    curve = (Stretch(0.0, 0.25, 0.061, 0.002), Stretch(0.25, 0.5, 0.042, 0.0))
    report = grade(exact, exact, [replace(_figure(0.05), curve=curve)])
    html = page([Chapter("a world", report, [])], [])
    told = html[html.index("by how long ago") :]
    assert told.count("<polyline") == 2
    assert "<td>0.25 to 0.5 s</td><td>0.042</td><td>0</td>" in told


def test_curves_of_long_films_are_folded_away(exact: list[Examined]) -> None:
    curve = (Stretch(0.0, 8.0, 0.061, 0.002), Stretch(8.0, 16.0, 0.042, 0.0))
    report = grade(exact, exact, [replace(_figure(0.05), section="length", curve=curve)])
    html = page([Chapter("a world", report, [])], [])
    folded = html[html.index("<details>") : html.index("</details>")]
    assert folded.count("<polyline") == html.count("<polyline") == 2
    assert "window by window" in folded
