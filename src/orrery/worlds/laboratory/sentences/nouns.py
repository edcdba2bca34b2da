"""Noun phrases: which things of a story they name, new ones or ones named before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lark import Token, Tree

from orrery.errors import UserError
from orrery.worlds.laboratory.scene import MAX_THINGS, MESH
from orrery.worlds.laboratory.sentences.draft import (
    EXAMPLE,
    FIXTURES,
    SHAPES,
    SPEEDS,
    Draft,
    Phrase,
    together,
)
from orrery.worlds.laboratory.sentences.lexicon import LEXICON, SINGULAR, SMALL_NOUNS, plural
from orrery.worlds.laboratory.sentences.story import Who, Wish
from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["Nouns", "Objects", "amount", "trees", "value", "words"]

_SEPARATORS = ("comma", "stop", "and", "nothing", "lead", "of", "there", "which", "made")
_PARTS = {"stand": "ramp", "post": "pendulum", "beam": "pendulum", "fulcrum": "seesaw"}
_OPEN = {"domino": (5, 3), "block": (4, 2), "thing": (3, 2)}
"""How many there are where none is said, and how many of those are sure."""
_PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}
_STATED = ("shape", "colour", "material", "size", "mesh")
Objects = Mapping[str, MeshFile]
"""Nouns of one's own, each in the singular, with its mesh."""


def trees(tree: Tree[Token], *names: str) -> list[Tree[Token]]:
    """The subtrees right under `tree`, those that only separate left out; names: of these kinds alone."""
    found = [c for c in tree.children if isinstance(c, Tree) and c.data not in _SEPARATORS]
    return [c for c in found if not names or c.data in names]


def value(tree: Tree[Token]) -> str:
    """What a word stands for in its class."""
    return str(LEXICON[str(tree.data)][str(tree.children[0])])


def words(tree: Tree[Token]) -> str:
    """A tree's own words."""
    return " ".join(str(t) for t in tree.scan_values(lambda t: isinstance(t, Token)))


def amount(tree: Tree[Token]) -> float:
    """A number and a half, as said."""
    parts = [(str(part.data), str(part.children[0])) for part in trees(tree, "number", "half")]
    return sum(float(LEXICON[kind].get(word, 0.0) or float(word)) for kind, word in parts)


def _too_many(word: str) -> UserError:
    return UserError(f'"{word}" do not fit: a scene holds 1 to {MAX_THINGS} things')


class Nouns:
    """Reads noun phrases into a draft. objects: nouns of one's own, before those of the lexicon."""

    def __init__(self, draft: Draft, objects: Objects) -> None:
        self.draft = draft
        self._objects = {**{plural(noun): (noun, mesh) for noun, mesh in objects.items()},
                         **{noun: (noun, mesh) for noun, mesh in objects.items()}}  # fmt: skip
        self.is_subject = False

    def list(self, tree: Tree[Token]) -> Phrase:
        """The things of a list of noun phrases."""
        return self.joined([self.phrase(np) for np in trees(tree)])

    def joined(self, phrases: list[Phrase]) -> Phrase:
        """Several noun phrases as one; "a tower of a box, a can and a cube" is a tower."""
        first, *others = phrases
        if first.is_list and others and all(len(other.who) == 1 for other in others):
            self.draft.relations = [r for r in self.draft.relations if r.a != first.who]
            return self._group(first.kind, together(phrases))
        if first.is_list and len(first.who) == 1:
            raise UserError(
                f'"{first.word}": there have to be several, such as "a {first.kind} of four boxes"'
            )
        return together(phrases)

    def phrase(self, tree: Tree[Token]) -> Phrase:
        """One noun phrase."""
        parts = {str(part.data): part for part in trees(tree)}
        if "pronoun" in parts:
            phrase = self._pronoun(value(parts["pronoun"]), words(tree))
        elif "person" in parts:
            phrase = Phrase(("someone",), "someone", "someone")
        elif "of_all" in parts:
            which, whom = trees(parts["of_all"])
            is_each = which.data != "number" and value(which) not in ("any", "some")
            phrase = replace(self._pronoun(value(whom), words(tree)), is_each=is_each)
        elif "of_row" in parts:
            ordinal, row = trees(parts["of_row"], "ordinal", "nps")
            phrase = self._nth(value(ordinal), self.list(row).numbers, words(tree))
        elif "noun" in parts or "nouns" in parts:
            phrase = self._noun(tree, parts)
        else:
            phrase = self._alone(value(parts["ordinal"]), words(tree))
        self.draft.said.append(phrase)
        return phrase

    def _alone(self, ordinal: str, word: str) -> Phrase:
        """ "the other", "the last": of what was named before."""
        near = [*self.draft.said[::-1], *self.draft.before]
        end = next((phrase for phrase in near if phrase.kind.startswith("end of")), None)
        if ordinal == "other" and end is not None:
            return replace(end, word=word)
        return self._shaped(Wish(), "thing", ("the", ordinal, None), False, word)

    def _pronoun(self, said: str, word: str) -> Phrase:
        draft = self.draft
        current = draft.subject.who if draft.subject and not self.is_subject else ()
        for phrase in [*draft.said[::-1], *draft.before]:
            is_thing = phrase.who and len(phrase.numbers) == len(phrase.who) and phrase.who != current
            if is_thing and (said == "it" or len(phrase.who) > 1):
                return replace(phrase, word=word)
        everything = tuple(k for k, wish in enumerate(draft.things) if wish.fixture is None)
        if said == "them" and everything:
            return Phrase(everything, "thing", word)
        raise UserError(f'"{word}" could mean nothing that was named before; {EXAMPLE}')

    def _noun(self, tree: Tree[Token], parts: dict[str, Tree[Token]]) -> Phrase:
        noun = parts.get("noun") or parts["nouns"]
        said, word, tail = str(noun.children[0]), words(tree), parts.get("tail")
        kind = MESH if said in self._objects else value(noun)
        asked = self._asked(tree, kind, said)
        if tail is not None and trees(tail)[0].data == "material":
            made = value(trees(tail)[0])
            if asked.material not in (None, made):
                raise UserError(f'"{word}" cannot be {asked.material} and {made} at once')
            asked, tail = replace(asked, material=made), None
        number, num_named = self._number(parts.get("number"), word), len(self.draft.things)
        det = value(parts["det"]) if "det" in parts else "a"
        ordinal = value(parts["ordinal"]) if "ordinal" in parts else None
        if kind in ("row", "stack"):
            phrase = self._row(kind, tail, det, word)
        elif kind in (*SHAPES, MESH, "thing"):
            if tail is not None:
                raise UserError(f'"{word}": what it is of says nothing here')
            phrase = self._shaped(asked, kind, (det, ordinal, number), noun.data == "nouns", word)
        elif kind == "pendulum" or kind in FIXTURES:
            phrase = self._one(replace(asked, hangs=kind == "pendulum"), kind, word, number)
        elif kind == "table":
            phrase = self._table(asked, word)
        else:
            phrase = self._part(kind, tail, word)
        if det == "the" and self.draft.num_there and len(self.draft.things) > num_named:
            said = word.removeprefix("the ")
            raise UserError(f'there is no {said} here; there is {self.draft.there()}; say "a" for another')
        adjectives = [trees(adjective)[0] for adjective in trees(tree, "adjective")]
        manner = next((value(p) for p in adjectives if p.data == "quality" and value(p) in SPEEDS), None)
        action = next((value(p) for p in adjectives if p.data == "ing"), None)
        return replace(phrase, manner=manner, action=action)

    def _number(self, tree: Tree[Token] | None, word: str) -> int | None:
        if tree is None:
            return None
        if str(tree.children[0]) not in LEXICON["number"]:
            raise _too_many(word)
        return int(value(tree))

    def _asked(self, tree: Tree[Token], kind: str, noun: str) -> Wish:
        """The attributes that a noun phrase states."""
        stated: dict[str, str] = {}
        qualities: set[str] = set()
        for part in (trees(adjective)[0] for adjective in trees(tree, "adjective")):
            if part.data == "quality":
                qualities.add(value(part))
            elif part.data != "ing" and stated.setdefault(str(part.data), value(part)) != value(part):
                raise UserError(
                    f'"{words(tree)}" cannot be {stated[str(part.data)]} and {value(part)} at once'
                )
        if kind == MESH:
            return self._own(stated, qualities, noun, words(tree))
        one = SINGULAR.get(noun, noun)
        if one in SMALL_NOUNS:
            stated.setdefault("size", "small")
        shape, fixture = (kind if kind in kinds else None for kinds in (SHAPES, FIXTURES))
        return Wish(shape, stated.get("colour"), stated.get("material"), stated.get("size"), fixture, one,
                    qualities=frozenset(qualities - {"plain", *SPEEDS}))  # fmt: skip

    def _own(self, stated: dict[str, str], qualities: set[str], noun: str, word: str) -> Wish:
        """A mesh of one's own: of what it is made is for the sentence to say, all else is in its file."""
        for name, whose in (("colour", "the colours"), ("size", "the size")):
            if name in stated:
                raise UserError(f'"{word}": it has {whose} of its file; leave "{stated[name]}" out')
        called, mesh = self._objects[noun]
        more = frozenset(qualities - {"plain", *SPEEDS})
        return Wish(MESH, material=stated.get("material"), noun=called, qualities=more, mesh=mesh)

    def _one(self, asked: Wish, kind: str, word: str, number: int | None) -> Phrase:
        """A fixture, or a pendulum: there is one of it."""
        if number not in (None, 1):
            raise UserError(f'"{word}": a scene has one {kind}')
        if asked.colour and asked.fixture:
            raise UserError(f'"{word}": a {kind} has the colour of its material, and no other')
        same = [
            k for k, w in enumerate(self.draft.things) if (w.fixture, w.hangs) == (asked.fixture, asked.hangs)
        ]
        if same and kind == "container" and self.draft.things[same[0]].noun != asked.noun != kind:
            raise UserError(f'"{word}": a scene has one {kind}')
        return Phrase(tuple(same) or self.draft.add([asked]), kind, word)

    def _fits(self, k: int, asked: Wish) -> bool:
        wish = self.draft.things[k]
        stated = [(getattr(asked, name), getattr(wish, name)) for name in _STATED]
        return wish.fixture is None and all(a is None or there in (None, a) for a, there in stated)

    def _shaped(
        self, asked: Wish, kind: str, which: tuple[str, str | None, int | None], is_many: bool, word: str
    ) -> Phrase:
        """Things by their shape: ones named before, or new ones. which: article, ordinal and number."""
        det, ordinal, number = which
        old = tuple(k for k in range(len(self.draft.things)) if self._fits(k, asked))
        is_second = ordinal == "second" and (det == "the" or kind == "thing")
        if ordinal in ("first", "last", "third", "fourth") or (is_second and det == "the"):
            groups = [g for g in self.draft.groups if len(g) > 1 and self._fits(g[0], asked)]
            return self._nth(ordinal, groups[-1] if groups else self._dominoes(asked, kind, word), word)
        if ordinal == "other" or is_second:
            current = self.draft.subject.who if self.draft.subject else ()
            others = tuple(k for k in old if k not in current)
            if others:
                return Phrase(others[:1], kind, word)
        several = is_many or (number or 1) > 1
        if old and several and det in ("the", "all") and number in (None, len(old)):
            return Phrase(old, kind, word)
        if old and kind == "domino" and (det, number, several) == ("a", None, False):
            return Phrase(old, kind, word, is_each=False)
        if old and det == "the" and not several and ordinal is None:
            return Phrase((self._same(old, asked),), kind, word)
        return Phrase(self._new(asked, kind, number, is_many, word), kind, word)

    def _same(self, old: tuple[int, ...], asked: Wish) -> int:
        """Which of those that fit "the red ball" is; what it adds to what was said before."""
        things, there = self.draft.things, [k for k in old if k < self.draft.num_there]
        if len(there) == len(old) > 1:
            raise UserError(f"that may be {self.draft.there(*there)}; say which, by colour, size or material")
        k = max(old, key=lambda k: (things[k].shape == asked.shape, things[k].colour == asked.colour, -k))
        more = {n: getattr(asked, n) for n in _STATED if getattr(things[k], n) is None}
        self.draft.change((k,), **more)
        return k

    def _new(self, asked: Wish, kind: str, number: int | None, is_many: bool, word: str) -> tuple[int, ...]:
        count, sure = (number or 1,) * 2
        if is_many and number is None:
            count, sure = _OPEN.get(kind, _OPEN["thing"])
        if count > MAX_THINGS:
            raise _too_many(word)
        group = self.draft.add([replace(asked, is_sure=k < sure) for k in range(count)])
        if kind == "domino" and count > 2:
            self.draft.relate("row", group)
        return group

    def _dominoes(self, asked: Wish, kind: str, word: str) -> tuple[int, ...]:
        if kind != "domino":
            raise UserError(f'"{word}": nothing of which there are several was named before')
        return self._new(asked, kind, None, True, word)

    def _nth(self, ordinal: str | None, group: tuple[int, ...], word: str) -> Phrase:
        place = _PLACES.get(ordinal or "", len(group))
        if not -len(group) <= place < len(group):
            raise UserError(f'"{word}": there is none')
        return Phrase((group[place],), self.draft.things[group[place]].shape or "thing", word)

    def _row(self, kind: str, tail: Tree[Token] | None, det: str, word: str) -> Phrase:
        """A row or a stack, of what it is said to be of."""
        draft = self.draft
        if tail is None:
            known = [r.a for r in draft.relations if r.kind == kind]
            if known and det == "the":
                return Phrase(known[-1], kind, word)
            if kind == "row":
                raise UserError(f'"{word}": say what is in it, such as "a row of five dominoes"')
            members = self._new(Wish("box", noun="block"), "block", None, True, word)
            return self._group(kind, Phrase(members, kind, word))
        (inner,) = trees(tail, "nps")
        named = self.list(inner)
        is_list = len(trees(inner)) == len(named.who)
        if is_list and len(named.who) == 1:  # "a tower of a box, a can and a cube": the others follow
            return Phrase(named.who, kind, word, is_list=True)
        if kind == "stack" and not is_list and not draft.things[-1].is_sure:
            draft.add([draft.things[-1]])  # a tower of blocks is more than three
            named = replace(named, who=(*named.who, len(draft.things) - 1))
        return replace(self._group(kind, replace(named, word=word)), is_list=is_list)

    def _group(self, kind: str, members: Phrase) -> Phrase:
        if "wobbly" in members.word:
            for k in members.numbers:
                self.draft.change((k,), qualities=self.draft.things[k].qualities | {"wobbly"})
        self.draft.relate(kind, members.who)
        self.draft.groups.append(members.numbers)
        return Phrase(members.who, kind, members.word)

    def _table(self, asked: Wish, word: str) -> Phrase:
        surface = (
            "cloth" if "tablecloth" in word else {"steel": "metal"}.get(asked.material or "", asked.material)
        )
        if asked.colour or surface not in (None, "wood", "metal", "glass", "cloth"):
            raise UserError(f'"{word}": a table is of wood, metal, glass, or has a cloth on it, as it comes')
        if surface is not None:
            self.draft.set("surface", surface)
        return Phrase(("table",), "table", word)

    def _part(self, kind: str, tail: Tree[Token] | None, word: str) -> Phrase:
        """The table's parts, the finger, parts of fixtures."""
        who: tuple[Who, ...] = (kind,)
        if kind in (*_PARTS, "finger") and tail is None:
            return Phrase(who, kind, word)
        if tail is not None:
            inner = self.list(trees(tail, "nps")[0])
            if kind in ("top", "foot", "end"):
                return replace(inner, kind=f"{kind} of {inner.kind}", word=word)
            if kind in ("edge", "middle") and inner.kind == "table":
                return Phrase(who, kind, word)
            raise UserError(f'"{word}" is no place in this world; there is the {kind} of the table')
        if kind in ("edge", "middle"):
            return Phrase(who, kind, word)
        seesaws = tuple(k for k, w in enumerate(self.draft.things) if w.fixture == "seesaw")
        if kind == "end" and seesaws:
            return Phrase(seesaws, "end of seesaw", word)
        raise UserError(f'"{word}": say of what it is the {kind}')
