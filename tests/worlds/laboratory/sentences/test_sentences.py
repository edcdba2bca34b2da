"""The laboratory's sentences: what is written is read back, in many forms, with what happens in order."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.streams import Event
from orrery.worlds.laboratory.captions import MAX_TALE_WORDS, _Writer, caption_laboratory, roles_of
from orrery.worlds.laboratory.drawing import Happening, LabRequest, Reference, ThingRequest
from orrery.worlds.laboratory.families import FAMILIES, sample_laboratory
from orrery.worlds.laboratory.happenings import told_happenings
from orrery.worlds.laboratory.scene import LabScene
from orrery.worlds.laboratory.sentences.agreement import disagreements
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.sentences.story import Story, Wish
from orrery.worlds.laboratory.tales import MATERIALS, SHAPES, TALES
from orrery.worlds.rigid_bodies.materials import COLOURS

NUM_CASES = 96


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
    """The scene satisfies its own caption, happenings and all."""
    for scene, events, text in cases:
        assert disagreements(parse_laboratory(text), scene, events) == [], text


@pytest.mark.parametrize("family", TALES)
def test_every_tale_is_read_back_as_its_scene(family: str) -> None:
    for pattern in TALES[family]:
        scenes = (sample_laboratory(np.random.default_rng(k), LabRequest(family)) for k in itertools.count())
        scene = next(s for s in scenes if {*roles_of(pattern)} <= {thing.role for thing in s.things})
        text = _Writer(scene, None, brief=True).filled(pattern)
        assert disagreements(parse_laboratory(text), scene) == [], text


def test_another_scene_can_be_set_up_for_what_is_written(
    cases: list[tuple[LabScene, list[Event], str]],
) -> None:
    stage = pytest.importorskip("orrery.worlds.laboratory.sentences.staging").stage
    for number, (_, _, text) in enumerate(cases[: 2 * len(FAMILIES)]):
        story = parse_laboratory(text)
        assert disagreements(story, stage(np.random.default_rng(number), story).scene) == [], text


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
    assert disagreements(parse_laboratory(text), scene, events) == []
    other = text.replace("the ball hits the blue box", "the ball hits the green box")
    assert disagreements(parse_laboratory(other), scene, events), "that did not happen"
    later = [Event(2.0 - e.seconds, e.kind, e.a, e.b, e.impulse_ns) for e in events]
    assert disagreements(parse_laboratory(text), scene, later), "in another order it is another story"


def told(prompt: str) -> tuple[list[str], list[str]]:
    """A story's things and deeds in short: "red ball", "0 hits 1"."""
    story = parse_laboratory(prompt)
    things = [_thing(wish) for wish in story.things]
    deeds = []
    for deed in story.deeds:
        parts = [
            "never" if deed.never else "",
            "+".join(map(str, deed.a)),
            deed.verb,
            "+".join(map(str, deed.b)),
        ]
        deeds.append(" ".join(part for part in (*parts, deed.heading or "") if part))
    return things, deeds


def _thing(wish: Wish) -> str:
    words = (
        wish.size,
        wish.colour,
        wish.material,
        *sorted(wish.qualities),
        wish.fixture or wish.shape or "thing",
    )
    return " ".join(word for word in words if word) + (" hangs" if wish.hangs else "")


@pytest.mark.parametrize(
    ("prompt", "things", "deeds"),
    [
        ("A red ball rolls to the left down a ramp!", ["red ball", "ramp"], ["0 rolls left"]),
        ("red ball hits blue box", ["red ball", "blue box"], ["0 hits 1"]),
        ("the finger lifts a small porcelain can", ["small ceramic cylinder"], ["finger lifts 0"]),
        ("a red box, a blue box and a can fall into a crate",
         ["red box", "blue box", "cylinder", "container"], ["0+1+2 falls", "0+1+2 lands in 3"]),
        ("a ball rolls behind a screen and a pill stands by", ["ball", "screen", "capsule"],
         ["0 rolls", "0 passes behind 1", "2 rests"]),
        ("a small can is knocked over by a heavy ball", ["small cylinder", "heavy ball"],
         ["1 hits 0", "0 topples"]),
        ("a ball hits a box and it falls over", ["ball", "box"], ["0 hits 1", "1 topples"]),
        ("a marble almost hits a can", ["small ball", "cylinder"], ["0 passes 1", "never 0 hits 1"]),
        ("a ball does not hit the box", ["ball", "box"], ["0 passes 1", "never 0 hits 1"]),
        ("a can falls after a ball hits it", ["cylinder", "ball"], ["1 hits 0", "0 falls"]),
        ("a seesaw carries a red can until a box lands on it", ["seesaw", "red cylinder", "box"],
         ["1 rests", "2 lands on 0"]),
        ("a tower is made of a box, a can and a cube; then the can hits the box", ["box", "cylinder", "box"],
         ["0+1+2 rests", "1 hits 0"]),
        ("a pendulum swings a red ball into a box", ["red ball hangs", "box"], ["0 swings", "0 hits 1"]),
        ("a ball rolls into the first of three dominoes", ["ball", *["domino"] * 3], ["0 rolls", "0 hits 1"]),
        ("a wall stands in the way of a ball", ["wall", "ball"], ["1 hits 0", "0 rests"]),
        ("a can gets a poke from the finger", ["cylinder"], ["finger pokes 0"]),
        ("someone drops two balls into a cup", ["ball", "ball", "container"],
         ["0+1 falls", "0+1 lands in 2"]),
        ("a pendulum with a green box swings", ["green box hangs"], ["0 swings"]),
        ("three dominoes fall to the right", ["domino"] * 3, ["0+1+2 topples right"]),
    ],
)  # fmt: skip
def test_prompts(prompt: str, things: list[str], deeds: list[str]) -> None:
    assert told(prompt) == (things, deeds)


@pytest.mark.parametrize(
    ("prompt", "kind", "a", "b"),
    [
        ("a red ball lies to the left of a blue box", "left of", (0,), (1,)),
        ("a ball is beside a can", "next to", (0,), (1,)),
        ("a cup stands behind a box", "behind", (0,), (1,)),
        ("put a small box on a large box", "on", (0,), (1,)),
        ("a can between two boxes", "between", (0,), (1, 2)),
        ("two boxes stand on top of each other", "stack", (0, 1), ()),
        ("a ball sits in a bowl", "in", (0,), (1,)),
    ],
)
def test_how_things_stand(prompt: str, kind: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    (relation,) = parse_laboratory(prompt).relations
    assert (relation.kind, relation.a, relation.b) == (kind, a, b)


@pytest.mark.parametrize(
    ("prompt", "name", "value"),
    [
        ("a ball rolls for three seconds", "seconds", 3.0),
        ("a ball rolls for 2.5 seconds", "seconds", 2.5),
        ("a ball rolls, lasting four and a half seconds", "seconds", 4.5),
        ("seen from above, a ball rolls", "is_above", True),
        ("a ball rolls, seen from the left", "side", "left"),
        ("slowly orbiting, a ball rolls", "camera_speed", "slow"),
        ("close-up of a ball on a box", "is_close", True),
    ],
)
def test_time_and_camera(prompt: str, name: str, value: object) -> None:
    assert getattr(parse_laboratory(prompt), name) == value


@pytest.mark.parametrize(
    ("words", "speed"),
    [
        ("at one metre a second", 1.0),
        ("at 0.5 m/s", 0.5),
        ("at 40 centimetres per second", 0.4),
        ("slowly", 0.3),
    ],
)
def test_speeds(words: str, speed: float) -> None:
    (deed,) = parse_laboratory(f"a ball rolls {words}").deeds
    assert deed.speed_m_s == pytest.approx(speed)


def test_surroundings_are_read() -> None:
    text = "a ball falls, on a glass table, seen from the right, while the camera circles the table, by day"
    request: Story = parse_laboratory(text)
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
        ("nine balls fall", '"nine" do not fit: a scene holds 1 to 8'),
        ("five balls and five boxes fall", "10 things do not fit"),
        ("a ball evaporates", '"evaporates".*things of this world can fall, roll'),
        ("a giraffe falls", '"giraffe".*this world has balls'),
        ("a sleepy ball falls", '"sleepy".*a colour, a material and a size'),
        ("a box rolls", "a box cannot .rolls.; it can slide"),
        ("a ball hits", "what.*hits the blue box"),
        ("a ball rolls over a box", "flies over another"),
        ("a ball lies inside a box", "a cup can hold things"),
        ("a red ramp stands behind a ball", "has the colour of its material"),
        ("the finger throws a ball", "finger cannot .throws. that; it can push"),
        ("a ball falls, on a glass table, on a wooden table", "both glass and wood"),
        ("a red blue ball falls", "red and blue at once"),
        ("a ball rolls at 30 metres a second", "at most 3 metres a second"),
        ("it falls", "could mean nothing"),
        ("a ball rolls off the table and a can follows", 'unknown word "follows"'),
        ("a ball lands to the left", "to the left. cannot be held"),
        ("a ramp falls", "stands fast"),
        ("a glass ball is made of steel", "as well|at once"),
        ("a wall stands on the table", "names nothing that moves"),
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
    assert [deed.verb for deed in parse_laboratory(example).deeds] == ["rolls", "hits"]
