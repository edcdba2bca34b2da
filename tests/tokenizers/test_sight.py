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

from orrery.streams import Array
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.sight import BANDS_PER_CELL, FADE_CELLS
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.video import VideoTokenizerConfig
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import CAMERAS

CODEC = StateCodec(num_slots=4, frames=2)
GRID = 16
VIEW = CAMERAS["front"]
HALF = np.tan(VIEW.field_of_view_rad / 2)
DEPTH = 1
"""Of an object, after how near it is; then its size, and what it is."""
NORMALS = slice(3 + CODEC.what_width - 1, 3 + CODEC.what_width - 1 + 9)
ACROSS = slice(NORMALS.stop, NORMALS.stop + 4)
OUT = slice(ACROSS.stop, ACROSS.stop + 2)
OFFSET = slice(OUT.stop, OUT.stop + 2)
GAP = OFFSET.stop
CREASES = slice(GAP + 1 + 16 + 2, GAP + 1 + 16 + 2 + 2)
"""In the coarsest band."""
WITHIN_CELLS = {"ball": 0.06, "box": 0.0005, "box, edge-on": 0.03, "cylinder": 0.15}
"""Straight sides are told exactly, but where a side of a box that faces the camera's direction is hidden in
perspective; of what is round, sixteen lines that touch it."""
PER_OBJECT = OFFSET.stop + len(BANDS_PER_CELL) * (CREASES.stop - GAP)


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
    across = np.abs(turn.inv().apply(np.array(VIEW.position_m) - place))
    kind = "box, edge-on" if shape == "box" and across.min() < size else shape
    np.testing.assert_allclose(found[inside], gap[inside], atol=WITHIN_CELLS[kind])
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
        assert (front[both, DEPTH] < behind[both, DEPTH] - 0.1).all()


def _hits(shape: str, size: float, turn: Rotation, place: Array, rays: Array) -> Array:
    """The normal `[n, 3]` where each ray from the camera first meets a body, in the world; NaN for a miss."""
    start = turn.inv().apply(np.array(VIEW.position_m) - place)
    along = turn.inv().apply(rays)
    found, nearest = np.full(rays.shape, np.nan), np.full(len(rays), np.inf)

    def keep(distance: Array, normal: Array, fits: Array) -> None:
        better = fits & (distance > 0) & (distance < nearest)
        nearest[better], found[better] = distance[better], normal[better]

    with np.errstate(invalid="ignore", divide="ignore"):
        caps = {"box": (0, 1, 2), "cylinder": (2,), "ball": ()}[shape]
        for axis, sign in product(caps, (-1.0, 1.0)):
            distance = (sign * size - start[axis]) / along[:, axis]
            others = np.delete(start + distance[:, None] * along, axis, axis=1)
            reach = np.abs(others).max(1) if shape == "box" else np.linalg.norm(others, axis=1)
            keep(distance, np.broadcast_to(sign * np.eye(3)[axis], along.shape), reach <= size)
        if shape != "box":
            flat = np.array([1.0, 1.0, 1.0 if shape == "ball" else 0.0])
            a, b = ((flat * along) ** 2).sum(1), (flat * along * start).sum(1)
            c = (flat * start**2).sum() - size**2
            distance = (-b - np.sqrt(b**2 - a * c)) / a
            point = start + distance[:, None] * along
            fits = np.isfinite(distance) & ((np.abs(point[:, 2]) <= size) | (shape == "ball"))
            keep(distance, flat * point / size, fits)
    return turn.apply(found)


@given(
    shape=st.sampled_from(["ball", "box", "cylinder"]),
    x=st.floats(-0.2, 0.2),
    size=st.floats(0.03, 0.06),
    seed=st.integers(0, 1000),
)
def test_a_cell_knows_how_the_side_is_turned_that_it_shows(
    shape: str, x: float, size: float, seed: int
) -> None:
    """Against rays that are cast at the body; near a crease either side may be told."""
    turn = Rotation.random(rng=np.random.default_rng(seed))
    place = np.array([x, -0.02, 0.2])
    told, _ = _objects(_state((shape, size, tuple(place)), turn=turn))
    across = np.concatenate([_centres() * 2 / GRID * HALF, np.full((GRID**2, 1), -1.0)], axis=1)
    normals = _hits(shape, size, turn, place, across @ np.array(VIEW.axes).T)
    near = told[:, 0].numpy() == 1.0
    crease = np.arctanh(told[:, CREASES.start].double().numpy().clip(0, 0.9999)) / BANDS_PER_CELL[0]
    gap = np.arctanh(told[:, GAP].double().numpy().clip(0, 0.9999)) / BANDS_PER_CELL[0]
    sure = near & (crease > 0.15) & (gap > 0.3) & np.isfinite(normals[:, 0])
    cosine = (told[:, NORMALS.start : NORMALS.start + 3].double().numpy() * normals).sum(1)[sure]
    assert (cosine > {"ball": 0.95, "box": 0.9999, "cylinder": 0.95}[shape]).all()


@given(seed=st.integers(0, 1000))
def test_a_cell_knows_the_edges_of_a_box_beside_it(seed: int) -> None:
    """How far it is to the nearest that it shows of those that meet in the knee, straight to it, and which
    way; and how the side beyond is turned, which is where a step over the edge leads."""
    turn = Rotation.random(rng=np.random.default_rng(seed))
    place, size = np.array([0.05, -0.02, 0.2]), 0.05
    axes = turn.as_matrix().T
    towards = axes @ (np.array(VIEW.position_m) - place)
    axes = np.where(towards[:, None] < 0, -axes, axes)
    knee = place + size * axes.sum(0)
    (corner,), _ = _in_cells(knee[None])
    others, _ = _in_cells(knee - 2 * size * axes)
    along = (others - corner) / np.linalg.norm(others - corner, axis=1, keepdims=True)
    told, _ = _objects(_state(("box", size, tuple(place)), turn=turn))
    told = told.double().numpy()
    shows = np.abs(towards) > size
    for cell in np.flatnonzero(told[:, 0] == 1.0):
        away = _centres()[cell] - corner
        seen = int((axes @ told[cell, NORMALS][:3]).argmax())
        assert shows[seen]
        beside = {k: along[k, 0] * away[1] - along[k, 1] * away[0] for k in range(3) if k != seen}
        nearest, other = sorted(beside, key=lambda k: abs(beside[k]))
        expected = np.tanh(BANDS_PER_CELL[0] * abs(beside[nearest]))
        np.testing.assert_allclose(told[cell, CREASES.start], expected, atol=5e-3)
        normal = np.array([-along[nearest, 1], along[nearest, 0]])
        if abs(beside[nearest]) > 1e-3:
            way = -np.sign(beside[nearest]) * normal
            np.testing.assert_allclose(told[cell, ACROSS][:2], way, atol=2e-3)
        if abs(abs(beside[nearest]) - abs(beside[other])) > 1e-3:
            np.testing.assert_allclose(told[cell, NORMALS][3:6], axes[other], atol=2e-3)


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
