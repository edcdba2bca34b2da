"""A session goes back exactly, keeps what was there as a branch, and refuses what a world cannot do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orrery.errors import BadUse, UserError
from orrery.serving import session as session_module
from orrery.serving.session import MAX_MARKS, Session, Start, Tick
from orrery.streams import Array, Clock, Observation
from orrery.worlds.dummy import DummyWorld

PUSH = {"action": np.array([0.5], np.float32)}
PULL = {"action": np.array([-0.5], np.float32)}


class Forgetful:
    """A dummy world that keeps no snapshots. drifts: it does not repeat itself either."""

    def __init__(self, drifts: bool = False) -> None:
        self._world = DummyWorld()
        self.spec, self.num_worlds = self._world.spec, 1
        self._drifts, self.num_resets, self.is_closed = drifts, 0, False

    def reset(self, seed: int, prompt: str | None = None, **rest: Any) -> Observation:
        self.num_resets += 1
        return self._world.reset(seed + self.num_resets * self._drifts, prompt)

    def step(self, action: Array | None = None) -> Observation:
        return self._world.step(action)

    def direct(self, sentence: str, mask: Array | None = None) -> None:
        self._world.direct(sentence, mask)

    def close(self) -> None:
        self.is_closed = True


def played(session: Session, num_ticks: int, action: Any = PUSH) -> list[Tick]:
    return [session.step(action) for _ in range(num_ticks)]


def same(a: list[Tick], b: list[Tick]) -> bool:
    return all(
        np.array_equal(x.observation[name], y.observation[name])
        for x, y in zip(a, b, strict=True)
        for name in x.observation
    )


@pytest.mark.parametrize("world", [DummyWorld, Forgetful])
def test_going_back_and_doing_the_same_gives_the_same(world: Any) -> None:
    session = Session(world())
    session.reset(Start(3))
    before = played(session, 30)
    marks = {mark.tick: number for number, mark in session.marks.items()}
    assert list(marks) == [0, 12, 24]
    shown = session.rewind(marks[12])
    assert shown.number == 12
    assert shown.repeats
    assert "audio.main" not in shown.observation
    assert same(played(session, 18), before[12:])


def test_what_was_there_is_kept_as_a_branch() -> None:
    session = Session(DummyWorld())
    session.reset(Start(3))
    played(session, 24)
    session.rewind(1)
    other = played(session, 12, PULL)
    assert [tick.branch for tick in other] == [1] * 12
    assert session.marks[3].parent == 1
    assert session.marks[3].tick == session.marks[2].tick == 24
    assert [done.action is PULL for done in session.done] == [False] * 12 + [True] * 12
    session.rewind(2)
    assert len(session.done) == 24
    assert session.step(PUSH).branch == 0  # the end of the first branch goes on


def test_a_branch_of_a_branch_leads_back_to_the_reset() -> None:
    session = Session(Forgetful(), mark_seconds=0.1)
    session.reset(Start(0))
    played(session, 4)
    session.rewind(1)
    played(session, 4, PULL)
    session.rewind(3)
    last = session.step(None)
    assert (last.number, last.branch) == (5, 2)
    assert [done.action for done in session.done] == [PUSH, PUSH, PULL, PULL, None]


def test_a_world_that_does_not_repeat_itself_is_told() -> None:
    session = Session(Forgetful(drifts=True))
    session.reset(Start(3))
    played(session, 12)
    assert not session.rewind(1).repeats


def test_too_long_a_replay_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_REPLAY", 5)
    session = Session(Forgetful())
    session.reset(Start(0))
    played(session, 12)
    with pytest.raises(UserError, match="keeps no snapshots"):
        session.rewind(1)


def test_marks_are_thinned_and_their_tree_stays_whole() -> None:
    session = Session(DummyWorld(size=2), mark_seconds=0.01)
    session.reset(Start(0))
    played(session, 60)
    session.rewind(10)
    played(session, 120)
    assert len(session.marks) == MAX_MARKS
    assert 0 in session.marks
    for mark in session.marks.values():
        assert mark.parent is None or session.marks[mark.parent].tick < mark.tick
    assert session.rewind(max(session.marks)).number == 130


def test_a_sentence_starts_a_world_that_knows_it() -> None:
    session = Session(DummyWorld())
    session.reset(Start(0, prompt="to the left"))
    assert session.step().observation["state"][-1, 0, 9] < 0
    with pytest.raises(BadUse, match="left or right"):
        session.reset(Start(0, prompt="upwards"))
    assert session.step().number == 2  # a refused start leaves what was there


def test_what_cannot_be_is_refused_in_words() -> None:
    session = Session(DummyWorld())
    with pytest.raises(BadUse, match="reset the session"):
        session.step()
    session.reset(Start(0))
    with pytest.raises(BadUse, match="no mark 7"):
        session.rewind(7)
    with pytest.raises(BadUse, match="cannot take given"):
        session.reset(Start(0, given={"state": np.zeros((3, 2, 2, 29), np.float32)}))
    with pytest.raises(ValueError, match="worlds of one"):
        Session(DummyWorld(num_worlds=2))


def test_a_session_closes_its_worlds() -> None:
    world, beside = Forgetful(), Forgetful()
    Session(world, beside).close()
    assert world.is_closed
    assert beside.is_closed


def turned(tick: Tick) -> str:
    """The sentence that turns the ball round."""
    return "to the left" if tick.observation["state"][-1, 0, 9] > 0 else "to the right"


@pytest.mark.parametrize("world", [DummyWorld, Forgetful])
def test_a_sentence_on_the_way_is_part_of_its_branch(world: Any) -> None:
    session = Session(world())
    session.reset(Start(0))
    sentence = turned(played(session, 12, None)[-1])
    session.direct(sentence)
    after = played(session, 12, None)
    assert turned(after[0]) != sentence
    assert [done.sentences for done in session.done] == [()] * 12 + [(sentence,)] + [()] * 11
    session.rewind(1)  # before it was said
    ahead = session.step()
    assert ahead.branch == 1
    assert turned(ahead) == sentence
    assert session.rewind(2).repeats  # after it
    assert session.step().branch == 0


def test_a_sentence_that_led_to_no_tick_is_forgotten_when_one_goes_back() -> None:
    session = Session(DummyWorld())
    session.reset(Start(0))
    sentence = turned(played(session, 12, None)[-1])
    session.direct(sentence)
    session.rewind(1)
    assert turned(session.step()) == sentence
    assert session.done[-1].sentences == ()


class Follower(DummyWorld):
    """A dummy world that can be given its first tick, as an imagined one can."""

    def reset(
        self, seed: int, prompt: Any = None, scene: Any = None, given: Any = None, mask: Any = None
    ) -> Observation:
        self.given = given
        return super().reset(seed + 1, prompt, scene, None, mask)


def test_a_world_that_takes_no_sentence_says_so() -> None:
    session = Session(Follower(), DummyWorld())
    with pytest.raises(BadUse, match="reset the session"):
        session.direct("to the left")
    session.reset(Start(0))
    assert not session.can_direct
    with pytest.raises(BadUse, match="takes no sentence"):
        session.direct("to the left")


def test_the_real_world_beside_is_where_the_imagined_one_begins() -> None:
    world, real = Follower(), DummyWorld()
    session = Session(world, real)
    tick = session.reset(Start(5))
    assert tick.beside is not None
    assert np.array_equal(world.given["video.main"][0, 0], tick.beside["video.main"])
    assert "action" not in world.given
    ticks = played(session, 13)
    again = session.rewind(1)
    assert again.beside is not None
    assert ticks[11].beside is not None
    assert np.array_equal(again.beside["state"], ticks[11].beside["state"])
    with pytest.raises(BadUse, match="starts from a seed alone"):
        session.reset(Start(0, prompt="to the left"))


def test_only_the_world_without_snapshots_does_everything_again() -> None:
    world, real = Follower(), Forgetful()
    session = Session(world, real)
    session.reset(Start(5))
    ticks = played(session, 24)
    world.given = None
    back = session.rewind(1)
    assert back.repeats
    assert world.given is None  # it was not reset
    assert real.num_resets == 2
    again = played(session, 12)
    assert same(again, ticks[12:])
    assert all(
        np.array_equal(a.beside["state"], b.beside["state"]) for a, b in zip(again, ticks[12:], strict=True)
    )


class Recorded(DummyWorld):
    """A dummy world that takes given streams and counts the ticks that it made."""

    def __init__(self) -> None:
        super().__init__(clock=Clock(samples_per_second=240))
        self.num_ticks = 0

    def reset(
        self, seed: int, prompt: Any = None, scene: Any = None, given: Any = None, mask: Any = None
    ) -> Observation:
        self.shape = given["state"].shape
        return super().reset(seed)

    def step(self, action: Array | None = None) -> Observation:
        self.num_ticks += 1
        assert action is None
        return super().step(action)


def test_one_plays_on_after_the_last_recorded_tick() -> None:
    world = Recorded()
    Session(world).reset(Start(0, given={"state": np.zeros((5, 2, 2, 29), np.float32)}))
    assert world.shape == (1, 5, 2, 2, 29)
    assert world.num_ticks == 4


def test_a_gymnasium_environment_is_played_to_its_end_and_back() -> None:
    pytest.importorskip("gymnasium")
    from orrery.worlds.gymnasium import GymnasiumWorld

    session = Session(
        GymnasiumWorld("CartPole-v1", streams=["observation", "action", "reward", "terminated"])
    )
    left = {"action": np.zeros((1, 1), np.int64)}
    session.reset(Start(1))
    assert not session.can_snapshot
    tick = session.step(left)
    while not tick.ended:
        assert tick.reward == 1
        tick = session.step(left)
    assert tick.ended == "terminated"
    assert session.marks[session.mark].shown.ended == "terminated"
    with pytest.raises(BadUse, match="has ended"):
        session.step(left)
    assert session.rewind(0).repeats
    assert session.step(left).branch == 1
    session.close()
