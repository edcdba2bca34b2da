"""Run a source many times and keep what it emits.

Episode i depends on the source and i alone, so the dataset does not depend on how many processes or machines
made it, and a collection that was stopped goes on where it left off.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from orrery.data import layout
from orrery.data.record.execution import Job, Outcome, outcomes
from orrery.data.record.source import Numbered, OnStep, Planned, Request, Source
from orrery.data.record.sources import longest_of, source_of
from orrery.data.writer import finalize, finished_parts, read_episode_rows, read_scenes, write_json
from orrery.errors import BadUse, UserError
from orrery.world import World

__all__ = ["CollectReport", "OtherCollection", "collect"]


class OtherCollection(UserError):
    """The folder holds what was collected otherwise."""


@dataclass
class CollectReport:
    """What a collection did.

    num_episodes: now in the dataset. num_wanted: to be in it in all. num_new: made in this run. dropped:
    episode number to why it failed. skipped: what a source with files of its own left out from the start, and
    why. notes: file to what was chosen or changed in it, and what else is to be told of episodes, with how
    often it was so. world_seconds, encode_seconds: time spent by all workers in the source, and in writing.
    """

    num_episodes: int = 0
    num_wanted: int = 0
    num_new: int = 0
    dropped: dict[int, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    num_bytes: int = 0
    world_seconds: float = 0.0
    encode_seconds: float = 0.0
    stopped: bool = False


def collect(
    world: str | Callable[..., World],
    out: str | Path,
    num_episodes: int | None = None,
    seed: int = 0,
    num_workers: int = 1,
    seconds: float | None = None,
    streams: Sequence[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    progress: bool = True,
    policy: str | None = None,
    cluster: str | None = None,
    sample_rate: int | None = None,
    on_step: OnStep | None = None,
    min_seconds: float | None = None,
) -> CollectReport:
    """Record `num_episodes` episodes of a world, or of another source, into the dataset `out`.

    world: a name from `orrery.worlds.WORLDS`, a prefix and what it takes (see `SOURCES`), or an importable
    factory (see `WorldFactory`). num_episodes: None for all that the source has. streams: names to record,
    None for all; without pictures nothing is drawn. seconds: the longest episode; None for 5, of a recording
    for all of it. policy, sample_rate, min_seconds: see `Request`. cluster: address of a Ray cluster to run
    on, instead of `num_workers` processes here. on_step: called with (episodes done, episodes missing at
    first).

    A folder that already holds part of the same collection is completed; UserError if it holds another. An
    episode in which the source raises is dropped and reported; the run goes on. Ctrl-C and a full disk leave
    a folder that the same call completes.
    """
    seconds = longest_of(world) if seconds is None else seconds
    if num_workers < 1 or seconds <= 0 or (num_episodes is not None and num_episodes < 1):
        given = f"{num_episodes}, {num_workers} and {seconds}"
        raise BadUse(f"num_episodes, num_workers and seconds are above 0, got {given}")
    wanted = tuple(streams) if streams is not None else None
    if min_seconds is not None and not 0 < min_seconds <= seconds:
        raise BadUse(f"min_seconds is above 0 and at most seconds, {seconds:g}, got {min_seconds:g}")
    request = Request(seed, seconds, wanted, image_size, policy, sample_rate, min_seconds)
    report, out = CollectReport(), Path(out)
    try:
        source, settings = _open_folder(source_of(world, request), out, num_episodes, progress)
        unheld = settings["spec"].get("environment", {}).get("left_out", {})
        report.skipped = {**getattr(source, "skipped", {}), **unheld}
        report.num_wanted = _num_wanted(source, num_episodes)
        present = _present(out)
        numbers = source.numbers if isinstance(source, Numbered) else range(report.num_wanted)
        missing = [i for i in numbers[: report.num_wanted] if i not in present]
        runs = outcomes(Job(source, out), missing, num_workers, cluster)
        if on_step is not None:
            on_step(0, len(missing))
        for done, outcome in enumerate(_watched(runs, len(missing), progress), start=1):
            _count(report, outcome)
            if on_step is not None:
                on_step(done, len(missing))
        report.notes = {**getattr(source, "notes", {}), **_noted(out)}
        _write_plan(out, report, unheld)
        report.num_episodes = finalize(out, settings)
    except KeyboardInterrupt:
        report.stopped = True
        report.num_episodes = len(_present(out))
    return report


def _num_wanted(source: Source, num_episodes: int | None) -> int:
    there = source.num_episodes
    if there is None and num_episodes is None:
        raise BadUse("this source has as many episodes as one likes; say how many with --episodes")
    return min(n for n in (there, num_episodes) if n is not None)


def _count(report: CollectReport, outcome: Outcome) -> None:
    if outcome.failure is not None:
        report.dropped[outcome.number] = outcome.failure
        return
    report.num_new += 1
    report.num_bytes += outcome.num_bytes
    report.world_seconds += outcome.world_seconds
    report.encode_seconds += outcome.encode_seconds


def _write_plan(out: Path, report: CollectReport, unheld: Mapping[str, str]) -> None:
    """Write into meta/plan.json what no stream holds, which episodes failed, and what is noted of others."""
    file = out / layout.PLAN_PATH
    plan = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    missing = set(plan.get("dropped", {})) - {str(number) for number in _present(out)}
    dropped = {number: plan["dropped"][number] for number in missing}
    dropped |= {str(number): why for number, why in report.dropped.items()}
    told = {
        "skipped": {**plan.get("skipped", {}), **unheld},
        "dropped": dict(sorted(dropped.items(), key=lambda item: int(item[0]))),
        "notes": report.notes,
    }
    told = {name: values for name, values in told.items() if values or name in plan}
    if told:
        write_json(file, plan | told)


def _noted(out: Path) -> dict[str, str]:
    """What the scenes of the episodes note, and how often."""
    ticks, episodes = Counter[str](), Counter[str]()
    for scene in read_scenes(out):
        noted = scene.get("noted", {})
        ticks.update(noted)
        episodes.update(noted.keys())
    return {what: f"{episodes[what]:,} episodes ({ticks[what]:,} ticks)" for what in sorted(ticks)}


def _open_folder(
    source: Source, out: Path, num_episodes: int | None, progress: bool
) -> tuple[Source, dict[str, Any]]:
    """The source, planned if it needs to be, and the settings of the collection in `out`.

    The settings are checked against what is there; the collection is started if nothing is.
    """
    asked, found = source.settings(), _read_settings(out)
    if found is not None:
        there = found.get("collect", {})
        differing = [
            f"{k} is {there.get(k)!r} there and {asked.get(k)!r} here"
            for k in {**asked, **there}
            if there.get(k) != asked.get(k)
        ]
        if differing:
            raise OtherCollection(
                f"{out} holds another collection: {'; '.join(differing)}; choose another folder"
            )
    elif _holds_something(out):
        raise UserError(f"{out} is not empty and holds no collection; choose another folder")
    else:
        _num_wanted(source, num_episodes or (1 if isinstance(source, Planned) else None))
    for leftover in list(out.rglob(".*.partial")):  # of a run that was killed
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    if isinstance(source, Planned):
        source = _planned(source, out, found is not None, progress)
    settings = found or {"collect": asked, "spec": source.spec().to_json()}
    write_json(out / layout.PART_SETTINGS, settings)
    return source, settings


def _planned(source: Planned, out: Path, is_started: bool, progress: bool) -> Source:
    """The source with the plan of the collection in `out`, made now if it is not started."""
    file = out / layout.PLAN_PATH
    if is_started:
        try:
            return source.with_plan(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({error}); collect anew in another folder") from error
    with _bar("look through", progress) as (bar, task):
        plan = source.plan(
            lambda name: out / layout.PARTS / "seen" / name,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    planned = source.with_plan(plan)
    planned.spec()  # refused before anything is recorded
    write_json(file, plan)
    return planned


def _holds_something(out: Path) -> bool:
    """Whether there is more in `out` than what a run leaves that is killed before its settings are there."""
    files = (file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())
    ours = (f"{layout.PARTS}/seen/", f"{layout.PARTS}/.", "meta/.", layout.PLAN_PATH)
    return any(not name.startswith(ours) for name in files)


def _read_settings(out: Path) -> dict[str, Any] | None:
    if (out / layout.INFO_PATH).is_file():
        return json.loads((out / layout.INFO_PATH).read_text("utf-8")).get("orrery", {})
    if (out / layout.PART_SETTINGS).is_file():
        return json.loads((out / layout.PART_SETTINGS).read_text("utf-8"))
    return None


def _present(out: Path) -> set[int]:
    """Numbers of the episodes that are already there."""
    return {*(row["orrery/number"] for row in read_episode_rows(out)), *finished_parts(out)}


def _watched(runs: Iterator[Outcome], total: int, progress: bool) -> Iterator[Outcome]:
    with _bar("collect", progress) as (bar, task):
        bar.update(task, total=total)
        for outcome in runs:
            if outcome.failure is not None:
                why = outcome.failure.removeprefix(f"episode {outcome.number}: ")
                bar.console.print(f"episode {outcome.number} dropped: {why}")
            bar.advance(task)
            yield outcome


@contextmanager
def _bar(what: str, progress: bool) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        yield bar, bar.add_task(what, total=None)
