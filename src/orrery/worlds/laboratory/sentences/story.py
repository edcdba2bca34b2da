"""What a sentence asks of a laboratory scene: things, how they stand, what they do, how long, seen from
where."""

from __future__ import annotations

from dataclasses import dataclass

from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["FINGER_DEEDS", "NOTHING_THERE", "Deed", "Relation", "Story", "Who", "Wish"]

Who = int | str
"""A thing of the story by its number, or by name: `table`, `finger`, or part of a fixture, such as `post`."""
FINGER_DEEDS = ("pushes", "pokes", "lifts")


@dataclass(frozen=True)
class Wish:
    """What a sentence says of one thing; None where it leaves the choice open.

    shape: `ball`, `box`, `cylinder`, `capsule`, `domino`, or `mesh` of what has a mesh of one's own. fixture:
    `ramp`, `wall`, `container`, `screen` or `seesaw`, for what does not move; noun: the word for it. hangs:
    whether it is a pendulum's bob. qualities: `heavy`, `light`, `tall`, `wobbly`. is_sure: False for one that
    there may be or not ("a row of dominoes").
    """

    shape: str | None = None
    colour: str | None = None
    material: str | None = None
    size: str | None = None
    fixture: str | None = None
    noun: str = "thing"
    hangs: bool = False
    qualities: frozenset[str] = frozenset()
    is_sure: bool = True
    mesh: MeshFile | None = None

    @property
    def name(self) -> str:
        """As one would say it: "the red ball"."""
        return " ".join(word for word in ("the", self.colour, self.noun) if word)


@dataclass(frozen=True)
class Relation:
    """How things stand at first: each of `a` towards each of `b`.

    kind: `left of`, `right of`, `behind`, `in front of`, `next to`, `above`, `on`, `in`, `between`, `foot`
    (of a ramp); of `a` alone `row`, `stack`, `middle`, `edge`.
    """

    kind: str
    a: tuple[Who, ...]
    b: tuple[Who, ...] = ()


@dataclass(frozen=True)
class Deed:
    """Something that happens. Those of a story come about in its order.

    verb: a key of `deeds.DEEDS`. a: who does it, each of them (each False: one at least). b: to whom: any of
    them, where there are several. heading: a word of DIRECTIONS. speed_m_s: at first. times: how often.
    is_caused: whether something else makes it do so. never: whether it must not come about. is_then:
    whether it comes after all that was told before.
    """

    verb: str
    a: tuple[Who, ...]
    b: tuple[Who, ...] = ()
    each: bool = True
    heading: str | None = None
    speed_m_s: float | None = None
    times: int = 0
    is_caused: bool = False
    never: bool = False
    is_then: bool = False


@dataclass(frozen=True)
class Story:
    """All that a sentence asks for; None, or nothing, where it leaves the choice open.

    camera_speed: `slow`, `fast`. is_close: whether the camera is near.
    """

    things: tuple[Wish, ...] = ()
    relations: tuple[Relation, ...] = ()
    deeds: tuple[Deed, ...] = ()
    seconds: float | None = None
    surface: str | None = None
    light: str | None = None
    side: str | None = None
    move: str | None = None
    camera_speed: str | None = None
    is_above: bool = False
    is_close: bool = False


NOTHING_THERE = Story()
"""Of a scene that is yet to be set up."""
