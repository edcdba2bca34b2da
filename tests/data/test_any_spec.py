"""Any streams, at any rates and of any lengths, written and read back: numbers equal to the bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orrery.data.dataset import Dataset
from orrery.data.writer import finalize, write_part
from orrery.streams import Clock, Episode, StreamSpec, WorldSpec

NAMES = ["action", "reward", "terminated", "state", "touch.finger", "observation.arm", "Größe", "a b"]


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    frames = draw(st.integers(1, 60))
    return Clock(frames, draw(st.integers(1, 4)), frames * draw(st.integers(1, 200)))


@st.composite
def specs(draw: st.DrawFn, name: str, clock: Clock) -> StreamSpec:
    role = draw(st.sampled_from(["given", "observed", "outcome"]))
    frames = draw(st.sampled_from([1, clock.frames_per_tick]))
    if name == "terminated" or draw(st.booleans()):
        return StreamSpec(name, "choice", role, (frames, 1), "int64", num_choices=draw(st.integers(2, 9)))
    shape = (frames, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    return StreamSpec(name, "vector", role, shape, draw(st.sampled_from(["float32", "float64", "int64"])))


@st.composite
def worlds(draw: st.DrawFn) -> WorldSpec:
    clock = draw(clocks())
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    streams = {name: draw(specs(name, clock)) for name in names}
    if draw(st.booleans()):
        sound = (clock.samples_per_tick, draw(st.integers(1, 2)))
        streams["audio.main"] = StreamSpec("audio.main", "audio", "observed", sound, "float32")
    if draw(st.booleans()):
        size = (clock.frames_per_tick, *(2 * draw(st.integers(8, 12)) for _ in "hw"), 3)
        streams["video.main"] = StreamSpec("video.main", "video", "observed", size, "uint8", "sRGB", 0, 255)
    return WorldSpec(clock, streams)


def payload(spec: StreamSpec, num_ticks: int, rng: np.random.Generator) -> np.ndarray:
    """Any bits of its type below 1e15; of pictures, one grey a frame, which tells it from its neighbours."""
    shape = (num_ticks, *spec.shape)
    if spec.kind == "choice":
        return rng.integers(0, spec.num_choices, shape)
    if spec.kind == "video":
        grey = 20 + 40 * (np.arange(num_ticks * spec.shape[0]) % 6)
        return np.broadcast_to(grey.reshape(num_ticks, -1, 1, 1, 1), shape).astype(np.uint8)
    if spec.kind == "audio":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    if spec.dtype == "int64":
        return rng.integers(-(10**15), 10**15, shape)
    values = np.frombuffer(rng.bytes(8 * int(np.prod(shape))), spec.dtype)[: int(np.prod(shape))]
    return (
        np.where(np.isfinite(values) & (np.abs(values) < 1e15), values, 0).astype(spec.dtype).reshape(shape)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    worlds(), st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(0, 2**32), st.text(max_size=9)
)
def test_written_and_read_back(spec: WorldSpec, lengths: list[int], seed: int, text: str) -> None:
    rng = np.random.default_rng(seed)
    text = text.encode("utf-8", "ignore").decode()
    episodes = [
        Episode(spec, {name: payload(s, num, rng) for name, s in spec.streams.items()}, text, seed=seed)
        for num in lengths
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, episode in enumerate(episodes):
            episode.check()
            write_part(root, number, episode)
        assert finalize(root, {"collect": {"world": "any"}, "spec": spec.to_json()}) == len(lengths)
        dataset = Dataset(root)
        assert dataset.spec == spec
        for number, episode in enumerate(episodes):
            assert dataset.text(number) == text
            assert dataset.num_ticks(number) == lengths[number]
            read = dataset.load(number)
            assert read.keys() == episode.streams.keys()
            for name, expected in episode.streams.items():
                if spec.streams[name].kind == "video":
                    assert np.abs(read[name].astype(int) - expected).max() < 10, "another frame"
                else:
                    assert read[name].dtype == expected.dtype
                    np.testing.assert_array_equal(read[name], expected, err_msg=name)
