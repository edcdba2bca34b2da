"""Whether a scene, and what has struck what in it, is what a sentence about it says: how the laboratory's own
sentences are held to their scenes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from orrery.streams import Event
from orrery.worlds.laboratory.scene import LabScene, Thing
from orrery.worlds.laboratory.sentences.run import Cast, Run
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS, Story, Who, Wish

__all__ = ["disagreements"]

_MOST_CASTINGS = 3000


def disagreements(story: Story, scene: LabScene, events: Sequence[Event] | None = None) -> list[str]:
    """Where `scene` is not what `story` states. events: of the scene, for what is told with "then"; None
    leaves that out."""
    asked = (story.surface, story.light, story.side, story.move)
    there = (scene.surface, scene.light, scene.orbit.side, scene.orbit.move)
    found = [f"{a} asked, {b} there" for a, b in zip(asked, there, strict=True) if a not in (None, b)]
    bodies = _fixtures(story, scene)
    found += [
        f"{wish.name} asked, not there"
        for k, wish in enumerate(story.things)
        if wish.fixture and not bodies[k]
    ]
    if any(deed.verb in FINGER_DEEDS for deed in story.deeds) and scene.task is None:
        found.append("the finger has nothing to do")
    castings = list(itertools.islice(_castings(story, scene), _MOST_CASTINGS))
    if not castings:
        found.append("not all of the things asked for are there")
    elif events is not None and not any(_told_happens(story, scene, cast, events) for cast in castings):
        found.append("what is told did not happen, or in another order")
    return found


def _fixtures(story: Story, scene: LabScene) -> dict[Who, tuple[str, ...]]:
    """Who plays a story's fixtures, and the parts of fixtures that it names."""
    found: dict[Who, tuple[str, ...]] = {}
    for k, wish in enumerate(story.things):
        names = (wish.noun, "crate") if wish.fixture == "container" else (wish.fixture,)
        if wish.fixture == "seesaw":
            found[k] = tuple(f"object{n}" for n, t in enumerate(scene.things) if t.role == "plank")
        elif wish.fixture:
            found[k] = tuple(f"fixture{n}" for n, f in enumerate(scene.fixtures) if f.name in names)
    for n, fixture in enumerate(scene.fixtures):
        found[fixture.name] = (*found.get(fixture.name, ()), f"fixture{n}")
    return found


def _castings(story: Story, scene: LabScene) -> Iterator[Cast]:
    """The ways in which a scene's things can play a story's."""
    headings = {
        k: deed.heading
        for deed in story.deeds
        if deed.heading and not deed.is_caused and len(deed.a) == 1
        for k in (deed.b if deed.a == ("finger",) else deed.a)
    }
    sure = [k for k, wish in enumerate(story.things) if wish.fixture is None and wish.is_sure]
    unsure = [k for k, wish in enumerate(story.things) if wish.fixture is None and not wish.is_sure]
    things, fixed = dict(enumerate(scene.things)), _fixtures(story, scene)

    def rest(left: list[int], free: set[int]) -> Iterator[Cast]:
        """All ways to find the things in `left` among the objects in `free`."""
        if not left:
            suits = {k: [n for n in free if _suits(things[n], story.things[k], None)] for k in unsure}
            yield {**fixed, **{k: [f"object{n}" for n in names] for k, names in suits.items()}}
            return
        for n in sorted(free):
            if _suits(things[n], story.things[left[0]], headings.get(left[0])):
                for cast in rest(left[1:], free - {n}):
                    yield {**cast, left[0]: (f"object{n}",)}

    yield from rest(sure, {n for n, thing in things.items() if thing.role != "plank"})


def _suits(thing: Thing, wish: Wish, heading: str | None) -> bool:
    shape = "domino" if thing.role == "domino" else thing.shape
    asked = (wish.shape, wish.colour, wish.material, wish.size, heading)
    there = (shape, thing.colour, thing.material, thing.size_word, thing.heading)
    hangs = thing.hinge is not None and thing.hinge.rod_m > 0
    return all(a in (None, b) for a, b in zip(asked, there, strict=True)) and wish.hangs == hangs


def _told_happens(story: Story, scene: LabScene, cast: Cast, events: Sequence[Event]) -> bool:
    """Whether the impacts that are told with "then" came, in order."""
    run, after = Run(scene, cast, np.zeros((0, 0, 0)), events, 1.0), 0.0
    for deed in story.deeds:
        if deed.is_then and deed.verb in ("hits", "lands on") and not deed.never:
            times = run.impacts(run.names(deed.a), run.names(deed.b))
            after = next((t for t in times if t >= after), np.inf)
    return bool(np.isfinite(after))
