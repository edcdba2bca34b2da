"""`orrery report`: how a world's films keep to identity, physics, sound and touch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.table import Table

from orrery.atomic import check_destination, write_atomically
from orrery.cli.console import needs, progress_bar
from orrery.errors import BadUse
from orrery.registry import DEFAULT_MODEL, resolve_model

if TYPE_CHECKING:
    from orrery.evaluation.figure import Figure
    from orrery.evaluation.page import Chapter

__all__ = ["report"]

MAX_FILMS = 100
EXACT = "exact"
MAX_LINES = 20


def report(
    models: tyro.conf.Positional[tuple[str, ...]] = (DEFAULT_MODEL,),
    out: Path = Path("report.html"),
    films: int = 30,
    seconds: float = 3.5,
    rollouts: int = 10,
    exact: bool = False,
    guard: bool = False,
    force: bool = False,
) -> int:
    """Measure a model's films against the exact world's, or any film by itself: identity, physics, sound.

    The model and the exact world run the same held-out sentences; every figure stands beside the same figure
    of the exact world. Two models are told beside each other. A film is examined by classical vision and
    hearing, whoever made it, without any truth to hold it against. Writes a page that holds everything, and a
    JSON file beside it.

    Args:
        models: one or two, each a shipped model's name or a checkpoint's folder; or one film, any file.
        out: the page, an HTML file.
        films: how many sentences, up to 100.
        seconds: length of each film, from 1 to 60.
        rollouts: how many scenes that move by themselves, and as many that the finger pushes, are gone on
            with from one second of the exact world, up to 100; 0 leaves out what is asked of them.
        exact: report on the exact world itself, which must pass.
        guard: of two models, fail (status 1) where the second is worse than the first in any figure, or where
            less can be told of it.
        force: replace files that are there.
    """
    if not 1 <= films <= MAX_FILMS:
        raise BadUse(f"--films {films}: from 1 to {MAX_FILMS}")
    if not 1.0 <= seconds <= 60.0:
        raise BadUse(f"--seconds {seconds:g}: from 1 to 60")
    if not 0 <= rollouts <= MAX_FILMS:
        raise BadUse(f"--rollouts {rollouts}: from 0 to {MAX_FILMS}")
    if out.suffix != ".html":
        raise BadUse(f"--out {out}: the page is HTML; name it {out.with_suffix('.html')}")
    names = (EXACT,) if exact else models
    if not 1 <= len(names) <= 2:
        raise BadUse(f"report: one model, or two to compare, got {len(names)}")
    if guard and len(names) != 2:
        raise BadUse("--guard compares two models: the one that stands, and the one that is to replace it")
    data = out.with_suffix(".json")
    for file in (out, data):
        check_destination(file, force)
    if any(Path(name).is_file() for name in names):
        return _film(names, out, data)
    folders = [None if exact else resolve_model(name) for name in names]
    with needs("report", "a physics report"):
        from orrery.evaluation.page import page

        chapters = [
            _measure(name, folder, films, seconds, rollouts)
            for name, folder in zip(names, folders, strict=True)
        ]
    facts = [
        ("films", f"{films} of {seconds:g} s, by held-out sentences"),
        ("rollouts", f"{rollouts} free and {rollouts} pushed, from one second of the exact world"),
    ]
    worlds = [{"world": chapter.name, **chapter.report.to_json()} for chapter in chapters]
    record = {"films": films, "seconds": seconds, "rollouts": rollouts, "worlds": worlds}
    write_atomically(data, (json.dumps(record, indent=2) + "\n").encode())
    write_atomically(out, page(chapters, facts).encode())
    for chapter in chapters:
        _show(chapter)
    print(f"{out}: the page; {data}: its figures")
    return _guard(*chapters) if guard else 0


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
    return 0


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


def _measure(name: str, folder: Path | None, films: int, seconds: float, rollouts: int) -> Chapter:
    """All that is told of one world. folder: of its checkpoint; None for the exact world."""
    from orrery.evaluation.films import STREAMS, report_world
    from orrery.evaluation.page import Chapter
    from orrery.evaluation.steering import steering_figures
    from orrery.inference.imagined_world import load_world
    from orrery.worlds.tabletop import TabletopWorld

    further = []
    if rollouts:
        blind = TabletopWorld(streams=STREAMS) if folder is None else load_world(folder, streams=STREAMS)
        with progress_bar(name, "rollouts") as on_step:
            further = steering_figures(blind, rollouts, on_step)
    world = TabletopWorld() if folder is None else load_world(folder)
    with progress_bar(name, "films") as on_step:
        found, moments = report_world(world, films, seconds, on_step, further)
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
