"""Which world films a sentence, and in which words a model is asked."""

from __future__ import annotations

import re

import pytest

from orrery.cli.prompts import for_exact_world, for_model
from orrery.errors import UserError
from orrery.worlds.tabletop.language import parse


@pytest.mark.parametrize(
    ("prompt", "world"),
    [
        ("a red ball drops and a blue box stands on the table", "tabletop"),
        ("a red ball rolls to the right", "tabletop"),
        ("the red ball hits the blue box", "laboratory"),
        ("a ball and a box collide", "laboratory"),
        ("five red balls drop", "laboratory"),
        ("a ball rolls down a ramp", "laboratory"),
    ],
)
def test_the_world_that_can_do_it_films_it(prompt: str, world: str) -> None:
    asked = for_exact_world(prompt)
    assert (asked.prompt, asked.world) == (prompt, world)
    assert bool(asked.why) == (world == "laboratory"), "a choice that is not the usual one is told"


def test_a_sentence_says_how_long_it_lasts() -> None:
    assert for_exact_world("a ball rolls down a ramp for three seconds").seconds == 3.0
    assert for_exact_world("a ball rolls down a ramp").seconds is None


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a red ball falls", "a red ball falls"),
        ("Someone throws a marble to the left for three seconds", "a small ball flies to the left"),
        ("the tiny red cube is nudged to the right by a finger", "a small red box is pushed to the right"),
        ("two blocks lie there", "a box rests on the table and a box rests on the table"),
    ],
)  # fmt: skip
def test_a_model_is_asked_in_the_words_that_it_has_learned(prompt: str, words: str) -> None:
    asked = for_model(prompt)
    assert asked.prompt == words
    parse(asked.prompt)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("the red ball hits the blue box", "what strikes what"),
        ("a ball rolls down a ramp", "how things stand"),
        ("a ball rolls off the table", "leaves"),
        ("a pendulum swings", "pendulum"),
        ("a glass ball falls for three seconds", "glass"),
        ("a red ball melts", '"melts"'),
        ("seen from above, a ball falls", "views from above"),
        ("five red balls drop", "1 to 3"),
    ],
)
def test_what_a_model_cannot_do_is_named(prompt: str, named: str) -> None:
    with pytest.raises(UserError, match=re.escape(named)):
        for_model(prompt)
