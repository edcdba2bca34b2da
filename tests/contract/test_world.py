"""What every world must do, run on each of them. To add a world, add a line to `WORLDS_UNDER_TEST`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.inference.imagined_world import load_world
from orrery.streams import Array, Observation
from orrery.world import Describable, Directable, Promptable, Snapshotable, World
from orrery.worlds import world_factory
from orrery.worlds.dummy import DummyWorld
from orrery.worlds.forked import ForkedWorld
from orrery.worlds.gymnasium import GymnasiumWorld, WorldEnv
from orrery.worlds.phyworld.scenes import KINDS

MakeWorld = Callable[[int], World]
"""Number of worlds to a new batch."""


def _named(name: str, image_size: int, without_video: bool = False) -> MakeWorld:
    def make(num_worlds: int) -> World:
        if name in ("tabletop", "tabletop:close", "laboratory"):
            pytest.importorskip("mujoco")
        factory = world_factory(name)
        streams = [s for s in factory().spec.streams if s != "video.main"] if without_video else None
        return factory(num_worlds=num_worlds, streams=streams, image_size=image_size)

    return make


def _gymnasium(num_worlds: int) -> World:
    return GymnasiumWorld(lambda: WorldEnv(DummyWorld(size=16), render_mode="rgb_array"), num_worlds)


def _forked(num_worlds: int) -> World:
    return ForkedWorld(partial(world_factory("dummy"), num_worlds=num_worlds, image_size=16))


WORLDS_UNDER_TEST = [
    pytest.param(_named("dummy", 16), id="dummy"),
    pytest.param(_gymnasium, id="gymnasium"),
    pytest.param("remote", id="remote"),
    pytest.param(_forked, id="forked"),
    pytest.param(_named("tabletop", 32, without_video=True), id="tabletop-without-video"),
    pytest.param(_named("tabletop", 128), id="tabletop", marks=pytest.mark.slow),
    pytest.param(_named("tabletop:close", 32, without_video=True), id="tabletop-close-without-video"),
    pytest.param(_named("tabletop:close", 64), id="tabletop-close", marks=pytest.mark.slow),
    pytest.param(_named("laboratory", 32, without_video=True), id="laboratory-without-video"),
    pytest.param(_named("laboratory", 64), id="laboratory", marks=pytest.mark.slow),
    *[pytest.param(_named(f"phyworld:{kind}", 32), id=f"phyworld-{kind}") for kind in KINDS],
    pytest.param(None, id="imagined", marks=pytest.mark.slow),
]
every_world = pytest.mark.parametrize("make", WORLDS_UNDER_TEST, indirect=True)
NUM_TICKS = 6


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from live_server import LiveServer

    with LiveServer(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture
def make(request: pytest.FixtureRequest) -> MakeWorld:
    """The world under test. The imagined one has learned nothing; the remote one is the dummy world, of a
    server in this process."""
    if request.param == "remote":
        pytest.importorskip("fastapi")
        from orrery.serving.client import RemoteWorld

        server = request.getfixturevalue("live_server")
        return lambda num_worlds: RemoteWorld(server.address, num_worlds=num_worlds)
    if request.param is not None:
        return request.param
    folder = request.getfixturevalue("untrained")
    return lambda num_worlds: load_world(folder, num_worlds)


def _actions(world: World, num_ticks: int, seed: int = 0) -> list[Array]:
    """Random actions over the middle half of the action's range."""
    spec = world.spec.streams["action"]
    low, high = (spec.low or 0.0) / 2, (spec.high or 0.0) / 2
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(low, high, (world.num_worlds, *spec.shape)).astype(np.float32) for _ in range(num_ticks)
    ]


def _run(world: World, seed: int, num_ticks: int = NUM_TICKS) -> list[Observation]:
    return [world.reset(seed=seed), *(world.step(a) for a in _actions(world, num_ticks - 1))]


def _assert_same(left: Observation, right: Observation, left_world: int = 0, right_world: int = 0) -> None:
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name][left_world], right[name][right_world], err_msg=name)


def _shown(tick: Observation) -> Array:
    """What tells one moment from another: the state, or the picture of a world that has none."""
    return tick["state" if "state" in tick else "video.main"]


def _differ(left: list[Observation], right: list[Observation]) -> bool:
    return any(not np.array_equal(_shown(a), _shown(b)) for a, b in zip(left, right, strict=True))


@every_world
def test_every_tick_keeps_its_spec(make: MakeWorld) -> None:
    world = make(2)
    assert world.num_worlds == 2
    for tick in _run(world, seed=1):
        assert tick.keys() == world.spec.streams.keys()
        for name, value in tick.items():
            assert value.shape[0] == 2
            world.spec.streams[name].check(value)


@every_world
def test_same_seed_same_episode_whatever_came_before(make: MakeWorld) -> None:
    fresh, used = make(1), make(1)
    _run(used, seed=8)
    for a, b in zip(_run(fresh, seed=3), _run(used, seed=3), strict=True):
        _assert_same(a, b)


@every_world
def test_another_seed_gives_another_episode(make: MakeWorld) -> None:
    world = make(1)
    assert _differ(_run(world, seed=3), _run(world, seed=4))


@every_world
def test_ticks_given_earlier_are_not_overwritten(make: MakeWorld) -> None:
    world = make(1)
    first = world.reset(seed=2)
    kept = {name: value.copy() for name, value in first.items()}
    world.step()
    _assert_same(first, kept)


@every_world
def test_never_resets_itself(make: MakeWorld) -> None:
    world = make(1)
    first = world.reset(seed=5)
    if not isinstance(world, Describable):
        pytest.skip("needs events to see it")
    scene, events = world.scene(0), world.events(0)
    for _ in range(world.spec.clock.num_ticks(8.0)):
        last = world.step()
        now = world.events(0)
        assert now[: len(events)] == events
        events = now
    assert events, "nothing happened in 8 s, so that this test shows nothing"
    assert [e.seconds for e in events] == sorted(e.seconds for e in events), "the clock started again"
    assert world.scene(0) == scene
    assert not np.array_equal(_shown(first), _shown(last))


@every_world
def test_masked_reset_leaves_the_others_alone(make: MakeWorld) -> None:
    world, twin = make(3), make(3)
    before, _ = _run(world, seed=1)[-1], _run(twin, seed=1)
    after = world.reset(seed=9, mask=np.array([False, True, False]))
    fresh = make(2).reset(seed=9)
    _assert_same(after, fresh, 1, 1)
    for b in (0, 2):
        _assert_same(after, before, b, b)
    for action in _actions(world, 4, seed=7):
        mine, undisturbed = world.step(action), twin.step(action)
        for b in (0, 2):
            _assert_same(mine, undisturbed, b, b)


@every_world
def test_snapshot_and_restore_repeat_exactly(make: MakeWorld) -> None:
    world = make(2)
    if not isinstance(world, Snapshotable):
        pytest.skip("not Snapshotable")
    _run(world, seed=6)
    snapshot = world.snapshot()
    actions = _actions(world, 8, seed=1)
    first = [world.step(a) for a in actions]
    events = world.events(1) if isinstance(world, Describable) else None
    for _ in range(2):  # a snapshot outlives its use
        world.restore(snapshot)
        for tick, action in zip(first, actions, strict=True):
            again = world.step(action)
            for b in range(2):
                _assert_same(again, tick, b, b)
        assert events is None or (isinstance(world, Describable) and world.events(1) == events)


@every_world
def test_snapshot_goes_into_another_world(make: MakeWorld) -> None:
    world, other = make(1), make(1)
    if not isinstance(world, Snapshotable) or not isinstance(other, Snapshotable):
        pytest.skip("not Snapshotable")
    _run(world, seed=6)
    _run(other, seed=6)
    world.step()
    other.restore(world.snapshot())
    for action in _actions(world, 4, seed=2):
        _assert_same(other.step(action), world.step(action))


@every_world
def test_events_are_ordered_and_have_already_happened(make: MakeWorld) -> None:
    world = make(1)
    if not isinstance(world, Describable):
        pytest.skip("not Describable")
    world.reset(seed=5)
    num_ticks = world.spec.clock.num_ticks(4.0)
    for tick in range(1, num_ticks):
        times = [event.seconds for event in world.events(0)]
        assert times == sorted(times)
        assert all(0.0 <= t <= tick * world.spec.clock.tick_seconds + 1e-9 for t in times)
        world.step()


@every_world
def test_world_b_does_not_depend_on_the_size_of_the_batch(make: MakeWorld) -> None:
    """World b is drawn from (seed, b): the last world of a batch of b + 1 is world b of a batch of 3."""
    batch = make(3)
    ticks = _run(batch, seed=2)
    actions = _actions(batch, NUM_TICKS - 1)
    for b in range(3):
        smaller = make(b + 1)
        again = [smaller.reset(seed=2), *(smaller.step(a[: b + 1]) for a in actions)]
        for tick, one in zip(ticks, again, strict=True):
            _assert_same(tick, one, b, b)


@every_world
def test_worlds_of_a_batch_differ(make: MakeWorld) -> None:
    first, second = _shown(make(2).reset(seed=2))
    assert not np.array_equal(first, second)


@every_world
@pytest.mark.parametrize("change", ["batch", "channels", "axes"])
def test_wrong_action_shape_is_named(make: MakeWorld, change: str) -> None:
    world = make(2)
    world.reset(seed=0)
    right = (2, *world.spec.streams["action"].shape)
    wrong = {"batch": (3, *right[1:]), "channels": (*right[:-1], right[-1] + 1), "axes": right[1:]}[change]
    with pytest.raises((UserError, ValueError), match=r"action.*\d+.*got.*\d+"):
        world.step(np.zeros(wrong, np.float32))


@every_world
def test_step_before_reset_is_an_error(make: MakeWorld) -> None:
    with pytest.raises((UserError, RuntimeError), match="reset"):
        make(1).step()


@every_world
def test_action_changes_what_happens(make: MakeWorld) -> None:
    world = make(1)
    world.reset(seed=3)
    actions = _actions(world, 4)
    pushed = [world.step(a) for a in actions]
    world.reset(seed=3)
    other = [world.step(-a) for a in actions]
    assert _differ(pushed, other)


@every_world
def test_a_sentence_is_checked_as_it_is_refused(make: MakeWorld) -> None:
    world = make(1)
    if not isinstance(world, Promptable):
        pytest.skip("not Promptable")
    with pytest.raises(UserError) as checked:
        world.check_prompt("colourless green ideas sleep furiously")
    with pytest.raises(UserError) as refused:
        world.reset(0, prompt="colourless green ideas sleep furiously")
    assert str(checked.value) == str(refused.value)
    world.reset(0)
    text = getattr(world, "text")(0)  # noqa: B009  (no part of the protocol)
    if text:
        world.check_prompt(text)
        world.reset(1, prompt=text)


@every_world
def test_scene_is_plain_and_starts_the_same_world(make: MakeWorld) -> None:
    world = make(1)
    first = world.reset(seed=11)
    if not isinstance(world, Describable):
        pytest.skip("not Describable")
    scene = json.loads(json.dumps(world.scene(0)))
    again = make(1).reset(seed=99, scene=scene)
    np.testing.assert_array_equal(_shown(again), _shown(first))


@every_world
def test_a_sentence_on_the_way_counts_from_the_next_tick_on(make: MakeWorld) -> None:
    world = make(2)
    if not isinstance(world, Directable):
        pytest.skip("takes no sentence on its way")
    is_table = "state" in world.spec.streams and "camera.main" in world.spec.streams
    sentence = "the camera looks from the left" if is_table else "to the left"
    prompt = "a red ball stands on the table, seen from the right" if is_table else "to the right"
    world.reset(seed=5, prompt=prompt)
    only = np.array([False, True])
    with pytest.raises(UserError):
        world.direct("colourless green ideas sleep furiously", only)
    world.direct(sentence, only)
    tick = world.step()
    twin = make(2)
    twin.reset(seed=5, prompt=prompt)
    same = twin.step()
    _assert_same(tick, same, 0, 0)
    assert any(not np.array_equal(tick[name][1], same[name][1]) for name in tick)
