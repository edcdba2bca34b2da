"""Names of files and columns, and how ticks become rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.data import layout
from orrery.streams import StreamSpec
from orrery.worlds.dummy import DummyWorld


@given(
    name=st.sampled_from(["action", "audio.main", "touch.finger", "state", "force"]),
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    num_ticks=st.integers(1, 5),
    num_frames=st.integers(1, 4),
)
def test_rows_hold_exactly_the_ticks(
    name: str, shape: tuple[int, ...], num_ticks: int, num_frames: int
) -> None:
    spec = StreamSpec(name, "vector", "observed", shape, "float32")
    ticks = np.random.default_rng(0).standard_normal((num_ticks, *shape)).astype(np.float32)
    rows = layout.to_rows(spec, ticks, num_frames)
    assert rows.shape == (num_ticks * num_frames, layout.column_width(spec, num_frames))
    np.testing.assert_array_equal(layout.from_rows(spec, rows, num_frames), ticks)


def test_each_row_has_its_own_share_of_the_sound() -> None:
    spec = StreamSpec("audio.main", "audio", "observed", (6, 2), "float32")
    ticks = np.arange(24, dtype=np.float32).reshape(2, 6, 2)
    rows = layout.to_rows(spec, ticks, num_frames=2)
    np.testing.assert_array_equal(rows, np.arange(24).reshape(4, 6))


def test_an_action_stands_in_the_row_that_it_follows() -> None:
    """Action t was done during tick t, so it is what is done after the rows of tick t - 1."""
    spec = StreamSpec("action", "vector", "given", (1,), "float32")
    ticks = np.array([[10.0], [11.0], [12.0]], np.float32)
    assert layout.to_rows(spec, ticks, num_frames=2).ravel().tolist() == [11, 11, 12, 12, 10, 10]


@pytest.mark.parametrize(
    ("stream", "column"),
    [
        ("video.main", "observation.images.main"),
        ("audio.left", "observation.audio.left"),
        ("state", "observation.state"),
        ("camera.main", "observation.camera.main"),
        ("action", "action"),
    ],
)
def test_columns_are_named_as_lerobot_names_them(stream: str, column: str) -> None:
    assert layout.column_of(stream) == column


def test_a_chunk_has_a_thousand_files() -> None:
    root = Path("d")
    assert layout.shard(root, layout.DATA_PATH, 999) == root / "data/chunk-000/file-999.parquet"
    assert layout.shard(root, layout.DATA_PATH, 1000) == root / "data/chunk-001/file-000.parquet"
    path = layout.shard(root, layout.VIDEO_PATH, 1001, video_key="observation.images.main")
    assert path == root / "videos/observation.images.main/chunk-001/file-001.mp4"


def test_features_describe_one_row() -> None:
    table = layout.features(DummyWorld(size=16).spec)
    assert table["observation.images.main"]["dtype"] == "video"
    assert table["observation.images.main"]["shape"] == [16, 16, 3]
    assert table["observation.audio.main"]["shape"] == [2000]  # 1,000 samples a frame, two channels
    assert table["action"]["shape"] == [1]
    assert {"timestamp", "frame_index", "episode_index", "index", "task_index"} < table.keys()
