"""Run a world many times and keep what it emits.

Episode i depends on (seed, i) alone, so the data set does not depend on how many processes made it, and a
collection that was stopped goes on where it left off.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orrery.data import layout
from orrery.data.writer import finalize, finished_parts, write_json, write_part
from orrery.errors import BadUse, UserError
from orrery.streams import Array, Episode, Observation, WorldSpec
from orrery.world import Describable, World
from orrery.worlds import world_factory

__all__ = ["CollectReport", "Scripted", "collect", "episode_seed", "record"]


@runtime_checkable
class Scripted(Protocol):
    """A world that plans its own action, such as a finger that pushes."""

    def scripted_action(self) -> Array:
        """`[B, A]`: the action for the coming tick."""
        ...


@dataclass
class CollectReport:
    """What a collection did.

    num_episodes: now in the data set. num_new: made in this run. dropped: episode number to why it failed.
    world_seconds, encode_seconds: time spent by all workers in the world, and in writing.
    """

    num_episodes: int = 0
    num_new: int = 0
    dropped: dict[int, str] = field(default_factory=dict)
    num_bytes: int = 0
    world_seconds: float = 0.0
    encode_seconds: float = 0.0
    stopped: bool = False


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know; picklable."""

    factory: str | Callable[..., World]
    out: Path
    seed: int
    seconds: float
    streams: tuple[str, ...] | None
    image_size: int

    def make_world(self, every_stream: bool = False) -> World:
        factory = world_factory(self.factory) if isinstance(self.factory, str) else self.factory
        streams = None if every_stream else self.streams
        return factory(num_worlds=1, streams=streams, image_size=self.image_size)


@dataclass(frozen=True)
class _Outcome:
    number: int
    num_bytes: int = 0
    world_seconds: float = 0.0
    encode_seconds: float = 0.0
    failure: str | None = None


def episode_seed(seed: int, number: int) -> int:
    """The world's seed for episode `number` of a collection: a 63-bit hash of (seed, number)."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def record(world: World, seed: int, seconds: float) -> Episode:
    """One episode of world 0 of a batch of one, under its own script if it has one.

    The `action` stream holds the action in force during each tick.
    """
    num_ticks = world.spec.clock.num_ticks(seconds)
    ticks: list[Observation] = [world.reset(seed=seed)]
    for _ in range(num_ticks - 1):
        action = world.scripted_action() if isinstance(world, Scripted) else None
        ticks.append(world.step(action))
    streams = {name: np.stack([tick[name][0] for tick in ticks]) for name in world.spec.streams}
    text: Callable[[int], str] | None = getattr(world, "text", None)
    episode = Episode(world.spec, streams, text=text(0) if text else "", seed=seed)
    if isinstance(world, Describable):
        episode.events, episode.scene = world.events(0), world.scene(0)
    return episode


def collect(
    world: str | Callable[..., World],
    out: str | Path,
    num_episodes: int,
    seed: int = 0,
    num_workers: int = 1,
    seconds: float = 5.0,
    streams: Sequence[str] | None = None,
    image_size: int = 128,
    progress: bool = True,
) -> CollectReport:
    """Record `num_episodes` episodes of a world into the data set `out`.

    world: a name from `orrery.worlds.WORLDS`, or an importable factory (see `WorldFactory`).
    streams: names to record, None for all; without `video.main` nothing is drawn.
    A folder that already holds part of the same collection is completed; UserError if it holds another. An
    episode in which the world raises is dropped and reported; the run goes on. Ctrl-C and a full disk leave
    a folder that the same call completes.
    """
    if num_episodes < 1 or num_workers < 1 or seconds <= 0:
        given = f"{num_episodes}, {num_workers} and {seconds}"
        raise BadUse(f"num_episodes, num_workers and seconds are above 0, got {given}")
    job = _Job(world, Path(out), seed, seconds, tuple(streams) if streams is not None else None, image_size)
    settings = _open_folder(job)
    present = _present(job.out)
    missing = [i for i in range(num_episodes) if i not in present]
    report = CollectReport()
    try:
        for outcome in _outcomes(job, missing, num_workers, progress):
            _count(report, outcome)
        report.num_episodes = finalize(job.out, settings)
    except KeyboardInterrupt:
        report.stopped = True
        report.num_episodes = len(_present(job.out))
    return report


def _count(report: CollectReport, outcome: _Outcome) -> None:
    if outcome.failure is not None:
        report.dropped[outcome.number] = outcome.failure
        return
    report.num_new += 1
    report.num_bytes += outcome.num_bytes
    report.world_seconds += outcome.world_seconds
    report.encode_seconds += outcome.encode_seconds


def _open_folder(job: _Job) -> dict[str, Any]:
    """Settings of the collection in `job.out`, checked against what is there; starts it if nothing is."""
    name = (
        job.factory
        if isinstance(job.factory, str)
        else f"{job.factory.__module__}:{job.factory.__qualname__}"
    )
    asked = {
        "world": name,
        "seed": job.seed,
        "seconds": job.seconds,
        "streams": list(job.streams) if job.streams is not None else None,
        "image_size": job.image_size,
    }
    found = _read_settings(job.out)
    if found is not None:
        there = found.get("collect", {})
        differing = [
            f"{k} is {there.get(k)!r} there and {v!r} here" for k, v in asked.items() if there.get(k) != v
        ]
        if differing:
            raise UserError(
                f"{job.out} holds another collection: {'; '.join(differing)}; choose another folder"
            )
    elif job.out.exists() and _holds_something(job.out):
        raise UserError(f"{job.out} is not empty and holds no collection; choose another folder")
    settings = found or {"collect": asked, "spec": _checked_spec(job).to_json()}
    for leftover in list(job.out.rglob(".*.partial")):  # of a run that was killed
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    write_json(job.out / layout.PART_SETTINGS, settings)
    return settings


def _holds_something(out: Path) -> bool:
    """Whether there is more in `out` than what a run leaves that is killed before its settings are there."""
    return any(
        not (p.name.startswith(".") and p.name.endswith(".partial")) for p in out.rglob("*") if p.is_file()
    )


def _checked_spec(job: _Job) -> WorldSpec:
    """The world's spec; BadUse if it lacks a stream that was asked for."""
    spec = job.make_world().spec
    unknown = set(job.streams or ()) - set(spec.streams) - {"text"}
    if unknown:
        known = ", ".join(job.make_world(every_stream=True).spec.streams)
        raise BadUse(f"the world has no stream {', '.join(sorted(unknown))}; it has {known}")
    return spec


def _read_settings(out: Path) -> dict[str, Any] | None:
    if (out / layout.INFO_PATH).is_file():
        return json.loads((out / layout.INFO_PATH).read_text("utf-8")).get("orrery", {})
    if (out / layout.PART_SETTINGS).is_file():
        return json.loads((out / layout.PART_SETTINGS).read_text("utf-8"))
    return None


def _present(out: Path) -> set[int]:
    """Numbers of the episodes that are already there."""
    import pyarrow.parquet as pq

    moved = [
        number
        for file in (out / "meta/episodes").glob("chunk-*/file-*.parquet")
        for number in pq.ParquetFile(file).read(columns=["orrery/number"])[0].to_pylist()
    ]
    return {*moved, *finished_parts(out)}


def _outcomes(job: _Job, numbers: Sequence[int], num_workers: int, progress: bool) -> Iterator[_Outcome]:
    columns = (TextColumn("collect"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("collect", total=len(numbers))
        runs = _run_here(job, numbers) if num_workers == 1 else _run_in_processes(job, numbers, num_workers)
        for outcome in runs:
            if outcome.failure is not None:
                bar.console.print(f"episode {outcome.number} dropped: {outcome.failure}")
            bar.advance(task)
            yield outcome


def _run_here(job: _Job, numbers: Sequence[int]) -> Iterator[_Outcome]:
    _start_worker(job, ignore_interrupt=False)
    for number in numbers:
        yield _make_episode(number)


def _run_in_processes(job: _Job, numbers: Sequence[int], num_workers: int) -> Iterator[_Outcome]:
    pool = ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(job,)
    )
    waiting, running = iter(numbers), set[Future[_Outcome]]()
    try:
        while True:
            for number in waiting:
                running.add(pool.submit(_make_episode, number))
                if len(running) >= 2 * num_workers:
                    break
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from sorted((f.result() for f in finished), key=lambda outcome: outcome.number)
    except BrokenProcessPool as problem:
        raise UserError(
            f"a worker process died ({problem}); run the same command again to go on"
        ) from problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: dict[str, Any] = {}
"""This process's job and its one world, made on first use."""


def _start_worker(job: _Job, ignore_interrupt: bool = True) -> None:
    if ignore_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent lets the current episode finish
    _worker.clear()
    _worker["job"] = job


def _make_episode(number: int) -> _Outcome:
    """Record and write one episode. What the world raises costs it; what the disk raises, the run."""
    job = cast(_Job, _worker["job"])
    started = time.perf_counter()
    try:
        world = _worker.get("world") or _worker.setdefault("world", job.make_world())
        episode = record(world, episode_seed(job.seed, number), job.seconds)
        episode.check()
    except Exception as problem:
        _worker.pop("world", None)  # it may be half-way through something
        return _Outcome(number, failure=f"{type(problem).__name__}: {problem}")
    recorded = time.perf_counter()
    num_bytes = write_part(job.out, number, episode)
    return _Outcome(number, num_bytes, recorded - started, time.perf_counter() - recorded)
