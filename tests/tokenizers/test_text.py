"""The text tokenizer: numbers, padding, cutting, and agreement with the scene language."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.tokenizers.text import PADDING, UNKNOWN, WordTokenizer
from orrery.worlds.rigid_bodies.words import split_words
from orrery.worlds.tabletop.language import caption, vocabulary
from orrery.worlds.tabletop.scene import sample_scene

SMALL = WordTokenizer(("a", "red", "ball", "is"), max_words=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red ball", [2, 3, 4, 0, 0]),
        ("  A RED,ball!", [2, 3, 4, 0, 0]),
        ("a mauve ball", [2, 1, 4, 0, 0]),
        ("ball ball ball ball ball red", [4, 4, 4, 4, 4]),
        ("ball’s", [4, 5, 0, 0, 0]),
        ("", [0, 0, 0, 0, 0]),
        ("red-ball\n_a_", [3, 4, 2, 0, 0]),
    ],
)
def test_encode(text: str, expected: list[int]) -> None:
    encoded = SMALL.encode(text)
    assert encoded.dtype == np.int64
    np.testing.assert_array_equal(encoded, expected)


def test_every_word_has_its_own_number() -> None:
    tokenizer = WordTokenizer(vocabulary())
    numbers = [int(tokenizer.encode(word)[0]) for word in vocabulary()]
    assert numbers == list(range(2, tokenizer.num_tokens))


@given(st.text(max_size=200))
def test_any_text_gives_numbers_in_range(text: str) -> None:
    encoded = SMALL.encode(text)
    assert encoded.shape == (5,)
    assert encoded.min() >= PADDING
    assert encoded.max() < SMALL.num_tokens
    words = encoded != PADDING
    assert not (np.diff(words.astype(int)) > 0).any(), "padding only stands at the end"


def test_batch_is_its_rows() -> None:
    texts = ["a ball", "", "a blue ball"]
    np.testing.assert_array_equal(SMALL.encode_batch(texts), [SMALL.encode(text) for text in texts])
    assert SMALL.encode_batch([]).shape == (0, 5)


def test_json_round_trip_is_exact() -> None:
    again = WordTokenizer.from_json(json.loads(json.dumps(SMALL.to_json())))
    assert again.to_json() == SMALL.to_json()
    np.testing.assert_array_equal(again.encode("a red ball's zz"), SMALL.encode("a red ball's zz"))


@pytest.mark.parametrize(
    ("words", "max_words"),
    [(("a", "a"), 4), (("A",), 4), (("two words",), 4), (("-",), 4), (("a",), 0)],
)
def test_bad_vocabulary(words: tuple[str, ...], max_words: int) -> None:
    with pytest.raises(ValueError, match=r"vocabulary|max_words"):
        WordTokenizer(words, max_words)


def test_captions_are_split_as_the_grammar_splits_them() -> None:
    tokenizer = WordTokenizer(vocabulary())
    number = {word: k for k, word in enumerate(vocabulary(), start=2)}
    rng = np.random.default_rng(5)
    for _ in range(200):
        text = caption(sample_scene(rng), rng=rng)
        encoded = tokenizer.encode(text)
        assert UNKNOWN not in encoded
        assert [number[word] for word in split_words(text)] == encoded[encoded != PADDING].tolist()
