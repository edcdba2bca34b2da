"""From an English sentence to what it asks of a scene: the reading half of the scene language.

`grammar.lark` says which sentences there are, `meaning` what they ask. `parse` reads everything that
`caption` writes (a property test holds the two together) and what a person would plainly type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files

from lark import Lark, Token, UnexpectedToken
from lark.lexer import Lexer

from orrery.errors import UserError, nearest
from orrery.worlds.rigid_bodies.words import check_text, split_words
from orrery.worlds.tabletop.captions import caption
from orrery.worlds.tabletop.lexicon import LEXICON, vocabulary
from orrery.worlds.tabletop.meaning import EXAMPLE, read_tree
from orrery.worlds.tabletop.scene import MAX_BODIES, BodyRequest, SceneRequest

__all__ = ["caption", "parse", "tells_of_collisions", "vocabulary"]

_KIND = {word: kind for kind, words in LEXICON.items() for word in words}
_TOO_MANY = ("four", "five", "six", "seven", "eight", "nine", "ten", "many", "several")


def parse(prompt: str, known: Sequence[BodyRequest] = ()) -> SceneRequest:
    """What `prompt` asks of a scene: its objects in order of mention, and perhaps the camera.

    known: objects that are on the table already, each without a motion. They come first in what is asked;
    "the red ball" must be one of them, "a ball" is another one.

    What the sentence leaves open stays None. Upper case and punctuation do not matter. A collision ("the ball
    hits the box") is read, but asks for nothing: what hits what is for physics to say. "the red ball" means
    the red ball mentioned before, if there is one.

    Raises UserError for text that is empty, longer than `MAX_PROMPT_CHARACTERS` or no text; for a word that
    is not in `vocabulary()` (naming the nearest ones); for a sentence that the grammar does not fit; for no
    object or more than `MAX_BODIES`; and for what cannot be, such as a box that rolls.
    """
    check_text(prompt)
    words = split_words(prompt)
    _check_words(words)
    if not known and not any(_KIND[word] in ("NOUN", "PRONOUN") for word in words):
        raise UserError(f"the sentence names no object: a ball, a box or a cylinder; {EXAMPLE}")
    try:
        tree = _parser().parse(" ".join(words))
    except UnexpectedToken as error:
        raise UserError(_misfit(words, error)) from None
    return read_tree(tree, known)


def tells_of_collisions(prompt: str) -> bool:
    """Whether a sentence that `parse` reads tells that something strikes something, which `parse` leaves
    out."""
    return any(_KIND.get(word) == "HITS" for word in split_words(prompt))


def _check_words(words: list[str]) -> None:
    if not words:
        raise UserError(f"the sentence is empty; {EXAMPLE}")
    for place, word in enumerate(words, start=1):
        if word in _KIND:
            continue
        if word in _TOO_MANY or (word.isdecimal() and word.isascii()):
            raise UserError(f'"{word}" objects do not fit: a scene holds 1 to {MAX_BODIES}')
        near = nearest(word, vocabulary())
        hint = f"the nearest known: {', '.join(near)}" if near else f"nothing known is near; {EXAMPLE}"
        raise UserError(f'unknown word "{word}" (word {place} of the sentence); {hint}')


def _misfit(words: list[str], error: UnexpectedToken) -> str:
    """Where the sentence stops making sense, in one line."""
    if error.token.type == "$END":
        return f'the sentence stops too early, after "{words[-1]}"; {EXAMPLE}'
    place = error.token.start_pos or 0
    before = " ".join(words[max(0, place - 4) : place])
    after = f' after "{before}"' if before else " at the start"
    return f'"{words[place]}" (word {place + 1}) does not fit{after}; {EXAMPLE}'


class _WordLexer(Lexer):
    """Words, already known to be in the lexicon, to the grammar's terminals; `start_pos` counts words."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, data: str) -> Iterator[Token]:  # pyright: ignore[reportIncompatibleMethodOverride]
        for place, word in enumerate(data.split()):
            yield Token(_KIND[word], word, start_pos=place)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("orrery.worlds.tabletop").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer=_WordLexer)
