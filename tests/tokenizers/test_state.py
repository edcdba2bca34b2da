"""States as numbers and back, on the real tabletop and on random poses."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from orrery.streams import Array
from orrery.tokenizers.bodies import separation, sphere_gap
from orrery.tokenizers.inertia import COAST_WIDTH
from orrery.tokenizers.state import MOVING_FIELDS, StateCodec
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import CAMERAS

CODEC = StateCodec(num_slots=4, frames=2)
YES, NO = torch.tensor(True), torch.tensor(False)
ANCHOR_FEATURES = slice(1 + CODEC.what_width, 1 + CODEC.what_width + 22)
NEIGHBOUR = slice(ANCHOR_FEATURES.stop, ANCHOR_FEATURES.stop + 13)
ACTION = slice(NEIGHBOUR.stop, NEIGHBOUR.stop + 7)
PICTURE = slice(ACTION.stop, ACTION.stop + 9 + 3)
"""Of the first frame: position, six numbers, u, v and apparent size."""
COAST = slice(CODEC.feature_width - 2 * COAST_WIDTH, CODEC.feature_width)
IMPACT = slice(COAST.start - 2 * 7, COAST.start)
"""Seven for each frame, before the last features, which inertia gives."""


def _get(state: Any, name: str) -> Any:
    return state[..., STATE.slice(name)]


def _random_state(seed: int, num_objects: int = 2) -> Tensor:
    """Two frames of random poses and objects, `[2, 4, D]`; slots beyond `num_objects` are empty."""
    rng = np.random.default_rng(seed)
    state = np.zeros((2, 4, STATE.width), np.float32)
    lasting = {
        "present": np.ones((4, 1)),
        "shape": np.eye(len(STATE.shapes))[rng.integers(len(STATE.shapes), size=4)],
        "size": rng.uniform(0.03, 0.06, (4, 3)),
        "colour": rng.uniform(0, 1, (4, 3)),
        "material": np.eye(len(STATE.materials))[rng.integers(len(STATE.materials), size=4)],
    }
    for name, value in lasting.items():
        state[..., STATE.slice(name)] = value
    state[..., STATE.slice("visible")] = rng.integers(0, 2, (2, 4, 1))
    state[..., STATE.slice("position")] = rng.uniform(-0.4, 0.4, (2, 4, 3))
    state[..., STATE.slice("quaternion")] = Rotation.random(8, rng=rng).as_quat().reshape(2, 4, 4)
    state[..., STATE.slice("linear_velocity")] = rng.normal(0, 0.8, (2, 4, 3))
    state[..., STATE.slice("angular_velocity")] = rng.normal(0, 6, (2, 4, 3))
    state[:, num_objects:] = 0.0
    return torch.from_numpy(state)


def _assert_same_state(left: Tensor, right: Tensor) -> None:
    """Within 10 um, 0.1 mrad, 0.02 mm/s and 0.1 mrad/s; what objects are, and whether seen, exactly."""
    limits = {
        "position": 1e-5,
        "linear_velocity": 2e-5,
        "angular_velocity": 1e-4,
        "size": 1e-6,
        "colour": 1e-6,
    }
    for name, limit in limits.items():
        torch.testing.assert_close(_get(left, name), _get(right, name), atol=limit, rtol=1e-5, msg=name)
    for name in ("present", "visible", "shape", "material"):
        assert torch.equal(_get(left, name), _get(right, name)), name
    there = _get(right, "present")[..., 0] > 0
    cosine = (_get(left, "quaternion") * _get(right, "quaternion")).sum(-1).abs()[there]
    assert float(2 * (1 - cosine).clamp_min(0).sqrt().max()) < 2e-3, "the angle between two quaternions"
    gap = torch.minimum(
        (_get(left, "quaternion") - _get(right, "quaternion")).norm(dim=-1),
        (_get(left, "quaternion") + _get(right, "quaternion")).norm(dim=-1),
    )
    assert float(gap[there].max()) < 1e-4, "a quaternion and its negative are one rotation"


@pytest.fixture(scope="module")
def recorded() -> Array:
    """Two seconds of four tabletops, `[4, 24, frames, K, D]`."""
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop.world import TabletopWorld

    world = TabletopWorld(4, streams=["state", "camera.main"])
    ticks = [world.reset(seed=1), *(world.step() for _ in range(23))]
    return np.stack([tick["state"] for tick in ticks], axis=1)


@given(seed=st.integers(0, 10_000), num_objects=st.integers(1, 4))
def test_first_ticks_come_back(seed: int, num_objects: int) -> None:
    state = _random_state(seed, num_objects)
    anchor = torch.zeros(4, STATE.width)
    numbers = CODEC.encode(state, anchor, NO)
    assert numbers.shape == (4, CODEC.width)
    _assert_same_state(CODEC.decode(numbers, anchor, NO), state)


@given(seed=st.integers(0, 10_000), jump=st.floats(-4, 0))
def test_changes_come_back_however_small_or_large(seed: int, jump: float) -> None:
    """From an anchor that is a share (0.0001 to 1) of a whole random jump away."""
    state = _random_state(seed)
    anchor = state[-1].clone()
    share = 10.0**jump
    for name in ("position", "linear_velocity", "angular_velocity"):
        _get(anchor, name)[:] += share * _get(_random_state(seed + 1)[-1], name)
    turn = Rotation.from_rotvec(share * np.random.default_rng(seed).normal(size=(4, 3)))
    quaternion = _get(anchor, "quaternion").numpy()
    turned = turn * Rotation.from_quat(np.where(quaternion.any(-1, keepdims=True), quaternion, [0, 0, 0, 1]))
    _get(anchor, "quaternion")[:2] = torch.from_numpy(turned.as_quat()).float()[:2]
    _assert_same_state(CODEC.decode(CODEC.encode(state, anchor, YES), anchor, YES), state)


def test_recorded_episodes_come_back(recorded: Array) -> None:
    states = torch.from_numpy(recorded)
    anchors = states[:, :-1, -1]
    yes = torch.ones(anchors.shape[:2], dtype=torch.bool)
    _assert_same_state(CODEC.decode(CODEC.encode(states[:, 1:], anchors, yes), anchors, yes), states[:, 1:])


def test_a_rollout_on_its_own_anchors_does_not_drift(recorded: Array) -> None:
    """Each tick counted from the decoded one before, as in generation: errors do not add up."""
    states = torch.from_numpy(recorded)
    no, yes = torch.zeros(len(states), dtype=torch.bool), torch.ones(len(states), dtype=torch.bool)
    anchor = torch.zeros_like(states[:, 0, -1])
    for tick in range(states.shape[1]):
        known = yes if tick else no
        decoded = CODEC.decode(CODEC.encode(states[:, tick], anchor, known), anchor, known)
        anchor = decoded[:, -1]
    _assert_same_state(decoded, states[:, -1])


def test_rest_is_exactly_zero() -> None:
    """Nothing that moves: only what it is, and whether it is seen, says anything."""
    state = _random_state(3, num_objects=4)
    state[0] = state[1]
    moving = CODEC.encode(state, state[-1], YES)[:, CODEC.what_width :].unflatten(-1, (2, 13))
    assert float(moving[..., :12].abs().max()) < 1e-5
    torch.testing.assert_close(moving[..., 12], 2 * _get(state, "visible")[..., 0].T - 1)
    still = CODEC.encode(state, state[-1], YES)
    still.unflatten(-1, (-1,))[:, CODEC.what_width :].unflatten(-1, (2, 13))[..., :12] = 0.0
    assert torch.equal(CODEC.decode(still, state[-1], YES)[..., :5], state[..., :5])


def test_absent_slots_are_zero_both_ways() -> None:
    state = _random_state(5, num_objects=2)
    for anchor, known in ((state[0], YES), (torch.zeros_like(state[0]), NO)):
        numbers = CODEC.encode(state, anchor, known)
        assert numbers[2:, 0].eq(-1).all()
        assert not numbers[2:, 1:].any()
        decoded = CODEC.decode(numbers + 0.3 * torch.randn(numbers.shape), anchor, known)
        assert not decoded[:, 2:].any()


def test_what_an_object_is_stays_with_its_anchor() -> None:
    """A wrong estimate later cannot repaint it; on a first tick the same estimate does."""
    state, other = _random_state(1), _random_state(2)
    numbers = CODEC.encode(other, state[-1], YES)
    kept = CODEC.decode(numbers, state[-1], YES)
    for name in ("shape", "size", "colour", "material"):
        assert torch.equal(_get(kept, name), _get(state, name))
        assert not torch.equal(_get(CODEC.decode(numbers, state[-1], NO), name), _get(state, name))


def test_snapping_makes_a_blurred_estimate_definite() -> None:
    state = _random_state(4, num_objects=3)
    anchor = torch.zeros_like(state[0])
    numbers = CODEC.encode(state, anchor, NO)
    blurred = numbers + 0.5 * torch.sin(torch.arange(numbers.numel()).float()).reshape(numbers.shape)
    definite = CODEC.decode(blurred, anchor, NO)
    for name in ("present", "shape", "material"):
        assert torch.equal(_get(definite, name), _get(state, name))
    soft = CODEC.decode(blurred, anchor, NO, snap=False)
    assert not torch.equal(_get(soft, "shape"), _get(state, "shape"))


@given(st.integers(0, 1000), st.floats(0, 4))
def test_any_numbers_decode_to_a_state(seed: int, power: float) -> None:
    """Finite, unit quaternions, one shape and one material, colours in range: whatever a network says."""
    numbers = 10**power * torch.randn(4, CODEC.width, generator=torch.Generator().manual_seed(seed))
    for known in (YES, NO):
        state = CODEC.decode(numbers, _random_state(seed)[-1], known)
        there = _get(state, "present")[..., 0] > 0
        assert torch.isfinite(state).all()
        lengths = _get(state, "quaternion").norm(dim=-1)
        torch.testing.assert_close(lengths, there.float(), atol=1e-4, rtol=0)
        for name in ("shape", "material"):
            torch.testing.assert_close(_get(state, name).sum(-1), there.float())
        assert _get(state, "colour").min() >= 0
        assert _get(state, "colour").max() <= 1


def test_survives_json() -> None:
    codec = dataclasses.replace(
        CODEC, change_scale=dict.fromkeys(MOVING_FIELDS, 0.5), frame_seconds=0.1, first_gap_m=0.02
    )
    assert StateCodec.from_json(codec.to_json()) == codec


# What the network sees besides.


def _features(state: Tensor, camera: str = "front", level: float = 0.0) -> Tensor:
    """Features of a first frame that is its own anchor."""
    numbers = CODEC.encode(state, state[-1], YES)
    told = CODEC.tell(state[-1], YES)
    return CODEC.features(numbers, state[-1], YES, torch.tensor(level), torch.from_numpy(_pose(camera)), told)


def _pose(camera: str) -> Array:
    axes = CAMERAS[camera].axes
    quaternion = Rotation.from_matrix(axes).as_quat(scalar_first=True)
    view = CAMERAS[camera]
    return np.array([*view.position_m, *quaternion, view.field_of_view_rad], np.float32)


def _one(shape: str, size: tuple[float, float, float], quaternion: Array, height: float) -> Tensor:
    """Both frames of a scene with a single object at rest."""
    state = torch.zeros(2, 4, STATE.width)
    slot = state[:, 0]
    slot[:, STATE.slice("present")] = 1.0
    slot[:, STATE.slice("shape")] = torch.eye(len(STATE.shapes))[STATE.shapes.index(shape)]
    slot[:, STATE.slice("size")] = torch.tensor(size)
    slot[:, STATE.slice("material")] = torch.eye(len(STATE.materials))[0]
    slot[:, STATE.slice("quaternion")] = torch.from_numpy(quaternion.astype(np.float32))
    slot[:, STATE.slice("position")] = torch.tensor([0.1, -0.05, height])
    return state


def _clearance_m(state: Tensor) -> Tensor:
    """`[K]`: the last of the anchor's features, unsquashed."""
    return torch.sinh(_features(state)[:, ANCHOR_FEATURES][:, -1]) * 0.003


def _surface(shape: str, size: tuple[float, float, float]) -> Array:
    """Points all over a body's surface, `[n, 3]`, in its own axes."""
    angle = np.linspace(0, 2 * np.pi, 721)[:, None]
    if shape == "ball":
        points = np.random.default_rng(0).normal(size=(20_000, 3))
        return size[0] * points / np.linalg.norm(points, axis=1, keepdims=True)
    if shape == "box":
        return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * size
    rim = np.concatenate([size[0] * np.cos(angle), size[0] * np.sin(angle), np.zeros_like(angle)], axis=1)
    top = np.array([0.0, 0.0, size[2]])
    return np.concatenate([rim + top, rim - top])


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
@given(seed=st.integers(0, 1000))
def test_clearance_is_the_height_of_the_lowest_point(shape: str, seed: int) -> None:
    """Against all points of the surface, turned at random, within 0.2 mm (the ball's points are sparse)."""
    size = (
        (0.05, 0.05, 0.05)
        if shape == "ball"
        else (0.04, 0.04, 0.055)
        if shape == "cylinder"
        else (0.03, 0.04, 0.05)
    )
    turn = Rotation.random(rng=np.random.default_rng(seed))
    state = _one(shape, size, turn.as_quat(scalar_first=True), height=0.08)
    lowest = 0.08 + turn.apply(_surface(shape, size))[:, 2].min()
    assert float(_clearance_m(state)[0]) == pytest.approx(lowest, abs=2e-4)


def test_an_upright_finger_reaches_down_by_its_cap() -> None:
    state = _one("finger", (0.012, 0.012, 0.06), np.array([1.0, 0, 0, 0]), height=0.1)
    assert float(_clearance_m(state)[0]) == pytest.approx(0.1 - 0.072, abs=1e-5)


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
def test_a_body_at_rest_in_the_real_world_touches_the_table(shape: str) -> None:
    """Dropped and come to rest: its clearance is nothing, within a millimetre."""
    pytest.importorskip("mujoco")
    from orrery.worlds.tabletop.world import TabletopWorld

    world = TabletopWorld(1, streams=["state", "camera.main"])
    world.reset(seed=4, prompt=f"a red {shape} rests on the table")
    for _ in range(12):
        tick = world.step()
    assert abs(float(_clearance_m(torch.from_numpy(tick["state"][0]))[0])) < 1e-3


@pytest.mark.parametrize("camera", CAMERAS)
@given(seed=st.integers(0, 1000))
def test_objects_are_seen_where_the_camera_projects_them(camera: str, seed: int) -> None:
    """u to the right and v up, 1 at the picture's edge: the matrix of `Camera`, written out."""
    state = _random_state(seed)
    view = CAMERAS[camera]
    seen = (_get(state[0, :2], "position").numpy() - np.array(view.position_m)) @ view.axes
    half = np.tan(view.field_of_view_rad / 2)
    depth = -seen[:, 2:]
    features = _features(state, camera)[:2, PICTURE]
    np.testing.assert_allclose(features[:, :3], _get(state[0, :2], "position") / 0.2, atol=1e-4)
    expected = (seen[:, :2] / depth / half).clip(-2, 2)
    np.testing.assert_allclose(features[:, 9:11], expected, atol=1e-3)
    apparent = _get(state[0, :2], "size")[:, :1] / depth / half
    np.testing.assert_allclose(features[:, 11:], 8 * apparent, rtol=1e-3)


def test_an_estimate_is_trusted_as_far_as_its_level_is_low() -> None:
    state = _random_state(6)
    clean, half, nothing = (
        _features(state, level=level)[:, ACTION.stop : COAST.start] for level in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(half, clean / 2)
    assert not nothing.any()


def test_without_an_anchor_nothing_of_it_is_seen() -> None:
    state = _random_state(6)
    numbers = CODEC.encode(state, state[-1], NO)
    camera = torch.from_numpy(_pose("front"))
    told = CODEC.tell(state[-1], NO)
    features = CODEC.features(numbers, state[-1], NO, torch.tensor(0.0), camera, told)
    assert features.shape == (4, CODEC.feature_width)
    assert not features[:, : NEIGHBOUR.stop].any()
    assert features[:, NEIGHBOUR.stop : IMPACT.start].any()
    assert not features[:, IMPACT.start :].any()


def test_impacts_are_told_from_falls() -> None:
    """Two frames, 1/24 s apart: falling, then off the table again with half the speed."""
    state = _one("ball", (0.05,) * 3, np.array([1.0, 0, 0, 0]), height=0.05)
    falling, fall = _one("ball", (0.05,) * 3, np.array([1.0, 0, 0, 0]), height=0.15)[0], 9.81 / 24
    velocities = torch.tensor([-2.0, -2.0 - fall, 1.0])
    _get(falling, "linear_velocity")[0, 2] = velocities[0]
    _get(state, "linear_velocity")[:, 0, 2] = velocities[1:]
    numbers = CODEC.encode(state, falling, YES)
    camera = torch.from_numpy(_pose("front"))
    features = CODEC.features(numbers, falling, YES, torch.tensor(0.0), camera, CODEC.tell(falling, YES))
    told = features[0, IMPACT].unflatten(0, (2, 7))
    torch.testing.assert_close(told[:, 2], velocities.diff() / 0.5, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(told[:, 6], torch.zeros(2), atol=2e-3, rtol=0)
    assert not told[:, [0, 1, 3, 4, 5]].any()


def test_the_nearest_neighbour_is_the_nearest_surface() -> None:
    """A small body 0.2 m away, and a big one whose centre is farther but whose surface is nearer."""
    state = _random_state(8, num_objects=4)
    state[1, 1] = 0.0
    position, size = _get(state[1], "position"), _get(state[1], "size")
    position[0], position[2], position[3] = (
        torch.zeros(3), torch.tensor([0.2, 0, 0]), torch.tensor([0, 0.22, 0]),
    )  # fmt: skip
    size[0], size[2], size[3] = 0.05, 0.03, 0.1
    _get(state[1], "shape")[:] = torch.eye(len(STATE.shapes))[STATE.shapes.index("ball")]
    near = _features(state)[0, NEIGHBOUR]
    gap = 0.22 - 0.05 - 0.1
    torch.testing.assert_close(near[:3], torch.tensor([0, 1.1, 0]))
    torch.testing.assert_close(near[3:6], torch.tensor([0, 1.0, 0]))
    assert float(near[6]) == pytest.approx(np.arcsinh(gap / 0.01), rel=1e-4)
    assert float(near[7]) == pytest.approx(np.arcsinh(gap / 0.002), rel=1e-4)
    assert float(near[8]) == pytest.approx(np.exp(-gap / 0.05), rel=1e-4)
    linear = _get(state[1], "linear_velocity")
    torch.testing.assert_close(near[9:12], linear[3] - linear[0])
    assert float(near[12]) == 1.0, "the last slot is the finger"
    alone = _one("ball", (0.05, 0.05, 0.05), np.array([1.0, 0, 0, 0]), 0.05)
    assert not _features(alone)[0, NEIGHBOUR].any()


def _pair(seed: int, shapes: tuple[str, str], far: float) -> tuple[Tensor, list[Array]]:
    """Two bodies turned at random, centres `far` apart, and points all over their surfaces, `[n, 3]` each."""
    rng = np.random.default_rng(seed)
    state, clouds = torch.zeros(2, 4, STATE.width), []
    for slot, shape in enumerate(shapes):
        size = (0.05, 0.05, 0.06) if shape == "cylinder" else (0.05,) * 3
        turned = Rotation.random(rng=rng)
        at = np.array([0.0, 0.0, 0.2]) + slot * far * Rotation.random(rng=rng).apply([1.0, 0, 0])
        body = _one(shape, size, turned.as_quat(scalar_first=True), 0.0)[:, 0]
        body[:, STATE.slice("position")] = torch.from_numpy(at.astype(np.float32))
        state[:, slot] = body
        surface = _surface(shape, size)
        clouds.append(turned.apply(surface[:: max(1, len(surface) // 3000)]) + at)
    return state, clouds


@pytest.mark.parametrize("shapes", [("ball", "ball"), ("ball", "box"), ("cylinder", "ball"), ("box", "box")])
@given(seed=st.integers(0, 1000), far=st.floats(0.15, 0.3))
@settings(max_examples=15)
def test_the_gap_is_no_wider_than_the_bodies_are_apart(
    shapes: tuple[str, str], seed: int, far: float
) -> None:
    """Against clouds of surface points: never wider, and where a ball is one of them not much narrower."""
    state, clouds = _pair(seed, shapes, far)
    apart = float(cKDTree(clouds[0]).query(clouds[1])[0].min())
    near = _features(state)[:2, NEIGHBOUR]
    gap = torch.sinh(near[:, 6]) * 0.01
    assert float(gap[0]) == pytest.approx(float(gap[1]), abs=1e-5)
    torch.testing.assert_close(near[0, 3:6], -near[1, 3:6], atol=1e-4, rtol=0)
    assert float(gap[0]) <= apart + 1e-4
    if "ball" in shapes:
        assert float(gap[0]) >= apart - 0.02  # at edges and corners the directions tried are not the best


def test_the_gap_to_the_finger_that_pushes_is_nought() -> None:
    """A finger upright at the side of a box, touching it half way up: gap 0, towards the box."""
    state = _one("box", (0.04,) * 3, np.array([1.0, 0, 0, 0]), 0.04)
    finger = _one("finger", (0.012, 0.012, 0.06), np.array([1.0, 0, 0, 0]), 0.1)[:, 0]
    finger[:, STATE.slice("position")] = torch.tensor([0.1 + 0.052, -0.05, 0.1])
    state[:, 3] = finger
    near = _features(state)[:, NEIGHBOUR]
    assert float(near[0, 6]) == pytest.approx(0.0, abs=1e-4)
    torch.testing.assert_close(near[0, 3:6], torch.tensor([1.0, 0, 0]))


def test_the_action_is_seen_by_all_slots_unless_it_is_withheld() -> None:
    state = _random_state(3)
    numbers, camera = CODEC.encode(state, state[-1], YES), torch.from_numpy(_pose("front"))
    action = torch.tensor([[0.1, 0.0, -0.2], [0.3, 0.0, 0.0]])

    def seen(action: Tensor | None) -> Tensor:
        told = CODEC.tell(state[-1], YES, action)
        return CODEC.features(numbers, state[-1], YES, torch.tensor(0.0), camera, told)[:, ACTION]

    gone = torch.asinh(torch.tensor([0.1, 0.0, -0.2, 0.4, 0.0, -0.2]) / 0.2)
    for slot in seen(action):
        torch.testing.assert_close(slot, torch.cat([gone, torch.ones(1)]))
    assert not seen(None).any()
    assert not seen(torch.full_like(action, torch.nan)).any()


# What cells of the picture see, and the table.


def _sight(state: Tensor, grid: int, level: float = 0.0) -> Tensor:
    """`[grid * grid, sight_width]` of a first frame that is its own anchor, from the front."""
    numbers = CODEC.encode(state, state[-1], YES)
    camera = torch.from_numpy(_pose("front"))
    return CODEC.sight(numbers, state[-1], YES, torch.tensor(level), camera, grid)


@given(
    x=st.floats(-0.25, 0.25), y=st.floats(-0.15, 0.15), z=st.floats(0.05, 0.25), grid=st.sampled_from([4, 8])
)
def test_an_object_is_seen_by_the_cell_it_lies_in(x: float, y: float, z: float, grid: int) -> None:
    """Nearness is highest in the cell of its projection (rows from the top), with the offset in cells."""
    state = _one("ball", (0.05, 0.05, 0.05), np.array([1.0, 0, 0, 0]), z)
    state[:, 0, STATE.slice("position")] = torch.tensor([x, y, z])
    view = CAMERAS["front"]
    seen = (np.array([x, y, z]) - np.array(view.position_m)) @ view.axes
    right, up = seen[:2] / -seen[2] / np.tan(view.field_of_view_rad / 2)
    place = np.array([(1 - up) / 2 * grid, (right + 1) / 2 * grid])  # row and column, in cells
    row, column = np.floor(place).astype(int)
    near = _sight(state, grid)[:, 0].reshape(grid, grid)
    within = place - np.floor(place)
    if (np.abs(within - 0.5) < 0.49).all():  # not on the border of two cells
        assert int(near.argmax()) == row * grid + column
    cell = _sight(state, grid)[row * grid + column]
    offset = (within - 0.5)[::-1] * [1, -1]
    np.testing.assert_allclose(cell[1:3] / cell[0], offset, atol=1e-3)
    assert float(cell[0]) == pytest.approx(np.exp(-(offset**2).sum() / 2 / 1.2**2), rel=1e-2)


def test_sight_fades_with_distance_and_with_doubt_and_is_nothing_without_objects() -> None:
    state = _one("ball", (0.05, 0.05, 0.05), np.array([1.0, 0, 0, 0]), 0.05)
    sight = _sight(state, 8)
    assert sight.shape == (64, CODEC.sight_width)
    near = sight[:, 0].reshape(8, 8)
    assert float(near.max()) > 0.7
    assert float(near[0].max()) < 0.01
    torch.testing.assert_close(_sight(state, 8, level=0.5), sight / 2)
    assert not _sight(state, 8, level=1.0).any()
    assert not _sight(torch.zeros_like(state), 8).any()


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
@given(seed=st.integers(0, 1000))
def test_a_cell_knows_the_outline_of_its_object(shape: str, seed: int) -> None:
    """Against points all over the surface, seen along the camera's axis: in each of eight directions, how far
    the outermost lies from the centre, in cells."""
    size = {"ball": (0.05,) * 3, "box": (0.05,) * 3, "cylinder": (0.05, 0.05, 0.06)}[shape]
    turned = Rotation.random(rng=np.random.default_rng(seed))
    state = _one(shape, size, turned.as_quat(scalar_first=True), 0.15)
    view = CAMERAS["front"]
    points = turned.apply(_surface(shape, size)) @ view.axes[:, :2]
    depth = -((np.array([0.1, -0.05, 0.15]) - np.array(view.position_m)) @ view.axes)[2]
    turns = np.arange(8) * np.pi / 8
    reach_m = (points @ np.stack([np.cos(turns), np.sin(turns)])).max(0)
    expected = reach_m / depth / np.tan(view.field_of_view_rad / 2) * 8 / 2
    cell = _sight(state, 8)
    cell = cell[int(cell[:, 0].argmax())] / cell[:, 0].max()
    start = 5 + CODEC.what_width - 1 + 9 + 2
    np.testing.assert_allclose(cell[start : start + 8], expected, rtol=0.01)


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
@given(seed=st.integers(0, 1000))
def test_a_cell_knows_exactly_where_knee_and_outline_lie(shape: str, seed: int) -> None:
    """The knee, against the corner or end that is nearest to the camera; the lines that touch the outline, so
    that the farthest of all points of the surface lies on each; and their waves."""
    size = {"ball": (0.05,) * 3, "box": (0.05,) * 3, "cylinder": (0.05, 0.05, 0.06)}[shape]
    turned = Rotation.random(rng=np.random.default_rng(seed))
    state = _one(shape, size, turned.as_quat(scalar_first=True), 0.15)
    view = CAMERAS["front"]
    scale = -1 / ((np.array([0.1, -0.05, 0.15]) - np.array(view.position_m)) @ view.axes)[2]
    scale /= np.tan(view.field_of_view_rad / 2) / 4  # cells a metre
    cell = _sight(state, 8)
    cell = cell[int(cell[:, 0].argmax())] / cell[:, 0].max()
    offset = cell[1:3].numpy()
    start = 5 + CODEC.what_width - 1 + 9 + 2 + 8
    exact, waves = cell[start : start + 20].numpy(), cell[start + 20 : start + 140].numpy()
    np.testing.assert_allclose(exact[:2], offset, atol=1e-5)
    knees = {"ball": [[0, 0, 0]], "box": list(itertools.product(*([[-0.05, 0.05]] * 3)))}
    knees["cylinder"] = [[0, 0, -0.06], [0, 0, 0.06]]
    seen = turned.apply(np.array(knees[shape], float)) @ view.axes
    if abs(np.sort(seen[:, 2])[-1] - np.sort(seen[:, 2])[-2:][0]) > 1e-3 or shape == "ball":
        nearest = seen[seen[:, 2].argmax(), :2] * scale
        np.testing.assert_allclose(exact[2:4], offset + nearest, atol=2e-3)
    points = offset + turned.apply(_surface(shape, size)) @ view.axes[:, :2] * scale
    towards = np.stack([np.cos(np.arange(8) * np.pi / 8), np.sin(np.arange(8) * np.pi / 8)])
    along = points @ towards
    np.testing.assert_allclose(exact[4:12], along.max(0).clip(-2, 2), atol=0.02)
    np.testing.assert_allclose(exact[12:], (-along.min(0)).clip(-2, 2), atol=0.02)
    angles = 2 * np.pi * exact[:2, None] * np.array([0.5, 1.0, 2.0])
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).ravel()
    np.testing.assert_allclose(waves[:12], expected, atol=1e-4)


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder"])
@given(seed=st.integers(0, 1000))
def test_what_looks_the_same_is_seen_the_same(shape: str, seed: int) -> None:
    """A cube put on another of its sides, a cylinder spun and turned over, a ball turned anyhow."""
    rng = np.random.default_rng(seed)
    turned = Rotation.random(rng=rng)
    symmetry = {
        "ball": Rotation.random(rng=rng),
        "box": Rotation.create_group("O")[int(rng.integers(24))],
        "cylinder": Rotation.from_euler("xz", [np.pi * rng.integers(2), rng.uniform(0, 6)]),
    }[shape]
    size = (0.05, 0.05, 0.05 if shape == "box" else 0.06)
    one, other = (
        _sight(_one(shape, size, r.as_quat(scalar_first=True), 0.15), 8) for r in (turned, turned * symmetry)
    )
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@given(seed=st.integers(0, 1000))
def test_what_reaches_through_the_table_is_lifted_and_nothing_else_changes(seed: int) -> None:
    state = _random_state(seed, num_objects=3)
    lifted = CODEC.lift(state)
    before, after = (
        torch.stack([_clearance_m(s.expand(2, -1, -1)) for s in part]) for part in (state, lifted)
    )
    there = _get(state, "present")[..., 0] > 0
    assert float(after[there].min()) > -1e-4
    sunk = there & (before < -1e-4)
    torch.testing.assert_close(after[sunk], torch.zeros(int(sunk.sum())), atol=1e-4, rtol=0)
    assert torch.equal(lifted[there & (before > 1e-4)], state[there & (before > 1e-4)])
    height = STATE.slice("position").start + 2
    others = [k for k in range(STATE.width) if k != height]
    assert torch.equal(lifted[..., others], state[..., others])
    assert not lifted[~there].any()


# Bodies keep out of one another.


@given(seed=st.integers(0, 1000), far=st.floats(0.002, 0.09))
@settings(max_examples=25)
def test_two_balls_in_one_place_are_moved_apart_until_they_touch(seed: int, far: float) -> None:
    """Each by half of the way, along the line between their centres."""
    state, _ = _pair(seed, ("ball", "ball"), far)
    parted = CODEC.part(state)
    before, after = (STATE.get(s[:, :2], "position").double() for s in (state, parted))
    apart = (after[:, 1] - after[:, 0]).norm(dim=-1)
    torch.testing.assert_close(apart, torch.full((2,), 0.1, dtype=torch.double), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.mean(1), before.mean(1), atol=1e-5, rtol=0)
    rest = [name for name in STATE.fields if name != "position"]
    assert all(torch.equal(STATE.get(parted, name), STATE.get(state, name)) for name in rest)


@pytest.mark.parametrize(
    "shapes", [("ball", "box"), ("cylinder", "ball"), ("box", "box"), ("box", "cylinder")]
)
@given(seed=st.integers(0, 1000), far=st.floats(0.02, 0.3))
@settings(max_examples=15)
def test_bodies_that_keep_apart_stay_and_others_leave_each_other(
    shapes: tuple[str, str], seed: int, far: float
) -> None:
    state, _ = _pair(seed, shapes, far)
    apart = float(separation(state, STATE)[0][0, 0, 1])
    parted = CODEC.part(state)
    if apart > 0:
        assert torch.equal(parted, state)
    else:
        assert float(separation(parted, STATE)[0][0, 0, 1]) > apart / 2 - 1e-4


def test_the_finger_and_what_is_not_there_part_nothing() -> None:
    state, _ = _pair(0, ("ball", "ball"), 0.03)
    for slot in (3, 2):
        other = state.clone()
        other[:, slot] = other[:, 1]
        other[:, 1] = 0.0
        if slot == 2:
            other[:, 2, STATE.slice("present")] = 0.0
        assert torch.equal(CODEC.part(other), other)


# Scenes begin with room between bodies.


@pytest.mark.parametrize("shapes", [("ball", "box"), ("cylinder", "ball"), ("box", "cylinder")])
@given(seed=st.integers(0, 1000), far=st.floats(0.02, 0.5))
@settings(max_examples=15)
def test_bounding_spheres_hold_all_of_their_bodies(shapes: tuple[str, str], seed: int, far: float) -> None:
    """Their gap is what the farthest surface points leave of the distance between the centres."""
    state, clouds = _pair(seed, shapes, far)
    centres = STATE.get(state[0, :2], "position").numpy()
    radii = [np.linalg.norm(c - at, axis=1).max() for c, at in zip(clouds, centres, strict=True)]
    gap = float(sphere_gap(state[0], STATE))
    assert gap == pytest.approx(far - sum(radii), abs=2e-3)
    assert gap <= float(separation(state, STATE)[0][0, 0, 1]) + 1e-5


def test_the_finger_and_what_is_not_there_crowd_nothing() -> None:
    state, _ = _pair(0, ("ball", "ball"), 0.03)
    for slot in (3, 2):
        alone = state[0].clone()
        alone[slot], alone[1] = alone[1], 0.0
        alone[2, STATE.slice("present")] = 0.0
        assert sphere_gap(alone, STATE) == torch.inf


def test_room_is_counted_from_what_few_scenes_begin_with() -> None:
    pairs = [_pair(0, ("ball", "ball"), far)[0] for far in np.linspace(0.1, 0.2, 101)]
    first = torch.stack(pairs)[:, None].expand(-1, 2, -1, -1, -1)
    room = dataclasses.replace(CODEC, first_gap_m=0.001).room(first[:, 0])
    assert int((room < -1e-6).sum()) == 1
    assert float(room[-1]) == pytest.approx(0.099, abs=1e-5)
    assert (CODEC.room(first[:, 0]) == torch.inf).all(), "nothing is known of it"
