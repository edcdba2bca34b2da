"""Recordings for a report: the same sentences, run by the world that is measured and by the exact one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from orrery.evaluation.examine import Finding
from orrery.evaluation.figure import Figure
from orrery.evaluation.prompts import HeldOutPrompt, held_out_prompts
from orrery.evaluation.recording import Recording
from orrery.evaluation.report import Examined, Report, grade
from orrery.streams import Array
from orrery.world import World
from orrery.worlds.tabletop.world import TabletopWorld

__all__ = ["STREAMS", "Moment", "report_world"]

STREAMS = ("state", "audio.main", "touch.finger")
"""What is examined. With `video.main` as well, the worst moments are shown."""
STRIP_FRAMES = 6
STRIP_STEP = 3
"""Frames between two of a strip: an eighth of a second."""
NUM_MOMENTS = 12


@dataclass(frozen=True)
class Moment:
    """One of the worst moments. prompt, seed: what film it is of. strip: frames about it, `[n, H, W, 3]`
    uint8. sound: the film's, `[samples, 2]`. hits, heard: instants in it, seconds."""

    finding: Finding
    prompt: HeldOutPrompt
    strip: Array
    sound: Array
    samples_per_second: int
    hits: Array
    heard: Array


def report_world(
    world: World,
    num_films: int,
    seconds: float,
    on_step: Callable[[int, int], None] | None = None,
    further: Sequence[Figure] = (),
) -> tuple[Report, list[Moment]]:
    """The report of `world` (of one scene) on the first `num_films` held-out sentences, and its worst
    moments: the first finding of each kind in each film, and no kind more often than it must.

    on_step: told how many films are done, and of how many. further: figures taken in other ways, which count
    as much.
    """
    exact = TabletopWorld(streams=STREAMS)
    mine: list[Examined] = []
    truth: list[Examined] = []
    moments: list[Moment] = []
    for number, prompt in enumerate(held_out_prompts()[:num_films]):
        recording, frames = _film(world, prompt, seconds)
        examined = Examined.of(recording)
        mine.append(examined)
        truth.append(Examined.of(_film(exact, prompt, seconds)[0]))
        if frames is not None:
            moments += _moments(prompt, recording, frames, examined.examination.findings)
        if on_step is not None:
            on_step(number + 1, num_films)
    return grade(mine, truth, further), _of_all_kinds(moments)


def _film(world: World, prompt: HeldOutPrompt, seconds: float) -> tuple[Recording, Array | None]:
    """One film, and its frames where the world draws any."""
    clock = world.spec.clock
    ticks = [world.reset(prompt.seed, prompt=prompt.text)]
    ticks += [world.step() for _ in range(clock.num_ticks(seconds) - 1)]
    drawn = "video.main" in ticks[0]
    frames = np.concatenate([tick["video.main"][0] for tick in ticks]) if drawn else None
    return Recording.of(ticks, clock), frames


def _moments(
    prompt: HeldOutPrompt, recording: Recording, frames: Array, findings: list[Finding]
) -> list[Moment]:
    """The first finding of each measure in a film."""
    first = {finding.measure.name: finding for finding in reversed(findings)}
    return [
        Moment(
            finding, prompt, _strip(frames, finding.seconds, recording), recording.audio,
            recording.clock.samples_per_second, recording.hits, recording.heard,
        )
        for finding in first.values()
    ]  # fmt: skip


def _strip(frames: Array, seconds: float, recording: Recording) -> Array:
    """Frames before, at and after an instant."""
    middle = round(seconds * recording.clock.frames_per_second) - 1
    wanted = middle + STRIP_STEP * (np.arange(STRIP_FRAMES) - STRIP_FRAMES // 2 + 1)
    return frames[wanted.clip(0, len(frames) - 1)]


def _of_all_kinds(moments: list[Moment]) -> list[Moment]:
    """At most NUM_MOMENTS, taking one of each measure in turn."""
    queues: dict[str, list[Moment]] = {}
    for moment in moments:
        queues.setdefault(moment.finding.measure.name, []).append(moment)
    rounds = zip_longest(*queues.values())
    return [moment for turn in rounds for moment in turn if moment is not None][:NUM_MOMENTS]
