"""What can happen: one row each, how it is set up and how it is judged; and what of a story came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.scene import LAB_TRAY
from orrery.worlds.laboratory.sentences import aims, judging
from orrery.worlds.laboratory.sentences.run import Body, Run
from orrery.worlds.laboratory.sentences.story import Deed, Story, Who

if TYPE_CHECKING:
    from orrery.worlds.laboratory.sentences.aims import Aim
    from orrery.worlds.laboratory.sentences.layout import Layout

__all__ = ["DEEDS", "DeedKind", "contradictions", "deed_words", "not_standing", "untold"]

_STILL_M = 0.015


@dataclass(frozen=True)
class DeedKind:
    """judge: the frames in which it has come about. motion: how that who does it moves at first, if it says.
    aim: where to, for that it may come about."""

    judge: Callable[[Deed, Body], Array]
    motion: str = ""
    aim: Callable[[Layout, int, Deed], Aim] | None = None


DEEDS: dict[str, DeedKind] = {
    "rests": DeedKind(judging.rests),
    "rolls": DeedKind(judging.rolls, "roll"),
    "slides": DeedKind(judging.slides, "slide"),
    "moves": DeedKind(judging.moves, "roll"),
    "flies": DeedKind(judging.flies, "fly"),
    "falls": DeedKind(judging.falls, "fall"),
    "bounces": DeedKind(judging.bounces, "fall"),
    "swings": DeedKind(judging.swings, "swing"),
    "spins": DeedKind(judging.spins, "spin"),
    "hits": DeedKind(judging.strikes, "", aims.at),
    "nears": DeedKind(judging.nears, "", aims.at),
    "lands on": DeedKind(judging.strikes, "fall", aims.at),
    "lands in": DeedKind(judging.lands_in, "fall", aims.at),
    "drops off": DeedKind(judging.drops_off, "", aims.at),
    "stays in": DeedKind(judging.stays_in, "", aims.around),
    "passes": DeedKind(judging.passes, "", aims.beside),
    "passes behind": DeedKind(judging.crosses, "", aims.beside),
    "passes in front of": DeedKind(judging.crosses, "", aims.beside),
    "passes between": DeedKind(judging.passes_between, "", aims.between),
    "passes over": DeedKind(judging.passes_over, "fly", aims.over),
    "leaves": DeedKind(judging.leaves, "", aims.beyond_edge),
    "stops": DeedKind(judging.stops, "", aims.stopping),
    "returns": DeedKind(judging.returns),
    "topples": DeedKind(judging.topples),
    "pushes": DeedKind(judging.strikes),
    "pokes": DeedKind(judging.strikes),
    "lifts": DeedKind(judging.strikes),
    **{
        f"ends {place}": DeedKind(judging.ends)
        for place in ("behind", "next to", "in front of", "left of", "right of", "on", "in", "at")
    },
}


def untold(story: Story, run: Run) -> list[Deed]:
    """What a story tells and a run does not show, in the story's order."""
    missing = []
    last: list[tuple[set[Who], float]] = []
    for deed in story.deeds:
        who: set[Who] = {k for k in (*deed.a, *deed.b) if isinstance(k, int)}
        shared = [when for others, when in last if deed.is_then or others & who]
        when = _when(deed, run, max(shared, default=0.0))
        if deed.never == (when is not None):
            missing.append(deed)
        elif when is not None and deed.verb != "rests":
            last.append((who, when))
    return missing


def _when(deed: Deed, run: Run, after: float) -> float | None:
    """When a deed has come about, by each who does it, or by any."""
    times = []
    for k in deed.a:
        if isinstance(k, int) or deed.verb != "rests":
            frames = DEEDS[deed.verb].judge(deed, run.body(k)) & (run.seconds >= after - run.frame_seconds)
            times.append(float(run.seconds[np.argmax(frames)]) if frames.any() else np.inf)
    when = (min if deed.never or not deed.each else max)(times, default=np.inf)
    return when if np.isfinite(when) else None


def contradictions(story: Story, run: Run) -> list[int]:
    """Things that do what nobody told: leave the table; or, said to stand still, are moved."""
    leave = {k for deed in story.deeds if deed.verb == "leaves" and not deed.never for k in deed.a}
    shoved = {k for deed in story.deeds if deed.verb == "moves" for k in deed.a} & leave
    leave |= {k for deed in story.deeds if deed.verb == "hits" and set(deed.b) & shoved for k in deed.a}
    busy = {k for deed in story.deeds if deed.verb != "rests" and not deed.never for k in (*deed.a, *deed.b)}
    for relation in story.relations:
        if relation.kind in ("row", "stack", "on") and set(relation.a) & busy:
            busy |= {*relation.a, *relation.b}
    found = []
    for k in (k for k, wish in enumerate(story.things) if wish.fixture is None):
        body = run.body(k)
        beyond = (np.abs(body.place[:, :2]) > (LAB_TRAY.half_x, LAB_TRAY.half_y)).any(axis=1)
        left = k not in leave and bool((beyond | judging.leaves(Deed("leaves", ()), body)).any())
        if left or (k not in busy and body.moved.max() > _STILL_M):
            found.append(k)
    return found


def not_standing(story: Story, run: Run) -> list[str]:
    """Relations that do not hold at first. What is set up by rule (rows, stacks, ramps) is taken as it is."""
    sides = [
        r for r in story.relations if r.kind in ("left of", "right of", "behind", "in front of", "next to")
    ]
    return [
        r.kind
        for r in sides
        if not all(judging.stands_so(r.kind, run.body(a), run.body(b)) for a in r.a for b in r.b)
    ]


def deed_words(story: Story, deed: Deed) -> str:
    """A deed as one would say it: "the red ball hits the blue box"."""

    def named(who: Sequence[Who]) -> str:
        names = [story.things[k].name if isinstance(k, int) else f"the {k}" for k in who]
        return " and ".join(dict.fromkeys(names))

    never = "never " if deed.never else ""
    return f"{named(deed.a)} {never}{deed.verb} {named(deed.b)}".strip()
