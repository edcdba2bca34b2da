"""A mesh of one's own (GLB, OBJ, STL, PLY) as a body: to scale, upright, in convex parts, with its textures.

What is drawn is the mesh; what collides and weighs are the convex parts that it is taken apart into
(`convex_parts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.color import ColorVisuals
from trimesh.visual.texture import TextureVisuals

from orrery.errors import UserError
from orrery.streams import Array
from orrery.worlds.rigid_bodies.convex_parts import convex_parts
from orrery.worlds.rigid_bodies.mesh_file import MeshFile

__all__ = ["Mesh", "Piece", "add_mesh_body", "read_mesh"]

MOST_FACES = 500_000
SHORTEST_M, LONGEST_M = 0.005, 2.0
FLAT = 0.002
"""Thinnest over longest side of what can be a body."""
MOST_TEXELS = 4096
"""Of a side of a texture."""
CREASE = np.cos(np.radians(40.0))
"""Faces that meet at a sharper angle have an edge between them."""
PARTS_GROUP = 3
"""MuJoCo's group of what collides and is not seen."""


@dataclass(frozen=True)
class Piece:
    """A part of what is seen. vertices `[V, 3]` metres; faces `[F, 3]`; corner_normals `[3 F, 3]`; uv `[V,
    2]` and texture `[H, W, 3]` uint8 sRGB, where it has one (v grows downwards from the texture's first row);
    colour: sRGB in [0, 1], by which a texture is multiplied."""

    vertices: Array
    faces: Array
    corner_normals: Array
    colour: tuple[float, float, float]
    uv: Array | None = None
    texture: Array | None = None


@dataclass(frozen=True)
class Mesh:
    """A mesh about the middle of its bounding box, z up. parts: vertices of each convex part `[n, 3]`,
    metres. notes: what a user should know of it."""

    pieces: tuple[Piece, ...]
    parts: tuple[Array, ...]
    half_extents_m: tuple[float, float, float]
    notes: tuple[str, ...]

    @property
    def volume_m3(self) -> float:
        """Of its convex parts."""
        return float(sum(trimesh.convex.convex_hull(part).volume for part in self.parts))


@lru_cache(maxsize=8)
def read_mesh(file: MeshFile) -> Mesh:
    """The mesh in a file. UserError for one that cannot be a body: unreadable, flat, too large or too fine,
    or changed since `file` was made."""
    path = Path(file.path)
    loaded = _loaded(path, file.sha256)
    upright = (file.up or ("y" if path.suffix.lower() in (".glb", ".gltf") else "z")) == "y"
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float) if upright else np.eye(3)
    points = np.concatenate([geometry.vertices for geometry in loaded]) @ turn.T
    low, high = points.min(0), points.max(0)
    sides = high - low
    scale = 1.0 if file.longest_m is None else file.longest_m / sides.max()
    _check_size(path, sides * scale)
    middle = (low + high) / 2
    notes: list[str] = []
    pieces: list[Piece] = []
    for geometry in loaded:
        vertices = (geometry.vertices @ turn.T - middle) * scale
        pieces.append(_piece(geometry, vertices, path.name, notes))
    longest = float(sides.max())
    whole = trimesh.Trimesh(  # of length 1, so that its parts are the same in every size
        np.concatenate([(geometry.vertices @ turn.T - middle) / longest for geometry in loaded]),
        np.concatenate([
            piece.faces + start for piece, start in zip(pieces, _starts(pieces), strict=True)
        ]),
    )  # fmt: skip
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    if not whole.is_watertight:
        notes.append(f"{path.name}: its surface has holes; it weighs and collides as its convex parts do")
    half = tuple(float(side) for side in sides * scale / 2)
    parts = tuple(part * longest * scale for part in convex_parts(path, whole))
    return Mesh(tuple(pieces), parts, (half[0], half[1], half[2]), tuple(dict.fromkeys(notes)))


def _loaded(path: Path, sha256: str) -> list[trimesh.Trimesh]:
    """What is in a file, each geometry in its place."""
    if MeshFile.of(path).sha256 != sha256:
        raise UserError(f"{path}: has changed since its scene was made; make that again")
    try:
        scene = trimesh.load_scene(path, process=False)
        geometries = [g for g in scene.dump() if isinstance(g, trimesh.Trimesh)]
    except Exception as error:  # its readers raise whatever they stumble over
        raise UserError(f"{path}: is no mesh that can be read ({type(error).__name__}: {error})") from error
    num_faces = sum(len(geometry.faces) for geometry in geometries)
    if num_faces == 0:
        raise UserError(f"{path}: holds no faces, of which a body's surface is made")
    if num_faces > MOST_FACES:
        raise UserError(
            f"{path}: has {num_faces:,} faces; simplify it to at most {MOST_FACES:,} "
            "(Blender: modifier Decimate)"
        )
    if not all(np.isfinite(geometry.vertices).all() for geometry in geometries):
        raise UserError(f"{path}: has vertices that are no numbers")
    return geometries


def _check_size(path: Path, sides_m: Array) -> None:
    if not SHORTEST_M <= sides_m.max() <= LONGEST_M:
        raise UserError(
            f"{path}: is {sides_m.max():.4g} m long; a thing is {SHORTEST_M:g} to {LONGEST_M:g} m: give its "
            "longest side as size_m, in metres"
        )
    if sides_m.min() < FLAT * sides_m.max():
        raise UserError(f"{path}: is flat, and a body needs a thickness")


def _starts(pieces: list[Piece]) -> Iterator[int]:
    """Where each piece's vertices begin among all."""
    start = 0
    for piece in pieces:
        yield start
        start += len(piece.vertices)


def _piece(geometry: trimesh.Trimesh, vertices: Array, name: str, notes: list[str]) -> Piece:
    visual, colour = geometry.visual, (0.8, 0.8, 0.8)
    uv = texture = None
    if isinstance(visual, TextureVisuals):
        uv, texture, colour = _painted(visual, name, notes)
    elif isinstance(visual, ColorVisuals) and visual.kind is not None:
        rgb = np.asarray(visual.vertex_colors, float)[:, :3]
        colour = tuple((rgb.mean(0) / 255).tolist())
        if len(np.unique(rgb, axis=0)) > 1:
            notes.append(f"{name}: colours by vertex are not drawn; their mean is")
    faces = np.asarray(geometry.faces, np.int32)
    return Piece(vertices, faces, _corner_normals(vertices, faces), colour, uv, texture)


def _painted(visual: TextureVisuals, name: str, notes: list[str]) -> tuple[Array | None, Array | None, Any]:
    """Texture coordinates, texture and colour of a material."""
    material: Any = visual.material
    factor = getattr(material, "baseColorFactor", None)
    if factor is None:
        factor = getattr(material, "diffuse", None)
    colour = (1.0, 1.0, 1.0) if factor is None else tuple((np.asarray(factor, float)[:3] / 255).tolist())
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None or visual.uv is None:
        return None, None, (0.8, 0.8, 0.8) if factor is None else colour
    if max(image.size) > MOST_TEXELS:
        notes.append(f"{name}: a texture of {image.width}x{image.height} is made smaller")
        image = image.copy()
        image.thumbnail((MOST_TEXELS, MOST_TEXELS), Image.Resampling.BOX)
    if not hasattr(material, "baseColorTexture"):
        colour = (1.0, 1.0, 1.0)  # an OBJ's diffuse colour does not tint its map
    uv = np.asarray(visual.uv, float) * [1.0, -1.0] + [0.0, 1.0]
    return uv, np.asarray(image.convert("RGB"), np.uint8), colour


def _corner_normals(vertices: Array, faces: Array) -> Array:
    """Of each corner of each face `[3 F, 3]`: the mean of the faces about its vertex that meet its own at
    less than `CREASE`, by area."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = area / np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-20)
    _, point = np.unique(vertices.round(9), axis=0, return_inverse=True)
    at = point.reshape(-1)[faces].ravel()
    order = np.argsort(at, kind="stable")
    firsts = np.searchsorted(at[order], np.arange(at.max() + 2))
    counts = np.diff(firsts)[at]  # of corners about the vertex of each corner
    mine = np.repeat(np.arange(len(at)), counts)
    within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = order[firsts[at[mine]] + within]
    smooth = (unit[mine // 3] * unit[other // 3]).sum(1) > CREASE
    total = np.zeros((len(at), 3))
    np.add.at(total, mine[smooth], area[other[smooth] // 3])
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-20), [0.0, 0.0, 1.0])


def add_mesh_body(
    spec: mujoco.MjSpec, part: mujoco.MjsBody, name: str, mesh: Mesh, contact: dict[str, Any], density: float
) -> list[str]:
    """Give a body its mesh: pieces that are seen, which do not touch, and convex parts that do; returns the
    names of those. contact: of each part, as MuJoCo's geoms take it. density: kg/m3."""
    for number, piece in enumerate(mesh.pieces):
        called = name if number == 0 else f"{name}.seen{number}"
        seen = spec.add_mesh(name=called)  # MuJoCo takes a normal for each vertex: corners share none
        corners = piece.faces.ravel()
        seen.uservert, seen.userface = (
            piece.vertices[corners].ravel(),
            np.arange(len(corners), dtype=np.int32),
        )
        seen.usernormal = piece.corner_normals.ravel()
        if piece.uv is not None and piece.texture is not None:
            seen.usertexcoord = piece.uv[corners].ravel()
            _add_texture(spec, called, piece.texture)
        part.add_geom(
            name=called, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=called, contype=0, conaffinity=0, mass=0.0,
            rgba=[*piece.colour, 1.0], material=called if piece.texture is not None else "",
        )  # fmt: skip
    names = [f"{name}.part{number}" for number in range(len(mesh.parts))]
    for called, points in zip(names, mesh.parts, strict=True):
        hull = spec.add_mesh(name=called)
        hull.uservert = points.ravel()
        part.add_geom(
            name=called, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=called, group=PARTS_GROUP, density=density,
            **contact,
        )  # fmt: skip
    return names


def _add_texture(spec: mujoco.MjSpec, name: str, texture: Array) -> None:
    height, width, channels = texture.shape
    image = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=channels
    )
    image.data = texture.tobytes()
    material = spec.add_material(name=name)
    textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    material.textures = textures
