"""Pictures of a tabletop scene: one fixed stage, on which each slot owns one geom of every shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.materials import COLOURS, MATERIAL_TABLE
from orrery.worlds.rigid_bodies.physics import GEOM_TYPES
from orrery.worlds.rigid_bodies.ray_tracer import BURIED_M, RayTracer, add_look, add_texture, plank_pixels
from orrery.worlds.rigid_bodies.stage import add_rims_and_finger, lit_stage
from orrery.worlds.rigid_bodies.state import StateLayout
from orrery.worlds.tabletop.scene import BODY_SHAPES, MAX_BODIES, TRAY, Scene
from orrery.worlds.tabletop.setting import SETTING, Setting

__all__ = ["Look", "Renderer", "draw_states", "shared_renderer"]

_TILES_PER_M = 1.0
"""Textures of the table, which is drawn over and over."""
_CLOTH_M = 0.0004
"""How high the cloth that lines the tray is drawn; things stand on the table's top."""


def _stage(setting: Setting) -> mujoco.MjModel:
    """The fixed stage: table, rims, finger, one buried geom per slot and shape."""
    decor = setting.decor
    spec = lit_stage(decor.ambient, MATERIAL_TABLE, setting.field_of_view_rad, decor.lamp)
    root = spec.worldbody
    if decor.grain:
        add_texture(spec, "planks", plank_pixels(), 256)
        planks = add_look(spec, "planks", 0.0, 0.0, "planks")
        planks.texrepeat, planks.texuniform = [2 * _TILES_PER_M] * 2, True
    root.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1],
        material="planks" if decor.grain else "matte", rgba=[*decor.table, 1],
    )  # fmt: skip
    if decor.cloth is not None:
        root.add_geom(
            name="cloth", type=mujoco.mjtGeom.mjGEOM_BOX, size=[TRAY.half_x, TRAY.half_y, _CLOTH_M],
            material="matte", rgba=[*decor.cloth, 1],
        )  # fmt: skip
    add_rims_and_finger(root, TRAY, decor.rim)
    for slot in range(MAX_BODIES):
        for shape in BODY_SHAPES:
            root.add_geom(
                name=f"{shape}{slot}", type=GEOM_TYPES[shape], size=[0.04] * 3, pos=BURIED_M,
                material="rubber",
            )  # fmt: skip
    return spec.compile()


@dataclass(frozen=True)
class Look:
    """What a body looks like. half_extents_m: three. colour: sRGB in [0, 1]."""

    shape: str
    half_extents_m: tuple[float, ...]
    colour: tuple[float, ...]
    material: str


class Renderer:
    """Draws `[H, W, 3]` uint8 sRGB pictures of one scene after the other, over a fixed stage.

    Call `set_scene` before the first `draw`. image_size: height and width in pixels. samples_per_pixel: rays
    along each axis of a pixel.
    """

    def __init__(self, image_size: int = 128, samples_per_pixel: int = 1, setting: Setting = SETTING) -> None:
        self.image_size = image_size
        self._tracer = RayTracer(_stage(setting), image_size, setting.decor.sky, samples_per_pixel)
        self._mjm = self._tracer.mjm
        self._finger = self._mjm.geom("finger").id
        self._slots = [
            [self._mjm.geom(f"{shape}{slot}").id for shape in BODY_SHAPES] for slot in range(MAX_BODIES)
        ]
        self._geoms: list[int] = []

    def set_scene(self, scene: Scene, camera: Camera) -> None:
        """Show the bodies of a scene, as a camera sees them."""
        looks = [Look(b.shape, b.half_extents_m, COLOURS[b.colour], b.material) for b in scene.bodies]
        self.set_looks(looks, camera)

    def set_looks(self, looks: Sequence[Look], camera: Camera) -> None:
        """Choose which geoms show, how large and in which look, and where the camera stands."""
        size = self._mjm.geom_size.copy()
        rgba = self._mjm.geom_rgba.copy()
        look = self._mjm.geom_matid.copy()
        self._geoms = []
        for slot, body in enumerate(looks):
            geom = self._slots[slot][BODY_SHAPES.index(body.shape)]
            size[geom] = body.half_extents_m
            rgba[geom] = (*body.colour, 1.0)
            look[geom] = self._mjm.material(body.material).id
            self._geoms.append(geom)
        self._tracer.set_looks(size, rgba, look)
        self._tracer.set_camera(camera)

    def draw(self, positions_m: Array, rotations: Array, finger_position_m: Array) -> Array:
        """One picture `[H, W, 3]` uint8.

        positions_m: `[num_bodies, 3]`, rotations: `[num_bodies, 3, 3]` (body to world), both in slot order.
        finger_position_m: `[3]`, centre of the finger.
        """
        poses = np.concatenate([np.reshape(positions_m, (-1, 3)), [finger_position_m]])
        turns = np.concatenate([np.reshape(rotations, (-1, 3, 3)), np.eye(3)[None]])
        self._tracer.trace([*self._geoms, self._finger], poses, turns)
        return self._tracer.picture()


def draw_states(state: Array, camera: Camera, image_size: int = 128, setting: Setting = SETTING) -> Array:
    """Pictures `[n, H, W, 3]` uint8 of any states `[n, K, D]` of the tabletop, whoever made them.

    The last slot is the finger; a slot that is not present is not drawn.
    """
    renderer, layout, shown = shared_renderer(image_size, setting), setting.layout, None
    pictures = np.empty((len(state), image_size, image_size, 3), np.uint8)
    for number, frame in enumerate(state):
        bodies = frame[:-1][layout.get(frame[:-1], "present")[:, 0] > 0.5]
        looks = [_look(body, layout) for body in bodies]
        if looks != shown:
            renderer.set_looks(looks, camera)
            shown = looks
        pictures[number] = renderer.draw(
            layout.get(bodies, "position"), _rotations(bodies, layout), layout.get(frame[-1], "position")
        )
    return pictures


def _rotations(bodies: Array, layout: StateLayout) -> Array:
    """Rotations (body to world) `[n, 3, 3]` of bodies `[n, D]`, made orthonormal: whoever imagined them may
    not have kept to it."""
    if not len(bodies):
        return np.zeros((0, 3, 3))
    if layout.rotation == "quaternion":
        return Rotation.from_quat(layout.get(bodies, "quaternion"), scalar_first=True).as_matrix()
    left, _, right = np.linalg.svd(np.swapaxes(layout.body_axes(bodies), -1, -2))
    return left @ right


def _look(body: Array, layout: StateLayout) -> Look:
    """How a body's state `[D]` looks."""
    values = {name: tuple(map(float, layout.get(body, name))) for name in ("size", "colour")}
    shape, material = (
        names[int(layout.get(body, name).argmax())]
        for name, names in (("shape", layout.shapes), ("material", layout.materials))
    )
    return Look(shape, values["size"], values["colour"], material)


@lru_cache(maxsize=4)
def shared_renderer(image_size: int, setting: Setting = SETTING) -> Renderer:
    """The process's renderer of this size: compiling it takes seconds, and worlds take turns."""
    return Renderer(image_size, setting=setting)
