"""Sentences: words of the data set's own sentences, one-hot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from orrery.errors import BadUse, nearest
from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.streams import StreamSpec

__all__ = ["TextTokenizer"]

PADDING = 0
_WORD = re.compile(r"[^\W_]+")


class TextTokenizer(Tokenizer):
    """One token a word, one-hot over the vocabulary; what is beyond the sentence's end is all zeros.

    vocabulary: the known words, lower case, each once. max_words: tokens of a sentence.
    """

    def __init__(self, spec: StreamSpec, vocabulary: Sequence[str], max_words: int) -> None:
        super().__init__(spec)
        self.vocabulary = tuple(vocabulary)
        self._numbers = {word: k for k, word in enumerate(self.vocabulary, start=PADDING + 1)}
        if len(self._numbers) != len(self.vocabulary) or max_words < 1:
            raise ValueError("a vocabulary holds every word once, and a sentence has at least one word")
        self._set_sizes(max_words, max(1, len(self.vocabulary)))

    @classmethod
    def of_sentences(cls, spec: StreamSpec, sentences: Iterable[str]) -> Self:
        """A tokenizer that knows all words of `sentences`, and is as long as the longest of them."""
        split = [_words(sentence) for sentence in sentences]
        return cls(spec, sorted(set().union(*split)) if split else [], max([1, *map(len, split)]))

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {"vocabulary": list(self.vocabulary), "max_words": self.tokens}

    def note_range(self, latents: Tensor) -> None:
        """The range of a one-hot is known."""

    def numbers(self, sentence: str) -> Tensor:
        """`[max_words]` int64: the words of a sentence, padded with 0.

        BadUse that names a word that is not known, with the nearest known ones; or a sentence too long.
        """
        words = _words(sentence)
        for word in words:
            if word not in self._numbers:
                close = nearest(word, self.vocabulary)
                hint = f"perhaps {' or '.join(close)}" if close else "the data set has no such word"
                raise BadUse(f"the model does not know the word {word!r}; {hint}")
        if len(words) > self.tokens:
            raise BadUse(f"the model reads at most {self.tokens} words, and this sentence has {len(words)}")
        padded = torch.full((self.tokens,), PADDING)
        padded[: len(words)] = torch.tensor([self._numbers[word] for word in words], dtype=torch.int64)
        return padded

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """`[B, T, max_words]` numbers of words (see `numbers`) to one-hot."""
        return functional.one_hot(ticks.long(), self.width + 1)[..., PADDING + 1 :].float(), {}

    def sentence(self, latents: Tensor) -> str:
        """The sentence that `[max_words, width]` stands for."""
        known = latents.amax(-1) > 0.5
        return " ".join(self.vocabulary[int(k)] for k in latents.argmax(-1)[known])


def _words(sentence: str) -> list[str]:
    """Runs of letters and digits in lower case ("there's" is two words); all other signs fall away."""
    folded = unicodedata.normalize("NFKC", sentence).lower()
    return _WORD.findall(re.sub(r"['’]s\b", " is", folded))
