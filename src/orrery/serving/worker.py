"""The process that makes the films: one job after the other, until the server that started it is gone.

It is started with the folder of the jobs and a table of the models, each of which is opened when it is first
asked for. A line on its standard input wakes it;
the end of that input, which comes when the server dies in whatever way, ends it at once.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from orrery.errors import UserError
from orrery.inference.generate import make_film
from orrery.media import iterate_film
from orrery.serving.jobs import Job, Jobs
from orrery.serving.models import Model, open_models
from orrery.streams import Array

__all__ = ["main", "work_once"]

SHEET_COLUMNS = SHEET_ROWS = 4
"""Pictures of a spritesheet, evenly spaced in time."""
PAUSE_SECONDS = 5.0
NICENESS = 5
"""Films give way to live worlds, and are not starved by a busy machine."""
CELL_SIZE = 256
"""Pixels of the longer side of one of them at most."""


SignFilm = Callable[[Path, Mapping[str, Any], bool], None]
"""See `orrery.media.credentials.sign_film`."""


class _NotWanted(Exception):
    """The job was deleted, or ended from outside, while it was made."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Work until standard input ends. arguments: the folder of the jobs, and JSON of name to source of each
    model; and the file of the credentials with which films are signed, if they are."""
    folder, sources, *credentials = sys.argv[1:] if arguments is None else arguments
    import torch

    torch.set_num_threads(1)  # small passes gain little from a second thread
    os.nice(NICENESS)
    wake = threading.Event()
    threading.Thread(target=_listen, args=(wake,), daemon=True).start()
    jobs = Jobs(Path(folder))
    with jobs.lock("worker", wait=True):  # the worker of a server that was killed may be about to end
        opened = functools.cache(functools.partial(_opened, json.loads(sources)))
        sign = _signing(credentials[0]) if credentials else None
        while True:
            try:
                jobs.recover()
                while True:
                    wake.clear()
                    if not work_once(jobs, opened, sign):
                        wake.wait(PAUSE_SECONDS)
            except (sqlite3.Error, OSError) as error:  # the disk may be full for a while
                print(f"{folder}: jobs cannot be kept ({error}); trying again", file=sys.stderr, flush=True)
                time.sleep(PAUSE_SECONDS)


def _listen(wake: threading.Event) -> None:
    for _ in sys.stdin.buffer:
        wake.set()
    os._exit(0)  # the server is gone; what is half done will be done again


def _opened(sources: Mapping[str, str], name: str) -> Model:
    if name not in sources:
        raise UserError(f"the model {name!r} is no longer served here")
    return open_models([sources[name]])[name]


def _signing(credentials: str) -> SignFilm:
    from orrery.media.credentials import read_credentials, sign_film  # of an extra

    return functools.partial(sign_film, credentials=read_credentials(credentials))


def work_once(
    jobs: Jobs,
    opened: Callable[[str], Model],
    sign: SignFilm | None = None,
) -> bool:
    """Do the oldest job of the queue; False where there is none. opened: the model of a name. sign: called
    with each film."""
    job = jobs.claim()
    if job is None:
        return False
    try:
        _make(jobs, job, opened, sign)
    except _NotWanted:
        jobs.remove_files(job.id)
    except UserError as error:
        jobs.fail(job.id, "cannot_be_made", str(error))
    except OSError as error:
        jobs.remove_files(job.id)  # the room of its halves may be what is missing
        jobs.fail(job.id, "cannot_be_written", f"its files cannot be written ({error.strerror or error})")
    except sqlite3.Error:  # whether it was done is not known; it is made again
        raise
    except MemoryError:
        jobs.fail(job.id, "out_of_memory", "the film needs more memory than there is; ask for a smaller one")
    except Exception as error:  # whatever it is, the jobs behind it are done
        print(f"job {job.id}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        jobs.fail(job.id, "internal", f"an error of this program: {type(error).__name__}")
    return True


def _make(
    jobs: Jobs,
    job: Job,
    opened: Callable[[str], Model],
    sign: SignFilm | None,
) -> None:
    asked, film = job.film, jobs.file(job.id, ".mp4")
    model = opened(asked.model)
    percent = functools.partial(_report, jobs, job.id)
    about = {**model.playable.about, "model": asked.model}
    made = make_film(
        model.film_world(asked.size, asked.generate_sound),
        asked.prompt or None,
        asked.seconds,
        asked.seed,
        film,
        image=jobs.file(job.id, ".png") if asked.has_picture else None,
        force=True,  # left by a worker that was killed before it could say so
        on_tick=percent,
        sidecar_values=about,
    )
    if sign is not None:
        said = {"title": asked.prompt or asked.model, "prompt": asked.prompt, "seed": asked.seed, **about}
        sign(film, said, model.playable.kind == "imagined")
    num_frames = round(made.seconds * model.spec.clock.frames_per_second)
    _save_stills(film, num_frames, jobs.file(job.id, ".webp"), jobs.file(job.id, ".jpg"))
    if not jobs.complete(job.id):
        raise _NotWanted


def _report(jobs: Jobs, job_id: str, done: int, total: int) -> None:
    if not jobs.report(job_id, min(99, 100 * done // total)):
        raise _NotWanted


def _save_stills(film: Path, num_frames: int, thumbnail: Path, sheet: Path) -> None:
    """The film's middle as a thumbnail, and `SHEET_ROWS * SHEET_COLUMNS` of its frames as one picture."""
    chosen = np.linspace(0, num_frames - 1, SHEET_ROWS * SHEET_COLUMNS).round().astype(int).tolist()
    cells: dict[int, Array] = {}
    for number, (frame, _) in enumerate(iterate_film(film)):
        if number == num_frames // 2:
            Image.fromarray(frame).save(thumbnail, "WEBP", quality=90)
        if number in chosen:
            cell = Image.fromarray(frame)
            cell.thumbnail((CELL_SIZE, CELL_SIZE))
            cells[number] = np.asarray(cell)
    rows = [np.concatenate([cells[i] for i in row], axis=1) for row in np.split(np.array(chosen), SHEET_ROWS)]
    Image.fromarray(np.concatenate(rows)).save(sheet, "JPEG", quality=90)


if __name__ == "__main__":
    main()
