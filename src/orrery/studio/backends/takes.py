"""Several takes of a dressed shot, held against the exact film: which keeps it best, which worst, and why.

The exact film is drawn at the takes' own instants, a few paths a pixel, and each pixel's thing is known. What
is asked is whether each thing that moves is where it was, in the colour that it had: see
`evaluation.film.placed`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orrery import __version__
from orrery.atomic import write_atomically
from orrery.evaluation.figure import LEAST_COVERAGE
from orrery.evaluation.film.identity import COLOUR
from orrery.evaluation.film.placed import Kept, Reference, kept
from orrery.media import read_film
from orrery.studio.controls.geometry import GeometryPass
from orrery.studio.controls.segmentation import instance_names
from orrery.studio.controls.shot import ControlPlan, FilmedScenes
from orrery.studio.controls.timing import retimed
from orrery.studio.lights import light_rig
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.studio.views import backdrop

__all__ = ["JudgedTake", "ShotTakes", "exact_film", "judged", "takes_path", "write_takes"]

MOST_SAMPLES = 4
"""Paths a pixel of the exact film, which is denoised and only looked at by machine."""
DRIFT_SHARE = 0.03
"""Of the picture's shorter side: a drift that counts as much as a colour that fails (COLOUR.fails_at)."""


@dataclass(frozen=True)
class JudgedTake:
    """number: from 1 on. things: how each is kept. drift_px, colour: of the worst of those that could be
    judged, see `Kept`; None where none could. misfit: what takes are ordered by, 0 the best. why: what is
    worst in it."""

    number: int
    seed: int
    path: Path
    things: tuple[Kept, ...]
    drift_px: float | None
    colour: float | None
    misfit: float
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        things = [{**asdict(thing), "is_judged": thing.is_judged} for thing in self.things]
        return {**asdict(self), "path": self.path.name, "things": things}


@dataclass(frozen=True)
class ShotTakes:
    """All takes of a shot, by number."""

    name: str
    takes: tuple[JudgedTake, ...]

    @property
    def best(self) -> JudgedTake:
        """The one of least misfit, the first of several."""
        return min(self.takes, key=lambda take: take.misfit)

    @property
    def worst(self) -> JudgedTake:
        """The one of greatest misfit, the last of several."""
        return max(reversed(self.takes), key=lambda take: take.misfit)

    @property
    def told(self) -> str:
        """Which is the best and which the worst, in a line."""
        best, worst = self.best, self.worst
        if best.drift_px is None:
            return f"{self.name}: take {best.number} of {len(self.takes)}, as it came: {best.why}"
        return (
            f"{self.name}: take {best.number} of {len(self.takes)} (seed {best.seed}) keeps the exact film "
            f"best: {best.why}; take {worst.number} keeps it worst: {worst.why}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        numbers = {"best": self.best.number, "worst": self.worst.number, "why_worst": self.worst.why}
        return {"shot": self.name, **numbers, "takes": [take.to_json() for take in self.takes]}


def takes_path(out: Path) -> Path:
    """Where what all takes came to is: `film.takes.json` beside `film.mp4`."""
    return out.with_suffix(".takes.json")


def exact_film(
    filmed: FilmedScenes, plan: ControlPlan, samples: int, on_frame: Callable[[], None] = lambda: None
) -> Reference:
    """The exact film of a shot as its controls show it: frame by frame, with what each pixel is of. samples:
    paths a pixel, of which no more than MOST_SAMPLES are taken. on_frame: called after each."""
    scenes = retimed(filmed.scenes, filmed.frames_per_second, plan.frames_per_second).scenes
    look = SoftLook(SoftSettings(plan.size, min(samples, MOST_SAMPLES), filmed.light))
    look.place_lights(filmed.first)
    frames = []
    for scene in scenes:
        frames.append(look.draw(scene)[0])
        on_frame()
    geometry = GeometryPass(plan.size, backdrop(light_rig(filmed.light), filmed.first))
    instances = np.array([seen.instance.astype(np.uint8) for seen in geometry.film(scenes)])
    model = filmed.first.model
    names = instance_names([model.body(k).name for k in range(model.nbody)], filmed.first.names)
    moving = {body + 1: names[body + 1] for body in range(model.nbody) if model.body_dofnum[body] > 0}
    return Reference(np.array(frames), instances, moving)


def judged(
    name: str, films: Sequence[tuple[int, Path]], reference: Reference, frames_per_second: float
) -> ShotTakes:
    """The takes of a shot, each of a seed and a film, against its exact film."""
    takes = []
    for number, (seed, path) in enumerate(films, start=1):
        things = kept(read_film(path).frames, reference)
        takes.append(_judged(number, seed, path, things, reference, frames_per_second))
    return ShotTakes(name, tuple(takes))


def write_takes(path: Path, shots: Sequence[ShotTakes]) -> None:
    """What all takes of a film came to, as JSON. UserError where the disk refuses."""
    of_frames = "95th percentile of the frames"
    values = {
        "orrery": __version__,
        "drift_px": f"how far a thing is from where the exact film has it, pixels, {of_frames}",
        "colour": f"CIEDE2000 from its colour in the exact film, lightness dulled, {of_frames}",
        "is_judged": f"whether it stands out in {LEAST_COVERAGE:.0%} of the frames in which it is seen",
        "misfit": f"drift_px / ({DRIFT_SHARE:g} of the shorter side) + colour / {COLOUR.fails_at:g}",
        "shots": [shot.to_json() for shot in shots],
    }
    write_atomically(path, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())


def _judged(
    number: int, seed: int, path: Path, things: list[Kept], reference: Reference, frames_per_second: float
) -> JudgedTake:
    limit = DRIFT_SHARE * min(reference.frames.shape[1:3])
    told = [thing for thing in things if thing.is_judged]
    drifts = [(thing.drift_px / limit, thing) for thing in told if thing.drift_px is not None]
    colours = [(thing.colour / COLOUR.fails_at, thing) for thing in told if thing.colour is not None]
    if not drifts:
        why = "no thing that moves stands out clearly enough to be judged"
        return JudgedTake(number, seed, path, tuple(things), None, None, 0.0, why)
    drift, drifted = max(drifts, key=lambda pair: pair[0])
    colour, coloured = max(colours, key=lambda pair: pair[0], default=(0.0, drifted))
    tell, worst = (_of_colour, coloured) if colour > drift else (_of_drift, drifted)
    return JudgedTake(
        number, seed, path, tuple(things), drifted.drift_px, coloured.colour, drift + colour,
        tell(worst, frames_per_second),
    )  # fmt: skip


def _of_drift(thing: Kept, frames_per_second: float) -> str:
    seconds = (thing.drift_frame + 1) / frames_per_second
    if thing.is_lost:
        return f"{thing.name!r} is not to be seen where it should be at {seconds:.2f} s, nor near it"
    if not thing.drift_px:
        return "all is where it should be"
    return f"{thing.name!r} is {thing.drift_px:.0f} pixels off, most at {seconds:.2f} s"


def _of_colour(thing: Kept, frames_per_second: float) -> str:
    seconds = (thing.colour_frame + 1) / frames_per_second
    instead = f"is {thing.looks} instead of {thing.looked}"
    told = instead if thing.looks != thing.looked else f"is another {thing.looked}"
    return f"{thing.name!r} {told} (by {thing.colour:.0f} CIEDE2000), most at {seconds:.2f} s"
