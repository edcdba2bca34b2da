"""The learned world, with random weights: a world like any other, and given streams pass through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.errors import BadUse, UserError
from orrery.inference.imagined_world import ImaginedWorld, load_world
from orrery.registry import resolve_model
from orrery.streams import Array, Observation
from orrery.tokenizers.bodies import apart, sphere_gap
from orrery.tokenizers.state import StateCodec
from orrery.world import Snapshotable, World
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.world import TabletopWorld

pytestmark = pytest.mark.slow
SENTENCE = "a red ball drops"
THREE = "a red ball rests on the table and a blue box drops and a green cylinder drops"


@pytest.fixture(scope="module")
def world(untrained: Path) -> ImaginedWorld:
    return load_world(untrained)


@pytest.fixture(scope="module")
def shipped() -> ImaginedWorld:
    """What is learned counts where the codec corrects it."""
    return load_world(resolve_model("tabletop"), streams=["state"])


@pytest.fixture(scope="module")
def episode() -> dict[str, Array]:
    """Seven ticks of the exact world, `[1, num_ticks, *shape]`."""
    pytest.importorskip("mujoco_warp")
    exact = TabletopWorld(image_size=32)
    ticks = [exact.reset(seed=0), *(exact.step() for _ in range(6))]
    return {name: np.stack([tick[name] for tick in ticks], axis=1) for name in exact.spec.streams}


def _film(world: World, num_ticks: int, **options: object) -> list[Observation]:
    return [world.reset(seed=3, **options), *(world.step() for _ in range(num_ticks - 1))]  # type: ignore[arg-type]


def _same(left: list[Observation], right: list[Observation], name: str) -> bool:
    return all(np.array_equal(a[name], b[name]) for a, b in zip(left, right, strict=True))


def test_is_a_world_and_keeps_its_spec_past_its_window(world: ImaginedWorld) -> None:
    """For longer than anything it was trained on."""
    assert isinstance(world, World)
    assert isinstance(world, Snapshotable)
    for tick in _film(world, 24, prompt=SENTENCE):
        assert tick.keys() == world.spec.streams.keys()
        for name, value in tick.items():
            world.spec.streams[name].check(value)
    assert world.text() == SENTENCE


def test_same_seed_same_film_another_seed_another(world: ImaginedWorld, untrained: Path) -> None:
    """Also after other use, and in another copy of the model."""
    one, again = _film(world, 4, prompt=SENTENCE), _film(world, 4, prompt=SENTENCE)
    copy = _film(load_world(untrained), 4, prompt=SENTENCE)
    for name in world.spec.streams:
        assert _same(one, again, name), name
        assert _same(one, copy, name), name
    other = [world.reset(seed=4, prompt=SENTENCE), *(world.step() for _ in range(3))]
    assert not _same(one, other, "state")
    assert not _same(one, other, "video.main")


def test_objects_keep_what_they_are(world: ImaginedWorld) -> None:
    ticks = _film(world, 12, prompt=SENTENCE)
    for name in ("present", "shape", "size", "colour", "material"):
        values = np.stack([STATE.get(tick["state"], name) for tick in ticks])
        assert (values == values[:1, :, :1]).all(), name


def test_snapshot_and_restore_repeat_exactly(world: ImaginedWorld) -> None:
    _film(world, 3, prompt=SENTENCE)
    snapshot = world.snapshot()
    first = [world.step() for _ in range(4)]
    for _ in range(2):
        world.restore(snapshot)
        again = [world.step() for _ in range(4)]
        assert all(_same(first, again, name) for name in world.spec.streams)


@pytest.mark.parametrize(
    "names",
    [("state",), ("video.main",), ("audio.main", "video.main"), ("state", "camera.main", "touch.finger")],
    ids="+".join,
)
def test_given_streams_pass_through_and_decide_the_others(
    world: ImaginedWorld, episode: dict[str, Array], names: tuple[str, ...]
) -> None:
    """For as long as they last; then the world goes on by itself."""
    num_given, num_ticks = 5, 7
    given = {name: episode[name][:, :num_given] for name in names}
    ticks = _film(world, num_ticks, given=given)
    for number, tick in enumerate(ticks):
        for name, value in tick.items():
            world.spec.streams[name].check(value)
        for name in names:
            same = np.array_equal(tick[name], episode[name][:, number])
            assert same == (number < num_given or name == "camera.main"), name  # a camera stands
    free = _film(world, num_ticks)
    others = set(world.spec.streams) - set(names) - {"action"}
    assert any(not _same(ticks, free, name) for name in others)


def test_an_action_is_followed_and_cut_to_its_range(world: ImaginedWorld) -> None:
    spec = world.spec.streams["action"]
    assert spec.high is not None
    world.reset(seed=3, prompt=SENTENCE)
    snapshot = world.snapshot()
    wild = np.full((1, *spec.shape), 100.0, np.float32)
    pushed = world.step(wild)
    np.testing.assert_allclose(pushed["action"], spec.high, rtol=1e-5)
    world.restore(snapshot)
    left_alone = world.step()
    assert not np.array_equal(pushed["state"], left_alone["state"])
    with pytest.raises(UserError, match="action: expected"):
        world.step(np.zeros((2, *spec.shape), np.float32))


def test_what_is_not_looked_at_changes_nothing(untrained: Path, world: ImaginedWorld) -> None:
    """A dream without pictures is the same dream, also where they are given."""
    folder = untrained
    blind = load_world(folder, streams=["state", "audio.main"])
    assert list(blind.spec.streams) == ["audio.main", "state"]
    given = {"video.main": np.zeros((1, 2, *world.spec.streams["video.main"].shape), np.uint8)}
    for known in ({}, given):
        seen = [world.reset(3, prompt=SENTENCE, given=known), *(world.step() for _ in range(3))]
        unseen = [blind.reset(3, prompt=SENTENCE, given=known), *(blind.step() for _ in range(3))]
        for left, right in zip(seen, unseen, strict=True):
            assert right.keys() == {"state", "audio.main"}
            assert all(np.array_equal(left[name], right[name]) for name in right)
    with pytest.raises(BadUse, match=r"no stream video\.side; it has video\.main"):
        load_world(folder, streams=["video.side"])


def test_imagined_bodies_are_parted(shipped: ImaginedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of them is in one another than the network would have it, were none drawn anew; an untrained one
    would have much."""
    codecs = shipped.model.codecs
    crowded = replace(codecs, state=replace(codecs.state, first_gap_m=None))
    monkeypatch.setattr(shipped.model, "codecs", crowded)

    def depth_m() -> float:
        total = 0.0
        for seed in range(12):
            state = torch.from_numpy(shipped.reset(seed=seed, prompt=THREE)["state"])
            gap = apart(state, STATE)[0][..., :-1, :-1]
            total += float((-gap).clamp_min(0.0).sum())
        return total

    parted = depth_m()
    monkeypatch.setattr(StateCodec, "part", lambda self, state: state)
    assert parted < 0.5 * depth_m()


def test_a_crowded_beginning_is_drawn_anew(shipped: ImaginedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The roomiest of ten where none is as roomy as asked; one that has room stays as it was."""
    codecs = shipped.model.codecs

    def gaps(first_gap_m: float | None) -> torch.Tensor:
        codec = replace(codecs.state, first_gap_m=first_gap_m)
        monkeypatch.setattr(shipped.model, "codecs", replace(codecs, state=codec))
        first = [torch.from_numpy(shipped.reset(seed=seed, prompt=THREE)["state"][0, 0]) for seed in range(4)]
        return torch.stack([sphere_gap(state, STATE) for state in first])

    as_drawn, roomy, endless = gaps(None), gaps(-0.02), gaps(10.0)
    assert (endless >= as_drawn).all()
    assert (endless > as_drawn).sum() >= 3
    assert torch.equal(roomy[as_drawn >= -0.02], as_drawn[as_drawn >= -0.02])
    assert (roomy >= as_drawn).all()


def test_an_action_outdoes_one_that_was_given(world: ImaginedWorld, episode: dict[str, Array]) -> None:
    world.reset(seed=3, given={"action": episode["action"][:, :3]})
    chosen = np.full((1, *world.spec.streams["action"].shape), 0.25, np.float32)
    np.testing.assert_allclose(world.step(chosen)["action"], chosen, rtol=1e-5)
    np.testing.assert_array_equal(world.step()["action"], episode["action"][:, 2])


def test_a_sentence_matters_and_an_unknown_word_is_named(world: ImaginedWorld) -> None:
    red = _film(world, 2, prompt="a red ball drops")
    blue = _film(world, 2, prompt="a blue box flies left")
    assert not _same(red, blue, "state")
    with pytest.raises(UserError, match="zebra"):
        world.reset(seed=0, prompt="a red zebra drops")


def test_a_scene_is_refused_and_reset_comes_first(untrained: Path) -> None:
    world = load_world(untrained)
    with pytest.raises(UserError, match="reset"):
        world.step()
    with pytest.raises(UserError, match="from a prompt or from given streams"):
        world.reset(seed=0, scene={"bodies": []})


def test_worlds_of_a_batch_are_the_worlds_they_are_alone(world: ImaginedWorld, untrained: Path) -> None:
    batch = load_world(untrained, num_worlds=2)
    pair, alone = _film(batch, 3, prompt=SENTENCE), _film(world, 3, prompt=SENTENCE)
    for two, one in zip(pair, alone, strict=True):
        for name in one:
            assert np.array_equal(two[name][0], one[name][0]), name
    assert not np.array_equal(pair[-1]["state"][0], pair[-1]["state"][1])
    before = pair[-1]
    after = batch.reset(seed=8, mask=np.array([False, True]))
    assert np.array_equal(after["video.main"][0], before["video.main"][0])
    assert not np.array_equal(after["state"][1], before["state"][1])
