"""A report as one self-contained HTML page, readable on a phone: verdicts, figures, and the worst moments."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from orrery.evaluation.figure import Figure, better
from orrery.evaluation.films import Moment
from orrery.evaluation.report import Report
from orrery.streams import Array

__all__ = ["STYLE", "Chapter", "badge", "number", "page", "png"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1c1c1e;
       background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .5rem; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; } td small { color: #666; display: block; }
.scroll { overflow-x: auto; }
.v { display: inline-block; padding: 0 .6em; border-radius: 1em; color: #fff; font-size: .85rem; }
.pass { background: #1b7f3b; } .between { background: #a66a00; } .fail { background: #b3261e; }
.abstain { background: #666; }
figure { margin: 1rem 0 2rem; } figcaption { margin-bottom: .4rem; }
figure img { width: 100%; height: auto; image-rendering: auto; border-radius: 4px; }
svg { width: 100%; height: 72px; background: #f5f5f7; border-radius: 4px; margin-top: 4px; }
"""


@dataclass(frozen=True)
class Chapter:
    """What is told of one world, `name`."""

    name: str
    report: Report
    moments: Sequence[Moment]


def page(chapters: Sequence[Chapter], facts: Sequence[tuple[str, str]]) -> str:
    """The HTML of one world, or of two beside each other. facts: what was measured and how, as names and
    values."""
    title = "Physics report: " + " and ".join(chapter.name for chapter in chapters)
    told = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in facts)
    beside = _comparison(*chapters) if len(chapters) == 2 else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1><ul>{told}</ul>
<p>The floor is the same figure of the exact world on the same scenes; what counts is the excess over it. A
figure abstains where less than 80&nbsp;% of what can be asked of the exact world can be asked here. The
verdict is the worst section's.</p>
{beside}{"".join(_chapter(chapter) for chapter in chapters)}
</body></html>
"""


def _chapter(chapter: Chapter) -> str:
    report = chapter.report
    sections = " ".join(f"{escape(name)} {badge(v)}" for name, v in report.sections.items())
    rows = "".join(_row(figure) for figure in report.figures)
    curved = [figure for figure in report.figures if figure.curve]
    lasting = [_curve(figure, "window by window") for figure in curved if figure.section == "length"]
    ago = "by how long ago the context ended"
    curves = "".join(_curve(figure, ago) for figure in curved if figure.section != "length")
    if lasting:
        # One for every figure: most readers want none of them.
        curves += f"<details><summary>Long films, window by window</summary>{''.join(lasting)}</details>"
    worst = "".join(map(_moment, chapter.moments)) or "<p>No recording holds anything that cannot be.</p>"
    return f"""<h2>{escape(chapter.name)} {badge(report.verdict)}</h2>
<p>{sections}; anything moves in {report.motion:.0%} of the films in which it should</p>
<div class="scroll"><table><tr><th>what</th><th></th><th>value</th><th>95&nbsp;%</th><th>floor</th>
<th>excess</th><th>passes at</th><th>fails beyond</th><th>coverage</th></tr>{rows}</table></div>
{curves}<h3>Worst moments</h3>{worst}"""


def _comparison(one: Chapter, other: Chapter) -> str:
    """Every figure of two worlds, and which is better, where that can be told."""
    names = [escape(chapter.name) for chapter in (one, other)]
    rows = []
    for mine, theirs in zip(one.report.figures, other.report.figures, strict=True):
        best = better(mine, theirs)
        cells = [
            f"{mine.id} {escape(mine.name)}<small>{escape(mine.statistic)}</small>",
            f"{number(mine.value)} {badge(mine.verdict)}",
            f"{number(theirs.value)} {badge(theirs.verdict)}",
            number(mine.floor), "–" if best is None else names[best],
        ]  # fmt: skip
        rows.append(_cells(cells))
    return f"""<h2>Beside each other</h2><p>One is better where the 95&nbsp;% intervals do not meet.</p>
<div class="scroll"><table class="beside"><tr><th>what</th><th>{names[0]}</th><th>{names[1]}</th>
<th>floor</th><th>better</th></tr>{"".join(rows)}</table></div>"""


def badge(verdict: str) -> str:
    """A verdict as a coloured word."""
    return f'<span class="v {verdict}">{verdict}</span>'


def number(value: float | None) -> str:
    """A figure as people read it."""
    if value is None:
        return "–"
    return f"{value:.3g}" if abs(value) >= 0.0001 else "0"


def _cells(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _row(figure: Figure) -> str:
    cells = [
        f"{figure.id} {escape(figure.name)}<small>{escape(figure.statistic)}</small>",
        badge(figure.verdict), number(figure.value),
        f"{number(figure.low)} to {number(figure.high)}", number(figure.floor), number(figure.excess),
        number(figure.passes_at), number(figure.fails_at),
        f"{figure.coverage:.0%}",
    ]  # fmt: skip
    return _cells(cells)


def _curve(figure: Figure, over: str, width: int = 600, height: int = 160) -> str:
    """A figure over time (blue) above its floor (grey), both on logarithmic axes, and as numbers. over: what
    time it is."""
    values, floors = ([max(getattr(s, name), 1e-6) for s in figure.curve] for name in ("value", "floor"))
    logs = np.log10([*values, *floors])
    low, span = float(logs.min()), max(float(np.ptp(logs)), 1e-6)

    def line(numbers: Sequence[float], colour: str) -> str:
        across = (np.arange(len(numbers)) + 0.5) / len(numbers) * width
        down = height - 10 - (np.log10(numbers) - low) / span * (height - 20)
        places = " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(across, down, strict=True))
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="3"/>'

    told = "".join(
        f"<tr><td>{s.start_seconds:g} to {s.end_seconds:g} s</td><td>{number(s.value)}</td>"
        f"<td>{number(s.floor)}</td></tr>"
        for s in figure.curve
    )
    box = f'viewBox="0 0 {width} {height}" style="height:{height}px"'
    plot = f'<svg {box} role="img" aria-label="{escape(over)}">'
    return (
        f"<h3>{figure.id} {escape(figure.name)} {escape(over)}</h3>"
        f"<figure>{plot}{line(floors, '#999')}{line(values, '#1f6feb')}</svg></figure>"
        f'<div class="scroll"><table class="curve"><tr><th>time</th><th>value (blue)</th>'
        f"<th>floor (grey)</th></tr>{told}</table></div>"
    )


def _moment(moment: Moment) -> str:
    finding = moment.finding
    text = f"<b>{finding.seconds:.2f} s: {escape(finding.text)}</b><br>“{escape(moment.prompt.text)}”, "
    text += f"seed {moment.prompt.seed}"
    rows = [np.concatenate(list(half), axis=1) for half in np.array_split(moment.strip, 2)]
    strip = base64.b64encode(png(np.concatenate(rows))).decode()
    image = f'<img alt="six frames about the moment" src="data:image/png;base64,{strip}">'
    return f"<figure><figcaption>{text}</figcaption>{image}{_waveform(moment)}</figure>"


def png(picture: Array) -> bytes:
    """A picture `[H, W, 3]` uint8 as a file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()


def _waveform(moment: Moment, width: int = 900, height: int = 72) -> str:
    """The film's sound with hits seen (up, orange), onsets heard (down, blue) and the moment (grey)."""
    loud = np.abs(moment.sound).max(1)
    columns = np.array_split(loud, width)
    peak = max(float(loud.max()), 1e-3)
    reach = np.array([float(c.max()) for c in columns]) / peak * height / 2
    upper = [f"{x},{height / 2 - r:.1f}" for x, r in enumerate(reach)]
    lower = [f"{x},{height / 2 + r:.1f}" for x, r in reversed(list(enumerate(reach)))]
    seconds = len(loud) / moment.samples_per_second

    def marks(instants: Sequence[float] | Array, colour: str, top: float, bottom: float) -> str:
        return "".join(
            f'<line x1="{t / seconds * width:.1f}" x2="{t / seconds * width:.1f}" y1="{top}" y2="{bottom}" '
            f'stroke="{colour}" stroke-width="2"/>'
            for t in instants
        )

    parts = [
        marks([moment.finding.seconds], "#bbb", 0, height),
        f'<polygon points="{" ".join(upper + lower)}" fill="#555"/>',
        marks(moment.hits, "#d9730d", 0, height / 3),
        marks(moment.heard, "#1f6feb", 2 * height / 3, height),
    ]
    box = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return f'<svg {box} role="img" aria-label="sound with hits and onsets">{"".join(parts)}</svg>'
