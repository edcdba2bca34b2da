"""What counts in each kind of batch, and what does not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from orrery.diffusion.noise import loss_weight
from orrery.models.transformer import WorldTransformer
from orrery.tokenizers.codecs import Codecs
from orrery.training.build import word_tokenizer
from orrery.training.clips import Clips, draw_clips
from orrery.training.latents import LatentSet
from orrery.training.losses import (
    FINGER_WEIGHT,
    NEAR_WEIGHT,
    TOUCHED_WEIGHT,
    _care,
    clean_numbers,
    drop_words,
    from_left_to_right,
    is_asked,
    motion_levels,
    motion_loss,
    own_anchor,
    perception_loss,
    picture_levels,
    picture_loss,
    random_levels,
    shake,
    slight_levels,
    with_strange_velocities,
)
from orrery.worlds.rigid_bodies.state import STATE

MakeLatents = Callable[..., LatentSet]
MakeModel = Callable[[LatentSet], tuple[WorldTransformer, Codecs]]
MANY = (400, 6)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def clips(make_latents: MakeLatents) -> Clips:
    return draw_clips(make_latents(), np.random.default_rng(0), 16, 4, word_tokenizer())


@pytest.fixture
def model(make_latents: MakeLatents, make_model: MakeModel) -> WorldTransformer:
    return make_model(make_latents())[0]


@pytest.fixture
def codecs(make_latents: MakeLatents, make_model: MakeModel) -> Codecs:
    return make_model(make_latents())[1]


class _Watched(nn.Module):
    """Answers with zeros, or with `answer`, and keeps what it was asked."""

    def __init__(self, answer: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.answer = answer or {}
        self.numbers: dict[str, Tensor] = {}
        self.features: dict[str, Tensor] = {}
        self.levels: dict[str, Tensor] = {}
        self.ranks: dict[str, int] = {}

    def forward(self, words, numbers, features, levels, ranks):  # type: ignore[no-untyped-def]
        self.numbers, self.features, self.levels, self.ranks = numbers, features, levels, ranks
        return {name: self.answer.get(name, torch.zeros_like(value)) for name, value in numbers.items()}


# Noise levels.


def test_levels_are_above_zero_and_a_share_of_them_is_one() -> None:
    levels = random_levels(MANY, _generator(), share_of_ones=0.4)
    assert 0.0 < float(levels.min()) < 0.03
    assert float((levels == 1.0).float().mean()) == pytest.approx(0.4, abs=0.03)


def test_context_is_clean_half_of_the_time() -> None:
    levels = slight_levels(MANY, _generator())
    assert float(levels.max()) <= 0.05
    assert float((levels == 0.0).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_sound_waits_for_the_state() -> None:
    """A tick's sound is withheld while its state is under way; its camera is unknown on first ticks only."""
    levels = motion_levels(*MANY, _generator(), torch.zeros(MANY[0], dtype=torch.bool))
    under_way = levels["state"] > 0
    assert 0.4 < float(under_way.float().mean()) < 0.6
    for name in ("touch.finger", "audio.main"):
        assert (levels[name][under_way] == 1.0).all()
        assert torch.equal(levels[name], levels["audio.main"])
    assert not levels["camera.main"][:, 1:].any()
    assert torch.equal(levels["camera.main"][:, 0], levels["state"][:, 0])
    assert set(levels["action"].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(levels["action"], levels["action"][:, :1].expand(MANY))


def test_a_lone_first_tick_is_always_asked_for_its_state() -> None:
    levels = motion_levels(400, 1, _generator(), torch.zeros(400, dtype=torch.bool))
    assert (levels["state"] > 0).all()


def test_an_action_that_no_sentence_tells_of_is_always_given() -> None:
    """Where it is withheld, the network would learn that fingers wander unasked."""
    steered = torch.arange(MANY[0]) % 2 == 0
    action = motion_levels(*MANY, _generator(), steered)["action"]
    assert not action[steered].any()
    assert action[~steered].any()


def test_where_nothing_is_noisy_nothing_is_asked() -> None:
    clean = {name: torch.zeros(2, 3) for name in ("state", "audio.main", "touch.finger", "camera.main")}
    assert not any(is_asked(clean, name).any() for name in clean)


def test_sound_is_not_asked_before_its_state_is_settled() -> None:
    levels = {"state": torch.tensor([[0.0, 0.5, 0.0]]), "audio.main": torch.tensor([[1.0, 1.0, 0.04]])}
    assert is_asked(levels, "audio.main").tolist() == [[1.0, 0.0, 0.0]]
    assert is_asked(levels, "state").tolist() == [[0.0, 1.0, 0.0]]


def test_most_pictures_are_drawn_from_the_state_alone() -> None:
    """A clip is wholly withheld, or holds every level and given pictures; its state is always given."""
    levels = picture_levels(*MANY, _generator())
    alone = (levels["video.main"] == 1.0).all(dim=1)
    assert float(alone.float().mean()) == pytest.approx(0.85, abs=0.05)
    others = levels["video.main"][~alone]
    assert 0.1 < float((others <= 0.05).float().mean()) < 0.4
    assert not levels["state"].any()
    assert not levels["camera.main"].any()
    for name in ("action", "touch.finger"):
        assert set(levels[name].unique().tolist()) == {0.0, 1.0}
        assert torch.equal(levels[name], levels[name][:, :1].expand(MANY))


# Corruption.


def test_one_sentence_in_ten_is_dropped_whole() -> None:
    words = torch.arange(1, 4001).reshape(2000, 2)
    kept = drop_words(words, _generator())
    dropped = (kept == 0).all(dim=1)
    assert float(dropped.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert torch.equal(kept[~dropped], words[~dropped])


def test_shaken_anchors_are_slightly_wrong(clips: Clips, codecs: Codecs) -> None:
    """By millimetres and centimetres a second at most (5 sigma); poses' turns and absent slots stay."""
    shaken = shake(clips.anchor, codecs.state, _generator())
    gap = (shaken - clips.anchor).abs()
    limits = {"position": 0.01, "linear_velocity": 0.2, "angular_velocity": 1.5}
    for name in STATE.fields:
        most = float(gap[..., STATE.slice(name)].max())
        assert 0 < most < limits[name] if name in limits else most == 0.0, name
    assert not shaken[clips.anchor[..., 0] < 0.5].any()
    little = shake(clips.anchor, codecs.state, _generator(), most=0.1)
    torch.testing.assert_close((little - clips.anchor).abs(), 0.1 * gap, atol=1e-6, rtol=1e-3)


def test_strange_velocities_are_another_clips_and_all_else_stays(clips: Clips, codecs: Codecs) -> None:
    strange = with_strange_velocities(clips.anchor, codecs.state.layout)
    speed = STATE.slice("linear_velocity")
    assert torch.equal(strange[1::2], clips.anchor[1::2])
    assert torch.equal(strange[::2, ..., speed], clips.anchor[1::2, ..., speed])
    strange[..., speed] = clips.anchor[..., speed]
    assert torch.equal(strange, clips.anchor)


def test_own_anchors_are_where_the_model_itself_arrives(clips: Clips, codecs: Codecs) -> None:
    """A model that says nothing moves arrives where it started: two ticks back. First steps keep theirs."""
    others = clean_numbers(codecs, clips)
    del others["video.main"]
    still = _Watched()
    withheld = torch.ones(clips.state.shape[:2])
    own = own_anchor(still, codecs, clips, clips.anchor, others, clips.words, withheld)  # type: ignore[arg-type]
    assert torch.equal(own[:, :2], clips.anchor[:, :2])
    for name in ("position", "linear_velocity"):
        torch.testing.assert_close(
            own[:, 2:, ..., STATE.slice(name)], clips.anchor[:, 1:-1, ..., STATE.slice(name)]
        )
    assert (still.levels["state"] == 1.0).all(), "in one step from nothing"
    assert not still.numbers["state"].any()


# Losses.


def _clean_state(codecs: Codecs, clips: Clips) -> Tensor:
    return codecs.state.encode(clips.state, clips.anchor, clips.has_anchor)


def test_picture_loss_is_a_weighted_mean_over_noisy_ticks(clips: Clips, codecs: Codecs) -> None:
    """Written out for a network that answers zero: weight x level weight x the data's own power."""
    watched = _Watched()
    weights = torch.rand(*clips.state.shape[:2], 4, generator=_generator(1))
    loss = picture_loss(watched, codecs, clips, weights, _generator())["video.main"]  # type: ignore[arg-type]
    levels = watched.levels["video.main"]
    power = clips.streams["video.main"].square().mean(-1)
    asked = (levels > 0.05).float()
    expected = (power * weights * loss_weight(levels)[..., None]).mean(-1)
    slight = ((levels <= 0.05) & (levels > 0.02)).any()
    close = pytest.approx(float((expected * asked).sum() / asked.sum()), rel=0.08 if slight else 1e-4)
    assert float(loss) == close


def test_a_perfect_picture_costs_nothing(clips: Clips, codecs: Codecs) -> None:
    perfect = _Watched({"video.main": clips.streams["video.main"]})
    weights = torch.ones(*clips.state.shape[:2], 4)
    assert float(picture_loss(perfect, codecs, clips, weights, _generator())["video.main"]) == 0.0  # type: ignore[arg-type]
    assert not perfect.levels["state"].any(), "the state is given"
    torch.testing.assert_close(perfect.numbers["state"], _clean_state(codecs, clips))


def test_where_no_sentence_names_them_objects_stand_from_left_to_right(clips: Clips) -> None:
    """In the clips asked for, by their places in the first picture as numpy projects them; each keeps its own
    state in every tick, the finger its slot, and the other clips are as they were."""
    which = torch.arange(len(clips.state)) % 2 == 0
    before = clips.state.clone()
    ordered = from_left_to_right(clips, which, STATE)
    assert torch.equal(clips.state, before)
    assert torch.equal(ordered.state[~which], clips.state[~which])
    assert torch.equal(ordered.state[:, :, :, -1], clips.state[:, :, :, -1])
    moved = 0
    for row in np.flatnonzero(which):
        first, pose = ordered.state[row, 0, 0, :-1].numpy(), clips.streams["camera.main"][row, 0].numpy()
        there = STATE.get(first, "present")[:, 0] > 0.5
        turned = Rotation.from_quat(pose[3:7], scalar_first=True)
        seen = turned.inv().apply(STATE.get(first, "position") - pose[:3])
        right = (seen[:, 0] / -seen[:, 2])[there]
        assert (np.diff(right) >= 0).all()
        assert there[: there.sum()].all(), "empty slots come last"
        old, new = clips.state[row], ordered.state[row]
        order = [int((old[0, 0] == new[0, 0, slot]).all(-1).nonzero()[0]) for slot in range(there.sum())]
        assert sorted(order) == list(range(there.sum()))
        for slot, former in enumerate(order):
            assert torch.equal(new[:, :, slot], old[:, :, former])
            assert torch.equal(ordered.anchor[row, :, slot], clips.anchor[row, :, former])
        moved += order != sorted(order)
    assert moved >= 2


def test_perfect_perception_costs_nothing(clips: Clips, codecs: Codecs) -> None:
    """Where objects are is all that is left to pay for once anchors are shaken: so shake them not at all.
    Slots are in order already, so that a sentence makes no difference."""
    clips.anchor[...] = 0.0
    clips.has_anchor[...] = False
    clips = from_left_to_right(clips, torch.ones(len(clips.state), dtype=torch.bool), STATE)
    perfect = _Watched(
        {
            "state": _clean_state(codecs, clips),
            "camera.main": codecs.vectors["camera.main"].encode(clips.streams["camera.main"]),
        }
    )
    loss = perception_loss(perfect, codecs, clips, _generator())["perceived"]  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(0.0, abs=1e-10)
    assert float(perfect.levels["video.main"].max()) <= 0.05
    assert perfect.ranks["state"] > perfect.ranks["video.main"]


def test_touch_and_pictures_are_told_of_the_state_only_where_it_comes_first(
    clips: Clips, codecs: Codecs
) -> None:
    """What is to be read off pictures, sound and touch must not be in what they see."""
    watched = _Watched()
    perception_loss(watched, codecs, clips, _generator())  # type: ignore[arg-type]
    assert not watched.features["touch.finger"].any()
    assert not watched.features["video.main"].any()
    clips.streams.pop("video.main")
    motion_loss(watched, codecs, clips, _generator())  # type: ignore[arg-type]
    known = watched.levels["state"] == 0.0
    assert watched.features["touch.finger"][known].any()
    assert not watched.features["touch.finger"][watched.levels["state"] == 1.0].any()


def test_ticks_in_which_something_is_felt_weigh_more(clips: Clips, codecs: Codecs) -> None:
    """An answer of nothing costs nothing where nothing is felt, and TOUCHED_WEIGHT times the square of what
    is missing where something is."""
    clips.streams.pop("video.main")

    def cost() -> float:
        losses = motion_loss(_Watched(), codecs, clips, _generator())  # type: ignore[arg-type]
        return float(losses["touch.finger"])

    clips.streams["touch.finger"].zero_()
    assert cost() == 0.0
    clips.streams["touch.finger"][0] = 1.0
    one = cost()
    felt = math.asinh(1.0 / 0.05) ** 2
    levels = motion_levels(*clips.state.shape[:2], _generator(), clips.steered)
    asked = is_asked(levels, "touch.finger")
    mine = (loss_weight(levels["touch.finger"]) * asked)[0].sum() / asked.sum()
    assert one == pytest.approx(float(TOUCHED_WEIGHT * felt * mine), rel=1e-4)


def test_a_perfect_first_tick_costs_nothing(clips: Clips, codecs: Codecs) -> None:
    clips.anchor[...] = 0.0
    clips.has_anchor[...] = False
    clips.streams.pop("video.main")
    answer = clean_numbers(codecs, clips) | {"state": _clean_state(codecs, clips)}
    losses = motion_loss(_Watched(answer), codecs, clips, _generator())  # type: ignore[arg-type]
    assert losses.keys() == {"state", "camera.main", "touch.finger", "audio.main"}
    assert all(float(value) == pytest.approx(0.0, abs=1e-10) for value in losses.values())


def test_what_an_object_is_counts_where_nothing_tells_it(clips: Clips, codecs: Codecs) -> None:
    """A wrong colour on a first tick costs 20 times and 4 times what it costs later."""
    clips.streams.pop("video.main")
    width = codecs.state.what_width

    def cost(tick: int) -> float:
        clean = {"state": _clean_state(codecs, clips)}
        answer = clean["state"].clone()
        answer[:, tick, :, :width] += 1.0
        watched = [_Watched({"state": value}) for value in (answer, clean["state"])]
        wrong, right = (motion_loss(w, codecs, clips, _generator())["state"] for w in watched)  # type: ignore[arg-type]
        levels = watched[0].levels["state"]
        asked = (levels > 0.05).float()
        return float(wrong - right) * float(asked.sum() / (asked * loss_weight(levels))[:, tick].sum())

    assert cost(0) == pytest.approx(4.0, rel=0.01)
    assert cost(2) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("kind", ["motion", "own errors", "perception", "pictures"])
def test_the_generator_decides_everything(
    model: WorldTransformer, clips: Clips, codecs: Codecs, kind: str
) -> None:
    def loss(seed: int) -> float:
        generator = _generator(seed)
        if kind == "perception":
            losses = perception_loss(model, codecs, clips, generator)
        elif kind == "pictures":
            losses = picture_loss(model, codecs, clips, torch.ones(*clips.state.shape[:2], 4), generator)
        else:
            clips.streams.pop("video.main", None)
            losses = motion_loss(model, codecs, clips, generator, own_errors=kind == "own errors")
        assert all(torch.isfinite(value) for value in losses.values())
        return float(torch.stack(list(losses.values())).sum().detach())

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)


def test_what_is_near_another_and_the_finger_weigh_more(clips: Clips) -> None:
    state = torch.zeros_like(clips.state[:1, :2])
    state[..., :2, STATE.slice("present")] = 1.0
    state[..., STATE.slice("shape").start] = 1.0  # balls of 4 cm
    state[..., STATE.slice("size")] = 0.04
    state[:, 0, :, 1, STATE.slice("position").start] = 0.2
    state[:, 1, :, 1, STATE.slice("position").start] = 0.09  # a gap of 1 cm
    weights = _care(dataclasses.replace(clips, state=state), STATE)
    assert weights[0, 0].tolist() == [1.0, 1.0, 1.0, FINGER_WEIGHT]
    assert weights[0, 1].tolist() == [NEAR_WEIGHT, NEAR_WEIGHT, 1.0, FINGER_WEIGHT]
