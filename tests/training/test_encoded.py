"""Clips of episodes of any length: where they begin, what lies before and beyond."""

from __future__ import annotations

import numpy as np

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


def test_clips_come_from_everywhere_by_length() -> None:
    clip = episodes().draw(np.random.default_rng(0), 2000, 4)
    first = clip.latents["state"][:, 1, 0, 0]
    share = ((first >= 100) & (first < 200)).float().mean()
    assert abs(float(share) - 20 / 24) < 0.04
    assert first.max() == 200
    assert 116 in first.tolist()
