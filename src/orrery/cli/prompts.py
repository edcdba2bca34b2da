"""Which world films a sentence: the exact one that can do what it says; and in which words a model is
asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orrery.errors import BadUse, UserError
from orrery.worlds import WORLDS
from orrery.worlds.tabletop.language import parse, tells_of_collisions, vocabulary

if TYPE_CHECKING:
    from orrery.worlds.laboratory.sentences.story import Story, Wish
    from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["Asked", "for_exact_world", "for_model"]

_MODEL_CAN = "the model has learned one to three things that fall, roll, fly, rest or are pushed on a table"
_VERBS = {
    "rests": "rests on the table",
    "falls": "falls",
    "rolls": "rolls",
    "flies": "flies",
    "pushes": "is pushed",
}
_WAYS = {"left": "to the left", "right": "to the right", "forward": "towards the viewer",
         "back": "away from the viewer"}  # fmt: skip
_SHAPES = ("ball", "box", "cylinder", None)


@dataclass(frozen=True)
class Asked:
    """A sentence as a world is given it. world: the world's name. why: what to tell the user of that choice,
    or nothing. seconds: how long the sentence says that it lasts."""

    prompt: str
    world: str
    why: str = ""
    seconds: float | None = None


def for_exact_world(
    prompt: str, world: str | None = None, objects: Mapping[str, MeshFile] | None = None
) -> Asked:
    """The tabletop where its grammar reads the sentence and it can do all of it, else the laboratory; or the
    world that is named. objects: nouns with meshes of their own, which only the laboratory has.

    UserError where it is not read.
    """
    if objects:
        if world not in (None, "laboratory"):
            raise BadUse(f"--world {world}: meshes of one's own are of the laboratory; leave --world out")
        return Asked(prompt, "laboratory", seconds=_read(prompt, objects=objects).seconds)
    if world is not None:
        is_read = world == "laboratory" and world in WORLDS
        return Asked(prompt, world, seconds=_read(prompt).seconds if is_read else None)
    try:
        parse(prompt)
    except UserError as narrow:
        story = _read(prompt, narrow)
        return Asked(prompt, "laboratory", "its sentence is for the wider world", story.seconds)
    if not tells_of_collisions(prompt):
        return Asked(prompt, "tabletop")
    story = _read(prompt, UserError("the tabletop leaves to chance what strikes what; leave that out"))
    return Asked(prompt, "laboratory", "the tabletop cannot see to it that things strike", story.seconds)


def for_model(prompt: str) -> Asked:
    """The sentence in the words that the tabletop's model has learned.

    UserError that names what its world cannot do.
    """
    try:
        parse(prompt)
    except UserError as narrow:
        story = _read(prompt, narrow)
        words = _in_plain_words(story)
        parse(words)
        return Asked(words, "tabletop", f'the model is asked for: "{words}"', story.seconds)
    if tells_of_collisions(prompt):
        raise UserError(
            "what strikes what is not the model's to promise; leave it out, or film it with --exact"
        )
    return Asked(prompt, "tabletop")


def _read(
    prompt: str, narrow: UserError | None = None, objects: Mapping[str, MeshFile] | None = None
) -> Story:
    """The sentence as the laboratory reads it. narrow: what a narrower world says of it, and is told where
    the laboratory is not there, or knows no better. objects: nouns with meshes of their own."""
    try:
        from orrery.worlds.laboratory.sentences.parser import parse_laboratory

        return parse_laboratory(prompt, objects)
    except (ImportError, UserError) as problem:
        known = set(vocabulary())
        if narrow is not None and (
            isinstance(problem, ImportError) or all(word in known for word in prompt.lower().split())
        ):
            raise narrow from None
        raise


def _in_plain_words(story: Story) -> str:
    """A story as the tabletop would tell it; UserError for what it has no words for."""
    for relation in story.relations:
        raise _beyond(f'how things stand ("{relation.kind}")')
    named = [
        (story.move, "camera moves"),
        (story.is_above, "views from above"),
        (story.is_close, "close-ups"),
        (story.light, "light"),
        (story.surface, "other tables"),
    ]
    for stated, what in named:
        if stated:
            raise _beyond(what)
    clauses = []
    for k, wish in enumerate(story.things):
        if wish.fixture or wish.hangs or wish.shape not in _SHAPES or wish.qualities:
            raise _beyond(f'"{wish.name}"')
        deeds = [d for d in story.deeds if k in d.a or (d.verb == "pushes" and k in d.b)]
        deeds = [d for d in deeds if not (d.verb == "moves" and d.is_caused)] or deeds
        if len(deeds) > 1 or any(d.never or d.verb not in _VERBS or d.speed_m_s for d in deeds):
            raise _beyond(f'"{next((d.verb for d in deeds if d.verb not in _VERBS), deeds[-1].verb)}" here')
        verb = _VERBS[deeds[0].verb] if deeds else "rests on the table"
        way = _WAYS[deeds[0].heading] if deeds and deeds[0].heading else ""
        clauses.append(" ".join(part for part in (_noun(wish), verb, way) if part))
    seen = f", seen from the {story.side}" if story.side else ""
    return " and ".join(clauses) + seen


def _noun(wish: Wish) -> str:
    words = [word for word in (wish.size, wish.colour, wish.material, wish.shape or "object") if word]
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])


def _beyond(what: str) -> UserError:
    return UserError(f"{_MODEL_CAN}; it has no {what}; film it with --exact")
