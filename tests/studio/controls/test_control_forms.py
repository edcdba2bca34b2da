"""The 8-bit forms, and arrays on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.studio.controls.arrays import FrameArray
from orrery.studio.controls.depth import InverseRange, depth_of_bytes
from orrery.studio.controls.flow import flow_picture
from orrery.studio.controls.segmentation import MOST_INSTANCES, instance_names, palette


def test_depth_as_bytes_is_inverse_depth_and_comes_back_within_half_a_level() -> None:
    depth = np.random.default_rng(0).uniform(0.4, 5.0, (3, 20, 30)).astype(np.float32)
    over = InverseRange()
    for frame in depth:
        over.add(frame)
    pictures = np.array([over.picture(frame) for frame in depth])
    assert pictures.dtype == np.uint8
    assert (pictures == pictures[..., :1]).all()
    assert pictures[..., 0][depth == depth.min()] == 255
    assert pictures[..., 0][depth == depth.max()] == 0
    back = depth_of_bytes(pictures[..., 0], over.near_m, over.far_m)
    half_a_level = 0.501 / 255 * (1 / over.near_m - 1 / over.far_m)
    assert np.abs(1 / back - 1 / depth).max() <= half_a_level


def test_where_nothing_is_depth_is_black() -> None:
    over = InverseRange()
    depth = np.array([[0.5, 1.0, np.inf]], np.float32)
    over.add(depth)
    np.testing.assert_array_equal(over.picture(depth)[0, :, 0], [255, 128, 0])
    np.testing.assert_allclose(
        depth_of_bytes(np.array([255, 0], np.uint8), over.near_m, over.far_m), [0.5, np.inf]
    )


def test_one_depth_all_over_is_white() -> None:
    over = InverseRange()
    over.add(np.full((2, 2), 3.0, np.float32))
    assert (over.picture(np.full((2, 2), 3.0, np.float32)) == 255).all()


def test_flow_is_shown_on_the_wheel_that_all_use() -> None:
    """Right red, left cyan, down yellow, up blue; longer is more coloured; rest is white."""
    ways = np.array([[[2.0, 0], [-2, 0], [0, 2], [0, -2], [1, 0], [0, 0], [np.nan, 0]]])
    right, left, down, up, half, rest, gone = flow_picture(ways, 2.0)[0].astype(int)
    assert right[0] == 255
    assert right[1:].max() <= 50
    assert left[0] <= 10
    assert left[1:].min() >= 200
    assert down[:2].min() >= 100
    assert down[2] == 0
    assert up[2] == 255
    assert up[1] == 0
    np.testing.assert_allclose(half, (right + 255) / 2, atol=1)
    assert (rest == 255).all()
    assert (gone == 0).all()


def test_every_instance_has_a_colour_of_its_own() -> None:
    colours = palette()
    assert len(np.unique(colours, axis=0)) == MOST_INSTANCES + 1
    assert (colours[0] == 0).all()
    few = colours[:16].astype(int)
    apart = np.abs(few[:, None] - few[None]).sum(-1) + 1000 * np.eye(16, dtype=int)
    assert apart.min() > 60


def test_instances_have_the_names_that_people_use() -> None:
    names = instance_names(["world", "object0", ""], {"world": "table", "object0": "marble"})
    assert names == {0: "background", 1: "table", 2: "marble", 3: "body 2"}


def test_an_array_is_written_frame_by_frame(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    with FrameArray(tmp_path / "a.npy", 4, (3, 5), "float32") as array:
        for frame in values:
            array.add(frame)
        np.testing.assert_array_equal(array.read(), values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)


def test_an_array_of_another_form_or_length_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="expected 1 frames"),
        FrameArray(tmp_path / "a.npy", 1, (3,), "uint8") as array,
    ):
        array.add(np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="2 frames are missing"):
        FrameArray(tmp_path / "b.npy", 2, (3,), "uint8").__exit__(None, None, None)
