"""Pictures, depth and segmentation of laboratory scenes: one fixed stage that holds a pool of geoms of each
shape.
"""

from __future__ import annotations

from functools import lru_cache

import mujoco
import numpy as np

from orrery.streams import Array
from orrery.worlds.laboratory.model import RIM_OF_SIDE, TABLE_BOX_M
from orrery.worlds.laboratory.scene import BACKGROUNDS, LAB_TRAY, LIGHTS, NATURAL_COLOURS, LabScene, Orbit
from orrery.worlds.rigid_bodies.geometry import Camera, rotate
from orrery.worlds.rigid_bodies.materials import ALL_COLOURS, ALL_MATERIALS, SURFACES
from orrery.worlds.rigid_bodies.physics import FINGER_GARAGE_M, GEOM_TYPES, geom_size
from orrery.worlds.rigid_bodies.ray_tracer import (
    BURIED_M,
    RayTracer,
    add_look,
    add_texture,
    packed_colours,
    texture_bytes,
)
from orrery.worlds.rigid_bodies.stage import add_rims_and_finger, lit_stage

__all__ = ["RIM_COLOUR", "SEGMENT_OF_SLOT", "SEGMENT_TABLE", "Studio", "shared_studio"]

POOL = {"ball": 8, "box": 12, "cylinder": 10, "capsule": 8, "rod": 1}
"""How many geoms of each shape a scene can need: eight things, four boxes and two cylinders that stand
fast.
"""
TABLE_HALF_M = (0.62, 0.50)
SEGMENT_TABLE = 1
SEGMENT_OF_SLOT = 2
"""Segmentation's number of what lies in state slot k is this plus k; 1 is the table, 0 what lies beyond."""
RIM_COLOUR = (0.32, 0.24, 0.18)
_GONE_M = 1e-5
"""Size of what is not there."""


_FIELD_OF_VIEW_RAD = Orbit("front", 0.0, 0.0, 1.0).field_of_view_rad


def _stage() -> mujoco.MjModel:
    """The fixed stage: table, rims, finger, then the pool, buried."""
    spec = lit_stage((0.18, 0.18, 0.19), ALL_MATERIALS, _FIELD_OF_VIEW_RAD)
    add_texture(spec, "brushed", _brushed_pixels())
    add_texture(spec, "weave", _weave_pixels())
    for name, surface in SURFACES.items():
        texture = "" if surface.texture == "plain" else surface.texture
        look = add_look(spec, f"top-{name}", surface.specular, surface.shininess, texture)
        look.texrepeat, look.texuniform = ([3.0, 3.0] if texture == "grain" else [12.0, 12.0]), True
    root = spec.worldbody
    root.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[*TABLE_HALF_M, 0.1], material="matte")
    add_rims_and_finger(root, LAB_TRAY, RIM_COLOUR)
    for shape, count in POOL.items():
        kind = GEOM_TYPES["capsule" if shape == "rod" else shape]
        for index in range(count):
            root.add_geom(name=f"{shape}{index}", type=kind, size=[0.02] * 3, pos=BURIED_M, material="rubber")
    return spec.compile()


def _brushed_pixels(size: int = 64) -> list[int]:
    """Brushed metal: faint lines of random brightness."""
    lines = np.random.default_rng(0).uniform(0.88, 1.0, (size, 1))
    return texture_bytes(np.repeat(lines, size, axis=1))


def _weave_pixels(size: int = 64) -> list[int]:
    """Cloth: threads over and under."""
    v, u = np.mgrid[0:size, 0:size] * (2 * np.pi * 4 / size)
    return texture_bytes(0.84 + 0.16 * np.sin(u) * np.sin(v))


class Studio:
    """Draws one laboratory scene after the other. image_size: height and width in pixels."""

    def __init__(self, image_size: int) -> None:
        self._tracer = RayTracer(_stage(), image_size, (0.0, 0.0, 0.0), labels=True)
        self._mjm = self._tracer.mjm
        self._scene: LabScene | None = None
        self._geoms: list[int] = []
        self._nothing = np.zeros((image_size, image_size), bool)
        self._segment_of_geom = np.zeros(self._mjm.ngeom + 1, np.uint8)
        self._backdrop = np.zeros((image_size, 1), np.uint32)

    def set_scene(self, scene: LabScene, slots: list[int]) -> None:
        """Show a scene. slots: state slot of each thing, of the finger, and of each fixture, in that
        order.
        """
        if scene is self._scene:
            return
        self._scene = scene
        mjm = self._mjm
        size, rgba, look = mjm.geom_size.copy(), mjm.geom_rgba.copy(), mjm.geom_matid.copy()
        segment = np.zeros(mjm.ngeom + 1, np.uint8)  # the last is the index -1: nothing
        surface, table = SURFACES[scene.surface], mjm.geom("table").id
        rgba[table], look[table] = (*surface.colour, 1.0), mjm.material(f"top-{scene.surface}").id
        if scene.open_edge is not None:
            size[table, :2] = TABLE_BOX_M[:2]
            size[mjm.geom(f"rim{RIM_OF_SIDE[scene.open_edge]}").id] = _GONE_M
        segment[[table, *(mjm.geom(f"rim{k}").id for k in range(4))]] = SEGMENT_TABLE
        used = dict.fromkeys(POOL, 0)
        self._geoms = []
        looks = [(t, ALL_COLOURS[t.colour]) for t in scene.things]
        looks += [(f, NATURAL_COLOURS[f.material]) for f in scene.fixtures]
        for body, colour in looks:
            geom = self._take(used, body.shape)
            size[geom] = geom_size(body.shape, body.half_extents_m)
            rgba[geom], look[geom] = (*colour, 1.0), mjm.material(body.material).id
        finger = mjm.geom("finger").id
        self._geoms.insert(len(scene.things), finger)
        segment[self._geoms] = SEGMENT_OF_SLOT + np.array(slots)
        for slot, thing in enumerate(scene.things):
            if thing.hinge is not None and thing.hinge.rod_m > 0.0:
                rod = self._take(used, "rod")
                length = np.linalg.norm(np.subtract(thing.hinge.anchor_m, thing.position_m))
                size[rod], rgba[rod] = (thing.hinge.rod_m, length / 2, 0.0), (0.25, 0.25, 0.27, 1.0)
                look[rod], segment[rod] = mjm.material("steel").id, SEGMENT_OF_SLOT + slot
        self._tracer.set_looks(size, rgba, look)
        self._segment_of_geom = segment
        self._set_light(scene)

    def _take(self, used: dict[str, int], shape: str) -> int:
        """The next unused geom of a shape; it is drawn from now on."""
        geom = self._mjm.geom(f"{shape}{used[shape]}").id
        used[shape] += 1
        self._geoms.append(geom)
        return geom

    def _set_light(self, scene: LabScene) -> None:
        light, model = LIGHTS[scene.light], self._tracer.model
        model.light_diffuse.assign(np.array(light.diffuse, np.float32)[None, None])
        model.light_ambient.assign(np.array(light.ambient, np.float32)[None, None])
        direction = np.array(light.direction, np.float32)
        self._tracer.data.light_xdir.assign((direction / np.linalg.norm(direction))[None, None])
        top, bottom = (np.array(colour) for colour in BACKGROUNDS[scene.background])
        share = np.linspace(0.0, 1.0, self._tracer.image_size)[:, None, None]
        self._backdrop = packed_colours((255.0 * (top + (bottom - top) * share) + 0.5).astype(np.uint8))

    def trace(self, positions_m: Array, quaternions: Array, camera: Camera) -> None:
        """Trace one instant. positions_m `[n, 3]`, quaternions `[n, 4]`: things, finger, fixtures."""
        scene = self._scene
        assert scene is not None
        positions, turns = positions_m.copy(), quaternions
        for slot, thing in enumerate(scene.things):
            if thing.hinge is not None and thing.hinge.rod_m > 0.0:
                middle, turn = _rod_pose(np.array(thing.hinge.anchor_m), positions_m[slot])
                positions, turns = np.vstack([positions, middle]), np.vstack([turns, turn])
        parked = len(scene.things)
        if positions[parked][2] > FINGER_GARAGE_M:
            positions[parked] = BURIED_M
        axes = rotate(turns[:, None], np.eye(3))
        self._tracer.set_camera(camera)
        self._tracer.trace(self._geoms, positions, np.swapaxes(axes, -1, -2))
        self._nothing = self._tracer.geom_ids() < 0

    def picture(self) -> Array:
        """What was traced, `[H, W, 3]` uint8 sRGB."""
        return self._tracer.picture(self._nothing, self._backdrop)

    def depth_mm(self) -> Array:
        """Distance along the optical axis, `[H, W]` uint16 millimetres; 0 where there is nothing."""
        depth = 1000.0 * np.where(self._nothing, 0.0, self._tracer.depth_m()) + 0.5
        return np.minimum(np.maximum(depth, 0.0), 65535.0).astype(np.uint16)

    def segmentation(self) -> Array:
        """What each pixel shows, `[H, W]` uint8: 0 nothing, 1 the table, 2 + k what lies in state slot k."""
        return self._segment_of_geom[self._tracer.geom_ids()]


def _rod_pose(anchor: Array, end: Array) -> tuple[Array, Array]:
    """Middle and quaternion of a capsule (its axis is z) between two points."""
    along = end - anchor
    quaternion = np.zeros(4)
    mujoco.mju_quatZ2Vec(quaternion, along / np.linalg.norm(along))
    return anchor + along / 2, quaternion


@lru_cache(maxsize=4)
def shared_studio(image_size: int) -> Studio:
    """The process's studio of this size: compiling it takes seconds, and worlds take turns."""
    return Studio(image_size)
