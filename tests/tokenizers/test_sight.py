"""What the cells are told in which a decoder draws: against geometry written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from torch import Tensor

from orrery.scenes.scene import CAMERAS
from orrery.streams import STATE, Array
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.sight import BANDS_PER_CELL, FADE_CELLS
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.video import VideoTokenizerConfig

CODEC = StateCodec(num_slots=4, frames=2)
GRID = 16
VIEW = CAMERAS["front"]
HALF = np.tan(VIEW.field_of_view_rad / 2)
ABOUT = slice(1, 1 + 2 + CODEC.what_width - 1 + 9)
"""Of an object, after how near it is: depth, size, what it is, the sides it shows; then the way out."""
SIDES = slice(ABOUT.stop - 9, ABOUT.stop)
OUT = slice(ABOUT.stop, ABOUT.stop + 2)
OFFSET = slice(OUT.stop, OUT.stop + 2)
GAP = OFFSET.stop
EDGES = slice(GAP + 1 + 16 + 2, GAP + 1 + 16 + 2 + 3)
"""In the coarsest band."""
WITHIN_CELLS = {"ball": 0.06, "box": 0.005, "cylinder": 0.15}
"""Straight sides are told exactly; of what is round, sixteen lines that touch it."""
PER_OBJECT = OFFSET.stop + len(BANDS_PER_CELL) * (EDGES.stop - GAP)


def _pose() -> Tensor:
    quaternion = Rotation.from_matrix(VIEW.axes).as_quat(scalar_first=True)
    return torch.tensor([*VIEW.position_m, *quaternion, VIEW.field_of_view_rad], dtype=torch.float32)


def _state(*objects: tuple[str, float, tuple[float, float, float]], turn: Rotation | None = None) -> Tensor:
    """Two frames `[2, 4, D]` of objects that stand still: shape, half size in metres and place."""
    state = torch.zeros(2, 4, STATE.width)
    for slot, (shape, size, place) in enumerate(objects):
        of_slot = state[:, slot]
        of_slot[:, STATE.slice("present")] = 1.0
        of_slot[:, STATE.slice("shape")] = torch.eye(len(STATE.shapes))[STATE.shapes.index(shape)]
        of_slot[:, STATE.slice("size")] = size
        of_slot[:, STATE.slice("material")] = torch.eye(len(STATE.materials))[0]
        turned = (turn or Rotation.identity()).as_quat(scalar_first=True)
        of_slot[:, STATE.slice("quaternion")] = torch.from_numpy(turned.astype(np.float32))
        of_slot[:, STATE.slice("position")] = torch.tensor(place)
    return state


def _objects(state: Tensor) -> tuple[Tensor, Tensor]:
    """What cells are told of the object in front and of the one behind in the first frame, `[cells, n]`."""
    told = CODEC.look(state, _pose(), GRID)[0]
    return told[:, :PER_OBJECT], told[:, PER_OBJECT : 2 * PER_OBJECT]


def _in_cells(points: Array) -> tuple[Array, Array]:
    """Right and up in cells from the picture's middle `[n, 2]`, and depth `[n]`, of points `[n, 3]` m."""
    seen = (points - np.array(VIEW.position_m)) @ VIEW.axes
    return seen[:, :2] / -seen[:, 2:] / HALF * GRID / 2, -seen[:, 2]


def _centres() -> Array:
    """Of all cells, right and up in cells from the picture's middle, rows from the top left."""
    place = np.arange(GRID) + 0.5 - GRID / 2
    return np.stack(np.meshgrid(place, -place), axis=-1).reshape(-1, 2)


def _surface(shape: str, size: float, count: int = 4000) -> Array:
    """Points all over a body about the origin, `[n, 3]` m."""
    rng = np.random.default_rng(0)
    if shape == "ball":
        points = rng.normal(size=(count, 3))
        return size * points / np.linalg.norm(points, axis=1, keepdims=True)
    if shape == "box":
        return size * np.array(list(product((-1.0, 1.0), repeat=3)))
    turn = rng.uniform(0.0, 2.0 * np.pi, count)
    return size * np.stack([np.cos(turn), np.sin(turn), rng.choice([-1.0, 1.0], count)], axis=1)


@given(
    shape=st.sampled_from(["ball", "box", "cylinder"]),
    x=st.floats(-0.3, 0.3),
    y=st.floats(-0.2, 0.2),
    size=st.floats(0.03, 0.06),
    seed=st.integers(0, 1000),
)
def test_a_cell_knows_how_far_inside_an_outline_it_lies(
    shape: str, x: float, y: float, size: float, seed: int
) -> None:
    """In perspective, against the convex hull of many points of the surface; and which way is out."""
    turn = Rotation.random(rng=np.random.default_rng(seed))
    place = np.array([x, y, 0.1])
    points, _ = _in_cells(turn.apply(_surface(shape, size)) + place)
    (middle,), _ = _in_cells(place[None])
    told, _ = _objects(_state((shape, size, tuple(place)), turn=turn))
    sides = ConvexHull(points).equations  # outwards, and how far from the origin
    within = -(_centres() @ sides[:, :2].T + sides[:, 2])
    gap = within.min(axis=1)
    inside = (gap > 0.02) & (told[:, 0].numpy() == 1.0)
    found = np.arctanh(told[:, GAP].double().numpy()) / BANDS_PER_CELL[0]
    np.testing.assert_allclose(found[inside], gap[inside], atol=WITHIN_CELLS[shape])
    np.testing.assert_allclose(told[:, OFFSET].numpy()[inside] * 4, middle - _centres()[inside], atol=1e-3)
    out = told[:, OUT].double().numpy()[inside]
    touching = (points @ out.T).max(axis=0) - (_centres()[inside] * out).sum(axis=1)
    np.testing.assert_allclose(found[inside], touching, atol=0.03)


def test_outside_it_fades_and_without_objects_there_is_nothing() -> None:
    told, behind = _objects(_state(("ball", 0.05, (0.0, 0.0, 0.05))))
    assert float(told[:, 0].max()) == 1.0
    gap = torch.atanh((told[:, GAP] / told[:, 0].clamp_min(1e-9)).double()) / BANDS_PER_CELL[0]
    outside = (gap < 0) & (told[:, 0] > 1e-3)
    expected = torch.exp(-gap[outside].square() / (2 * FADE_CELLS**2))
    torch.testing.assert_close(told[outside, 0].double(), expected, atol=1e-3, rtol=1e-2)
    assert not behind.any()
    assert not CODEC.look(_state(), _pose(), GRID).any()


def test_nothing_that_is_told_is_too_small_for_a_processor_to_be_fast_with() -> None:
    """Of an object at the picture's edge, cells at the other are still told, and not a denormal number."""
    told = CODEC.look(_state(("ball", 0.03, (0.3, 0.2, 0.05))), _pose(), 64)
    assert float(told[told != 0].abs().min()) >= torch.finfo(torch.float32).tiny


def test_what_stands_in_front_comes_first() -> None:
    """Whichever slot it is in; in the cells of both."""
    away = np.array(VIEW.position_m) / np.linalg.norm(VIEW.position_m)
    near, far = (("ball", 0.05, tuple(d * away + [0.0, 0.0, 0.05])) for d in (0.15, -0.05))
    for objects in ((near, far), (far, near)):
        front, behind = _objects(_state(*objects))
        both = (front[:, 0] == 1.0) & (behind[:, 0] == 1.0)
        assert both.any()
        assert (front[both, ABOUT.start] < behind[both, ABOUT.start] - 0.1).all()


@given(seed=st.integers(0, 1000))
def test_a_cell_knows_on_which_side_of_a_boxs_edges_it_lies(seed: int) -> None:
    """Of the three that meet in the corner that faces the camera, from left to right."""
    turn = Rotation.random(rng=np.random.default_rng(seed))
    place = np.array([0.05, -0.02, 0.2])
    axes = turn.as_matrix().T
    axes = np.where((axes @ (np.array(VIEW.position_m) - place))[:, None] < 0, -axes, axes)
    knee = place + 0.05 * axes.sum(0)
    (corner,), _ = _in_cells(knee[None])
    others, _ = _in_cells(knee - 0.1 * axes)
    along = (corner - others) / np.linalg.norm(corner - others, axis=1, keepdims=True)
    told, _ = _objects(_state(("box", 0.05, tuple(place)), turn=turn))
    inside = told[:, 0] == 1.0
    to_corner = corner - _centres()[inside.numpy()]
    expected = to_corner[:, None, 0] * along[:, 1] - to_corner[:, None, 1] * along[:, 0]
    order = np.argsort((axes @ VIEW.axes)[:, 0])
    np.testing.assert_allclose(
        told[inside, EDGES], np.tanh(BANDS_PER_CELL[0] * expected[:, order]), atol=5e-3
    )
    np.testing.assert_allclose(told[inside, SIDES][0], axes[order].ravel(), atol=1e-4)


def test_a_foot_is_nearest_to_the_cell_it_lies_in() -> None:
    """Of a ball in the air, the place on the table right below it."""
    told = CODEC.look(_state(("ball", 0.05, (0.1, 0.05, 0.25))), _pose(), GRID)[0]
    feet = told[:, 2 * PER_OBJECT :]
    assert feet.shape[1] == 10
    (foot,), _ = _in_cells(np.array([[0.1, 0.05, 0.0]]))
    assert int(feet[:, 0].argmax()) == int(np.linalg.norm(_centres() - foot, axis=1).argmin())
    assert not feet[:, 5:].any()


@given(num_objects=st.integers(0, 3), grid=st.sampled_from([2, 8, 16]))
def test_one_frame_is_looked_at_as_if_it_were_the_only_one(num_objects: int, grid: int) -> None:
    """And a decoder that is told nothing is told None."""
    kinds = ("ball", "box", "cylinder")
    state = _state(*((kinds[k], 0.04, (0.1 * k - 0.1, 0.05 * k, 0.1)) for k in range(num_objects)))
    state[1, :num_objects, STATE.slice("position")] += 0.02
    both = CODEC.look(state, _pose(), grid)
    assert both.shape == (2, grid * grid, CODEC.look_width)
    for frame in range(2):
        alone = CODEC.look(state[frame : frame + 1], _pose(), grid)[0]
        torch.testing.assert_close(alone, both[frame], atol=1e-5, rtol=1e-4)
    codecs = Codecs(CODEC, {})
    told = codecs.outlook(VideoTokenizerConfig(sight_grid=16), state, _pose())
    assert told is not None
    assert told.shape == (2, 256, CODEC.look_width)
    assert codecs.outlook(VideoTokenizerConfig(), state, _pose()) is None
