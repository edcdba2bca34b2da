"""Rays against MuJoCo's geoms, in Warp: spheres, ellipsoids, boxes, cylinders, capsules, planes, meshes, and
the studio's sweep.

Boxes and cylinders have rounded edges, inside of what MuJoCo collides with. They and capsules are convex: how
far a point of a ray lies outside of one is a convex function along the ray, so Newton's method from where the
ray meets the bounding box comes to the surface from one side and cannot step over it.
"""

import warp as wp

__all__ = [
    "BOX",
    "CAPSULE",
    "CYLINDER",
    "ELLIPSOID",
    "MESH",
    "PLANE",
    "SWEEP",
    "Geoms",
    "Hit",
    "cast",
    "light_through",
]

wp.set_module_options({"enable_backward": False})

PLANE = 0
ELLIPSOID = 1
BOX = 2
CYLINDER = 3
CAPSULE = 4
MESH = 5
SWEEP = 6
"""Kinds of geom. A sphere is an ellipsoid. A sweep is a round floor (`size[0]`: its radius) that curves up
(`size[1]`: the curve's radius) into a wall (`size[2]`: its height), seen from inside."""

FAR = wp.constant(1.0e6)
NEAR = wp.constant(1.0e-4)
"""Metres within which a ray that begins on a mesh, plane or ellipsoid does not meet it again."""
TOUCHES = wp.constant(1.0e-6)
NEWTON_STEPS = wp.constant(24)


@wp.struct
class Geoms:
    """What can be met by a ray, at one or more instants. `[n]` unless said otherwise.

    kind: see above. size: half extents, or as MuJoCo has them; a plane's are 0 where it has no end. bevel:
    radius of rounded edges, metres. reach: radius of a sphere about the middle; 0 without bounds. mesh:
    Warp's id, of a mesh. first_corner: where a mesh's corners begin, three for each face, in `normals` and
    `texcoords`. texture: of a mesh, where its texels begin in `texels` (linear, row by row from the top), and
    its width and height; 0 for none.
    position `[instants, n]`, rotation `[instants, n]` (geom to world).
    """

    kind: wp.array[wp.int32]
    size: wp.array[wp.vec3]
    bevel: wp.array[wp.float32]
    reach: wp.array[wp.float32]
    mesh: wp.array[wp.uint64]
    first_corner: wp.array[wp.int32]
    normals: wp.array[wp.vec3]
    texcoords: wp.array[wp.vec2]
    texture: wp.array[wp.vec3i]
    texels: wp.array[wp.vec3]
    position: wp.array2d[wp.vec3]
    rotation: wp.array2d[wp.mat33]


@wp.struct
class Hit:
    """distance: along the ray; FAR where nothing is met. geom: index, or -1. normal: outward, unit, world.
    paint: what its texture says there, linear; 1 where it has none."""

    distance: wp.float32
    geom: wp.int32
    normal: wp.vec3
    paint: wp.vec3


@wp.func
def _positive(v: wp.vec3) -> wp.vec3:
    return wp.max(v, wp.vec3(0.0, 0.0, 0.0))


@wp.func
def _beyond_core(kind: int, size: wp.vec3, bevel: float, p: wp.vec3) -> wp.vec3:
    """How far p is beyond the core that a body is rounded about, along its axes (box) or across and along."""
    if kind == BOX:
        return wp.vec3(wp.abs(p[0]), wp.abs(p[1]), wp.abs(p[2])) - (size - wp.vec3(bevel, bevel, bevel))
    across = wp.sqrt(p[0] * p[0] + p[1] * p[1])
    if kind == CYLINDER:
        return wp.vec3(across - (size[0] - bevel), wp.abs(p[2]) - (size[1] - bevel), -FAR)
    return wp.vec3(across, wp.max(wp.abs(p[2]) - size[1], 0.0), -FAR)


@wp.func
def _outside(kind: int, size: wp.vec3, bevel: float, p: wp.vec3) -> float:
    """Signed distance of p from a body's surface; the radius of a capsule is its bevel."""
    q = _beyond_core(kind, size, bevel, p)
    return wp.length(_positive(q)) + wp.min(wp.max(q), 0.0) - bevel


@wp.func
def _outward(kind: int, size: wp.vec3, bevel: float, p: wp.vec3) -> wp.vec3:
    """Gradient of `_outside`, unit."""
    q = _beyond_core(kind, size, bevel, p)
    g = _positive(q)
    if wp.length(g) < 1.0e-9:
        top = wp.max(q)
        g = wp.vec3(
            wp.where(q[0] == top, 1.0, 0.0), wp.where(q[1] == top, 1.0, 0.0), wp.where(q[2] == top, 1.0, 0.0)
        )
    if kind == BOX:
        return wp.normalize(wp.cw_mul(g, wp.vec3(wp.sign(p[0]), wp.sign(p[1]), wp.sign(p[2]))))
    across = wp.max(wp.sqrt(p[0] * p[0] + p[1] * p[1]), 1.0e-9)
    return wp.normalize(wp.vec3(g[0] * p[0] / across, g[0] * p[1] / across, g[1] * wp.sign(p[2])))


@wp.func
def _bounds(kind: int, size: wp.vec3) -> wp.vec3:
    if kind == BOX:
        return size
    if kind == CYLINDER:
        return wp.vec3(size[0], size[0], size[1])
    return wp.vec3(size[0], size[0], size[1] + size[0])


@wp.func
def _apart(x: float) -> float:
    """x, or a tiny number where it is 0, to divide by."""
    return wp.where(wp.abs(x) < 1.0e-12, 1.0e-12, x)


@wp.func
def _slabs(half: wp.vec3, o: wp.vec3, d: wp.vec3) -> wp.vec2:
    """Where a ray enters and leaves a box about the origin; the first is beyond the second if it misses."""
    inverse = wp.vec3(1.0 / _apart(d[0]), 1.0 / _apart(d[1]), 1.0 / _apart(d[2]))
    a = wp.cw_mul(-half - o, inverse)
    b = wp.cw_mul(half - o, inverse)
    return wp.vec2(wp.max(wp.min(a, b)), wp.min(wp.max(a, b)))


@wp.func
def _meet_rounded(kind: int, size: wp.vec3, bevel: float, o: wp.vec3, d: wp.vec3) -> float:
    """Distance to a box, cylinder or capsule, from outside or from within; FAR if it is missed."""
    span = _slabs(_bounds(kind, size), o, d)
    if span[0] > span[1] or span[1] < 0.0:
        return FAR
    within = _outside(kind, size, bevel, o) <= 0.0
    t = wp.where(within, span[1], wp.max(span[0], 0.0))
    for _ in range(NEWTON_STEPS):
        p = o + d * t
        gap = _outside(kind, size, bevel, p)
        if gap < TOUCHES:
            return t
        slope = wp.dot(_outward(kind, size, bevel, p), d)
        if not within and (slope > -1.0e-5 or t > span[1]):
            return FAR
        t -= gap / wp.where(within, wp.max(slope, 1.0e-3), slope)
    return t


@wp.func
def _meet_ellipsoid(size: wp.vec3, o: wp.vec3, d: wp.vec3) -> float:
    u = wp.cw_div(o, size)
    v = wp.cw_div(d, size)
    a = wp.dot(v, v)
    b = wp.dot(u, v)
    # The nearest point of the ray to the middle, which keeps digits that b * b - a * c would lose.
    nearest = u - v * (b / a)
    left = 1.0 - wp.dot(nearest, nearest)
    if left < 0.0:
        return FAR
    half = wp.sqrt(left / a)
    t = -b / a - half
    if t < NEAR:
        t = -b / a + half
    return wp.where(t < NEAR, FAR, t)


@wp.func
def _meet_plane(size: wp.vec3, o: wp.vec3, d: wp.vec3) -> float:
    """From above only, as MuJoCo draws planes."""
    if d[2] > -1.0e-9 or o[2] <= 0.0:
        return FAR
    t = -o[2] / d[2]
    p = o + d * t
    beyond = (size[0] > 0.0 and wp.abs(p[0]) > size[0]) or (size[1] > 0.0 and wp.abs(p[1]) > size[1])
    return wp.where(beyond or t < NEAR, FAR, t)


@wp.func
def _sweep_gap(size: wp.vec3, p: wp.vec3) -> wp.vec2:
    """Of a point near the sweep's curve: distance across from the curve's circle, and height below it."""
    return wp.vec2(wp.sqrt(p[0] * p[0] + p[1] * p[1]) - size[0], size[1] - p[2])


@wp.func
def _meet_sweep(size: wp.vec3, o: wp.vec3, d: wp.vec3) -> float:
    """From within: the space inside is convex, and a ray leaves it once."""
    radius = size[0] + size[1]
    a = wp.max(d[0] * d[0] + d[1] * d[1], 1.0e-12)
    b = o[0] * d[0] + o[1] * d[1]
    t = (-b + wp.sqrt(wp.max(b * b - a * (o[0] * o[0] + o[1] * o[1] - radius * radius), 0.0))) / a
    if d[2] < 0.0:
        t = wp.min(t, -o[2] / d[2])
    if t < NEAR or o[2] + d[2] * t > size[2]:
        return FAR
    for _ in range(NEWTON_STEPS):
        p = o + d * t
        gap = _sweep_gap(size, p)
        beyond = wp.length(gap) - size[1]
        if gap[0] <= 0.0 or gap[1] <= 0.0 or beyond < 1.0e-5:
            return t
        across = (p[0] * d[0] + p[1] * d[1]) / wp.max(gap[0] + size[0], 1.0e-6)
        t -= beyond * wp.length(gap) / wp.max(gap[0] * across - gap[1] * d[2], 1.0e-4)
    return t


@wp.func
def _sweep_normal(size: wp.vec3, p: wp.vec3) -> wp.vec3:
    gap = _sweep_gap(size, p)
    if gap[0] <= 0.0:
        return wp.vec3(0.0, 0.0, 1.0)
    across = -gap[0] / (gap[0] + size[0])
    return wp.normalize(wp.vec3(across * p[0], across * p[1], wp.max(gap[1], 0.0)))


@wp.func
def _out_of_reach(reach: float, middle: wp.vec3, o: wp.vec3, d: wp.vec3, farthest: float) -> bool:
    to = middle - o
    along = wp.dot(to, d)
    across = wp.dot(to, to) - along * along
    return reach > 0.0 and (along < -reach or along - reach > farthest or across > reach * reach)


@wp.func
def _meet(g: Geoms, i: int, o: wp.vec3, d: wp.vec3, farthest: float) -> float:
    """Distance along a ray in the geom's own frame."""
    kind = g.kind[i]
    if kind == ELLIPSOID:
        return _meet_ellipsoid(g.size[i], o, d)
    if kind == PLANE:
        return _meet_plane(g.size[i], o, d)
    if kind == SWEEP:
        return _meet_sweep(g.size[i], o, d)
    if kind == MESH:
        query = wp.mesh_query_ray(g.mesh[i], o + d * NEAR, d, farthest)
        return wp.where(query.result, query.t + NEAR, FAR)
    return _meet_rounded(kind, g.size[i], g.bevel[i], o, d)


@wp.func
def _normal(g: Geoms, i: int, o: wp.vec3, d: wp.vec3, t: float) -> wp.vec3:
    """Outward, in the geom's own frame, where a ray meets it after t."""
    kind = g.kind[i]
    p = o + d * t
    if kind == ELLIPSOID:
        return wp.normalize(wp.cw_div(wp.cw_div(p, g.size[i]), g.size[i]))
    if kind == PLANE:
        return wp.vec3(0.0, 0.0, 1.0)
    if kind == SWEEP:
        return _sweep_normal(g.size[i], p)
    if kind == MESH:
        query = wp.mesh_query_ray(g.mesh[i], o + d * NEAR, d, t + NEAR)
        at = g.first_corner[i] + 3 * query.face
        smooth = g.normals[at] * query.u + g.normals[at + 1] * query.v
        return wp.normalize(smooth + g.normals[at + 2] * (1.0 - query.u - query.v))
    return _outward(kind, g.size[i], g.bevel[i], p)


@wp.func
def _texel(g: Geoms, texture: wp.vec3i, column: int, row: int) -> wp.vec3:
    """Of a texture that repeats beyond its edges."""
    x = column - texture[1] * int(wp.floor(float(column) / float(texture[1])))
    y = row - texture[2] * int(wp.floor(float(row) / float(texture[2])))
    return g.texels[texture[0] + y * texture[1] + x]


@wp.func
def _paint(g: Geoms, i: int, o: wp.vec3, d: wp.vec3, t: float) -> wp.vec3:
    """A mesh's texture where a ray meets it after t, between the four texels around."""
    texture = g.texture[i]
    if texture[1] == 0:
        return wp.vec3(1.0, 1.0, 1.0)
    query = wp.mesh_query_ray(g.mesh[i], o + d * NEAR, d, t + NEAR)
    at = g.first_corner[i] + 3 * query.face
    place = g.texcoords[at] * query.u + g.texcoords[at + 1] * query.v
    place = place + g.texcoords[at + 2] * (1.0 - query.u - query.v)
    x = place[0] * float(texture[1]) - 0.5
    y = place[1] * float(texture[2]) - 0.5
    column = int(wp.floor(x))
    row = int(wp.floor(y))
    upper = wp.lerp(_texel(g, texture, column, row), _texel(g, texture, column + 1, row), x - float(column))
    lower = wp.lerp(
        _texel(g, texture, column, row + 1), _texel(g, texture, column + 1, row + 1), x - float(column)
    )
    return wp.lerp(upper, lower, y - float(row))


@wp.func
def cast(g: Geoms, instant: int, o: wp.vec3, d: wp.vec3) -> Hit:
    """The nearest geom along a ray from o along d (unit)."""
    hit = Hit()
    hit.distance = FAR
    hit.geom = -1
    for i in range(g.kind.shape[0]):
        middle = g.position[instant, i]
        if not _out_of_reach(g.reach[i], middle, o, d, hit.distance):
            to_geom = wp.transpose(g.rotation[instant, i])
            t = _meet(g, i, to_geom * (o - middle), to_geom * d, hit.distance)
            if t < hit.distance:
                hit.distance = t
                hit.geom = i
    if hit.geom >= 0:
        turn = g.rotation[instant, hit.geom]
        to_geom = wp.transpose(turn)
        local = to_geom * (o - g.position[instant, hit.geom])
        hit.normal = turn * _normal(g, hit.geom, local, to_geom * d, hit.distance)
        hit.paint = _paint(g, hit.geom, local, to_geom * d, hit.distance)
    return hit


@wp.func
def light_through(
    g: Geoms, clear: wp.array[wp.vec3], instant: int, o: wp.vec3, d: wp.vec3, distance: float
) -> wp.vec3:
    """What share of light comes straight along a ray of this length, `[3]`. clear: share that each geom lets
    through."""
    share = wp.vec3(1.0, 1.0, 1.0)
    for i in range(g.kind.shape[0]):
        middle = g.position[instant, i]
        if wp.max(share) > 0.0 and not _out_of_reach(g.reach[i], middle, o, d, distance):
            to_geom = wp.transpose(g.rotation[instant, i])
            if _meet(g, i, to_geom * (o - middle), to_geom * d, distance) < distance:
                share = wp.cw_mul(share, clear[i])
    return share
