"""Light carried along paths, in Warp: next-event sampling of area lights, weighed against what the surface's
own sampling would have found (multiple importance sampling, Veach 1995), and one bounce of indirect light.

What a pixel draws depends on its place and on the sample's number, and on nothing else, so that what is at
rest looks the same in every frame. In one respect light is not exact: shadows of glass are lit straight
through, without the bundling of a lens, which paths would hardly find.
"""

import warp as wp

from orrery.studio.kernels.geometry import FAR, Geoms, Hit, cast, light_through
from orrery.studio.kernels.patterns import patterned
from orrery.studio.kernels.shading import INDEX, Surface, basis, density, fresnel, reflected, refract, sample

__all__ = ["Camera", "Light", "Looks", "Picture", "trace"]

wp.set_module_options({"enable_backward": False})

MOST_CROSSINGS = wp.constant(8)
"""Of glass, and reflections in it, in a path."""
FEATURE_ROUGHNESS = wp.constant(0.12)
"""What is smoother is a mirror to the denoiser: it is shown what is seen in it."""


@wp.struct
class Looks:
    """What each geom is like, `[n]`: see `shading.Surface` and `patterns.patterned`. colour: linear.
    clear_share: what share of light goes straight through, `[n]`, black for what is not glass. tint_per_m:
    exponent of its loss inside."""

    colour: wp.array[wp.vec3]
    roughness: wp.array[wp.float32]
    metallic: wp.array[wp.float32]
    coat: wp.array[wp.float32]
    clear: wp.array[wp.float32]
    pattern: wp.array[wp.int32]
    clear_share: wp.array[wp.vec3]
    tint_per_m: wp.array[wp.vec3]


@wp.struct
class Light:
    """Rectangles that shine to one side, `[lights, 4]` (middle, two half edges, radiance), and light from
    straight above, from the level and from below. brightest: what no path after its first surface exceeds."""

    areas: wp.array2d[wp.vec3]
    above: wp.vec3
    level: wp.vec3
    below: wp.vec3
    brightest: wp.float32


@wp.struct
class Camera:
    """axes: columns right, up, backward. half: tangents of half the picture's width and height. focus:
    distance of the plane that is sharp. aperture: radius of the lens, metres."""

    position: wp.vec3
    axes: wp.mat33
    half: wp.vec2
    focus: wp.float32
    aperture: wp.float32


@wp.struct
class Picture:
    """What is traced, `[H, W]`: light, and what the denoiser is guided by: colour and normal of what is
    seen."""

    light: wp.array2d[wp.vec3]
    colour: wp.array2d[wp.vec3]
    normal: wp.array2d[wp.vec3]


@wp.struct
class _Path:
    """A path under way. weight: of what it meets next. likely: density with which `way` was drawn, per
    steradian; 0 if what is met counts in full. mirrored: whether only smooth surfaces were met so far."""

    at: wp.vec3
    way: wp.vec3
    weight: wp.vec3
    light: wp.vec3
    colour: wp.vec3
    normal: wp.vec3
    likely: wp.float32
    travelled: wp.float32
    bounces: wp.int32
    crossings: wp.int32
    mirrored: wp.bool
    ended: wp.bool


@wp.func
def _spread(offset: float, number: int, step: float) -> float:
    """The sample's number in [0, 1) of an even sequence; steps are powers of one generalised golden ratio, so
    that pairs of sequences are even as well (Roberts 2018)."""
    x = offset + float(number) * step
    return wp.min(x - wp.floor(x), 0.9999999)


@wp.func
def _around(light: Light, way: wp.vec3) -> wp.vec3:
    return wp.where(
        way[2] > 0.0,
        wp.lerp(light.level, light.above, wp.max(way[2], 0.0)),
        wp.lerp(light.level, light.below, wp.max(-way[2], 0.0)),
    )


@wp.func
def _meet_light(light: Light, k: int, o: wp.vec3, d: wp.vec3) -> float:
    middle = light.areas[k, 0]
    u = light.areas[k, 1]
    v = light.areas[k, 2]
    facing = wp.cross(u, v)
    towards = wp.dot(d, facing)
    if towards > -1.0e-9:
        return FAR
    t = wp.dot(middle - o, facing) / towards
    q = o + d * t - middle
    beyond = wp.abs(wp.dot(q, u)) > wp.dot(u, u) or wp.abs(wp.dot(q, v)) > wp.dot(v, v)
    return wp.where(t < 0.0 or beyond, FAR, t)


@wp.func
def _light_density(light: Light, k: int, d: wp.vec3, t: float) -> float:
    """With which next-event sampling draws the direction d, in which light k is at distance t."""
    facing = wp.cross(light.areas[k, 1], light.areas[k, 2])
    return t * t / wp.max(-4.0 * wp.dot(d, facing), 1.0e-9)


@wp.func
def _balanced(mine: float, other: float) -> float:
    return mine * mine / wp.max(mine * mine + other * other, 1.0e-20)


@wp.func
def _limited(light: Light, path: _Path, share: wp.vec3) -> wp.vec3:
    """A share of light, held to what the rig calls the brightest once a path has bounced."""
    most = wp.max(share)
    if path.bounces > 0 and most > light.brightest:
        return share * (light.brightest / most)
    return share


@wp.func
def _direct(
    g: Geoms, looks: Looks, light: Light, path: _Path, s: Surface, turn: wp.mat33, out: wp.vec3, p: wp.vec3,
    instant: int, u: wp.vec2,
) -> wp.vec3:  # fmt: skip
    """Light of the rig that a surface at p sends back along the path."""
    total = wp.vec3(0.0, 0.0, 0.0)
    to_surface = wp.transpose(turn)
    first = wp.int32(0)
    last = wp.int32(light.areas.shape[0])
    times = wp.float32(1.0)
    if path.bounces > 0 and last > 1:  # one of them, by chance, for all
        times = float(last)
        first = wp.min(int(u[0] * times), last - 1)
        last = first + 1
        u = wp.vec2(u[0] * times - float(first), u[1])
    for k in range(first, last):
        a = u[0] + 0.5698403 * float(k)
        b = u[1] + 0.7548777 * float(k)
        a = 2.0 * (a - wp.floor(a)) - 1.0
        b = 2.0 * (b - wp.floor(b)) - 1.0
        to = light.areas[k, 0] + light.areas[k, 1] * a + light.areas[k, 2] * b - p
        distance = wp.length(to)
        d = to / distance
        into = to_surface * d
        facing = wp.cross(light.areas[k, 1], light.areas[k, 2])
        if into[2] > 0.0 and wp.dot(d, facing) < 0.0:
            seen = light_through(g, looks.clear_share, instant, p, d, distance - 1.0e-4)
            likely = _light_density(light, k, d, distance)
            share = wp.cw_mul(reflected(s, out, into), wp.cw_mul(seen, light.areas[k, 3])) * (times / likely)
            total += _limited(
                light, path, wp.cw_mul(path.weight, share * _balanced(likely, density(s, out, into)))
            )
    return total


@wp.func
def _arrive(light: Light, path: _Path, blocked: float) -> _Path:
    """What a path sees of lights and of what is all around, unless something blocks the way at a distance."""
    nearest = wp.min(blocked, FAR)
    met = wp.int32(-1)
    for k in range(light.areas.shape[0]):
        t = _meet_light(light, k, path.at, path.way)
        if t < nearest:
            nearest = t
            met = k
    seen = wp.vec3(0.0, 0.0, 0.0)
    if met >= 0:
        path.ended = True
        seen = light.areas[met, 3]
        if path.likely > 0.0:
            seen = seen * _balanced(path.likely, _light_density(light, met, path.way, nearest))
        elif path.bounces > 0:
            seen = seen * 0.0  # through glass: `light_through` has counted it
    elif blocked >= FAR:
        path.ended = True
        seen = _around(light, path.way)
    path.light += _limited(light, path, wp.cw_mul(path.weight, seen))
    if path.ended and path.mirrored:
        path.colour = wp.cw_mul(path.colour, wp.min(seen, wp.vec3(1.0, 1.0, 1.0)))
    return path


@wp.func
def _surface(looks: Looks, hit: Hit, bounces: int, local: wp.vec3, pixel_m: float) -> Surface:
    """What a path meets; patterns are too fine to matter after a bounce."""
    i = hit.geom
    colour = wp.cw_mul(looks.colour[i], hit.paint)
    shade = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    if bounces == 0:
        shade = patterned(looks.pattern[i], colour, local, pixel_m)
    s = Surface()
    s.colour = wp.vec3(
        wp.clamp(shade[0], 0.0, 1.0), wp.clamp(shade[1], 0.0, 1.0), wp.clamp(shade[2], 0.0, 1.0)
    )
    s.roughness = wp.clamp(looks.roughness[i] * shade[3], 0.0, 1.0)
    s.metallic = looks.metallic[i]
    s.coat = looks.coat[i]
    return s


@wp.func
def _through_glass(looks: Looks, path: _Path, hit: Hit, u: float) -> _Path:
    """Reflected by clear glass or refracted, by chance."""
    n = hit.normal
    distance = hit.distance
    cosine = wp.dot(path.way, n)
    ratio = wp.float32(INDEX)
    facing = n
    if cosine > 0.0:
        ratio = 1.0 / INDEX
        facing = -n
        tint = looks.tint_per_m[hit.geom]
        kept = wp.vec3(wp.exp(-tint[0] * distance), wp.exp(-tint[1] * distance), wp.exp(-tint[2] * distance))
        path.weight = wp.cw_mul(path.weight, kept)
        if path.mirrored:
            path.colour = wp.cw_mul(path.colour, kept)
    p = path.at + path.way * distance
    if u < fresnel(wp.abs(cosine), ratio):
        path.way = path.way - facing * (2.0 * wp.dot(path.way, facing))
        path.at = p + facing * 1.0e-4
    else:
        path.way = refract(path.way, facing, 1.0 / ratio)
        path.at = p - facing * 1.0e-4
    path.likely = 0.0
    path.crossings += 1
    return path


@wp.func
def _scatter(path: _Path, s: Surface, turn: wp.mat33, out: wp.vec3, p: wp.vec3, u: wp.vec3) -> _Path:
    """On from p in a direction drawn from the surface."""
    into = sample(s, out, u)
    likely = density(s, out, into)
    if likely <= 0.0:
        path.ended = True
        return path
    path.weight = wp.cw_mul(path.weight, reflected(s, out, into) / likely)
    path.way = wp.normalize(turn * into)
    path.at = p
    path.likely = likely
    path.bounces += 1
    return path


@wp.func
def _at_surface(
    g: Geoms,
    looks: Looks,
    light: Light,
    path: _Path,
    hit: Hit,
    instant: int,
    pixel: float,
    u: wp.vec3,
    v: wp.vec2,
) -> _Path:
    """What a path gathers where it meets something that is not glass, and how it goes on."""
    i = hit.geom
    p = path.at + path.way * hit.distance
    wide = path.travelled * pixel / wp.max(wp.abs(wp.dot(path.way, hit.normal)), 0.15)
    local = wp.transpose(g.rotation[instant, i]) * (p - g.position[instant, i])
    s = _surface(looks, hit, path.bounces, local, wide)
    n = wp.where(wp.dot(path.way, hit.normal) > 0.0, -hit.normal, hit.normal)
    if path.mirrored:
        path.colour = wp.cw_mul(path.colour, s.colour)
        path.normal = n
        path.mirrored = s.metallic > 0.5 and s.roughness < FEATURE_ROUGHNESS
    turn = basis(n)
    out = wp.transpose(turn) * -path.way
    p += n * 1.0e-4
    path.light += _direct(g, looks, light, path, s, turn, out, p, instant, v)
    return _scatter(path, s, turn, out, p, u)


@wp.func
def _follow(
    g: Geoms, looks: Looks, light: Light, path: _Path, instant: int, most_bounces: int, pixel: float,
    state: wp.uint32, first: wp.vec4, again: wp.vec2,
) -> _Path:  # fmt: skip
    """One path to its end. first, again: even numbers for its first surface; further ones are random.

    From the last surface it goes on once more, to see what light there is.
    """
    for _ in range(most_bounces + 2 + MOST_CROSSINGS):
        u = wp.vec3(wp.randf(state), wp.randf(state), wp.randf(state))
        v = wp.vec2(wp.randf(state), wp.randf(state))
        if path.bounces == 0:
            u = wp.vec3(first[0], first[1], first[2])
            v = again
        if not path.ended:
            hit = cast(g, instant, path.at, path.way)
            path = _arrive(light, path, hit.distance)
            path.travelled += hit.distance
            if not path.ended:
                if looks.clear[hit.geom] > 0.0:
                    path = _through_glass(
                        looks,
                        path,
                        hit,
                        wp.where(path.bounces + path.crossings == 0, first[3], wp.randf(state)),
                    )
                elif path.bounces > most_bounces:
                    path.ended = True
                else:
                    path = _at_surface(g, looks, light, path, hit, instant, pixel, u, v)
    return path


@wp.func
def _begin(camera: Camera, x: float, y: float, lens: wp.vec2) -> _Path:
    """From a point of the lens through the picture at (x, y), in [-1, 1]."""
    turn = 6.2831853 * lens[0]
    radius = camera.aperture * wp.sqrt(lens[1])
    eye = camera.axes * wp.vec3(radius * wp.cos(turn), radius * wp.sin(turn), 0.0)
    path = _Path()
    path.at = camera.position + eye
    sharp = camera.axes * (wp.vec3(x * camera.half[0], y * camera.half[1], -1.0) * camera.focus)
    path.way = wp.normalize(sharp - eye)
    path.weight = wp.vec3(1.0, 1.0, 1.0)
    path.colour = wp.vec3(1.0, 1.0, 1.0)
    path.mirrored = True
    return path


@wp.kernel
def trace(
    g: Geoms, looks: Looks, light: Light, camera: Camera, samples: int, most_bounces: int, first_row: int,
    picture: Picture,
):  # fmt: skip
    """Fill rows of a picture from `first_row` on; launched over [rows, width].

    samples: paths a pixel, spread over the geoms' instants. most_bounces: of indirect light.
    """
    row, column = wp.tid()
    row += first_row
    height = float(picture.light.shape[0])
    width = float(picture.light.shape[1])
    seed = wp.rand_init(7, row * picture.light.shape[1] + column)
    at = wp.vec4(wp.randf(seed), wp.randf(seed), wp.randf(seed), wp.randf(seed))
    off = wp.vec4(wp.randf(seed), wp.randf(seed), wp.randf(seed), wp.randf(seed))
    lit = wp.vec3(wp.randf(seed), wp.randf(seed), wp.randf(seed))
    instants = g.position.shape[0]
    total = wp.vec3(0.0, 0.0, 0.0)
    colour = wp.vec3(0.0, 0.0, 0.0)
    normal = wp.vec3(0.0, 0.0, 0.0)
    for k in range(samples):
        state = wp.rand_init(int(wp.randu(seed) & wp.uint32(0x7FFFFFFF)), k)
        x = 2.0 * (float(column) + _spread(at[0], k, 0.9085604)) / width - 1.0
        y = 1.0 - 2.0 * (float(row) + _spread(at[1], k, 0.8254818)) / height
        lens = wp.vec2(_spread(at[2], k, 0.7500081), _spread(at[3], k, 0.6814277))
        first = wp.vec4(
            _spread(off[0], k, 0.6191183), _spread(off[1], k, 0.5625064), _spread(off[2], k, 0.5110711),
            _spread(off[3], k, 0.4643391),
        )  # fmt: skip
        again = wp.vec2(_spread(lit[0], k, 0.4218803), _spread(lit[1], k, 0.3833041))
        instant = wp.min(int(float(instants) * (float(k) + lit[2]) / float(samples)), instants - 1)
        path = _follow(
            g, looks, light, _begin(camera, x, y, lens), instant, most_bounces, 2.0 * camera.half[1] / height,
            state, first, again,
        )  # fmt: skip
        if wp.isfinite(path.light):
            total += path.light
        colour += path.colour
        normal += path.normal
    share = 1.0 / float(samples)
    picture.light[row, column] = total * share
    picture.colour[row, column] = colour * share
    picture.normal[row, column] = normal * share
