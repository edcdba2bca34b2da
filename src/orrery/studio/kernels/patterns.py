"""Wood, marble, cloth, brushed steel and the like, in Warp: what a material's colour and roughness are at a
point of a body, from noise in the body's own frame, so that grain runs through a block as it does through
wood.

What is finer than a pixel fades to its mean. Lengths are metres.
"""

import warp as wp

__all__ = ["BRUSHED", "CLOTH", "GRAIN", "MARBLE", "MATT", "PLAIN", "PLANKS", "SPECKLED", "patterned"]

wp.set_module_options({"enable_backward": False})

PLAIN = 0
GRAIN = 1
PLANKS = 2
BRUSHED = 3
MARBLE = 4
CLOTH = 5
SPECKLED = 6
MATT = 7

RINGS_PER_M = wp.constant(90.0)
PLANK_WIDTH_M = wp.constant(0.13)
PLANK_LENGTH_M = wp.constant(1.1)
THREADS_PER_M = wp.constant(330.0)


@wp.func
def _kept(per_m: float, pixel_m: float) -> float:
    """How much of a pattern so fine is still to be seen in a pixel so wide, 1 to 0."""
    return wp.clamp(1.6 - 2.0 * per_m * pixel_m, 0.0, 1.0)


@wp.func
def _noise(seed: int, p: wp.vec3) -> float:
    """Smooth noise of about [-1, 1] with one hump a unit."""
    return 1.6 * wp.noise(wp.rand_init(seed), p)


@wp.func
def _fine_noise(seed: int, p: wp.vec3, per_m: float, pixel_m: float) -> float:
    """Noise with so many humps a metre, as far as they are to be seen."""
    kept = _kept(per_m, pixel_m)
    if kept <= 0.0:
        return 0.0
    return kept * _noise(seed, p)


@wp.func
def _fraction(x: float) -> float:
    return x - wp.floor(x)


@wp.func
def _wood(colour: wp.vec3, p: wp.vec3, pixel_m: float) -> wp.vec4:
    """Growth rings about an axis along x, fibres along x. The fourth number is a factor of roughness."""
    bend = _noise(11, wp.vec3(p[0] * 2.2, p[1] * 9.0, p[2] * 9.0))
    y = p[1] + 0.030 * bend
    z = p[2] + 0.06 + 0.05 * _noise(12, wp.vec3(p[0] * 1.3, p[1] * 5.0, 3.0))
    ring = _fraction(wp.sqrt(y * y + z * z) * RINGS_PER_M + 0.25 * bend)
    late = wp.smoothstep(0.15, 0.85, ring) * (1.0 - wp.smoothstep(0.88, 1.0, ring))
    late = 0.35 + (late - 0.35) * _kept(RINGS_PER_M * 2.0, pixel_m)
    fibre = _fine_noise(13, wp.vec3(p[0] * 14.0, p[1] * 520.0, p[2] * 520.0), 520.0, pixel_m)
    fibre += 0.8 * _fine_noise(14, wp.vec3(p[0] * 5.0, p[1] * 120.0, p[2] * 120.0), 120.0, pixel_m)
    dark = wp.clamp(1.06 - 0.30 * late - 0.10 * fibre, 0.2, 1.2)
    tint = wp.vec3(dark, wp.pow(dark, 1.25), wp.pow(dark, 1.6))
    shade = wp.cw_mul(colour, tint)
    return wp.vec4(shade[0], shade[1], shade[2], 1.0 + 0.25 * late + 0.15 * fibre)


@wp.func
def _planks(colour: wp.vec3, p: wp.vec3, pixel_m: float) -> wp.vec4:
    """Boards along x, each cut from another place of a tree."""
    row = wp.floor(p[1] / PLANK_WIDTH_M)
    shift = _fraction(row * 0.6180339) * PLANK_LENGTH_M
    board = wp.floor((p[0] + shift) / PLANK_LENGTH_M)
    pick = _fraction(wp.sin(row * 12.9898 + board * 78.233) * 43758.547)
    tone = 0.86 + 0.24 * pick
    cut = wp.vec3(p[0] + 3.7 * pick, p[1] - row * PLANK_WIDTH_M - 0.5 * PLANK_WIDTH_M, 0.05 * pick)
    wood = _wood(colour * tone, cut, pixel_m)
    side = _fraction(p[1] / PLANK_WIDTH_M)
    end = _fraction((p[0] + shift) / PLANK_LENGTH_M)
    gap = wp.min(wp.min(side, 1.0 - side) * PLANK_WIDTH_M, wp.min(end, 1.0 - end) * PLANK_LENGTH_M)
    width = wp.max(0.0009, 0.7 * pixel_m)
    open_ = wp.exp(-gap * gap / (width * width)) * 0.0009 / width
    return wp.vec4(
        wood[0] * (1.0 - 0.75 * open_), wood[1] * (1.0 - 0.8 * open_), wood[2] * (1.0 - 0.8 * open_), wood[3]
    )


@wp.func
def _marble(colour: wp.vec3, p: wp.vec3, pixel_m: float) -> wp.vec3:
    q = p * 11.0
    swirl = _noise(21, q) + 0.5 * _noise(22, q * 2.1) + 0.25 * _noise(23, q * 4.3)
    vein = wp.abs(wp.sin(q[0] * 1.7 + q[1] * 1.1 + q[2] * 0.6 + 2.6 * swirl))
    dark = 1.0 - wp.smoothstep(0.0, 0.22 + 20.0 * pixel_m, vein)
    cloud = 0.06 * swirl
    return wp.cw_mul(
        colour, wp.vec3(1.0 - 0.55 * dark + cloud, 1.0 - 0.53 * dark + cloud, 1.0 - 0.48 * dark + cloud)
    )


@wp.func
def _cloth(colour: wp.vec3, p: wp.vec3, pixel_m: float) -> wp.vec3:
    """Threads over and under, along whichever two axes the point's face has."""
    wave = wp.sin(6.2831853 * THREADS_PER_M * p[0]) * wp.sin(6.2831853 * THREADS_PER_M * (p[1] + p[2]))
    yarn = _noise(31, wp.vec3(p[0] * 60.0, p[1] * 800.0, p[2] * 60.0)) + _noise(32, p * 45.0)
    fine = 0.16 * wave * _kept(2.0 * THREADS_PER_M, pixel_m) + 0.07 * yarn * _kept(200.0, pixel_m)
    return colour * wp.clamp(0.88 + fine + 0.05 * _noise(33, p * 9.0), 0.2, 1.2)


@wp.func
def patterned(pattern: int, colour: wp.vec3, p: wp.vec3, pixel_m: float) -> wp.vec4:
    """Linear colour at p (of the body's frame), and a factor of its roughness. pixel_m: width of a pixel
    there."""
    if pattern == GRAIN:
        return _wood(colour, p, pixel_m)
    if pattern == PLANKS:
        return _planks(colour, p, pixel_m)
    shade = colour
    rough = wp.float32(1.0)
    if pattern == BRUSHED:
        line = _fine_noise(41, wp.vec3(p[0] * 6.0, p[1] * 900.0, p[2] * 900.0), 500.0, pixel_m)
        rough = 1.0 + 0.25 * line + 0.15 * _noise(42, p * 7.0)
        shade = colour * (1.0 + 0.04 * line)
    elif pattern == MARBLE:
        shade = _marble(colour, p, pixel_m)
    elif pattern == CLOTH:
        shade = _cloth(colour, p, pixel_m)
    elif pattern == SPECKLED:
        speck = wp.smoothstep(0.62, 0.8, _fine_noise(51, p * 320.0, 320.0, pixel_m))
        shade = colour * (1.0 - 0.45 * speck + 0.04 * _noise(52, p * 25.0))
    elif pattern == MATT:
        shade = colour * (
            1.0 + 0.05 * _noise(61, p * 40.0) + 0.05 * _fine_noise(62, p * 700.0, 700.0, pixel_m)
        )
    return wp.vec4(shade[0], shade[1], shade[2], rough)
