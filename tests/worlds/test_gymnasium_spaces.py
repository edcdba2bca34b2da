"""Spaces as JSON and back; observations and actions of any space as streams and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from gymnasium.vector.utils import batch_space, iterate  # noqa: E402

from orrery.errors import BadUse  # noqa: E402
from orrery.worlds.gymnasium.layout import action_layout, observation_layout, recordable  # noqa: E402
from orrery.worlds.gymnasium.spaces import null_action, space_from_json, space_to_json  # noqa: E402

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
FLOATS = (np.float16, np.float32)
INTEGERS = (np.int8, np.uint8, np.int16, np.int32, np.int64)


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(FLOATS + INTEGERS)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        low = rng.normal(0, 10, shape).astype(dtype)
        high = (low + np.abs(rng.normal(0, 10, shape))).astype(dtype)
        infinite = draw(st.sampled_from(["none", "low", "high", "some"]))
        if infinite == "low":
            low = np.full(shape, -np.inf, dtype)
        if infinite == "high":
            high = np.full(shape, np.inf, dtype)
        if infinite == "some":
            low = np.where(rng.random(shape) < 0.5, -np.inf, low).astype(dtype)
        return spaces.Box(low, high, shape, dtype.type)
    information = np.iinfo(dtype)
    ends = rng.integers(information.min, information.max, (2, *shape), np.int64, endpoint=True)
    ends = np.sort(ends, axis=0).astype(dtype)
    return spaces.Box(ends[0], ends[1], shape, dtype.type)


discretes = st.builds(
    lambda n, start, dtype: spaces.Discrete(n, start=start, dtype=dtype),
    st.integers(1, 30), st.integers(-5, 5), st.sampled_from([np.int64, np.int32]),
)  # fmt: skip
multi_discretes = st.builds(
    lambda nvec, start: spaces.MultiDiscrete(nvec, start=[start] * len(nvec)),
    st.lists(st.integers(1, 6) | st.integers(1000, 9000), min_size=1, max_size=20), st.integers(-3, 3),
)  # fmt: skip
grids_of_choices = st.builds(lambda n: spaces.MultiDiscrete(np.full((2, 3), n)), st.integers(1, 4))
texts = st.builds(
    lambda longest, letters: spaces.Text(longest, min_length=0, charset="".join(letters)),
    st.integers(1, 9), st.sets(st.characters(exclude_categories=()), min_size=1, max_size=9),
)  # fmt: skip
bits = st.one_of(st.integers(1, 12), st.just([2, 3])).map(spaces.MultiBinary)
leaves = st.one_of(boxes(), discretes, multi_discretes, grids_of_choices, bits)
keys = st.sampled_from(["a", "b c", "b_c", "B_C", "arm/left", "d.e", "d", "3", "größe", "", "image", "main"])
any_space = st.recursive(
    leaves | texts,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(spaces.Tuple),
        st.dictionaries(keys, part, max_size=3).map(lambda d: spaces.Dict(list(d.items()))),
    ),
    max_leaves=5,
)
PICTURES = [
    spaces.Box(0, 255, (30, 40, 3), np.uint8),
    spaces.Box(0, 255, (3, 30, 40), np.uint8),
    spaces.Box(0, 255, (30, 40, 1), np.uint8),
    spaces.Box(0, 255, (30, 40), np.uint8),
    spaces.Box(9, 99, (30, 40), np.uint8),
]
STACKS = [
    (spaces.Box(0, 255, (30, 40, 4), np.uint8), ["alpha"]),
    (spaces.Box(0, 255, (4, 30, 40), np.uint8), ["0", "1", "2"]),
    (spaces.Box(0, 255, (30, 40, 5), np.uint8), ["0", "1", "2", "3"]),
    (spaces.Box(0, 255, (2, 30, 40, 3), np.uint8), ["0"]),
    (spaces.Box(0, 255, (2, 1, 30, 40), np.uint8), ["0"]),
    (spaces.Box(0, 255, (3, 30, 40, 1), np.uint8), ["0", "1"]),
    (spaces.Box(0, 255, (30, 40, 3, 2), np.uint8), ["0"]),
]
SOUNDS = [
    spaces.Dict({"sound": spaces.Box(0, 255, (32,), np.uint8)}),
    spaces.Dict({"audio": spaces.Box(-32768, 32767, (32, 2), np.int16)}),
    spaces.Dict({"audio": spaces.Box(-1.0, 1.0, (32,), np.float32)}),
]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    left, right = np.asarray(left), np.asarray(right)
    return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())


def exact(left: Any, right: Any) -> bool:
    """Equality of spaces without Gymnasium's tolerance, and in the order of their parts."""
    if isinstance(left, spaces.Dict):
        pairs = zip(left.spaces.items(), right.spaces.items(), strict=True)
        return all(a == b and exact(x, y) for (a, x), (b, y) in pairs)
    if isinstance(left, spaces.Tuple):
        return all(map(exact, left.spaces, right.spaces))
    if isinstance(left, spaces.Box):
        ends = (same(left.low, right.low), same(left.high, right.high))
        bounded = (
            (left.bounded_below == right.bounded_below).all(),
            (left.bounded_above == right.bounded_above).all(),
        )
        return all(ends) and all(bounded)
    return left == right and left.dtype == right.dtype


@given(any_space)
@settings(max_examples=150, deadline=None)
def test_spaces_survive_json_exactly(space: Any) -> None:
    again = space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))
    assert again == space
    assert exact(space, again)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, np.inf, (3,), np.float64),
        spaces.Box(np.array([0.1, -np.inf]), np.array([np.pi, 1e300]), dtype=np.float64),
        spaces.Box(-np.inf, np.inf, (2,), np.int64),
        spaces.Box(0, np.inf, (2,), np.int32),
        spaces.Box(0, 2**63 - 1, (), np.int64),
        spaces.Box(0, 1, (2,), bool),
        spaces.Box(0.0, 1.0, (0,)),
        spaces.Dict(),
        spaces.Text(5, min_length=0, charset="zyx 🪐\0"),
        *PICTURES,
        *SOUNDS,
    ],
    ids=str,
)
def test_particular_spaces_survive_json(space: Any) -> None:
    again = space_from_json(json.loads(json.dumps(space_to_json(space), allow_nan=False)))
    assert again == space
    assert exact(space, again)


@given(any_space, st.integers(0, 2**31 - 1))
@settings(max_examples=150, deadline=None)
def test_whatever_is_sampled_survives_as_streams(space: Any, seed: int) -> None:
    layout = observation_layout(space)
    space.seed(seed)
    for _ in range(3):
        sample = space.sample()
        streams = layout.to_streams(sample)
        assert list(streams) == list(layout.streams)
        for name, payload in streams.items():
            layout.streams[name].check(payload, num_leading=0)
            assert layout.streams[name].role == "observed"
        assert same(layout.from_streams(streams), sample)


@given(
    leaves | st.just(spaces.Dict({"go": spaces.Discrete(3), "arm": spaces.Box(-1, 1, (2,))})),
    st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_actions_survive_and_any_numbers_are_an_action(space: Any, seed: int) -> None:
    layout = action_layout(space)
    space.seed(seed)
    sample = space.sample()
    streams = layout.to_streams(sample)
    assert same(layout.from_streams(streams), sample)
    for name, spec in layout.streams.items():
        spec.check(streams[name], num_leading=0)
        assert (spec.role, name.partition(".")[0]) == ("given", "action")
    assert space.contains(null_action(space))
    rng = np.random.default_rng(seed)
    wild = {n: rng.normal(0, 50, s.shape).astype(s.dtype) for n, s in layout.streams.items()}
    assert space.contains(layout.from_streams(wild))


@given(any_space, st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_batch_is_its_parts(space: Any, size: int) -> None:
    """As in `gymnasium.vector`, whose own tools take a batch apart."""
    layout = observation_layout(space)
    space.seed(0)
    samples = [space.sample() for _ in range(size)]
    each = [layout.to_streams(sample) for sample in samples]
    batch = {name: np.stack([streams[name] for streams in each]) for name in layout.streams}
    if not batch:
        return
    value = layout.from_streams(batch, num_leading=1)
    whole = layout.to_streams(value, num_leading=1)
    assert same(whole, batch)
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return
    for one, sample in zip(iterate(batch_space(space, size), value), samples, strict=True):
        assert (np.asarray(one) == np.asarray(sample)).all()


@pytest.mark.parametrize("space", [*PICTURES, *SOUNDS], ids=str)
def test_pictures_and_sound_have_streams_of_their_own(space: Any) -> None:
    layout = observation_layout(space)
    space.seed(0)
    sample = space.sample()
    streams = layout.to_streams(sample)
    (spec,) = layout.streams.values()
    assert spec.name == ("audio.main" if isinstance(space, spaces.Dict) else "video.main")
    assert spec.kind == ("audio" if isinstance(space, spaces.Dict) else "video")
    spec.check(streams[spec.name], num_leading=0)
    again = layout.from_streams(streams)
    if (
        isinstance(space, spaces.Dict)
        and space["audio" if "audio" in space.spaces else "sound"].dtype == np.float32
    ):
        np.testing.assert_allclose(again["audio"], sample["audio"], atol=1e-7)
    else:
        assert same(again, sample)


@pytest.mark.parametrize(("space", "others"), STACKS, ids=str)
def test_stacked_and_see_through_pictures_are_several_and_come_back(space: Any, others: list[str]) -> None:
    layout = observation_layout(space)
    names = {"video.main", *(f"video.main.{other}" for other in others)}
    assert set(layout.streams) == names
    assert {spec.shape for spec in layout.streams.values()} == {(1, 30, 40, 3)}
    space.seed(0)
    sample = space.sample()
    assert same(layout.from_streams(layout.to_streams(sample)), sample)
    batch = np.stack([sample, space.sample()])
    streams = layout.to_streams(batch, num_leading=1)
    assert same(layout.from_streams(streams, num_leading=1), batch)


def test_the_last_of_a_stack_is_the_main_picture() -> None:
    value = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((4, 30, 40), np.uint8)
    streams = observation_layout(STACKS[1][0]).to_streams(value)
    assert {name: int(picture.max()) for name, picture in streams.items()} == {
        "video.main.0": 0, "video.main.1": 1, "video.main.2": 2, "video.main": 3,
    }  # fmt: skip


@pytest.mark.parametrize("full", [1.0, 255.0])
def test_colours_of_floats_are_pictures_to_a_byte(full: float) -> None:
    space = spaces.Box(0, full, (30, 40, 3), np.float32)
    layout = observation_layout(space)
    assert layout.streams["video.main"].dtype == "uint8"
    space.seed(0)
    sample = space.sample()
    again = layout.from_streams(layout.to_streams(sample))
    assert again.dtype == np.float32
    assert np.abs(again - sample).max() <= 0.5 * full / 255 + 1e-6
    grey = observation_layout(spaces.Box(0, 1, (30, 40), np.float32))  # it may be anything
    assert list(grey.streams) == ["observation"]


def test_pictures_of_another_size_come_back_at_their_own() -> None:
    space = PICTURES[0]
    layout = observation_layout(space, (8, 10))
    assert layout.streams["video.main"].shape == (1, 8, 10, 3)
    streams = layout.to_streams(np.full((30, 40, 3), 77, np.uint8))
    assert (streams["video.main"] == 77).all()
    assert same(layout.from_streams(streams), np.full((30, 40, 3), 77, np.uint8))


def test_names_follow_the_path() -> None:
    space = spaces.Dict(
        {
            "arm": spaces.Dict({"joints": spaces.Box(-1, 1, (7,)), "grip": spaces.Discrete(2)}),
            "wrist": PICTURES[0],
            "image": PICTURES[0],
            "codes": spaces.Box(0, 255, (7, 7, 3), np.uint8),
            "pair": spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(3)]),
            "depth": spaces.Box(0, 255, (30, 40, 1), np.uint8),
        }
    )
    streams = observation_layout(space, 24).streams
    assert {n: (s.kind, s.shape) for n, s in streams.items()} == {
        "observation.arm.joints": ("vector", (1, 7)),
        "observation.arm.grip": ("choice", (1, 1)),
        "video.wrist": ("video", (1, 24, 24, 3)),
        "video.main": ("video", (1, 24, 24, 3)),
        "observation.codes": ("vector", (1, 147)),
        "observation.pair.0": ("choice", (1, 1)),
        "observation.pair.1": ("vector", (1, 3)),
        "depth.main": ("vector", (1, 24, 24)),
    }
    many = action_layout(spaces.MultiDiscrete([3] * 20)).streams
    assert [(s.name, s.kind, s.shape, s.groups) for s in many.values()] == [("action", "vector", (1, 60), 20)]
    few = action_layout(spaces.MultiDiscrete([3, 2])).streams
    assert [(s.name, s.num_choices) for s in few.values()] == [("action.0", 3), ("action.1", 2)]


def test_float64_is_rounded_to_float32_and_stays_inside() -> None:
    space = spaces.Box(np.array([0.1]), np.array([0.3]), dtype=np.float64)
    layout = observation_layout(space)
    for value in (0.1, 0.3, 0.123456789):
        again = layout.from_streams(layout.to_streams(np.array([value])))
        assert space.contains(again)
        np.testing.assert_allclose(again, value, rtol=1e-7)


@pytest.mark.parametrize("kind", [*INTEGERS, np.uint32, np.uint64], ids=lambda kind: kind.__name__)
def test_whole_numbers_are_exact_and_what_is_imagined_of_them_is_near(kind: Any) -> None:
    limits = np.iinfo(kind)
    space = spaces.Box(limits.min, limits.max, (4,), kind)
    layout = observation_layout(space)
    sample = np.array([limits.min, limits.max, limits.max - 1, limits.max // 3], kind)
    assert same(layout.from_streams(layout.to_streams(sample)), sample)
    imagined = {
        "observation": np.array([[limits.min, 2.0 * limits.max, limits.max // 3, -np.inf]], np.float32)
    }
    again = layout.from_streams(imagined)
    assert space.contains(again)
    np.testing.assert_allclose(
        again.astype(float), [limits.min, limits.max, limits.max // 3, limits.min], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (spaces.Sequence(spaces.Discrete(2)), "observation is Sequence.*wrap the environment"),
        (spaces.Dict({"goal": spaces.OneOf([spaces.Discrete(2)])}), "observation.goal is OneOf"),
        (spaces.Box(0, 1, (800, 800)), "640,000 numbers a step"),
    ],
)
def test_what_no_stream_holds_is_refused_by_name(space: Any, said: str) -> None:
    with pytest.raises(BadUse, match=said):
        observation_layout(space)


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Sequence(spaces.Discrete(2))], ids=str)
def test_actions_are_numbers_and_choices(space: Any) -> None:
    with pytest.raises(BadUse, match=r"action\.say is (Text|Sequence).*numbers and choices"):
        action_layout(spaces.Dict({"say": space, "go": spaces.Discrete(2)}))


class Words(spaces.Space[str]):
    """A space of another's making, as MiniGrid has."""

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return "go to the red ball"


class Odd(spaces.Space[Any]):
    """Another, of arrays of one kind of number."""

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        return np.zeros((2, 3), self.dtype)


def test_what_no_stream_holds_is_left_out_and_the_rest_keeps_its_place() -> None:
    space = spaces.Dict(
        [
            ("a", spaces.Discrete(3)),
            ("list", spaces.Sequence(spaces.Discrete(2))),
            ("pair", spaces.Tuple([spaces.Graph(spaces.Discrete(2), None), spaces.Box(-1, 1, (2,))])),
            ("huge", spaces.Box(0, 1, (800, 800))),
            ("words", Words()),
            ("floats", Odd(dtype=np.float64)),
            ("bytes", Odd(dtype=np.uint8)),
        ]
    )
    kept, left_out = recordable(space)
    assert left_out.keys() == {"observation.list", "observation.pair.0", "observation.huge"}
    assert left_out["observation.list"] == "Sequence(Discrete(2), stack=False), which no stream can hold"
    layout = observation_layout(kept)
    assert list(layout.streams) == [
        "observation.a", "observation.pair.1", "observation.words", "observation.floats", "observation.bytes",
    ]  # fmt: skip
    space.seed(0)
    sample = {key: part.sample() for key, part in space.spaces.items() if key != "huge"}
    again = layout.from_streams(layout.to_streams(sample))
    assert list(again) == ["a", "pair", "words", "floats", "bytes"]
    assert again["pair"][0] == {}
    assert same(again["pair"][1], sample["pair"][1])
    assert (again["words"], again["a"]) == ("go to the red ball", sample["a"])
    assert space_from_json(space_to_json(kept)) == kept
    assert recordable(spaces.Sequence(spaces.Discrete(2)))[0] == spaces.Dict()


def test_a_text_keeps_letters_that_its_space_lacks_and_one_too_long_is_refused() -> None:
    layout = observation_layout(spaces.Dict({"mission": spaces.Text(20)}))
    for text in ("pick up the ball", "", "größer 🪐", "a\0b"):
        assert layout.from_streams(layout.to_streams({"mission": text})) == {"mission": text}
    batch = {"mission": ("one", "and two")}
    streams = layout.to_streams(batch, num_leading=1)
    assert streams["observation.mission"].shape == (2, 1, 20)
    assert layout.from_streams(streams, num_leading=1) == batch
    for value, said in [
        ("x" * 21, "mission: its text has 21 characters, and its space 20"),
        (3, "3 is no text"),
    ]:
        with pytest.raises(ValueError, match=said):
            layout.to_streams({"mission": value})
    wild = np.random.default_rng(0).normal(0, 1e7, (1, 20)).astype(np.float32)
    assert isinstance(layout.from_streams({"observation.mission": wild})["mission"], str)


@pytest.mark.parametrize(
    ("space", "value", "said"),
    [
        (spaces.Discrete(5, start=2), 7, "observation: choices are 2 to 6, got 7"),
        (spaces.Box(-1, 1, (3,)), [0.0, 1.0], r"observation: \[2\] numbers where there should be \[3\]"),
        (spaces.Box(-1, 1, (3,)), None, "observation: "),
        (spaces.Dict({"a": spaces.Discrete(2)}), {"b": 1}, "observation.a is not there"),
        (spaces.Tuple([spaces.Discrete(2)] * 2), (1,), "observation.1 is not there"),
    ],
    ids=str,
)
def test_a_value_that_is_none_of_the_space_is_named(space: Any, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        observation_layout(space).to_streams(value)


def test_numbers_outside_of_their_bounds_are_counted() -> None:
    layout = observation_layout(spaces.Dict({"x": spaces.Box(-1, 1, (2,)), "y": spaces.Discrete(3)}))
    ticks = [layout.to_streams({"x": np.array([0.0, x]), "y": 1}) for x in (0.5, 1.0, 1.5, -7.0, np.nan)]
    streams = {name: np.stack([tick[name] for tick in ticks]) for name in layout.streams}
    assert layout.outside(streams) == {"observation.x": 2}
    assert layout.outside({}) == {}


def test_sequences_and_unknown_spaces_have_no_json() -> None:
    with pytest.raises(BadUse, match="Sequence"):
        space_to_json(spaces.Sequence(spaces.Discrete(3)))
    with pytest.raises(BadUse, match="'Blob'"):
        space_from_json({"space": "Blob"})
    with pytest.raises(BadUse, match="action space of numbers"):
        action_layout(spaces.Dict())
