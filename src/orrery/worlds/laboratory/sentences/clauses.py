"""From a sentence's tree (`grammar.lark`) to a `Story`: clause by clause, camera and time as well.

What a clause's nouns name is for `nouns` to say, what its verb asks for `verbs`.
"""

from __future__ import annotations

from lark import Token, Tree

from orrery.errors import UserError
from orrery.worlds.laboratory.sentences.draft import EXAMPLE, SPEEDS, Draft, Phrase, Verb
from orrery.worlds.laboratory.sentences.lexicon import LEXICON
from orrery.worlds.laboratory.sentences.nouns import Nouns, Objects, amount, trees, value, words
from orrery.worlds.laboratory.sentences.story import Story
from orrery.worlds.laboratory.sentences.verbs import SOMEONE, act, stand

__all__ = ["read_tree"]

_MAX_SPEED_M_S = 3.0


def read_tree(tree: Tree[Token], objects: Objects, there: Story) -> Story:
    """The story that a sentence's tree tells. objects: nouns of one's own. there: things that are there
    already, the first of the story's, and how they stand. UserError for what no scene can hold."""
    reader = _Reader(objects, there)
    for child in trees(tree):
        reader.piece(child)
    return reader.draft.story()


class _Reader:
    def __init__(self, objects: Objects, there: Story) -> None:
        self.draft = Draft([*there.things], [*there.relations], num_there=len(there.things))
        self.nouns = Nouns(self.draft, objects)

    def piece(self, tree: Tree[Token]) -> None:
        getattr(self, f"_{tree.data}")(tree)

    # Clauses ----------------------------------------------------------------------------------------------

    def _asides(self, tree: Tree[Token]) -> None:
        self.piece(trees(tree)[0])

    def _joined(self, tree: Tree[Token]) -> None:
        *joins, clause = trees(tree)
        kinds = {value(join) for join in joins if join.data == "join"}
        draft, earlier = self.draft, self.draft.deeds
        draft.is_then = "then" in kinds
        if "after" not in kinds:
            self.piece(clause)
        else:  # it comes before what the last clause told
            draft.deeds = []
            self.piece(clause)
            first = self.last_clause
            draft.deeds = [*earlier[:first], *draft.deeds, *earlier[first:]]
        draft.is_then = False

    def _clause(self) -> None:
        self.draft.clause()
        self.last_clause = len(self.draft.deeds)

    def _declare(self, tree: Tree[Token]) -> None:
        subject, pred = trees(tree)
        self._clause()
        self.draft.subject = self._subject(subject)
        self._pred(pred)

    def _fragment(self, tree: Tree[Token]) -> None:
        self._noted(trees(tree)[0])

    def _noted(self, tree: Tree[Token]) -> None:
        self._clause()
        subject = self.draft.subject = self._subject(trees(tree, "subject")[0])
        for timing in trees(tree, "timing"):
            self._timing(timing)
        self._reduced(tree, subject)
        if not any(set(deed.a) & set(subject.who) for deed in self.draft.deeds):
            self._act(subject, Verb())

    def _composed(self, tree: Tree[Token]) -> None:
        self._clause()
        self.draft.subject = self.nouns.list(tree)
        self._act(self.draft.subject, Verb())

    def _focus(self, tree: Tree[Token]) -> None:
        self.draft.set("is_close", "close")
        self._noted(trees(tree, "noted")[0])

    def _go_on(self, tree: Tree[Token]) -> None:
        if self.draft.subject is None:
            raise UserError(f"the sentence does not say what moves; {EXAMPLE}")
        self.draft.before = [*self.draft.said[::-1], *self.draft.before]
        self.draft.said = []
        self._pred(trees(tree)[0])

    def _relative(self, tree: Tree[Token]) -> None:
        """ "..., which then rolls off": what was named last."""
        self.draft.subject = self.draft.said[-1] if self.draft.said else self.draft.subject
        self._pred(trees(tree, "pred")[0])

    def _inverted(self, tree: Tree[Token]) -> None:
        """ "down a ramp rolls a ball"."""
        place, verb, nps = trees(tree)
        self._clause()
        self.draft.subject = self.nouns.list(nps)
        said = Verb(value(verb), words(verb))
        self._argument(said, place)
        self._act(self.draft.subject, said)

    def _fronted(self, tree: Tree[Token]) -> None:
        first, *_, pred = trees(tree)
        self._clause()
        self.draft.subject = self._subject(trees(tree, "subject")[0])
        self._pred(pred, first)

    def _command(self, tree: Tree[Token]) -> None:
        self._clause()
        verb = self._verb(tree)
        named = self.draft.subject = verb.target
        self._act(SOMEONE, verb)
        if named is not None:
            self._reduced(tree, named)

    def _exists(self, tree: Tree[Token]) -> None:
        self._clause()
        there, *parts = trees(tree)
        subject = self.draft.subject = self.nouns.list(trees(there)[0])
        verb = Verb()
        for part in parts:
            if part.data != "reduced":
                self._argument(verb, part)
        if trees(tree, "reduced"):
            stand(self.draft, subject, verb)
            self._reduced(tree, subject)
        else:
            self._act(subject, verb)

    def _subject(self, tree: Tree[Token]) -> Phrase:
        """A subject: its nouns, and how they stand."""
        phrases: list[Phrase] = []
        for part in trees(tree):
            np, *more = [part] if part.data == "np" else trees(part)
            if np.data != "np":
                continue
            self.nouns.is_subject = True
            phrase = self.nouns.phrase(np)
            self.nouns.is_subject = False
            phrases.append(phrase)
            if more and more[0].data == "relative":
                self.draft.subject = phrase
                self._pred(trees(more[0], "pred")[0])
            elif more:
                verb = Verb()
                self._argument(verb, more[0])
                stand(self.draft, self.nouns.joined(phrases) if verb.particles else phrase, verb)
        named = self.nouns.joined(phrases)
        for phrase in phrases:
            if phrase.action:
                self._act(phrase, Verb(phrase.action, phrase.word))
        return named

    # Predicates -------------------------------------------------------------------------------------------

    def _act(self, subject: Phrase, verb: Verb) -> None:
        act(self.draft, subject, verb)

    def _pred(self, tree: Tree[Token], fronted: Tree[Token] | None = None) -> None:
        subject = self.draft.subject
        assert subject is not None
        verb = self._verb(tree)
        if fronted is not None:
            self._argument(verb, fronted)
        self._act(subject, verb)
        self._reduced(tree, self.draft.said[-1] if self.draft.said else subject)

    def _reduced(self, tree: Tree[Token], subject: Phrase) -> None:
        """ "two boxes stacked on each other"."""
        for part in trees(tree, "reduced"):
            self._act(subject, self._verb(part))

    def _verb(self, tree: Tree[Token]) -> Verb:
        verb, form, has_be = Verb(), "", False
        for part in (trees(p)[0] if p.data == "aux" else p for p in trees(tree)):
            kind = str(part.data)
            has_be = has_be or kind == "be"
            if kind in ("singular", "base", "ing", "participle"):
                verb.action, verb.word, form = value(part), words(part), kind
            elif kind == "neg":
                verb.is_negated = True
            elif kind == "material":
                verb.action, verb.word = "made", value(part)
            elif kind == "given":  # "gets a poke from the finger"
                verb.action, verb.word, form = value(part), words(part), "participle"
            elif kind == "nps":
                verb.places.append(("by", self.nouns.list(part)))
            elif kind == "obj":
                verb.target = self.nouns.list(trees(part)[0])
            elif kind not in ("reduced", "be", "modal", "made"):
                self._argument(verb, part)
        verb.is_passive = form == "participle" or (has_be and form in ("singular", "base"))
        return verb

    def _argument(self, verb: Verb, part: Tree[Token]) -> None:
        """Note what a part of a clause says of its verb."""
        part = trees(part)[-1] if part.data == "arg" else part
        read = {
            "pp": self._preposition,
            "particle": self._particle,
            "heading": self._heading,
            "speed": self._speed,
        }.get(str(part.data))
        if read is not None:
            read(verb, part)
        elif part.data == "timing":
            self._timing(part)
        elif part.data == "many_times":
            verb.times = int(value(trees(part)[0]))
        else:
            raise UserError(f'"{words(part)}" says nothing of "{verb.word}"; {EXAMPLE}')

    def _preposition(self, verb: Verb, part: Tree[Token]) -> None:
        prep, nps = trees(part)
        if words(nps) == "it" and len(verb.places) > 1 and verb.places[-1][0] == "with":
            (_, host), (_, held) = verb.places[-2:]  # "on a seesaw with a box on it"
            verb.places.pop()
            if host.kind != "table":
                self.draft.relate(value(prep), held.who, host.who)
        else:
            verb.places.append((value(prep), self.nouns.list(nps)))

    def _particle(self, verb: Verb, part: Tree[Token]) -> None:
        said = value(part)
        if said in SPEEDS:
            verb.speed = SPEEDS[said]
        elif said == "nearly":
            verb.is_nearly = True
        else:
            verb.particles.append(said)

    def _heading(self, verb: Verb, part: Tree[Token]) -> None:
        heading = value(part)
        if words(part) in ("away", "back"):
            verb.particles.append("away")
        elif verb.heading not in (None, heading):
            raise UserError(f"two directions at once ({verb.heading}, {heading}); something starts in one")
        else:
            verb.heading = heading

    def _speed(self, verb: Verb, part: Tree[Token]) -> None:
        verb.speed = amount(trees(part, "amount")[0]) * float(value(trees(part, "metres")[0]))
        if not 0 < verb.speed <= _MAX_SPEED_M_S:
            raise UserError(f'"{words(part)}": things start with at most {_MAX_SPEED_M_S:g} metres a second')

    # Camera, light and time -------------------------------------------------------------------------------

    def _timing(self, tree: Tree[Token]) -> None:
        seconds = amount(trees(tree, "amount")[0])
        if self.draft.seconds not in (None, seconds):
            raise UserError(f"the sentence says both {self.draft.seconds:g} and {seconds:g} seconds")
        self.draft.seconds = seconds

    def _place(self, tree: Tree[Token]) -> None:
        self.draft.set(*LEXICON["setting"][str(trees(tree)[0].children[0])])

    def _shot(self, tree: Tree[Token]) -> None:
        for part in trees(tree):
            kind = str(part.data)
            said = value(part) if kind in LEXICON else ""
            if kind == "nps" and self.nouns.list(part).kind not in ("table", "middle"):
                raise UserError(f'the camera goes round the table; "{words(part)}" is not what it can circle')
            if said in SPEEDS:
                self.draft.set("camera_speed", said)
            elif kind == "view" and said == "above":
                self.draft.set("is_above", said)
            elif kind in ("view", "camera_move", "close"):
                name = {"view": "side", "camera_move": "move", "close": "is_close"}[kind]
                self.draft.set(name, said)
