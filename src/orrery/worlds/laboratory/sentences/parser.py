"""Sentences about the laboratory, read: from English to a `Story`.

`grammar.lark` says which sentences there are, `lexicon` which words, `clauses` what they ask of a scene.
`parse_laboratory` reads everything that `caption_laboratory` writes (a property test holds the two together)
and what people plainly type. What it cannot hold it refuses by name; it leaves nothing out in silence.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from lark.lexer import Lexer

from orrery.errors import UserError, nearest
from orrery.worlds.laboratory.scene import MAX_THINGS
from orrery.worlds.laboratory.sentences.clauses import read_tree
from orrery.worlds.laboratory.sentences.draft import EXAMPLE
from orrery.worlds.laboratory.sentences.lexicon import LEXICON, MAX_WORDS, PHRASES, TOO_MANY, plural
from orrery.worlds.laboratory.sentences.nouns import Objects
from orrery.worlds.laboratory.sentences.story import NOTHING_THERE, Story
from orrery.worlds.rigid_bodies.words import check_text

__all__ = ["parse_laboratory"]

_SPLIT = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:-[^\W\d_]+)*|[^\w\s]")
_CONTRACTED = {"'s": " is", "n't": " not", "'re": " are"}
_GUESSES = ("singular", "noun", "quality", "nouns", "base", "ing", "participle")
"""The classes that a word which is not known may have, the likeliest first."""
_MOST_GUESSES = 200
_DOES = "fall, roll, slide, fly, bounce, spin, swing, hit, miss, topple, stop, pass, lie and be pushed"
_THINGS = "balls, boxes, cylinders, pills, dominoes, ramps, walls, screens, containers, pendulums and seesaws"


def parse_laboratory(prompt: str, objects: Objects | None = None, there: Story = NOTHING_THERE) -> Story:
    """What `prompt` asks of a laboratory scene; what it leaves open stays None.

    objects: nouns of one's own, each a mesh, which go before the nouns that there are. there: things that are
    there already, where the sentence is said on the way, and how they stand. They come first in what is
    asked; "the red ball" must be one of them, "a ball" is another one.

    Raises UserError for an object that the sentence does not name; for text that is empty, too long or no
    text; for a word that no sentence has (naming the nearest, or what can be done instead); for a sentence
    that the grammar does not fit; for more than `MAX_THINGS` things; and for what this world cannot do.
    """
    check_text(prompt)
    objects = objects or {}
    own = {noun: frozenset({"noun"}) for noun in objects}
    own |= {plural(noun): frozenset({"nouns"}) for noun in objects if plural(noun) not in objects}
    words = _words(prompt, own)
    for noun in objects:
        if noun not in words and plural(noun) not in words:
            raise UserError(f'nothing in the sentence is called "{noun}", as its object is; name it there')
    if not any(word[0].isalnum() for word in words):
        raise UserError(f"the sentence is empty; {EXAMPLE}")
    if len(words) > MAX_WORDS:
        raise UserError(f"the sentence has {len(words)} words; {MAX_WORDS} is the limit")
    classes = [own.get(word) or _CLASSES.get(word) or _number(word) for word in words]
    unknown = [place for place, kinds in enumerate(classes) if kinds is None]
    for place in unknown:
        if words[place] in TOO_MANY:
            raise UserError(f'"{words[place]}" do not fit: a scene holds 1 to {MAX_THINGS} things')
    if unknown:
        raise _unknown(words, classes, unknown)
    try:
        return read_tree(_parse(words, classes, "directed" if there.things else "start"), objects, there)
    except UnexpectedInput as problem:
        raise UserError(_misfit(words, problem)) from None


def _words(prompt: str, own: Collection[str]) -> list[str]:
    """The words of a sentence in lower case, phrases of the lexicon as one; commas and stops are words. own:
    words that are not in the lexicon."""
    text = unicodedata.normalize("NFKC", prompt).lower().replace("’", "'").strip()
    for short, long in _CONTRACTED.items():
        text = re.sub(rf"{short}\b", long, text)
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    single = [word for word in _SPLIT.findall(text) if word[0].isalnum() or word in ",.;:"]
    single = list(
        itertools.chain(*([word] if word in _CLASSES or word in own else word.split("-") for word in single))
    )
    words, place = [], 0
    while place < len(single):
        for phrase in _phrases_from(single[place]):
            if tuple(single[place : place + len(phrase)]) == phrase:
                break
        else:
            phrase = (single[place],)
        words.append(" ".join(phrase))
        place += len(phrase)
    return words


@lru_cache(maxsize=2048)
def _phrases_from(word: str) -> list[tuple[str, ...]]:
    return [tuple(phrase.split()) for phrase in PHRASES if phrase.split()[0] == word]


def _number(word: str) -> frozenset[str] | None:
    return frozenset({"number"}) if re.fullmatch(r"\d+(\.\d+)?", word) else None


def _parse(words: list[str], classes: list[frozenset[str] | None], start: str = "start") -> Tree[Token]:
    tokens = [
        Token(_terminal(kinds or frozenset()), word, start_pos=place)
        for place, (word, kinds) in enumerate(zip(words, classes, strict=True))
    ]
    try:
        return _parser(is_loose=False).parse(tokens, start)  # pyright: ignore[reportArgumentType]
    except UnexpectedInput as problem:
        try:
            return _parser(is_loose=True).parse(tokens, start)  # pyright: ignore[reportArgumentType]
        except UnexpectedInput:
            raise problem from None


class _WordLexer(Lexer):
    """Hands on the words that `_parse` has made tokens of; `start_pos` counts words."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, data: list[Token]) -> Iterator[Token]:  # pyright: ignore[reportIncompatibleMethodOverride]
        yield from data


def _by_word() -> Mapping[str, frozenset[str]]:
    classes: dict[str, set[str]] = {}
    for kind, words in LEXICON.items():
        for word in words:
            classes.setdefault(word, set()).add(kind)
    return {word: frozenset(kinds) for word, kinds in classes.items()}


_CLASSES = _by_word()


def _terminal(kinds: frozenset[str]) -> str:
    return "W_" + "_X_".join(sorted(kinds)).upper()


_LOOSER = """
%extend np: ordinal? adjective* noun tail?
%extend _gap:
"""
"""What is tried where a sentence does not fit: "red ball hits box", and clauses without anything between."""


@lru_cache(maxsize=2)
def _parser(is_loose: bool) -> Lark:
    sets = {*_CLASSES.values(), *(frozenset({kind}) for kind in (*_GUESSES, "number"))}
    rules = [files("orrery.worlds.laboratory.sentences").joinpath("grammar.lark").read_text("utf-8")]
    for kind in LEXICON:
        rules.append(f"{kind}: " + " | ".join(sorted(_terminal(kinds) for kinds in sets if kind in kinds)))
    if is_loose:
        rules.append(_LOOSER)
    rules.append("%declare " + " ".join(sorted(map(_terminal, sets))))
    return Lark("\n".join(rules), parser="earley", lexer=_WordLexer, start=["start", "directed"])


def _unknown(words: list[str], classes: list[frozenset[str] | None], unknown: list[int]) -> UserError:
    """What to say of a word that is not known: the nearest one; or, where the sentence makes sense with a
    verb, a noun or an adjective there, what there is instead."""
    place = unknown[0]
    word = words[place]
    near = nearest(word, _CLASSES)
    hint = f"the nearest known: {', '.join(near)}" if near else EXAMPLE
    plain = f'unknown word "{word}" (word {place + 1} of the sentence); {hint}'
    for guess in itertools.islice(itertools.product(_GUESSES, repeat=len(unknown)), _MOST_GUESSES):
        tried = list(classes)
        for where, kind in zip(unknown, guess, strict=True):
            tried[where] = frozenset({kind})
        try:
            _parse(words, tried)
        except UnexpectedInput:
            continue
        kind = guess[0]
        if kind in ("noun", "nouns"):
            return UserError(f"{plain}; this world has {_THINGS}")
        if kind == "quality":
            return UserError(f"{plain}; things have a colour, a material and a size")
        return UserError(f"{plain}; things of this world can {_DOES}")
    return UserError(plain)


def _misfit(words: list[str], problem: UnexpectedInput) -> str:
    """Where the sentence stops making sense, in one line."""
    place = getattr(getattr(problem, "token", None), "start_pos", None)
    if place is None or place >= len(words):
        return f'the sentence stops too early, after "{words[-1]}"; {EXAMPLE}'
    before = " ".join(words[max(0, place - 4) : place])
    after = f' after "{before}"' if before else " at the start"
    return f'"{words[place]}" (word {place + 1}) does not fit{after}; {EXAMPLE}'
