"""Muon against the singular value decomposition and a slow twin, AdamW against torch's, and the schedule's
closed form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from orrery.training.optimizers import MuonWithAdamW, cosine, make_optimizer, orthogonalised


def muon_on(weight: nn.Parameter, lr: float = 1.0, weight_decay: float = 0.0) -> MuonWithAdamW:
    return make_optimizer([("w", weight)], lr, 0.0, weight_decay, lambda name, parameter: True)


def random_parameter(*shape: int, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.sampled_from([(16, 40), (40, 16), (24, 24), (12, 6, 3, 3), (48, 4, 3, 3), (10, 4, 5)]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 1000),
)
def test_step_is_orthogonal(shape: tuple[int, ...], scale: float, seed: int) -> None:
    """The first step is U S V^T with S near 1, where U, V are those of the gradient's exact decomposition."""
    weight = nn.Parameter(torch.zeros(shape))
    gradient = random_parameter(*shape, seed=seed).detach() * scale
    optimizer = muon_on(weight)
    weight.grad = gradient.clone()
    optimizer.step()
    rows, columns = shape[0], math.prod(shape[1:])
    step = -weight.detach().flatten(1) / math.sqrt(max(1.0, rows / columns))
    u, s, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    singular = torch.linalg.svdvals(step)[s > 0.05 * s.max()]
    assert singular.min() > 0.4
    assert singular.max() < 1.35
    exact = u @ v
    alignment = (step * exact).sum() / (step.norm() * exact.norm())
    assert alignment > 0.95


def slow_steps(weight: Tensor, gradients: list[Tensor], lr: float, weight_decay: float) -> Tensor:
    """Muon as it is published, of one matrix, in double precision."""
    weight, momentum = weight.double(), torch.zeros_like(weight, dtype=torch.float64)
    for gradient in gradients:
        momentum = 0.95 * momentum + 0.05 * gradient.double()
        x = 0.95 * momentum + 0.05 * gradient.double()
        x = x / x.norm()
        for _ in range(5):
            x = 3.4445 * x - 4.7750 * x @ x.T @ x + 2.0315 * x @ x.T @ x @ x.T @ x
        rows, columns = x.shape
        weight = (1 - lr * weight_decay) * weight - lr * max(1.0, rows / columns) ** 0.5 * x
    return weight


def test_matrices_that_step_together_step_as_each_alone() -> None:
    """Of equal shapes and others, one of them without a gradient at times, against the slow twin."""
    shapes = [(6, 10), (10, 6), (6, 10), (6, 10)]
    weights = [random_parameter(*shape, seed=k) for k, shape in enumerate(shapes)]
    before = [weight.detach().clone() for weight in weights]
    optimizer = make_optimizer(zip("abcd", weights, strict=True), 0.1, 0.0, 0.05, lambda name, p: True)
    given: list[list[Tensor]] = [[] for _ in weights]
    for step in range(4):
        for k, weight in enumerate(weights):
            absent = k == 2 and step == 1
            gradient = random_parameter(*weight.shape, seed=100 * step + k).detach()
            weight.grad = None if absent else gradient
            given[k] += [] if absent else [gradient]
        optimizer.step()
    for weight, start, gradients in zip(weights, before, given, strict=True):
        expected = slow_steps(start, gradients, 0.1, 0.05)
        torch.testing.assert_close(weight.detach().double(), expected, atol=1e-4, rtol=1e-4)


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_orthogonalising_follows_rotations_and_ignores_scale(scale: float, seed: int) -> None:
    """Of `Q G R` it is `Q (that of G) R` for rotations Q and R, and transposing commutes with it."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(8, 12, generator=generator)
    left = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(12, 12, generator=generator))[0]
    plain, rotated, scaled = orthogonalised(torch.stack([matrix, left @ matrix @ right, scale * matrix]))
    torch.testing.assert_close(rotated, left @ plain @ right, atol=1e-3, rtol=0)
    torch.testing.assert_close(scaled, plain, atol=1e-3, rtol=0)
    torch.testing.assert_close(orthogonalised(matrix.T[None])[0], plain.T, atol=1e-4, rtol=0)


def test_layout_in_memory_does_not_matter() -> None:
    plain = random_parameter(12, 8, 3, 3)
    last = nn.Parameter(plain.detach().clone(memory_format=torch.channels_last))
    optimizers = [muon_on(weight, lr=0.1) for weight in (plain, last)]
    for seed in range(3):
        gradient = random_parameter(12, 8, 3, 3, seed=seed).detach()
        for weight, optimizer in zip((plain, last), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(plain, last, atol=1e-4, rtol=1e-4)


def test_each_parameter_goes_to_its_optimizer() -> None:
    """Not inner, or a vector: AdamW, bit for bit. Without a gradient or frozen: left as it is."""
    network = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    twin = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    twin.load_state_dict(network.state_dict())
    network[2].bias.requires_grad_(False)

    def inner(name: str, parameter: Tensor) -> bool:
        return name.startswith("1.")

    optimizer = make_optimizer(network.named_parameters(), 0.02, 2e-3, 0.1, inner)
    assert len(optimizer.parameters) == 5
    decayed = [twin[0].weight, twin[2].weight]
    plain = [twin[0].bias, twin[1].bias]
    groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.95), weight_decay=0.1)
    before = twin[1].weight.detach().clone()
    for seed in range(3):
        for parameter, other in zip(network.parameters(), twin.parameters(), strict=True):
            if parameter.requires_grad:
                parameter.grad = random_parameter(*parameter.shape, seed=seed).detach()
                other.grad = parameter.grad.clone()
        optimizer.step()
        reference.step()
    for name in ("0.weight", "0.bias", "1.bias", "2.weight", "2.bias"):
        assert torch.equal(network.get_parameter(name), twin.get_parameter(name)), name
    assert (network[1].weight - before).norm() > 0.05
    optimizer.zero_grad()
    assert all(p.grad is None for p in optimizer.parameters)
    unchanged = network[1].weight.detach().clone()
    optimizer.step()
    assert torch.equal(unchanged, network[1].weight)


def test_weight_decay_and_scale() -> None:
    """With a zero gradient a Muon step only shrinks: by learning rate x scale x decay."""
    weight = random_parameter(5, 7)
    before = weight.detach().clone()
    optimizer = muon_on(weight, lr=0.5, weight_decay=0.1)
    optimizer.set_scale(0.4)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), before * (1 - 0.5 * 0.4 * 0.1))


def test_state_continues_exactly() -> None:
    def gradients(parameters: list[nn.Parameter], seed: int) -> None:
        for parameter in parameters:
            parameter.grad = random_parameter(*parameter.shape, seed=seed).detach()

    def inner(name: str, parameter: Tensor) -> bool:
        return name == "a"

    first = [random_parameter(6, 4, 3, 3), random_parameter(6)]
    second = [nn.Parameter(p.detach().clone()) for p in first]
    whole = make_optimizer(zip("ab", first, strict=True), 0.02, 1e-2, 0.01, inner)
    before = make_optimizer(zip("ab", second, strict=True), 0.02, 1e-2, 0.01, inner)
    for seed in range(3):
        for parameters, optimizer in ((first, whole), (second, before)):
            gradients(parameters, seed)
            optimizer.step()
    after = make_optimizer(zip("ab", second, strict=True), 0.02, 1e-2, 0.01, inner)
    after.load_state_dict(before.state_dict())
    for seed in range(3, 6):
        for parameters, optimizer in ((first, whole), (second, after)):
            gradients(parameters, seed)
            optimizer.step()
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_moved_parameter_is_noticed() -> None:
    weight = random_parameter(4, 4)
    optimizer = muon_on(weight)
    weight.data = weight.data.clone()
    weight.grad = torch.ones_like(weight)
    with pytest.raises(RuntimeError, match="moved"):
        optimizer.step()


@given(
    warmup=st.integers(0, 100),
    decay=st.integers(1, 1000),
    floor=st.floats(0, 1),
    step=st.integers(0, 2000),
)
def test_cosine(warmup: int, decay: int, floor: float, step: int) -> None:
    total = warmup + decay
    value, following = (cosine(s, warmup, total, floor) for s in (step, step + 1))
    assert 0 <= value <= 1
    if step + 1 <= warmup:
        assert value < following
    else:
        assert value >= following - 1e-12
    assert cosine(warmup, warmup, total, floor) == pytest.approx(1.0)
    assert cosine(total + step, warmup, total, floor) == pytest.approx(floor)
    assert cosine(warmup + decay / 2, warmup, total, floor) == pytest.approx((1 + floor) / 2)
