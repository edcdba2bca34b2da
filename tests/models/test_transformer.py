"""What a token may depend on: the past, its own tick's lower ranks, the words; and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orrery.models.layers import LevelEmbedding, RMSNorm, attend, rotary_angles, turn
from orrery.models.transformer import Block, TransformerConfig, WorldTransformer

RANKS = {"action": 0, "state": 0, "audio.main": 1, "video.main": 2}
WORDS = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0], [6, 7, 0, 0, 0, 0, 0, 0]])
NUM_TICKS = 7
Inputs = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]


@pytest.fixture
def inputs(small_transformer: WorldTransformer) -> Inputs:
    """Numbers, features and levels of two worlds."""
    generator = torch.Generator().manual_seed(1)
    shapes = small_transformer.config.streams
    draw = lambda *size: torch.randn(2, NUM_TICKS, *size, generator=generator)  # noqa: E731
    numbers = {name: draw(shape.num_tokens, shape.width) for name, shape in shapes.items()}
    levels = {name: torch.rand(2, NUM_TICKS, generator=generator) for name in shapes}
    return numbers, {"state": draw(3, 5)}, levels


@torch.no_grad()
def _run(model: WorldTransformer, inputs: Inputs, words: Tensor = WORDS) -> dict[str, Tensor]:
    return model(words, *inputs, RANKS)


def _with_noise(inputs: Inputs, name: str, tick: int) -> Inputs:
    """The same but for one tick of one stream, in everything that is said of it."""
    numbers, features, levels = ({k: v.clone() for k, v in part.items()} for part in inputs)
    numbers[name][:, tick] += 1.0
    levels[name][:, tick] = 1.0 - levels[name][:, tick]
    if name in features:
        features[name][:, tick] -= 1.0
    return numbers, features, levels


def _touched(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[tuple[str, int]]:
    """(stream, tick) whose estimates moved."""
    gaps = {name: (after[name] - before[name]).abs().amax((0, 2, 3)) for name in before}
    return {(name, tick) for name, gap in gaps.items() for tick in range(NUM_TICKS) if gap[tick] > 1e-6}


@pytest.mark.parametrize("name", RANKS)
@pytest.mark.parametrize("tick", [0, 2, NUM_TICKS - 1])
def test_a_change_reaches_later_ticks_and_ranks_only(
    small_transformer: WorldTransformer, inputs: Inputs, name: str, tick: int
) -> None:
    """Nothing before it moves; of what comes after, whatever looks at it directly does."""
    before = _run(small_transformer, inputs)
    touched = _touched(before, _run(small_transformer, _with_noise(inputs, name, tick)))
    allowed = {(n, t) for n in RANKS for t in range(tick, NUM_TICKS) if RANKS[n] >= RANKS[name]}
    windows = {n: shape.window for n, shape in small_transformer.config.streams.items()}
    direct = {(n, t) for n, t in allowed if t - tick <= windows[n] or tick == 0}
    assert touched <= allowed
    assert direct <= touched


def test_ranks_decide_who_sees_whom(small_transformer: WorldTransformer, inputs: Inputs) -> None:
    """With the state ranked last, it sees the pictures and they do not see it."""
    perceive = {"action": 0, "video.main": 1, "audio.main": 1, "state": 2}
    with torch.no_grad():
        before = small_transformer(WORDS, *inputs, perceive)
        state_moved = small_transformer(WORDS, *_with_noise(inputs, "state", 0), perceive)
        video_moved = small_transformer(WORDS, *_with_noise(inputs, "video.main", 0), perceive)
    assert {name for name, _ in _touched(before, state_moved)} == {"state"}
    assert {name for name, _ in _touched(before, video_moved)} == {"state", "video.main", "audio.main"}


def test_one_layer_forgets_what_left_its_window_but_not_the_first_tick(
    small_transformer: WorldTransformer, inputs: Inputs
) -> None:
    config = TransformerConfig(**{**vars(small_transformer.config), "num_layers": 1})
    model = WorldTransformer(config)
    model.load_state_dict(small_transformer.state_dict(), strict=False)
    before = _run(model, inputs)
    later = _touched(before, _run(model, _with_noise(inputs, "state", 1)))
    assert later == {("action", t) for t in range(1, 6)} | {("state", t) for t in range(1, 6)} | {
        ("audio.main", t) for t in range(1, 6)
    } | {("video.main", t) for t in range(1, 4)}
    assert _touched(before, _run(model, _with_noise(inputs, "action", 0))) == {
        (name, tick) for name in RANKS for tick in range(NUM_TICKS)
    }


def test_padding_changes_nothing_and_words_do(small_transformer: WorldTransformer, inputs: Inputs) -> None:
    before = _run(small_transformer, inputs)
    with torch.no_grad():
        small_transformer.words.weight[0] += 5.0
        small_transformer.word_places[3:] += 5.0
    _assert_close(_run(small_transformer, inputs), before)
    shorter = _run(small_transformer, inputs, WORDS[:, :3])
    _assert_close(shorter, before)
    other = _run(small_transformer, inputs, WORDS.roll(1, 0))
    assert all((other[name] - before[name]).abs().max() > 1e-3 for name in before)


def test_worlds_of_a_batch_do_not_mix(small_transformer: WorldTransformer, inputs: Inputs) -> None:
    alone = tuple({name: value[1:] for name, value in part.items()} for part in inputs)
    with torch.no_grad():
        one = small_transformer(WORDS[1:], *alone, RANKS)
    both = _run(small_transformer, inputs)
    for name, value in one.items():
        torch.testing.assert_close(value[0], both[name][1], atol=1e-5, rtol=0)


def test_a_stream_that_nobody_sees_may_as_well_be_absent(
    small_transformer: WorldTransformer, inputs: Inputs
) -> None:
    """Pictures are ranked last, so the others are the same without them, and without the tokens' cost."""
    numbers, features, levels = inputs
    silent = {name: value for name, value in numbers.items() if name != "video.main"}
    with torch.no_grad():
        out = small_transformer(WORDS, silent, features, levels, RANKS)
    assert out.keys() == silent.keys()
    _assert_close(out, _run(small_transformer, inputs))


def test_an_absent_lower_rank_is_missed(small_transformer: WorldTransformer, inputs: Inputs) -> None:
    numbers, features, levels = inputs
    deaf = {name: value for name, value in numbers.items() if name != "audio.main"}
    with torch.no_grad():
        out = small_transformer(WORDS, deaf, features, levels, RANKS)
    whole = _run(small_transformer, inputs)
    _assert_close({"state": out["state"]}, whole)
    assert (out["video.main"] - whole["video.main"]).abs().max() > 1e-3


@torch.no_grad()
def test_neighbours_of_one_expert_are_fed_as_each_alone(small_transformer: WorldTransformer) -> None:
    generator = torch.Generator().manual_seed(4)
    tokens, positions = torch.randn(2, 6, 32, generator=generator), torch.tensor([1, 1, 1, 2, 2, 2])
    spans = [("sound", 1), ("sound", 2), ("video", 1), ("sound", 2)]
    found, _ = small_transformer.run(tokens, spans, positions)
    expected = tokens
    angles = rotary_angles(positions, 16, small_transformer.config.tick_seconds)
    for block in small_transformer.blocks:
        assert isinstance(block, Block)
        share, _ = block.attend(expected, angles, None, None)
        expected = expected + share
        normed = block.norm_feed(expected)
        experts = [name for name, count in spans for _ in range(count)]
        fed = [block.experts[name](normed[:, k : k + 1]) for k, name in enumerate(experts)]
        expected = expected + torch.cat(fed, dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_config_survives_json(small_transformer: WorldTransformer) -> None:
    config = small_transformer.config
    assert TransformerConfig.from_json(config.to_json()) == config


# The parts.


def test_attention_is_softmax_over_what_may_be_seen() -> None:
    """torch's own, as a slow twin."""
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 2, 5, 8, generator=generator) for _ in range(3))
    mask = torch.rand(2, 1, 5, 5, generator=generator) > 0.4
    mask |= torch.eye(5, dtype=torch.bool)
    twin = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attend(query, key, value, mask), twin, atol=1e-5, rtol=0)


def test_norm_has_unit_power_in_its_own_precision() -> None:
    norm = RMSNorm(64)
    x = 7.0 * torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(x).square().mean(-1), torch.ones(3), atol=1e-4, rtol=0)
    assert norm(x.bfloat16()).dtype == torch.bfloat16


def test_rotary_scores_depend_on_the_difference_of_times_only() -> None:
    generator = torch.Generator().manual_seed(4)
    query, key = torch.randn(1, 16, generator=generator), torch.randn(1, 16, generator=generator)

    def score(query_tick: int, key_tick: int) -> float:
        turned = [
            turn(x, *rotary_angles(torch.tensor([tick]), 16, 1 / 12))
            for x, tick in ((query, query_tick), (key, key_tick))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(9, 4) == pytest.approx(score(25, 20), abs=1e-4)
    assert abs(score(9, 4) - score(9, 5)) > 1e-2


def test_rotary_periods_are_in_seconds() -> None:
    """The fastest pair turns once in 0.25 s, 3 ticks of 1/12 s; the slowest once in 32 s."""
    cosine, sine = rotary_angles(torch.tensor([3, 32 * 12]), 16, 1 / 12)
    torch.testing.assert_close(cosine[0, 0], torch.ones(()), atol=1e-5, rtol=0)
    torch.testing.assert_close(cosine[1, -1], torch.ones(()), atol=1e-4, rtol=0)
    torch.testing.assert_close(sine[1, -1], torch.zeros(()), atol=1e-3, rtol=0)


def test_levels_are_told_apart() -> None:
    """Neighbouring levels lie nearer than distant ones, and no two coincide."""
    torch.manual_seed(0)
    embedding = LevelEmbedding(32)
    rows = embedding(torch.linspace(0, 1, 21)).detach()
    gaps = torch.cdist(rows, rows)
    assert (gaps + torch.eye(21)).min() > 1e-3
    assert gaps[0, 1] < gaps[0, 20]


def _assert_close(out: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in out:
        torch.testing.assert_close(out[name], expected[name], atol=1e-5, rtol=0, msg=name)
