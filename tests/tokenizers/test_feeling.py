"""What the finger's pad knows of the body it touches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from orrery.tokenizers.feeling import feel, feel_width
from orrery.tokenizers.state import StateCodec
from orrery.worlds.rigid_bodies.state import STATE

WIDTHS = {
    "gap": 1,
    "first_gap": 1,
    "near": 1,
    "towards": 3,
    "past": 3,
    "weight": 1,
    "kick": 3,
    "what": 2,
    "own": 3,
}
FINGER_RADIUS_M = 0.016


def _scene(gap_m: float, size: tuple[float, float, float] = (0.04, 0.05, 0.03)) -> Tensor:
    """A box (slot 1) to the right of the finger (slot 3), `gap_m` away from it; the other slots are empty."""
    state = torch.zeros(4, STATE.width)
    state[[1, 3], STATE.slice("present")] = 1.0
    state[[1, 3], STATE.slice("quaternion").start] = 1.0
    state[1, STATE.slice("size")] = torch.tensor(size)
    state[3, STATE.slice("size")] = torch.tensor([FINGER_RADIUS_M, FINGER_RADIUS_M, 0.07])
    for slot, shape in ((1, "box"), (3, "finger")):
        state[slot, STATE.slice("shape").start + STATE.shapes.index(shape)] = 1.0
    place = STATE.slice("position")
    state[3, place] = torch.tensor([0.0, 0.0, 0.1])
    state[1, place] = torch.tensor([FINGER_RADIUS_M + gap_m + size[0], 0.0, 0.1])
    return state


def _moving(state: Tensor, slot: int, velocity: tuple[float, float, float]) -> Tensor:
    moved = state.clone()
    moved[slot, STATE.slice("linear_velocity")] = torch.tensor(velocity)
    return moved


def _parts(state: Tensor, before: Tensor) -> dict[str, Tensor]:
    what = torch.arange(8.0).reshape(4, 2)
    told = feel(state, before, what, STATE)
    assert told.shape == (feel_width(2),)
    return dict(zip(WIDTHS, told.split(list(WIDTHS.values())), strict=True))


def test_the_nearest_body_is_told_with_its_gap_direction_and_kind() -> None:
    parts = _parts(_scene(0.01), _scene(0.03))
    near = float(np.exp(-0.01 / 0.02))
    assert float(parts["near"]) == pytest.approx(near, abs=1e-4)
    assert float(parts["gap"]) == pytest.approx(near * np.arcsinh(5.0), rel=1e-3)
    assert float(parts["first_gap"]) == pytest.approx(near * np.arcsinh(15.0), rel=1e-3)
    torch.testing.assert_close(parts["towards"] / near, torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(parts["what"] / near, torch.tensor([2.0, 3.0]), atol=1e-3, rtol=0)


def test_impulse_and_weight_are_those_of_a_body_of_water() -> None:
    """A box of 8 x 10 x 6 cm holds 0.48 kg of water: 0.5 m/s more in a frame is 0.24 Ns."""
    still = _scene(0.0)
    kicked = _moving(_moving(still, 1, (0.5, 0.0, 0.0)), 3, (0.2, 0.0, 0.0))
    parts = _parts(kicked, still)
    assert float(torch.sinh(parts["kick"][0])) * 0.002 == pytest.approx(0.48 * 0.5, rel=1e-3)
    assert float(torch.sinh(parts["weight"])) * 0.002 * 24 == pytest.approx(0.48 * 9.81, rel=1e-3)
    assert float(parts["past"][0]) == pytest.approx(0.3, abs=1e-4)
    assert float(torch.sinh(parts["own"][0])) * 0.02 == pytest.approx(0.2, rel=1e-3)


def test_where_nothing_is_near_only_the_finger_itself_is_told() -> None:
    alone = _scene(0.01)
    alone[1] = 0.0
    parts = _parts(_moving(alone, 3, (0.0, 0.0, 0.3)), alone)
    assert all(not value.any() for name, value in parts.items() if name != "own")
    assert float(parts["own"][2]) > 0.0
    assert all(torch.isfinite(value).all() for value in parts.values())


def test_it_fades_with_doubt_and_a_first_frame_has_no_change() -> None:
    codec = StateCodec(num_slots=4, frames=2)
    pushed = torch.stack([_scene(0.0), _moving(_scene(0.0), 1, (0.3, 0.0, 0.0))])
    for has_anchor in (torch.tensor(True), torch.tensor(False)):
        anchor = _moving(_scene(0.0), 1, (-0.2, 0.0, 0.0)) * has_anchor
        numbers = codec.encode(pushed, anchor, has_anchor)
        sure = codec.feeling(numbers, anchor, has_anchor, torch.tensor(0.0))
        assert sure.shape == (1, codec.feeling_width)
        torch.testing.assert_close(
            codec.feeling(numbers, anchor, has_anchor, torch.tensor(0.5)), sure / 2, atol=1e-4, rtol=1e-3
        )
        first, second = (f[10] for f in sure[0].chunk(2))
        assert bool(first.abs() > 1.0) is bool(has_anchor)
        assert float(second) > 1.0


@pytest.mark.parametrize("material", ["wood", "rubber"])
def test_a_real_push_is_as_strong_as_what_is_told_of_it(material: str) -> None:
    """While the finger pushes a box at a steady speed: the density times impulse and friction of the water,
    within a fifth of the mean force."""
    pytest.importorskip("mujoco")
    from orrery.worlds.rigid_bodies.materials import MATERIAL_TABLE
    from orrery.worlds.tabletop.scene import Body, Push, Scene
    from orrery.worlds.tabletop.world import TabletopWorld

    body = Body("box", "red", material, 0.045, (0.0, 0.0, 0.045), motion="pushed")
    world = TabletopWorld(streams=["state", "touch.finger"])
    ticks = [world.reset(seed=0, scene=Scene((body,), push=Push(0, (1.0, 0.0), 0.25, 0.15)))]
    ticks += [world.step() for _ in range(15)]
    state = torch.from_numpy(np.concatenate([tick["state"][0] for tick in ticks]))
    force = np.concatenate([tick["touch.finger"][0] for tick in ticks]).sum((1, 2))[:, 1]
    told = feel(state[1:], state[:-1], torch.zeros(len(state) - 1, 4, 2), STATE)
    near, weight, kick = told[:, 2], told[:, 9], told[:, 10]
    table = MATERIAL_TABLE[material]
    impulse = (torch.sinh(kick / near) + table.friction * torch.sinh(weight / near)) * 0.002
    expected = -(impulse * table.density_kg_m3 / 1000.0 * 24).numpy()  # the box pushes back
    pushed = np.flatnonzero(np.abs(force[1:]) > 0.2)
    steady = pushed[3:-8]
    assert len(steady) >= 6
    assert np.abs(expected[steady] - force[1:][steady]).mean() < 0.2 * np.abs(force[1:][steady]).mean()
