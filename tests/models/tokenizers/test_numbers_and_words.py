"""Numbers, choices, sentences and pictures as latents and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orrery.errors import BadUse
from orrery.models.tokenizers.choice import ChoiceTokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.models.tokenizers.video import VideoTokenizer
from orrery.streams import Clock, StreamSpec


def walk(seed: int, ticks: int, shape: tuple[int, ...]) -> torch.Tensor:
    """A random walk `[ticks, *shape]` whose last number takes three values only."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(ticks, *shape, generator=generator).cumsum(0) * 0.1 + 3.0
    values[..., -1] = torch.randint(-1, 2, values[..., -1].shape, generator=generator).float()
    return values


@given(st.integers(0, 99), st.integers(2, 30), st.integers(1, 3), st.integers(1, 4), st.integers(2, 5))
def test_vectors_come_back(seed: int, ticks: int, frames: int, groups: int, numbers: int) -> None:
    spec = StreamSpec("state", "vector", "observed", (frames, groups * numbers), "float32", groups=groups)
    episode = walk(seed, ticks, (frames, groups, numbers)).flatten(2)
    tokenizer = VectorTokenizer(spec)
    tokenizer.fit([episode])
    latents, _ = tokenizer.encode(episode[None])
    assert latents.shape == (1, ticks, groups, 2 * frames * numbers)
    back, _ = tokenizer.decode(latents)
    torch.testing.assert_close(back[0], episode, atol=2e-4, rtol=1e-4)


def test_vectors_tick_by_tick_are_those_of_a_whole_episode() -> None:
    spec = StreamSpec("state", "vector", "observed", (2, 3), "float32")
    episode = walk(1, 12, (2, 3))
    tokenizer = VectorTokenizer(spec)
    tokenizer.fit([episode])
    whole, _ = tokenizer.encode(episode[None])
    memory = None
    for tick in range(12):
        one, memory = tokenizer.encode(episode[None, tick : tick + 1], memory)
        torch.testing.assert_close(one[:, 0], whole[:, tick])


def test_an_error_in_what_takes_few_values_is_put_right() -> None:
    spec = StreamSpec("reward", "vector", "outcome", (1, 1), "float32")
    rewards = torch.tensor([0.0, 0, 0, -1, 0, 0, 1, 0])[:, None, None]
    tokenizer = VectorTokenizer(spec)
    tokenizer.fit([rewards])
    latents, _ = tokenizer.encode(rewards[None])
    assert latents.abs().max() <= 2.0  # a rare reward is not ten deviations away
    back, _ = tokenizer.decode(latents + 0.2)
    assert torch.equal(back[0], rewards)


def test_a_constant_stays_itself() -> None:
    spec = StreamSpec("state", "vector", "observed", (1, 1), "float32")
    tokenizer = VectorTokenizer(spec)
    tokenizer.fit([torch.full((5, 1, 1), 7.5)])
    back, _ = tokenizer.decode(torch.randn(2, 3, 1, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(back, torch.full_like(back, 7.5))


@given(st.integers(1, 7), st.integers(1, 3))
def test_choices_come_back(num_choices: int, frames: int) -> None:
    spec = StreamSpec("action", "choice", "given", (frames, 1), "int64", num_choices=num_choices)
    chosen = torch.randint(0, num_choices, (2, 5, frames, 1), generator=torch.Generator().manual_seed(0))
    tokenizer = ChoiceTokenizer(spec)
    back, _ = tokenizer.decode(tokenizer.encode(chosen)[0])
    assert torch.equal(back, chosen)
    assert back.dtype == torch.int64


def test_sentences_of_any_length_come_back_and_strange_words_are_named() -> None:
    long = " ".join(["red", "ball", "rolls"] * 40)
    tokenizer = TextTokenizer.of_sentences(
        StreamSpec("text", "text", "given", (1,), "int64"), ["A red ball rolls.", long]
    )
    for sentence in ("a red ball rolls", long):
        latents, _ = tokenizer.encode(tokenizer.numbers(sentence)[None, None])
        assert tokenizer.sentence(latents[0, 0]) == sentence
    with pytest.raises(BadUse, match=r"'bal'.*ball"):
        tokenizer.numbers("a red bal")
    with pytest.raises(BadUse, match="at most 120 words"):
        tokenizer.numbers(f"{long} red")


@pytest.mark.parametrize("size", [(96, 96), (64, 48), (37, 61), (7, 7), (16, 130)])
@pytest.mark.parametrize("frames", [1, 2])
def test_pictures_of_any_size(size: tuple[int, int], frames: int) -> None:
    spec = StreamSpec("video.main", "video", "observed", (frames, *size, 3), "uint8")
    tokenizer = VideoTokenizer.for_stream(spec, Clock())
    pictures = torch.randint(0, 256, (2, 3, *spec.shape), dtype=torch.uint8)
    with torch.no_grad():
        latents, _ = tokenizer.encode(pictures)
        back, _ = tokenizer.decode(latents)
    assert tokenizer.grid is not None
    assert latents.shape == (2, 3, tokenizer.grid[0] * tokenizer.grid[1], 16 * frames)
    assert back.shape == pictures.shape
    assert back.dtype == torch.uint8


def test_pictures_of_another_size_are_brought_to_the_streams() -> None:
    spec = StreamSpec("video.main", "video", "observed", (1, 32, 32, 3), "uint8")
    tokenizer = VideoTokenizer.for_stream(spec, Clock())
    small = torch.randint(0, 256, (1, 1, 1, 32, 32, 3), dtype=torch.uint8)
    large = small.repeat_interleave(2, 3).repeat_interleave(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(tokenizer.encode(large)[0], tokenizer.encode(small)[0])
