"""The laboratory's sentences: what is written is read back, in many forms, with what happens in order."""

from __future__ import annotations

import re

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.streams import Event
from orrery.worlds.laboratory.captions import MAX_TALE_WORDS
from orrery.worlds.laboratory.drawing import Happening, LabRequest, Reference, ThingRequest
from orrery.worlds.laboratory.families import FAMILIES, sample_laboratory
from orrery.worlds.laboratory.happenings import told_happenings, what_happened_satisfies
from orrery.worlds.laboratory.language import caption_laboratory, disagreements, parse_laboratory
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.tales import MATERIALS, SHAPES
from orrery.worlds.rigid_bodies.materials import COLOURS

NUM_CASES = 240


def drawn(number: int) -> tuple[LabScene, list[Event], str]:
    """A scene of each family in turn, random impacts, and a caption of both."""
    rng = np.random.default_rng([5, number])
    scene = sample_laboratory(rng, LabRequest(list(FAMILIES)[number % len(FAMILIES)]))
    names = [f"object{k}" for k in range(len(scene.things))]
    names += [f"fixture{k}" for k in range(len(scene.fixtures))] + ["table", "finger"]
    events = []
    for k in range(4):
        a, b = (str(name) for name in rng.choice(names, 2, replace=False))
        events.append(Event(0.1 + 0.2 * k, "impact", a, b, 0.1))
    return scene, events, caption_laboratory(scene, events, rng)


@pytest.fixture(scope="module")
def cases() -> list[tuple[LabScene, list[Event], str]]:
    return [drawn(number) for number in range(NUM_CASES)]


def test_what_is_written_is_read_back_as_its_scene(cases: list[tuple[LabScene, list[Event], str]]) -> None:
    """The scene satisfies its own caption, happenings and all, and a new scene made from the caption does,
    too.
    """
    rng = np.random.default_rng(0)
    for scene, events, text in cases:
        request = parse_laboratory(text)
        assert disagreements(request, scene, events) == [], text
        assert disagreements(request, sample_laboratory(rng, request)) == [], text


def test_a_caption_is_short_capitalised_english(cases: list[tuple[LabScene, list[Event], str]]) -> None:
    for _, _, text in cases:
        assert len(text.split()) <= MAX_TALE_WORDS
        assert re.fullmatch(r"[A-Z][a-z ,;.A-Z]*\.", text), text
        assert not re.search(r"  | [,.;]|\ba [aeio]|\ban [^aeio]|[{}<>|*]", text), text


def form(text: str) -> str:
    """A clause with its things taken out: what is left is the form of the sentence."""
    colours, materials = "|".join(COLOURS), "|".join(w for words in MATERIALS.values() for w in words)
    nouns = "|".join(w for words in SHAPES.values() for w in words)
    sizes = "small|little|tiny|big|large"
    thing = rf"(a|an|the)( ({sizes}))?( ({colours}))?( ({materials}))? ({nouns})"
    text = re.sub(rf"{thing}((,| and) {thing})*", "X", text.lower())
    return re.sub(r"(three|four|five|six|seven)( \w+)*? dominoes", "ROW", text)


def test_there_are_at_least_forty_forms_of_one_clause_about_one_thing() -> None:
    """Forms of the first clause alone, without surroundings, openings or headings."""
    forms = set()
    for number in range(900):
        rng = np.random.default_rng([6, number])
        scene = sample_laboratory(rng, LabRequest(list(FAMILIES)[number % len(FAMILIES)]))
        first = form(caption_laboratory(scene, (), rng)).split(",")[0].split(".")[0]
        forms.add(first)
    way = re.compile(r"\b(to|from|toward|towards|away|left\w*|right\w*|back\w*|forward\w*)\b.*")
    kinds = {way.sub("WAY", form) for form in forms}
    assert len(kinds) >= 40, sorted(kinds)


def test_what_happens_is_told_in_order() -> None:
    rng = np.random.default_rng(1)
    wishes = {
        "roller": (ThingRequest("ball", "red"),),
        "target": (ThingRequest("box", "blue"), ThingRequest("box", "green")),
    }
    scene = sample_laboratory(rng, LabRequest("ramp", wishes))
    events = [
        Event(0.9, "impact", "object1", "object2", 0.1),
        Event(0.4, "impact", "object0", "object1", 0.2),
        Event(0.01, "impact", "object0", "fixture0", 0.2),
        Event(0.45, "impact", "object0", "object1", 0.1),
        Event(0.5, "impact", "table", "object1", 0.1),
    ]
    told = told_happenings(scene, events)
    ball, blue, green = Reference("ball"), Reference("box", "blue"), Reference("box", "green")
    assert told == [Happening(ball, blue), Happening(green, blue)]
    text = caption_laboratory(scene, events)
    assert "then the ball hits the blue box, then the green box hits the blue box." in text
    assert what_happened_satisfies(scene, told, events)
    assert not what_happened_satisfies(scene, told[::-1], events), "in another order it is another story"
    assert not what_happened_satisfies(scene, [Happening(ball, green)], events)


@pytest.mark.parametrize(
    ("prompt", "family", "roles"),
    [
        ("a red ball rolls down the ramp", "ramp", {"roller": ["ball red"]}),
        ("A red ball rolls to the left down a ramp!", "ramp", {"roller": ["ball red left"]}),
        ("the finger lifts a small porcelain can", "lift", {"lifted": ["cylinder ceramic small"]}),
        ("a ball falls", "plain", {"faller": ["ball"]}),
        ("five green glass dominoes stand in a row and a ball rolls into them", "dominoes",
         {"domino": ["box green glass"] * 5, "roller": ["ball"]}),
        ("a red box, a blue box and a can fall into a crate", "container",
         {"faller": ["box red", "box blue", "cylinder"]}),
        ("a ball rolls behind a screen and a pill stands by", "occluder",
         {"roller": ["ball"], "rester": ["capsule"]}),
        ("a box falls and a ball rolls from the left", "plain",
         {"faller": ["box"], "roller": ["ball right"]}),
        ("a block falls on a see-saw", "see-saw", {"faller": ["box"]}),
    ],
)  # fmt: skip
def test_prompts(prompt: str, family: str, roles: dict[str, list[str]]) -> None:
    request = parse_laboratory(prompt)
    asked = {
        role: [" ".join(v for v in vars(wish).values() if v) for wish in wishes]
        for role, wishes in request.roles.items()
    }
    assert (request.family, asked) == (family, roles)


def test_surroundings_are_read() -> None:
    text = "a ball falls, on a glass table, seen from the right, while the camera circles the table, by day"
    request = parse_laboratory(text)
    assert (request.surface, request.side, request.move, request.light) == (
        "glass",
        "right",
        "orbits",
        "day",
    )


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "is empty"),
        ("a ball\0", "control character"),
        ("a ball " * 80, "500 is the limit"),
        ("a red shpere falls", 'unknown word "shpere" .word 3 of the sentence.; the nearest known: sphere'),
        ("a ball falls falls", '"falls" .word 4. does not fit after "a ball falls"'),
        ("a ball rolls down a", 'stops too early, after "a"'),
        ("ball", '"ball" .word 1. does not fit at the start'),
        ("a ball rolls down a ramp and a box falls", "does not happen in one scene with a ramp"),
        ("a ball falls, on a glass table, on a wooden table", "both glass and wood"),
    ],
)
def test_bad_prompts_are_named(prompt: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_laboratory(prompt)
    assert "\n" not in str(caught.value)


def test_the_example_in_the_errors_works() -> None:
    with pytest.raises(UserError) as caught:
        parse_laboratory("")
    (example,) = re.findall(r'"(.+)"', str(caught.value))
    assert parse_laboratory(example).family == "ramp"
