"""A laboratory scene as a MuJoCo model, and as bodies that sound.

MuJoCo's bodies are the table (with the tray's rims) 0, things 1 .. K in slot order, the finger K + 1, then
the fixtures. The finger has a suction cup: its fourth actuator holds on to what it touches.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from orrery.streams import Clock
from orrery.worlds.laboratory.scene import FLOOR_M, LAB_TRAY, Fixture, LabScene, Thing
from orrery.worlds.rigid_bodies.geometry import rotate
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, SURFACES
from orrery.worlds.rigid_bodies.mesh_file import MeshFile
from orrery.worlds.rigid_bodies.physics import (
    FINGER_HALF_LENGTH_M,
    FINGER_MATERIAL,
    SOLIMP,
    add_finger,
    add_geom,
    bare_table,
    contact_friction,
    contact_solref,
    material_contact,
)
from orrery.worlds.rigid_bodies.sound import SoundingBody

__all__ = [
    "GRIP_N", "RIM_OF_SIDE", "TABLE_BOX_M", "build_laboratory", "laboratory_bodies", "laboratory_parts",
    "table_bounce", "table_friction",
]  # fmt: skip

GRIP_N = 20.0
"""How strongly the finger's suction cup holds."""
_FINGER_FORCE_N = 16.0
_SOLVER_TOLERANCE = 1e-14
"""Of the contact forces. MuJoCo's own 1e-8 now and then stops Newton's method while a light body's force is
still several times too large: what a step must still gain is scaled by the mean inertia of all bodies.
"""
_COLLISION_TOLERANCE_M = 1e-9
"""Of convex collision. With MuJoCo's own 1e-6, two cylinders whose ends lie on each other all but flat
(tilted by some 1e-5) are now and then found one whole cylinder deep in each other, and fly apart.
"""
RIM_OF_SIDE = {"left": 0, "right": 1, "forward": 2, "back": 3}
"""Number of the rim on each side of the table."""
TABLE_BOX_M = (LAB_TRAY.half_x + LAB_TRAY.rim_thickness, LAB_TRAY.half_y + LAB_TRAY.rim_thickness, 0.02)
"""Half extents of a table with an open edge."""
_GREATEST_BOUNCE = 0.9
_GREATEST_FRICTION = 0.9
"""Of a table. A ball that rolls against a wall locks where the product of the two coefficients reaches 1, and
MuJoCo's contacts, springs of acceleration and not of force, then give back more than they took: rubber on
cloth (1.17) against rubber (0.9) kicked a can of half a kilogram into the air.
"""


def table_friction(material: str, surface: str) -> float:
    """Sliding coefficient of a body of `material` on a table of `surface`."""
    return min(ALL_MATERIALS[material].friction * SURFACES[surface].friction, _GREATEST_FRICTION)


def table_bounce(material: str, surface: str) -> float:
    """Rebound speed over impact speed of a body of `material` on a table of `surface`."""
    return min(ALL_MATERIALS[material].restitution * SURFACES[surface].bounce, _GREATEST_BOUNCE)


def build_laboratory(scene: LabScene, clock: Clock) -> mujoco.MjModel:
    """The scene as a model. First velocities are no part of it: whoever makes its data sets them."""
    return laboratory_parts(scene, clock).compile()


def laboratory_parts(scene: LabScene, clock: Clock) -> mujoco.MjSpec:
    """The scene's model before it is compiled, for those who add to it."""
    spec = bare_table(clock, LAB_TRAY)
    if scene.open_edge is not None:
        _open_edge(spec, scene.open_edge)
    spec.option.tolerance, spec.option.ccd_tolerance = _SOLVER_TOLERANCE, _COLLISION_TOLERANCE_M
    for slot, thing in enumerate(scene.things):
        _add_thing(spec, slot, thing, scene.surface)
    add_finger(spec, _FINGER_FORCE_N)
    spec.add_actuator(
        name="grip", target="finger", trntype=mujoco.mjtTrn.mjTRN_BODY, ctrllimited=True, ctrlrange=[0.0,
        1.0], gainprm=[GRIP_N] + [0.0] * 9,
    )  # fmt: skip
    for index, fixture in enumerate(scene.fixtures):
        name = f"fixture{index}"
        part = spec.worldbody.add_body(name=name, pos=fixture.position_m, quat=fixture.quaternion)
        add_geom(part, name, fixture.shape, fixture.half_extents_m, fixture.material, priority=0)
    for thing, fixture in scene.ignored_pairs:
        spec.add_exclude(bodyname1=f"object{thing}", bodyname2=f"fixture{fixture}")
    return spec


def _open_edge(spec: mujoco.MjSpec, side: str) -> None:
    """End the table where its rims stand, take one rim away, and put a floor below."""
    table = spec.geom("table")
    table.type, table.size, table.pos = mujoco.mjtGeom.mjGEOM_BOX, TABLE_BOX_M, [0.0, 0.0, -TABLE_BOX_M[2]]
    spec.delete(spec.geom(f"rim{RIM_OF_SIDE[side]}"))
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], pos=[0, 0, FLOOR_M]
    )


def _add_thing(spec: mujoco.MjSpec, slot: int, thing: Thing, surface: str) -> None:
    name = f"object{slot}"
    part = spec.worldbody.add_body(name=name, pos=thing.position_m, quat=thing.quaternion)
    touching = [name]
    if thing.mesh is None:
        add_geom(part, name, thing.shape, thing.half_extents_m, thing.material)
    else:
        touching = _add_mesh(spec, part, name, thing.mesh, thing.material)
    for geom in touching:  # the surface has its say in how a thing rubs and bounces on it
        spec.add_pair(
            name=f"{geom}-table", geomname1=geom, geomname2="table", condim=6, solimp=SOLIMP,
            friction=_pair_friction(thing.material, surface),
            solref=contact_solref(table_bounce(thing.material, surface)),
        )  # fmt: skip
    if thing.hinge is None:
        part.add_freejoint()
        return
    inverse = np.array(thing.quaternion) * [1, -1, -1, -1]
    arm = rotate(inverse, np.subtract(thing.hinge.anchor_m, thing.position_m))
    axis = rotate(inverse, np.array(thing.hinge.axis))
    part.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, pos=arm, axis=axis)
    if thing.hinge.rod_m > 0.0:
        part.add_geom(
            name=f"rod{slot}", type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=[*arm, 0.0, 0.0, 0.0],
            size=[thing.hinge.rod_m, 0, 0], mass=0.0, solimp=SOLIMP, solref=contact_solref(0.5),
        )  # fmt: skip


def _add_mesh(
    spec: mujoco.MjSpec, part: mujoco.MjsBody, name: str, file: MeshFile, material: str
) -> list[str]:
    """A body's mesh; returns the names of its geoms that touch."""
    from orrery.worlds.rigid_bodies.mesh import add_mesh_body, read_mesh  # of the studio extra

    mesh = read_mesh(file)
    density = ALL_MATERIALS[material].density_kg_m3
    if file.mass_kg is not None:
        density = file.mass_kg / mesh.volume_m3
    return add_mesh_body(spec, part, name, mesh, material_contact(material, priority=1), density)


def _pair_friction(material: str, surface: str) -> list[float]:
    """The five coefficients of an explicit pair: two tangential, one torsional, two rolling."""
    slide = table_friction(material, surface)
    _, torsion, roll = contact_friction(material)
    return [slide, slide, torsion, roll, roll]


def laboratory_bodies(scene: LabScene, model: mujoco.MjModel) -> list[SoundingBody]:
    """What sounds, in the order of MuJoCo's bodies."""
    masses = model.body_mass
    things = [
        SoundingBody(f"object{k}", t.material, _voice(t), _pitch_length_m(t), float(masses[k + 1]))
        for k, t in enumerate(scene.things)
    ]
    table = SoundingBody("table", SURFACES[scene.surface].material, "table", 0.3, 20.0)
    finger_mass = float(masses[model.body("finger").id])
    finger = SoundingBody("finger", FINGER_MATERIAL, "finger", FINGER_HALF_LENGTH_M, finger_mass)
    fixtures = [
        SoundingBody(f"fixture{k}", f.material, _voice(f), _pitch_length_m(f), 20.0)
        for k, f in enumerate(scene.fixtures)
    ]
    return [table, *things, finger, *fixtures]


def _voice(body: Thing | Fixture) -> str:
    """How a body rings: a slender one as a bar, a thin one as a plate, a stout one as its shape; a mesh as
    the box about it."""
    small, middle, large = sorted(body.half_extents_m)
    shape = "box" if body.shape == "mesh" else body.shape
    if shape == "box" and small < 0.35 * middle:
        return "plate"
    if shape != "ball" and large > 2.5 * middle:
        return "bar"
    return shape


def _pitch_length_m(body: Thing | Fixture) -> float:
    """Half the edge of the cube of the same volume: what sets the pitch."""
    return math.prod(body.half_extents_m) ** (1 / 3)
