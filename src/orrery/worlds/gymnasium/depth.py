"""Depth of environments that Gymnasium draws with MuJoCo, beside what they observe.

Its own segmentation of them (Gymnasium 1.4 with numpy 2) overflows, so that they have no labels.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from orrery.errors import BadUse
from orrery.streams import Array

__all__ = ["DepthBeside"]


class DepthBeside(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says how far away what is seen is. BadUse for an environment that is not drawn by MuJoCo."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        modes = env.unwrapped.metadata.get("render_modes") or []
        if not hasattr(env.unwrapped, "mujoco_renderer") or "depth_array" not in modes:
            raise BadUse("depth is for environments that Gymnasium draws with MuJoCo; leave it out")

    def depth_m(self) -> Array:
        """Distance along the optical axis, `[H, W]` float32 metres, from OpenGL's depth buffer in [0, 1].

        A point at distance z has (1/near - 1/z) / (1/near - 1/far) in it (perspective division).
        """
        base: Any = self.env.unwrapped
        buffer = base.mujoco_renderer.render("depth_array")
        clip, extent = base.model.vis.map, base.model.stat.extent
        near, far = clip.znear * extent, clip.zfar * extent
        return (near / (1.0 - buffer * (1.0 - near / far))).astype(np.float32)
