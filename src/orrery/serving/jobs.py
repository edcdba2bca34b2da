"""Films that were asked for, in SQLite: what is accepted stays, whatever dies, and is done once.

A job's id is ours, and so are the names of its files in the folder. Whoever holds the folder's lock of the
worker is the only one that makes films, so a job that is in progress when the lock is taken was left behind.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from orrery.errors import UserError

__all__ = ["MAX_CRASHES", "STATUSES", "FilmSpec", "Job", "Jobs", "Status"]

Status = Literal["queued", "in_progress", "completed", "failed"]
STATUSES: tuple[Status, ...] = ("queued", "in_progress", "completed", "failed")
MAX_CRASHES = 3
"""Times that the worker may die over one job before the job has failed."""
_MADE = (".mp4", ".json", ".webp", ".jpg")
"""Files that the worker makes; `.png` is the picture to start from, which is there before the job is."""

_VERSION = 1
"""Of the table and of what a request holds; a folder of another one is refused."""
_SCHEMA = f"""
pragma user_version = {_VERSION};
create table if not exists jobs (
    number integer primary key autoincrement,
    id text not null unique,
    request text not null,
    kept integer not null,
    status text not null default 'queued',
    progress integer not null default 0,
    created_at real not null,
    started_at real,
    completed_at real,
    error_code text,
    error text,
    crashes integer not null default 0
);
create index if not exists by_status on jobs (status, number);
"""


@dataclass(frozen=True)
class FilmSpec:
    """A film that was asked for, all of it decided. model: its name. prompt: empty for none. size: width and
    height. has_picture: whether it starts from one. user: given back as it came."""

    model: str
    prompt: str
    seconds: float
    size: tuple[int, int]
    seed: int
    generate_sound: bool
    has_picture: bool = False
    user: str | None = None


@dataclass(frozen=True)
class Job:
    """One film. Times are Unix seconds. kept: until it is deleted; one that was asked for synchronously is
    not."""

    number: int
    id: str
    film: FilmSpec
    kept: bool
    status: Status
    progress: int
    created_at: float
    started_at: float | None
    completed_at: float | None
    error_code: str | None
    error: str | None
    crashes: int

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed")


class Jobs:
    """The jobs of a folder, which is made. Any number of processes and threads may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._database() as database:
                (version,), (num_tables,) = (
                    database.execute(query).fetchone()
                    for query in ("pragma user_version", "select count(*) from sqlite_master")
                )
                if num_tables and version != _VERSION:
                    raise UserError(
                        f"{folder}: its jobs are of another version of Orrery; choose another --data"
                    )
                database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{folder}: jobs cannot be kept there ({error}); choose another --data"
            ) from error

    def file(self, job_id: str, suffix: str) -> Path:
        """Where a file of a job is: `.mp4`, `.json`, `.webp` (thumbnail), `.jpg` (spritesheet), `.png` (the
        picture that it starts from)."""
        return self.folder / f"{job_id}{suffix}"

    @contextmanager
    def lock(self, name: str, wait: bool) -> Iterator[None]:
        """Hold the folder's lock `name`; UserError where another process does and `wait` is false."""
        with (self.folder / f"{name}.lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise UserError(f"{self.folder} is used by another server; choose another --data") from error
            yield

    # ---- what the server does ------------------------------------------------------------------------------

    def new_id(self) -> str:
        return f"video_{secrets.token_hex(16)}"

    def accept(self, job_id: str, film: FilmSpec, kept: bool = True) -> Job:
        """Queue a job; once this returns it will be done, also after a crash if it is kept."""
        with self._database() as database:
            database.execute(
                "insert into jobs (id, request, kept, created_at) values (?, ?, ?, ?)",
                (job_id, json.dumps(asdict(film)), kept, time.time()),
            )
        job = self.get(job_id)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job | None:
        return self._first("where id = ?", job_id)

    def page(self, after: str | None, limit: int, newest_first: bool) -> tuple[list[Job], bool]:
        """At most `limit` kept jobs in order of their acceptance, from the one behind `after` on, and whether
        there are more. KeyError where there is no job `after`."""
        where, arguments = "where kept", list[Any]()
        if after is not None:
            last = self.get(after)
            if last is None:
                raise KeyError(after)
            where += f" and number {'<' if newest_first else '>'} ?"
            arguments.append(last.number)
        order = f"order by number {'desc' if newest_first else 'asc'} limit ?"
        found = self._all(f"{where} {order}", *arguments, limit + 1)
        return found[:limit], len(found) > limit

    def counts(self) -> dict[Status, int]:
        """How many jobs there are of each status."""
        with self._database() as database:
            found = dict(database.execute("select status, count(*) from jobs group by status").fetchall())
        return {status: found.get(status, 0) for status in STATUSES}

    def delete(self, job_id: str) -> bool:
        """Forget a job and its files, also while it is made; whether there was one."""
        with self._database() as database:
            gone = database.execute("delete from jobs where id = ?", (job_id,)).rowcount == 1
        if gone:
            self.remove_files(job_id)
        return gone

    def remove_files(self, job_id: str) -> None:
        for suffix in (*_MADE, ".png"):
            self.file(job_id, suffix).unlink(missing_ok=True)

    def forget_unkept(self) -> None:
        """Forget jobs that nobody waits for any more, after a restart."""
        for job in self._all("where not kept"):
            self.delete(job.id)

    def running(self) -> Job | None:
        return self._first("where status = 'in_progress'")

    def worker_died(self) -> None:
        """The worker died over the job in progress, if any: it goes back into the queue, or has failed."""
        job = self.running()
        if job is None:
            return
        if job.crashes + 1 >= MAX_CRASHES:
            self.fail(job.id, "crashed", f"the process that made it died {MAX_CRASHES} times")
            return
        self._change(job.id, "status = 'queued', progress = 0, crashes = crashes + 1")

    # ---- what the worker does ------------------------------------------------------------------------------

    def recover(self) -> None:
        """Put back what a worker left behind that was stopped from outside, and remove the halves of its
        files and those of jobs that are gone. The lock must be held."""
        with self._database() as database:
            database.execute("update jobs set status = 'queued', progress = 0 where status = 'in_progress'")
            known = {row["id"] for row in database.execute("select id from jobs")}
        for path in self.folder.glob("video_*"):
            if path.suffix in _MADE and path.stem not in known:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".video_*.partial"):
            path.unlink(missing_ok=True)

    def claim(self) -> Job | None:
        """The oldest job of the queue, now in progress. The lock must be held."""
        job = self._first("where status = 'queued' order by number limit 1")
        if job is None or not self._change(job.id, "status = 'in_progress', started_at = ?", time.time()):
            return None
        return job

    def report(self, job_id: str, progress: int) -> bool:
        """How far a job is, in percent; False where it is no longer wanted."""
        return self._change(job_id, "progress = ?", progress)

    def complete(self, job_id: str) -> bool:
        return self._change(job_id, "status = 'completed', progress = 100, completed_at = ?", time.time())

    def fail(self, job_id: str, code: str, error: str) -> bool:
        what = "status = 'failed', completed_at = ?, error_code = ?, error = ?"
        return self._change(job_id, what, time.time(), code, error)

    # ---- the database --------------------------------------------------------------------------------------

    def _change(self, job_id: str, what: str, *values: Any) -> bool:
        """Change a job that is not over; whether there was one."""
        over = "status not in ('completed', 'failed')"
        with self._database() as database:
            done = database.execute(f"update jobs set {what} where id = ? and {over}", (*values, job_id))
            return done.rowcount == 1

    def _first(self, where: str, *arguments: Any) -> Job | None:
        return next(iter(self._all(where, *arguments)), None)

    def _all(self, where: str, *arguments: Any) -> list[Job]:
        with self._database() as database:
            rows = database.execute(f"select * from jobs {where}", arguments).fetchall()
        return [_job(dict(row)) for row in rows]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for one transaction, which is on the disk when this ends."""
        database = sqlite3.connect(self.folder / "jobs.sqlite", timeout=30.0)
        try:
            database.row_factory = sqlite3.Row
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            with database:
                yield database
        finally:
            database.close()


def _job(row: dict[str, Any]) -> Job:
    film = json.loads(row.pop("request"))
    return Job(film=FilmSpec(**{**film, "size": tuple(film["size"])}), **{**row, "kept": bool(row["kept"])})
