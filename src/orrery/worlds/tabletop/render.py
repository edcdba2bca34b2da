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
from orrery.worlds.rigid_bodies.ray_tracer import BURIED_M, RayTracer
from orrery.worlds.rigid_bodies.stage import add_rims_and_finger, lit_stage
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import BODY_SHAPES, CAMERAS, MAX_BODIES, TRAY, Scene

__all__ = ["TABLE_COLOUR", "Look", "Renderer", "draw_states", "shared_renderer"]

TABLE_COLOUR = (0.56, 0.52, 0.47)
_RIM_COLOUR = (0.36, 0.27, 0.20)
_FIELD_OF_VIEW_RAD = next(iter(CAMERAS.values())).field_of_view_rad
_SKY_COLOUR = (0.75, 0.78, 0.82)


def _stage() -> mujoco.MjModel:
    """The fixed stage: table, rims, finger, one buried geom per slot and shape."""
    spec = lit_stage((0.38, 0.38, 0.40), MATERIAL_TABLE, _FIELD_OF_VIEW_RAD)
    root = spec.worldbody
    root.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], material="matte",
        rgba=[*TABLE_COLOUR, 1],
    )  # fmt: skip
    add_rims_and_finger(root, TRAY, _RIM_COLOUR)
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

    Call `set_scene` before the first `draw`; all cameras share one field of view. image_size: height and
    width in pixels. samples_per_pixel: rays along each axis of a pixel.
    """

    def __init__(self, image_size: int = 128, samples_per_pixel: int = 1) -> None:
        self.image_size = image_size
        self._tracer = RayTracer(_stage(), image_size, _SKY_COLOUR, samples_per_pixel)
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


def draw_states(state: Array, camera: Camera, image_size: int = 128) -> Array:
    """Pictures `[n, H, W, 3]` uint8 of any states `[n, K, D]` of the tabletop, whoever made them.

    The last slot is the finger; a slot that is not present is not drawn.
    """
    renderer, shown = shared_renderer(image_size), None
    pictures = np.empty((len(state), image_size, image_size, 3), np.uint8)
    for number, frame in enumerate(state):
        bodies = frame[:-1][STATE.get(frame[:-1], "present")[:, 0] > 0.5]
        looks = [_look(body) for body in bodies]
        if looks != shown:
            renderer.set_looks(looks, camera)
            shown = looks
        turned = (
            Rotation.from_quat(STATE.get(bodies, "quaternion"), scalar_first=True) if len(bodies) else None
        )
        rotations = np.zeros((0, 3, 3)) if turned is None else turned.as_matrix()
        pictures[number] = renderer.draw(
            STATE.get(bodies, "position"), rotations, STATE.get(frame[-1], "position")
        )
    return pictures


def _look(body: Array) -> Look:
    """How a body's state `[D]` looks."""
    values = {name: tuple(map(float, STATE.get(body, name))) for name in ("size", "colour")}
    shape, material = (
        names[int(STATE.get(body, name).argmax())]
        for name, names in (("shape", STATE.shapes), ("material", STATE.materials))
    )
    return Look(shape, values["size"], values["colour"], material)


@lru_cache(maxsize=4)
def shared_renderer(image_size: int) -> Renderer:
    """The process's renderer of this size: compiling it takes seconds, and worlds take turns."""
    return Renderer(image_size)
