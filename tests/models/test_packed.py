"""Weights of a byte each: how far off they are, what is left alone, and that worlds are loaded from them."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from orrery.models.packed import pack, unpack


@given(st.integers(1, 80), st.integers(1, 90), st.floats(-6, 3), st.integers(0, 2**31))
def test_a_weight_is_off_by_half_a_step_of_its_row(rows: int, columns: int, size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator) * 10**size
    weight *= torch.logspace(0, -3, rows)[:, None]  # rows of very different sizes
    packed = pack({"weight": weight})
    back = unpack(packed)
    assert set(back) == {"weight"}
    if weight.numel() < 4096:
        assert torch.equal(back["weight"], weight.half())
        return
    assert packed["weight"].dtype == torch.int8
    step = weight.abs().amax(1, keepdim=True).clamp_min(127 * 2.0**-14) / 127
    # half a step, and what rounding the step itself to half precision adds: 2^-11 of up to 127 steps
    assert bool(((back["weight"] - weight).abs() <= step * (0.5 + 127 * 2.0**-11) + 1e-12).all())


def test_kernels_keep_their_shape_and_zeros_stay() -> None:
    weight = torch.randn(32, 16, 3, 3)
    weight[3] = 0.0
    back = unpack(pack({"conv.weight": weight, "conv.bias": torch.randn(32)}))
    assert back["conv.weight"].shape == weight.shape
    assert float(back["conv.weight"][3].abs().max()) == 0.0
    assert back["conv.bias"].dtype == torch.float16


def test_integers_and_what_was_never_packed_are_left_alone() -> None:
    values = {"steps": torch.arange(9000).view(90, 100), "weight": torch.randn(9)}
    assert torch.equal(unpack(pack(values))["steps"], values["steps"])
    assert unpack(values) == values


def test_packing_what_was_packed_changes_nothing() -> None:
    weight = torch.randn(64, 128)
    once = unpack(pack({"w": weight}))
    assert torch.allclose(unpack(pack(once))["w"], once["w"], rtol=2e-3, atol=1e-6)
