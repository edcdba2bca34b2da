"""From a scene to an English sentence: the writing half of the scene language.

Bodies are mentioned in slot order (`bodies[0]` first): learned models ground words in slots by it. A sentence
is composed of independent choices (how the scene is opened, how each motion is put, how clauses are joined,
where the camera is named), so a few dozen patterns give thousands of forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from orrery.streams import Event
from orrery.worlds.rigid_bodies.words import HEADINGS, MATERIAL_WORDS, SHAPE_WORDS
from orrery.worlds.tabletop.scene import Body, Scene

__all__ = ["MAX_CAPTION_WORDS", "caption"]

MAX_CAPTION_WORDS = 40
_NUMBERS = {2: "two", 3: "three"}
_SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large")}
_SIDES = {"left": "the left", "right": "the right", "front": "the front"}
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
        ("stays on the table", "stay on the table"),
        ("remains on the tray", "remain on the tray"),
        ("is at rest", "are at rest"),
        ("is placed on the ground", "are placed on the ground"),
        ("lies still on the floor", "lie still on the floor"),
        ("is motionless", "are motionless"),
    ),
    "drops": (
        ("drops", "drop"),
        ("falls", "fall"),
        ("falls onto the table", "fall onto the table"),
        ("is dropped", "are dropped"),
        ("is falling", "are falling"),
        ("drops from above", "drop from above"),
        ("falls down", "fall down"),
        ("is released", "are released"),
        ("is being released", "are being released"),
        ("is dropped onto the tray", "are dropped onto the tray"),
        ("falls to the ground", "fall to the ground"),
    ),
    "flies": (
        ("flies {to}", "fly {to}"),
        ("is thrown {to}", "are thrown {to}"),
        ("is flying {to}", "are flying {to}"),
        ("flies through the air {to}", "fly through the air {to}"),
        ("is tossed {to}", "are tossed {to}"),
        ("is being tossed {to}", "are being tossed {to}"),
        ("is thrown over the tray {to}", "are thrown over the tray {to}"),
        ("flies across the table {to}", "fly across the table {to}"),
    ),
    "rolls": (
        ("rolls {to}", "roll {to}"),
        ("is rolling {to}", "are rolling {to}"),
        ("rolls across the table {to}", "roll across the table {to}"),
        ("is rolled {to}", "are rolled {to}"),
        ("is being rolled over the tray {to}", "are being rolled over the tray {to}"),
        ("rolls along the ground {to}", "roll along the ground {to}"),
    ),
    "pushed": (
        ("is pushed {to} by the finger", "are pushed {to} by the finger"),
        ("is pushed {to}", "are pushed {to}"),
        ("gets pushed {to}", "get pushed {to}"),
        ("is shoved {to} by the finger", "are shoved {to} by the finger"),
        ("is being shoved {to}", "are being shoved {to}"),
        ("is pushed along the tray {to}", "are pushed along the tray {to}"),
    ),
}
_VAGUE = (("moves {to}", "move {to}"), ("goes {to}", "go {to}"), ("travels {to}", "travel {to}"))
_PARTICIPLES: dict[str, tuple[str, ...]] = {
    "rests": (
        "standing on the table",
        "lying on the table",
        "resting on the table",
        "on the table",
        "sitting on the floor",
        "placed on the tray",
    ),
    "drops": (
        "falling",
        "dropping",
        "falling onto the table",
        "dropped from above",
        "being released",
        "being dropped onto the table",
    ),
    "flies": ("flying {to}", "thrown {to}", "tossed {to}", "being thrown over the table {to}"),
    "rolls": ("rolling {to}", "rolling across the table {to}", "being rolled along the table {to}"),
    "pushed": ("pushed {to} by the finger", "pushed {to}", "shoved {to} by the finger", "being shoved {to}"),
}
_JOINS = (", ", " and ", ". ", ", then ")
_LAST_JOINS = (" and ", " while ", ", and ", ". ", ", ", " as ", ", then ")
_BEFORE_NOUN = {"drops": "falling", "flies": "flying", "rolls": "rolling"}
_IMPERATIVES = {
    "rests": ("put {thing} on the table", "place {thing} on the tray"),
    "drops": ("drop {thing}", "release {thing} from above", "drop {thing} onto the tray"),
    "flies": ("throw {thing} {to}", "toss {thing} {to}", "throw {thing} across the tray {to}"),
    "rolls": ("roll {thing} {to}", "roll {thing} along the table {to}"),
    "pushed": ("push {thing} {to}", "shove {thing} over the table {to}"),
}
_NAMING = (
    "",
    "",
    "there is ",
    "a video of ",
    "a scene with ",
    "here is ",
    "show ",
    "a film of ",
    "a clip with ",
)
_OPENING = ("there is ", "", "a video of ", "here is ", "a film showing ", "a clip showing ")

T = TypeVar("T")
Group = tuple[Body, ...]
"""Neighbouring bodies that one phrase names ("two blue boxes")."""


@dataclass(frozen=True)
class _Choices:
    """The writer's dice. Without a generator every choice is the first one, and the likelier one.

    say_names: state the colour and the shape of every body.
    """

    rng: np.random.Generator | None
    say_names: bool = False

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
    if choices.chance(0.12):
        return _names_only(choices, scene)
    collision = _collision(choices, scene, events)
    if collision and choices.chance(0.6):
        # "the red ball" at the end means the one before only if its colour and shape were said there.
        choices = replace(choices, say_names=True)
        clauses = [*_clauses(choices, scene), collision]
    else:
        clauses = _clauses(choices, scene)
    text = _join(choices, clauses)
    if choices.chance(0.25):
        side = _SIDES[scene.camera]
        seen = choices.pick(("seen", "viewed", "filmed", "watched", "shown"))
        text = f"{seen} from {side}, {text}" if choices.chance(0.3) else f"{text}, {seen} from {side}"
    text = text[0].upper() + text[1:] + "." if choices.chance(0.6) else text
    return text


def _names_only(choices: _Choices, scene: Scene) -> str:
    """The short form: what there is, without motion ("a red ball and a green box")."""
    names = [_name(choices, group) for group in _groups(choices, scene)]
    return _opened(choices.pick(_NAMING), names[0]) + _enumerate(names)


def _opened(opening: str, first: str) -> str:
    """`opening` as it must be before the phrase `first`: "there are two red balls"."""
    return opening if first.startswith(("a ", "an ")) else opening.replace(" is ", " are ")


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
        getattr(a, name) == getattr(b, name) for name in ("shape", "colour", "motion", "direction")
    )


def _name(choices: _Choices, group: Group, prefix: str = "") -> str:
    """Article or number, adjectives, noun: "a small red wooden ball". prefix: one more adjective."""
    body = group[0]
    words = [prefix] if prefix else []
    if choices.chance(0.4) and _all_same(group, "size_word"):
        words.append(choices.pick(_SIZES[body.size_word]))
    if choices.say_names or choices.chance(0.94):
        words.append(body.colour)
    stated = choices.chance(0.6) and _all_same(group, "material")
    after = stated and choices.chance(0.2)
    if stated and not after:
        words.append(choices.pick(MATERIAL_WORDS[body.material]))
    words.append(_noun(choices, body.shape, plural=len(group) > 1))
    if after:
        words.append(f"made of {MATERIAL_WORDS[body.material][-1]}")
    if len(group) > 1:
        return " ".join([_NUMBERS[len(group)], *words])
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])


def _all_same(group: Group, name: str) -> bool:
    return len({getattr(body, name) for body in group}) == 1


def _noun(choices: _Choices, shape: str, plural: bool = False) -> str:
    word = choices.pick(SHAPE_WORDS[shape])
    if not choices.say_names and choices.chance(0.015):
        word = "object"
    return word if not plural else word + ("es" if word.endswith("x") else "s")


def _clauses(choices: _Choices, scene: Scene) -> list[str]:
    groups = _groups(choices, scene)
    if len(groups) > 1 and _same_motion(groups) and choices.chance(0.5):
        names = _enumerate([_name(choices, group) for group in groups])
        return [f"{names} {_predicate(choices, groups[0][0], plural=True)}"]
    if choices.chance(0.15):
        return _listing(choices, groups)
    return [_clause(choices, group, first=k == 0) for k, group in enumerate(groups)]


def _listing(choices: _Choices, groups: Sequence[Group]) -> list[str]:
    """What there is, each with a participle: "there is a red ball falling and a blue box standing still"."""
    phrases = []
    for group in groups:
        doing = _headed(choices, choices.pick(_PARTICIPLES[group[0].motion]), group[0])
        phrases.append(f"{_name(choices, group)} {doing}")
    return [_opened(choices.pick(_OPENING), phrases[0]) + phrases[0], *phrases[1:]]


def _same_motion(groups: Sequence[Group]) -> bool:
    first = groups[0][0]
    return first.motion != "pushed" and all(
        (group[0].motion, group[0].direction) == (first.motion, first.direction) for group in groups
    )


def _clause(choices: _Choices, group: Group, first: bool) -> str:
    """One body or group and its motion, in one of the clause forms. Verbs ("drop ...") only come first."""
    body = group[0]
    if first and choices.chance(0.15):
        return _headed(choices, choices.pick(_IMPERATIVES[body.motion]), body, _name(choices, group))
    if body.motion == "pushed" and choices.chance(0.3):
        pushes = choices.pick(("the finger pushes {thing} {to}", "a finger shoves {thing} {to}"))
        return _headed(choices, pushes, body, _name(choices, group))
    if first and body.motion == "rests" and choices.chance(0.2):
        lies = ("lies", "stands") if len(group) == 1 else ("lie", "stand")
        return f"on the table {choices.pick(lies)} {_name(choices, group)}"
    if body.motion in _BEFORE_NOUN and len(group) == 1 and choices.chance(0.05):
        return f"there is {_name(choices, group, _BEFORE_NOUN[body.motion])}"
    relative = "that " if choices.chance(0.04) else ""
    return f"{_name(choices, group)} {relative}{_predicate(choices, body, plural=len(group) > 1)}"


def _predicate(choices: _Choices, body: Body, plural: bool) -> str:
    if body.direction and choices.chance(0.05) and body.motion != "pushed":
        return _headed(choices, choices.pick(_VAGUE)[int(plural)], body)
    return _headed(choices, choices.pick(_PREDICATES[body.motion])[int(plural)], body)


def _headed(choices: _Choices, pattern: str, body: Body, thing: str = "") -> str:
    """`pattern` with the direction (sometimes left unsaid) and the thing filled in."""
    to = ""
    if body.direction and "{to}" in pattern:
        vague = not any(pattern in forms for forms in _VAGUE) and choices.chance(0.06)
        to = "" if vague else choices.pick(HEADINGS[body.direction])
    return " ".join(pattern.format(to=to, thing=thing).split())


def _join(choices: _Choices, clauses: Sequence[str]) -> str:
    text = clauses[0]
    for left, clause in enumerate(clauses[1:], start=2):
        last = left == len(clauses)
        text += choices.pick(_LAST_JOINS if last else _JOINS) + clause
    return text


def _collision(choices: _Choices, scene: Scene, events: Sequence[Event]) -> str | None:
    """The first impact between two objects that can be named in a word or two: "the ball hits the box"."""
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
