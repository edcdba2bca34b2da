"""How the laboratory is spoken of: sentence patterns by family, and the words for everything else.

One table serves the writer and the reader (`language` makes its grammar from it), so that
whatever is written can be read. In a pattern `{role}` stands for the first thing of a role ("a red ball"),
`{role*}` for all of them ("a red ball, a blue box and a can"), `{row:role}` for things alike ("five red
dominoes"), `{to:role}` for where it heads, and `<is|are:role>` agrees with how many there are. A pattern is
used where the scene has all its roles.
"""

from __future__ import annotations

from orrery.worlds.rigid_bodies.words import MATERIAL_WORDS, SHAPE_WORDS

__all__ = [
    "CAMERA_MOVES", "CLAUSES", "HITS", "HIT_BY", "KNOCK_ON", "LANDS", "LIGHT_PHRASES", "MATERIALS", "NEXT",
    "NUMBERS", "OPENINGS", "SEEN", "SHAPES", "SURFACE_TABLES", "TALES",
]  # fmt: skip

CLAUSES: dict[str, tuple[str, ...]] = {
    "faller": (
        "{faller} falls",
        "{faller} drops onto the table",
        "{faller} is dropped",
        "{faller} falls from above",
        "someone drops {faller}",
    ),
    "flyer": (
        "{flyer} flies {to:flyer}",
        "{flyer} is thrown {to:flyer}",
        "{flyer} is tossed {to:flyer}",
        "someone throws {flyer} {to:flyer}",
        "{flyer} flies through the air",
    ),
    "roller": (
        "{roller} rolls {to:roller}",
        "{roller} is rolled {to:roller}",
        "{roller} rolls {to:roller} across the table",
        "{roller} rolls along",
    ),
    "rester": (
        "{rester} stands on the table",
        "{rester} rests nearby",
        "{rester} stands by",
        "{rester} lies on the table",
        "{rester} is on the table",
    ),
}
"""What one thing does on a bare table, by role; `rester` clauses may follow other tales."""

TALES: dict[str, tuple[str, ...]] = {
    "ramp": (
        "{roller} rolls down a ramp",
        "{roller} rolls {to:roller} down a ramp",
        "down a ramp rolls {roller}",
        "a ramp sends {roller} {to:roller}",
        "{roller} is let go at the top of a ramp",
        "{roller} rolls down a ramp towards {target*}",
        "{target*} <stands|stand:target> at the foot of a ramp and {roller} rolls down",
    ),
    "wall": (
        "{roller} rolls into a wall",
        "{roller} rolls {to:roller} into a wall",
        "{roller} runs {to:roller} against a wall",
        "a wall stands in the way of {roller}",
        "{flyer} is thrown at a wall",
        "{flyer} flies {to:flyer} into a wall",
        "{flyer} is thrown {to:flyer} against a wall",
        "someone throws {flyer} at a wall",
    ),
    "dominoes": (
        "{roller} rolls into a row of dominoes",
        "{roller} rolls {to:roller} into {row:domino}",
        "{row:domino} stand in a row and {roller} rolls into them",
        "{roller} runs into the first of {row:domino}",
        "a row of dominoes is knocked over by {roller}",
        "{roller} rolls {to:roller} into a row of {row:domino}",
    ),
    "pendulum": (
        "a pendulum with {bob} swings",
        "{bob} hangs from a beam and is let go",
        "{bob} swings {to:bob} from a beam",
        "{bob} swings on a pendulum",
        "a pendulum swings {bob} into {target*}",
        "{bob} swings {to:bob} and {target*} <stands|stand:target> in its way",
    ),
    "stack": (
        "{stacked*} stand on top of each other",
        "there is a stack of {stacked*}",
        "a tower is made of {stacked*}",
        "{roller} rolls into a stack of {stacked*}",
        "{roller} rolls {to:roller} into a tower",
        "{roller} rolls towards a tower of {stacked*}",
    ),
    "see-saw": (
        "{faller} falls on a seesaw",
        "{faller} drops onto one end of a seesaw and {load} sits on the other",
        "{load} sits on a seesaw and {faller} falls on its other end",
        "a seesaw carries {load} until {faller} lands on it",
        "{faller} is dropped on a seesaw with {load} on it",
        "a seesaw throws up {load}",
    ),
    "container": (
        "{faller*} <falls|fall:faller> into a crate",
        "a crate catches {faller*}",
        "{faller*} <is|are:faller> dropped into a crate",
        "into a crate <falls|fall:faller> {faller*}",
        "someone drops {faller*} into an open crate",
    ),
    "occluder": (
        "{roller} rolls behind a screen",
        "{roller} rolls {to:roller} behind a screen",
        "{roller} passes behind a screen",
        "{roller} disappears behind a screen",
        "a screen hides {roller} for a while",
        "behind a screen {roller} rolls {to:roller}",
    ),
    "push": (
        "the finger pushes {pushed} {to:pushed}",
        "{pushed} is pushed {to:pushed} by the finger",
        "the finger shoves {pushed} {to:pushed}",
        "{pushed} is pushed by the finger",
        "the finger comes down and pushes {pushed}",
    ),
    "lift": (
        "the finger lifts {lifted}",
        "the finger picks up {lifted} and carries it {to:lifted}",
        "{lifted} is lifted by the finger",
        "{lifted} is picked up and let go again",
        "the finger takes {lifted} and carries it {to:lifted} and drops it",
    ),
    "poke": (
        "the finger pokes {poked}",
        "the finger pokes {poked} {to:poked}",
        "{poked} is poked {to:poked}",
        "{poked} gets a poke from the finger",
        "the finger taps {poked} {to:poked}",
    ),
}
"""What a family's scene is, in one clause; `plain` scenes are told in `CLAUSES`."""

OPENINGS = ("in this scene", "here", "in the laboratory", "first", "look")
SEEN = ("seen from the {side}", "filmed from the {side}", "the camera stands at the {side}")
CAMERA_MOVES: dict[str, tuple[str, ...]] = {
    "stands": ("the camera stands still", "the camera does not move"),
    "orbits": ("while the camera circles the table", "the camera goes round the table"),
    "dollies": ("the camera is on a dolly", "while the camera dollies"),
    "sways": ("filmed by hand", "with a handheld camera"),
    "is steered": ("the camera is steered", "while someone steers the camera"),
}
LIGHT_PHRASES: dict[str, tuple[str, ...]] = {
    "day": ("by day", "in daylight"),
    "evening": ("in the evening", "in evening light"),
    "lamp": ("under a lamp", "by lamplight"),
    "overcast": ("on an overcast day", "under an overcast sky"),
}
SURFACE_TABLES: dict[str, tuple[str, ...]] = {
    "wood": ("on a wooden table", "the table is made of wood"),
    "metal": ("on a metal table", "the table is made of metal"),
    "cloth": ("on a tablecloth", "the table is covered with cloth"),
    "glass": ("on a glass table", "the table is made of glass"),
}
"""Each two ways: after a clause without a table, and after one that has it."""

NEXT = ("then", "and then", "after that", "next")
HITS = ("hits", "strikes", "bumps into", "knocks against")
HIT_BY = ("is hit by", "is struck by")
LANDS = ("lands on", "comes down on")
KNOCK_ON = ("the dominoes knock each other over", "the dominoes topple one after another")

NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
SHAPES: dict[str, tuple[str, ...]] = {**SHAPE_WORDS, "capsule": ("capsule", "pill")}
MATERIALS: dict[str, tuple[str, ...]] = {
    **MATERIAL_WORDS,
    "glass": ("glass",),
    "ceramic": ("ceramic", "porcelain"),
}
