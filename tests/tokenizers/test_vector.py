"""Small streams as one token, and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orrery.tokenizers.vector import VectorCodec

CAMERA = VectorCodec(
    (8,), shift=tuple(0.1 * k for k in range(8)), scale=tuple(0.05 + 0.1 * k for k in range(8))
)
TOUCH = VectorCodec((2, 4, 4, 3), scale=(0.05,), squash=True)


@pytest.mark.parametrize("codec", [CAMERA, TOUCH, VectorCodec((2, 3), scale=(0.4,))])
@given(seed=st.integers(0, 1000), power=st.floats(-3, 1))
def test_round_trip(codec: VectorCodec, seed: int, power: float) -> None:
    payload = 10**power * torch.randn(2, 5, *codec.shape, generator=torch.Generator().manual_seed(seed))
    numbers = codec.encode(payload)
    assert numbers.shape == (2, 5, 1, codec.width)
    torch.testing.assert_close(codec.decode(numbers), payload, atol=1e-6, rtol=1e-4)


def test_numbers_are_shifted_and_scaled_one_by_one() -> None:
    shift, scale = torch.tensor(CAMERA.shift), torch.tensor(CAMERA.scale)
    assert not CAMERA.encode(shift[None]).any()
    torch.testing.assert_close(CAMERA.encode((shift + scale)[None]), torch.ones(1, 1, 8))


def test_squash_keeps_zero_and_tames_what_is_large() -> None:
    """Up to a scale it is linear, beyond that logarithmic: 100 N is 2,000 scales and 8.3."""
    payload = torch.zeros(1, 2, 4, 4, 3)
    assert not TOUCH.encode(payload).any()
    payload[..., 0] = 0.0005
    payload[..., 1] = 100.0
    numbers = TOUCH.encode(payload).unflatten(-1, TOUCH.shape)
    torch.testing.assert_close(numbers[..., 0].unique(), torch.tensor([0.01]), atol=1e-5, rtol=0)
    assert float(numbers[..., 1].max()) == pytest.approx(8.294, abs=1e-3)


def test_a_wild_estimate_stays_finite() -> None:
    wild = torch.full((1, 1, TOUCH.width), 1e6)
    assert torch.isfinite(TOUCH.decode(wild)).all()


@pytest.mark.parametrize("codec", [CAMERA, TOUCH])
def test_survives_json(codec: VectorCodec) -> None:
    assert VectorCodec.from_json(codec.to_json()) == codec
