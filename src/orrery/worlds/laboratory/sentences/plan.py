"""Who does what in a story, as a scene has to be set up for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from orrery.worlds.laboratory.scene import MESH
from orrery.worlds.laboratory.sentences.deeds import DEEDS
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS, Deed, Relation, Story, Who

__all__ = ["Plan", "things"]

_WAY_TO = {"left of": "right", "right of": "left", "in front of": "back", "behind": "forward"}
_OFF = ("leaves", "drops off")
_CROWD = 4
"""More things than this are small."""


class Plan:
    """story: what is told. movable: its things that are no fixtures. riders: those on a ramp. relations: of
    the story, "between" said as left of and right of."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.movable = [k for k, wish in enumerate(story.things) if wish.fixture is None]
        self.relations: list[Relation] = []
        for relation in story.relations:
            if relation.kind == "between" and len(relation.b) > 1:
                self.relations += [Relation("left of", relation.b[:1], relation.a[:1])]
                self.relations += [Relation("right of", relation.b[-1:], relation.a[:1])]
            else:
                self.relations.append(relation)
        self.riders = [
            k for r in self.relations if r.kind == "on" and self.is_a("ramp", r.b) for k in things(r.a)
        ]
        self.traits = lru_cache(maxsize=None)(self._traits)

    def is_a(self, fixture: str, who: Sequence[Who]) -> bool:
        return any(self.story.things[k].fixture == fixture for k in things(who))

    def deeds(self, *verbs: str) -> list[Deed]:
        """What is told to happen, of these verbs."""
        return [d for d in self.story.deeds if d.verb in verbs and not d.never]

    def own(self, k: int) -> list[Deed]:
        """What a thing does by itself, in order: nothing for one that waits for another to strike it."""
        deeds = [d for d in self.story.deeds if k in d.a and not d.is_caused and not d.never]
        return [d for d in deeds if d.verb not in ("rests", "topples")]

    def relation(self, kind: str, k: int) -> Relation | None:
        return next((r for r in self.relations if r.kind == kind and k in r.a), None)

    def group(self, k: int) -> Relation | None:
        """The row or stack that a thing is part of."""
        return next((r for r in self.relations if r.kind in ("row", "stack") and k in r.a), None)

    def motion(self, k: int) -> str | None:
        """How it moves at first: `roll`, `slide`, `fall`, `fly`, `swing`, `spin`, or not at all."""
        wish, own = self.story.things[k], self.own(k)
        if wish.hangs:
            return "swing"
        if not own:
            return None
        if self.relation("above", k):
            return "fall"
        motions = [DEEDS[deed.verb].motion for deed in own]
        first = next((motion for motion in motions if motion), "roll")
        return "slide" if first == "roll" and wish.shape in ("box", "domino", MESH) else first

    def goal(self, k: int) -> Deed | None:
        """The first thing that it has to do besides moving."""
        alone = ("leaves", "stops") if self.motion(k) in ("roll", "slide", "fly") else ()
        aimed = [deed for deed in self.own(k) if DEEDS[deed.verb].aim is not None]
        return next((deed for deed in aimed if deed.verb in alone or things(deed.b)), None)

    def speed_m_s(self, k: int) -> float | None:
        return next((deed.speed_m_s for deed in self.own(k) if deed.speed_m_s), None)

    def heading(self, k: int) -> str | None:
        return next((deed.heading for deed in self.own(k) if deed.heading), None)

    def is_target(self, k: int) -> bool:
        """Whether something is done to it, so that it has to stand where that is."""
        return any(k in d.b and k not in d.a for d in self.story.deeds)

    def way(self) -> str | None:
        """The main way: what the sentence says, or where things have to go as they stand; None for any."""
        for deed in self.story.deeds:
            if deed.heading and not deed.never:
                return deed.heading
        if self.deeds("passes over") and self.deeds("ends behind"):
            return "back"
        for relation in (r for r in self.relations if r.kind in _WAY_TO):
            if any({*relation.a} & {*d.a} and {*relation.b} & {*d.b} for d in self.deeds("hits")):
                return _WAY_TO[relation.kind]
        return None

    @property
    def open_edge(self) -> bool:
        """Whether something falls off the table, or might."""
        kinds = {d.verb for d in self.story.deeds} | {r.kind for r in self.relations}
        return bool({"leaves", "edge"} & kinds)

    def _traits(self, k: int) -> frozenset[str]:
        """What counts for how a thing is drawn, and where it stands."""

        def does(who: Collection[Who], *verbs: str) -> bool:
            return any({*who} & {*d.a} for d in self.deeds(*verbs))

        def bears(*verbs: str) -> bool:
            return any(k in d.b for d in self.deeds(*verbs))

        struck = {j for deed in self.deeds("hits") if k in deed.a for j in deed.b} - {k}
        groups = [group.a for j in things(tuple(struck)) if (group := self.group(j)) is not None]
        boxes = [j for j in things(tuple(struck)) if self.story.things[j].shape == "box"]
        stands = {r.kind for r in self.relations if k in r.a}
        topples = [d for d in self.story.deeds if d.verb == "topples" and k in d.a]
        found = {
            "strikes": bool(struck),
            "struck": bears("hits", "pokes", "pushes"),
            "pushed": bears(*FINGER_DEEDS),
            "flown over": bears("passes over"),
            "base": bears("lands on") or any(r.kind == "on" and k in r.b for r in self.relations),
            "leaves": does((k,), "leaves"),
            "topples": bool(topples) and "stack" not in stands,
            "topples together": any(len(d.a) > 1 for d in topples),
            "sends off": does(struck, "leaves") and not boxes,
            "shoves a box off": does(boxes, *_OFF),
            "needs force": bool(groups) or does(struck, "topples", "hits", "returns", "rolls", *_OFF),
            "counts": any(deed.times for deed in self.own(k)),
            "carried": does((k,), "lands in") or bool({"on", "in"} & stands and k not in self.riders),
            "stacked": "stack" in stands,
            "crowd": len(self.movable) > _CROWD,
            "box": self.story.things[k].shape == "box",
        }
        named = {name for name, holds in found.items() if holds}
        return frozenset(named | self.story.things[k].qualities | {self.motion(k) or "rest"})


def things(who: Sequence[Who]) -> list[int]:
    """Those of them that are things of the story, not the table or the finger."""
    return [k for k in who if isinstance(k, int)]
