"""A MuJoCo model as the path tracer takes it: shapes once, poses for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import warp as wp

from orrery.errors import BadUse
from orrery.streams import Array
from orrery.studio.kernels import geometry as shapes
from orrery.studio.kernels.path_tracer import Looks
from orrery.studio.materials import Material, material
from orrery.studio.tone import linear
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook, MujocoScene

__all__ = ["SceneGeoms", "Sweep", "bevel_m", "floor_m", "seen_geoms"]

KINDS = {
    mujoco.mjtGeom.mjGEOM_PLANE: shapes.PLANE,
    mujoco.mjtGeom.mjGEOM_SPHERE: shapes.ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: shapes.ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_BOX: shapes.BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER: shapes.CYLINDER,
    mujoco.mjtGeom.mjGEOM_CAPSULE: shapes.CAPSULE,
    mujoco.mjtGeom.mjGEOM_MESH: shapes.MESH,
}
NO_TEXTURE = (0, 0, 0)
MOST_BEVEL_M = 0.004
BEVEL_SHARE = 0.12
"""Of a body's smallest half extent, what its rounded edges take."""
FIRST_UNSEEN_GROUP = 3
"""MuJoCo's viewers show geoms of groups 0 to 2."""
TINT_DEPTH_M = 0.05
"""Of clear glass, how thick it is where it has its colour."""


@dataclass(frozen=True)
class Sweep:
    """A backdrop: a round floor that curves up into a wall. middle_m: of its floor. size_m: radius of the
    floor, of the curve, and height of the wall. colour: sRGB."""

    middle_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    colour: tuple[float, float, float]


class SceneGeoms:
    """The geoms of a scene that are seen, and the sweep behind them.

    ids: MuJoCo's numbers of the geoms, in the order that the kernels count them in; the sweep comes after
    them. looks: what the path tracer knows of their materials. Raises BadUse for a kind of geom that it does
    not draw, or a material that it does not have.
    """

    def __init__(self, scene: MujocoScene, sweep: Sweep | None, device: wp.Device | str) -> None:
        self.model, self._device, self._sweep = scene.model, device, sweep
        self.ids = seen_geoms(scene)
        self._meshes: list[wp.Mesh] = []
        self._geoms = self._shapes()
        self.looks = self._looks(scene.looks)

    def posed(self, scene: MujocoScene, frame: int, instants: int) -> Any:
        """The geoms at this many of the later instants of a frame, the last its end; half of the frame long,
        as a shutter is open."""
        total = scene.positions_m.shape[1]
        chosen = total - 1 - np.arange(instants)[::-1] * (total // 2) // max(instants, 1)
        return self.at(scene.positions_m[frame][chosen], scene.quaternions[frame][chosen])

    def at(self, positions_m: Array, quaternions: Array) -> Any:
        """The geoms where MuJoCo's bodies are at these instants, `[instants, bodies, 3]` and `[instants,
        bodies, 4]`."""
        instants, bodies = len(positions_m), self.model.geom_bodyid[self.ids]
        positions, turns = positions_m[:, bodies], quaternions[:, bodies]
        local = np.broadcast_to(self.model.geom_pos[self.ids], positions.shape)
        axes = np.eye(3)[:, None, None]
        inner = rotate(
            self.model.geom_quat[self.ids][None, None], np.broadcast_to(axes, (3, *positions.shape))
        )
        columns = rotate(turns[None], inner)
        places = positions + rotate(turns, local)
        rotations = np.moveaxis(columns, 0, -1)
        if self._sweep is not None:
            places = np.concatenate([places, np.tile(self._sweep.middle_m, (instants, 1, 1))], axis=1)
            rotations = np.concatenate([rotations, np.tile(np.eye(3), (instants, 1, 1, 1))], axis=1)
        self._geoms.position = self._array(places, wp.vec3)
        self._geoms.rotation = self._array(rotations, wp.mat33)
        return self._geoms

    def _shapes(self) -> Any:
        model, geoms = self.model, shapes.Geoms()
        kinds, sizes, bevels, reach = [], [], [], []
        mesh_ids, first_corners, drawn = [], [], _Drawn()
        for geom in self.ids:
            kind = KINDS[mujoco.mjtGeom(model.geom_type[geom])]
            size = model.geom_size[geom].copy()
            if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE:
                size[:] = size[0]
            kinds.append(kind)
            sizes.append(size)
            bevels.append(bevel_m(model, geom))
            reach.append(0.0 if kind == shapes.PLANE else float(model.geom_rbound[geom]) * 1.001 + 1e-5)
            first_corners.append(drawn.num_corners)
            mesh_ids.append(0)
            if kind == shapes.MESH:
                self._meshes.append(_mesh(model, int(model.geom_dataid[geom]), self._device))
                mesh_ids[-1] = self._meshes[-1].id
            drawn.add(model, int(geom), kind == shapes.MESH)
        if self._sweep is not None:
            for values, value in zip(
                (kinds, sizes, bevels, reach, mesh_ids, first_corners),
                (shapes.SWEEP, self._sweep.size_m, 0.0, 0.0, 0, 0), strict=True,
            ):  # fmt: skip
                values.append(value)
            drawn.textures.append(NO_TEXTURE)
        geoms.kind, geoms.mesh = self._array(kinds, wp.int32), self._array(mesh_ids, wp.uint64)
        geoms.size, geoms.bevel = self._array(sizes, wp.vec3), self._array(bevels, wp.float32)
        geoms.reach = self._array(reach, wp.float32)
        geoms.first_corner = self._array(first_corners, wp.int32)
        geoms.normals = self._array(np.concatenate([*drawn.normals, np.zeros((1, 3))]), wp.vec3)
        geoms.texcoords = self._array(np.concatenate([*drawn.texcoords, np.zeros((1, 2))]), wp.vec2)
        geoms.texture = self._array(drawn.textures, wp.vec3i)
        geoms.texels = self._array(np.concatenate([*drawn.texels, np.ones((1, 3))]), wp.vec3)
        return geoms

    def _looks(self, named: Mapping[str, GeomLook]) -> Any:
        rows = [self._look(int(geom), named) for geom in self.ids]
        if self._sweep is not None:
            rows.append((material("paper"), self._sweep.colour, True))
        colours = linear(np.array([colour for _, colour, _ in rows]))
        clear = np.array([stuff.clear and not flat for stuff, _, flat in rows])[:, None]
        tint = -np.log(np.clip(colours, 0.02, 0.98)) / TINT_DEPTH_M
        values = {
            "colour": colours,
            "roughness": [stuff.roughness for stuff, _, _ in rows],
            "metallic": [stuff.metallic for stuff, _, _ in rows],
            "coat": [stuff.coat for stuff, _, _ in rows],
            "clear": clear[:, 0],
            "pattern": [stuff.on_planes if flat else stuff.pattern for stuff, _, flat in rows],
            "clear_share": clear * 0.85 * np.sqrt(colours),
            "tint_per_m": tint,
        }
        looks = Looks()
        for name, value in values.items():
            kind = wp.vec3 if np.ndim(value) == 2 else wp.int32 if name == "pattern" else wp.float32
            setattr(looks, name, self._array(value, kind))
        return looks

    def _look(self, geom: int, named: Mapping[str, GeomLook]) -> tuple[Material, tuple[float, ...], bool]:
        """A geom's material and colour (sRGB), and whether it is flat."""
        model = self.model
        flat = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE
        look = named.get(model.geom(geom).name)
        if look is not None:
            return material(look.material), look.colour, flat
        of_model = int(model.geom_matid[geom])
        if of_model < 0:
            return material("plastic"), tuple(model.geom_rgba[geom, :3]), flat
        roughness, metallic = float(model.mat_roughness[of_model]), float(model.mat_metallic[of_model])
        stuff = Material(roughness if roughness >= 0 else 0.4, max(metallic, 0.0))  # -1: not said
        return stuff, tuple(model.mat_rgba[of_model, :3]), flat

    def _array(self, values: object, kind: type) -> wp.array:
        return wp.array(np.asarray(values), dtype=kind, device=self._device)


def floor_m(scene: MujocoScene) -> float:
    """Height of the lowest plane in a scene's first instant; without any, of the lowest thing."""
    model, heights = scene.model, scene.positions_m[0, 0, :, 2]
    middles = heights[model.geom_bodyid] + model.geom_pos[:, 2]
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    return float(middles[planes].min() if planes.any() else (middles - model.geom_rbound).min())


def seen_geoms(scene: MujocoScene) -> Array:
    """MuJoCo's numbers of the geoms that are to be drawn. BadUse for one of a kind that cannot be."""
    model = scene.model
    ids = [
        geom for geom in range(model.ngeom)
        if model.geom_group[geom] < FIRST_UNSEEN_GROUP and model.geom(geom).name not in scene.hidden
        and (model.geom(geom).name in scene.looks or model.geom_rgba[geom, 3] > 0)
    ]  # fmt: skip
    for geom in ids:
        kind = mujoco.mjtGeom(model.geom_type[geom])
        if kind not in KINDS:
            raise BadUse(
                f"geom {model.geom(geom).name!r} is of the kind {kind.name.removeprefix('mjGEOM_').lower()}, "
                "which the look cannot draw; make it a mesh, or put it in group 3 to leave it out"
            )
    return np.array(ids, int)


def bevel_m(model: mujoco.MjModel, geom: int) -> float:
    """Radius of a geom's rounded edges as it is drawn, metres; of a capsule, its own."""
    size, kind = model.geom_size[geom], mujoco.mjtGeom(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return float(size[0])
    smallest = {mujoco.mjtGeom.mjGEOM_BOX: size.min(), mujoco.mjtGeom.mjGEOM_CYLINDER: size[:2].min()}
    return float(min(BEVEL_SHARE * smallest.get(kind, 0.0), MOST_BEVEL_M))


class _Drawn:
    """What meshes are drawn with, one after the other: normals `[3 faces, 3]` and places in their textures
    `[3 faces, 2]` of their faces' corners; and of every geom its texture's first texel, width and height."""

    def __init__(self) -> None:
        self.normals: list[Array] = []
        self.texcoords: list[Array] = []
        self.textures: list[tuple[int, int, int]] = []
        self.texels: list[Array] = []
        self.num_corners = 0

    def add(self, model: mujoco.MjModel, geom: int, is_mesh: bool) -> None:
        """The next geom."""
        self.textures.append(NO_TEXTURE)
        if not is_mesh:
            return
        mesh = int(model.geom_dataid[geom])
        faces = slice(int(model.mesh_faceadr[mesh]), int(model.mesh_faceadr[mesh] + model.mesh_facenum[mesh]))
        corners = model.mesh_facenormal[faces].ravel() + int(model.mesh_normaladr[mesh])
        self.normals.append(model.mesh_normal[corners])
        places, texture = np.zeros((len(corners), 2)), _texture(model, geom)
        first = int(model.mesh_texcoordadr[mesh])
        if texture is not None and first >= 0:
            places = model.mesh_texcoord[model.mesh_facetexcoord[faces].ravel() + first]
            height, width = texture.shape[:2]
            self.textures[-1] = (sum(map(len, self.texels)), width, height)
            self.texels.append(linear(texture.reshape(-1, 3) / 255.0))
        self.texcoords.append(places)
        self.num_corners += len(corners)


def _texture(model: mujoco.MjModel, geom: int) -> Array | None:
    """The texture that a geom's material is painted with, `[H, W, 3]` uint8."""
    material = int(model.geom_matid[geom])
    texture = -1 if material < 0 else int(model.mat_texid[material][mujoco.mjtTextureRole.mjTEXROLE_RGB])
    if texture < 0 or model.tex_type[texture] != mujoco.mjtTexture.mjTEXTURE_2D:
        return None
    shape = (model.tex_height[texture], model.tex_width[texture], model.tex_nchannel[texture])
    first = int(model.tex_adr[texture])
    texels = model.tex_data[first : first + int(np.prod(shape))].reshape(shape)
    return np.repeat(texels, 3, 2) if shape[2] == 1 else texels[..., :3]


def _mesh(model: mujoco.MjModel, mesh: int, device: wp.Device | str) -> wp.Mesh:
    """One of the model's meshes."""
    at, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    first, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    points = wp.array(model.mesh_vert[at : at + count], dtype=wp.vec3, device=device)
    corners = model.mesh_face[first : first + faces]
    return wp.Mesh(points, wp.array(corners.ravel(), dtype=wp.int32, device=device))
