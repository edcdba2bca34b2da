"""What a sentence asks of a laboratory that is under way: it is read as the sentence that a scene starts from
is, with what is there known already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from orrery.errors import UserError
from orrery.worlds.laboratory.scene import FLOOR_M, LAB_TRAY, MAX_THINGS, Fixture, LabScene, Thing
from orrery.worlds.laboratory.sentences.draft import FIXTURES
from orrery.worlds.laboratory.sentences.parser import parse_laboratory
from orrery.worlds.laboratory.sentences.plan import Plan
from orrery.worlds.laboratory.sentences.story import Deed, Relation, Story, Wish

__all__ = ["asked_here", "fixture_parts", "is_halt"]

_EXAMPLE = 'such as "the red ball rolls to the left" or "a ball falls"'
_BOB = ("swings", "hits", "stops")
"""What something that hangs can do."""


def _there(scene: LabScene) -> Story:
    """What is there, as if a sentence had told it: things in slot order, then the fixtures that it may speak
    of."""
    wishes = [_wish(thing) for thing in scene.things]
    wishes += [Wish(None, None, f.material, None, _kind(f), f.name) for f, _ in fixture_parts(scene)]
    row = tuple(k for k, thing in enumerate(scene.things) if thing.role == "domino")
    groups = [("row", row), *(("stack", stack) for stack in _stacks(scene.things))]
    return Story(tuple(wishes), tuple(Relation(kind, who) for kind, who in groups if len(who) > 1))


def _wish(thing: Thing) -> Wish:
    if thing.role == "plank":
        return Wish(None, None, thing.material, None, "seesaw", "seesaw")
    shape = "domino" if thing.role == "domino" else "box" if thing.mesh is not None else thing.shape
    hangs = thing.hinge is not None
    return Wish(shape, thing.colour, thing.material, thing.size_word, None, shape, hangs)


def _kind(fixture: Fixture) -> str:
    return fixture.name if fixture.name in FIXTURES else "container"


def fixture_parts(scene: LabScene) -> Iterator[tuple[Fixture, range]]:
    """The first part of each fixture that a sentence may speak of, and the numbers of all of its parts: a
    container's walls follow one another, a ramp's stand follows it."""
    for name, parts in groupby(enumerate(scene.fixtures), lambda part: part[1].name):
        if name not in ("stand", "post", "beam", "fulcrum"):
            numbers = [k for k, _ in parts]
            yield scene.fixtures[numbers[0]], range(numbers[0], numbers[-1] + 1 + (name == "ramp"))


def _stacks(things: Sequence[Thing]) -> list[tuple[int, ...]]:
    """What stands on one another, each stack from its top."""
    stacks: list[tuple[int, ...]] = []
    for k in sorted(range(len(things)), key=lambda k: things[k].position_m[2]):
        below = next((stack for stack in stacks if _stands_on(things[k], things[stack[0]])), ())
        stacks = [stack for stack in stacks if stack != below]
        stacks.append((k, *below))
    return stacks


def _stands_on(thing: Thing, base: Thing) -> bool:
    (x, y, z), (u, v, w) = thing.position_m, base.position_m
    reach = max(*thing.half_extents_m, *base.half_extents_m)
    return math.hypot(x - u, y - v) < max(base.half_extents_m[:2]) and 0.5 * reach < z - w < 2.1 * reach


def asked_here(scene: LabScene, sentence: str) -> Story:
    """What a sentence asks of a scene, as things stand now: its things and fixtures come first. UserError for
    one that is not understood, asks for nothing, or for what cannot be here."""
    there = _there(scene)
    story, num_there = parse_laboratory(sentence, there=there), len(there.things)
    for was, wish in zip(there.things, story.things, strict=False):
        if was != wish and wish.hangs:
            raise UserError(f"{was.name} hangs on nothing here; it can roll, slide, fall, fly or spin")
        if was != wish:
            raise UserError(f"{was.name} stays as it is; say what it does, {_EXAMPLE}")
    for wish in story.things[num_there:]:
        if wish.fixture or wish.hangs:
            what = "pendulum" if wish.hangs else wish.noun
            raise UserError(f"no {what} can be set up on the way; another ball or box can roll or fall in")
    if len(scene.things) + len(story.things) - num_there > MAX_THINGS:
        raise UserError(f"there is no room for another: {len(scene.things)} of {MAX_THINGS} are there")
    for relation in story.relations:
        here = [k for k in relation.a if isinstance(k, int) and k < num_there]
        if here and relation not in there.relations:
            raise UserError(f"{there.things[here[0]].name} is where it is; say what it does, {_EXAMPLE}")
    _check_setting(story, scene)
    _check_deeds(story, scene)
    happens = any(deed.verb != "rests" and not deed.never for deed in story.deeds)
    is_seen = story.side or story.move or story.is_above or story.is_close or story.light
    if not (happens or is_seen or len(story.things) > num_there):
        raise UserError(f"the sentence changes nothing here; say what is to move, {_EXAMPLE}")
    return story


def _check_setting(story: Story, scene: LabScene) -> None:
    if story.surface not in (None, scene.surface):
        raise UserError(f"the table stays of {scene.surface}; the light and the camera can change")
    if story.seconds is not None:
        raise UserError("what is said on the way has no length; leave the seconds out")
    if story.camera_speed and not story.move:
        raise UserError(f'"{story.camera_speed}" what? say "the camera orbits slowly"')


def _check_deeds(story: Story, scene: LabScene) -> None:
    plan = Plan(story)
    if plan.open_edge and scene.open_edge is None:
        raise UserError("nothing can fall off this table, which has a rim all round; a thing can roll or fly")
    if plan.open_edge and plan.way() not in (None, scene.open_edge):
        raise UserError(f"only to the {scene.open_edge} has this table no rim; say that, or no direction")
    for k, thing in enumerate(scene.things):
        touched = [d for d in story.deeds if k in (*d.a, *d.b) and d.verb != "rests"]
        beyond = np.abs(thing.position_m[:2]) > (LAB_TRAY.half_x + 0.02, LAB_TRAY.half_y + 0.02)
        if touched and (beyond.any() or thing.position_m[2] < 0.5 * FLOOR_M):
            raise UserError(f"{story.things[k].name} has left the table; speak of what is on it")
        wrong = [deed.verb for deed in plan.own(k) if thing.hinge is not None and deed.verb not in _BOB]
        if wrong:
            raise UserError(f'{story.things[k].name} hangs; it cannot do that ("{wrong[0]}"), but can swing')


def is_halt(story: Story, deed: Deed, num_there: int) -> bool:
    """Whether a deed is that something which is there stops, and does nothing else: it is still at once."""
    who = deed.a[0]
    return isinstance(who, int) and who < num_there and {d.verb for d in Plan(story).own(who)} == {"stops"}
