"""The words of the laboratory's sentences: each with its classes, and what it stands for in each.

A class is a rule of `grammar.lark`. Phrases of several words are one word of the grammar ("next to", "each
other", "comes to rest"). A word may have several classes: "glass" is a thing and what things are made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orrery.worlds.laboratory import tales
from orrery.worlds.laboratory.scene import SIDES
from orrery.worlds.rigid_bodies.materials import ALL_COLOURS
from orrery.worlds.rigid_bodies.words import HEADINGS

__all__ = ["ACTIONS", "LEXICON", "MAX_WORDS", "NUMBERS", "PHRASES", "TOO_MANY", "plural"]

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
TOO_MANY = (
    "nine", "ten", "eleven", "twelve", "thirteen", "fifteen", "twenty", "thirty", "forty", "fifty", "hundred",
    "dozen", "many", "several",
)  # fmt: skip

_NOUNS: dict[str, str] = {
    "ball": "ball sphere marble bead orb",
    "box": "box cube block brick die",
    "cylinder": "cylinder can tin pillar drum",
    "capsule": "capsule pill",
    "domino": "domino",
    "thing": "thing object item one",
    "ramp": "ramp slope incline chute",
    "wall": "wall barrier",
    "container": "crate bowl cup glass mug bucket basket container bin",
    "screen": "screen curtain",
    "pendulum": "pendulum",
    "seesaw": "seesaw see-saw",
    "table": "table tabletop desk ground floor surface tablecloth air",
    "edge": "edge brink rim",
    "middle": "middle centre center",
    "top": "top",
    "foot": "foot bottom",
    "end": "end side",
    "row": "row line",
    "stack": "stack tower pile column",
    "finger": "finger hand fingertip",
    "stand": "stand",
    "post": "post",
    "beam": "beam",
    "fulcrum": "fulcrum",
}  # fmt: skip
SMALL_NOUNS = {"marble": "small", "bead": "small"}
"""Nouns that say a size as well."""

ACTIONS: dict[str, str] = {
    "rest": "rest stand sit lie stay remain wait",
    "fall": "fall plunge rain tumble drop",
    "roll": "roll run",
    "slide": "slide slip skid glide",
    "move": "move go travel head come",
    "fly": "fly sail",
    "throw": "throw toss fling hurl launch,throw up",
    "release": "release,let go",
    "place": "place put set arrange",
    "hit": "hit strike bump knock collide crash smash slam bang touch meet",
    "topple": "topple tip overturn,knock over,knock down",
    "push": "push shove nudge",
    "lift": "lift raise,pick up,take",
    "carry": "carry",
    "poke": "poke prod tap",
    "bounce": "bounce rebound",
    "spin": "spin rotate twirl",
    "swing": "swing",
    "hang": "hang",
    "stop": "stop halt settle,come to rest,come to a stop",
    "return": "return,come back,roll back,bounce back,bounce apart",
    "land": "land,come down",
    "miss": "miss",
    "pass": "pass",
    "emerge": "emerge reappear,come out",
    "vanish": "disappear vanish",
    "collapse": "collapse,fall apart,come apart",
    "leave": "leave",
    "stack": "stack pile",
    "catch": "catch",
    "hide": "hide",
    "send": "send",
    "strike each other": "knock each other over",
}
"""What things do, and the verbs that say it. Verbs are split by blanks, those of several words by commas."""
_IRREGULAR: dict[str, tuple[str, str, str]] = {
    # singular, ing, participles and pasts
    "stand": ("stands", "standing", "stood"), "sit": ("sits", "sitting", "sat"),
    "lie": ("lies", "lying", "lain"),
    "stay": ("stays", "staying", "stayed"),
    "fall": ("falls", "falling", "fallen fell"), "drop": ("drops", "dropping", "dropped"),
    "run": ("runs", "running", "ran"), "slip": ("slips", "slipping", "slipped"),
    "skid": ("skids", "skidding", "skidded"), "go": ("goes", "going", "gone went"),
    "come": ("comes", "coming", "came"), "fly": ("flies", "flying", "flown flew"),
    "throw": ("throws", "throwing", "thrown threw"), "fling": ("flings", "flinging", "flung"),
    "let": ("lets", "letting", "let"), "put": ("puts", "putting", "put"), "set": ("sets", "setting", "set"),
    "hit": ("hits", "hitting", "hit"), "strike": ("strikes", "striking", "struck"),
    "meet": ("meets", "meeting", "met"), "tip": ("tips", "tipping", "tipped"),
    "take": ("takes", "taking", "taken took"), "carry": ("carries", "carrying", "carried"),
    "prod": ("prods", "prodding", "prodded"), "tap": ("taps", "tapping", "tapped"),
    "spin": ("spins", "spinning", "spun"), "swing": ("swings", "swinging", "swung"),
    "hang": ("hangs", "hanging", "hung"), "stop": ("stops", "stopping", "stopped"),
    "catch": ("catches", "catching", "caught"), "hide": ("hides", "hiding", "hidden"),
    "send": ("sends", "sending", "sent"), "leave": ("leaves", "leaving", "left"),
    "travel": ("travels", "travelling", "travelled traveled"),
}  # fmt: skip

_PREPOSITIONS: dict[str, str] = {
    "left of": "left of,to the left of,on the left of,left side of",
    "right of": "right of,to the right of,on the right of",
    "next to": "next to,beside,near,close to,alongside,by the side of",
    "behind": "behind",
    "in front of": "in front of,before",
    "on": "on,upon,on top of,atop,onto the top of",
    "in": "in,inside,inside of,within",
    "between": "between",
    "in the way of": "in the way of,in the path of",
    "onto": "onto,on to",
    "into": "into,in to",
    "against": "against",
    "at": "at",
    "towards": "towards,toward",
    "off": "off,off of,from",
    "over": "over,across the top of",
    "down": "down",
    "across": "across,along,through,around,round",
    "past": "past",
    "by": "by",
    "with": "with",
    "short of": "just before,short of,right before,just short of",
    "without touching": "without touching,without hitting,without ever touching",
    "above": "above",
    "under": "under,below,underneath,beneath",
}  # fmt: skip
_PARTICLES: dict[str, str] = {
    "over": "over,on its side",
    "down": "down",
    "off": "off",
    "out": "out,again",
    "in": "in",
    "past": "past,by",
    "away": "away",
    "apart": "apart",
    "along": "along,along the way,nearby,around,through the air,still,upright,together,head-on,head on,"
    "straight,for a while,there",
    "each other": "each other,one another,with each other,into each other,towards each other,"
    "toward each other,against each other,each other over",
    "on each other": "on each other,on top of each other,on one another,on top of one another,on top of it",
    "in turn": "one after another,one after the other,one by one,in turn",
    "side by side": "side by side,next to each other",
    "same height": "from the same height",
    "from above": "from above,from high up,from a height",
    "on the spot": "on the spot,in place",
    "other side": "the other side,on the other side,at the other side",
    "in a row": "in a row,in a line",
    "in the way": "in its way,in the way,in its path",
    "slow": "slowly,gently,softly,lightly",
    "fast": "fast,quickly,hard,rapidly,at speed,at full speed,at high speed",
    "just": "just,then,next,finally,suddenly,first,now,also,only,still,really,too",
    "nearly": "nearly,almost,narrowly",
    "all": "all,both,each",
}  # fmt: skip
_QUALITIES: dict[str, str] = {
    "heavy": "heavy", "light": "light", "tall": "tall high slim slender",
    "wobbly": "wobbly unstable shaky leaning",
    "fast": "fast quick speeding", "slow": "slow",
    "colourful": "colourful colorful coloured colored different",
    "plain": "open empty single same other whole entire simple round square new standing own plain",
}  # fmt: skip
_VIEWS = {
    "above": "from above,from the top,from overhead,from high up,top-down",
    "front": "from the front,from in front,at the front,head on,head-on",
    "left": "from the left,from left,from the left side,at the left",
    "right": "from the right,from right,from the right side,at the right",
}
_CAMERA_MOVES = {
    "orbits": "orbits,orbiting,circles,circling,the camera orbits,the camera circles",
    "dollies": "dollies,dollying,zooms,zooming,zooming in,zooms in,moves closer,moving closer",
    "stands": "static,fixed,the camera stops",
    "sways": "handheld",
}
_LEADS = (
    "show me,show,make a film of,make a video of,a film of,a video of,a clip of,a scene of,a film in which,"
    "a scene in which,a scene where,film of,video of,i want to see,i want,let us see,we see,imagine,please,"
    "picture,a picture of,generate,create,make"
)


def plural(noun: str) -> str:
    """More than one of a noun."""
    if noun == "die":
        return "dice"
    if noun.endswith(("x", "ch", "sh", "s")):
        return noun + "es"
    return "dominoes" if noun == "domino" else noun + "s"


def _forms(verb: str) -> Iterable[tuple[str, str]]:
    """A verb's words, each with its form: `singular`, `base`, `ing`, `participle`."""
    first, _, rest = verb.partition(" ")
    if first in _IRREGULAR:
        singular, ing, pasts = _IRREGULAR[first]
    else:
        stem = first[:-1] if first.endswith("e") else first
        singular = first + ("es" if first.endswith(("ss", "sh", "ch")) else "s")
        ing, pasts = stem + "ing", stem + "ed"
    forms = [
        (singular, "singular"),
        (first, "base"),
        (ing, "ing"),
        *((p, "participle") for p in pasts.split()),
    ]
    return [(f"{word} {rest}".strip(), form) for word, form in forms]


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


def _table(groups: Mapping[str, str], separator: str = ",") -> dict[str, str]:
    return {word.strip(): name for name, words in groups.items() for word in words.split(separator)}


def _verbs() -> dict[str, dict[str, str]]:
    """Form to its words, each with its action."""
    verbs: dict[str, dict[str, str]] = {"singular": {}, "base": {}, "ing": {}, "participle": {}}
    for action, words in ACTIONS.items():
        first, *more = _split(words)
        whole = [first] if action == "strike each other" else first.split()
        for verb in [*whole, *more]:
            for word, form in _forms(verb):
                verbs[form][word] = action
                if form == "participle":
                    verbs["singular"].setdefault(word, action)  # "a ball fell"
    verbs["singular"]["falls down"] = verbs["base"]["fall down"] = "fall down"
    verbs["singular"]["falls over"] = verbs["base"]["fall over"] = "topple"
    for word in ("left", "let", "put", "set", "hit"):
        verbs["singular"].pop(word, None)
    verbs["participle"].pop("left")
    return verbs


def _nouns() -> tuple[dict[str, str], dict[str, str]]:
    one = {word: name for name, words in _NOUNS.items() for word in words.split()}
    return one, {plural(word): name for word, name in one.items()}


_VERBS = _verbs()
_ONE, _MANY = _nouns()
SINGULAR = {plural(word): word for word in _ONE}
"""Plural to its noun."""
_SETTINGS: dict[str, tuple[str, str]] = {
    phrase.removeprefix("while "): (kind, key)
    for kind, table in (
        ("move", tales.CAMERA_MOVES), ("light", tales.LIGHT_PHRASES), ("surface", tales.SURFACE_TABLES),
        ("side", {side: (f"the camera stands at the {side}",) for side in SIDES}),
    )
    for key, phrases in table.items()
    for phrase in phrases
}  # fmt: skip

LEXICON: dict[str, Mapping[str, Any]] = {
    "noun": _ONE,
    "nouns": _MANY,
    "colour": {name: name for name in ALL_COLOURS} | {"violet": "purple", "gray": "grey"},
    "material": {word: name for name, words in tales.MATERIALS.items() for word in words}
    | {"metallic": "steel", "iron": "steel", "rubbery": "rubber", "bouncy": "rubber", "china": "ceramic"},
    "size": {w: "small" for w in ["small", "little", "tiny"]} | {w: "big" for w in ["big", "large", "huge"]},
    "quality": {word: name for name, words in _QUALITIES.items() for word in words.split()},
    "ordinal": {"first": "first", "last": "last", "second": "second", "third": "third", "fourth": "fourth",
                "another": "second", "other": "other"},
    "singular": _VERBS["singular"],
    "base": _VERBS["base"],
    "ing": _VERBS["ing"],
    "participle": _VERBS["participle"],
    "prep": _table(_PREPOSITIONS),
    "particle": _table(_PARTICLES),
    "heading": {phrase: heading for heading, phrases in HEADINGS.items() for phrase in phrases},
    "view": _table(_VIEWS),
    "camera_move": _table(_CAMERA_MOVES),
    "setting": _SETTINGS,
    "number": {word: k for k, word in enumerate(NUMBERS, start=1)} | {str(k): k for k in range(1, 9)}
    | {"pair of": 2, "couple of": 2},
    "half": {"half": 0.5, "and a half": 0.5},
    "times": {"once": 1, "twice": 2, "three times": 3, "four times": 4, "five times": 5},
    "person": dict.fromkeys(("someone", "somebody", "a person"), "someone"),
    "pronoun": {"it": "it", "them": "them", "they": "them", "itself": "it", "that one": "it"},
    "det": dict.fromkeys(("a", "an"), "a") | dict.fromkeys(("the", "its", "their", "that", "this"), "the")
    | {"some": "some", "any": "any", "all": "all", "each": "all", "both": "all"},
    "be": dict.fromkeys(["is", "are", "gets", "get", "being", "was", "were", "gets", "be"], "be"),
    "modal": dict.fromkeys(("should", "will", "must", "starts to", "begins to", "to"), "will"),
    "neg": dict.fromkeys(("not", "never", "does not", "do not", "doesn't", "don't", "is not"), "not"),
    "there": dict.fromkeys(("there is", "there are", "there", "here is", "here are"), "there"),
    "which": dict.fromkeys(("which", "that", "who"), "which"),
    "of": {"of": "of"},
    "given": {"a poke from": "poke", "a tap from": "poke", "a push from": "push", "a nudge from": "push"},
    "made": dict.fromkeys(("made of", "is made of", "are made of", "is made from"), "made"),
    "and": {"and": "and"},
    "comma": {",": ","},
    "stop": dict.fromkeys(".;:", "."),
    "join": {**dict.fromkeys(("then", "and then", "next", "after that", "afterwards", "but", "so that", "so",
             "and finally", "finally", "before", "where", "and next"), "then"),
             **dict.fromkeys(("while", "as", "and meanwhile", "until"), "while"),
             **dict.fromkeys(("after", "when", "once", "because"), "after")},
    "seen": dict.fromkeys(_split("seen,filmed,viewed,watched,shot,shown,looks,looking"), "seen"),
    "camera": dict.fromkeys(("the camera", "camera", "a camera"), "camera"),
    "close": dict.fromkeys(("close-up", "close up", "a close-up", "a close up", "close-up of", "close up of",
             "a close-up of", "a close up of", "in close-up", "from close up"), "close"),
    "for": {"for": "for"},
    "lasts": dict.fromkeys(("lasting", "it should last", "it lasts", "which lasts", "that lasts", "lasts",
             "should last", "it should take", "in a film of", "the film lasts", "within"), "lasts"),
    "seconds": dict.fromkeys(["second", "seconds", "sec", "secs", "s"], 1.0),
    "metres": dict.fromkeys(["metre", "metres", "meter", "meters", "m"], 1.0)
    | dict.fromkeys(["centimetre", "centimetres", "centimeter", "centimeters", "cm"], 0.01),
    "per": dict.fromkeys(["a", "per", "each"], "per"),
    "at": {"at": "at", "with": "at"},
    "lead": dict.fromkeys([*_split(_LEADS), *tales.OPENINGS], "lead"),
    "nothing": dict.fromkeys(("please", "thanks"), "nothing"),
}  # fmt: skip
"""Class to its words, each with what it stands for in that class."""

PHRASES = sorted(
    {word for words in LEXICON.values() for word in words if " " in word}, key=lambda w: -len(w.split())
)
MAX_WORDS = 120
