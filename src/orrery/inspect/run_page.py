"""The page of a run: loss curves, imagined films beside real ones, and what was measured."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from orrery.atomic import write_atomically
from orrery.evaluation.rollout import Rollouts, Windows
from orrery.inspect.curves import Chart, loss_chart, read_log
from orrery.media.writer import FilmWriter
from orrery.streams import Array, WorldSpec
from orrery.training.loop import LOG

__all__ = ["figure_rows", "pair_sheet", "write_page", "write_rollout_film", "write_run_page"]

SHEET_WINDOWS = 4
SHEET_FRAMES = 10
GAP = 4
FILM_RATE = 48_000


def write_run_page(folder: Path, notes: Sequence[str], windows: Windows, rollouts: Rollouts) -> Path:
    """Write `folder/page.html`, complete in itself: losses, and rollouts of the finished world."""
    sheets: dict[str, str] = {}
    for name, made in rollouts.films.items():
        if made.ndim == 6 and made.dtype == np.uint8:
            sheets[name] = _data_url(pair_sheet(windows.streams[name][:, windows.context :], made))
        elif made.ndim >= 3 and made.dtype == np.float32 and name in rollouts.by_horizon:
            sheets[name] = _data_url(_traces(windows.streams[name][:, windows.context :], made))
    stages = sorted((folder / "stages").glob("*"))
    charts = {stage.name: loss_chart(read_log(stage / LOG)) for stage in stages}
    film = (folder / "rollouts.mp4").exists()
    return write_page(folder, charts, notes=notes, rows=figure_rows(rollouts), sheets=sheets, film=film)


def write_page(folder: Path, charts: Mapping[str, Chart], **parts: Any) -> Path:
    """Write `folder/page.html` with loss curves by stage, and of the other parts those that are given."""
    page = folder / "page.html"
    nothing = {"progress": None, "notes": [], "rows": [], "sheets": {}, "film": False}
    html = _TEMPLATE.render({"title": folder.name, "charts": charts, **nothing, **parts})
    write_atomically(page, html.encode())
    return page


def figure_rows(rollouts: Rollouts) -> list[list[str]]:
    """A table's rows: stream, seconds, model, copying, ceiling, shuffled actions."""
    rows = [
        [
            name,
            f"{row['seconds']:g}",
            *(_number(row.get(key)) for key in ("model", "copy", "ceiling", "shuffled")),
        ]
        for name, several in rollouts.by_horizon.items()
        for row in several
    ]
    rows += [
        [f"{name}: actions matter", "", f"{_number(value)} times", "", "", ""]
        for name, value in rollouts.actions_matter.items()
    ]
    rows += [[name, "", _number(value), "", "", ""] for name, value in rollouts.outcomes.items()]
    return rows


def write_rollout_film(path: Path, spec: WorldSpec, windows: Windows, rollouts: Rollouts) -> Path | None:
    """Real (above) and imagined (below), several windows beside one another, with the imagined sound of the
    first; None for a world without pictures."""
    videos, audios = spec.of_kind("video"), spec.of_kind("audio")
    if not videos or videos[0].name not in rollouts.films:
        return None
    name = videos[0].name
    made = rollouts.films[name][:SHEET_WINDOWS]
    real = windows.streams[name][:SHEET_WINDOWS, windows.context :]
    frames = np.concatenate(
        [np.concatenate([*pair], axis=1) for pair in zip(_filmed(real), _filmed(made), strict=True)], axis=2
    )
    sound = None
    if audios and audios[0].name in rollouts.films:
        sound = _stereo(rollouts.films[audios[0].name][0], spec.clock.samples_per_second)
    size = (frames.shape[1], frames.shape[2])
    rate = None if sound is None else FILM_RATE
    with FilmWriter(path, spec.clock.frames_per_second, rate, size, force=True) as writer:
        writer.write(frames, sound)
    return path


def _stereo(ticks: Array, samples_per_second: int) -> Array:
    """`[T, N, channels]` as one stretch `[samples, 2]` at the film's rate."""
    from scipy.signal import resample_poly

    flat = ticks.reshape(-1, ticks.shape[-1])
    divisor = math.gcd(FILM_RATE, samples_per_second)
    sound = resample_poly(flat, FILM_RATE // divisor, samples_per_second // divisor, axis=0).astype(
        np.float32
    )
    return np.repeat(sound, 2, 1) if sound.shape[1] == 1 else sound


def _filmed(streams: Array) -> Array:
    """`[N, T, frames, H, W, 3]` as `[N, T * frames, H, W, 3]`, edged on the right."""
    films = streams.reshape(len(streams), -1, *streams.shape[3:])
    return np.pad(films, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)))


def pair_sheet(real: Array, made: Array) -> Image.Image:
    """Pairs of rows, real above imagined, of a few windows `[N, T, frames, H, W, 3]`."""
    num = min(SHEET_WINDOWS, len(real))
    picked = np.unique(np.linspace(0, real.shape[1] - 1, SHEET_FRAMES).round().astype(int))
    rows = [np.concatenate(list(stream[k, picked, -1]), 1) for k in range(num) for stream in (real, made)]
    sheet = np.concatenate(rows, 0)
    factor = max(1, round(96 / real.shape[3]))
    return Image.fromarray(sheet).resize(
        (sheet.shape[1] * factor, sheet.shape[0] * factor), Image.Resampling.NEAREST
    )


def _traces(real: Array, made: Array) -> Image.Image:
    """Numbers over time, real and imagined, of the first windows."""
    from matplotlib.figure import Figure

    flat_real, flat_made = (v.reshape(*v.shape[:2], -1) for v in (real, made))
    numbers = min(6, flat_real.shape[2])
    figure = Figure(figsize=(9, 1.4 * numbers), layout="constrained")
    for row, axes in enumerate(np.atleast_1d(figure.subplots(numbers, 1, sharex=True))):
        for k in range(min(SHEET_WINDOWS, len(real))):
            axes.plot(flat_real[k, :, row], color=f"C{k}", linewidth=1)
            axes.plot(flat_made[k, :, row], color=f"C{k}", linewidth=1, linestyle="--")
        axes.set_ylabel(str(row))
    return _rendered(figure)


def _rendered(figure: Any) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return Image.open(buffer)


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


_TEMPLATE = Environment(undefined=StrictUndefined, autoescape=True).from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{% if progress %}<meta http-equiv="refresh" content="{{ progress.seconds }}">
{% endif %}<title>{{ title }}</title><style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
img, video { max-width: 100%; image-rendering: pixelated; border-radius: 4px; }
.curve { background: white; image-rendering: auto; }
svg { width: 100%; height: auto; font-size: 12px; fill: currentColor; }
svg line { stroke: currentColor; opacity: .2; } polyline { fill: none; stroke-width: 1.5; }
.key { white-space: nowrap; margin-right: 1rem; }
progress { width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
</style></head><body>
<h1>{{ title }}</h1>
{% if progress %}<p><b>{{ progress.doing }}</b>, {{ progress.percent }} %
{%- if progress.left %}; about {{ progress.left }} of training left{% endif %}</p>
<progress value="{{ progress.percent }}" max="100"></progress>
<p>As of {{ progress.at }}. If this time stands still, the run has stopped: the same command goes on with
it.</p>
{% if progress.rows %}<div class="wide"><table>
<tr><th>stage</th><th>steps</th><th>minutes</th><th>left</th></tr>
{% for row in progress.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}{% endif %}
{% for note in notes %}<p>{{ note }}</p>{% endfor %}
{% if rows %}<h2>Held-out episodes, same actions</h2>
<div class="wide"><table><tr><th></th><th>seconds</th><th>model</th><th>copying</th><th>tokenizer alone</th>
<th>shuffled actions</th></tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table></div>
<p>Root mean square errors: of pictures in grey levels (of 255) over the pixels that change, of numbers in
shares of their spread.</p>{% endif %}
{% if film %}<h2>Film</h2><p>Real above, imagined below.</p>
<video src="rollouts.mp4" controls loop></video>{% endif %}
{% for name, url in sheets.items() %}<h2>{{ name }}</h2>
<p>Real above, imagined below (of numbers: solid and dashed).</p>
<img class="{{ 'curve' }}" src="{{ url }}" alt="{{ name }}, real and imagined">{% endfor %}
{% if charts %}<h2>Losses</h2>{% endif %}
{% for name, chart in charts.items() %}<h3>{{ name }}</h3>
{% if chart.skipped %}<p>{{ chart.skipped }} of {{ chart.steps }} steps were skipped: their gradients were not
finite.</p>{% endif %}
{% if chart.curves %}<svg viewBox="0 0 {{ chart.width }} {{ chart.height }}">
<title>losses of {{ name }} over minutes</title>
{% for y, words in chart.ticks %}
<line x1="{{ chart.left }}" x2="{{ chart.width }}" y1="{{ y }}" y2="{{ y }}"/>
<text x="{{ chart.left - 6 }}" y="{{ [y + 4, 10] | max }}" text-anchor="end">{{ words }}</text>
{% endfor %}{% for curve in chart.curves %}<polyline points="{{ curve.points }}" stroke="{{ curve.colour }}"/>
{% endfor %}<text x="{{ chart.left }}" y="{{ chart.height - 6 }}">0</text>
<text x="{{ chart.width }}" y="{{ chart.height - 6 }}" text-anchor="end"
>{{ "%.3g" | format(chart.minutes) }} minutes</text></svg>
<p>{% for curve in chart.curves %}<span class="key"><b style="color: {{ curve.colour }}">—</b>
{{ curve.name }}</span> {% endfor %}</p>{% endif %}
{% endfor %}</body></html>
""")
