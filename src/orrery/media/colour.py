"""HDR and wide colours brought to sRGB.

Of HDR, light up to about 85 cd/m² stays as it is and what is brighter is compressed, so that 1,000 cd/m²
become the white of sRGB, taken as 203 cd/m² (ITU-R BT.2408): the tone curve of ITU-R BT.2390, applied to the
largest of the three colours, which keeps hues. Light above 1,000 cd/m² is clipped, and so are colours outside
sRGB.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from orrery.streams import Array

__all__ = ["HDR_OPERATOR", "HLG", "PQ", "WIDE_PRIMARIES", "to_srgb"]

PQ, HLG = 16, 18
"""Transfer functions, as ITU-T H.273 numbers them: SMPTE ST 2084, ARIB STD-B67."""
WHITE_NITS, PEAK_NITS = 203.0, 1000.0
HDR_OPERATOR = f"BT.2390 from {PEAK_NITS:,.0f} to {WHITE_NITS:.0f} cd/m²"

_FROM_2020 = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)
_FROM_P3 = ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274))
WIDE_PRIMARIES = {9: _FROM_2020, 11: _FROM_P3, 12: _FROM_P3}
"""Primaries, as ITU-T H.273 numbers them, to the matrix from their linear light to that of sRGB."""
_NUM_CODES = 65_536
_HLG_A, _HLG_B, _HLG_C, _HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_PQ = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def to_srgb(picture: Array, transfer: int, primaries: int) -> Array:
    """`[H, W, 3]` uint16, full range, as uint8 sRGB. transfer, primaries: as ITU-T H.273 numbers them."""
    is_hdr = transfer in (PQ, HLG)
    light = _linear(transfer)[picture]
    if transfer == HLG:
        light *= (light @ _LUMA_2020)[..., None] ** (_HLG_GAMMA - 1)
    if primaries in WIDE_PRIMARIES:
        light = light @ np.array(WIDE_PRIMARIES[primaries], np.float32).T
    light = np.clip(light, 0.0, 1.0)
    if is_hdr:
        largest = np.rint(np.sqrt(light.max(-1)) * (_NUM_CODES - 1)).astype(np.uint16)
        light *= _gain()[largest][..., None]
    return _encoded()[np.rint(np.minimum(light, 1.0) * (_NUM_CODES - 1)).astype(np.uint16)]


@cache
def _linear(transfer: int) -> Array:
    """Code to light, `[65536]` float32: of HDR, 1 is PEAK_NITS; of HLG still that of the scene."""
    code = np.linspace(0.0, 1.0, _NUM_CODES)
    if transfer == PQ:
        light = _pq_nits(code) / PEAK_NITS
    elif transfer == HLG:
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    else:
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def _gain() -> Array:
    """What light is multiplied by, so that WHITE_NITS becomes 1, `[65536]` over the root of the light."""
    nits = np.maximum(np.linspace(0.0, 1.0, _NUM_CODES) ** 2 * PEAK_NITS, 1e-6)
    peak, largest = _pq_code(PEAK_NITS), _pq_code(WHITE_NITS) / _pq_code(PEAK_NITS)
    level = _pq_code(nits) / peak
    knee = 1.5 * largest - 0.5
    t = np.maximum(level - knee, 0.0) / (1 - knee)
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * largest
    )
    mapped = _pq_nits(np.where(level > knee, curve, level) * peak)
    return (mapped / nits * (PEAK_NITS / WHITE_NITS)).astype(np.float32)


@cache
def _encoded() -> Array:
    """Light to the level of sRGB, `[65536]` uint8."""
    light = np.linspace(0.0, 1.0, _NUM_CODES)
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(code * 255).astype(np.uint8)


def _pq_nits(code: Array) -> Array:
    m1, m2, c1, c2, c3 = _PQ
    root = code ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _pq_code(nits: Array | float) -> Array:
    m1, m2, c1, c2, c3 = _PQ
    root = (np.asarray(nits) / 10_000) ** m1
    return ((c1 + c2 * root) / (1 + c3 * root)) ** m2
