"""mujoco-warp's ray tracer over a fixed stage: pictures, depth and segmentation without any system library.

The ray tracer compiles its kernel for the number and kinds of geoms, so a stage is fixed: it owns as many
geoms of every shape as a scene can need, and those not in use lie buried under the table. A frame then only
costs the copy of poses, a refit of the bounding volumes and the rays.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import warp

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera

__all__ = [
    "BURIED_M", "RayTracer", "add_look", "add_texture", "grain_pixels", "packed_colours", "plank_pixels",
    "start_warp", "texture_bytes",
]  # fmt: skip

BURIED_M = (0.0, 0.0, -5.0)
"""Where geoms lie that are not in use."""
PLANKS = 6
"""Across a texture of planks."""


@cache
def start_warp() -> None:
    """Start Warp without the line that its library itself writes to stderr on a machine without CUDA."""
    warp.config.log_level = warp.LOG_ERROR
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            warp.init()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            others = [line for line in written if b"NVIDIA CUDA driver" not in line]
            os.write(2, b"".join(others))


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
        start_warp()
        self.mjm = mjm
        self.image_size = image_size
        data = mujoco.MjData(mjm)
        mujoco.mj_forward(mjm, data)
        self._xpos = data.geom_xpos.astype(np.float32)
        self._xmat = data.geom_xmat.reshape(-1, 3, 3).astype(np.float32)
        self.model = mujoco_warp.put_model(mjm)
        self.data = mujoco_warp.put_data(mjm, data)
        # On the processor `numpy` is warp's own memory, which takes poses at a tenth of what `assign` costs.
        self._poses = {
            name: getattr(self.data, name).numpy()
            for name in ("geom_xpos", "geom_xmat", "cam_xpos", "cam_xmat")
        }
        self._memory: dict[str, Array] = {}
        self._context = mujoco_warp.create_render_context(
            mjm, nworld=1, cam_res=(image_size, image_size), render_rgb=True, render_depth=labels,
            render_seg=labels, use_shadows=True, samples_per_pixel=samples_per_pixel,
            background_color=(*background, 1.0),
        )  # fmt: skip

    def set_looks(self, size: Array, rgba: Array, material: Array) -> None:
        """Size `[n, 3]`, colour `[n, 4]` and material id `[n]` of all geoms of the stage."""
        self.model.geom_size.assign(size[None])
        self.model.geom_rgba.assign(rgba[None])
        self.model.geom_matid.assign(material[None])

    def set_camera(self, camera: Camera) -> None:
        """Look from here on; the field of view is the stage's own."""
        self._place("cam_xpos", camera.position_m)
        self._place("cam_xmat", camera.axes)

    def trace(self, geoms: Any, positions_m: Array, rotations: Array) -> None:
        """Trace the stage with `geoms` (ids) at `[n, 3]` and turned by `[n, 3, 3]`; all others stay
        buried."""
        xpos, xmat = self._xpos.copy(), self._xmat.copy()
        xpos[geoms], xmat[geoms] = positions_m, rotations
        self._place("geom_xpos", xpos)
        self._place("geom_xmat", xmat)
        mujoco_warp.refit_bvh(self.model, self.data, self._context)
        mujoco_warp.render(self.model, self.data, self._context)

    def _place(self, name: str, values: Any) -> None:
        """Set one of the data's arrays, of the one world that it has."""
        self._poses[name][0] = values
        target = getattr(self.data, name)
        if not target.device.is_cpu:
            target.assign(self._poses[name])

    def picture(self, hidden: Array | None = None, backdrop: Array | None = None) -> Array:
        """What was traced, `[H, W, 3]` uint8 sRGB: the bytes that `mujoco_warp.get_rgb` gives as shares of
        255.

        hidden: pixels `[H, W]` bool that show `backdrop` instead, `[H, W]` or `[H, 1]`, see
        `packed_colours`.
        """
        packed = self._traced("rgb_data")
        if hidden is not None and backdrop is not None and hidden.any():
            packed = np.where(hidden, backdrop, packed)
        blue_green_red = packed.astype("<u4", copy=False).view(np.uint8).reshape(*packed.shape, 4)
        rgb = np.empty((*packed.shape, 3), np.uint8)
        for channel in range(3):  # by itself each is copied in one stride, three times as fast as together
            rgb[..., channel] = blue_green_red[..., 2 - channel]
        return rgb

    def depth_m(self) -> Array:
        """Distance along the optical axis, `[H, W]` float32 metres; not defined where nothing was hit."""
        return self._traced("depth_data")

    def geom_ids(self) -> Array:
        """Which geom each pixel shows, `[H, W]` int32; -1 where nothing was hit."""
        return self._traced("seg_data")[..., 0]

    def _traced(self, name: str) -> Array:
        """What the rays left in one of the context's arrays, `[H, W, ...]`."""
        values = self._memory.get(name)
        if values is None:
            array = getattr(self._context, name)
            values = array.numpy()
            if array.device.is_cpu:
                self._memory[name] = values
        return values[0].reshape(self.image_size, self.image_size, *values.shape[2:])


def packed_colours(rgb: Array) -> Array:
    """sRGB bytes `[..., 3]` as one number a colour, `[...]` uint32, as the ray tracer keeps its pixels."""
    red, green, blue = np.moveaxis(np.asarray(rgb, np.uint32), -1, 0)
    return (red << 16) | (green << 8) | blue


def grain_pixels(size: int = 64) -> list[int]:
    """Wood grain: dark, slightly wavy lines on white, `[size, size, 3]` sRGB bytes."""
    v, u = np.mgrid[0:size, 0:size] / size
    rings = np.sin(2 * np.pi * (4 * v + 0.15 * np.sin(2 * np.pi * u)))
    brightness = 1.0 - 0.30 * (rings > 0.35)
    return texture_bytes(brightness)


def plank_pixels(size: int = 256) -> list[int]:
    """Wooden planks of several tones, with a soft grain and dark joints, `[size, size, 3]` sRGB bytes."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[0:size, 0:size] / size
    plank = (v * PLANKS).astype(int)
    tone = rng.uniform(0.86, 1.0, PLANKS)[plank]
    phase, bend = rng.uniform(0, 2 * np.pi, (2, PLANKS))
    waves = 9 * v + 0.25 * np.sin(2 * np.pi * u + bend[plank]) + 0.1 * np.sin(6 * np.pi * u + phase[plank])
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * waves + phase[plank])
    joint = np.exp(-((np.abs(v * PLANKS - np.round(v * PLANKS)) * size / (2.5 * PLANKS)) ** 2))
    brightness = tone * (1 - 0.06 * grain**2) * (1 - 0.22 * joint)
    return (255 * brightness[..., None] ** (1.0, 1.12, 1.25)).astype(int).ravel().tolist()


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
