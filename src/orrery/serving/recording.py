"""A session filmed while it is played: an MP4, and a sidecar from which it can be played again."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from orrery import __version__
from orrery.errors import BadUse, UserError
from orrery.media import FilmSound, FilmWriter, side_by_side
from orrery.serving.session import Action, Session, Tick
from orrery.streams import Array

__all__ = ["MAX_SECONDS", "Recording"]

MAX_SECONDS = 600.0
"""Of one recording; it stops there by itself."""
SMALLEST_HEIGHT = 256
"""Smaller pictures are enlarged, pixel by pixel, so that a player shows them as they were."""


class Recording:
    """Films ticks until it is finished. The files lie in a temporary folder that `discard` removes."""

    def __init__(self, session: Session, about: dict[str, Any]) -> None:
        spec = session.world.spec
        videos = spec.of_kind("video")
        if not videos:
            raise UserError("this world has no pictures to record")
        self._video, self._spec = videos[0].name, spec
        self._sound = next((stream.name for stream in spec.of_kind("audio")), None)
        self._beside = session.beside is not None
        self._about = about
        self._num_ticks = 0
        self._first: int | None = None
        self._stack = ExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="orrery-play-", ignore_cleanup_errors=True)
        self.film = Path(self._folder.name) / "film.mp4"
        self._fit = FilmSound(spec.clock.samples_per_second) if self._sound else None
        self._writer: FilmWriter | None = None

    @property
    def seconds(self) -> float:
        return self._num_ticks * self._spec.clock.tick_seconds

    @property
    def is_full(self) -> bool:
        return self.seconds >= MAX_SECONDS

    def add(self, tick: Tick) -> None:
        """Append a tick."""
        frames = tick.observation[self._video]
        if self._beside and tick.beside is not None and self._video in tick.beside:
            frames = side_by_side(frames, tick.beside[self._video])
        frames = _enlarged(frames)
        if self._writer is None:
            size = (frames.shape[1], frames.shape[2])
            rate = self._fit.samples_per_second if self._fit else None
            writer = FilmWriter(self.film, self._spec.clock.frames_per_second, rate, size)
            self._writer = self._stack.enter_context(writer)
            self._first = tick.number
        self._writer.write(frames, self._samples(tick))
        self._num_ticks += 1

    def finish(self, session: Session) -> None:
        """Complete the film and write its sidecar. BadUse for one without a tick."""
        if self._writer is None:
            raise BadUse("nothing was recorded: no tick went by")
        if self._fit is not None:
            self._writer.write(np.zeros((0, *self._writer.size, 3), np.uint8), self._fit.rest())
        self._stack.close()
        values = {"orrery": __version__, **self._about, **self._played(session)}
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        self.film.with_suffix(".json").write_text(text + "\n", "utf-8")

    def discard(self) -> None:
        """Remove the files."""
        with suppress(UserError, ValueError):  # such as a disk that is full: the film goes anyway
            self._stack.close()
        self._folder.cleanup()

    def _played(self, session: Session) -> dict[str, Any]:
        """How to come to this film again: the start, and all that was done since."""
        start = session.start
        assert start is not None
        return {
            "clock": vars(self._spec.clock).copy(),
            "seed": start.seed,
            "prompt": start.prompt,
            "beside": self._beside,
            "first_tick": self._first,
            "num_ticks": self._num_ticks,
            "seconds": self.seconds,
            "actions": [_plain_action(done.action) for done in session.done],
            "sentences": [[tick, said] for tick, done in enumerate(session.done) for said in done.sentences],
        }

    def _samples(self, tick: Tick) -> Array | None:
        if self._sound is None or self._fit is None:
            return None
        samples = tick.observation.get(self._sound)
        if samples is None:  # a mark's tick, shown after going back, is silent
            samples = self._spec.streams[self._sound].zeros()
        return self._fit.resampled(samples)


def _enlarged(frames: Array) -> Array:
    """Each pixel as a square, up to `SMALLEST_HEIGHT` and more."""
    times = max(1, -(-SMALLEST_HEIGHT // frames.shape[1]))
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def _plain_action(action: Action | None) -> dict[str, list[float]] | None:
    return None if action is None else {name: value.ravel().tolist() for name, value in action.items()}
