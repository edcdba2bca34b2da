"""The words that sentences about rigid bodies share, and how a sentence comes apart into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from orrery.errors import UserError

__all__ = [
    "HEADINGS",
    "MATERIAL_WORDS",
    "MAX_PROMPT_CHARACTERS",
    "SHAPE_WORDS",
    "check_text",
    "numbered",
    "split_words",
]

MAX_PROMPT_CHARACTERS = 500

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "sphere"),
    "box": ("box", "cube", "block"),
    "cylinder": ("cylinder", "can"),
}
"""Shape to its nouns, the plain one first; every plural adds `s` or `es`."""

MATERIAL_WORDS: dict[str, tuple[str, ...]] = {
    "wood": ("wooden", "wood"),
    "steel": ("steel", "metal"),
    "rubber": ("rubber",),
    "plastic": ("plastic",),
}
"""Material to the adjectives that name it, the plain one first."""

HEADINGS: dict[str, tuple[str, ...]] = {
    "left": (
        "to the left",
        "left",
        "towards the left",
        "toward the left",
        "leftwards",
        "leftward",
        "from the right",
        "from right to left",
        "from the right to the left",
    ),
    "right": (
        "to the right",
        "right",
        "towards the right",
        "toward the right",
        "rightwards",
        "rightward",
        "from the left",
        "from left to right",
        "from the left to the right",
    ),
    "forward": (
        "towards the viewer",
        "forward",
        "towards the camera",
        "toward the viewer",
        "to the front",
        "forwards",
        "toward me",
        "towards us",
        "toward the observer",
    ),
    "back": (
        "away from the viewer",
        "away",
        "backwards",
        "backward",
        "away from the camera",
        "to the back",
        "away from us",
        "away from me",
        "away from the observer",
    ),
}

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


def check_text(prompt: str) -> None:
    """UserError for a prompt that is too long, or holds signs that are no text."""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise UserError(f"the sentence has {len(prompt)} characters; {MAX_PROMPT_CHARACTERS} is the limit")
    for place, sign in enumerate(prompt, start=1):
        if unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn") and sign not in "\t\r\n":
            what = "a byte that is not UTF-8" if unicodedata.category(sign) == "Cs" else "a control character"
            raise UserError(f"the sentence is not plain text: character {place} is {what} ({sign!a})")


def split_words(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation ("there's" is two); other signs are words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    folded = re.sub(r"['’]s\b", " is", folded)
    return [word for word in _WORD.findall(folded) if unicodedata.category(word[0])[0] not in "PZC"]


def numbered(names: Iterable[str]) -> list[str]:
    """The names, with a number behind each that is not the first of its kind: `red ball`, `red ball 2`."""
    told: list[str] = []
    for name in names:
        count = sum(other == name or other.startswith(f"{name} ") for other in told)
        told.append(f"{name} {count + 1}" if count else name)
    return told
