"""The report of a film as one self-contained HTML page, for someone who has never heard of us."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from orrery.evaluation.figure import Figure
from orrery.evaluation.film.moments import Moment
from orrery.evaluation.film.report import FilmReport
from orrery.evaluation.film.sound import ENVELOPE_HZ
from orrery.evaluation.film.watch import Watched
from orrery.evaluation.page import STYLE, badge, number, png
from orrery.streams import Array

__all__ = ["film_page", "headline"]

WINDOW_SECONDS = 1.5
MAX_COLUMNS = 900
_HITS, _ONSETS = "#d9730d", "#1f6feb"
_MORE = """
h1 { overflow-wrap: anywhere; }
ul.found { padding-left: 1.2rem; } ul.found li { margin: .3rem 0; }
.key { font-size: .85rem; color: #555; } .key b { font-weight: 600; }
.strip { display: grid; grid-template-columns: repeat(3, 1fr); gap: 3px; }
.strip div { position: relative; } .strip img { display: block; }
.strip span { position: absolute; left: 3px; bottom: 3px; background: #000a; color: #fff; font-size: .72rem;
              padding: 0 .35em; border-radius: 3px; }
@media (min-width: 45rem) { .strip { grid-template-columns: repeat(6, 1fr); } }
"""
_MEANS = {
    "pass": "nothing was found that cannot be",
    "between": "something is off, but not for certain",
    "fail": "something was found that cannot be",
    "abstain": "too little could be judged to say anything",
}
_SECTIONS = {
    "identity": "Do things stay what they are?",
    "physics": "Do things move as things must?",
    "picture": "Does the picture hold still where it should?",
    "sound": "Is what is seen to hit heard, and when?",
}


def headline(report: FilmReport) -> str:
    """What a report says, in a line."""
    return f"{report.verdict}: {_MEANS[report.verdict]}"


def film_page(report: FilmReport, moments: Sequence[Moment]) -> str:
    """The HTML. moments: of the report's findings, those that are to be shown."""
    watched = report.watched
    title = f"Physics report: {watched.path.name}"
    found = "".join(f"<li><b>{f.seconds:.1f}&nbsp;s</b>: {escape(f.text)}</li>" for f in report.findings[:60])
    more = len(report.findings) - 60
    found += f"<li>and {more} more, in the JSON file beside this page</li>" if more > 0 else ""
    strips = "".join(_moment(moment, watched) for moment in moments)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{_MORE}</style></head><body>
<h1>{escape(title)} {badge(report.verdict)}</h1>
<p><b>{escape(_MEANS[report.verdict].capitalize())}.</b> This page is made by measuring, without any learned
judge: moving things are followed through the film, and held against what real things do. It finds
contradictions; it cannot prove that there are none. The verdict is the worst section's, never an average, and
a section abstains where too little moves or could be followed.</p>
{_whole(watched)}
<h2>What was found</h2>
{f'<ul class="found">{found}</ul>' if found else "<p>Nothing that cannot be.</p>"}
<h2>Section by section</h2><div class="scroll"><table><tr><th>question</th><th></th><th>why</th></tr>
{"".join(_section(report, name) for name in report.sections)}</table></div>
{f"<h2>The moments</h2>{strips}" if strips else ""}
<h2>Figures</h2><div class="scroll"><table><tr><th>what</th><th></th><th>value</th><th>passes at</th>
<th>fails beyond</th></tr>{"".join(_figure(figure) for figure in report.figures)}</table></div>
<h2>What was seen</h2><ul>{"".join(f"<li>{escape(fact)}</li>" for fact in _facts(watched))}</ul>
</body></html>
"""


def _section(report: FilmReport, name: str) -> str:
    verdict = report.sections[name]
    why = report.reasons.get(name, "") if verdict == "abstain" else ""
    question = f"{escape(_SECTIONS[name])}<small>{name}</small>"
    return f"<tr><td>{question}</td><td>{badge(verdict)}</td><td>{escape(why)}</td></tr>"


def _figure(figure: Figure) -> str:
    cells = [
        f"{figure.id} {escape(figure.name)}<small>{escape(figure.statistic)}</small>", badge(figure.verdict),
        number(figure.value), number(figure.passes_at), number(figure.fails_at),
    ]  # fmt: skip
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _facts(watched: Watched) -> list[str]:
    header, sound = watched.header, watched.sound
    still = f"{watched.num_standing} of {watched.num_stretches} stretches"
    return [
        f"{watched.seconds:.1f} s, {watched.num_pictures} pictures of {header.width}x{header.height}, "
        f"{len(watched.cuts)} cuts",
        f"the camera stands in {still}; it was lost in {watched.lost} pictures",
        f"{watched.num_things} things were followed, {watched.coverage:.0%} of what moves; "
        f"something moves for {watched.moving_seconds:.1f} s",
        f"{len(watched.flights)} flights, {len(watched.hits)} hits, "
        + ("no sound" if sound is None else f"{len(sound.onsets)} sounds that begin"),
    ]


def _whole(watched: Watched) -> str:
    """The sound of the whole film with hits and onsets, where it has any."""
    if watched.sound is None or not watched.sound.envelope:
        return ""
    key = (
        f'<p class="key"><b style="color:{_HITS}">Orange, above:</b> hits that are seen. '
        f'<b style="color:{_ONSETS}">Blue, below:</b> sounds that begin.</p>'
    )
    return f"<figure>{_waveform(watched, 0.0, watched.sound.seconds, None)}</figure>{key}"


def _moment(moment: Moment, watched: Watched) -> str:
    finding = moment.finding
    text = f"<b>{finding.seconds:.2f} s: {escape(finding.text)}</b><br>{escape(finding.question.name)}"
    cells = "".join(
        f'<div><img alt="the film at {seconds:.2f} s" src="data:image/png;base64,'
        f'{base64.b64encode(png(picture)).decode()}"><span>{seconds:.2f} s</span></div>'
        for picture, seconds in zip(moment.strip, moment.seconds, strict=True)
    )
    strip = f'<div class="strip">{cells}</div>' if cells else "<p>The film cannot be shown here.</p>"
    heard = ""
    if watched.sound is not None and watched.sound.envelope:
        start = max(0.0, finding.seconds - WINDOW_SECONDS)
        heard = _waveform(watched, start, start + 2 * WINDOW_SECONDS, finding.seconds)
    return f"<figure><figcaption>{text}</figcaption>{strip}{heard}</figure>"


def _waveform(watched: Watched, start: float, end: float, at: float | None, height: int = 72) -> str:
    """The sound from `start` to `end` with hits seen (up, orange), onsets heard (down, blue), and the moment
    (grey)."""
    sound = watched.sound
    assert sound is not None
    peak = max(max(sound.envelope), 1e-3)
    columns = np.array_split(
        np.array(sound.envelope[int(start * ENVELOPE_HZ) : max(int(end * ENVELOPE_HZ), 1)] or [0.0]),
        min(MAX_COLUMNS, max(1, int((end - start) * ENVELOPE_HZ))),
    )
    reach = [float(part.max(initial=0.0)) / peak * height / 2 for part in columns]
    step = MAX_COLUMNS / len(reach)
    upper = [f"{(k + 0.5) * step:.1f},{height / 2 - r:.1f}" for k, r in enumerate(reach)]
    lower = [f"{(k + 0.5) * step:.1f},{height / 2 + r:.1f}" for k, r in reversed(list(enumerate(reach)))]

    def marks(instants: Sequence[float] | Array, colour: str, top: float, bottom: float) -> str:
        places = [(t - start) / (end - start) * MAX_COLUMNS for t in instants if start <= t <= end]
        return "".join(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{colour}" stroke-width="2"/>'
            for x in places
        )

    parts = [
        marks([] if at is None else [at], "#bbb", 0, height),
        f'<polygon points="{" ".join(upper + lower)}" fill="#555"/>',
        marks([hit.seconds for hit in watched.hits], _HITS, 0, height / 3),
        marks(sound.onsets, _ONSETS, 2 * height / 3, height),
    ]
    box = f'viewBox="0 0 {MAX_COLUMNS} {height}" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="sound with hits and onsets">{"".join(parts)}</svg>'
