"""A story in the making: what has been named, what stands how, what happens, and whom "it" may mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orrery.errors import UserError
from orrery.worlds.laboratory.scene import MAX_THINGS
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS, Deed, Relation, Story, Who, Wish

__all__ = ["EXAMPLE", "FIXTURES", "SHAPES", "SPEEDS", "Draft", "Phrase", "Verb", "together"]

EXAMPLE = 'a sentence that works: "a red ball rolls down a ramp and hits a blue wooden box"'
SHAPES = ("ball", "box", "cylinder", "capsule", "domino")
FIXTURES = ("ramp", "wall", "container", "screen", "seesaw")
SPEEDS = {"slow": 0.3, "fast": 1.0}
"""How a motion is said to be, in metres a second."""


@dataclass(frozen=True)
class Phrase:
    """What a noun phrase names.

    kind: its noun's: a shape, a fixture, `row`, `stack`, `table`, `finger`, `someone`, ... is_each: False for
    "any of them". manner: a key of SPEEDS; action: what it does ("a rolling ball"). is_list: whether it is a
    row or a stack whose things are named one by one.
    """

    who: tuple[Who, ...]
    kind: str
    word: str
    is_each: bool = True
    manner: str | None = None
    action: str | None = None
    is_list: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those of them that are things of the story."""
        return tuple(k for k in self.who if isinstance(k, int))

    @property
    def is_hand(self) -> bool:
        return self.kind in ("finger", "someone")


@dataclass
class Verb:
    """A verb with all that goes with it. What has been read is taken off; what is left at last is refused."""

    action: str = "rest"
    word: str = "is"
    is_passive: bool = False
    is_negated: bool = False
    is_nearly: bool = False
    target: Phrase | None = None
    places: list[tuple[str, Phrase]] = field(default_factory=list)
    particles: list[str] = field(default_factory=list)
    heading: str | None = None
    speed: float | None = None
    times: int = 0

    def has(self, *particles: str) -> bool:
        """Whether one of these particles goes with it; it is then taken off."""
        found = [p for p in self.particles if p in particles]
        self.particles = [p for p in self.particles if p not in particles]
        return bool(found)

    def take(self, *preps: str) -> list[tuple[str, Phrase]]:
        """The phrases after these prepositions (all, where none is named), which are then taken off."""
        found = [place for place in self.places if not preps or place[0] in preps]
        self.places = [place for place in self.places if place not in found]
        return found

    def aim(self) -> dict[str, Any]:
        """Where to and how fast, for a deed; taken off."""
        aim = {"heading": self.heading, "speed_m_s": self.speed}
        self.heading = self.speed = None
        return aim


def together(phrases: Sequence[Phrase]) -> Phrase:
    """Several noun phrases as one."""
    if len(phrases) == 1:
        return phrases[0]
    who = tuple(dict.fromkeys(k for phrase in phrases for k in phrase.who))
    return replace(phrases[-1], who=who, word=" and ".join(phrase.word for phrase in phrases), action=None)


@dataclass
class Draft:
    """groups: things that were named together. subject: of the clause. said: phrases of this clause, in
    order; before: those of earlier ones, the last first. same: a thing that turned out to be another, such as
    a pendulum's bob and the pendulum. num_there: how many of the things, the first, are there already."""

    things: list[Wish] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    groups: list[tuple[int, ...]] = field(default_factory=list)
    subject: Phrase | None = None
    said: list[Phrase] = field(default_factory=list)
    before: list[Phrase] = field(default_factory=list)
    is_then: bool = False
    same: dict[int, int] = field(default_factory=dict)
    num_there: int = 0

    def there(self, *who: int) -> str:
        """What is there already, or those of it, in words."""
        return ", ".join(dict.fromkeys(self.things[k].name for k in who or range(self.num_there)))

    def add(self, wishes: Sequence[Wish]) -> tuple[int, ...]:
        """New things; their numbers."""
        first = len(self.things)
        self.things += wishes
        self.groups.append(tuple(range(first, len(self.things))))
        return self.groups[-1]

    def change(self, who: Sequence[Who], **values: Any) -> None:
        """Say more of things."""
        for k in who:
            if isinstance(k, int):
                self.things[k] = replace(self.things[k], **values)

    def do(self, verb: str, a: tuple[Who, ...], b: tuple[Who, ...] = (), **more: Any) -> None:
        """Note something that happens."""
        deed = Deed(verb, a, b, **more)
        self.deeds.append(replace(deed, is_then=True) if self.is_then else deed)

    def does(self, *verbs: str) -> list[Deed]:
        return [deed for deed in self.deeds if deed.verb in verbs]

    def relate(self, kind: str, a: tuple[Who, ...], b: tuple[Who, ...] = ()) -> None:
        if kind == "side by side":
            kind, a, b = "next to", a[1:], a[:1]
        if Relation(kind, a, b) not in self.relations:
            self.relations.append(Relation(kind, a, b))

    def bases(self, who: tuple[Who, ...]) -> tuple[Who, ...]:
        """What these stand on, if it is said."""
        return next((r.b for r in self.relations[::-1] if r.kind == "on" and set(who) <= set(r.a)), ())

    def are(self, who: tuple[Who, ...], *kinds: str) -> bool:
        """Whether these are part of a row or of a stack."""
        return any(set(who) & set(r.a) for r in self.relations if r.kind in kinds)

    def set(self, kind: str, value: str) -> None:
        """A setting of the scene; UserError where another was told before."""
        if self.settings.setdefault(kind, value) != value:
            raise UserError(
                f"the sentence says both {self.settings[kind]} and {value}; a scene has one {kind}"
            )

    def clause(self) -> None:
        """Another clause begins: what was named in the last one is what "it" may mean, what was struck
        first."""
        named = [*([self.subject] if self.subject else []), *self.said]
        struck = self.deeds[-1].b if self.deeds and self.deeds[-1].verb in ("hits", "moves") else ()
        is_one = len(struck) == 1 and isinstance(struck[0], int) and self.things[struck[0]].fixture is None
        self.before = sorted(named, key=lambda phrase: not (is_one and phrase.who == struck))
        self.said = []

    def story(self) -> Story:
        """All that was read. UserError where it does not fit into a scene."""
        things = [k for k in range(len(self.things)) if k not in self.same]
        number: dict[Who, Who] = {k: things.index(self.same.get(k, k)) for k in range(len(self.things))}

        def renumbered(who: tuple[Who, ...]) -> tuple[Who, ...]:
            return tuple(dict.fromkeys(number.get(k, k) for k in who))

        relations = [replace(r, a=renumbered(r.a), b=renumbered(r.b)) for r in self.relations]
        deeds = [replace(d, a=renumbered(d.a), b=renumbered(d.b)) for d in self._caused()]
        wishes = [self.things[k] for k in things]
        movable = sum(wish.fixture is None for wish in wishes)
        if movable > MAX_THINGS:
            raise UserError(f"{movable} things do not fit: a scene holds 1 to {MAX_THINGS}")
        if not movable:
            raise UserError(f"the sentence names nothing that moves: a ball, a box, a domino; {EXAMPLE}")
        settings = {k: v for k, v in self.settings.items() if not k.startswith("is_")}
        return Story(
            tuple(wishes), tuple(relations), tuple(deeds), self.seconds,
            is_above="is_above" in self.settings, is_close="is_close" in self.settings, **settings,
        )  # fmt: skip

    def _caused(self) -> Iterator[Deed]:
        """The deeds, with what another makes happen known as that."""
        struck: set[Who] = set()
        moved: set[Who] = set()
        for deed in self.deeds:
            yield replace(deed, is_caused=deed.is_caused or bool(set(deed.a) & (struck - moved)))
            if deed.never:
                continue
            if deed.verb in ("hits", *FINGER_DEEDS):
                groups = {k for group in self.groups if set(group) & set(deed.b) for k in group}
                struck |= (set(deed.b) | groups) - set(deed.a)
            if deed.verb not in ("rests", "topples"):
                moved |= set(deed.a) - struck
