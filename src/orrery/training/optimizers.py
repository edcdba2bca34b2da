"""Two optimizers as one: Muon for the matrices inside a network, AdamW for everything else.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces the momentum of a weight matrix
by the nearest orthogonal matrix, with five Newton-Schulz steps. A convolution's kernel `[out, in, h, w]` is
the matrix `[out, in * h * w]`. Written out, because `torch.optim.Muon` multiplies in bfloat16, which takes
ten times as long on a CPU that has no instructions for it, and takes one matrix after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MuonWithAdamW", "cosine", "make_optimizer"]


def cosine(step: float, warmup: float, total: float, floor: float = 0.0) -> float:
    """Factor on the learning rate at `step` of `total`: a linear warmup, then half a cosine down to `floor`.

    Above 0 at step 0, 1 at the end of the warmup, `floor` from `total` on.
    """
    if step < warmup:
        return (step + 1.0) / (warmup + 1.0)
    progress = min(1.0, (step - warmup) / max(total - warmup, 1e-9))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


class Muon(torch.optim.Optimizer):
    """Muon on matrices, those of one shape together, in float32. momentum: Nesterov's."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step along the gradients that are there."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for weights in by_shape.values():
                updates = [self._momentum(weight, group["momentum"]) for weight in weights]
                rows, columns = weights[0].shape
                factor = -group["lr"] * math.sqrt(max(1.0, rows / columns))
                for weight, update in zip(weights, orthogonalised(torch.stack(updates)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=factor)

    def _momentum(self, weight: nn.Parameter, momentum: float) -> Tensor:
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum)


def orthogonalised(matrices: Tensor) -> Tensor:
    """About the nearest orthogonal matrix to each of `[N, rows, columns]`: five Newton-Schulz steps."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return x.transpose(1, 2) if tall else x


class MuonWithAdamW:
    """Steps Muon on `matrices` (two or more axes) and AdamW on `others`.

    Make it after the parameters are on their device and in their memory format: Muon works on views of them.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        lr_matrix: float,
        lr_other: float,
        weight_decay: float,
    ) -> None:
        self._matrices = matrices
        self._views = [nn.Parameter(_as_matrix(weight.detach(), weight)) for weight in matrices]
        self._check_views()
        self._parts: dict[str, torch.optim.Optimizer] = {}
        if matrices:
            self._parts["muon"] = Muon(self._views, lr_matrix, weight_decay)
        if others:
            self._parts["adamw"] = torch.optim.AdamW(
                [
                    {"params": [p for p in others if p.ndim >= 2], "weight_decay": weight_decay},
                    {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
                ],
                lr=lr_other,
                betas=(0.9, 0.95),
            )
        self._rates = {"muon": lr_matrix, "adamw": lr_other}
        self._others = others

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters that are trained, for clipping gradients."""
        return [*self._matrices, *self._others]

    def set_scale(self, factor: float) -> None:
        """Multiply both learning rates by `factor`, usually `cosine(...)`."""
        for name, part in self._parts.items():
            for group in part.param_groups:
                group["lr"] = self._rates[name] * factor

    def step(self) -> None:
        """One step along the gradients that are there; parameters without one stay as they are."""
        self._check_views()
        for weight, view in zip(self._matrices, self._views, strict=True):
            view.grad = None if weight.grad is None else _as_matrix(weight.grad, weight)
        for part in self._parts.values():
            part.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in (*self._matrices, *self._views, *self._others):
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Momenta and settings, for `load_state_dict` of an optimizer over the same parameters."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    def _check_views(self) -> None:
        for weight, view in zip(self._matrices, self._views, strict=True):
            if weight.data_ptr() != view.data_ptr():
                raise RuntimeError(
                    f"a parameter {list(weight.shape)} has moved: make the optimizer after `.to(...)`"
                )


def make_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    lr_matrix: float,
    lr_other: float,
    weight_decay: float,
    inner: Callable[[str, Tensor], bool],
) -> MuonWithAdamW:
    """Muon on parameters of two or more axes where `inner(name, parameter)` holds, AdamW on the rest.

    `inner` should be false for first and last layers and for embeddings. Weight decay is decoupled and leaves
    vectors (biases, gains) alone. Parameters that need no gradient are left out.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            (matrices if parameter.ndim >= 2 and inner(name, parameter) else others).append(parameter)
    return MuonWithAdamW(matrices, others, lr_matrix, lr_other, weight_decay)


def _as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """`tensor` as `[out, everything else]`, in the order in which `weight` lies in memory.

    Orthogonalisation does not depend on the order of columns, so either order gives the same step.
    """
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1).flatten(1)
    return tensor.flatten(1)
