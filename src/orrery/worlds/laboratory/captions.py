"""From a laboratory scene, and what has happened in it, to English: the writing half of its language."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from orrery.streams import Event
from orrery.worlds.laboratory.drawing import Reference
from orrery.worlds.laboratory.happenings import told_happenings
from orrery.worlds.laboratory.scene import LabScene, Thing
from orrery.worlds.laboratory.tales import (
    CAMERA_MOVES,
    CLAUSES,
    HIT_BY,
    HITS,
    KNOCK_ON,
    LANDS,
    LIGHT_PHRASES,
    MATERIALS,
    NEXT,
    NUMBERS,
    OPENINGS,
    SEEN,
    SHAPES,
    SURFACE_TABLES,
    TALES,
)
from orrery.worlds.rigid_bodies.words import HEADINGS

__all__ = ["MAX_TALE_WORDS", "caption_laboratory"]

MAX_TALE_WORDS = 80
_SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large")}
_MANY = 4
"""More things than this are named without size and material."""
_CUBE = 1.25
"""A box whose longest edge is more than this times its shortest is no cube."""


class _Writer:
    """Writes one scene's sentences. rng: draws their form; None writes the plain, full form.

    brief: leave out what can be left out.
    """

    def __init__(self, scene: LabScene, rng: np.random.Generator | None, brief: bool) -> None:
        self.scene = scene
        self.rng = rng
        self.brief = brief or len(scene.things) > _MANY

    def pick(self, options: Sequence[str]) -> str:
        return options[0] if self.rng is None else options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return probability > 0.5 if self.rng is None else bool(self.rng.random() < probability)

    def of_role(self, role: str) -> list[Thing]:
        return [thing for thing in self.scene.things if thing.role == role]

    def story(self) -> list[str]:
        """What the scene is, clause by clause."""
        if self.scene.family == "plain":
            return [self.clause(thing) for thing in self.scene.things]
        usable = [p for p in TALES[self.scene.family] if all(self.of_role(role) for role in roles_of(p))]
        clauses = [self.filled(self.pick(usable))]
        if self.chance(0.7):
            clauses += [self.clause(thing) for thing in self.of_role("rester")]
        return clauses

    def clause(self, thing: Thing) -> str:
        return self.filled(self.pick(CLAUSES[thing.role]), thing)

    def filled(self, pattern: str, only: Thing | None = None) -> str:
        """A pattern with its things put in. only: the thing that it speaks of, where the role has several."""

        def fill(match: re.Match[str]) -> str:
            """What stands in the place of a match of `PLACE`."""
            kind, role, many = match["kind"], match["role"], match["many"]
            things = [only] if only is not None else self.of_role(role)
            if kind == "to:":
                return self.pick(HEADINGS[things[0].heading or "right"])
            if kind == "row:":
                return self.row(things)
            names = [self.name(thing) for thing in (things if many else things[:1])]
            return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]

        def agree(match: re.Match[str]) -> str:
            return match["one"] if len(self.of_role(match["role"])) == 1 else match["several"]

        return PLACE.sub(fill, AGREE.sub(agree, pattern))

    def name(self, thing: Thing) -> str:
        """Article, adjectives, noun: "a small red wooden ball"."""
        words = self.adjectives(thing)
        nouns = SHAPES[thing.shape]
        if max(thing.half_extents_m) > _CUBE * min(thing.half_extents_m):
            nouns = tuple(noun for noun in nouns if noun != "cube")
        words.append(self.pick(nouns))
        return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])

    def row(self, things: Sequence[Thing]) -> str:
        return " ".join([NUMBERS[len(things)], *self.adjectives(things[0], sizes=False), "dominoes"])

    def adjectives(self, thing: Thing, sizes: bool = True) -> list[str]:
        """Size, colour and material, each told now and then. sizes: whether the size may be told."""
        words = []
        if sizes and not self.brief and self.chance(0.35):
            words.append(self.pick(_SIZES[thing.size_word]))
        if self.chance(0.94):
            words.append(thing.colour)
        if not self.brief and self.chance(0.55):
            words.append(self.pick(MATERIALS[thing.material]))
        return words

    def reference(self, who: Reference) -> str:
        """ "the red ball", "the wall", "a domino"."""
        if who.name is not None:
            return f"a {who.name}" if who.name == "domino" else f"the {who.name}"
        return " ".join(["the", *([who.colour] if who.colour else []), who.shape or ""])

    def happenings(self, events: Sequence[Event], limit: int) -> list[str]:
        """What has happened, in order, each with a word that says so."""
        sentences = []
        for happening in told_happenings(self.scene, events)[:limit]:
            if happening.b is None:
                said = self.pick(KNOCK_ON)
            else:
                a, b = self.reference(happening.a), self.reference(happening.b)
                if happening.b.name == "table":
                    said = f"{a} {self.pick((*LANDS, *HITS[:1]))} {b}"
                elif self.chance(0.2):
                    said = f"{b} {self.pick(HIT_BY)} {a}"
                else:
                    said = f"{a} {self.pick(HITS)} {b}"
            sentences.append(f"{self.pick(NEXT)} {said}")
        return sentences

    def surroundings(self, text: str) -> list[str]:
        """Where it is, who looks, and in which light; each only now and then."""
        scene, said = self.scene, []
        if self.chance(0.3):
            said.append(SURFACE_TABLES[scene.surface]["table" in text])
        if self.chance(0.25):
            said.append(self.pick(SEEN).format(side=scene.orbit.side))
        if self.chance(0.3):
            said.append(self.pick(CAMERA_MOVES[scene.orbit.move]))
        if self.chance(0.2):
            said.append(self.pick(LIGHT_PHRASES[scene.light]))
        return said


PLACE = re.compile(r"\{(?P<kind>to:|row:|)(?P<role>\w+)(?P<many>\*?)\}")
AGREE = re.compile(r"<(?P<one>\w+)\|(?P<several>\w+):(?P<role>\w+)>")


def roles_of(pattern: str) -> list[str]:
    """The roles that a pattern speaks of."""
    return [match["role"] for match in PLACE.finditer(pattern)]


def caption_laboratory(
    scene: LabScene, events: Sequence[Event] = (), rng: np.random.Generator | None = None
) -> str:
    """English about `scene`, and what happened in it in order, at most `MAX_TALE_WORDS` words.

    rng: draws the form and what is left unsaid; None writes the plain, full form. What it writes is read
    back by `language.parse_laboratory` into a request that `scene` satisfies.
    """
    text = ""
    for brief, limit in ((False, 4), (True, 3), (True, 1), (True, 0)):
        text = _compose(_Writer(scene, rng, brief), events, limit)
        if len(text.split()) <= MAX_TALE_WORDS:
            break
    return text


def _compose(writer: _Writer, events: Sequence[Event], limit: int) -> str:
    clauses = writer.story()
    text = clauses[0]
    for left, clause in enumerate(clauses[1:], start=2):
        last = left == len(clauses)
        text += writer.pick((" and ", " while ", ", and ", ". ") if last else (", ", ". ", ", ")) + clause
    for said in writer.surroundings(text):
        text += f", {said}"
    if writer.chance(0.15):
        text = f"{writer.pick(OPENINGS)}, {text}"
    for said in writer.happenings(events, limit):
        text += f"{writer.pick((', ', '. ', '; '))}{said}"
    sentences = [part[0].upper() + part[1:] for part in text.split(". ")]
    return ". ".join(sentences) + "."
