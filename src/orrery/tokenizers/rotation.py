"""Rotations in torch: wxyz quaternions, rotation vectors and the six-number form networks like.

All functions take any leading axes. Rotations turn body coordinates into world coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["conjugate", "from_rotation_vector", "multiply", "rotate", "six_numbers", "to_rotation_vector"]


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of quaternions `[..., 4]`: first b, then a."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdim=True)
    v = aw * bv + bw * av + torch.linalg.cross(av, bv)
    return torch.cat([w, v], dim=-1)


def conjugate(q: Tensor) -> Tensor:
    """The inverse of a unit quaternion `[..., 4]`."""
    return torch.cat([q[..., :1], -q[..., 1:]], dim=-1)


def rotate(q: Tensor, v: Tensor) -> Tensor:
    """Rotate vectors `[..., 3]` by unit quaternions `[..., 4]`."""
    u = q[..., 1:]
    twice = 2.0 * torch.linalg.cross(u, v)
    return v + q[..., :1] * twice + torch.linalg.cross(u, twice)


def to_rotation_vector(q: Tensor) -> Tensor:
    """Axis times angle `[..., 3]`, radians, angle in [0, pi], of a unit quaternion `[..., 4]`."""
    q = torch.where(q[..., :1] < 0, -q, q)
    sine = q[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(sine, q[..., :1])
    scale = torch.where(sine > 1e-6, angle / sine.clamp_min(1e-6), torch.full_like(sine, 2.0))
    return q[..., 1:] * scale


def from_rotation_vector(v: Tensor) -> Tensor:
    """Unit quaternion `[..., 4]` of a rotation vector `[..., 3]` in radians."""
    half = 0.5 * v.norm(dim=-1, keepdim=True)
    scale = torch.where(
        half > 1e-6, torch.sin(half) / (2.0 * half).clamp_min(1e-6), torch.full_like(half, 0.5)
    )
    return torch.cat([torch.cos(half), v * scale], dim=-1)


def six_numbers(q: Tensor) -> Tensor:
    """First two columns of the rotation matrix, `[..., 6]` (Zhou et al. 2019, arXiv 1812.07035)."""
    x = torch.tensor([1.0, 0.0, 0.0], dtype=q.dtype, device=q.device).expand(*q.shape[:-1], 3)
    y = torch.tensor([0.0, 1.0, 0.0], dtype=q.dtype, device=q.device).expand(*q.shape[:-1], 3)
    return torch.cat([rotate(q, x), rotate(q, y)], dim=-1)
