"""What a parsed sentence asks of a scene: from the tree of `grammar.lark` to a `SceneRequest`.

The clauses are read in order. Each noun phrase names slots, new ones or ones named before ("the ball", "it");
each motion goes to the slots that it speaks of, by the rules of plain English agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from lark import Token, Tree

from orrery.errors import UserError
from orrery.worlds.tabletop.lexicon import LEXICON
from orrery.worlds.tabletop.scene import MAX_BODIES, BodyRequest, SceneRequest

__all__ = ["EXAMPLE", "read_tree"]

EXAMPLE = 'a sentence that works: "a red ball rolls to the right and a blue wooden box stands on the table"'
_CAMERAS = {"left": "left", "right": "right", "forward": "front"}
_OPPOSITE = {"left": "right", "right": "left", "forward": "back", "back": "forward"}
_VALUE = {word: value for words in LEXICON.values() for word, value in words.items()}


def read_tree(tree: Tree[Token], known: Sequence[BodyRequest] = ()) -> SceneRequest:
    """The request that a sentence's tree means. known: objects that are there already (see `language.parse`).

    Raises UserError for more than `MAX_BODIES` objects and for what cannot be (see `language.parse`).
    """
    reader = _Reader(known)
    for clause in tree.children:
        if isinstance(clause, Tree):
            getattr(reader, f"_{clause.data}")(clause)
    return reader.request()


def _tokens(tree: Tree[Token], kind: str) -> list[Token]:
    """The words of class `kind` anywhere in `tree`, in order."""
    return [token for token in tree.scan_values(lambda t: isinstance(t, Token) and t.type == kind)]


def _children(tree: Tree[Token], *names: str) -> list[Tree[Token]]:
    """The direct subtrees of `tree` with one of `names`, in order."""
    return [child for child in tree.children if isinstance(child, Tree) and child.data in names]


class _Reader:
    """Walks a sentence's clauses in order and gathers what they ask of each object."""

    def __init__(self, known: Sequence[BodyRequest]) -> None:
        self.num_known = len(known)
        self.bodies = list(known)
        self.camera: str | None = None
        # Objects of the last noun phrase: "a ball ... and is thrown" goes on about it.
        self.last: list[int] = []
        # Objects named since the last motion: "a ball and a box fall" speaks of both.
        self.waiting: list[int] = []
        # Objects of a verb that came first: "drop a ball and a box" speaks of both, too.
        self.carried: list[int] = []

    def request(self) -> SceneRequest:
        """What was asked, once it is known to be possible."""
        for body in self.bodies:
            _check_possible(body)
        if sum(body.motion == "pushed" for body in self.bodies) > 1:
            raise UserError("the finger can push only one object; let the others rest, drop, roll or fly")
        return SceneRequest(tuple(self.bodies), self.camera)

    # Clauses ---------------------------------------------------------------------------------------

    def _boundary(self, tree: Tree[Token]) -> None:
        self.waiting, self.carried = [], []

    def _declarative(self, tree: Tree[Token]) -> list[int]:
        (thing,) = _children(tree, "thing")
        named = self._thing(thing)
        predicates = _children(tree, "predicate")
        if predicates:
            self._predicate(predicates[0], named)
        else:
            self._carry(named)
            self._wait(named)
        return named

    def _opened(self, tree: Tree[Token]) -> None:
        self._boundary(tree)
        named = self._declarative(_children(tree, "declarative")[0])
        if _children(tree, "place"):
            self._move([k for k in named if self.bodies[k].motion is None], _resting(tree), None)

    def _verb_first(self, tree: Tree[Token]) -> None:
        verb = next(token for token in tree.children if isinstance(token, Token))
        motion, form = _VALUE[verb]
        if form == "participle" or (form != "plural" and form != "base" and motion != "rests"):
            raise UserError(f'nothing is said to be "{verb}"; put the object first, such as "a ball {verb}"')
        named = self._thing(_children(tree, "thing")[0])
        self._move(named, motion, _direction(_children(tree, "complement")))
        self.waiting = []
        self.carried = named if motion != "pushed" else []

    def _continued(self, tree: Tree[Token]) -> None:
        if not self.bodies:
            raise UserError(f"the sentence does not say what moves; {EXAMPLE}")
        self._act(tree, self.last)

    def _finger(self, tree: Tree[Token]) -> None:
        verb = next(token for token in tree.children if isinstance(token, Token) and token.type == "VERB")
        if _VALUE[verb][0] != "pushed":
            raise UserError(f'the finger only pushes; "{verb}" is not for it')
        named = self._thing(_children(tree, "thing")[0])
        self._move(named, "pushed", _direction(_children(tree, "complement")))
        self._boundary(tree)

    def _camera(self, tree: Tree[Token]) -> None:
        side = next((_VALUE[word] for word in _tokens(tree, "SIDE")), "back")
        if side not in _CAMERAS:
            raise UserError("there is no camera at the back; it stands at the front, the left or the right")
        if self.camera not in (None, _CAMERAS[side]):
            raise UserError("the sentence names two cameras; a scene is seen by one")
        self.camera = _CAMERAS[side]

    def _hit(self, tree: Tree[Token]) -> None:
        for object_ in _children(tree, "object"):
            for thing in _children(object_, "thing"):
                self._thing(thing)

    # Objects ---------------------------------------------------------------------------------------

    def _thing(self, tree: Tree[Token]) -> list[int]:
        self.last = self._named(tree)
        return self.last

    def _named(self, tree: Tree[Token]) -> list[int]:
        """Slots that a noun phrase names; slots are added for objects that are new."""
        pronouns = _tokens(tree, "PRONOUN")
        if pronouns:
            if not self.bodies:
                raise UserError(f'"{pronouns[0]}" comes before any object; {EXAMPLE}')
            return list(range(len(self.bodies)))[-_VALUE[pronouns[0]] :]
        (noun,) = _tokens(tree, "NOUN")
        shape, plural = _VALUE[noun]
        numbers = _tokens(tree, "NUMBER")
        count = _VALUE[numbers[0]] if numbers else 2 if plural and not _tokens(tree, "A") else 1
        asked = BodyRequest(shape, **_attributes(tree))
        verbs = _tokens(tree, "VERB")
        if _tokens(tree, "THE") and not verbs:
            known = [k for k, body in enumerate(self.bodies) if _agrees(body, asked)]
            if len(known) >= count:
                return known[:count]
            if self.num_known:
                there = ", ".join(map(_plainly, self.bodies))
                raise UserError(f'there is no {noun} like that here; there is {there}; say "a" for another')
        if len(self.bodies) + count > MAX_BODIES:
            if self.num_known:
                raise UserError(
                    f"there is no room for another: {self.num_known} of {MAX_BODIES} are there; "
                    'say "the" for one of them'
                )
            raise UserError(
                f"the sentence names more than {MAX_BODIES} objects; a scene holds 1 to {MAX_BODIES}"
            )
        self.bodies += [asked] * count
        named = list(range(len(self.bodies) - count, len(self.bodies)))
        for verb in verbs:
            self._move(named, _adjective(verb), None)
        if _tokens(tree, "STILL"):
            self._move(named, "rests", None)
        return named

    # Motions ---------------------------------------------------------------------------------------

    def _predicate(self, tree: Tree[Token], named: list[int]) -> None:
        motion = _children(tree, "verb", "placed", "described", "heading", "hit")[0]
        if motion.data == "described":
            for k in named:
                self.bodies[k] = _described(self.bodies[k], _attributes(motion))
            self._wait(named)
        elif motion.data == "hit":
            self._hit(motion)
        elif motion.data == "heading":
            self._move(self._carry(named), None, _direction([motion]))
        else:
            self._act(motion, named)

    def _act(self, motion: Tree[Token], named: list[int]) -> None:
        said = _resting(motion) if motion.data == "placed" else _said(motion)
        others = [k for k in self.waiting if k not in named] if _is_plural(motion) else []
        self._move(others + named, said, _direction(_children(motion, "complement")))
        self._boundary(motion)

    def _wait(self, named: list[int]) -> None:
        self.waiting += [k for k in named if self.bodies[k].motion is None]

    def _carry(self, named: list[int]) -> list[int]:
        """Give `named` the motion of a verb that came first; all the objects that now share it."""
        free = [k for k in named if self.bodies[k].motion is None]
        if not self.carried or not free:
            return named
        first = self.bodies[self.carried[0]]
        self._move(free, first.motion, first.direction)
        self.carried = self.carried + free
        return self.carried

    def _move(self, slots: Iterable[int], motion: str | None, direction: str | None) -> None:
        for k in slots:
            body = self.bodies[k]
            if motion and body.motion and motion != body.motion:
                raise UserError(
                    f"{_plainly(body)} has two motions ({body.motion}, {motion}); it can start with one"
                )
            if direction and body.direction and direction != body.direction:
                raise UserError(f"{_plainly(body)} has two directions; it can start in one")
            self.bodies[k] = replace(
                body, motion=motion or body.motion, direction=direction or body.direction
            )


def _said(tree: Tree[Token]) -> str | None:
    """The motion that a `verb` phrase gives its subject; None for "moves" with a direction."""
    verb = next(child for child in tree.children if isinstance(child, Token) and child.type == "VERB")
    motion, form = _VALUE[verb]
    being = bool(_tokens(tree, "BE"))
    if form == "base" or (motion == "pushed" and form != "participle"):
        raise UserError(
            f'objects do not "{verb}"; say "is pushed", "is thrown" or "the finger pushes a ball"'
        )
    if being and form not in ("ing", "participle"):
        raise UserError(f'"{_tokens(tree, "BE")[0]} {verb}" is not English; {EXAMPLE}')
    if motion is None and not _children(tree, "complement"):
        raise UserError(
            f'"{verb}" says too little: say where to, such as "to the left", or how, such as "falls"'
        )
    if motion != "pushed" and _tokens(tree, "FINGER"):
        raise UserError(f'the finger only pushes; "{verb}" is not for it')
    _check_at_rest(tree)
    return motion


def _adjective(verb: Token) -> str | None:
    """The motion that a verb before the noun means ("a falling ball")."""
    motion, form = _VALUE[verb]
    if motion is None or form not in ("ing", "participle"):
        raise UserError(f'"{verb}" does not describe an object; put it after the noun')
    return motion


def _resting(tree: Tree[Token]) -> str:
    """`rests`, for a phrase such as "on the table" or "at rest"."""
    if "air" in _tokens(tree, "PLACE"):
        raise UserError('nothing rests in the air; say that it "falls" or "flies"')
    _check_at_rest(tree)
    return "rests"


def _check_at_rest(tree: Tree[Token]) -> None:
    for phrase in (tree, *_children(tree, "complement")):
        words = [child for child in phrase.children if isinstance(child, Token)]
        for before, verb in pairwise(words):
            if before.type == "AT" and verb != "rest":
                raise UserError(f'"at {verb}" means nothing here; "at rest" does')


def _is_plural(tree: Tree[Token]) -> bool:
    """Whether a motion speaks of several objects ("fall", "are dropped")."""
    verbs = [child for child in tree.children if isinstance(child, Token) and child.type == "VERB"]
    return any(_VALUE[word] == "plural" for word in _tokens(tree, "BE")) or (
        tree.data != "placed" and _VALUE[verbs[0]][1] == "plural"
    )


def _direction(trees: Iterable[Tree[Token]]) -> str | None:
    """Where the phrases say that something heads, if they do."""
    found = {_heading(direction) for tree in trees for direction in tree.find_data("direction")}
    if len(found) > 1:
        raise UserError(f"two directions at once ({', '.join(sorted(found))}); something starts in one")
    return found.pop() if found else None


def _heading(tree: Tree[Token]) -> str:
    words = {token.type: token for token in tree.scan_values(lambda t: isinstance(t, Token))}
    if "AWAY" in words:
        return "back"
    if not words.keys().isdisjoint(("VIEWER", "CAMERA", "BEHIND")):
        return "forward"
    if "HEADING" in words:
        return _VALUE[words["HEADING"]]
    sides = [_VALUE[side] for side in _tokens(tree, "SIDE")]
    if "FROM" in words:
        sides[0] = _OPPOSITE[sides[0]]
    if len(set(sides)) > 1:
        raise UserError(
            "a way is straight here: from left to right, from the front to the back, or back again"
        )
    return sides[0]


def _attributes(tree: Tree[Token]) -> dict[str, str]:
    """Colour, material and size that the words of `tree` state."""
    stated: dict[str, str] = {}
    for kind in ("COLOUR", "MATERIAL", "SIZE"):
        values = {_VALUE[word] for word in _tokens(tree, kind)}
        if len(values) > 1:
            raise UserError(
                f"one object cannot be {' and '.join(sorted(values))} at once; name one {kind.lower()}"
            )
        if values:
            stated[kind.lower()] = values.pop()
    return stated


def _described(body: BodyRequest, stated: dict[str, str]) -> BodyRequest:
    for name, value in stated.items():
        if getattr(body, name) not in (None, value):
            raise UserError(f"{_plainly(body)} cannot be {value} as well; name one {name}")
    return replace(body, **stated)


def _agrees(body: BodyRequest, asked: BodyRequest) -> bool:
    """Whether `asked` states nothing that `body` does not."""
    names = ("shape", "colour", "material", "size")
    return all(getattr(asked, name) in (None, getattr(body, name)) for name in names)


def _check_possible(body: BodyRequest) -> None:
    if body.motion == "rolls" and body.shape == "box":
        raise UserError("a box cannot roll; let a ball or a cylinder roll, or let the finger push the box")
    if body.direction and body.motion in ("rests", "drops"):
        raise UserError(
            f"{_plainly(body)} {body.motion} and so has no direction; "
            'to give it one, say "is thrown", "rolls" or "is pushed"'
        )


def _plainly(body: BodyRequest) -> str:
    return " ".join(word for word in ("the", body.colour, body.shape or "object") if word)
