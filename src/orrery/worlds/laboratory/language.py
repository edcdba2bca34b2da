"""Sentences about the laboratory: the grammar is made from the patterns that the writer uses (`tales`).

`parse_laboratory` reads everything that `caption_laboratory` writes (a property test holds the two
together), with "the" for "a", without punctuation, and with what is not said left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from lark.lexer import Lexer

from orrery.errors import UserError, nearest
from orrery.streams import Event
from orrery.worlds.laboratory import tales
from orrery.worlds.laboratory.captions import AGREE, PLACE, caption_laboratory
from orrery.worlds.laboratory.drawing import Happening, LabRequest, Reference, ThingRequest
from orrery.worlds.laboratory.happenings import FIXTURE_WORDS, what_happened_satisfies
from orrery.worlds.laboratory.scene import LIGHTS, MOVES, SIDES, LabScene
from orrery.worlds.rigid_bodies.materials import COLOURS, SURFACES
from orrery.worlds.rigid_bodies.words import HEADINGS, check_text, split_words

__all__ = ["EXAMPLE", "caption_laboratory", "disagreements", "parse_laboratory"]

EXAMPLE = 'a sentence that works: "a red ball rolls down a ramp towards a blue wooden box"'
_CLASSES: dict[str, dict[str, str]] = {
    "colour": {name: name for name in COLOURS} | {"violet": "purple"},
    "material": {word: name for name, words in tales.MATERIALS.items() for word in words},
    "size": {"small": "small", "little": "small", "tiny": "small", "big": "big", "large": "big"},
    "noun": {word: shape for shape, words in tales.SHAPES.items() for word in words},
    "number": {word: str(number) for number, word in tales.NUMBERS.items()},
    "place": {word: word for word in (*FIXTURE_WORDS, "domino")},
}
"""Rule of the grammar to its words, each with what it stands for."""


def parse_laboratory(prompt: str) -> LabRequest:
    """What `prompt` asks of a laboratory scene; what it leaves open stays None, or is left out of its roles.

    Raises UserError for text that is empty, too long or no text; for a word that no sentence has (naming the
    nearest); and for a sentence that no pattern fits.
    """
    check_text(prompt)
    words = split_words(prompt.replace("-", ""))
    if not words:
        raise UserError(f"the sentence is empty; {EXAMPLE}")
    grammar = _grammar()
    for place, word in enumerate(words, start=1):
        if word not in grammar.words:
            near = nearest(word, grammar.words)
            hint = f"the nearest known: {', '.join(near)}" if near else EXAMPLE
            raise UserError(f'unknown word "{word}" (word {place} of the sentence); {hint}')
    try:
        tree = grammar.parser.parse(" ".join(words))
    except UnexpectedInput as problem:
        token = getattr(problem, "token", None)
        place = getattr(token, "start_pos", None)
        if place is None or place >= len(words) or getattr(token, "type", "") == "$END":
            raise UserError(f'the sentence stops too early, after "{words[-1]}"; {EXAMPLE}') from None
        before = " ".join(words[max(0, place - 4) : place])
        after = f' after "{before}"' if before else " at the start"
        raise UserError(f'"{words[place]}" (word {place + 1}) does not fit{after}; {EXAMPLE}') from None
    return _Reader(grammar.patterns).read(tree)


class _WordLexer(Lexer):
    """Words to the grammar's terminals, one each; `start_pos` counts words."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, data: str) -> Iterator[Token]:  # pyright: ignore[reportIncompatibleMethodOverride]
        for place, word in enumerate(data.split()):
            yield Token(_terminal(word), word, start_pos=place)


def _terminal(word: str) -> str:
    return f"W_{word.upper()}"


class _Grammar:
    """The parser, the words it knows, and the (family, placeholders) of each pattern's rule."""

    def __init__(self) -> None:
        self.patterns: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        self.words: set[str] = set()
        rules = [self._rules("clause", {"plain": sum(tales.CLAUSES.values(), ())})]
        rules.append(self._rules("tale", tales.TALES))
        rules += [self._choice(f"to_{heading}", phrases) for heading, phrases in HEADINGS.items()]
        rules.append("to: " + " | ".join(f"to_{heading}" for heading in HEADINGS))
        rules += self._endings()
        rules += [
            "start: opening? (tale | clause) (join? clause)* ending*",
            self._choice("opening", tales.OPENINGS),
            self._choice("join", ("and", "while")),
            "np: det size? colour? material? noun",
            f"nps: np ({self._phrase('and')}? np)*",
            f"row: number colour? material? {self._phrase('dominoes')}",
            "det: W_A | W_AN | W_THE",
            "ref: W_THE colour? noun | det place",
            "ending: happening | surface | seen | move | light",
        ]
        rules += [self._choice(kind, tuple(words)) for kind, words in _CLASSES.items()]
        self.words |= {"a", "an", "the"}
        text = "\n".join([*rules, "%declare " + " ".join(sorted(map(_terminal, self.words)))])
        self.parser = Lark(text, parser="earley", lexer=_WordLexer)

    def _phrase(self, words: str) -> str:
        """Plain words as terminals; where "a" is written, "the" is read too."""
        split = words.replace("-", "").split()
        self.words |= set(split)
        return " ".join("det" if word == "a" else _terminal(word) for word in split)

    def _choice(self, rule: str, phrases: tuple[str, ...]) -> str:
        return f"{rule}: " + " | ".join(self._phrase(phrase) for phrase in phrases)

    def _rules(self, kind: str, table: dict[str, tuple[str, ...]]) -> str:
        """One rule for each pattern, and one that is any of them."""
        lines, names = [], []
        for family, patterns in table.items():
            for pattern in patterns:
                name = f"{kind}_{len(self.patterns)}"
                names.append(name)
                self.patterns[name] = (family, [(_symbol(m), m["role"]) for m in PLACE.finditer(pattern)])
                lines.append(f"{name}: {self._compiled(pattern)}")
        return "\n".join([f"{kind}: " + " | ".join(names), *lines])

    def _compiled(self, pattern: str) -> str:
        parts = []
        for part in re.findall(r"\{[^}]+\}|<[^>]+>|[^{<]+", pattern):
            place, agree = PLACE.fullmatch(part), AGREE.fullmatch(part)
            if place:
                parts.append(_symbol(place))
            elif agree:
                parts.append(f"({self._phrase(agree['one'])} | {self._phrase(agree['several'])})")
            else:
                parts.append(self._phrase(part))
        return " ".join(parts)

    def _endings(self) -> list[str]:
        rules = [f"happening: ({' | '.join(map(self._phrase, tales.NEXT))})? said"]
        active = " | ".join(map(self._phrase, (*tales.HITS, *tales.LANDS)))
        passive = " | ".join(map(self._phrase, tales.HIT_BY))
        knock = " | ".join(map(self._phrase, tales.KNOCK_ON))
        rules.append(
            f"said: ref ({active}) ref | ref ({passive}) ref -> said_passive | ({knock}) -> said_row"
        )
        groups = {
            "surface": (SURFACES, tales.SURFACE_TABLES),
            "move": (MOVES, tales.CAMERA_MOVES),
            "light": (LIGHTS, tales.LIGHT_PHRASES),
            "seen": (SIDES, {side: tuple(p.format(side=side) for p in tales.SEEN) for side in SIDES}),
        }
        for kind, (keys, phrases) in groups.items():
            names = [f"{kind}_{index}" for index in range(len(keys))]
            rules.append(f"{kind}: " + " | ".join(names))
            rules += [self._choice(name, phrases[key]) for name, key in zip(names, keys, strict=True)]
        return rules


def _symbol(place: re.Match[str]) -> str:
    return {"to:": "to", "row:": "row"}.get(place["kind"], "nps" if place["many"] else "np")


@lru_cache(maxsize=1)
def _grammar() -> _Grammar:
    return _Grammar()


class _Reader:
    """From a sentence's tree to a request."""

    def __init__(self, patterns: dict[str, tuple[str, list[tuple[str, str]]]]) -> None:
        self.patterns = patterns
        self.roles: dict[str, list[ThingRequest]] = {}

    def read(self, tree: Tree[Token]) -> LabRequest:
        """What the sentence asks for. Raises UserError where its clauses do not go together."""
        family, happenings, stated = None, [], {}
        for child in _trees(tree):
            if child.data in ("tale", "clause"):
                (pattern,) = _trees(child)
                read = self._pattern(pattern)
                if (
                    family is not None
                    and str(child.data) == "clause"
                    and not self._may_follow(pattern, family)
                ):
                    raise UserError(f"what is told does not happen in one scene with a {family}; {EXAMPLE}")
                family = family or read
            elif child.data == "ending":
                (ending,) = _trees(child)
                if ending.data == "happening":
                    happenings.append(_happening(ending))
                else:
                    self._state(stated, ending)
        roles = {role: tuple(wishes) for role, wishes in self.roles.items()}
        return LabRequest(family, roles, happenings=tuple(happenings), **stated)

    def _may_follow(self, pattern: Tree[Token], family: str) -> bool:
        _, places = self.patterns[str(pattern.data)]
        with_resters = ("wall", "occluder", "push", "lift", "poke")
        return family == "plain" or (family in with_resters and places[0][1] == "rester")

    def _pattern(self, tree: Tree[Token]) -> str:
        """Note the things of one tale or clause; its family."""
        family, places = self.patterns[str(tree.data)]
        parts = [part for part in _trees(tree) if part.data in ("np", "nps", "row", "to")]
        headings: dict[str, str] = {}
        new: dict[str, list[ThingRequest]] = {}
        for (symbol, role), part in zip(places, parts, strict=True):
            if symbol == "to":
                headings[role] = str(_trees(part)[0].data).removeprefix("to_")
            elif symbol == "row":
                new[role] = [_attributes(part, shape="box")] * int(_value(part, "number") or 0)
            else:
                nouns = _trees(part) if symbol == "nps" else [part]
                new[role] = [_attributes(noun) for noun in nouns if noun.data == "np"]
        for role, heading in headings.items():
            wishes = new.setdefault(role, [ThingRequest()])
            wishes[0] = replace(wishes[0], heading=heading)
        for role, wishes in new.items():
            self.roles.setdefault(role, []).extend(wishes)
        return family

    def _state(self, stated: dict[str, str], ending: Tree[Token]) -> None:
        kind, index = str(_trees(ending)[0].data).rsplit("_", 1)
        keys = {"surface": SURFACES, "move": MOVES, "light": LIGHTS, "seen": SIDES}[kind]
        name = "side" if kind == "seen" else kind
        value = list(keys)[int(index)]
        if stated.get(name, value) != value:
            raise UserError(f"the sentence says both {stated[name]} and {value}; a scene has one {name}")
        stated[name] = value


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _value(tree: Tree[Token], kind: str) -> str | None:
    """What the word of class `kind` right under `tree` stands for."""
    words = [child.children[0] for child in _trees(tree) if child.data == kind]
    return _CLASSES[kind][str(words[0])] if words else None


def _attributes(tree: Tree[Token], shape: str | None = None) -> ThingRequest:
    return ThingRequest(
        shape or _value(tree, "noun"), _value(tree, "colour"), _value(tree, "material"), _value(tree, "size")
    )


def _happening(tree: Tree[Token]) -> Happening:
    said = _trees(tree)[0]
    if said.data == "said_row":
        return Happening(Reference(name="domino"), None)
    first, second = (_reference(ref) for ref in _trees(said) if ref.data == "ref")
    return Happening(second, first) if said.data == "said_passive" else Happening(first, second)


def _reference(tree: Tree[Token]) -> Reference:
    place = _value(tree, "place")
    if place is not None:
        return Reference(name=place)
    asked = _attributes(tree)
    return Reference(asked.shape, asked.colour)


def disagreements(request: LabRequest, scene: LabScene, events: list[Event] | None = None) -> list[str]:
    """Where `scene` is not what `request` states. events: of the scene; None leaves out what is told to
    happen.
    """
    stated = {
        "family": (request.family, scene.family), "surface": (request.surface, scene.surface),
        "light": (request.light, scene.light), "side": (request.side, scene.orbit.side),
        "move": (request.move, scene.orbit.move),
    }  # fmt: skip
    found = [
        f"{k}: {asked} asked, {there} there"
        for k, (asked, there) in stated.items()
        if asked not in (None, there)
    ]
    for role, wishes in request.roles.items():
        things = [thing for thing in scene.things if thing.role == role]
        if len(things) != len(wishes):
            found.append(f"{role}: {len(wishes)} asked, {len(things)} there")
        for wish, thing in zip(wishes, things, strict=False):
            for name in ("shape", "colour", "material", "heading"):
                if getattr(wish, name) not in (None, getattr(thing, name)):
                    found.append(f"{role}: {name} {getattr(wish, name)} asked, {getattr(thing, name)} there")
            if wish.size not in (None, thing.size_word):
                found.append(f"{role}: size {wish.size} asked, {thing.size_word} there")
    if events is not None and not what_happened_satisfies(scene, request.happenings, events):
        found.append("what is told did not happen, or in another order")
    return found
