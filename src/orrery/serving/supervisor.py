"""Keeps one worker process running: starts it again when it dies, ends it over a film that takes too long."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orrery.serving.jobs import Jobs

__all__ = ["Supervisor"]

LOOK_SECONDS = 0.2
MAX_PAUSE_SECONDS = 30.0
"""Between two starts at most, of a worker that dies again and again."""


class Supervisor:
    """The worker of a folder of jobs. sources: of each model by its name. max_job_seconds: of one film.
    credentials: a file with which films are signed, see `orrery.media.credentials`.

    `start` and `stop` from one thread; `wake` from any.
    """

    def __init__(
        self, jobs: Jobs, sources: Mapping[str, str], max_job_seconds: float, credentials: Path | None = None
    ) -> None:
        self._jobs, self._sources, self._max_job_seconds = jobs, dict(sources), max_job_seconds
        self._credentials = credentials
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="orrery-supervisor", daemon=True)
        self.num_restarts = 0

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._spawn()
        self._thread.start()

    def stop(self) -> None:
        """End the worker; a film that is half done is made at the next start."""
        self._stopping.set()
        self._thread.join()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wake(self) -> None:
        """There is a job."""
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):  # it has just died, and looks by itself when it starts again
                process.stdin.write(b"\n")
                process.stdin.flush()

    def _spawn(self) -> None:
        sources = json.dumps(self._sources)
        command = [sys.executable, "-m", "orrery.serving.worker", str(self._jobs.folder), sources]
        command += [] if self._credentials is None else [str(self._credentials)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def _watch(self) -> None:
        pause, started = LOOK_SECONDS, time.monotonic()
        while not self._stopping.wait(LOOK_SECONDS):
            if self.is_up:
                with suppress(sqlite3.Error):  # the disk may be full for a while
                    self._end_what_takes_too_long()
                continue
            with suppress(sqlite3.Error):
                self._jobs.worker_died()
            if time.monotonic() - started > MAX_PAUSE_SECONDS:
                pause = LOOK_SECONDS
            if self._stopping.wait(pause):
                return
            pause, started = min(2 * pause, MAX_PAUSE_SECONDS), time.monotonic()
            self.num_restarts += 1
            self._spawn()

    def _end_what_takes_too_long(self) -> None:
        job = self._jobs.running()
        if job is None or job.started_at is None or time.time() - job.started_at < self._max_job_seconds:
            return
        limit = f"making it took longer than {self._max_job_seconds:g} s; ask for a shorter or smaller film"
        if self._jobs.fail(job.id, "too_long", limit) and self._process is not None:
            self._process.kill()
            self._process.wait()
