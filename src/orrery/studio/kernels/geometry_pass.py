"""What a picture's pixels are of, in Warp: one ray through the middle of each, without light."""

import warp as wp

from orrery.studio.kernels.geometry import BOX, CYLINDER, Geoms, cast
from orrery.studio.kernels.path_tracer import Camera

__all__ = ["Pixels", "trace_geometry"]

wp.set_module_options({"enable_backward": False})

NEAREST_M = wp.constant(1.0e-4)
"""What comes nearer to the camera's plane than this has no place in the picture."""


@wp.struct
class Pixels:
    """`[H, W]`. depth: metres along the camera's axis, infinite where nothing is met. geom: index, or -1.
    facing: unit normal, world frame; on a box's or cylinder's rounded edge that of the nearer face. flow: how
    far what is seen moves until the second instant, pixels right and down; NaN where it has no place."""

    depth: wp.array2d[wp.float32]
    geom: wp.array2d[wp.int32]
    facing: wp.array2d[wp.vec3]
    flow: wp.array2d[wp.vec2]


@wp.func
def _of_face(kind: int, n: wp.vec3) -> wp.vec3:
    """A normal in a geom's own frame as that of the face it belongs to."""
    size = wp.vec3(wp.abs(n[0]), wp.abs(n[1]), wp.abs(n[2]))
    if kind == BOX:
        if size[0] >= wp.max(size[1], size[2]):
            return wp.vec3(wp.sign(n[0]), 0.0, 0.0)
        if size[1] >= size[2]:
            return wp.vec3(0.0, wp.sign(n[1]), 0.0)
        return wp.vec3(0.0, 0.0, wp.sign(n[2]))
    if kind == CYLINDER:
        if size[2] > 0.70710678:
            return wp.vec3(0.0, 0.0, wp.sign(n[2]))
        return wp.normalize(wp.vec3(n[0], n[1], 0.0))
    return n


@wp.func
def _place(camera: Camera, way: wp.vec3, width: float, height: float) -> wp.vec2:
    """Where a direction from the camera is in its picture, pixels from the upper left corner."""
    q = wp.transpose(camera.axes) * way
    if -q[2] < NEAREST_M:
        return wp.vec2(wp.NAN, wp.NAN)
    x = q[0] / (-q[2] * camera.half[0])
    y = q[1] / (-q[2] * camera.half[1])
    return wp.vec2(0.5 * (x + 1.0) * width, 0.5 * (1.0 - y) * height)


@wp.kernel
def trace_geometry(g: Geoms, camera: Camera, after: Camera, first_row: int, pixels: Pixels):
    """Fill rows from `first_row` on; launched over [rows, width]. g: at two instants, seen by `camera` at the
    first and by `after` at the second."""
    row, column = wp.tid()
    row += first_row
    height = float(pixels.depth.shape[0])
    width = float(pixels.depth.shape[1])
    at = wp.vec2(float(column) + 0.5, float(row) + 0.5)
    x = (2.0 * at[0] / width - 1.0) * camera.half[0]
    y = (1.0 - 2.0 * at[1] / height) * camera.half[1]
    way = camera.axes * wp.vec3(x, y, -1.0)
    d = wp.normalize(way)
    hit = cast(g, 0, camera.position, d)
    i = hit.geom
    pixels.geom[row, column] = i
    if i < 0:  # a direction, which only turns of the camera move
        pixels.depth[row, column] = wp.inf
        pixels.facing[row, column] = wp.vec3(0.0, 0.0, 0.0)
        pixels.flow[row, column] = _place(after, d, width, height) - at
        return
    pixels.depth[row, column] = hit.distance / wp.length(way)
    turn = g.rotation[0, i]
    pixels.facing[row, column] = turn * _of_face(g.kind[i], wp.transpose(turn) * hit.normal)
    point = camera.position + d * hit.distance
    later = g.rotation[1, i] * (wp.transpose(turn) * (point - g.position[0, i])) + g.position[1, i]
    pixels.flow[row, column] = _place(after, later - after.position, width, height) - at
