"""Rotations against SciPy's, as the slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from orrery.tokenizers.rotation import (
    conjugate,
    from_rotation_vector,
    multiply,
    rotate,
    six_numbers,
    to_rotation_vector,
)

NUM = 500
RNG = np.random.default_rng(0)
A, B = Rotation.random(NUM, rng=RNG), Rotation.random(NUM, rng=RNG)
VECTORS = RNG.normal(size=(NUM, 3))


def _quaternion(rotation: Rotation) -> torch.Tensor:
    """wxyz, of either sign."""
    xyzw = rotation.as_quat() * np.random.default_rng(1).choice([-1, 1], (len(rotation), 1))
    return torch.from_numpy(xyzw[:, [3, 0, 1, 2]]).float()


def _rotation(quaternion: torch.Tensor) -> Rotation:
    return Rotation.from_quat(quaternion.double().numpy()[:, [1, 2, 3, 0]])


def _angle(left: Rotation, right: Rotation) -> float:
    """Largest angle between two lists of rotations, rad."""
    return float((left * right.inv()).magnitude().max())


def test_multiply_applies_the_right_one_first() -> None:
    assert _angle(_rotation(multiply(_quaternion(A), _quaternion(B))), A * B) < 2e-6


def test_conjugate_is_the_inverse() -> None:
    assert _angle(_rotation(conjugate(_quaternion(A))), A.inv()) < 2e-6


def test_rotate_takes_body_to_world() -> None:
    vectors = torch.from_numpy(VECTORS).float()
    np.testing.assert_allclose(rotate(_quaternion(A), vectors), A.apply(VECTORS), atol=5e-6)


def test_rotation_vector_is_the_short_way_round() -> None:
    """Either sign of a quaternion gives the same vector, no longer than pi."""
    np.testing.assert_allclose(to_rotation_vector(_quaternion(A)), A.as_rotvec(), atol=1e-4)
    assert float(to_rotation_vector(_quaternion(A)).norm(dim=-1).max()) <= np.pi + 1e-6


def test_from_rotation_vector() -> None:
    vectors = A.as_rotvec()
    assert _angle(_rotation(from_rotation_vector(torch.from_numpy(vectors).float())), A) < 2e-6


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-5, 1e-3, 1.0, 3.1, np.pi])
def test_round_trip_at_every_scale_of_angle(angle: float) -> None:
    """Also where sin(x) / x has no digits left: tiny turns keep their relative precision."""
    axes = VECTORS[:50] / np.linalg.norm(VECTORS[:50], axis=1, keepdims=True)
    vectors = torch.from_numpy(axes * angle).float()
    back = to_rotation_vector(from_rotation_vector(vectors))
    if angle == np.pi:  # the axis of half a turn has two directions
        back = back * torch.sign((back * vectors).sum(-1, keepdim=True))
    torch.testing.assert_close(back, vectors, atol=1e-30, rtol=1e-4 if angle > 3 else 1e-5)


def test_unit_length_is_kept() -> None:
    vectors = torch.from_numpy(20.0 * VECTORS).float()
    torch.testing.assert_close(from_rotation_vector(vectors).norm(dim=-1), torch.ones(NUM), atol=1e-5, rtol=0)


def test_six_numbers_are_two_columns_of_the_matrix() -> None:
    matrix = A.as_matrix()
    expected = np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=1)
    np.testing.assert_allclose(six_numbers(_quaternion(A)), expected, atol=5e-6)


def test_gradients_are_finite_at_no_turn() -> None:
    for function, start in (
        (from_rotation_vector, torch.zeros(3)),
        (to_rotation_vector, torch.tensor([1.0, 0, 0, 0])),
    ):
        value = start.clone().requires_grad_()
        function(value).sum().backward()
        assert value.grad is not None
        assert torch.isfinite(value.grad).all()
