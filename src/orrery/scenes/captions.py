"""From a scene to an English sentence: the writing half of the scene language.

Bodies are mentioned in slot order (`bodies[0]` first): learned models ground words in slots by it. A sentence
is composed of independent choices (how the scene is opened, how each motion is put, how clauses are joined,
where the camera is named), so a few dozen patterns give thousands of forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from orrery.scenes.lexicon import MATERIAL_WORDS, SHAPE_WORDS
from orrery.scenes.scene import Body, Scene
from orrery.streams import Event

__all__ = ["MAX_CAPTION_WORDS", "caption"]

MAX_CAPTION_WORDS = 40
_NUMBERS = {2: "two", 3: "three"}
_SIZES = {"small": ("small", "little"), "big": ("big", "large")}
_SIDES = {"left": "the left", "right": "the right", "front": "the front"}
_HEADINGS: dict[str, tuple[str, ...]] = {
    "left": ("to the left", "left", "towards the left", "leftwards", "from the right", "from right to left"),
    "right": (
        "to the right",
        "right",
        "towards the right",
        "rightwards",
        "from the left",
        "from left to right",
    ),
    "forward": ("towards the viewer", "forward", "towards the camera", "to the front", "forwards"),
    "back": ("away from the viewer", "away", "backwards", "away from the camera", "to the back"),
}
# Singular and plural predicates; {to} is the direction.
_PREDICATES: dict[str, tuple[tuple[str, str], ...]] = {
    "rests": (
        ("rests on the table", "rest on the table"),
        ("stands on the table", "stand on the table"),
        ("lies on the table", "lie on the table"),
        ("stands still", "stand still"),
        ("is standing on the table", "are standing on the table"),
        ("sits on the table", "sit on the table"),
        ("is on the table", "are on the table"),
    ),
    "drops": (
        ("drops", "drop"),
        ("falls", "fall"),
        ("falls onto the table", "fall onto the table"),
        ("is dropped", "are dropped"),
        ("is falling", "are falling"),
        ("drops from above", "drop from above"),
        ("falls down", "fall down"),
    ),
    "flies": (
        ("flies {to}", "fly {to}"),
        ("is thrown {to}", "are thrown {to}"),
        ("is flying {to}", "are flying {to}"),
        ("flies through the air {to}", "fly through the air {to}"),
        ("is tossed {to}", "are tossed {to}"),
    ),
    "rolls": (
        ("rolls {to}", "roll {to}"),
        ("is rolling {to}", "are rolling {to}"),
        ("rolls across the table {to}", "roll across the table {to}"),
    ),
    "pushed": (("is pushed {to} by the finger",) * 2, ("is pushed {to}",) * 2, ("gets pushed {to}",) * 2),
}
_PARTICIPLES: dict[str, tuple[str, ...]] = {
    "rests": ("standing on the table", "lying on the table", "resting on the table", "on the table"),
    "drops": ("falling", "dropping", "falling onto the table", "dropped from above"),
    "flies": ("flying {to}", "thrown {to}", "tossed {to}"),
    "rolls": ("rolling {to}", "rolling across the table {to}"),
    "pushed": ("pushed {to} by the finger", "pushed {to}"),
}
_IMPERATIVES = {
    "rests": ("",),
    "drops": ("drop {thing}",),
    "flies": ("throw {thing} {to}", "toss {thing} {to}"),
    "rolls": ("roll {thing} {to}",),
    "pushed": ("push {thing} {to}", "the finger pushes {thing} {to}"),
}

T = TypeVar("T")
Group = tuple[Body, ...]
"""Neighbouring bodies that one phrase names ("two blue boxes")."""


class _Choices:
    """The writer's dice. Without a generator every choice is the first one, and the likelier one."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng

    def pick(self, options: Sequence[T]) -> T:
        # The first option is the plain one: it keeps a third of the weight, so that rarer forms stay spice.
        if self.rng is None or len(options) == 1 or self.rng.random() < 0.3:
            return options[0]
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return probability > 0.5 if self.rng is None else bool(self.rng.random() < probability)


def caption(scene: Scene, events: Sequence[Event] = (), rng: np.random.Generator | None = None) -> str:
    """One English sentence (or two) about `scene`, at most `MAX_CAPTION_WORDS` words.

    Mentions every body in slot order, `scene.bodies[0]` first. events: if two objects collide in them, the
    sentence may end with it. rng: draws the form and what is left unsaid; None writes the plain, full form.
    `language.parse` reads every caption back into a request that `scene` satisfies.
    """
    choices = _Choices(rng)
    for attempt in range(8):
        text = _compose(choices, scene, events if attempt == 0 else ())
        if len(text.split()) <= MAX_CAPTION_WORDS:
            return text
    return _names_only(choices, scene)


def _compose(choices: _Choices, scene: Scene, events: Sequence[Event]) -> str:
    if choices.rng is not None and choices.chance(0.12):
        return _names_only(choices, scene)
    clauses = _clauses(choices, scene)
    collision = _collision(choices, scene, events)
    if collision and choices.chance(0.6):
        clauses.append(collision)
    text = _join(choices, clauses)
    if choices.chance(0.25) and choices.rng is not None:
        side = _SIDES[scene.camera]
        seen = choices.pick([f"seen from {side}", f"viewed from {side}", f"filmed from {side}"])
        text = f"{seen}, {text}" if choices.chance(0.3) else f"{text}, {seen}"
    text = text[0].upper() + text[1:] + "." if choices.chance(0.6) else text
    return text


def _names_only(choices: _Choices, scene: Scene) -> str:
    """The short form: what there is, without motion ("a red ball and a green box")."""
    names = [_name(choices, group) for group in _groups(choices, scene)]
    opening = choices.pick(["", "", "there is ", "a video of ", "a scene with "])
    if opening == "there is " and not names[0].startswith(("a ", "an ")):
        opening = "there are "
    return opening + _enumerate(names)


def _enumerate(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _groups(choices: _Choices, scene: Scene) -> list[Group]:
    """Neighbours that look and move alike may share a phrase."""
    groups: list[Group] = []
    for body in scene.bodies:
        if groups and _alike(groups[-1][-1], body) and choices.chance(0.8):
            groups[-1] = (*groups[-1], body)
        else:
            groups.append((body,))
    return groups


def _alike(a: Body, b: Body) -> bool:
    return a.motion != "pushed" and all(
        getattr(a, name) == getattr(b, name)
        for name in ("shape", "colour", "material", "size_word", "motion", "direction")
    )


def _name(choices: _Choices, group: Group, prefix: str = "") -> str:
    """Article or number, adjectives, noun: "a small red wooden ball". prefix: one more adjective."""
    body = group[0]
    words = [prefix] if prefix else []
    if choices.chance(0.4):
        words.append(choices.pick(_SIZES[body.size_word]))
    if choices.chance(0.94):
        words.append(body.colour)
    stated = choices.chance(0.6)
    after = stated and choices.rng is not None and choices.chance(0.2)
    if stated and not after:
        words.append(choices.pick(MATERIAL_WORDS[body.material]))
    words.append(_noun(choices, body.shape, plural=len(group) > 1))
    if after:
        words.append(f"made of {MATERIAL_WORDS[body.material][-1]}")
    if len(group) > 1:
        return " ".join([_NUMBERS[len(group)], *words])
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])


def _noun(choices: _Choices, shape: str, plural: bool = False) -> str:
    word = choices.pick(SHAPE_WORDS[shape])
    if choices.rng is not None and choices.chance(0.015):
        word = "object"
    return word if not plural else word + ("es" if word.endswith("x") else "s")


def _clauses(choices: _Choices, scene: Scene) -> list[str]:
    groups = _groups(choices, scene)
    if len(groups) > 1 and _same_motion(groups) and choices.chance(0.5):
        names = _enumerate([_name(choices, group) for group in groups])
        return [f"{names} {_predicate(choices, groups[0][0], plural=True)}"]
    if choices.rng is not None and choices.chance(0.15):
        phrases = [
            f"{_name(choices, g)} {_headed(choices, choices.pick(_PARTICIPLES[g[0].motion]), g[0])}"
            for g in groups
        ]
        opening = choices.pick(["there is ", "", "a video of "])
        if opening == "there is " and len(groups[0]) > 1:
            opening = "there are "
        phrases[0] = opening + phrases[0]
        return phrases
    return [_clause(choices, group) for group in groups]


def _same_motion(groups: Sequence[Group]) -> bool:
    first = groups[0][0]
    return first.motion != "pushed" and all(
        (group[0].motion, group[0].direction) == (first.motion, first.direction) for group in groups
    )


def _clause(choices: _Choices, group: Group) -> str:
    """One body or group and its motion, in one of the clause forms."""
    body = group[0]
    draw = 1.0 if choices.rng is None else choices.rng.random()
    if draw < 0.12 and body.motion != "rests":
        return _headed(choices, choices.pick(_IMPERATIVES[body.motion]), body, _name(choices, group))
    if draw < 0.3 and body.motion == "pushed":
        return _headed(choices, "the finger pushes {thing} {to}", body, _name(choices, group))
    if draw < 0.12:
        lies = ("lies", "stands") if len(group) == 1 else ("lie", "stand")
        return f"on the table {choices.pick(lies)} {_name(choices, group)}"
    if draw < 0.16 and body.motion == "drops":
        return (
            f"{choices.pick(['there is', 'there is'])} {_name(choices, group, 'falling')}"
            if len(group) == 1
            else f"{_name(choices, group)} drop"
        )
    predicate = _predicate(choices, body, plural=len(group) > 1)
    return f"{_name(choices, group)} {predicate}"


def _predicate(choices: _Choices, body: Body, plural: bool) -> str:
    if body.direction and choices.rng is not None and choices.chance(0.05) and body.motion != "pushed":
        return _headed(choices, "move {to}" if plural else "moves {to}", body)
    return _headed(choices, choices.pick(_PREDICATES[body.motion])[int(plural)], body)


def _headed(choices: _Choices, pattern: str, body: Body, thing: str = "") -> str:
    """`pattern` with the direction (sometimes left unsaid) and the thing filled in."""
    to = ""
    if body.direction and "{to}" in pattern:
        vague = choices.rng is not None and not pattern.startswith("move") and choices.chance(0.06)
        to = "" if vague else choices.pick(_HEADINGS[body.direction])
    return " ".join(pattern.format(to=to, thing=thing).split())


def _join(choices: _Choices, clauses: Sequence[str]) -> str:
    text = clauses[0]
    for left, clause in enumerate(clauses[1:], start=2):
        last = left == len(clauses)
        text += (
            choices.pick([" and ", " while ", ", and ", ". ", ", "] if last else [", ", " and ", ". "])
            + clause
        )
    return text


def _collision(choices: _Choices, scene: Scene, events: Sequence[Event]) -> str | None:
    """ "the ball hits the box": the first impact between two objects that can be told apart in a word or two."""
    for event in events:
        slots = [int(n[6:]) for n in (event.a, event.b) if n.startswith("object") and n[6:].isdigit()]
        if event.kind != "impact" or len(slots) != 2 or max(slots) >= len(scene.bodies):
            continue
        slots.sort(key=lambda slot: scene.bodies[slot].motion == "rests")
        names = [_reference(scene, slot) for slot in slots]
        if None not in names:
            a, b = names
            forms = [
                f"{a} hits {b}",
                f"{b} is hit by {a}",
                f"{a} bumps into {b}",
                f"{a} and {b} collide",
                f"then {a} hits {b}",
            ]
            return choices.pick(forms)
    return None


def _reference(scene: Scene, slot: int) -> str | None:
    """The shortest name that fits only one body, or None."""
    body = scene.bodies[slot]
    if sum(other.shape == body.shape for other in scene.bodies) == 1:
        return f"the {body.shape}"
    if sum((other.shape, other.colour) == (body.shape, body.colour) for other in scene.bodies) == 1:
        return f"the {body.colour} {body.shape}"
    return None
