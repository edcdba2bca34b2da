"""Clips: what is drawn, in which order, and that words, slots and colours tell one story."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch

from orrery.streams import Array
from orrery.tokenizers.text import WordTokenizer
from orrery.training.build import word_tokenizer
from orrery.training.clips import Clips, draw_clips
from orrery.training.latents import LatentSet
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.language import parse
from orrery.worlds.tabletop.scene import Body, BodyRequest, Scene

MakeLatents = Callable[..., LatentSet]
WORDS = word_tokenizer()


def _draw(make_latents: MakeLatents, num: int = 64, ticks: int = 6, seed: int = 0, **options: bool) -> Clips:
    return draw_clips(make_latents(**options), np.random.default_rng(seed), num, ticks, WORDS)


def _sentence(numbers: Array, words: WordTokenizer = WORDS) -> str:
    return " ".join(words.vocabulary[n - 2] for n in numbers if n)


def _fits(request: BodyRequest, slot: Array) -> bool:
    """Whether a slot `[D]` of the state is what a sentence asks for."""
    if not slot[STATE.slice("present")]:
        return False
    shape = STATE.shapes[int(STATE.get(slot, "shape").argmax())]
    material = STATE.materials[int(STATE.get(slot, "material").argmax())]
    colour = min(
        COLOURS, key=lambda name: np.abs(np.subtract(COLOURS[name], STATE.get(slot, "colour"))).max()
    )
    asked = {"shape": request.shape, "material": request.material, "colour": request.colour}
    found = {"shape": shape, "material": material, "colour": colour}
    return all(value is None or value == found[name] for name, value in asked.items())


def _tells(sentence: str, state: Array) -> bool:
    """Whether each thing that a sentence names can be a slot of its own of `state [K, D]`."""
    requests = parse(sentence).bodies
    slots = range(len(state) - 1)
    return any(
        all(_fits(r, state[k]) for r, k in zip(requests, order, strict=True))
        for order in permutations(slots, len(requests))
    )


@pytest.mark.parametrize("video", [True, False], ids=["with pictures", "recoloured"])
def test_the_sentence_tells_of_the_slots_of_its_own_clip(make_latents: MakeLatents, video: bool) -> None:
    clips = _draw(make_latents, video=video)
    sentences = [_sentence(row) for row in clips.words.numpy()]
    first = clips.state[:, 0, 0].numpy()
    told = [_tells(s, state) for s, state in zip(sentences, first, strict=True) if s]
    assert len(told) > 40
    assert all(told)
    strange = [_tells(s, state) for s, state in zip(sentences, np.roll(first, 1, 0), strict=True) if s]
    assert np.mean(strange) < 0.6, "most sentences do not fit another clip's slots"


def test_a_clip_starts_with_its_first_tick_and_a_stretch_of_later_ones(make_latents: MakeLatents) -> None:
    """0, then consecutive ones; one clip in seven starts in the middle. The formula tells the ticks."""
    latents = make_latents(video=False)
    rng = np.random.default_rng(1)
    clips = draw_clips(latents, rng, 200, 6, WORDS)
    ticks = _ticks_of(clips)
    assert (np.diff(ticks[:, 1:]) == 1).all()
    start = clips.is_start.numpy()
    assert (ticks[start, 0] == 0).all()
    assert (ticks[~start, 0] >= 1).all()
    assert (np.diff(ticks[~start]) == 1).all()
    assert 0.05 < 1 - start.mean() < 0.25
    assert set(ticks[start, 1]) == set(range(1, latents.num_ticks - 4)), "every later stretch occurs"
    assert ticks.max() == latents.num_ticks - 1


def _ticks_of(clips: Clips) -> Array:
    """Tick numbers `[B, T]`, from how far the first body has turned, and flown since."""
    slot = clips.state.numpy()[:, :, 0, 0]
    position, velocity = STATE.get(slot, "position"), STATE.get(slot, "linear_velocity")
    flown = ((position - position[:, :1]) * velocity).sum(-1) / (velocity**2).sum(-1)
    since_first = np.rint(flown * 12).astype(int)
    return since_first + _first_ticks(clips)[:, None]


def _first_ticks(clips: Clips) -> Array:
    """Tick number of each clip's first tick, from the turn of its first body: spin times time."""
    slot = clips.state[:, 0, 0, 0].numpy()
    quaternion, spin = STATE.get(slot, "quaternion"), STATE.get(slot, "angular_velocity")
    rate = np.linalg.norm(spin, axis=-1)
    seconds = (np.arange(40) * 2 + 1) / 24
    half = seconds[None] * rate[:, None] / 2
    axis = (spin / rate[:, None])[:, None]
    expected = np.concatenate([np.cos(half)[..., None], np.sin(half)[..., None] * axis], -1)
    return np.abs((expected * quaternion[:, None]).sum(-1)).argmax(1)


def test_anchors_are_the_frame_before_and_first_ticks_have_none(make_latents: MakeLatents) -> None:
    """What flies straight was a frame ago where its velocity says."""
    clips = _draw(make_latents, video=False)
    assert not clips.has_anchor[:, 0].any()
    assert clips.has_anchor[:, 1:].all()
    assert not clips.anchor[:, 0].any()
    state = clips.state[:, 1:, 0]
    before = STATE.get(state.numpy(), "position") - STATE.get(state.numpy(), "linear_velocity") / 24
    np.testing.assert_allclose(STATE.get(clips.anchor[:, 1:].numpy(), "position"), before, atol=1e-5)
    for name in ("present", "shape", "size", "colour", "material"):
        assert np.array_equal(STATE.get(clips.anchor[:, 1:].numpy(), name), STATE.get(state.numpy(), name)), (
            name
        )


def test_consecutive_ticks_hand_over_their_last_frame(make_latents: MakeLatents) -> None:
    clips = _draw(make_latents, video=True)
    assert torch.equal(clips.anchor[:, 2:], clips.state[:, 1:-1, -1])


def test_slots_change_places_but_not_within_a_clip_and_the_finger_stays(make_latents: MakeLatents) -> None:
    latents = make_latents(num=1, video=True)
    clips = draw_clips(latents, np.random.default_rng(0), 40, 3, WORDS)
    colours = STATE.get(clips.state.numpy(), "colour")
    assert (colours == colours[:, :1, :1]).all()
    finger = len(STATE.shapes) - 1
    assert (STATE.get(clips.state.numpy()[..., -1, :], "shape").argmax(-1) == finger).all()
    original = STATE.get(latents.arrays["state"][0, 0, 0], "colour")
    orders = {tuple(map(tuple, row)) for row in colours[:, 0, 0]}
    assert len(orders) > 1
    assert all(sorted(order) == sorted(map(tuple, original)) for order in orders), "the same colours, moved"


def test_colours_change_only_where_no_picture_contradicts(make_latents: MakeLatents) -> None:
    for video in (True, False):
        latents = make_latents(num=1, video=video)
        clips = draw_clips(latents, np.random.default_rng(0), 40, 3, WORDS)
        original = set(map(tuple, STATE.get(latents.arrays["state"][0, 0, 0], "colour")))
        drawn = set(map(tuple, STATE.get(clips.state.numpy()[:, 0, 0], "colour").reshape(-1, 3)))
        assert (drawn == original) == video


def test_what_looks_and_moves_alike_is_a_twin_half_of_the_time(make_latents: MakeLatents) -> None:
    """Two balls that rest share a colour in half of the clips; a ball and a box, or one that flies, never."""

    def shared(shape: str, motion: str) -> float:
        latents = make_latents(num=1, video=False)
        bodies = [
            Body("ball", "red", "rubber", 0.04, (0.0, 0.0, 0.04)),
            Body(shape, "blue", "steel", 0.04, (0.2, 0.0, 0.04), motion=motion),
        ]
        latents.scenes[0] = Scene(tuple(bodies)).to_json()
        clips = draw_clips(latents, np.random.default_rng(0), 400, 2, WORDS)
        colours = STATE.get(clips.state.numpy()[:, 0, 0, :2], "colour")
        return float((colours[:, 0] == colours[:, 1]).all(-1).mean())

    assert shared("ball", "rests") == pytest.approx(0.5, abs=0.1)
    assert shared("box", "rests") == 0.0
    assert shared("ball", "flies") == 0.0


def test_a_scene_that_our_language_does_not_tell_of_is_shown_as_it_was_recorded(
    make_latents: MakeLatents,
) -> None:
    """With the sentence that was recorded with it, or none; no slot and no colour changes."""
    latents = make_latents(num=1, video=False)
    latents.scenes[0], latents.texts[0] = {"kind": "uniform"}, "a red ball"
    clips = draw_clips(latents, np.random.default_rng(0), 40, 1, WORDS)
    start = clips.is_start.numpy()
    state = latents.arrays["state"][0]
    assert np.array_equal(clips.state[start, 0].numpy(), np.tile(state[0], (start.sum(), 1, 1, 1)))
    told = [_sentence(row) for row in clips.words.numpy()]
    assert set(np.array(told)[start]) == {"a red ball"}
    latents.texts[0] = ""
    assert not draw_clips(latents, np.random.default_rng(0), 40, 1, WORDS).words.any()


def test_other_streams_keep_step_with_the_state(make_latents: MakeLatents) -> None:
    """The formula's sound and touch say where body 0 was before slots moved."""
    clips = _draw(make_latents, video=True)
    positions = STATE.get(clips.state.numpy(), "position") / 0.2  # [B, T, frames, K, 3]
    touch = clips.streams["touch.finger"].numpy()[..., 0, 0, :] / 0.05  # [B, T, frames, 3]
    gap = np.abs(positions - touch[..., None, :]).max((1, 2, 4))
    assert gap.min(1).max() < 1e-4, "one slot of each clip is where the touch says, at every tick"
    loud = clips.streams["audio.main"].numpy()[:, :, 0]
    np.testing.assert_allclose(loud, np.tanh(touch).reshape(loud.shape), atol=2e-3)


def test_the_generator_decides_everything_and_the_data_stay_as_they_are(make_latents: MakeLatents) -> None:
    latents = make_latents(video=False)
    before = latents.arrays["state"].copy()
    one, two, other = (draw_clips(latents, np.random.default_rng(s), 8, 4, WORDS) for s in (5, 5, 6))
    assert torch.equal(one.state, two.state)
    assert torch.equal(one.words, two.words)
    assert not torch.equal(one.state, other.state)
    assert np.array_equal(latents.arrays["state"], before)


@pytest.mark.parametrize("num_ticks", [1, 2, 6])
def test_a_clip_as_long_as_its_episode(make_latents: MakeLatents, num_ticks: int) -> None:
    """There is only one place to start, and it is found every time."""
    latents = make_latents(num_ticks=num_ticks, video=False)
    clips = draw_clips(latents, np.random.default_rng(0), 50, num_ticks, WORDS)
    assert clips.state.shape[:2] == (50, num_ticks)
    assert clips.is_start.all()


def test_moving_a_batch_moves_all_of_it(make_latents: MakeLatents) -> None:
    clips = _draw(make_latents, num=2).to("meta")
    tensors = [v for v in vars(clips).values() if isinstance(v, torch.Tensor)]
    assert len(tensors) == 7
    assert {t.device.type for t in (*tensors, *clips.streams.values())} == {"meta"}
