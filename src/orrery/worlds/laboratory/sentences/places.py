"""What a preposition says after a verb.

A table of places maps a preposition, and the kind of what comes after it (`*`: any other), to what is so:
`hits` is a deed of the subject's, `!hits` one that must not come about, `<hits` one done to it, `=hits` one
to each other, `@on` a relation; several are set apart by semicolons. Little words without anything after
them ("side by side") stand there with the kind ``. What no table holds is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FALL", "FLY", "LAND", "MOVE", "SIDES", "STAND", "STOP", "STRIKE", "TRAVEL", "TURN", "Places"]

Places = Mapping[str, Mapping[str, str]]
SIDES = ("left of", "right of", "behind", "in front of", "next to", "above")
_TABLE, _NEAR = {"table": ""}, {"middle": "@middle", "edge": "@edge"}

STAND: Places = {
    "on": {**_TABLE, **_NEAR, "foot of ramp": "@foot", "row": "@row", "*": "@on"},
    "in": {**_TABLE, **_NEAR, "container": "@in", "row": "@row"},
    "at": {**_TABLE, **_NEAR, "foot of ramp": "@foot", "top of ramp": "@on", "end of seesaw": "@on"},
    "between": {"*": "@between"},
    "in the way of": {"*": "<hits"},
    "on each other": {"": "@stack"},
    "in a row": {"": "@row"},
    "side by side": {"": "@side by side"},
    "same height": {"": ""},
    "in the way": {"": ""},
    **{side: {**_NEAR, "*": f"@{side}"} for side in SIDES},
}
STAND = {**STAND, "onto": STAND["on"], "over": STAND["above"]}
_SHORT = {"short of": {"edge": "@edge; !leaves", "*": "!hits"}, "without touching": {"*": "!hits"}}
TRAVEL: Places = {
    **_SHORT,
    "into": {**_NEAR, "container": "lands in", "*": "hits"},
    "against": {"*": "hits"},
    "at": {**_NEAR, "*": "hits"},
    "on": {**_TABLE, **_NEAR, "*": "@on"},
    "onto": {**_TABLE, "container": "lands in"},
    "in": {**_TABLE, **_NEAR, "container": "@in; stays in"},
    "off": {
        "table": "leaves",
        "edge": "leaves",
        "ramp": "@on",
        "top of ramp": "@on",
        "": "off",
        "*": "@on; drops off",
    },
    "down": {"ramp": "@on", "top of ramp": "@on"},
    "over": {"table": "leaves", "edge": "leaves"},
    "each other": {"": "=nears"},
    "side by side": {"": "@side by side"},
    "same height": {"": ""},
    "in a row": {"": "@row"},
    "past": {"*": "passes"},
    "by": {"*": "passes"},
    "behind": {"*": "passes behind"},
    "in front of": {"*": "passes in front of"},
    "between": {"*": "passes between"},
    "towards": {**_NEAR, "*": "nears"},
    "across": {**_TABLE, **_NEAR},
    **{side: {"*": f"@{side}"} for side in ("left of", "right of", "next to", "above")},
}
MOVE: Places = {**TRAVEL, "over": {**TRAVEL["over"], "*": "passes over"}}
_ONTO = {"on": {**_NEAR, "container": "lands in", "*": "lands on"}, "in": {**_NEAR, "container": "lands in"}}
FLY: Places = {**MOVE, **_ONTO, "onto": _ONTO["on"]}
FALL: Places = {**FLY, "over": TRAVEL["over"], **{s: {"*": f"@{s}"} for s in (*SIDES, "between")},
                 "at": {**_NEAR, "top of ramp": "@on", "*": "hits"}}  # fmt: skip
TURN: Places = {
    **FALL,
    "each other": {"": "=hits"},
    "on the spot": {"": ""},
    "down": {"": ""},
    **{prep: STAND[prep] for prep in ("on", "in")},
}
STOP: Places = {
    **_SHORT,
    **{prep: {**_TABLE, "middle": "", "edge": _SHORT["short of"]["edge"], "*": f"ends {prep}"}
       for prep in ("in front of", "next to", "behind", "left of", "right of", "at", "on", "in")},
}  # fmt: skip
LAND: Places = {
    "on": _ONTO["on"], "onto": _ONTO["on"], "in": _ONTO["in"], "into": _ONTO["in"],
    **{side: {"*": f"ends {side}"} for side in SIDES[:-1]},
}  # fmt: skip
STRIKE: Places = {prep: {"table": "", "middle": "@middle"} for prep in ("in", "across", "on")}
