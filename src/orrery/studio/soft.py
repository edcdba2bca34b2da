"""`soft`: a small path tracer over MuJoCo's own geoms, denoised.

Area lights, soft shadows, rough and polished materials, glass, depth of field and motion blur.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import warp as wp

from orrery.errors import BadUse
from orrery.streams import Array
from orrery.studio.geoms import SceneGeoms, Sweep
from orrery.studio.kernels.path_tracer import Light, Picture, trace
from orrery.studio.lights import LightRig, light_rig, place_lights
from orrery.studio.tone import picture_bytes
from orrery.studio.views import backdrop, camera_axes, launch_rows, picture_camera
from orrery.worlds.rigid_bodies.mujoco_scene import MujocoScene
from orrery.worlds.rigid_bodies.ray_tracer import start_warp

__all__ = ["SoftLook", "SoftSettings", "Traced"]

MOST_SAMPLES = 4096
KERNEL: Any = trace
"""Warp's kernels have no types."""


@dataclass(frozen=True)
class SoftSettings:
    """What `soft` can be told.

    size: width and height in pixels. samples: paths a pixel. light: key of `lights.LIGHTS`. aperture: radius
    of the lens over its distance from what it looks at; 0 makes all of it sharp. bounces: of indirect light.
    """

    size: tuple[int, int] = (1280, 720)
    samples: int = 16
    light: str = "softbox"
    aperture: float = 0.005
    bounces: int = 1

    def __post_init__(self) -> None:
        light_rig(self.light)
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise BadUse(f"--samples {self.samples}: must be from 1 to {MOST_SAMPLES}")


@dataclass(frozen=True)
class Traced:
    """Before the denoiser, `[H, W, 3]` float32: light, and the colours (linear) and normals of what is
    seen."""

    light: Array
    colour: Array
    normal: Array


class SoftLook:
    """Draws one scene after the other. rig: light of one's own instead of the settings' name.

    The first picture of a process waits for Warp's compiler (half a minute, once a machine).
    """

    name = "soft"

    def __init__(self, settings: SoftSettings, rig: LightRig | None = None) -> None:
        start_warp()
        self.settings, self._rig = settings, rig or light_rig(settings.light)
        self.size = settings.size
        self._device = wp.get_preferred_device()
        self._geoms: SceneGeoms | None = None
        self._lit: Any = None
        self._hidden: frozenset[str] = frozenset()
        self._backdrop: Sweep | None = None
        self._light = Light()
        width, height = settings.size
        self._picture = Picture()
        for name in ("light", "colour", "normal"):
            setattr(self._picture, name, wp.zeros((height, width), dtype=wp.vec3, device=self._device))

    def describe(self) -> dict[str, Any]:
        """Plain values for a film's sidecar."""
        return {"name": self.name, **asdict(self.settings), "size": list(self.size)}

    def draw(self, scene: MujocoScene) -> Array:
        """A tick's pictures, `[F, H, W, 3]` uint8 sRGB."""
        return np.array([self.finish(self.trace(scene, frame)) for frame in range(len(scene.cameras))])

    def trace(self, scene: MujocoScene, frame: int = 0) -> Traced:
        """One frame as the paths found it."""
        if self._lit is not scene.model:
            self.place_lights(scene)
        if self._geoms is None or self._hidden != scene.hidden:
            self._geoms, self._hidden = SceneGeoms(scene, self._backdrop, self._device), scene.hidden
        instants = min(self.settings.samples, scene.positions_m.shape[1] // 2) or 1
        geoms = self._geoms.posed(scene, frame, instants)
        camera = self._camera(scene, frame)
        settings = self.settings
        what = [geoms, self._geoms.looks, self._light, camera, settings.samples, settings.bounces]
        launch_rows(KERNEL, self.size, what, self._picture, self._device)
        return Traced(self._picture.light.numpy(), self._picture.colour.numpy(), self._picture.normal.numpy())

    def finish(self, traced: Traced) -> Array:
        """Denoised and tone-mapped, `[H, W, 3]` uint8 sRGB."""
        return picture_bytes(self._denoiser(traced.light, traced.colour, traced.normal))

    @cached_property
    def _denoiser(self) -> Any:
        from orrery.studio.denoise import Denoiser  # not every use denoises

        return Denoiser(self.size[1], self.size[0])

    def place_lights(self, scene: MujocoScene) -> None:
        """Set the lights about what a scene's first camera looks at; they stand while the camera moves. Done
        by itself with the first scene of a model."""
        self._lit, self._geoms = scene.model, None
        rig = self._rig
        lights = place_lights(rig, scene.subjects_m[0], scene.cameras[0, :3])
        self._light.areas = wp.array(lights.reshape(-1, 4, 3), dtype=wp.vec3, device=self._device)
        self._light.above, self._light.level = wp.vec3(*rig.above), wp.vec3(*rig.level)
        self._light.below, self._light.brightest = wp.vec3(*rig.below), rig.brightest
        self._backdrop = backdrop(rig, scene)

    def _camera(self, scene: MujocoScene, frame: int) -> Any:
        """The world's camera with its lens."""
        camera = picture_camera(scene, frame, self.size)
        pose, subject_m = scene.cameras[frame], scene.subjects_m[frame]
        to_subject = (pose[:3] - subject_m) @ camera_axes(pose)[:, 2]
        focus = to_subject if scene.focus_m is None else scene.focus_m[frame]
        camera.focus = max(float(focus), 1e-3)
        if scene.lens_radius_m is None:
            camera.aperture = self.settings.aperture * camera.focus
        else:
            camera.aperture = float(scene.lens_radius_m[frame])
        return camera
