"""The examination is fixed, unambiguous and balanced, and its sentences are not those of the captions."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from orrery.evaluation.prompts import NUM_PROMPTS, held_out_prompts, resting_prompts
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.words import split_words
from orrery.worlds.tabletop.language import caption, parse
from orrery.worlds.tabletop.scene import BODY_SHAPES, MOTIONS, sample_scene


def test_fixed_and_distinct() -> None:
    prompts = held_out_prompts()
    texts = [prompt.text for prompt in prompts]
    assert len(set(texts)) == len({prompt.seed for prompt in prompts}) == NUM_PROMPTS
    # Published figures are of exactly this list: whoever changes it changes what all of them mean.
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "d2c6b6b6838a291d"


def test_each_says_what_should_be_seen() -> None:
    for prompt in [*held_out_prompts(), *resting_prompts()]:
        assert prompt.request == parse(prompt.text)
        assert all(body.colour and body.shape and body.motion for body in prompt.request.bodies)
        assert prompt.colours.total() == prompt.objects.total() == len(prompt.request.bodies)


def test_every_word_of_the_world_is_asked_for() -> None:
    bodies = [body for prompt in held_out_prompts() for body in prompt.request.bodies]
    for field, values in (("colour", COLOURS), ("shape", BODY_SHAPES), ("motion", MOTIONS)):
        counts = Counter(getattr(body, field) for body in bodies)
        assert min(counts[value] for value in values) >= len(bodies) / len(values) / 2
    assert any(max(prompt.objects.values()) == 2 for prompt in held_out_prompts())


def test_resting_prompts_rest() -> None:
    assert {body.motion for prompt in resting_prompts(12) for body in prompt.request.bodies} == {"rests"}


@pytest.fixture(scope="module")
def captions() -> list[str]:
    rng = np.random.default_rng(5)
    return [caption(sample_scene(rng), (), rng).lower().rstrip(".") for _ in range(4000)]


def test_held_out_forms_are_not_captions(captions: list[str]) -> None:
    assert not set(captions) & {prompt.text for prompt in held_out_prompts()}


def test_every_held_out_word_is_a_caption_word(captions: list[str]) -> None:
    # A word that training never shows is noise to the model. (Plurals need twins, which training makes.)
    said = Counter(word for text in captions for word in split_words(text))
    asked = Counter(word for prompt in held_out_prompts() for word in split_words(prompt.text))
    twins = {"two", "balls", "boxes", "cylinders", "remain"}
    assert {word for word in asked if said[word] < 8} <= twins
