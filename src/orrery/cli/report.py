"""`orrery report`: how a world's films keep to identity, physics, sound and touch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.table import Table

from orrery.atomic import check_destination, write_atomically
from orrery.cli.console import needs, progress_bar
from orrery.errors import BadUse, UserError
from orrery.evaluation.form import FULL, QUICK, Form
from orrery.registry import DEFAULT_MODEL, resolve_model

if TYPE_CHECKING:
    from orrery.evaluation.figure import Figure
    from orrery.evaluation.page import Chapter

__all__ = ["report"]

LIMITS = {"films": (1, 100), "seconds": (1.0, 60.0), "scenes": (0, 24), "long": (0, 24)}
EXACT = "exact"
MAX_LINES = 20


def report(
    models: tyro.conf.Positional[tuple[str, ...]] = (DEFAULT_MODEL,),
    out: Path = Path("report.html"),
    films: int | None = None,
    seconds: float | None = None,
    rollouts: int | None = None,
    long: int | None = None,
    quick: bool = False,
    exact: bool = False,
    guard: bool = False,
    force: bool = False,
) -> int:
    """Measure a model's films against the exact world's, or any film by itself: identity, physics, sound.

    The model and the exact world run the same held-out sentences; every figure stands beside the same figure
    of the exact world. Two models are told beside each other. A film is examined by classical vision and
    hearing, whoever made it, without any truth to hold it against; the status is 1 where it fails. Writes a
    page that holds everything, and a JSON file beside it.

    Args:
        models: one or two, each a shipped model's name or a checkpoint's folder; or one film, any file.
        out: the page, an HTML file.
        films: how many sentences, up to 100; 30 if left out.
        seconds: length of each film, from 1 to 60; 3.5 if left out.
        rollouts: how many scenes of each part of the suite are gone on with from a short stretch of the exact
            world, up to 24, 12 if left out; 0 leaves out what is asked of them.
        long: how many films and rollouts last a minute, up to 24 (rollouts: of those there are), 6 if
            left out; 0 leaves out what is asked of them.
        quick: the quick form, 12 films of 3 seconds, 5 scenes and nothing long: under 3 minutes on two cores.
        exact: report on the exact world itself, which must pass.
        guard: of two models, fail (status 1) where the second is worse than the first in any figure, or where
            less can be told of it.
        force: replace files that are there.
    """
    names = (EXACT,) if exact else models
    form = _form(QUICK if quick else FULL, films=films, seconds=seconds, scenes=rollouts, long=long)
    if not 1 <= len(names) <= 2:
        raise BadUse(f"report: one model, or two to compare, got {len(names)}")
    if guard and len(names) != 2:
        raise BadUse("--guard compares two models: the one that stands, and the one that is to replace it")
    data = _data_beside(out, force)
    if any(Path(name).is_file() for name in names):
        return _film(names, out, data)
    for name in names:
        if Path(name).suffix and not Path(name).exists():
            raise UserError(f"{name}: there is no such file")
    folders = [None if exact else resolve_model(name) for name in names]
    chapters = _write_report(list(zip(names, folders, strict=True)), form, out)
    for chapter in chapters:
        _show(chapter)
    print(f"{out}: the page; {data}: its figures")
    return _guard(*chapters) if guard else 0


def _write_report(worlds: Sequence[tuple[str, Path | None]], form: Form, out: Path) -> list[Chapter]:
    """Measure worlds, each a name and the folder of a checkpoint, or None for the exact one; write the page
    `out` and the JSON file beside it."""
    begun = time.monotonic()
    with needs("report", "a physics report"):
        from orrery.evaluation.page import page
        from orrery.evaluation.suite import VERSION, suite_hash

        chapters = [_measure(name, folder, form) for name, folder in worlds]
    minutes = (time.monotonic() - begun) / 60.0
    facts = [
        ("films", f"{form.films} of {form.seconds:g} s, by held-out sentences"),
        ("scenes", f"{form.scenes} of each part of the suite, version {VERSION}"),
        ("films and rollouts of a minute", str(form.long)),
        ("took", f"{minutes:.1f} minutes"),
    ]
    record = {
        **asdict(form), "suite": {"version": VERSION, "sha256": suite_hash()}, "minutes": minutes,
        "worlds": [{"world": chapter.name, **chapter.report.to_json()} for chapter in chapters],
    }  # fmt: skip
    write_atomically(out.with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())
    write_atomically(out, page(chapters, facts).encode())
    return chapters


def _form(form: Form, **asked: float | None) -> Form:
    """The form with the numbers that were asked for. Raises BadUse for what cannot be."""
    told = {name: value for name, value in asked.items() if value is not None}
    for name, value in told.items():
        low, high = LIMITS[name]
        if not low <= value <= high:
            flag = "rollouts" if name == "scenes" else name
            raise BadUse(f"--{flag} {value:g}: from {low:g} to {high:g}")
    return replace(form, **told)


def _data_beside(out: Path, force: bool) -> Path:
    """The JSON file beside the page. Raises BadUse or UserError where one of the two cannot be written."""
    if out.suffix != ".html":
        raise BadUse(f"--out {out}: the page is HTML; name it {out.with_suffix('.html')}")
    data = out.with_suffix(".json")
    for file in (out, data):
        check_destination(file, force)
    return data


def _film(names: tuple[str, ...], out: Path, data: Path) -> int:
    """The report of a film that anyone made."""
    if len(names) != 1:
        raise BadUse("report: one film at a time, and no model beside it")
    with needs("report", "the report of a film"):
        from orrery.evaluation.film.moments import moments
        from orrery.evaluation.film.page import film_page, headline
        from orrery.evaluation.film.report import film_report
        from orrery.evaluation.film.watch import watch
    path = Path(names[0])
    with progress_bar(path.name, "pictures") as on_step:
        found = film_report(watch(path, on_step))
    page = film_page(found, moments(path, found.findings))
    write_atomically(data, (json.dumps(found.to_json(), indent=2) + "\n").encode())
    write_atomically(out, page.encode())
    print(f"{path}: {headline(found)}")
    for name, verdict in found.sections.items():
        why = found.reasons.get(name) if verdict == "abstain" else None
        print(f"  {name}: {verdict}" + (f" ({why})" if why else ""))
    for finding in found.findings[:MAX_LINES]:
        print(f"  {finding.seconds:.1f} s: {finding.text}")
    if len(found.findings) > MAX_LINES:
        print(f"  and {len(found.findings) - MAX_LINES} more")
    print(f"{out}: the page; {data}: its figures")
    return int(found.verdict == "fail")


def _guard(one: Chapter, other: Chapter) -> int:
    """Exit status: 1, with the figures named, where the other is worse than the one, or where less can be
    told of it: a world in which nothing is wrong since nothing happens is no better."""
    from orrery.evaluation.figure import better

    pairs = zip(one.report.figures, other.report.figures, strict=True)
    worse = [
        f"{mine.id} {mine.name}: {_told(theirs)} after {_told(mine)}"
        for mine, theirs in pairs
        if better(mine, theirs) == 0 or (theirs.verdict == "abstain" != mine.verdict)
    ]
    for line in worse:
        print(f"{other.name} is worse than {one.name} in {line}", file=sys.stderr)
    return int(bool(worse))


def _measure(name: str, folder: Path | None, form: Form) -> Chapter:
    """All that is told of one world. folder: of its checkpoint; None for the exact world."""
    from orrery.evaluation.films import STREAMS, report_world
    from orrery.evaluation.page import Chapter
    from orrery.evaluation.trials import further_figures
    from orrery.inference.imagined_world import load_world
    from orrery.worlds.tabletop.world import TabletopWorld

    further = []
    world = TabletopWorld() if folder is None else load_world(folder)
    if form.scenes:
        blind = TabletopWorld(streams=STREAMS) if folder is None else load_world(folder, streams=STREAMS)
        with progress_bar(name, "scenes") as on_step:
            further = further_figures(blind, world, form, on_step)
    with progress_bar(name, "films") as on_step:
        found, moments = report_world(world, form.films, form.seconds, on_step, further)
    return Chapter(name, found, moments)


def _told(figure: Figure) -> str:
    value = "nothing" if figure.value is None else f"{figure.value:.3g}"
    return f"{value} ({figure.verdict})"


def _show(chapter: Chapter) -> None:
    table = Table(title=f"{chapter.name}: {chapter.report.verdict}", title_justify="left")
    for column in ("", "value", "floor", "verdict"):
        table.add_column(column)
    for figure in chapter.report.figures:
        cells = ("-" if v is None else f"{v:.3g}" for v in (figure.value, figure.floor))
        table.add_row(f"{figure.id} {figure.name}", *cells, figure.verdict)
    Console().print(table)
