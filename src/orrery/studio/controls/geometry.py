"""The geometry of a film's frames, traced once for all control streams: depth, instances, faces and flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from orrery.streams import Array
from orrery.studio.geoms import SceneGeoms, Sweep
from orrery.studio.kernels.geometry_pass import Pixels, trace_geometry
from orrery.studio.views import launch_rows, picture_camera
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene
from orrery.worlds.rigid_bodies.ray_tracer import start_warp

__all__ = ["BACKGROUND", "GeometryPass", "Seen"]

KERNEL: Any = trace_geometry
"""Warp's kernels have no types."""
BACKGROUND = 0
"""Instance of the backdrop, and of where nothing is."""


@dataclass(frozen=True)
class Seen:
    """What the pixels of a frame are of, `[H, W]`.

    depth_m: float32, along the camera's axis, infinite where nothing is. instance: int32, MuJoCo's body + 1,
    or BACKGROUND. facing: `[H, W, 3]` float32, unit normals in the world's frame, one for each face of a box
    or cylinder; zero where nothing is. flow_px: `[H, W, 2]` float32, how far the point that is seen moves
    until the next frame, right and down, whether or not it is hidden there; NaN where it is then behind the
    camera; None of a last frame. scene: the frame's, of one instant.
    """

    scene: MujocoScene
    depth_m: Array
    instance: Array
    facing: Array
    flow_px: Array | None


class GeometryPass:
    """Traces frames of one model. size: width and height, pixels. sweep: what stands behind, if anything."""

    def __init__(self, size: tuple[int, int], sweep: Sweep | None = None) -> None:
        start_warp()
        self.size, self._sweep = size, sweep
        self._device = wp.get_preferred_device()
        self._geoms: SceneGeoms | None = None
        self._hidden: frozenset[str] = frozenset()
        self._pixels = Pixels()
        kinds = {"depth": wp.float32, "geom": wp.int32, "facing": wp.vec3, "flow": wp.vec2}
        for name, kind in kinds.items():
            setattr(self._pixels, name, wp.zeros(size[::-1], dtype=kind, device=self._device))

    def trace(self, now: MujocoScene, after: MujocoScene | None = None) -> Seen:
        """A frame and where its points are in the next. Both scenes have one frame of one instant."""
        geoms = self._geoms_of(now)
        then = after or now
        posed = geoms.at(
            np.concatenate([now.positions_m[0], then.positions_m[0]]),
            np.concatenate([now.quaternions[0], then.quaternions[0]]),
        )
        cameras = [picture_camera(scene, 0, self.size) for scene in (now, then)]
        launch_rows(KERNEL, self.size, [posed, *cameras], self._pixels, self._device)
        depth, geom, facing, flow = (
            getattr(self._pixels, name).numpy().copy() for name in ("depth", "geom", "facing", "flow")
        )
        instances = np.append(geoms.model.geom_bodyid[geoms.ids] + 1, [BACKGROUND, BACKGROUND])
        return Seen(now, depth, instances[geom].astype(np.int32), facing, None if after is None else flow)

    def film(self, scenes: Sequence[MujocoScene]) -> Any:
        """All frames of a shot, one after the other."""
        for now, after in zip(scenes, [*scenes[1:], None], strict=True):
            yield self.trace(now, after)

    def _geoms_of(self, scene: MujocoScene) -> SceneGeoms:
        if self._geoms is None or self._geoms.model is not scene.model or self._hidden != scene.hidden:
            self._geoms, self._hidden = SceneGeoms(scene, self._sweep, self._device), scene.hidden
        return self._geoms
