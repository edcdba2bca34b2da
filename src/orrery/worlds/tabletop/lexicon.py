"""Every word of the scene language: its class (a terminal of `grammar.lark`) and what it stands for.

One table serves the writer (`captions`), the reader (`language`) and the text tokenizer, so that none of
them can know a word that the others do not.
"""

from __future__ import annotations

from typing import Any

from orrery.worlds.rigid_bodies.materials import COLOURS, MATERIAL_TABLE
from orrery.worlds.rigid_bodies.words import MATERIAL_WORDS, SHAPE_WORDS

__all__ = ["LEXICON", "Verb", "vocabulary"]

SYNONYMS = {"violet": "purple", "metallic": "steel", "rubbery": "rubber"}
"""Words that are read but never written, to the plain word."""

Verb = tuple[str | None, str]
"""What a verb says (one of MOTIONS; None: some motion, its direction tells) and its form:
`singular` (falls), `plural` (fall; also the imperative), `base` (throw: the imperative only), `ing`
(falling), `participle` (thrown)."""

_VERB_FORMS: dict[str | None, dict[str, str]] = {
    "rests": {
        "singular": "rests stands lies sits stays remains",
        "plural": "rest stand lie sit stay remain",
        "base": "place put",
        "ing": "resting standing lying sitting",
        "participle": "placed",
    },
    "drops": {
        "singular": "drops falls",
        "plural": "drop fall",
        "base": "release",
        "ing": "dropping falling",
        "participle": "dropped released",
    },
    "flies": {
        "singular": "flies",
        "plural": "fly",
        "base": "throw toss",
        "ing": "flying",
        "participle": "thrown tossed",
    },
    "rolls": {"singular": "rolls", "plural": "roll", "ing": "rolling", "participle": "rolled"},
    "pushed": {
        "singular": "pushes shoves",
        "base": "push shove",
        "ing": "pushing",
        "participle": "pushed shoved",
    },
    None: {"singular": "moves goes travels", "plural": "move go travel", "ing": "moving travelling"},
}


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("x") else "s")


def _verbs() -> dict[str, Verb]:
    return {
        word: (motion, form)
        for motion, forms in _VERB_FORMS.items()
        for form, words in forms.items()
        for word in words.split()
    }


def _nouns() -> dict[str, tuple[str | None, bool]]:
    """Noun to its shape (None: any object) and whether it is plural."""
    nouns: dict[str, tuple[str | None, bool]] = {}
    for shape, words in {**SHAPE_WORDS, None: ("object", "thing")}.items():
        for word in words:
            nouns[word] = (shape, False)
            nouns[_plural(word)] = (shape, True)
    return nouns


def _attributes() -> dict[str, dict[str, str]]:
    colours = {name: name for name in COLOURS}
    materials = {word: name for name in MATERIAL_TABLE for word in MATERIAL_WORDS[name]}
    for word, plain in SYNONYMS.items():
        (colours if plain in colours else materials)[word] = plain
    sizes = {"small": "small", "little": "small", "tiny": "small", "big": "big", "large": "big"}
    return {"COLOUR": colours, "MATERIAL": materials, "SIZE": sizes}


def _plain(words: str) -> dict[str, None]:
    return dict.fromkeys(words.split())


LEXICON: dict[str, dict[str, Any]] = {
    "NOUN": _nouns(),
    **_attributes(),
    "VERB": _verbs(),
    "NUMBER": {"one": 1, "two": 2, "three": 3, "1": 1, "2": 2, "3": 3},
    "SIDE": {"left": "left", "right": "right", "front": "forward", "back": "back"},
    "HEADING": {
        "leftward": "left", "leftwards": "left", "rightward": "right", "rightwards": "right",
        "forward": "forward", "forwards": "forward", "backward": "back", "backwards": "back",
    },
    "BE": {"is": "singular", "are": "plural", "gets": "singular", "get": "plural"},
    "PRONOUN": {"it": 1, "both": 2, "they": 3, "all": 3},
    "A": _plain("a an another"),
    "THE": _plain("the"),
    "AND": _plain("and"),
    "WITH": _plain("with"),
    "JOINT": _plain("while as then but where"),
    "THERE": _plain("there here"),
    "WHICH": _plain("which that"),
    "MADE": _plain("made"),
    "OF": _plain("of"),
    "BEING": _plain("being"),
    "STILL": _plain("still motionless"),
    "TO": _plain("to"),
    "TOWARDS": _plain("towards toward"),
    "FROM": _plain("from"),
    "BY": _plain("by"),
    "AT": _plain("at"),
    "AWAY": _plain("away"),
    "BEHIND": _plain("behind"),
    "ABOVE": _plain("above"),
    "DOWN": _plain("down"),
    "VIEWER": _plain("viewer observer us me"),
    "CAMERA": _plain("camera"),
    "FINGER": _plain("finger"),
    "PLACE": _plain("table tray ground floor air"),
    "ON": _plain("on in"),
    "ONTO": _plain("onto into across over along through"),
    "SEEN": _plain("seen viewed watched filmed shown"),
    "LOOKS": _plain("looks looking"),
    "HITS": _plain("hits hit strikes strike collides collide bumps bump touches touch"),
    "EACH": _plain("each"),
    "OTHER": _plain("other"),
    "VIDEO": _plain("video film scene picture clip"),
    "SHOWS": _plain("showing shows show"),
}  # fmt: skip
"""Terminal of the grammar to its words, each with its value (None where the class says it all)."""


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption or a prompt may hold, lower case, in a fixed order, each once."""
    return tuple(word for words in LEXICON.values() for word in words)
