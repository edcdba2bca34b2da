"""Where episodes are made: in this process, in several on this machine, or on the machines of a Ray cluster.

Every way makes the same bytes, for an episode follows from the source and its number alone.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from orrery.data.record.source import Closable, Source
from orrery.data.writer import adopt_part, read_part, write_part
from orrery.errors import BadUse, UserError

__all__ = ["Job", "Outcome", "outcomes"]


ANSWER_SECONDS = 10.0
CLOSING_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; picklable. out: the dataset's folder."""

    source: Source
    out: Path


@dataclass(frozen=True)
class Outcome:
    """What became of episode `number`. failure: why it was dropped."""

    number: int
    num_bytes: int = 0
    world_seconds: float = 0.0
    encode_seconds: float = 0.0
    failure: str | None = None


def outcomes(job: Job, numbers: Sequence[int], num_workers: int, cluster: str | None) -> Iterator[Outcome]:
    """Make the episodes `numbers`, each an outcome as it is done.

    What the source raises costs an episode, what the disk raises, or a policy that does not fit, the run.
    cluster: address of a Ray cluster, or None for `num_workers` processes here.
    """
    if cluster is not None:
        return _on_cluster(job, numbers, cluster)
    return _here(job, numbers) if num_workers == 1 else _in_processes(job, numbers, num_workers)


def _here(job: Job, numbers: Sequence[int]) -> Iterator[Outcome]:
    _take_job(job)
    try:
        for number in numbers:
            yield _make_episode(number)
    finally:
        _close_recorder()


def _in_processes(job: Job, numbers: Sequence[int], num_workers: int) -> Iterator[Outcome]:
    pool = ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(job,)
    )
    waiting, running = iter(numbers), set[Future[Outcome]]()
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


def _on_cluster(job: Job, numbers: Sequence[int], address: str) -> Iterator[Outcome]:
    """Tasks make episodes in folders of their own and send the files; only this process writes the dataset.

    A task whose machine dies is run again elsewhere. Its episode comes out the same, and is kept once.
    """
    ray: Any = importlib.import_module("ray")  # brought by an extra

    make = ray.remote(max_retries=-1, num_cpus=1)(_made_elsewhere)
    with _cluster(address):
        source, running = ray.put(job.source), list[Any]()
        capacity = max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
        try:
            for number in numbers:
                running.append(make.remote(source, number))
                if len(running) >= capacity:
                    yield _received(job, running)
            while running:
                yield _received(job, running)
        finally:
            for task in running:
                ray.cancel(task)


def _received(job: Job, running: list[Any]) -> Outcome:
    """Wait for one of the tasks `running`, which leaves the list, and keep what it made."""
    ray: Any = importlib.import_module("ray")  # brought by an extra

    (finished,), rest = ray.wait(running, num_returns=1)
    outcome, files = ray.get(finished)
    running[:] = rest
    if outcome.failure is None:
        adopt_part(job.out, outcome.number, files)
    return outcome


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """A connection to a Ray cluster; its failures become UserErrors."""
    ray: Any = importlib.import_module("ray")  # brought by an extra

    started_here = not ray.is_initialized()
    try:
        if started_here:
            _call(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        yield
    except ray.exceptions.RayTaskError as problem:
        cause = problem.cause
        raise cause if isinstance(cause, UserError) else problem from None
    except (ray.exceptions.RayError, ConnectionError) as problem:
        told = str(problem).strip().splitlines()[:1] or [repr(problem)]
        raise UserError(
            f"the Ray cluster at {address!r} fails ({told[0]}); run the same command again to go on"
        ) from problem
    finally:
        if started_here:
            ray.shutdown()


def _call(address: str) -> None:
    """Raises ConnectionError where nothing answers at `host:port`: Ray would go on asking for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as problem:
        raise ConnectionError(f"nothing answers there: {problem}") from problem


_worker: dict[str, Any] = {}
"""This process's job and its one recorder, made on first use."""


def _start_worker(job: Job) -> None:
    """In a process of its own, which ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent lets the current episode finish
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _take_job(job)


def _take_job(job: Job) -> None:
    _close_recorder()
    _worker["job"] = job


@atexit.register
def _close_recorder() -> None:
    """Let go of the recorder, if there is one. What it raises costs nothing: its episodes are written."""
    recorder = _worker.pop("recorder", None)
    if isinstance(recorder, Closable):
        with suppress(Exception):
            recorder.close()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """End this process when its parent has: a killed collection must leave no processes behind."""
    parent.join()
    closing = threading.Thread(target=_close_recorder, daemon=True)
    closing.start()
    closing.join(CLOSING_SECONDS)
    os._exit(1)


def _made_elsewhere(source: Source, number: int) -> tuple[Outcome, dict[str, bytes]]:
    """An episode's part as file names and contents."""
    with tempfile.TemporaryDirectory(prefix="orrery-") as folder:
        job = cast("Job | None", _worker.get("job"))
        if job is None or job.source != source:
            _take_job(Job(source, Path(folder)))
        else:
            _worker["job"] = Job(source, Path(folder))
        outcome = _make_episode(number)
        return outcome, {} if outcome.failure is not None else read_part(Path(folder), number)


def _make_episode(number: int) -> Outcome:
    """Record and write one episode."""
    job = cast(Job, _worker["job"])
    started = time.perf_counter()
    try:
        recorder = _worker.get("recorder") or _worker.setdefault("recorder", job.source.open())
        episode = recorder.episode(number)
        episode.check()
    except BadUse:  # it would be wrong in every episode
        raise
    except Exception as problem:
        _close_recorder()  # it may be half-way through something
        return Outcome(number, failure=_failure_words(problem))
    recorded = time.perf_counter()
    num_bytes = write_part(job.out, number, episode)
    return Outcome(number, num_bytes, recorded - started, time.perf_counter() - recorded)


def _failure_words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, UserError) else f"{type(problem).__name__}: {problem}"
