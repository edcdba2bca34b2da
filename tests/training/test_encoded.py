"""Clips of episodes of any length: where they begin, what lies before and beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.streams import StreamSpec
from orrery.training.encoded import EncodedEpisodes

LENGTHS = np.array([3, 20, 1])


def episodes() -> EncodedEpisodes:
    """Latents that say which tick of which episode they are."""
    ticks = [[100 * e + t] for e, length in enumerate(LENGTHS) for t in range(length)]
    return EncodedEpisodes({"state": np.array(ticks, np.float32)[:, :, None]}, LENGTHS, 0.1)


def test_a_clip_from_the_beginning_has_nothing_before_it() -> None:
    clip = episodes().clip(np.array([1]), np.array([0]), 4)
    assert clip.valid.tolist() == [[False, True, True, True, True]]
    assert clip.latents["state"][0, 1:, 0, 0].tolist() == [100, 101, 102, 103]


def test_a_clip_from_the_middle_has_the_tick_before_it() -> None:
    clip = episodes().clip(np.array([1]), np.array([5]), 3)
    assert clip.valid.all()
    assert clip.latents["state"][0, :, 0, 0].tolist() == [104, 105, 106, 107]


def test_what_lies_beyond_an_episodes_end_does_not_count_and_is_of_no_other_episode() -> None:
    clip = episodes().clip(np.array([0, 2]), np.array([1, 0]), 4)
    assert clip.valid.tolist() == [[True, True, True, False, False], [False, True, False, False, False]]
    assert set(clip.latents["state"][0].flatten().tolist()) == {0.0, 1.0, 2.0}
    assert set(clip.latents["state"][1].flatten().tolist()) == {200.0}


def test_of_a_cut_clip_nothing_before_its_first_tick_is_known_and_that_tick_is_not_learned() -> None:
    parts = replace(episodes(), without_past={"state": lambda latents: -latents})
    clip = parts.clip(np.array([1, 1, 1]), np.array([5, 5, 0]), 3, np.array([True, False, True]))
    assert clip.valid[:, 0].tolist() == [False, True, False]
    assert clip.cut.tolist() == [True, False, False]  # one that begins its episode is no cut
    assert clip.targets.tolist() == [[False, True, True], [True] * 3, [True] * 3]
    assert clip.latents["state"][:, 1:, 0, 0].tolist() == [[-105, 106, 107], [105, 106, 107], [100, 101, 102]]
    assert parts.latents["state"][3 + 5] == 105  # the episodes themselves are left as they were


def test_starts_are_of_all_episodes_alike_however_long_they_are() -> None:
    clip = episodes().draw_starts(np.random.default_rng(0), 300)
    assert not clip.valid[:, 0].any()
    first = clip.latents["state"][:, 1, 0, 0]
    assert [int((first == 100 * e).sum()) > 70 for e in range(3)] == [True] * 3
    assert clip.valid.shape == (300, 2)


def test_sentences_tell_scenes_where_each_episode_has_its_own() -> None:
    def of(sentences: list[int]) -> float:
        words = np.eye(4)[sentences][:, None]
        latents = {**episodes().latents, "text": words}
        return EncodedEpisodes(latents, LENGTHS, 0.1, ("text",)).sentence_share

    assert of([0, 1, 2]) == 1.0
    assert of([0, 1, 0]) == 2 / 3
    assert episodes().sentence_share == 0.0


def test_changes_of_a_clip_that_begins_anywhere_are_those_of_a_rollout_that_does() -> None:
    spec = StreamSpec("state", "vector", "observed", (2, 3), "float32")
    tokenizer = VectorTokenizer(spec)
    ticks = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 9, 2, 3)).astype(np.float32)).cumsum(1)
    tokenizer.fit([ticks[0]])
    whole, _ = tokenizer.encode(ticks)
    parts = EncodedEpisodes(
        {"state": whole[0].numpy()}, np.array([9]), 0.1, (), {"state": tokenizer.without_past}
    )
    clip = parts.clip(np.array([0]), np.array([4]), 5, np.array([True]))
    alone, _ = tokenizer.encode(ticks[:, 4:])
    assert torch.allclose(clip.latents["state"][:, 1:], alone, atol=1e-6)
    assert not torch.allclose(whole[:, 4], alone[:, 0], atol=1e-2)


def test_clips_come_from_everywhere_by_length() -> None:
    clip = episodes().draw(np.random.default_rng(0), 2000, 4)
    first = clip.latents["state"][:, 1, 0, 0]
    share = ((first >= 100) & (first < 200)).float().mean()
    assert abs(float(share) - 20 / 24) < 0.04
    assert first.max() == 200
    assert 116 in first.tolist()
