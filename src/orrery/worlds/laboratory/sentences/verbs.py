"""What verbs say: one row of `ACTIONS` each, and (`places`) what a preposition says after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orrery.errors import UserError
from orrery.worlds.laboratory.sentences import places
from orrery.worlds.laboratory.sentences.draft import EXAMPLE, FIXTURES, SHAPES, SPEEDS, Draft, Phrase, Verb
from orrery.worlds.laboratory.sentences.story import FINGER_DEEDS

__all__ = ["SOMEONE", "act", "stand"]

SOMEONE = Phrase(("someone",), "someone", "someone")
NOTHING = Phrase((), "", "")
_HARMLESS = ("along", "just", "from above", "in", "down", "out", "all", "in turn", "past", "away", "up")
"""Particles that say no more than the verb itself."""


def act(draft: Draft, subject: Phrase, verb: Verb) -> None:
    """Read what a subject does, or what is done to it. UserError for what cannot be held."""
    if subject.manner and verb.speed is None:
        verb.speed = SPEEDS[subject.manner]
    _negated(verb)
    action = ACTIONS[verb.action]
    who, by = _roles(draft, subject, verb, action)
    if who.is_hand and action.read not in (_strike, _land):
        raise UserError(f'the {who.kind} cannot "{verb.word}"; it can push, lift or poke something')
    stands_fast = len(who.numbers) < len(who.who) or any(draft.things[k].fixture for k in who.numbers)
    if stands_fast and action.read not in (_rest, _strike, _made, _land):
        raise UserError(f'"{who.word}" stands fast; it cannot "{verb.word}"')
    action.read(draft, verb, who, by)
    _nothing_left(who, verb)
    if draft.subject is subject:  # "a fast ball hits a wall and comes back": its speed has been told
        draft.subject = replace(subject, manner=None)


def _roles(draft: Draft, subject: Phrase, verb: Verb, action: Action) -> tuple[Phrase, Phrase | None]:
    """Whom a verb is about, and who does it to them, if someone does."""
    who, by = subject, None
    if verb.is_passive:
        agents = verb.take("by")
        by = agents[0][1] if agents else SOMEONE
    elif verb.target is not None and (action.is_done or subject.is_hand):
        who, by, verb.target = verb.target, subject, None
        draft.subject = who if subject.kind == "someone" else subject
    elif verb.target is not None and action.object:  # "passes a box" is past it
        verb.places.append((action.object, verb.target))
        verb.target = None
    if by is not None and by.kind in action.by:  # what a ramp sends rolls down it
        verb.places.append((action.by[by.kind], by))
        by = SOMEONE
    return who, by


def stand(draft: Draft, subject: Phrase, verb: Verb) -> None:
    """Where things are at first."""
    for prep, phrase in verb.take("on", "in", "under", "off"):
        if phrase.kind == "beam":
            draft.change(subject.who, hangs=True)
        else:
            verb.places.append((prep, phrase))
    for _, phrase in verb.take("with"):
        _hold(draft, subject, phrase)
    _placed(draft, verb, subject, places.STAND)


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


def _placed(draft: Draft, verb: Verb, subject: Phrase, table: places.Places) -> None:
    """Note what prepositions and little words say of a subject."""
    alone = [particle for particle in verb.particles if "" in table.get(particle, {})]
    verb.has(*alone)
    for prep, phrase in [*verb.take(), *((particle, NOTHING) for particle in alone)]:
        kinds = table.get(prep, {})
        says = kinds.get(phrase.kind, kinds.get("*"))
        if says is None:
            hint = {"in": "a crate, a bowl or a cup can hold things", "over": "a thing flies over another"}
            raise UserError(f'"{verb.word} {prep} {phrase.word}" cannot be held; {hint.get(prep, EXAMPLE)}')
        if phrase.kind == "table" and says.startswith("@"):
            raise UserError(f'everything is on the table; "{prep} {phrase.word}" is no place')
        for said in filter(None, says.split("; ")):
            _say(draft, said, subject, phrase)


def _say(draft: Draft, said: str, subject: Phrase, phrase: Phrase) -> None:
    """Note one entry of a table of places."""
    sign, name = (said[0], said[1:]) if said[0] in "@!<=" else ("", said)
    if name.endswith("between") and len(phrase.numbers) < 2:
        raise UserError(f'between "{phrase.word}" and what? say "between two boxes"')
    if name == "off":
        _drop_off(draft, subject, {})
    elif sign == "@":
        is_alone = name in ("middle", "edge", "row")
        draft.relate(name, subject.who, () if is_alone else phrase.who)
    elif sign in "<=" and sign:
        draft.do(name, (phrase if sign == "<" else subject).who, subject.who)
    else:
        other = () if name == "leaves" else phrase.who
        draft.do(name, subject.who, other, never=sign == "!", each=subject.is_each)


def _drop_off(draft: Draft, who: Phrase, said: dict[str, bool]) -> None:
    """ "... off": what it stands on, or the table."""
    base = draft.bases(who.who)
    draft.do("drops off" if base else "leaves", who.who, base, **said)


# How verbs are read: who it is about, and by whom, if something does it to them ---------------------------


def _rest(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if verb.action == "stack" and not verb.places and not verb.particles:
        verb.particles.append("on each other")
    stand(draft, who, verb)
    draft.do("rests", who.who)


def _hang(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    verb.take("off", "on", "under", "in")
    draft.change(who.who, hangs=True)


def _move(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Rolls, slides, falls, flies, bounces, swings, spins, moves."""
    if draft.does("lifts") and by is not None and by.is_hand and verb.action in ("fall", "release"):
        return  # what it has lifted it lets fall
    who = _moved_by(draft, verb, who, by)
    row = ACTIONS[verb.action]
    wishes = [draft.things[k] for k in who.numbers]
    if row.deed == "rolls" and {wish.shape for wish in wishes if not wish.mesh} <= {"box", "domino"}:
        what = wishes[0].noun if wishes and wishes[0].mesh else "box"
        raise UserError(f'a {what} cannot "{verb.word}"; it can slide, and balls and cylinders roll')
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
    off = [phrase.kind for prep, phrase in verb.places if prep == "off"]
    if not (row.deed == "falls" and {"table", "edge"} & {*off}):  # to leave the table says it all
        draft.do(row.deed, who.who, each=who.is_each, times=verb.times, **verb.aim())
    verb.times = 0
    if row.deed == "bounces":
        verb.has("off")
    _placed(draft, verb, who, row.after)


def _moved_by(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> Phrase:
    """What moves, where something makes it: "a pendulum swings a box into a can"."""
    if by is None or by.kind == "someone":
        return who
    if by.kind == "pendulum" and verb.action == "swing":
        return _hold(draft, by, who)
    can = "push, lift or poke something" if by.kind == "finger" else "hit or push another"
    raise UserError(f'the {by.word.removeprefix("the ")} cannot "{verb.word}" that; it can {can}')


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
        into = [p for p in verb.places if p[0] in ("into", "against", "on", "onto", "with", "at")]
        if into:
            verb.places.remove(into[-1])
            struck = into[-1][1]
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
    _placed(draft, verb, hitter, places.STRIKE)


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
        _drop_off(draft, struck, {"is_caused": True})


def _with_finger(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """Pushes, pokes, lifts: the finger does, or a thing that strikes another and so pushes it."""
    deed, aim = ACTIONS[verb.action].deed, verb.aim()
    if by is None:
        raise UserError(f'"{verb.word}" what? say "the finger {verb.word} the box"')
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
    _placed(draft, verb, who, places.STRIKE)


def _finger(draft: Draft, verb: Verb, who: Phrase, deed: str, aim: dict[str, Any]) -> None:
    if len(who.numbers) != 1 or len(who.who) != 1 or draft.things[who.numbers[0]].fixture:
        raise UserError(f'the finger cannot "{verb.word}" "{who.word}"; it takes one thing that moves')
    if any(d.b != who.who for d in draft.does(*FINGER_DEEDS)):
        raise UserError("the finger does one thing in a scene, with one thing")
    if not draft.does(deed):
        draft.do(deed, ("finger",), who.who, **aim)
    elif aim["heading"]:
        draft.deeds = [replace(d, heading=aim["heading"]) if d.verb == deed else d for d in draft.deeds]


def _carry(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    is_on_seesaw = any(phrase.kind == "seesaw" for _, phrase in verb.places)
    (_rest if is_on_seesaw else _with_finger)(draft, verb, who, by)


def _simple(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    """The deed of the row, and what its places say."""
    row, num_deeds = ACTIONS[verb.action], len(draft.deeds)
    if row.deed:
        draft.do(row.deed, who.who)
    _placed(draft, verb, who, row.after)
    if len(draft.deeds) == num_deeds or not (by is None or by.kind == "someone"):
        raise UserError(f'"{who.word} {verb.word}" what, or where? {EXAMPLE}')


def _land(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if who.is_hand:
        return  # "the finger comes down and pushes a box"
    if not any(prep in ("on", "onto", "in", "into") for prep, _ in verb.places):
        draft.do("lands on", who.who, ("table",))
    _placed(draft, verb, who, places.LAND)


def _miss(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    other = next((p for _, p in verb.take("into", "against")), verb.target)
    if other is None:
        raise UserError('"misses" what? say "misses the box"')
    verb.target = None
    draft.deeds = [d for d in draft.deeds if (d.verb, d.a, d.b) != ("hits", who.who, other.who)]
    draft.do("passes", who.who, other.who, **verb.aim())
    draft.do("hits", who.who, other.who, never=True)


def _emerge(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if not any(d.verb.startswith("passes") and set(d.a) & set(who.who) for d in draft.deeds):
        raise UserError(f'"{verb.word}" from behind what? say "rolls behind a box and comes out"')
    verb.has("other side")
    verb.take("behind")


def _made(draft: Draft, verb: Verb, who: Phrase, by: Phrase | None) -> None:
    if {draft.things[k].material for k in who.numbers} - {None, verb.word}:
        raise UserError(f'"{who.word}" cannot be made of {verb.word} as well')
    draft.change(who.who, material=verb.word)


@dataclass(frozen=True)
class Action:
    """How a verb is read. deed: what comes about. after: what prepositions say after it. is_done: whether
    it may be done to what is named after it. object: the preposition that what is named right after it stands
    for. by: kind of who does it to the one that the preposition then stands for."""

    read: Callable[[Draft, Verb, Phrase, Phrase | None], None]
    deed: str = ""
    after: places.Places = field(default_factory=dict)
    is_done: bool = False
    object: str = ""
    by: Mapping[str, str] = field(default_factory=dict)


ACTIONS: dict[str, Action] = {
    "rest": Action(_rest),
    "place": Action(_rest, is_done=True),
    "stack": Action(_rest, is_done=True),
    "hang": Action(_hang),
    "made": Action(_made),
    "roll": Action(_move, "rolls", places.TRAVEL),
    "slide": Action(_move, "slides", places.TRAVEL),
    "move": Action(_move, "moves", places.MOVE),
    "send": Action(_move, "rolls", places.TRAVEL, is_done=True, by={"ramp": "down"}),
    "fly": Action(_move, "flies", places.FLY),
    "throw": Action(_move, "flies", places.FLY, is_done=True, by={"seesaw": "off"}),
    "fall": Action(_move, "falls", places.FALL),
    "fall down": Action(_move, "falls", places.FALL),
    "release": Action(_move, "falls", places.FALL, is_done=True),
    "bounce": Action(_move, "bounces", places.FALL),
    "spin": Action(_move, "spins", places.TURN),
    "swing": Action(_move, "swings", places.TURN, is_done=True),
    "catch": Action(_simple, "falls", places.FALL, is_done=True, by={"container": "in"}),
    "hit": Action(_strike, "hits", is_done=True),
    "strike each other": Action(lambda d, v, who, by: d.do("hits", who.who, who.who, each=False)),
    "topple": Action(_topple, "topples", is_done=True),
    "collapse": Action(_topple, "topples"),
    "push": Action(_with_finger, "pushes", is_done=True),
    "poke": Action(_with_finger, "pokes", is_done=True),
    "lift": Action(_with_finger, "lifts", is_done=True),
    "carry": Action(_carry, "lifts", is_done=True, by={"seesaw": "on"}),
    "land": Action(_land),
    "stop": Action(_simple, "stops", places.STOP),
    "return": Action(_simple, "returns", {"off": {"*": ""}}),
    "leave": Action(_simple, "", places.TRAVEL, object="off"),
    "pass": Action(_simple, "", places.MOVE, object="past"),
    "vanish": Action(_simple, "", places.MOVE),
    "hide": Action(
        _simple, "", places.MOVE, is_done=True, by={kind: "behind" for kind in (*SHAPES, *FIXTURES)}
    ),
    "miss": Action(_miss),
    "emerge": Action(_emerge),
}
"""A key of `lexicon.ACTIONS` to how it is read."""
