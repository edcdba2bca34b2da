"""mujoco-warp's ray tracer over a fixed stage: pictures, depth and segmentation without any system library.

The ray tracer compiles its kernel for the number and kinds of geoms, so a stage is fixed: it owns as many
geoms of every shape as a scene can need, and those not in use lie buried under the table. A frame then only
costs the copy of poses, a refit of the bounding volumes and the rays.
"""

from __future__ import annotations

from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import warp

from orrery.scenes.scene import Camera
from orrery.streams import Array

__all__ = ["BURIED_M", "RayTracer", "add_look", "add_texture", "grain_pixels", "texture_bytes"]

BURIED_M = (0.0, 0.0, -5.0)
"""Where geoms lie that are not in use."""


class RayTracer:
    """A stage and a camera. mjm: the stage, with one camera. image_size: height and width in pixels.

    background: sRGB of what lies beyond the stage. samples_per_pixel: rays along each axis of a pixel.
    labels: whether depth and segmentation are traced as well, which costs next to nothing.
    """

    def __init__(
        self,
        mjm: mujoco.MjModel,
        image_size: int,
        background: tuple[float, float, float],
        samples_per_pixel: int = 1,
        labels: bool = False,
    ) -> None:
        warp.config.log_level = warp.LOG_ERROR
        self.mjm = mjm
        self.image_size = image_size
        data = mujoco.MjData(mjm)
        mujoco.mj_forward(mjm, data)
        self._xpos = data.geom_xpos.astype(np.float32)
        self._xmat = data.geom_xmat.reshape(-1, 3, 3).astype(np.float32)
        self.model = mujoco_warp.put_model(mjm)
        self.data = mujoco_warp.put_data(mjm, data)
        self._context = mujoco_warp.create_render_context(
            mjm, nworld=1, cam_res=(image_size, image_size), render_rgb=True, render_depth=labels,
            render_seg=labels, use_shadows=True, samples_per_pixel=samples_per_pixel,
            background_color=(*background, 1.0),
        )  # fmt: skip
        self._rgb: Any = warp.zeros((1, image_size, image_size), dtype=warp.vec3)

    def set_looks(self, size: Array, rgba: Array, material: Array) -> None:
        """Size `[n, 3]`, colour `[n, 4]` and material id `[n]` of all geoms of the stage."""
        self.model.geom_size.assign(size[None])
        self.model.geom_rgba.assign(rgba[None])
        self.model.geom_matid.assign(material[None])

    def set_camera(self, camera: Camera) -> None:
        """Look from here on; the field of view is the stage's own."""
        self.data.cam_xpos.assign(np.asarray(camera.position_m, np.float32)[None, None])
        self.data.cam_xmat.assign(camera.axes.astype(np.float32)[None, None])

    def trace(self, geoms: Any, positions_m: Array, rotations: Array) -> None:
        """Trace the stage with `geoms` (ids) at `[n, 3]` and turned by `[n, 3, 3]`; all others stay
        buried."""
        xpos, xmat = self._xpos.copy(), self._xmat.copy()
        xpos[geoms], xmat[geoms] = positions_m, rotations
        self.data.geom_xpos.assign(xpos[None])
        self.data.geom_xmat.assign(xmat[None])
        mujoco_warp.refit_bvh(self.model, self.data, self._context)
        mujoco_warp.render(self.model, self.data, self._context)

    def picture(self) -> Array:
        """What was traced, `[H, W, 3]` uint8 sRGB."""
        mujoco_warp.get_rgb(self._context, 0, self._rgb)
        return (self._rgb.numpy()[0] * 255.0 + 0.5).astype(np.uint8)

    def depth_m(self) -> Array:
        """Distance along the optical axis, `[H, W]` float32 metres; not defined where nothing was hit."""
        return self._context.depth_data.numpy()[0].reshape(self.image_size, self.image_size)

    def geom_ids(self) -> Array:
        """Which geom each pixel shows, `[H, W]` int32; -1 where nothing was hit."""
        return self._context.seg_data.numpy()[0, :, 0].reshape(self.image_size, self.image_size)


def grain_pixels(size: int = 64) -> list[int]:
    """Wood grain: dark, slightly wavy lines on white, `[size, size, 3]` sRGB bytes."""
    v, u = np.mgrid[0:size, 0:size] / size
    rings = np.sin(2 * np.pi * (4 * v + 0.15 * np.sin(2 * np.pi * u)))
    brightness = 1.0 - 0.30 * (rings > 0.35)
    return texture_bytes(brightness)


def texture_bytes(brightness: Array) -> list[int]:
    """Brightness `[n, n]` in [0, 1] as a grey texture's bytes."""
    return (255 * np.repeat(brightness[..., None], 3, axis=2)).astype(int).ravel().tolist()


def add_texture(spec: mujoco.MjSpec, name: str, pixels: list[int], size: int = 64) -> None:
    """A square texture from its bytes."""
    spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=size, height=size, nchannel=3, data=pixels
    )


def add_look(spec: mujoco.MjSpec, name: str, specular: float, shininess: float, texture: str = "") -> Any:
    """A material by its shine and, where it has one, its texture; returned for what is to be set besides."""
    look = spec.add_material(name=name, specular=specular, shininess=shininess)
    if texture:
        textures = list(look.textures)
        textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture
        look.textures = textures
    return look
