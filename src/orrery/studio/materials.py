"""Materials by name: how each scatters light, and what pattern it has."""

from __future__ import annotations

from dataclasses import dataclass

from orrery.errors import BadUse, nearest
from orrery.studio.kernels import patterns

__all__ = ["MATERIALS", "Material", "material"]


@dataclass(frozen=True)
class Material:
    """roughness: 0 mirror to 1 matt. metallic: whether it reflects in its own colour. coat: share of a smooth
    varnish's reflection that there is. clear: whether light goes through, which then has the colour's tint.
    pattern: of `patterns`; on_planes: its pattern on a plane."""

    roughness: float
    metallic: float = 0.0
    coat: float = 1.0
    clear: bool = False
    pattern: int = patterns.PLAIN
    on_planes: int = patterns.PLAIN


MATERIALS: dict[str, Material] = {
    "wood": Material(0.42, pattern=patterns.GRAIN, on_planes=patterns.PLANKS),
    "steel": Material(0.24, metallic=1.0, pattern=patterns.BRUSHED, on_planes=patterns.BRUSHED),
    "glass": Material(0.08, clear=True),
    "ceramic": Material(0.13, pattern=patterns.SPECKLED, on_planes=patterns.SPECKLED),
    "rubber": Material(0.75, coat=0.5, pattern=patterns.MATT, on_planes=patterns.MATT),
    "plastic": Material(0.26),
    "cloth": Material(1.0, coat=0.0, pattern=patterns.CLOTH, on_planes=patterns.CLOTH),
    "marble": Material(0.16, pattern=patterns.MARBLE, on_planes=patterns.MARBLE),
    "paper": Material(1.0, coat=0.0),
}
"""The look's own table. Glass that has no inside (a plane) is polished and opaque."""


def material(name: str) -> Material:
    """The material of this name; BadUse with the nearest if none is."""
    if name not in MATERIALS:
        hint = nearest(name, MATERIALS) or list(MATERIALS)
        raise BadUse(f"no material is called {name!r}; perhaps {' or '.join(hint)}")
    return MATERIALS[name]
