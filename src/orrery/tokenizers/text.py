"""Sentences to word numbers: the text tokenizer has one token per word of a closed vocabulary.

It is built from a vocabulary, not from a language, so a checkpoint carries its own words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING", "UNKNOWN", "WordTokenizer"]

PADDING = 0
UNKNOWN = 1
_FIRST_WORD = 2
_WORD = re.compile(r"[^\W_]+")


class WordTokenizer:
    """Words to numbers: 0 is padding, 1 an unknown word, `vocabulary[k]` is k + 2.

    vocabulary: the known words, lower case, each once. max_words: length of every encoded sentence; words
    beyond it are cut.
    """

    def __init__(self, vocabulary: Sequence[str], max_words: int = 48) -> None:
        if max_words < 1:
            raise ValueError(f"max_words is at least 1, got {max_words}")
        self.vocabulary = tuple(vocabulary)
        self.max_words = max_words
        self._numbers = {word: k for k, word in enumerate(self.vocabulary, start=_FIRST_WORD)}
        if len(self._numbers) != len(self.vocabulary):
            raise ValueError("the vocabulary holds a word twice")
        unreachable = [word for word in self.vocabulary if _words(word) != [word]]
        if unreachable:
            raise ValueError(f"no text splits into these words of the vocabulary: {unreachable[:5]}")

    @property
    def num_tokens(self) -> int:
        """How many different numbers there are: the rows of an embedding."""
        return _FIRST_WORD + len(self.vocabulary)

    def encode(self, text: str) -> NDArray[np.int64]:
        """`[max_words]` int64 in [0, num_tokens), the words of `text` in order, padded with 0."""
        numbers = np.full(self.max_words, PADDING, np.int64)
        found = [self._numbers.get(word, UNKNOWN) for word in _words(text)[: self.max_words]]
        numbers[: len(found)] = found
        return numbers

    def encode_batch(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """`[B, max_words]` int64, one row for each text; B may be 0."""
        rows = [self.encode(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.max_words), np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {"vocabulary": list(self.vocabulary), "max_words": self.max_words}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WordTokenizer:
        """A tokenizer from `to_json`'s values."""
        return cls(values["vocabulary"], values["max_words"])


def _words(text: str) -> list[str]:
    """Runs of letters and digits in lower case ("there's" is two words); all other signs fall away."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return _WORD.findall(re.sub(r"['’]s\b", " is", folded))
