"""A film watched from begin to end, in bounded memory: every question put to it, and what decides whether the
answers count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from orrery.evaluation.film.blobs import Blob, blobs
from orrery.evaluation.film.camera import STANDING
from orrery.evaluation.film.fading import fading
from orrery.evaluation.film.identity import (
    CHANGES,
    COLOUR,
    GROWTH,
    TEXTURE,
    Shape,
    changes,
    growth,
    is_solid,
    looks,
)  # fmt: skip
from orrery.evaluation.film.paths import MOVING_PX, path_of
from orrery.evaluation.film.physics import BOUNCE, FALL, STARTS, bounces, falls, hits, is_flight, starts
from orrery.evaluation.film.picture import FLICKER, STOPS, TRENDS, Steadiness, trend
from orrery.evaluation.film.plate import Plate
from orrery.evaluation.film.pops import POPS, pops
from orrery.evaluation.film.question import Answer, Answers, Question
from orrery.evaluation.film.revisits import RETURNED, REVISIT, Revisits
from orrery.evaluation.film.sound import (
    CLEAR,
    MAX_ONSETS_PER_SECOND,
    OFFSET,
    PHANTOM,
    SILENT,
    Hit,
    Sound,
    is_of_contacts,
    offset,
    phantoms,
    silent,
)  # fmt: skip
from orrery.evaluation.film.stretch import MAX_PIXELS, Stretch, sized, stretches
from orrery.evaluation.film.tracks import Track, Tracker
from orrery.media.display import letterboxed
from orrery.media.reader import FilmHeader, film_header, iterate_pictures, iterate_sound
from orrery.streams import Array

__all__ = ["QUESTIONS", "Flight", "Watched", "watch"]

QUESTIONS: tuple[Question, ...] = (
    CHANGES, COLOUR, TEXTURE, GROWTH, REVISIT, RETURNED, FALL, BOUNCE, STARTS, STOPS, POPS, FLICKER, *TRENDS,
    OFFSET, SILENT, PHANTOM,
)  # fmt: skip
LEAST_TRACK = 4
MAX_HITS = 20_000
CHANGED_LEVELS = 14
"""From one picture to the next, of a pixel that shows something else."""


@dataclass(frozen=True)
class Flight:
    """Something in free flight. first, last: seconds. fall: acceleration down, film pixels a second squared.
    noise: how far its pictures lie off a parabola, film pixels."""

    first: float
    last: float
    fall: float
    noise: float


@dataclass
class Watched:
    """All that is kept of a film. answers: in the order of QUESTIONS. cuts: seconds. lost: share of the
    pictures whose camera could not be followed. stands: share of the stretches in which the camera did not
    move. seen, tracked: area that differs from the plate in all pictures, and of it that of things that were
    followed. moving_seconds: how long anything moves. travel: farthest that anything goes, shares of the
    picture's diagonal. thing_minutes: of all things together."""

    path: Path
    header: FilmHeader
    answers: dict[Question, Answers] = field(default_factory=lambda: {q: Answers(q) for q in QUESTIONS})
    num_pictures: int = 0
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    cuts: list[float] = field(default_factory=list)
    lost: int = 0
    num_stretches: int = 0
    num_standing: int = 0
    seen: float = 0.0
    tracked: float = 0.0
    num_things: int = 0
    moving_seconds: float = 0.0
    travel: float = 0.0
    thing_minutes: float = 0.0
    flights: list[Flight] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    sound: Sound | None = None

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the film as it is seen, pixels."""
        height, width = self.header.height, self.header.width
        lies = (height > width) != (self.size[0] > self.size[1])
        return (width, height) if lies else (height, width)

    @property
    def coverage(self) -> float:
        """Share of what moves that is followed, 0 to 1."""
        followed = 1.0 - self.lost / max(self.num_pictures, 1)
        return followed * (min(1.0, self.tracked / self.seen) if self.seen else 1.0)

    def add(self, question: Question, found: Iterator[Answer]) -> None:
        """More answers to a question."""
        self.add_each((question, answer) for answer in found)

    def add_each(self, found: Iterable[tuple[Question, Answer]]) -> None:
        """More answers, each to its question."""
        for question, answer in found:
            self.answers[question].add(answer)


def watch(
    path: str | Path,
    on_step: Callable[[int, int], None] | None = None,
    on_track: Callable[[Array, Array], None] | None = None,
) -> Watched:
    """Watch the film `path` and listen to it.

    on_step: told how many pictures are done, of how many (0 where the film does not say). on_track: told of
    each track when it was, `[n]` seconds, and where, `[n, 2]` pixels of the film, across and down. Raises
    UserError for what cannot be read as a film.
    """
    watched = Watched(Path(path), film_header(path))
    steadiness = Steadiness()
    viewer: _Viewer | None = None
    for stretch in stretches(_pictures(watched, path, on_step)):
        viewer = viewer or _Viewer(watched, Shape(*stretch.frames[0].shape[:2]), on_track)
        watched.add(STOPS, steadiness.see(stretch))
        watched.add(POPS, pops(stretch))
        watched.add(COLOUR, fading(stretch))
        plate, seen = viewer.see(stretch)
        watched.add(FLICKER, steadiness.flicker(stretch, plate, seen))
    if viewer is not None:
        viewer.finish()
    for which, question in enumerate(TRENDS):
        told = trend(steadiness.rows, which)
        watched.add(question, iter([] if told is None else [told]))
    if watched.header.samples_per_second is not None:
        _listen(watched, steadiness.stirring)
    return watched


def _pictures(
    watched: Watched, path: str | Path, on_step: Callable[[int, int], None] | None
) -> Iterator[tuple[float, Array]]:
    """The film's pictures in the size that they are looked at, counted."""
    for seconds, picture in iterate_pictures(path, MAX_PIXELS):
        watched.num_pictures += 1
        watched.seconds = seconds
        watched.size = picture.shape[:2] if watched.num_pictures == 1 else watched.size
        if on_step is not None and watched.num_pictures % 10 == 0:
            on_step(watched.num_pictures, watched.header.num_frames)
        yield seconds, sized(letterboxed(picture, watched.size))


def _listen(watched: Watched, stirring: list[float]) -> None:
    rate = watched.header.samples_per_second
    assert rate is not None
    sound = watched.sound = Sound.of(iterate_sound(watched.path), rate)
    clear = [hit for hit in watched.hits if hit.strength > CLEAR]
    if is_of_contacts(sound, clear):
        watched.add(OFFSET, offset(sound, clear))
        watched.add(PHANTOM, phantoms(sound, clear, stirring))
    if clear and len(sound.audible()) <= MAX_ONSETS_PER_SECOND * max(sound.seconds, 1.0):
        watched.add(SILENT, silent(sound, clear))


class _Viewer:
    """Follows the things of a film from stretch to stretch, and asks about those that are done."""

    def __init__(
        self, watched: Watched, shape: Shape, on_track: Callable[[Array, Array], None] | None
    ) -> None:
        self._watched, self._shape, self._on_track = watched, shape, on_track
        self._views: dict[float, Array] = {}
        self._tracker = Tracker(*shape)
        self._plate: Plate | None = None
        self._recent: list[Track] = []
        self._revisits = Revisits()

    def see(self, stretch: Stretch) -> tuple[Plate, list[list[Blob]]]:
        """Take in a stretch; its plate, and what was seen in each picture."""
        watched = self._watched
        watched.num_stretches += 1
        watched.num_standing += stretch.stands
        watched.lost += stretch.lost
        if stretch.begins_shot and stretch.seconds[0] > 0:
            watched.cuts.append(stretch.seconds[0])
        done = [] if stretch.goes_on else self._tracker.finish()
        self._ask(done)
        done = []
        self._views = dict(zip(stretch.seconds, stretch.views, strict=True))
        self._plate = Plate.of(stretch, self._plate if stretch.goes_on else None)
        watched.add_each(self._revisits.see(stretch))
        seen = []
        changes = [None, *(change > CHANGED_LEVELS for change in stretch.changes), None]
        for k, (seconds, frame) in enumerate(zip(stretch.seconds, stretch.frames, strict=True)):
            found, area = blobs(frame, self._plate, *changes[k : k + 2])
            watched.seen += area
            seen.append(found)
            done += self._tracker.see(found, seconds)
        self._ask(done)
        return self._plate, seen

    def finish(self) -> None:
        """Ask about what is still there at the film's end."""
        self._ask(self._tracker.finish())

    def _ask(self, done: list[Track]) -> None:
        tracks = [track for track in done if len(track.blobs) >= LEAST_TRACK]
        others = [*self._recent, *self._tracker.active]
        self._watched.add(CHANGES, changes(tracks, others, self._shape))
        for track in tracks:
            self._ask_one(track)
            if self._on_track is not None:
                self._on_track(np.array(track.seconds), self._in_the_film(track))
        self._recent = tracks

    def _ask_one(self, track: Track) -> None:
        watched, shape = self._watched, self._shape
        watched.tracked += float(track.of("area").sum())
        if track.is_ghost:
            return
        self._count(track)
        watched.add_each(looks(track, shape))
        watched.add(GROWTH, growth(track, shape))
        paths = path_of(track)
        watched.add(FALL, falls(paths, shape))
        watched.add(BOUNCE, bounces(paths, shape))
        watched.add(STARTS, starts(paths, shape))
        scale = watched.upright[0] / shape.height
        for path in paths:
            for piece in filter(is_flight, path.pieces if len(watched.flights) < MAX_HITS else []):
                fall, noise = float(piece.push[1]) * scale, piece.noise * scale
                watched.flights.append(Flight(piece.first, piece.last, fall, noise))
        watched.hits += hits(paths, shape) if len(watched.hits) < MAX_HITS else []

    def _in_the_film(self, track: Track) -> Array:
        """Where a track is in the film's own pictures, `[n, 2]` pixels, wherever the camera looks."""
        places = np.stack([track.of("x"), track.of("y")], axis=1)
        for k, seconds in enumerate(track.seconds):
            view = self._views.get(seconds, STANDING)
            places[k] = cv2.invertAffineTransform(view) @ np.array([*places[k], 1.0])
        # The centre of a pixel is half a pixel from its corner, in either size.
        return (places + 0.5) * (self._watched.upright[0] / self._shape.height) - 0.5

    def _count(self, track: Track) -> None:
        watched = self._watched
        x, y, seconds = track.of("x"), track.of("y"), np.array(track.seconds)
        if not is_solid(track):
            return
        steps = np.diff(seconds)
        moving = np.hypot(np.diff(x), np.diff(y)) > MOVING_PX
        diagonal = float(np.hypot(*self._shape))
        watched.num_things += 1
        watched.moving_seconds += float(steps[moving].sum())
        watched.travel = max(watched.travel, float(np.hypot(np.ptp(x), np.ptp(y))) / diagonal)
        watched.thing_minutes += float(seconds[-1] - seconds[0]) / 60.0
