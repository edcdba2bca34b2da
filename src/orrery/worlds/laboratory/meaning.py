"""What a parsed sentence asks of a scene: from the tree of `grammar.lark` to a `Story`.

Clauses are read in order. Each noun phrase names things, new ones or ones named before ("the box", "it");
each
verb, with what goes with it, says what they do. Whatever a clause says and a story cannot hold is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lark import Token, Tree

from orrery.errors import UserError
from orrery.worlds.laboratory.lexicon import LEXICON, SINGULAR, SMALL_NOUNS
from orrery.worlds.laboratory.scene import MAX_THINGS
from orrery.worlds.laboratory.story import Deed, Relation, Story, Who, Wish

__all__ = ["EXAMPLE", "read_tree"]

EXAMPLE = 'a sentence that works: "a red ball rolls down a ramp and hits a blue wooden box"'
_SHAPES = ("ball", "box", "cylinder", "capsule", "domino")
_FIXTURES = ("ramp", "wall", "container", "screen", "seesaw")
_PARTS = {"stand": "ramp", "post": "pendulum", "beam": "pendulum", "fulcrum": "seesaw"}
_STANDING = ("left of", "right of", "in front of", "next to", "behind", "on", "in", "between", "above")
_MOVING = ("roll", "slide", "move", "fly", "fall", "bounce")
_OPEN = {"domino": (5, 3), "stack": (4, 3), "thing": (3, 2)}
"""How many there are where none is said, and how many of those are sure."""
_SEPARATORS = ("comma", "stop", "and", "nothing", "lead", "of", "there", "which", "made")
_SPEEDS = {"slow": 0.3, "fast": 1.0}


def read_tree(tree: Tree[Token]) -> Story:
    """The story that a sentence's tree tells. UserError for what no scene can hold."""
    reader = _Reader()
    for child in _trees(tree):
        reader.piece(child)
    return reader.story()


@dataclass
class _Phrase:
    """What a noun phrase names. kind: the noun's. is_each: False for "any of them". adverb: `slow`, `fast`.
    is_list:
    whether it is a stack or a row whose things are named one by one."""

    who: tuple[Who, ...]
    kind: str
    word: str
    is_each: bool = True
    adverb: str | None = None
    action: str | None = None
    is_list: bool = False


@dataclass
class _Verb:
    """A verb with all that goes with it."""

    action: str
    word: str
    is_passive: bool = False
    is_negated: bool = False
    is_nearly: bool = False
    target: _Phrase | None = None
    preps: list[tuple[str, str, _Phrase]] = field(default_factory=list)
    particles: list[str] = field(default_factory=list)
    heading: str | None = None
    speed: float | None = None
    times: int = 0

    def has(self, *particles: str) -> bool:
        """Whether one of these particles goes with it; it is then dealt with."""
        found = [p for p in particles if p in self.particles]
        for particle in found:
            self.particles.remove(particle)
        return bool(found)

    def take(self, *preps: str) -> list[tuple[str, _Phrase]]:
        """The phrases after these prepositions, which are then dealt with."""
        found = [p for p in self.preps if p[0] in preps]
        self.preps = [p for p in self.preps if p[0] not in preps]
        return [(prep, phrase) for prep, _, phrase in found]


def _trees(tree: Tree[Token], *names: str) -> list[Tree[Token]]:
    """The subtrees right under `tree`, those that only separate left out; names: of these kinds alone."""
    found = [c for c in tree.children if isinstance(c, Tree) and c.data not in _SEPARATORS]
    return [c for c in found if not names or c.data in names]


def _value(tree: Tree[Token]) -> str:
    return str(LEXICON[str(tree.data)][str(tree.children[0])])


def _word(tree: Tree[Token]) -> str:
    return " ".join(str(t) for t in tree.scan_values(lambda t: isinstance(t, Token)))


class _Reader:
    def __init__(self) -> None:
        self.things: list[Wish] = []
        self.relations: list[Relation] = []
        self.deeds: list[Deed] = []
        self.settings: dict[str, str] = {}
        self.seconds: float | None = None
        self.groups: list[tuple[int, ...]] = []
        self.subject: _Phrase | None = None
        self.said: list[_Phrase] = []
        self.before: list[_Phrase] = []
        self.is_then = False
        self.is_subject = False
        self.num_clauses = 0

    def story(self) -> Story:
        """All that was read, once it is known to fit together."""
        movable = sum(wish.fixture is None for wish in self.things)
        if movable > MAX_THINGS:
            raise UserError(f"{movable} things do not fit: a scene holds 1 to {MAX_THINGS}")
        if not movable:
            raise UserError(f"the sentence names nothing that moves: a ball, a box, a domino; {EXAMPLE}")
        for fixture in _FIXTURES:
            if sum(wish.fixture == fixture for wish in self.things) > 1:
                raise UserError(f"a scene has one {fixture}")
        return Story(
            tuple(self.things),
            tuple(self.relations),
            tuple(self._caused()),
            self.seconds,
            is_above="is_above" in self.settings,
            is_close="is_close" in self.settings,
            **{k: v for k, v in self.settings.items() if not k.startswith("is_")},
        )

    def _caused(self) -> Iterator[Deed]:
        """The deeds, with what another makes happen known as that."""
        struck: set[Who] = set()
        moved: set[Who] = set()
        for deed in self.deeds:
            yield replace(deed, is_caused=deed.is_caused or bool(set(deed.a) & (struck - moved)))
            if deed.never:
                continue
            if deed.verb in ("hits", "pushes", "pokes", "lifts"):
                groups = {k for group in self.groups if set(group) & set(deed.b) for k in group}
                struck |= (set(deed.b) | groups) - set(deed.a)
            if deed.verb not in ("rests", "topples", "stands"):
                moved |= set(deed.a) - struck

    # Pieces -----------------------------------------------------------------------------------------------

    def piece(self, tree: Tree[Token]) -> None:
        getattr(self, f"_{tree.data}")(tree)

    def _asides(self, tree: Tree[Token]) -> None:
        self.piece(_trees(tree)[0])

    def _joined(self, tree: Tree[Token]) -> None:
        *joins, clause = _trees(tree)
        kinds = {_value(join) for join in joins if join.data == "join"}
        if "after" not in kinds:
            self.is_then = "then" in kinds
            self.piece(clause)
            self.is_then = False
            return
        earlier = self.deeds
        first = next((k for k, d in enumerate(earlier) if d.said == earlier[-1].said), 0) if earlier else 0
        self.deeds = []
        self.piece(clause)
        self.deeds = [*earlier[:first], *self.deeds, *earlier[first:]]

    def _declare(self, tree: Tree[Token]) -> None:
        subject, pred = _trees(tree)
        self._clause()
        self.is_subject = True
        named = self._named(subject)
        self.is_subject = False
        self.subject = named
        self._pred(pred)

    def _fragment(self, tree: Tree[Token]) -> None:
        self._noted(_trees(tree)[0])

    def _noted(self, tree: Tree[Token]) -> None:
        self._clause()
        self.subject = self._named(_trees(tree, "subject")[0])
        for timing in _trees(tree, "timing"):
            self._timing(timing)
        self._reduced_by(tree, self.subject)
        if not any(set(deed.a) & set(self.subject.who) for deed in self.deeds):
            self._act(self.subject, _Verb("rest", "stands"))

    def _focus(self, tree: Tree[Token]) -> None:
        self.settings["is_close"] = "close"
        self._noted(_trees(tree, "noted")[0])

    def _go_on(self, tree: Tree[Token]) -> None:
        if self.subject is None:
            raise UserError(f"the sentence does not say what moves; {EXAMPLE}")
        self.before = [*self.said[::-1], *self.before]
        self.said = []
        self._pred(_trees(tree)[0])

    def _relative(self, tree: Tree[Token]) -> None:
        """ "..., which then rolls off": what was named last."""
        self.subject = self.said[-1] if self.said else self.subject
        self._pred(_trees(tree, "pred")[0])

    def _inverted(self, tree: Tree[Token]) -> None:
        pp, verb, nps = _trees(tree)
        self._clause()
        self.subject = self._phrases(nps)
        said = _Verb(_value(verb), _word(verb))
        self._argument(said, pp)
        self._act(self.subject, said)

    def _fronted(self, tree: Tree[Token]) -> None:
        first, *_, pred = _trees(tree)
        self._clause()
        self.subject = self._named(_trees(tree, "subject")[0])
        if first.data == "timing":
            self._timing(first)
            self._pred(pred)
        else:
            self._pred(pred, first)

    def _command(self, tree: Tree[Token]) -> None:
        self._clause()
        verb = self._verb(tree)
        assert verb.target is not None
        self.subject, verb.target = verb.target, None
        if verb.action in ("hit", "topple", "push", "lift", "poke", "carry"):
            verb.is_passive = True
        self._act(self.subject, verb)
        self._reduced_by(tree, self.subject)

    def _exists(self, tree: Tree[Token]) -> None:
        self._clause()
        self.subject = self._phrases(_trees(_trees(tree, "obj")[0])[0])
        verb = _Verb("rest", "is")
        for part in _trees(tree)[1:]:
            if part.data not in ("obj", "reduced"):
                self._argument(verb, part)
        num_deeds = len(self.deeds)
        self._reduced_by(tree, self.subject)
        if len(self.deeds) == num_deeds:
            self._act(self.subject, verb)

    def _clause(self) -> None:
        """Begin another clause: what was named in the last one is what "it" may mean."""
        self.num_clauses += 1
        self.before = [*([self.subject] if self.subject else []), *self.said]
        self.said = []

    # Camera, light and time -------------------------------------------------------------------------------

    def _set(self, kind: str, value: str) -> None:
        if self.settings.get(kind, value) != value:
            raise UserError(
                f"the sentence says both {self.settings[kind]} and {value}; a scene has one {kind}"
            )
        self.settings[kind] = value

    def _place(self, tree: Tree[Token]) -> None:
        kind, value = LEXICON["setting"][str(_trees(tree)[0].children[0])]
        self._set(kind, value)

    def _shot(self, tree: Tree[Token]) -> None:
        for part in _trees(tree):
            if part.data == "view":
                value = _value(part)
                self._set(*(("is_above", "above") if value == "above" else ("side", value)))
            elif part.data == "camera_move":
                self._set("move", _value(part))
            elif part.data == "particle" and _value(part) in _SPEEDS:
                self._set("camera_speed", _value(part))
            elif part.data == "close":
                self.settings["is_close"] = "close"
            elif part.data == "nps" and self._phrases(part).kind not in ("table", "middle"):
                raise UserError(f'the camera goes round the table; "{_word(part)}" is not what it can circle')

    def _timing(self, tree: Tree[Token]) -> None:
        seconds = _amount(_trees(tree, "amount")[0])
        if self.seconds not in (None, seconds):
            raise UserError(f"the sentence says both {self.seconds:g} and {seconds:g} seconds")
        self.seconds = seconds

    # Nouns ------------------------------------------------------------------------------------------------

    def _named(self, tree: Tree[Token]) -> _Phrase:
        """A subject: its nouns, and how they stand."""
        phrases = []
        for part in _trees(tree):
            np = part if part.data == "np" else _trees(part)[0]
            if np.data != "np":
                continue
            phrase = self._phrase(np)
            phrases.append(phrase)
            if part.data != "np":
                verb = _Verb("rest", "stands")
                for more in _trees(part)[1:]:
                    if more.data == "relative":
                        self.subject = phrase
                        self._pred(_trees(more, "pred")[0])
                    else:
                        self._argument(verb, more)
                self._stand(self._together(phrases) if _word(part).endswith("side by side") else phrase, verb)
                self._no_more(phrase, verb)
        named = self._together(phrases)
        for phrase in phrases:
            if phrase.action:
                self._act(phrase, _Verb(phrase.action, phrase.word))
        return named

    def _phrases(self, tree: Tree[Token]) -> _Phrase:
        """The things of a list of noun phrases."""
        phrases = [self._phrase(np) for np in _trees(tree)]
        for phrase in phrases:
            if phrase.action:
                self._act(phrase, _Verb(phrase.action, phrase.word))
        return self._together(phrases)

    def _together(self, phrases: list[_Phrase]) -> _Phrase:
        """Several noun phrases as one; "a tower of a box, a can and a cube" is a tower."""
        named = _together(phrases)
        first = phrases[0]
        if first.is_list and len(first.who) + len(phrases) == 2:
            raise UserError(
                f'"{first.word}": there have to be several, such as "a {first.kind} of four boxes"'
            )
        if first.is_list and len(phrases) > 1 and all(len(phrase.who) == 1 for phrase in phrases[1:]):
            self.relations = [r for r in self.relations if r.a != first.who]
            return self._grouped(first.kind, tuple(k for k in named.who if isinstance(k, int)), named.word)
        return named

    def _phrase(self, tree: Tree[Token]) -> _Phrase:
        parts = {str(part.data): part for part in _trees(tree)}
        if "pronoun" in parts:
            phrase = self._pronoun(_value(parts["pronoun"]), _word(tree))
        elif "person" in parts:
            phrase = _Phrase(("someone",), "someone", "someone")
        elif "of_all" in parts:
            inner = _trees(parts["of_all"])
            phrase = self._pronoun(_value(inner[-1]), _word(tree))
            if inner[0].data == "number" or _value(inner[0]) in ("any", "some"):
                phrase = replace(phrase, is_each=False)
        else:
            phrase = self._noun(tree, parts)
        self.said.append(phrase)
        return phrase

    def _pronoun(self, value: str, word: str) -> _Phrase:
        current = self.subject.who if self.subject else ()
        near = [*self.said[::-1], *self.before]
        if not self.said and value == "it" and word == "it" and self.is_subject:
            last = self.deeds[-1] if self.deeds else None
            struck = last is not None and last.verb in ("hits", "moves") and len(last.b) == 1
            if struck and near and near[-1].who == last.b:
                return near[-1]
            if self.subject is not None:
                return self.subject
        for phrase in near:
            is_thing = all(isinstance(who, int) for who in phrase.who) and phrase.who
            if is_thing and phrase.who != current and (value == "it" or len(phrase.who) > 1):
                return replace(phrase, word=word)
        everything = tuple(k for k, wish in enumerate(self.things) if wish.fixture is None)
        if value == "them" and everything:
            return _Phrase(everything, "thing", word)
        raise UserError(f'"{word}" could mean nothing that was named before; {EXAMPLE}')

    def _noun(self, tree: Tree[Token], parts: dict[str, Tree[Token]]) -> _Phrase:
        noun = parts.get("noun") or parts["nouns"]
        kind, is_many = _value(noun), noun.data == "nouns"
        asked = self._asked(tree, kind, str(noun.children[0]))
        det = _value(parts["det"]) if "det" in parts else "a"
        ordinal = _value(parts["ordinal"]) if "ordinal" in parts else None
        tail = parts.get("tail")
        word = _word(tree)
        number = _count(parts["number"], word) if "number" in parts else None
        adverb, action = self._manner(tree)
        if tail is not None and tail.children and _trees(tail)[0].data == "material":
            asked = replace(asked, material=_value(_trees(tail)[0]))
            tail = None
        if kind in ("row", "stack"):
            phrase = self._group(kind, tail, det, word)
        elif kind in (*_SHAPES, "thing") and not (kind == "thing" and asked.fixture):
            if tail is not None:
                raise UserError(f'"{word}": what it is of says nothing here')
            phrase = self._shaped(asked, kind, det, ordinal, number, is_many, word)
        elif kind == "pendulum":
            phrase = self._one(replace(asked, hangs=True), det, word, number)
        elif kind in _FIXTURES:
            phrase = self._one(asked, det, word, number)
        else:
            phrase = self._named_place(kind, asked, tail, word)
        return replace(phrase, adverb=adverb, action=action)

    def _asked(self, tree: Tree[Token], kind: str, noun: str) -> Wish:
        """The attributes that a noun phrase states."""
        stated: dict[str, str] = {}
        qualities = set()
        for adjective in _trees(tree, "adjective"):
            part = _trees(adjective)[0]
            if part.data == "ing":
                continue
            value = _value(part)
            if part.data == "quality":
                qualities.add(value)
            elif stated.setdefault(str(part.data), value) != value:
                raise UserError(f'"{_word(tree)}" cannot be {stated[str(part.data)]} and {value} at once')
        if SINGULAR.get(noun, noun) in SMALL_NOUNS:
            stated.setdefault("size", "small")
        one = SINGULAR.get(noun, noun)
        return Wish(
            kind if kind in _SHAPES else None,
            stated.get("colour"),
            stated.get("material"),
            stated.get("size"),
            kind if kind in _FIXTURES else None,
            one,
            kind == "pendulum",
            frozenset(qualities - {"plain", "fast", "slow"}),
        )

    def _manner(self, tree: Tree[Token]) -> tuple[str | None, str | None]:
        """How an adjective says that something moves: "a fast ball", "a rolling ball"."""
        parts = [_trees(adjective)[0] for adjective in _trees(tree, "adjective")]
        adverbs = [_value(p) for p in parts if p.data == "quality" and _value(p) in _SPEEDS]
        actions = [_value(p) for p in parts if p.data == "ing"]
        return (adverbs[0] if adverbs else None), (actions[0] if actions else None)

    def _add(self, wishes: list[Wish]) -> tuple[int, ...]:
        first = len(self.things)
        self.things += wishes
        group = tuple(range(first, len(self.things)))
        self.groups.append(group)
        return group

    def _fits(self, k: int, asked: Wish) -> bool:
        wish = self.things[k]
        names = ("shape", "colour", "material", "size", "fixture")
        return all(
            getattr(asked, n) in (None, getattr(wish, n)) or getattr(wish, n) is None for n in names
        ) and ((asked.fixture is None) == (wish.fixture is None) and wish.hangs >= asked.hangs)

    def _sharpen(self, k: int, asked: Wish) -> None:
        """What "the red ball" adds to what was said of it before."""
        for name in ("shape", "colour", "material", "size"):
            if getattr(asked, name) is not None and getattr(self.things[k], name) is None:
                self.things[k] = replace(self.things[k], **{name: getattr(asked, name)})

    def _one(self, asked: Wish, det: str, word: str, number: int | None) -> _Phrase:
        """A fixture, or a pendulum: there is one of it."""
        kind = asked.fixture or "pendulum"
        if number not in (None, 1):
            raise UserError(f'"{word}": a scene has one {kind}')
        if asked.colour and asked.fixture:
            raise UserError(f'"{word}": a {kind} has the colour of its material, and no other')
        known = [k for k, w in enumerate(self.things) if (w.hangs if asked.hangs else w.fixture == kind)]
        if known:
            return _Phrase((known[0],), kind, word)
        return _Phrase(self._add([asked]), kind, word)

    def _shaped(
        self,
        asked: Wish,
        kind: str,
        det: str,
        ordinal: str | None,
        number: int | None,
        is_many: bool,
        word: str,
    ) -> _Phrase:
        """Things by their shape: ones named before, or new ones."""
        old = [k for k in range(len(self.things)) if self._fits(k, asked) and self.things[k].fixture is None]
        if ordinal in ("first", "last", "third", "fourth") or (ordinal == "second" and det == "the"):
            return self._nth(asked, kind, ordinal, word)
        if ordinal == "other" or (ordinal == "second" and kind == "thing"):
            current = self.subject.who if self.subject else ()
            others = [k for k in old if k not in current]
            if others:
                return _Phrase(tuple(others[:1]), kind, word)
        if (is_many or (number or 1) > 1) and det in ("the", "all") and old and (number in (None, len(old))):
            return _Phrase(tuple(old), kind, word)
        if kind == "domino" and det == "a" and number is None and not is_many and old:
            return _Phrase(tuple(old), kind, word, is_each=False)
        if not is_many and det == "the" and number is None and ordinal is None and old:
            lone = [k for k in old if self.things[k].shape == asked.shape] or old
            exact = [k for k in lone if asked.colour in (None, self.things[k].colour)] or lone
            self._sharpen(exact[-1] if len(exact) == 1 else exact[0], asked)
            return _Phrase((exact[0],), kind, word)
        count, sure = (number or 1,) * 2
        if is_many and number is None:
            count, sure = _OPEN["domino" if kind == "domino" else "thing"]
        if count > MAX_THINGS:
            raise UserError(f'"{word}" do not fit: a scene holds 1 to {MAX_THINGS} things')
        group = self._add([replace(asked, is_sure=k < sure) for k in range(count)])
        if kind == "domino" and count > 2:
            self.relations.append(Relation("row", group))
        return _Phrase(group, kind, word)

    def _nth(self, asked: Wish, kind: str, ordinal: str, word: str) -> _Phrase:
        """ "the first domino", "the last one": one end of the group named last."""
        groups = [g for g in self.groups if len(g) > 1 and self._fits(g[0], asked)]
        if not groups:
            if kind != "domino":
                raise UserError(f'"{word}": nothing of which there are several was named before')
            count, sure = _OPEN["domino"]
            groups = [self._add([replace(asked, is_sure=k < sure) for k in range(count)])]
            self.relations.append(Relation("row", groups[0]))
        place = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}[ordinal]
        return _Phrase((groups[-1][min(place, len(groups[-1]) - 1)],), kind, word)

    def _group(self, kind: str, tail: Tree[Token] | None, det: str, word: str) -> _Phrase:
        """A row or a stack, of what it is said to be of."""
        if tail is None:
            known = [r.a for r in self.relations if r.kind == kind]
            if known and det == "the":
                return _Phrase(known[-1], kind, word)
            if kind == "row":
                raise UserError(f'"{word}": say what is in it, such as "a row of five dominoes"')
            members = _Phrase(self._add([Wish(noun="block", is_sure=k < 2) for k in range(4)]), kind, word)
        else:
            num_things = len(self.things)
            members = self._phrases(_trees(tail, "nps")[0])
            if kind == "stack" and len(self.things) > num_things and not all(w.is_sure for w in self.things):
                self._add([replace(self.things[-1], is_sure=False)])  # a tower of blocks is more than three
                self.groups.pop()
                members = replace(members, who=tuple(range(num_things, len(self.things))))
        inner = _trees(tail, "nps")[0] if tail is not None else None
        is_list = inner is not None and len(_trees(inner)) == len(members.who)
        phrase = self._grouped(kind, tuple(k for k in members.who if isinstance(k, int)), word)
        return replace(phrase, is_list=is_list)

    def _grouped(self, kind: str, who: tuple[int, ...], word: str) -> _Phrase:
        if len(who) < 2:  # "a tower of a box, a can and a cube": the others follow
            return _Phrase(who, kind, word)
        if "wobbly" in word:
            for k in who:
                self.things[k] = replace(self.things[k], qualities=self.things[k].qualities | {"wobbly"})
        if not any(r.kind == kind and r.a == who for r in self.relations):
            self.relations.append(Relation(kind, who))
        self.groups.append(who)
        return _Phrase(who, kind, word)

    def _named_place(self, kind: str, asked: Wish, tail: Tree[Token] | None, word: str) -> _Phrase:  # noqa: C901
        """The table and its parts, the finger, parts of fixtures."""
        if kind in _PARTS:
            whole = _PARTS[kind]
            if whole == "pendulum" and not any(w.hangs for w in self.things):
                return _Phrase(("beam",), "beam", word)
            return _Phrase((kind,), kind, word)
        if kind == "table":
            if asked.colour:
                raise UserError(
                    f'"{word}": a table is of wood, metal, glass, or has a cloth on it, as it comes'
                )
            surface = {"steel": "metal", None: None}.get(asked.material, asked.material)
            surface = "cloth" if "tablecloth" in word else surface
            if surface is not None:
                if surface not in ("wood", "metal", "glass", "cloth"):
                    raise UserError(f'"{word}": a table is of wood, metal, glass, or has a cloth on it')
                self._set("surface", surface)
            return _Phrase(("table",), "table", word)
        if tail is not None:
            inner = self._phrases(_trees(tail, "nps")[0])
            if kind in ("top", "foot", "end"):
                return replace(inner, kind=f"{kind} of {inner.kind}", word=word)
            if kind in ("edge", "middle") and inner.kind == "table":
                return _Phrase((kind,), kind, word)
            raise UserError(f'"{word}" is no place in this world; there is the {kind} of the table')
        if kind in ("finger", "edge", "middle"):
            return _Phrase((kind,), kind, word)
        if kind == "end" and any(w.fixture == "seesaw" for w in self.things):
            seesaw = next(k for k, w in enumerate(self.things) if w.fixture == "seesaw")
            return _Phrase((seesaw,), "seesaw", word)
        raise UserError(f'"{word}": say of what it is the {kind}')

    # Verbs ------------------------------------------------------------------------------------------------

    def _pred(self, tree: Tree[Token], fronted: Tree[Token] | None = None) -> None:
        subject = self.subject
        assert subject is not None
        verb = self._verb(tree)
        if fronted is not None:
            self._argument(verb, fronted)
        self._act(subject, verb)
        self._reduced_by(tree, self.said[-1] if self.said else subject)

    def _reduced_by(self, tree: Tree[Token], subject: _Phrase) -> None:
        """ "two boxes stacked on each other"."""
        for part in _trees(tree, "reduced"):
            self._act(subject, self._verb(part))

    def _verb(self, tree: Tree[Token]) -> _Verb:
        verb = _Verb("rest", "is")
        has_be = False
        form = ""
        for part in _trees(tree):
            if part.data == "aux":
                (inner,) = _trees(part)
                has_be = has_be or inner.data == "be"
                verb.is_negated = verb.is_negated or inner.data == "neg"
                if inner.data == "particle":
                    self._argument(verb, inner)
            elif part.data == "be":
                has_be = True
            elif part.data in ("singular", "base", "ing", "participle"):
                verb.action, verb.word, form = _value(part), _word(part), str(part.data)
            elif part.data == "material":
                verb.action, verb.word = "material", _value(part)
            elif part.data == "obj":
                verb.target = self._phrases(_trees(part)[0])
            elif part.data != "reduced":
                self._argument(verb, part)
        verb.is_passive = (has_be and form in ("singular", "participle", "base")) or form == "participle"
        return verb

    def _argument(self, verb: _Verb, part: Tree[Token]) -> None:  # noqa: C901
        """Note what a part of a clause says of its verb."""
        if part.data == "arg":
            part = _trees(part)[-1]
        if part.data == "pp":
            prep, nps = _trees(part)
            verb.preps.append((_value(prep), _word(part), self._phrases(nps)))
        elif part.data == "particle":
            value = _value(part)
            if value in _SPEEDS:
                verb.speed = _SPEEDS[value]
            elif value == "nearly":
                verb.is_nearly = True
            else:
                verb.particles.append(value)
        elif part.data == "heading":
            heading = _value(part)
            if _word(part) in ("away", "back"):
                verb.particles.append("away")
            elif verb.heading not in (None, heading):
                raise UserError(
                    f"two directions at once ({verb.heading}, {heading}); something starts in one"
                )
            else:
                verb.heading = heading
        elif part.data == "timing":
            self._timing(part)
        elif part.data == "speed":
            metres = _trees(part, "metres")[0]
            verb.speed = _amount(_trees(part, "amount")[0]) * float(_value(metres))
            if not 0 < verb.speed <= 3:
                raise UserError(f'"{_word(part)}": things start with at most 3 metres a second')
        elif part.data == "many_times":
            verb.times = int(_value(_trees(part)[0]))
        else:
            raise UserError(f'"{_word(part)}" says nothing of "{verb.word}"; {EXAMPLE}')

    def _do(self, verb: str, a: tuple[Who, ...], b: tuple[Who, ...] = (), **more: object) -> None:
        """Note something that happens."""
        values: dict[str, object] = {"said": str(self.num_clauses), **more}
        self.deeds.append(Deed(verb, a, b, **values))  # pyright: ignore[reportArgumentType]
        if self.is_then:
            self.deeds[-1] = replace(self.deeds[-1], is_then=True)

    def _act(self, subject: _Phrase, verb: _Verb) -> None:
        """What a subject does, or what is done to it."""
        if subject.adverb and verb.speed is None:
            verb.speed = _SPEEDS[subject.adverb]
        if verb.is_nearly or (verb.is_negated and verb.action == "hit"):
            if verb.action != "hit":
                raise UserError(f'"nearly {verb.word}" cannot be shown; a thing can miss another')
            verb.action, verb.is_negated = "miss", False
        if verb.is_negated:
            if verb.action in ("move", "fall", "topple", "roll"):
                verb.action, verb.is_negated, verb.target = "rest", False, None
            else:
                raise UserError(f'"not {verb.word}" cannot be held; say what does happen, or "misses"')
        agent = self._agent(subject, verb)
        if agent is not None:
            subject, agent = verb.target or subject, agent
            if agent.kind in ("finger", "someone") and verb.target is not None:
                self.subject = subject if agent.kind == "someone" else agent
            verb.target = None
        handler = getattr(self, "_v_" + verb.action.replace(" ", "_"), None)
        if handler is None:
            self._v_motion(subject, verb, agent)
        else:
            handler(subject, verb, agent)
        self._no_more(subject, verb)

    def _agent(self, subject: _Phrase, verb: _Verb) -> _Phrase | None:
        """Who does it to the subject: "is pushed by the finger"; or, before the verb, "someone drops a
        ball"."""
        causes = (
            "throw",
            "place",
            "release",
            "push",
            "lift",
            "poke",
            "carry",
            "topple",
            "hit",
            "stack",
            "send",
            "catch",
            "hide",
        )
        if verb.is_passive:
            by = verb.take("by")
            if by:
                return by[0][1]
            return _Phrase(("someone",), "someone", "someone")
        lifted = [d.b for d in self.deeds if d.verb == "lifts"]
        is_dropped = verb.action in ("fall", "release") and verb.target is not None
        if subject.kind == "finger" and is_dropped and verb.target.who in lifted:
            return subject
        if subject.kind == "finger" and verb.action == "hit" and (verb.target or verb.preps):
            struck = verb.target or verb.preps.pop(0)[2]
            verb.target = struck
            return subject
        if verb.target is None:
            if subject.kind in ("finger", "someone") and verb.action not in ("land", "miss"):
                raise UserError(
                    f'the {subject.kind} cannot "{verb.word}"; it can push, lift or poke something'
                )
            return None
        return subject if verb.action in causes or subject.kind == "someone" else None

    def _no_more(self, subject: _Phrase, verb: _Verb) -> None:
        """Refuse what no rule has taken up: nothing is left out in silence."""
        harmless = (
            "along",
            "just",
            "from above",
            "in",
            "down",
            "out",
            "all",
            "in turn",
            "up",
            "past",
            "away",
        )
        left = [p for p in verb.particles if p not in harmless]
        words = [words for _, words, _ in verb.preps] + left
        if verb.target is not None:
            words.append(verb.target.word)
        if verb.times:
            words.append(f"{verb.times} times")
        if words:
            raise UserError(f'"{subject.word} {verb.word} ... {words[0]}" cannot be held; {EXAMPLE}')

    # Standing ---------------------------------------------------------------------------------------------

    def _relate(self, kind: str, a: tuple[Who, ...], b: tuple[Who, ...] = ()) -> None:
        self.relations.append(Relation(kind, a, b))

    def _stand(self, subject: _Phrase, verb: _Verb) -> None:  # noqa: C901
        """Where things are at first, from all that says so."""
        who = subject.who
        for _, phrase in verb.take("with"):
            self._hang(subject, phrase)
        for _, phrase in verb.take("at"):
            verb.preps.append(("in", phrase.word, phrase))
        for prep, phrase in verb.take(*_STANDING, "onto", "over"):
            if phrase.kind in ("table", "beam"):
                if phrase.kind == "beam":
                    self._hang_up(who)
                elif prep in ("next to", "under", "in front of", "behind", "between"):
                    raise UserError(f'everything is on the table; "{prep} {phrase.word}" is no place')
                continue
            if phrase.kind == "middle":
                self._relate("middle", who)
            elif phrase.kind == "edge":
                self._relate("edge", who)
            elif phrase.kind == "top of ramp":
                self._relate("on", who, phrase.who)
            elif phrase.kind == "foot of ramp":
                self._relate("foot", who, phrase.who)
            elif phrase.kind == "end of seesaw":
                self._relate("on", who, phrase.who)
            elif phrase.kind.startswith(("top of", "foot of", "end of")):
                self._relate("on" if phrase.kind.startswith("top") else "next to", who, phrase.who)
            elif phrase.kind == "row":
                self._relate("row", who)
            else:
                kind = {"onto": "on", "over": "above"}.get(prep, prep)
                if kind == "in" and phrase.kind != "container":
                    raise UserError(
                        f'nothing can be inside "{phrase.word}"; a crate, a bowl or a cup can hold things'
                    )
                self._relate(kind, who, phrase.who)
        if verb.has("on each other"):
            self._relate("stack", who)
        if verb.has("in a row"):
            self._relate("row", who)
        if verb.has("side by side"):
            self._relate("side by side", who)
        verb.has("same height", "in the way")

    def _hang(self, pendulum: _Phrase, bob: _Phrase) -> None:
        """ "a pendulum with a red ball": the ball is its bob."""
        if pendulum.kind != "pendulum":
            if pendulum.kind == "seesaw":
                self._relate("on", bob.who, pendulum.who)
                return
            raise UserError(f'"{pendulum.word}" has nothing "with" it; say where it is, such as "next to"')
        (old,) = (k for k in pendulum.who if isinstance(k, int))
        self._merge(old, bob)

    def _merge(self, old: int, bob: _Phrase) -> None:
        """What was named as a pendulum and as its bob is one thing."""
        new = bob.who[0]
        if len(bob.who) != 1 or not isinstance(new, int) or new != len(self.things) - 1:
            raise UserError(f'"{bob.word}" cannot hang there; a pendulum has one bob')
        self.things[old] = replace(self.things.pop(), hangs=True)
        self.groups = [g for g in self.groups if new not in g]
        bob.who = (old,)
        self.said = [replace(p, who=(old,)) if p.who == (new,) else p for p in self.said]

    def _hang_up(self, who: tuple[Who, ...]) -> None:
        for k in who:
            if isinstance(k, int):
                self.things[k] = replace(self.things[k], hangs=True)

    def _v_rest(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._stand(subject, verb)
        verb.heading = None
        self._do("rests", subject.who)

    def _v_place(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._v_rest(subject, verb, agent)

    def _v_stack(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if not verb.preps and not verb.particles:
            verb.particles.append("on each other")
        self._v_rest(subject, verb, agent)

    def _v_material(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        for k in subject.who:
            if isinstance(k, int):
                self.things[k] = replace(self.things[k], material=verb.word)

    def _v_hang(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        verb.take("off", "on", "under")
        self._hang_up(subject.who)

    # Moving -----------------------------------------------------------------------------------------------

    def _v_motion(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:  # noqa: C901
        """Rolls, slides, falls, flies, bounces, swings, spins, moves."""
        action = {"throw": "fly", "release": "fall", "send": "roll", "fall down": "fall"}.get(
            verb.action, verb.action
        )
        who = subject.who
        if agent is not None and agent.kind == "finger":
            raise UserError(f'the finger cannot "{verb.word}"; it can push, lift or poke something')
        if agent is not None and agent.kind == "ramp":
            verb.preps.append(("down", "down", agent))
        elif agent is not None and agent.kind == "pendulum" and action == "swing":
            action, who = "swing", agent.who
            verb.preps.append(("with", subject.word, subject))
        elif agent is not None and agent.kind != "someone":
            raise UserError(f'"{agent.word}" cannot "{verb.word}" anything; it can hit or push it')
        if verb.target is not None and subject.kind == "pendulum" and action == "swing":
            self._hang(subject, verb.target)
            verb.target = None
        shapes = {self.things[k].shape for k in who if isinstance(k, int)}
        if any(isinstance(k, int) and self.things[k].fixture for k in who):
            raise UserError(f'"{subject.word}" stands fast; it cannot "{verb.word}"')
        if action == "roll" and shapes <= {"box", "domino"}:
            raise UserError(f'a box cannot "{verb.word}"; it can slide, and balls and cylinders roll')
        hung = [k for k in who if isinstance(k, int) and self.things[k].hangs]
        if action == "swing":
            for _, phrase in verb.take("on", "in") if subject.kind != "pendulum" else ():
                if phrase.kind != "pendulum" or phrase.who != (len(self.things) - 1,):
                    raise UserError(
                        f'nothing can swing on "{phrase.word}"; on a pendulum or from a beam it can'
                    )
                self.things.pop()
                self.groups.pop()
            self._hang_up(who)
            verb.has("down")
        elif hung and action in ("fall", "roll"):
            action = "swing"
        if action == "fall" and self._topples(subject, verb):
            self._topple(subject, verb)
            return
        for prep, phrase in verb.take("with", "off") if action == "swing" else verb.take("off"):
            if prep == "with":
                self._hang(_Phrase(who, "pendulum", subject.word), phrase)
            elif phrase.kind == "beam":
                self._hang_up(who)
            elif phrase.kind not in ("ramp", "top of ramp"):
                verb.preps.append(("off", phrase.word, phrase))
            else:
                verb.preps.append(("down", phrase.word, phrase))
        on_ramp = [p for _, p in verb.take("down")]
        on_ramp += (
            [p for _, p in verb.take("on", "in", "at") if p.kind in ("top of ramp",)]
            if any(p[2].kind == "top of ramp" for p in verb.preps)
            else []
        )
        for phrase in on_ramp:
            if phrase.kind not in ("ramp", "top of ramp"):
                raise UserError(f'nothing goes down "{phrase.word}"; there are ramps')
            self._relate("on", who, phrase.who)
            action = "roll" if action == "fall" else action
        verb_name = {
            "roll": "rolls",
            "slide": "slides",
            "fall": "falls",
            "fly": "flies",
            "move": "moves",
            "bounce": "bounces",
            "swing": "swings",
            "spin": "spins",
        }[action]
        if not (action == "fall" and self._falls_off(who, verb)):
            self._do(
                verb_name,
                who,
                each=subject.is_each,
                heading=verb.heading,
                speed_m_s=verb.speed,
                times=verb.times,
            )
        verb.times = 0
        verb.has("on the spot")
        self._whereto(subject, verb, action)

    def _falls_off(self, who: tuple[Who, ...], verb: _Verb) -> bool:
        """Whether "falls off the table" says it all."""
        return any(p == "off" and phrase.kind in ("table", "edge") for p, _, phrase in verb.preps)

    def _topples(self, subject: _Phrase, verb: _Verb) -> bool:
        """Whether "falls" means that it tips over: a domino's and a tower's fall."""
        shapes = {self.things[k].shape for k in subject.who if isinstance(k, int)}
        is_group = any(set(subject.who) <= set(r.a) for r in self.relations if r.kind in ("stack", "row"))
        onto = any(p in ("onto", "into", "on", "off", "in") for p, _, _ in verb.preps)
        return ((shapes == {"domino"} or is_group) and not onto and "from above" not in verb.particles) or (
            "over" in verb.particles
        )

    def _whereto(self, subject: _Phrase, verb: _Verb, action: str) -> None:  # noqa: C901
        """What a motion meets on its way."""
        who = subject.who
        for prep, phrase in verb.take(
            "into",
            "against",
            "at",
            "onto",
            "on",
            "in",
            "off",
            "over",
            "behind",
            "past",
            "by",
            "between",
            "towards",
            "across",
            "without touching",
            "in front of",
            "next to",
            "left of",
            "right of",
            "above",
            "short of",
        ):
            b, kind = phrase.who, phrase.kind
            if prep == "without touching":
                self._do("hits", who, b, never=True)
            elif kind == "middle" or (
                prep in ("across", "on", "in") and kind == "table" and action != "fall"
            ):
                if kind == "middle":
                    self._relate("middle", who)
            elif prep in ("short of",):
                self._short_of(who, phrase)
            elif kind in ("edge", "table") and prep in ("off", "over"):
                self._do("leaves", who, each=subject.is_each)
            elif kind == "edge":
                self._relate("edge", who)
            elif kind == "container" and prep in ("into", "in", "onto"):
                if prep == "in" and action in ("roll", "slide", "move", "spin"):
                    self._relate("in", who, b)
                    self._do("stays in", who, b)
                else:
                    self._do("lands in", who, b)
            elif prep in ("into", "against", "at"):
                self._do("hits", who, b)
            elif prep in ("onto", "on"):
                if (kind == "table" and action == "fall") or action in ("fall", "fly", "bounce"):
                    self._do("lands on", who, b)
                else:
                    self._relate("on", who, b)
            elif prep == "off":
                self._do("drops off", who, b)
                self._relate("on", who, b)
            elif prep in ("past", "by"):
                self._do("passes", who, b)
            elif prep == "over":
                if action not in ("fly", "bounce", "move"):
                    raise UserError(
                        f'nothing can "{verb.word} over {phrase.word}"; a thing flies over another'
                    )
                self._do("passes over", who, b)
            elif prep == "towards":
                self._do("nears", who, b)
            elif prep == "across":
                raise UserError(f'"{verb.word} {prep} {phrase.word}" cannot be held; past or over it can')
            elif action in ("fall", "bounce", "spin", "swing"):
                self._relate(prep, who, b)
            elif prep in ("behind", "in front of", "between"):
                self._do(f"passes {prep}", who, b)
            else:
                self._relate(prep, who, b)
        if verb.has("each other"):
            self._do("nears" if action in ("roll", "slide", "move", "fly") else "hits", who, who)
        if verb.has("other side") and not any(d.verb.startswith("passes") for d in self.deeds):
            raise UserError("say behind what it comes out again")
        if verb.has("off", "over"):
            on = [r for r in self.relations if r.kind == "on" and set(who) <= set(r.a)]
            if on:
                self._do("drops off", who, on[-1].b)
        if verb.has("side by side"):
            self._relate("side by side", who)
        if verb.has("same height"):
            self._relate("same height", who)
        if verb.has("in a row"):
            self._relate("row", who)
        verb.has("away")

    def _short_of(self, who: tuple[Who, ...], phrase: _Phrase) -> None:
        if phrase.kind == "edge":
            self._relate("edge", who)
            self._do("leaves", who, never=True)
        else:
            self._do("hits", who, phrase.who, never=True)

    def _v_hit(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:  # noqa: C901
        """One thing strikes another, or things strike each other; and what becomes of what is struck."""
        who, struck = (subject, verb.target) if agent is None else (agent, subject)
        if agent is not None and agent.kind == "someone":
            who = _Phrase(("finger",), "finger", "the finger")
        verb.has("each other") and who.who and setattr(verb, "target", None)
        pairs = verb.take("into", "against", "on", "onto", "with", "at")
        over = [p for _, p in verb.take("over", "down")] if struck is None else []
        if over and over[0].kind not in ("table", "edge"):
            struck, verb.particles = over[0], [*verb.particles, "over"]
        self.said.append(struck) if struck is not None and struck not in self.said else None
        if struck is None and pairs:
            struck = pairs.pop()[1]
        for _, phrase in pairs:
            if phrase.kind == "middle":
                self._relate("middle", who.who)
            elif struck is not None:
                self._do("hits", struck.who, phrase.who)
        for _, phrase in verb.take("in"):
            if phrase.kind != "middle":
                raise UserError(
                    f'"{verb.word} in {phrase.word}" cannot be held; in the middle of the table it can'
                )
            self._relate("middle", who.who)
        if struck is None:
            if len(who.who) < 2 and not verb.has("each other"):
                raise UserError(f'"{verb.word}" what? say "hits the blue box", or "two balls collide"')
            self._do("hits", who.who, who.who)
            return
        base = [r.b for r in self.relations if r.kind == "on" and set(struck.who) <= set(r.a)]
        if who.kind in ("finger", "someone") and self.is_then:
            self._do("hits", ("finger",), struck.who)
        elif "off" in verb.particles and base:  # by a blow to it, or to what it stands on
            self._do("hits", who.who, (*struck.who, *base[-1]), speed_m_s=verb.speed, each=who.is_each)
        elif who.kind in ("finger", "someone"):
            self._do("pokes", ("finger",), struck.who, heading=verb.heading)
            verb.heading = None
        else:
            self._do(
                "hits", who.who, struck.who, heading=verb.heading, speed_m_s=verb.speed, each=who.is_each
            )
        self._consequence(struck, verb)

    def _consequence(self, struck: _Phrase, verb: _Verb) -> None:
        """What becomes of what is struck or pushed: over, off the table, into another."""
        if verb.has("over", "down"):
            self._do("topples", struck.who, is_caused=True, each=not self._is_stack(struck))
        for _, phrase in verb.take("off", "over"):
            if phrase.kind in ("table", "edge"):
                self._do("leaves", struck.who, is_caused=True)
            else:
                self._relate("on", struck.who, phrase.who)
                self._do("drops off", struck.who, phrase.who, is_caused=True)
        if verb.has("off"):
            on = [r for r in self.relations if r.kind == "on" and set(struck.who) <= set(r.a)]
            if on:
                self._do("drops off", struck.who, on[-1].b, is_caused=True)
            else:
                self._do("leaves", struck.who, is_caused=True)
        verb.has("away", "in", "along")

    def _is_stack(self, phrase: _Phrase) -> bool:
        return any(set(phrase.who) & set(r.a) for r in self.relations if r.kind == "stack")

    def _v_topple(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is not None:
            verb.particles.append("over")
            self._v_hit(subject, verb, agent)
        else:
            verb.has("over", "down")
            self._topple(subject, verb)

    def _topple(self, subject: _Phrase, verb: _Verb) -> None:
        verb.has("over", "down", "in turn", "each other", "apart")
        self._do(
            "topples", subject.who, each=subject.is_each and not self._is_stack(subject), heading=verb.heading
        )

    def _v_collapse(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._topple(subject, verb)

    def _v_strike_each_other(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._do("hits", subject.who, subject.who, each=False)

    def _finger_does(self, deed: str, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is None:
            raise UserError(f'"{verb.word}" what? say "the finger {verb.word} the box"')
        if agent.kind not in ("finger", "someone"):
            raise UserError(f'only the finger can "{verb.word}"; a thing can hit or push another')
        if any(not isinstance(k, int) or self.things[k].fixture for k in subject.who) or len(subject.who) > 1:
            raise UserError(
                f'the finger cannot "{verb.word}" "{subject.word}"; it takes one thing that moves'
            )
        if any(d.verb in ("pushes", "pokes", "lifts") and d.b != subject.who for d in self.deeds):
            raise UserError("the finger does one thing in a scene, with one thing")
        if not any(d.verb == deed for d in self.deeds):
            self._do(deed, ("finger",), subject.who, heading=verb.heading, speed_m_s=verb.speed)
        elif verb.heading:
            self.deeds = [replace(d, heading=verb.heading) if d.verb == deed else d for d in self.deeds]
        verb.has("up", "away")

    def _v_push(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is not None and agent.kind not in ("finger", "someone"):
            if not any(d.verb == "hits" and (d.a, d.b) == (agent.who, subject.who) for d in self.deeds):
                self._do("hits", agent.who, subject.who, heading=verb.heading, speed_m_s=verb.speed)
            self._do("moves", subject.who, is_caused=True, heading=verb.heading)
        else:
            self._finger_does("pushes", subject, verb, agent)
            self._do("moves", subject.who, is_caused=True, heading=verb.heading)
        self.said.append(subject)
        for prep, phrase in verb.take("into", "against", "towards"):
            self._do("nears" if prep == "towards" else "hits", subject.who, phrase.who, is_caused=True)
        for _, phrase in verb.take("across", "on"):
            if phrase.kind != "table":
                raise UserError(f'"{verb.word} across {phrase.word}" cannot be held; across the table it can')
        self._consequence(subject, verb)

    def _v_lift(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._finger_does("lifts", subject, verb, agent)

    def _v_carry(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._finger_does("lifts", subject, verb, agent)

    def _v_release(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if any(d.verb == "lifts" for d in self.deeds):
            return
        self._v_motion(subject, verb, None)

    def _v_fall(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is not None and agent.kind == "finger" and any(d.verb == "lifts" for d in self.deeds):
            return
        self._v_motion(subject, verb, agent)

    def _v_poke(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is not None and agent.kind not in ("finger", "someone"):
            self._v_hit(subject, verb, agent)
            return
        self._finger_does("pokes", subject, verb, agent)
        self._consequence(subject, verb)

    def _v_land(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if subject.kind == "finger":
            return
        places = verb.take(
            "on", "onto", "in", "into", "behind", "next to", "in front of", "left of", "right of"
        )
        for prep, phrase in places:
            if phrase.kind == "container" and prep in ("in", "into", "on", "onto"):
                self._do("lands in", subject.who, phrase.who)
            elif prep in ("on", "onto", "in", "into"):
                self._do("lands on", subject.who, phrase.who)
            else:
                self._do("lands on", subject.who, ("table",))
                self._do(f"ends {prep}", subject.who, phrase.who)
        if not places:
            self._do("lands on", subject.who, ("table",))

    def _v_miss(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        missed = verb.target or next((p for _, p in verb.take("into", "against")), None)
        verb.target = None
        if missed is None:
            missed = next((p for p in self.before[::-1] if p.who != subject.who), None)
        if missed is None:
            raise UserError('"misses" what? say "misses the box"')
        self.deeds = [
            d for d in self.deeds if not (d.verb == "hits" and (d.a, d.b) == (subject.who, missed.who))
        ]
        self._do("passes", subject.who, missed.who, speed_m_s=verb.speed, heading=verb.heading)
        self._do("hits", subject.who, missed.who, never=True)

    def _v_pass(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if verb.target is not None:
            verb.preps.append(("past", verb.target.word, verb.target))
            verb.target = None
        self._whereto(subject, verb, "move")

    def _v_emerge(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if not any(d.verb.startswith("passes") and set(d.a) & set(subject.who) for d in self.deeds):
            raise UserError(f'"{verb.word}" from behind what? say "rolls behind a box and comes out"')
        verb.has("other side", "out")
        verb.take("behind")

    def _v_vanish(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        behind = verb.take("behind")
        if not behind:
            raise UserError(f'nothing can "{verb.word}"; it can roll behind a screen')
        self._do("passes behind", subject.who, behind[0][1].who)

    def _v_hide(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        behind = verb.take("behind", "by")
        screen = behind[0][1] if behind else agent
        assert screen is not None
        self._do("passes behind", subject.who, screen.who)

    def _v_catch(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if agent is None or agent.kind != "container":
            raise UserError(f'only a crate, a bowl or a cup can "{verb.word}" something')
        self._do("falls", subject.who)
        self._do("lands in", subject.who, agent.who)

    def _v_stop(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        for prep, phrase in verb.take("short of", "in front of", "next to", "at", "on", "in"):
            if phrase.kind == "edge" or prep == "short of":
                self._short_of(subject.who, phrase)
            elif phrase.kind not in ("table", "middle"):
                self._do(f"ends {prep}", subject.who, phrase.who)
        self._do("stops", subject.who)

    def _v_return(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._do("returns", subject.who)
        for _, phrase in verb.take("off"):
            if phrase.kind == "table":
                raise UserError('"back from the table" cannot be held')

    def _v_part(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        self._do("parts", subject.who, is_caused=True)

    def _v_leave(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        if verb.target is None or verb.target.kind not in ("table", "edge"):
            raise UserError('"leaves" what? say "leaves the table"')
        verb.target = None
        self._do("leaves", subject.who)

    def _v_follow(self, subject: _Phrase, verb: _Verb, agent: _Phrase | None) -> None:
        """Does what was done last, after it."""
        verb.target = None
        earlier = [d for d in self.deeds if d.verb not in ("rests",) and not set(d.a) & set(subject.who)]
        if not earlier:
            raise UserError('"follows" what? say first what another does')
        first = earlier[-1].a
        for deed in [d for d in earlier if d.a == first]:
            self.is_then = True
            self._do(deed.verb, subject.who, deed.b, heading=deed.heading, times=deed.times, never=deed.never)
        self.is_then = False


def _together(phrases: list[_Phrase]) -> _Phrase:
    if len(phrases) == 1:
        return phrases[0]
    who = tuple(dict.fromkeys(k for phrase in phrases for k in phrase.who))
    return replace(phrases[-1], who=who, word=" and ".join(phrase.word for phrase in phrases), action=None)


def _count(tree: Tree[Token], word: str) -> int:
    """How many things a number says."""
    said = str(tree.children[0])
    if said not in LEXICON["number"]:
        raise UserError(f'"{word}" do not fit: a scene holds 1 to {MAX_THINGS} things')
    return int(LEXICON["number"][said])


def _amount(tree: Tree[Token]) -> float:
    total = 0.0
    for part in _trees(tree, "number", "half"):
        word = str(part.children[0])
        total += float(LEXICON[str(part.data)].get(word, 0.0) or float(word))
    return total
