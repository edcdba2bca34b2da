"""It sounds when it should: hits seen in a world's own motion against onsets heard (A1, A2), and silence.

Hits are breaks in the velocity of the state stream, found alike for every world, so the exact world's figures
are the floor of this measure; it also tells its contacts itself, which says how good the measure is. A
rolling or sliding thing is heard too: only a sound with no break in anyone's velocity near it counts as a
phantom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro

from harness import EXACT, Subject, floors, frames_of, progress, save, show, ticks_of
from orrery.evaluation.contacts import SyncTally, seen_hits
from orrery.evaluation.prompts import held_out_prompts, resting_prompts
from orrery.evaluation.statistics import median_interval
from orrery.evaluation.sync import match_onsets
from orrery.streams import Array
from orrery.world import Describable

QUIET_DBFS = -50.0
LEAST_IMPULSE_NS = 0.02
"""Of the exact world's contacts that are compared with the hits seen."""


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_prompts: films. seconds: of each film."""

    model: str = EXACT
    num_prompts: int = 100
    seconds: float = 3.0
    num_silent: int = 10


def level_dbfs(audio: Array) -> float:
    """Root mean square of `[n, channels]` in dB of full scale; silence counts as -120."""
    return max(-120.0, 20 * float(np.log10(max(np.sqrt((audio.astype(float) ** 2).mean()), 1e-9))))


def measured(subject: Subject, settings: Settings) -> dict[str, Any]:
    """A1 and A2, and the level of scenes at rest."""
    world = subject.open(["state", "audio.main"])
    clock = world.spec.clock
    num_ticks = clock.num_ticks(settings.seconds)
    tally = SyncTally()
    told = seen = agreed = 0
    offsets: list[float] = []
    for prompt in progress(held_out_prompts()[: settings.num_prompts], f"{subject.model}: films"):
        ticks = list(ticks_of(world, prompt.seed, num_ticks, prompt=prompt.text))
        state, audio = frames_of(ticks, "state"), frames_of(ticks, "audio.main")
        tally.add(state, audio, clock)
        if subject.is_exact and isinstance(world, Describable):
            events = np.array([e.seconds for e in world.events() if e.impulse_ns > LEAST_IMPULSE_NS])
            clear = seen_hits(state, clock.frames_per_second)
            match = match_onsets(clear, events, 0.05)
            told, seen, agreed = told + len(events), seen + len(clear), agreed + len(match.delays)
            offsets += match.delays.tolist()
    figures = {**tally.figures(), "silence_dbfs": _silence(world, settings)}
    if subject.is_exact:
        figures["hits_seen_against_contacts_told"] = {
            "told": told, "seen": seen, "agreed_within_50_ms": agreed,
            "offset_median_ms": float(1000 * np.median(offsets)) if offsets else None,
            "offset_p95_abs_ms": float(1000 * np.percentile(np.abs(offsets), 95)) if offsets else None,
        }  # fmt: skip
    return figures


def _silence(world: Any, settings: Settings) -> dict[str, Any]:
    """Levels of films in which everything rests."""
    num_ticks = world.spec.clock.num_ticks(settings.seconds)
    levels = []
    for prompt in resting_prompts(settings.num_silent):
        ticks = list(ticks_of(world, prompt.seed, num_ticks, prompt=prompt.text))
        levels.append(level_dbfs(frames_of(ticks, "audio.main")))
    return {**median_interval(np.array(levels)), "loudest": max(levels), "bar": QUIET_DBFS}


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    figures = floors(subject, lambda world: measured(world, settings))
    score, floor = figures.get("figures", figures["exact"]), figures["exact"]
    lines = [
        ("onset F1 within 50 ms", "onset_f1", ">= 0.95"),
        ("hits that are silent, %", "silent_contacts", "<= 2"),
        ("sounds without a hit, %", "phantom_sounds", "<= 5"),
        ("delay of sound, median, ms", "delay_median_ms", "within 15"),
        ("delay, 5th percentile, ms", "delay_p5_ms", ""),
        ("delay, 95th percentile, ms", "delay_p95_ms", ""),
        ("delays within -45 / +125 ms, %", "within_bt1359", ">= 95"),
    ]
    rows = [[label, score[key], floor[key], bar] for label, key, bar in lines]
    for label, key in (("median", "median"), ("loudest", "loudest")):
        rows.append(
            [f"scene at rest, {label}, dBFS", score["silence_dbfs"][key], floor["silence_dbfs"][key], "< -50"]
        )
    show(f"Sound against motion, {settings.num_prompts} films", ["", subject.model, EXACT, "bar"], rows)
    if "hits_seen_against_contacts_told" in floor:
        console_note(floor["hits_seen_against_contacts_told"])
    save("sound", subject, figures, seed=held_out_prompts()[0].seed)


def console_note(check: dict[str, Any]) -> None:
    """How well hits seen agree with the exact world's own contacts."""
    show(
        "Hits seen against contacts that the exact world tells", ["", ""], [[k, v] for k, v in check.items()]
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))
