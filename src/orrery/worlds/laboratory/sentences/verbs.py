"""What verbs say: one row of `ACTIONS` each, and (`places`) what a preposition says after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from orrery.errors import UserError
from orrery.worlds.laboratory.sentences.draft import EXAMPLE, SPEEDS, Draft, Phrase, Verb
from orrery.worlds.laboratory.sentences.places import (
    FALL,
    FLY,
    LAND,
    MOVE,
    STAND,
    STOP,
    STRIKE,
    TRAVEL,
    TURN,
    Places,
)
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS

__all__ = ["SOMEONE", "act", "stand"]

SOMEONE = Phrase(("someone",), "someone", "someone")
_HARMLESS = ("along", "just", "from above", "in", "down", "out", "all", "in turn", "past", "away", "up")
"""Particles that say no more than the verb itself."""


def act(draft: Draft, subject: Phrase, verb: Verb) -> None:
    """Read what a subject does, or what is done to it. UserError for what cannot be held."""
    if subject.manner and verb.speed is None:
        verb.speed = SPEEDS[subject.manner]
    _negated(verb)
    action = ACTIONS[verb.action]
    who, by = subject, None
    if verb.is_passive:
        agents = verb.take("by")
        by = agents[0][1] if agents else SOMEONE
    elif verb.target is not None and (action.is_done or subject.is_hand):
        who, by, verb.target = verb.target, subject, None
        draft.subject = who if subject.kind == "someone" else subject
    elif subject.is_hand and action.read is not _strike:
        if action.read is not _land:
            raise UserError(f'the {subject.kind} cannot "{verb.word}"; it can push, lift or poke something')
        _nothing_left(subject, verb)  # "the finger comes down"
        return
    stands_fast = len(who.numbers) < len(who.who) or any(draft.things[k].fixture for k in who.numbers)
    if stands_fast and action.read not in (_rest, _strike, _made):
        raise UserError(f'"{who.word}" stands fast; it cannot "{verb.word}"')
    action.read(draft, verb, who, by)
    _nothing_left(who, verb)
    if draft.subject is subject:  # "a fast ball hits a wall and comes back": its speed has been told
        draft.subject = replace(subject, manner=None)


def stand(draft: Draft, subject: Phrase, verb: Verb) -> None:
    """Where things are at first."""
    for prep, phrase in verb.take("on", "in", "under", "off"):
        if phrase.kind == "beam":
            draft.change(subject.who, hangs=True)
        else:
            verb.places.append((prep, phrase))
    for _, phrase in verb.take("with"):
        _hold(draft, subject, phrase)
    _placed(draft, verb, subject, STAND)
    for particle, kind in _GROUPED.items():
        if verb.has(particle):
            draft.relate(kind, subject.who)
    verb.has("same height", "in the way")


_GROUPED = {"on each other": "stack", "in a row": "row", "side by side": "side by side"}


def _negated(verb: Verb) -> None:
    if verb.is_nearly or (verb.is_negated and verb.action == "hit"):
        if verb.action != "hit":
            raise UserError(f'"nearly {verb.word}" cannot be shown; a thing can miss another')
        verb.action, verb.is_negated = "miss", False
    if verb.is_negated:
        if verb.action not in ("move", "fall", "topple", "roll"):
            raise UserError(f'"not {verb.word}" cannot be held; say what does happen, or "misses"')
        verb.action, verb.target = "rest", None


def _nothing_left(subject: Phrase, verb: Verb) -> None:
    """Refuse what no rule has taken up: nothing is left out in silence."""
    left = [f"{prep} {phrase.word}" for prep, phrase in verb.places]
    left += [particle for particle in verb.particles if particle not in _HARMLESS]
    left += [verb.target.word] if verb.target is not None else []
    left += [f"{verb.times} times"] if verb.times else []
    left += [f"to the {verb.heading}"] if verb.heading else []
    left += [f"at {verb.speed:g} metres a second"] if verb.speed else []
    if left:
        raise UserError(f'"{subject.word} {verb.word} ... {left[0]}" cannot be held; {EXAMPLE}')


def _placed(draft: Draft, verb: Verb, subject: Phrase, places: Places) -> bool:
    """Note what prepositions say of a subject. Returns whether it is a deed."""
    num_deeds = len(draft.deeds)
    for prep, phrase in verb.take():
        kinds = places.get(prep, {})
        says = kinds.get(phrase.kind, kinds.get("*"))
        if says is None:
            hint = {"in": "a crate, a bowl or a cup can hold things", "over": "a thing flies over another"}
            raise UserError(f'"{verb.word} {prep} {phrase.word}" cannot be held; {hint.get(prep, EXAMPLE)}')
        if phrase.kind == "table" and says.startswith("@"):
            raise UserError(f'everything is on the table; "{prep} {phrase.word}" is no place')
        for said in filter(None, says.split("; ")):
            if said[0] == "@":
                alone = said in ("@middle", "@edge", "@row")
                draft.relate(said[1:], subject.who, () if alone else phrase.who)
            elif said[0] == "<":
                draft.do(said[1:], phrase.who, subject.who)
            else:
                other = () if said.endswith("leaves") else phrase.who
                draft.do(said.lstrip("!"), subject.who, other, never=said[0] == "!", each=subject.is_each)
    return len(draft.deeds) > num_deeds


# How verbs are read: who it is about, and by whom, if something does it to them ---------------------------


def _rest(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if by is not None and by.kind == "seesaw":  # "a seesaw carries a ball"
        draft.relate("on", who.who, by.who)
    if verb.action == "stack" and not verb.places and not verb.particles:
        verb.particles.append("on each other")
    stand(draft, who, verb)
    draft.do("rests", who.who)


def _hang(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    verb.take("off", "on", "under", "in")
    draft.change(who.who, hangs=True)


def _move(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Rolls, slides, falls, flies, bounces, swings, spins, moves."""
    if by is not None and by.kind == "finger" and draft.does("lifts"):
        return  # what it has lifted it lets fall
    who = _moved_by(draft, verb, who, by)
    row = ACTIONS[verb.action]
    wishes = [draft.things[k] for k in who.numbers]
    if row.deed == "rolls" and {wish.shape for wish in wishes} <= {"box", "domino"}:
        raise UserError(f'a box cannot "{verb.word}"; it can slide, and balls and cylinders roll')
    if row.deed == "swings":
        _swing(draft, verb, who)
    elif row.deed in ("falls", "rolls") and any(wish.hangs for wish in wishes):
        row = ACTIONS["swing"]
    if row.deed == "falls" and _topples(draft, verb, who):
        _topple(draft, verb, who, None)
        return
    if row.deed == "falls" and any(phrase.kind in ("ramp", "top of ramp") for _, phrase in verb.places):
        verb.places = [("down" if "ramp" in p.kind else prep, p) for prep, p in verb.places]
        row = ACTIONS["roll"]  # "is let go at the top of a ramp"
    said = {"each": who.is_each, "times": verb.times, **verb.aim()}
    if not (row.deed == "falls" and any(p.kind in ("table", "edge") and q == "off" for q, p in verb.places)):
        draft.do(row.deed, who.who, **said)
    verb.times = 0
    verb.has("on the spot")
    _placed(draft, verb, who, row.places)
    _particles(draft, verb, who, row.deed)


def _particles(draft: Draft, verb: Verb, who: Phrase, deed: str) -> None:
    """What the little words after a motion say."""
    if verb.has("each other"):
        draft.do("nears" if deed in ("rolls", "slides", "moves", "flies") else "hits", who.who, who.who)
    if verb.has("other side") and not any(d.verb.startswith("passes") for d in draft.deeds):
        raise UserError("say behind what it comes out again")
    base = draft.bases(who.who)
    if base and verb.has("off", "over"):
        draft.do("drops off", who.who, base)
    elif verb.has("off") and deed != "bounces":
        draft.do("leaves", who.who, each=who.is_each)
    for particle in ("side by side", "same height", "in a row"):
        if verb.has(particle):
            draft.relate(_GROUPED.get(particle, particle), who.who)


def _moved_by(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> Phrase:
    """What moves, where something makes it: "a ramp sends a ball", "a pendulum swings a box into a can"."""
    if by is None or by.kind == "someone":
        return who
    if by.kind == "ramp":
        verb.places.append(("down", by))
    elif by.kind == "pendulum" and verb.action == "swing":
        return _hold(draft, by, who)
    elif by.kind == "seesaw" and verb.action == "throw":
        draft.relate("on", who.who, by.who)
    else:
        can = "push, lift or poke something" if by.kind == "finger" else "hit or push another"
        raise UserError(f'the {by.word.removeprefix("the ")} cannot "{verb.word}" that; it can {can}')
    return who


def _hold(draft: Draft, holder: Phrase, held: Phrase) -> Phrase:
    """ "a pendulum with a red ball", "a seesaw with a box": what hangs or lies there."""
    if holder.kind == "seesaw":
        draft.relate("on", held.who, holder.who)
        return held
    if holder.kind != "pendulum":
        raise UserError(f'"{holder.word}" has nothing "with" it; say where it is, such as "next to"')
    (old,), (new, *more) = holder.numbers, held.who
    if more or not isinstance(new, int) or new <= old or draft.things[new].fixture:
        raise UserError(f'"{held.word}" cannot hang there; a pendulum has one bob')
    draft.change((old,), **{**vars(draft.things[new]), "hangs": True})
    draft.same[new] = old
    return replace(held, who=(old,))


def _swing(draft: Draft, verb: Verb, who: Phrase) -> None:
    """Swings "on a pendulum", "from a beam"."""
    for _, phrase in verb.take("on", "in", "off"):
        if phrase.kind == "pendulum":
            draft.same |= {k: who.numbers[0] for k in phrase.numbers if k > who.numbers[0]}
        elif phrase.kind != "beam":
            raise UserError(f'nothing can swing on "{phrase.word}"; on a pendulum or from a beam it can')
    draft.change(who.who, hangs=True)
    verb.has("down")


def _topples(draft: Draft, verb: Verb, who: Phrase) -> bool:
    """Whether "falls" means that it tips over: a domino's and a tower's fall."""
    shapes = {draft.things[k].shape for k in who.numbers}
    onto = any(prep in ("onto", "into", "on", "off", "in") for prep, _ in verb.places)
    falls = (shapes == {"domino"} or draft.are(who.who, "stack", "row")) and not onto
    return (falls and "from above" not in verb.particles) or "over" in verb.particles


def _topple(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if by is not None:
        verb.particles.append("over")
        _strike(draft, verb, who, by)
        return
    verb.has("over", "down", "in turn", "each other", "apart")
    is_each = who.is_each and not draft.are(who.who, "stack")
    draft.do("topples", who.who, each=is_each, **verb.aim())


def _strike(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """One thing strikes another, or things strike each other; and what becomes of what is struck."""
    hitter, struck = (who, None) if by is None else (by, who)
    is_mutual = verb.has("each other")
    if struck is None and not is_mutual:
        over = [p for p in verb.places if p[0] in ("over", "down") and p[1].kind not in ("table", "edge")]
        into = [p for p in verb.places if p[0] in ("into", "against", "on", "onto", "with", "at")]
        if over or into:
            place = (over or into)[-1]
            verb.places.remove(place)
            verb.particles += ["over"] if over else []
            struck = place[1]
    if struck is None:
        if len(hitter.who) < 2 and not is_mutual:
            raise UserError(f'"{verb.word}" what? say "hits the blue box", or "two balls collide"')
        struck = hitter
    doer = ("finger",) if hitter.is_hand else hitter.who
    base = draft.bases(struck.who) if "off" in verb.particles else ()
    draft.said.append(struck)
    draft.do("hits", doer, (*struck.who, *base), each=hitter.is_each, **verb.aim())
    for _, phrase in verb.take("into", "against"):
        draft.do("hits", struck.who, phrase.who)
    _becomes(draft, verb, struck)
    _placed(draft, verb, hitter, STRIKE)


def _becomes(draft: Draft, verb: Verb, struck: Phrase) -> None:
    """What becomes of what is struck or pushed: over, off the table, off what it stands on."""
    if verb.has("over", "down"):
        draft.do("topples", struck.who, is_caused=True, each=not draft.are(struck.who, "stack"))
    places = verb.take("off", "over")
    for _, phrase in places:
        if phrase.kind in ("table", "edge"):
            draft.do("leaves", struck.who, is_caused=True)
        else:
            draft.relate("on", struck.who, phrase.who)
            draft.do("drops off", struck.who, phrase.who, is_caused=True)
    if verb.has("off") and not places:
        base = draft.bases(struck.who)
        draft.do("drops off" if base else "leaves", struck.who, base, is_caused=True)


def _with_finger(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Pushes, pokes, lifts: the finger does, or a thing that strikes another and so pushes it."""
    deed, aim = ACTIONS[verb.action].deed, verb.aim()
    if by is None:
        raise UserError(f'"{verb.word}" what? say "the finger {verb.word} the box"')
    if by.kind == "seesaw":
        _rest(draft, verb, who, by)
        return
    if not by.is_hand:
        if deed == "lifts":
            raise UserError(f'only the finger can "{verb.word}"; a thing can hit or push another')
        if not any((d.a, d.b) == (by.who, who.who) for d in draft.does("hits")):
            draft.do("hits", by.who, who.who, **aim)
    else:
        _finger(draft, verb, who, deed, aim)
    if deed == "pushes":
        draft.do("moves", who.who, is_caused=True, heading=aim["heading"])
    draft.said.append(who)
    for prep, phrase in verb.take("into", "against", "towards"):
        draft.do("nears" if prep == "towards" else "hits", who.who, phrase.who, is_caused=True)
    _becomes(draft, verb, who)
    _placed(draft, verb, who, STRIKE)


def _finger(draft: Draft, verb: Verb, who: Phrase, deed: str, aim: dict[str, Any]) -> None:
    if len(who.numbers) != 1 or len(who.who) != 1 or draft.things[who.numbers[0]].fixture:
        raise UserError(f'the finger cannot "{verb.word}" "{who.word}"; it takes one thing that moves')
    if any(d.b != who.who for d in draft.does(*FINGER_DEEDS)):
        raise UserError("the finger does one thing in a scene, with one thing")
    if not draft.does(deed):
        draft.do(deed, ("finger",), who.who, **aim)
    elif aim["heading"]:
        draft.deeds = [replace(d, heading=aim["heading"]) if d.verb == deed else d for d in draft.deeds]


def _release(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if not draft.does("lifts"):
        _move(draft, verb, who, by)


def _simple(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """The deed of the row, and where."""
    row = ACTIONS[verb.action]
    _placed(draft, verb, who, row.places)
    draft.do(row.deed, who.who, is_caused=row.deed == "parts")


def _land(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if not any(prep in ("on", "onto", "in", "into") for prep, _ in verb.places):
        draft.do("lands on", who.who, ("table",))
    _placed(draft, verb, who, LAND)


def _miss(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    other = next((p for _, p in verb.take("into", "against")), verb.target)
    if other is None:
        raise UserError('"misses" what? say "misses the box"')
    verb.target = None
    draft.deeds = [d for d in draft.deeds if (d.verb, d.a, d.b) != ("hits", who.who, other.who)]
    draft.do("passes", who.who, other.who, **verb.aim())
    draft.do("hits", who.who, other.who, never=True)


def _pass(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Passes another, or is hidden: a screen hides a ball."""
    other = verb.target or by
    if other is not None and other.kind != "someone":
        verb.places.append(("behind" if by else "past", other))
        verb.target = None
    if not _placed(draft, verb, who, MOVE):
        raise UserError(f'nothing can "{verb.word}"; it can pass another, or roll behind a screen')
    verb.has("other side")


def _emerge(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if not any(d.verb.startswith("passes") and set(d.a) & set(who.who) for d in draft.deeds):
        raise UserError(f'"{verb.word}" from behind what? say "rolls behind a box and comes out"')
    verb.has("other side")
    verb.take("behind")


def _catch(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if by is None or by.kind != "container":
        raise UserError(f'only a crate, a bowl or a cup can "{verb.word}" something')
    draft.do("falls", who.who)
    draft.do("lands in", who.who, by.who)


def _leave(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if verb.target is None or verb.target.kind not in ("table", "edge"):
        raise UserError('"leaves" what? say "leaves the table"')
    verb.target = None
    draft.do("leaves", who.who)


def _follow(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Does what was done last by another, after it."""
    verb.target = None
    earlier = [d for d in draft.deeds if d.verb != "rests" and not set(d.a) & set(who.who)]
    if not earlier:
        raise UserError('"follows" what? say first what another does')
    draft.deeds += [replace(d, a=who.who, is_then=True) for d in earlier if d.a == earlier[-1].a]


def _made(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if {draft.things[k].material for k in who.numbers} - {None, verb.word}:
        raise UserError(f'"{who.word}" cannot be made of {verb.word} as well')
    draft.change(who.who, material=verb.word)


@dataclass(frozen=True)
class Action:
    """How a verb is read. deed: what comes about. places: what prepositions say after it. is_done: whether
    it may be done to what is named after it."""

    read: Callable[[Draft, Verb, Phrase, Phrase | None], None]
    deed: str = ""
    places: Places = field(default_factory=dict)
    is_done: bool = False


ACTIONS: dict[str, Action] = {
    "rest": Action(_rest),
    "place": Action(_rest, is_done=True),
    "stack": Action(_rest, is_done=True),
    "hang": Action(_hang),
    "roll": Action(_move, "rolls", TRAVEL),
    "slide": Action(_move, "slides", TRAVEL),
    "move": Action(_move, "moves", MOVE),
    "send": Action(_move, "rolls", TRAVEL, is_done=True),
    "fly": Action(_move, "flies", FLY),
    "throw": Action(_move, "flies", FLY, is_done=True),
    "fall": Action(_move, "falls", FALL),
    "fall down": Action(_move, "falls", FALL),
    "release": Action(_release, "falls", FALL, is_done=True),
    "bounce": Action(_move, "bounces", FALL),
    "spin": Action(_move, "spins", TURN),
    "swing": Action(_move, "swings", TURN, is_done=True),
    "hit": Action(_strike, "hits", is_done=True),
    "strike each other": Action(lambda d, v, who, by: d.do("hits", who.who, who.who, each=False)),
    "topple": Action(_topple, "topples", is_done=True),
    "collapse": Action(_topple, "topples"),
    "push": Action(_with_finger, "pushes", is_done=True),
    "poke": Action(_with_finger, "pokes", is_done=True),
    "lift": Action(_with_finger, "lifts", is_done=True),
    "carry": Action(_with_finger, "lifts", is_done=True),
    "land": Action(_land),
    "stop": Action(_simple, "stops", STOP),
    "return": Action(_simple, "returns", {"off": {"*": ""}}),
    "part": Action(_simple, "parts"),
    "miss": Action(_miss),
    "pass": Action(_pass),
    "vanish": Action(_pass),
    "hide": Action(_pass, is_done=True),
    "emerge": Action(_emerge),
    "catch": Action(_catch, is_done=True),
    "leave": Action(_leave),
    "follow": Action(_follow),
    "made": Action(_made),
}
"""A key of `lexicon.ACTIONS` to how it is read."""
