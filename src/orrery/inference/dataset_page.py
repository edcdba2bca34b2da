"""A dataset as one self-contained HTML page: its numbers, and some episodes to see, hear and feel."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import numpy as np

from orrery.data import layout
from orrery.data.dataset import Dataset
from orrery.errors import UserError
from orrery.inference.episode_pictures import curves, episode_film, episode_sheet, touch_map
from orrery.streams import Array

__all__ = ["dataset_page"]

NUM_SHOWN = 6
NUM_FELT = 100
"""Episodes among which the one that is touched hardest is sought."""
NUM_SENTENCES = 12
_CURVES = ("action", "reward", "proprioception")
"""Streams that are drawn over time, besides the touch."""

_LEFT_OUT = ("sentences", "contact sheet", "streams, each tick")
"""Facts that the page tells in its own way."""

_STYLE = """
:root { color-scheme: light; } body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #fff;
margin: 0 auto; max-width: 90rem; padding: 1.5rem; } h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; }
h3 { margin: 0 0 .6rem; font-weight: 600; } table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #e3e5e8; padding: .3rem .9rem .3rem 0; text-align: left;
vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { margin: 0; font: inherit; white-space: pre-wrap; } .wide { overflow-x: auto; }
article { border: 1px solid #d8dbdf; border-radius: 8px; padding: 1rem 1.2rem; margin: 1.2rem 0; }
article img { max-width: 100%; height: auto; } figcaption { color: #5b6068; font-size: .88rem; }
figure { margin: .8rem 0; } video { width: 256px; max-width: 100%; border-radius: 4px; background: #000; }
svg { width: 100%; height: 90px; background: #f5f6f8; border-radius: 4px; } .bad { color: #a8201a; }
.beside { display: flex; gap: 1.5rem; flex-wrap: wrap; align-items: flex-start; }
.beside figure:nth-child(2) { flex: 1 1 36rem; min-width: 0; }
"""


def dataset_page(
    dataset: Dataset,
    facts: Sequence[tuple[str, str]],
    problems: Sequence[str] = (),
    num_shown: int = NUM_SHOWN,
    on_step: Callable[[int, int], None] | None = None,
) -> str:
    """The page of `dataset`. facts: name and value, told first. problems: what could not be read.

    num_shown: episodes that are drawn, evenly spaced; the one that is touched hardest comes on top. An
    episode that cannot be read says so in its place.
    """
    readable = dataset.readable
    spaced = {readable[k * len(readable) // num_shown] for k in range(num_shown)}
    numbers = sorted(spaced | _felt_most(dataset))
    articles = []
    for done, number in enumerate(numbers, start=1):
        articles.append(_article(dataset, number))
        if on_step is not None:
            on_step(done, len(numbers))
    facts = [(name, value) for name, value in facts if name not in _LEFT_OUT]
    rows = "".join(f"<tr><th>{escape(n)}</th><td><pre>{escape(v)}</pre></td></tr>" for n, v in facts)
    bad = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    name = escape(dataset.path.resolve().name)
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{name}: a dataset</title>
<style>{_STYLE}</style></head><body><h1>{name}</h1>
{f'<section class="bad"><h2>What is wrong</h2><ul>{bad}</ul></section>' if bad else ""}
<div class="wide"><table>{rows}</table></div>
<h2>Episodes</h2><p>{len(numbers)} of {len(readable)}: evenly spaced, and the one that is touched hardest.</p>
{"".join(articles)}
<h2>Streams</h2><div class="wide">{_stream_table(dataset)}</div>
<h2>What happens</h2>{_happenings(dataset)}
<h2>Sentences</h2>{_sentences(dataset)}
</body></html>
"""


def _felt_most(dataset: Dataset) -> set[int]:
    """The episode with the strongest touch, among the first ones; none where nothing is felt."""
    pads = [spec.name for spec in dataset.spec.named("touch")]
    if not pads:
        return set()
    strongest: dict[int, float] = {}
    for number in dataset.readable[:NUM_FELT]:
        with suppress(UserError):  # its own article would say so
            strongest[number] = max(float(v[..., 0].max()) for v in dataset.load(number, pads).values())
    best = max(strongest, key=strongest.__getitem__, default=None)
    return {best} if best is not None and strongest[best] > 0 else set()


def _stream_table(dataset: Dataset) -> str:
    """Shape, unit and range of every stream, as meta/stats.json has them."""
    try:
        stats = json.loads((dataset.path / layout.STATS_PATH).read_text("utf-8"))
    except (OSError, ValueError) as error:
        return f'<p class="bad">{layout.STATS_PATH} cannot be read ({escape(str(error))})</p>'
    head = "".join(f'<th class="{"n" if k > 2 else ""}">{n}</th>' for k, n in enumerate(_STREAM_COLUMNS))
    names = dataset.spec.streams
    rows = [_stream_row(dataset, name, stats.get(layout.column_of(name), {})) for name in names]
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


_STREAM_COLUMNS = ("stream", "one tick", "unit", "lowest", "highest", "mean", "deviation")


def _stream_row(dataset: Dataset, name: str, stats: Mapping[str, Any]) -> str:
    spec = dataset.spec.streams[name]
    shape = " × ".join(map(str, spec.shape))
    cells = [name, f"{shape} {spec.dtype}", spec.unit]
    numbers: list[str] = ["–"] * 4
    if stats:
        scale = 255.0 if spec.kind == "video" else 1.0  # LeRobot counts pictures from 0 to 1
        parts = {k: np.asarray(stats[k], np.float64) * scale for k in ("min", "max", "mean", "std")}
        values = (parts["min"].min(), parts["max"].max(), parts["mean"].mean(), parts["std"].mean())
        numbers = [f"{value:.4g}" for value in values]
    text = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr>{text}{''.join(f'<td class=n>{number}</td>' for number in numbers)}</tr>"


def _happenings(dataset: Dataset) -> str:
    """How long episodes are, and how often each kind of event is in one."""
    readable = dataset.readable
    seconds = np.array([dataset.num_ticks(i) for i in readable]) * dataset.spec.clock.tick_seconds
    counts: Counter[str] = Counter(event.kind for i in readable for event in dataset.events(i))
    told = [f"Episodes last {_range(seconds)} s, {seconds.sum() / 3600:.3g} hours in all."]
    told += [f"{kind}: {n:,}, {n / len(readable):.2f} an episode." for kind, n in counts.most_common()]
    return "".join(f"<p>{escape(line)}</p>" for line in told)


def _range(values: Array) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g} (median {np.median(values):.3g})"


def _sentences(dataset: Dataset) -> str:
    counts = Counter(dataset.text(i) for i in dataset.readable)
    rows = "".join(
        f"<tr><td>{escape(text) or '–'}</td><td class=n>{n:,}</td></tr>"
        for text, n in counts.most_common(NUM_SENTENCES)
    )
    return f"<p>{len(counts):,} different ones.</p><table>{rows}</table>"


def _article(dataset: Dataset, number: int) -> str:
    title = f"<h3>{number}: {escape(dataset.text(number))}</h3>"
    try:
        streams = dataset.load(number)
    except UserError as error:
        return f'<article>{title}<p class="bad">{escape(str(error))}</p></article>'
    events = dataset.events(number)
    figures = []
    if dataset.spec.of_kind("video"):
        film = base64.b64encode(episode_film(dataset.spec, streams)).decode()
        tag = f'<video controls loop preload="metadata" src="data:video/mp4;base64,{film}"></video>'
        figures.append(f"<figure>{tag}<figcaption>{_heard(dataset)}</figcaption></figure>")
        figures.append(_image(episode_sheet(dataset.spec, streams, events)))
    return f'<article>{title}<div class="beside">{"".join(figures)}</div>{_felt(dataset, streams)}</article>'


def _heard(dataset: Dataset) -> str:
    return "with its sound" if dataset.spec.of_kind("audio") else "silent: no sound was recorded"


def _felt(dataset: Dataset, streams: Mapping[str, Array]) -> str:
    """Touch as maps and as force over time; actions and the like as curves."""
    parts = []
    spec = dataset.spec
    for touch in spec.named("touch"):
        picture = touch_map(streams[touch.name], spec.clock)
        if picture is None:
            parts.append(f"<p>{escape(touch.name)}: nothing is felt.</p>")
            continue
        parts.append(_image(picture, f"{touch.name}: the pad when it is pressed hardest; lines are shear"))
        force = streams[touch.name][..., 0].sum(axis=(-2, -1)).reshape(-1, 1)
        parts.append(_plot(f"{touch.name}, normal force in all", force, "N"))
    for name in spec.streams:
        if name.partition(".")[0] in _CURVES:
            values = streams[name].reshape(-1, spec.streams[name].shape[-1])
            parts.append(_plot(name, values, spec.streams[name].unit))
    return "".join(parts)


def _plot(name: str, values: Array, unit: str) -> str:
    span = f"{values.min():.3g} to {values.max():.3g} {unit}".strip()
    return f"<figure>{curves(values)}<figcaption>{escape(name)}: {escape(span)}</figcaption></figure>"


def _image(content: bytes, caption: str = "") -> str:
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    data = base64.b64encode(content).decode()
    return f'<figure><img alt="" src="data:image/png;base64,{data}">{told}</figure>'
