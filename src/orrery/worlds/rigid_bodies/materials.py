"""What things are made of: one table that sets look, weight, friction, bounce and sound.

Density and stiffness values are textbook magnitudes; objects are hollow (`shell`), as toys are, so that a
steel ball does not weigh four kilogrammes. Sound parameters follow the usual ranges of modal synthesis:
RT60 of metal .06 to .19 s, hard plastic .02 to .04 s, wood .06 to .17 s, rubber .04 to .16 s.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALL_COLOURS", "ALL_MATERIALS", "COLOURS", "MATERIAL_TABLE", "SURFACES", "Material", "Surface"]


@dataclass(frozen=True)
class Material:
    """One material.

    density_kg_m3: of the whole (hollow) body. friction: sliding coefficient against the table.
    rolling_m: rolling friction coefficient. restitution: rebound speed over impact speed on the table.
    base_hertz: lowest mode of a body whose characteristic length is 0.1 m. mode_ratios: further modes over
    the lowest, before shape is taken into account. rt60_seconds: decay of the lowest mode by 60 dB.
    rt60_slope: exponent by which decay time falls with frequency. hardness: 0 soft to 1 hard; sets the
    length of the contact pulse. loudness: relative gain.
    specular, shininess: Phong terms in [0, 1], MuJoCo's convention. texture: name of its surface pattern.
    """

    density_kg_m3: float
    friction: float
    rolling_m: float
    restitution: float
    base_hertz: float
    mode_ratios: tuple[float, ...]
    rt60_seconds: float
    rt60_slope: float
    hardness: float
    loudness: float
    specular: float
    shininess: float
    texture: str


MATERIAL_TABLE: dict[str, Material] = {
    "wood": Material(
        density_kg_m3=450.0, friction=0.45, rolling_m=0.0012, restitution=0.40,
        base_hertz=420.0, mode_ratios=(1.0, 2.57, 3.9, 5.1, 6.6, 8.2), rt60_seconds=0.12, rt60_slope=0.45,
        hardness=0.6, loudness=0.8, specular=0.15, shininess=0.2, texture="grain",
    ),
    "steel": Material(
        density_kg_m3=900.0, friction=0.25, rolling_m=0.0006, restitution=0.50,
        base_hertz=1150.0, mode_ratios=(1.0, 1.58, 2.32, 2.93, 4.1, 5.4, 6.7), rt60_seconds=0.6,
        rt60_slope=0.2, hardness=1.0, loudness=1.0, specular=1.0, shininess=0.9, texture="plain",
    ),
    "rubber": Material(
        density_kg_m3=600.0, friction=0.9, rolling_m=0.0020, restitution=0.72,
        base_hertz=130.0, mode_ratios=(1.0, 1.9, 2.8, 3.9), rt60_seconds=0.07, rt60_slope=0.6,
        hardness=0.1, loudness=0.9, specular=0.0, shininess=0.0, texture="plain",
    ),
    "plastic": Material(
        density_kg_m3=350.0, friction=0.35, rolling_m=0.0009, restitution=0.56,
        base_hertz=700.0, mode_ratios=(1.0, 2.1, 3.2, 4.6, 6.1), rt60_seconds=0.04, rt60_slope=0.3,
        hardness=0.45, loudness=0.7, specular=0.6, shininess=0.5, texture="plain",
    ),
}  # fmt: skip
"""The materials of the tabletop. They are fixed: its checkpoint has learned them."""

ALL_MATERIALS: dict[str, Material] = {
    **MATERIAL_TABLE,
    "glass": Material(
        density_kg_m3=750.0, friction=0.30, rolling_m=0.0006, restitution=0.48,
        base_hertz=1000.0, mode_ratios=(1.0, 1.72, 2.57, 3.3, 4.3, 5.6, 6.9), rt60_seconds=0.20,
        rt60_slope=0.25, hardness=0.95, loudness=0.9, specular=1.0, shininess=1.0, texture="plain",
    ),
    "ceramic": Material(
        density_kg_m3=800.0, friction=0.40, rolling_m=0.0008, restitution=0.44,
        base_hertz=820.0, mode_ratios=(1.0, 1.85, 2.7, 3.6, 4.8, 6.0), rt60_seconds=0.14, rt60_slope=0.35,
        hardness=0.85, loudness=0.9, specular=0.5, shininess=0.7, texture="plain",
    ),
}  # fmt: skip
"""Every material there is, those of the tabletop first."""


@dataclass(frozen=True)
class Surface:
    """What a table's top is covered with.

    material: key of ALL_MATERIALS, whose sound it has. friction, bounce: factors on what a body's own
    material has against the table. colour: sRGB in [0, 1]. specular, shininess: as Material's. texture: its
    pattern.
    """

    material: str
    friction: float
    bounce: float
    colour: tuple[float, float, float]
    specular: float
    shininess: float
    texture: str


SURFACES: dict[str, Surface] = {
    "wood": Surface("wood", 1.0, 1.0, (0.62, 0.47, 0.32), 0.1, 0.2, "grain"),
    "metal": Surface("steel", 0.8, 1.05, (0.55, 0.57, 0.60), 0.6, 0.6, "brushed"),
    "cloth": Surface("rubber", 1.3, 0.6, (0.28, 0.42, 0.36), 0.0, 0.0, "weave"),
    "glass": Surface("glass", 0.75, 1.0, (0.60, 0.72, 0.74), 0.9, 0.9, "plain"),
}

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.10, 0.10),
    "green": (0.10, 0.62, 0.18),
    "blue": (0.12, 0.25, 0.88),
    "yellow": (0.95, 0.85, 0.10),
    "orange": (0.96, 0.48, 0.05),
    "purple": (0.50, 0.13, 0.65),
    "white": (0.93, 0.93, 0.93),
    "black": (0.07, 0.07, 0.07),
}
"""Colour name to sRGB in [0, 1]."""

ALL_COLOURS: dict[str, tuple[float, float, float]] = {
    **COLOURS,
    "pink": (0.95, 0.48, 0.66),
    "brown": (0.40, 0.23, 0.11),
    "grey": (0.46, 0.47, 0.49),
    "turquoise": (0.12, 0.68, 0.70),
    "gold": (0.80, 0.60, 0.18),
}
"""Every colour that can be asked for, those that scenes are drawn from first."""
