"""How surfaces scatter light, in Warp: a rough dielectric coat over a diffuse base, metals, clear glass.

The rough lobe is GGX with Smith's height-correlated shadowing (Walter et al. 2007, Heitz 2014), sampled by
its visible normals (Dupuy and Benyoub 2023). What the coat does not reflect on the way in and out is diffuse,
normalised so that a white base gives back what it gets.
"""

import warp as wp

__all__ = [
    "Surface", "basis", "density", "fresnel", "reflected", "refract", "sample",
]  # fmt: skip

wp.set_module_options({"enable_backward": False})

PI = wp.constant(3.14159265)
INDEX = wp.constant(1.5)
"""Of refraction, of every coat and glass."""
MEAN_COAT = wp.constant(0.0918)
"""Of light from everywhere, what a coat of this index reflects."""
LEAST_ALPHA = wp.constant(0.002)


@wp.struct
class Surface:
    """A point of a surface. colour: linear. roughness, metallic, coat (share of a dielectric's reflection
    that there is): in [0, 1]."""

    colour: wp.vec3
    roughness: wp.float32
    metallic: wp.float32
    coat: wp.float32


@wp.func
def fresnel(cosine: float, ratio: float) -> float:
    """What a smooth dielectric reflects of unpolarised light. ratio: index beyond over index before."""
    c = wp.clamp(cosine, 0.0, 1.0)
    square = ratio * ratio - 1.0 + c * c
    if square <= 0.0:
        return 1.0
    g = wp.sqrt(square)
    across = (g - c) / (g + c)
    along = (c * (g + c) - 1.0) / (c * (g - c) + 1.0)
    return 0.5 * across * across * (1.0 + along * along)


@wp.func
def basis(n: wp.vec3) -> wp.mat33:
    """A rotation whose third column is n."""
    side = wp.where(wp.abs(n[2]) > 0.9, wp.vec3(1.0, 0.0, 0.0), wp.vec3(0.0, 0.0, 1.0))
    t = wp.normalize(wp.cross(side, n))
    b = wp.cross(n, t)
    return wp.mat33(t[0], b[0], n[0], t[1], b[1], n[1], t[2], b[2], n[2])


@wp.func
def _alpha(s: Surface) -> float:
    return wp.max(s.roughness * s.roughness, LEAST_ALPHA)


@wp.func
def _normals(alpha: float, c: float) -> float:
    """GGX's density of normals at this cosine."""
    k = c * c * (alpha * alpha - 1.0) + 1.0
    return alpha * alpha / (PI * k * k)


@wp.func
def _stretch(alpha: float, c: float) -> float:
    """sqrt(alpha^2 + (1 - alpha^2) c^2), of Smith's shadowing."""
    return wp.sqrt(alpha * alpha + (1.0 - alpha * alpha) * c * c)


@wp.func
def _mirror_colour(s: Surface, c: float) -> wp.vec3:
    """What the rough lobe reflects at this cosine to its normal: Schlick's form of a metal, or the coat."""
    metal = s.colour + (wp.vec3(1.0, 1.0, 1.0) - s.colour) * wp.pow(wp.clamp(1.0 - c, 0.0, 1.0), 5.0)
    coat = s.coat * fresnel(c, INDEX)
    return metal * s.metallic + wp.vec3(coat, coat, coat) * (1.0 - s.metallic)


@wp.func
def specular_share(s: Surface, cos_out: float) -> float:
    """How often the rough lobe is sampled."""
    mirror = wp.max(_mirror_colour(s, cos_out))
    base = (1.0 - s.metallic) * wp.max(s.colour)
    return wp.where(
        base <= 0.0, 1.0, wp.where(mirror <= 0.0, 0.0, wp.clamp(mirror / (mirror + base), 0.15, 0.9))
    )


@wp.func
def reflected(s: Surface, out: wp.vec3, into: wp.vec3) -> wp.vec3:
    """Share of light from `into` that goes to `out` per steradian, times the cosine of `into`; both unit, in
    the surface's frame (z: normal)."""
    co = out[2]
    ci = into[2]
    if co <= 0.0 or ci <= 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    half = wp.normalize(out + into)
    alpha = _alpha(s)
    lobe = _normals(alpha, half[2]) * 0.5 / (ci * _stretch(alpha, co) + co * _stretch(alpha, ci))
    through = (1.0 - s.coat * fresnel(ci, INDEX)) * (1.0 - s.coat * fresnel(co, INDEX))
    base = s.colour * ((1.0 - s.metallic) * through / (PI * (1.0 - s.coat * MEAN_COAT)))
    return (_mirror_colour(s, wp.dot(out, half)) * lobe + base) * ci


@wp.func
def density(s: Surface, out: wp.vec3, into: wp.vec3) -> float:
    """Of `sample`'s directions, per steradian."""
    if out[2] <= 0.0 or into[2] <= 0.0:
        return 0.0
    half = wp.normalize(out + into)
    alpha = _alpha(s)
    lobe = _normals(alpha, half[2]) * 0.5 / (out[2] + _stretch(alpha, out[2]))
    share = specular_share(s, out[2])
    return share * lobe + (1.0 - share) * into[2] / PI


@wp.func
def sample(s: Surface, out: wp.vec3, u: wp.vec3) -> wp.vec3:
    """A direction that light may come from; it may lie below the surface. u: three numbers in [0, 1)."""
    turn = 2.0 * PI * u[0]
    if u[2] >= specular_share(s, out[2]):
        across = wp.sqrt(u[1])
        return wp.vec3(across * wp.cos(turn), across * wp.sin(turn), wp.sqrt(wp.max(1.0 - u[1], 0.0)))
    alpha = _alpha(s)
    view = wp.normalize(wp.vec3(out[0] * alpha, out[1] * alpha, out[2]))
    z = (1.0 - u[1]) * (1.0 + view[2]) - view[2]
    across = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
    half = wp.vec3(across * wp.cos(turn), across * wp.sin(turn), z) + view
    half = wp.normalize(wp.vec3(half[0] * alpha, half[1] * alpha, wp.max(half[2], 1.0e-6)))
    return half * (2.0 * wp.dot(out, half)) - out


@wp.func
def refract(d: wp.vec3, n: wp.vec3, ratio: float) -> wp.vec3:
    """The way on of a ray d through a surface whose normal n is on d's side. ratio: index before over index
    beyond; it is not totally reflected."""
    c = -wp.dot(d, n)
    return wp.normalize(
        d * ratio + n * (ratio * c - wp.sqrt(wp.max(1.0 - ratio * ratio * (1.0 - c * c), 0.0)))
    )
