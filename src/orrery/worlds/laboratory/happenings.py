"""What happens in a laboratory scene, as a sentence would tell it: which thing strikes which, in order."""

from __future__ import annotations

from collections.abc import Sequence

from orrery.streams import Event
from orrery.worlds.laboratory.drawing import Happening, Reference
from orrery.worlds.laboratory.scene import LabScene

__all__ = ["told_happenings"]

_AIRBORNE = ("faller", "flyer", "lifted")
_SETTLED_SECONDS = 0.05
"""What is placed on something touches it from the start: that is nothing to tell."""
_TOUCHING_ROLES = ({"stacked"}, {"plank", "load"})


def told_happenings(scene: LabScene, events: Sequence[Event]) -> list[Happening]:
    """The impacts worth telling, each pair once, in order; dominoes that strike each other are one
    happening.
    """
    told: list[Happening] = []
    known: set[frozenset[str]] = set()
    for event in sorted(events, key=lambda event: event.seconds):
        pair = frozenset((event.a, event.b))
        if event.kind != "impact" or event.seconds < _SETTLED_SECONDS or not _worth_telling(scene, event):
            continue
        roles = {_role(scene, name) for name in pair}
        pair = frozenset(("domino",)) if roles == {"domino"} else pair
        if pair not in known:
            known.add(pair)
            told.append(_happening(scene, event, roles))
    return told


def _worth_telling(scene: LabScene, event: Event) -> bool:
    """Whether it says more than that things stand on something."""
    names = {event.a, event.b}
    roles = {_role(scene, name) for name in names} - {""}
    if not roles or "fulcrum" in {_fixture_name(scene, name) for name in names}:
        return False
    if "table" in names:
        return bool(roles & set(_AIRBORNE))
    return all(not roles <= touching for touching in _TOUCHING_ROLES)


def _happening(scene: LabScene, event: Event, roles: set[str]) -> Happening:
    if roles == {"domino"}:
        return Happening(Reference(name="domino"), None)
    a, b = event.a, event.b
    if not a.startswith("object") or _role(scene, a) in ("rester", "target", "stacked", "domino", "plank"):
        a, b = b, a
    return Happening(_reference(scene, a), _reference(scene, b))


def _slot(name: str) -> int | None:
    return int(name[6:]) if name.startswith("object") else None


def _role(scene: LabScene, name: str) -> str:
    slot = _slot(name)
    return "" if slot is None else scene.things[slot].role


def _fixture_name(scene: LabScene, name: str) -> str:
    return scene.fixtures[int(name[7:])].name if name.startswith("fixture") else name


def _reference(scene: LabScene, name: str) -> Reference:
    """The shortest name that fits only this one."""
    slot = _slot(name)
    if slot is None:
        return Reference(name=_fixture_name(scene, name))
    thing = scene.things[slot]
    if thing.role in ("domino", "plank"):
        return Reference(name="domino" if thing.role == "domino" else "seesaw")
    alone = (
        sum(other.shape == thing.shape and other.role not in ("domino", "plank") for other in scene.things)
        == 1
    )
    return Reference(shape=thing.shape, colour=None if alone else thing.colour)
