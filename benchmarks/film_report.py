"""The report of any film, held against films whose truth is known, and against camera footage.

Exact films of held-out sentences are encoded at several qualities and sizes. False alarms: exact films in
which anything is found. Caught: films with an injected fault in which a question finds something that it did
not find in the exact film. Real footage (`--clips`, a folder, with positions marked by hand in the XML of
Tracker, physlets.org/tracker) is of no world of ours: tracks against the marks, and what is found in it.

Thresholds were set on the sentences from FIRST_TUNED on, which are not measured here.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import torch
import tyro

from harness import EXACT, Subject, progress, save, show
from orrery.errors import BadUse, UserError
from orrery.evaluation.faults import FAULTS, inject
from orrery.evaluation.film.report import FilmReport, film_report
from orrery.evaluation.film.watch import watch
from orrery.evaluation.prompts import held_out_prompts
from orrery.evaluation.recording import Recording
from orrery.evaluation.statistics import share
from orrery.media import FilmWriter
from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.tabletop.render import draw_states
from orrery.worlds.tabletop.scene import CAMERAS
from orrery.worlds.tabletop.world import TabletopWorld

FIRST_TUNED = 40
SIZE = 256
FROZEN = "wholly frozen"
NEAR_SHARE = 0.05
"""Of the film's height: a track farther from a mark is of something else."""
UNSEEN = ("phantom touch",)
"""Faults that neither picture nor sound shows."""
Condition = tuple[int, int]
"""Quality (CRF of H.264, lower is better) and height and width, pixels."""


@dataclass
class Settings:
    """num_films: exact films, of the first sentences. num_faulty: of them, those that get each fault.
    seconds: of each film. qualities: CRF. sizes: pixels. clips: folder of real films, if at hand. first: of
    the sentences. workers: processes."""

    num_films: int = 20
    num_faulty: int = 5
    seconds: float = 3.5
    qualities: tuple[int, ...] = (18, 28, 36)
    sizes: tuple[int, ...] = (128, 256)
    clips: Path | None = None
    first: int = 0
    workers: int = 1

    @property
    def conditions(self) -> list[Condition]:
        return [(quality, size) for size in self.sizes for quality in self.qualities]


@dataclass(frozen=True)
class Seen:
    """What a report says: found: by question, how often. speed: times real time."""

    verdict: str
    sections: dict[str, str]
    found: dict[str, int]
    speed: float


@dataclass(frozen=True)
class Trial:
    """Of one sentence: what is seen in its exact film, and in each fault of it, at each condition."""

    exact: dict[Condition, Seen]
    faulty: dict[str, dict[Condition, Seen]]


def trial(number: int, settings: Settings, faulty: bool) -> Trial:
    """Make one exact film and, if wanted, every fault of it, and report on them."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    prompt = held_out_prompts()[number]
    world = TabletopWorld(image_size=SIZE)
    clock = world.spec.clock
    ticks = [world.reset(prompt.seed, prompt=prompt.text)]
    ticks += [world.step() for _ in range(clock.num_ticks(settings.seconds) - 1)]
    film, frames = Recording.of(ticks, clock), np.concatenate([tick["video.main"][0] for tick in ticks])
    place = ticks[0]["camera.main"][0, 0, :3]
    camera = min(CAMERAS.values(), key=lambda c: float(np.linalg.norm(np.subtract(c.position_m, place))))
    made = dict(_faulty(film, frames, camera, prompt.seed)) if faulty else {}
    exact = _seen_at(frames, film.audio, film, settings)
    return Trial(exact, {name: _seen_at(*parts, film, settings) for name, parts in made.items()})


def _faulty(
    film: Recording, frames: Array, camera: Camera, seed: int
) -> Iterator[tuple[str, tuple[Array, Array]]]:
    """Pictures and sound with each fault in them, at full strength; what cannot befall the film is left
    out."""
    yield FROZEN, (np.repeat(frames[:1], len(frames), 0), film.audio)
    for name in FAULTS:
        if name in UNSEEN:
            continue
        try:
            wrong = inject(name, film, 1.0, np.random.default_rng(seed))
        except BadUse:
            continue
        same = np.array_equal(wrong.state, film.state)
        yield name, (frames if same else draw_states(wrong.state, camera, SIZE), wrong.audio)


def _seen_at(frames: Array, audio: Array, film: Recording, settings: Settings) -> dict[Condition, Seen]:
    """What is seen in a film at each condition."""
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        for quality, size in settings.conditions:
            path = Path(folder) / f"{quality}-{size}.mp4"
            clock = film.clock
            rates = clock.frames_per_second, clock.samples_per_second
            with FilmWriter(path, *rates, (size, size), crf=quality) as writer:
                small = [cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA) for f in frames]
                writer.write(np.stack(small), audio)
            start = time.process_time()
            report = film_report(watch(path))
            seen[quality, size] = _seen(report, time.process_time() - start)
    return seen


def _seen(report: FilmReport, seconds: float) -> Seen:
    found: dict[str, int] = defaultdict(int)
    for finding in report.findings:
        found[finding.question.name] += 1
    speed = report.watched.seconds / max(seconds, 1e-9)
    return Seen(report.verdict, report.sections, dict(found), speed)


def trials(settings: Settings) -> list[Trial]:
    """Of successive sentences; of the first few, the faults too."""
    numbers = range(settings.first, settings.first + settings.num_films)
    wanted = [k < settings.num_faulty for k in range(len(numbers))]
    if settings.workers == 1:
        pairs = list(zip(numbers, wanted, strict=True))
        return [trial(number, settings, faulty) for number, faulty in progress(pairs, "films")]
    with ProcessPoolExecutor(settings.workers) as pool:
        return list(pool.map(trial, numbers, [settings] * len(numbers), wanted))


def measured(done: Sequence[Trial], settings: Settings) -> dict[str, Any]:
    """Shares of films by condition, and what finds what."""
    names = dict.fromkeys(name for one in done for name in one.faulty if name != FROZEN)
    conditions = settings.conditions
    return {
        "false_alarms": {
            _key(c): share(sum(bool(t.exact[c].found) for t in done), len(done)) for c in conditions
        },
        "by_false_alarm": _by([t.exact[c].found for t in done for c in conditions]),
        "abstains": {
            _key(c): share(sum(t.exact[c].verdict == "abstain" for t in done), len(done)) for c in conditions
        },
        "caught": {name: {_key(c): _caught(done, name, c) for c in conditions} for name in names},
        "frozen_not_passed": {_key(c): _not_passed(done, FROZEN, c) for c in conditions},
        "by": {
            name: _by([_new(t, name, c) for t in done if name in t.faulty for c in conditions])
            for name in names
        },
        "speed": {
            f"{size} px": float(np.median([t.exact[q, size].speed for t in done for q in settings.qualities]))
            for size in settings.sizes
        },
    }  # fmt: skip


def _key(condition: Condition) -> str:
    return f"CRF {condition[0]}, {condition[1]} px"


def _new(one: Trial, name: str, condition: Condition) -> dict[str, int]:
    """What is found in a faulty film, and was not found in the exact one."""
    exact = one.exact[condition].found
    return {k: n for k, n in one.faulty[name][condition].found.items() if k not in exact}


def _caught(done: Sequence[Trial], name: str, condition: Condition) -> dict[str, Any]:
    tried = [t for t in done if name in t.faulty]
    return share(sum(bool(_new(t, name, condition)) for t in tried), len(tried))


def _not_passed(done: Sequence[Trial], name: str, condition: Condition) -> dict[str, Any]:
    tried = [t for t in done if name in t.faulty]
    held = sum(t.faulty[name][condition].verdict in ("abstain", "fail") for t in tried)
    return share(held, len(tried))


def _by(found: Sequence[dict[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for one in found:
        for name in one:
            counts[name] += 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1])[:3])


def footage(folder: Path) -> dict[str, Any]:
    """What is found in each film of a folder, and how far the nearest track is from what is marked."""
    figures = {}
    for path in sorted(folder.glob("*.mp4")):
        start = time.process_time()
        tracks: list[tuple[Array, Array]] = []
        try:
            report = film_report(watch(path, on_track=partial(_keep, tracks)))
        except UserError as error:
            figures[path.stem] = {"refused": str(error).replace(str(folder), "")}
            continue
        seen = _seen(report, time.process_time() - start)
        figures[path.stem] = vars(seen) | {
            "coverage": report.watched.coverage,
            "flights": len(report.watched.flights),
            "seconds": report.watched.seconds,
        }
        marks = path.with_suffix(".trk")
        if marks.exists():
            figures[path.stem]["marked"] = _against_marks(marks, report, tracks)
    return figures


def _keep(tracks: list[tuple[Array, Array]], seconds: Array, places: Array) -> None:
    tracks.append((seconds, places))


def _against_marks(marks: Path, report: FilmReport, tracks: list[tuple[Array, Array]]) -> dict[str, Any]:
    """The track that follows what was marked for longest: how long, and how far from it, in pixels; and
    whether it was found to fly freely meanwhile."""
    fps = report.watched.header.frames_per_second
    instants, places = _marked(marks)
    best: dict[str, Any] = {"marks": len(instants), "followed": 0}
    near = NEAR_SHARE * report.watched.header.height
    for seconds, where in tracks:
        rows = np.abs(seconds[:, None] - instants[None] / fps).argmin(0)
        same = np.abs(seconds[rows] - instants / fps) < 0.5 / fps
        errors = np.hypot(*(where[rows] - places).T)[same]
        followed = int((errors < near).sum())
        if followed > best["followed"]:
            best |= {
                "followed": followed,
                "median_error_px": float(np.median(errors[errors < near])),
                "p95_error_px": float(np.percentile(errors[errors < near], 95)),
            }
    flights = report.watched.flights
    best["flight_seconds"] = max((flight.last - flight.first for flight in flights), default=0.0)
    best["flight_noise_px"] = min((flight.noise for flight in flights), default=None)
    best["fall_of_marks"], best["fall_of_flight"] = _fall(instants / fps, places), None
    if flights:
        best["fall_of_flight"] = max(flights, key=lambda flight: flight.last - flight.first).fall
    return best


def _fall(seconds: Array, places: Array) -> float:
    """Acceleration down of all that was marked, px / s^2, by one parabola."""
    return 2.0 * float(np.polyfit(seconds, places[:, 1], 2)[0])


def _marked(path: Path) -> tuple[Array, Array]:
    """Frames `[n]` and places `[n, 2]` that were marked by hand in a file of Tracker; of several masses, the
    mean, for they are marked alike."""
    at: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for mass in ElementTree.parse(path).iter("object"):
        if not mass.get("class", "").endswith(".PointMass"):
            continue
        for frame in mass.iter("property"):
            values = {p.get("name"): p.text for p in frame.iterfind("object/property")}
            number = re.fullmatch(r"\[(\d+)\]", frame.get("name", ""))
            if number and "x" in values and "y" in values:
                at[int(number[1])].append((float(values["x"] or 0), float(values["y"] or 0)))
    frames = sorted(at)
    return np.array(frames), np.array([np.mean(at[frame], axis=0) for frame in frames])


def main(settings: Settings) -> None:
    if settings.first < FIRST_TUNED < settings.first + settings.num_films:
        raise BadUse(f"sentences from {FIRST_TUNED} on were tuned on; measure on fewer")
    figures = measured(trials(settings), settings)
    keys = [_key(c) for c in settings.conditions]
    rows = [
        [n, *(figures["caught"][n][k] for k in keys), ", ".join(figures["by"][n])] for n in figures["caught"]
    ]
    show(f"caught, of {settings.num_faulty} films", ["fault", *keys, "mostly by"], rows)
    show(f"exact films, {settings.num_films}", ["", *keys], [
        ["false alarms", *(figures["false_alarms"][k] for k in keys)],
        ["abstains", *(figures["abstains"][k] for k in keys)],
    ])  # fmt: skip
    show("times real time", ["", ""], list(figures["speed"].items()))
    if settings.clips is not None:
        figures["footage"] = footage(settings.clips)
        show("real footage", ["film", "verdict", "coverage", "found"], [
            [name, f.get("verdict", "refused"), f.get("coverage"), ", ".join(f.get("found", []))]
            for name, f in figures["footage"].items()
        ])  # fmt: skip
    told = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items() if k != "clips"}
    save("film_report", Subject(EXACT), {"figures": figures, "settings": told}, held_out_prompts()[0].seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
