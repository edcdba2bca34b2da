"""MuJoCo physics of a table: a model's parts, and one frame of it with every contact recorded.

World frame: x right, y away from the front camera, z up, table top at z = 0; metres, seconds, newtons.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np

from orrery.streams import Array, Clock
from orrery.worlds.rigid_bodies.geometry import Tray, cross, quaternion_product, rotate
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS

__all__ = [
    "FINGER_COLOUR", "FINGER_GARAGE_M", "FINGER_HALF_LENGTH_M", "FINGER_MATERIAL", "FINGER_PARKED_M",
    "FINGER_RADIUS_M", "GEOM_TYPES", "SOLIMP", "SUBSTEPS_PER_FRAME", "TABLE_MATERIAL", "Contacts", "Motion",
    "add_finger", "add_geom", "bare_table", "contact_friction", "contact_solref", "geom_size",
    "material_contact", "rim_boxes", "simulate_frame", "split_motion",
]  # fmt: skip

SUBSTEPS_PER_FRAME = 40
"""Physics runs at 40 x 24 = 960 Hz."""
FINGER_RADIUS_M = 0.016
FINGER_HALF_LENGTH_M = 0.07
FINGER_PARKED_M = (0.0, 0.0, 0.80)
"""Where the centre of an idle finger hangs, above what any camera sees."""
FINGER_GARAGE_M = 0.72
"""A finger whose centre is higher than this is out of every camera's sight, and throws no shadow."""
FINGER_MATERIAL = "rubber"
FINGER_COLOUR = (0.80, 0.62, 0.55)
TABLE_MATERIAL = "wood"
_FINGER_MASS_KG = 0.2
_CONTACT_RAD_S = 450.0
"""Natural frequency of a contact: it lasts about pi / 450 = 7 ms, seven substeps."""
_LEAST_TILT = 1e-7
"""Of a cylinder, half of it in radians; see `_straighten`."""
GEOM_TYPES = {
    "ball": mujoco.mjtGeom.mjGEOM_SPHERE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}
SOLIMP = [0.99, 0.99, 0.001, 0.5, 2.0]
_TORSION_M = 0.003
"""Radius of the patch that resists a body's spinning on the spot."""


def rim_boxes(tray: Tray) -> list[tuple[list[float], list[float]]]:
    """Centre and half extents of a tray's four rims, metres."""
    half_h, half_t = tray.rim_height / 2, tray.rim_thickness / 2
    x, y = tray.half_x + half_t, tray.half_y + half_t
    return [
        ([-x, 0, half_h], [half_t, y + half_t, half_h]),
        ([x, 0, half_h], [half_t, y + half_t, half_h]),
        ([0, -y, half_h], [tray.half_x, half_t, half_h]),
        ([0, y, half_h], [tray.half_x, half_t, half_h]),
    ]


def contact_solref(restitution: float) -> list[float]:
    """MuJoCo's direct (negative) `solref`, `[-stiffness, -damping]`, of a contact that rebounds.

    restitution: rebound speed over impact speed, in (0, 1). A damped spring rebounds with
    e = exp(-pi z / sqrt(1 - z^2)) (z: damping ratio), solved for z.
    """
    log_e = math.log(restitution)
    damping_ratio = -log_e / math.hypot(math.pi, log_e)
    return [-(_CONTACT_RAD_S**2), -2.0 * damping_ratio * _CONTACT_RAD_S]


def bare_table(clock: Clock, tray: Tray) -> mujoco.MjSpec:
    """A table with a tray's rims on it, and the options that all models share."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 1.0 / (clock.frames_per_second * SUBSTEPS_PER_FRAME)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1])
    for index, (position, size) in enumerate(rim_boxes(tray)):
        spec.worldbody.add_geom(name=f"rim{index}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size)
    return spec


def add_geom(
    part: mujoco.MjsBody,
    name: str,
    shape: str,
    half_extents_m: tuple[float, float, float],
    material: str,
    priority: int = 1,
) -> None:
    """A body's geom, with what its material weighs and how it rubs and bounces.

    priority: 1 where its own bounce and friction rule against table, rims and fixtures, which have 0.
    """
    part.add_geom(
        name=name,
        type=GEOM_TYPES[shape],
        size=geom_size(shape, half_extents_m),
        density=ALL_MATERIALS[material].density_kg_m3,
        **material_contact(material, priority),
    )


def material_contact(material: str, priority: int) -> dict[str, Any]:
    """How a geom of a material rubs and bounces, as MuJoCo takes it. priority: see `add_geom`."""
    return {
        "condim": 6, "priority": priority, "friction": contact_friction(material),
        "solref": contact_solref(ALL_MATERIALS[material].restitution), "solimp": SOLIMP,
    }  # fmt: skip


def geom_size(shape: str, half_extents_m: tuple[float, float, float]) -> tuple[float, float, float]:
    """MuJoCo's three numbers: those of cylinders and capsules are radius and half length."""
    radius, _, half_length = half_extents_m
    return (radius, half_length, 0.0) if shape in ("cylinder", "capsule") else half_extents_m


def contact_friction(material: str) -> list[float]:
    """Sliding, torsional and rolling coefficients of a material."""
    stuff = ALL_MATERIALS[material]
    return [stuff.friction, _TORSION_M, stuff.rolling_m]


def add_finger(spec: mujoco.MjSpec, max_force_n: float = 8.0) -> None:
    """A capsule on three slides, driven to follow a target; gravity does not pull it."""
    part = spec.worldbody.add_body(name="finger", pos=FINGER_PARKED_M, gravcomp=1.0)
    part.add_geom(
        name="finger",
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[FINGER_RADIUS_M, FINGER_HALF_LENGTH_M, 0],
        mass=_FINGER_MASS_KG,
        friction=[0.6, 0.003, 0.001],
    )
    part.add_site(name="pad", pos=[0, 0, 0])
    for axis, direction in zip("xyz", np.eye(3), strict=True):
        part.add_joint(name=f"finger_{axis}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=direction)
        spec.add_actuator(
            name=f"finger_{axis}",
            target=f"finger_{axis}",
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            forcerange=[-max_force_n, max_force_n],
            gainprm=[600.0] + [0.0] * 9,
            biasprm=[0.0, -600.0, -24.0] + [0.0] * 7,
        )
    spec.activate_plugin("mujoco.sensor.touch_grid")
    pad = spec.add_plugin(name="pad", plugin_name="mujoco.sensor.touch_grid", active=True)
    pad.config = {"size": "4 4", "fov": "180 90", "gamma": "0", "nchannel": "3"}
    sensor = spec.add_sensor(
        name="pad", type=mujoco.mjtSensor.mjSENS_PLUGIN, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="pad"
    )
    sensor.plugin = pad


# Where the finger's target may be, relative to where it parks: over the tray and above the table.
_TARGET_LOW_M = np.array([-0.5, -0.5, FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 0.004 - FINGER_PARKED_M[2]])
_TARGET_HIGH_M = np.array([0.5, 0.5, 0.0])


@dataclass(frozen=True)
class Motion:
    """Poses and velocities after each of n substeps, of K objects and the finger, in that order.

    position_m `[n, K + 1, 3]`, quaternion `[n, K + 1, 4]` (wxyz), linear_velocity_m_s and
    angular_velocity_rad_s `[n, K + 1, 3]`, all in the world frame.
    """

    position_m: Array
    quaternion: Array
    linear_velocity_m_s: Array
    angular_velocity_rad_s: Array


@dataclass(frozen=True)
class Contacts:
    """Contact rows, in order of time. Bodies: table and rims 0, objects 1 .. K, finger K + 1, then fixtures.

    substep `[n]`, pair `[n, 2]` (ascending), normal_force_n `[n]`, point_m `[n, 3]`, normal `[n, 3]` (unit).
    """

    substep: Array
    pair: Array
    normal_force_n: Array
    point_m: Array
    normal: Array


def simulate_frame(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    finger_velocity_m_s: Array,
    before_substep: Callable[[], None] | None = None,
) -> tuple[Motion, Contacts, Array]:
    """Advance one video frame while the finger's target moves at `finger_velocity_m_s [3]`, world frame.

    before_substep: called before each, for forces of one's own. Changes `data`. The motion has
    `SUBSTEPS_PER_FRAME` rows; contacts that are near but carry no force have force 0. Last comes what the
    finger's pad feels, `[4, 4, 3]` float32 newton, the mean over the frame: a push chatters, so that an
    instant of it says little of how hard it is.
    """
    qpos = np.zeros((SUBSTEPS_PER_FRAME, model.nq))
    qvel = np.zeros((SUBSTEPS_PER_FRAME, model.nv))
    felt = np.zeros((SUBSTEPS_PER_FRAME, 48), np.float32)
    rows: list[tuple[int, Array, Array, Array, Array, Array]] = []
    joints = _joints(model)
    # Views of the simulator's own memory, looked up once: they follow it from step to step.
    target, positions, speeds, readings = data.ctrl[:3], data.qpos, data.qvel, data.sensordata[:48]
    targets = _target_path(target, finger_velocity_m_s * model.opt.timestep)
    for substep in range(SUBSTEPS_PER_FRAME):
        _straighten(positions, joints.cylinders)
        target[:] = targets[substep]
        if before_substep is not None:
            before_substep()
        mujoco.mj_step(model, data)
        qpos[substep], qvel[substep], felt[substep] = positions, speeds, readings
        if data.ncon:
            contact = data.contact
            rows.append(
                (
                    substep, contact.geom.copy(), contact.efc_address.copy(), contact.pos.copy(),
                    contact.frame.copy(), data.efc_force.copy(),
                )
            )  # fmt: skip
    motion = split_motion(model, qpos, qvel)
    mean = felt.sum(axis=0, initial=0.0) / SUBSTEPS_PER_FRAME
    return motion, _stack_contacts(model, rows), _touch_grid_n(mean)


def _target_path(start_m: Array, step_m: Array) -> Array:
    """Where the finger's target is in each substep, `[SUBSTEPS_PER_FRAME, 3]`: on by `step_m` each time, and
    never out of bounds.

    Bounds are kept at the first step and once more at the end, to the same effect as at each: what has gone
    on from within them goes one way, so that what is beyond one stays beyond it.
    """
    path = np.empty((SUBSTEPS_PER_FRAME, 3))
    path[0], path[1:] = _within_reach(start_m + step_m), step_m
    return _within_reach(np.add.accumulate(path))


def _within_reach(target_m: Array) -> Array:
    return np.minimum(np.maximum(target_m, _TARGET_LOW_M), _TARGET_HIGH_M)


def _touch_grid_n(readings: Array) -> Array:
    """The pad `[4, 4, 3]`, newton, from its raw readings `[48]`; its sum is the force on the finger.

    Components in the pad's frame: along its normal, which is the finger's axis (world z), then the two across
    it (world x, y). A sideways push so appears in the last two. Rows and columns are directions seen from
    the finger's centre (MuJoCo's plugin `touch_grid`).
    """
    return readings.reshape(3, 4, 4).transpose(1, 2, 0)


@dataclass(frozen=True)
class _Joints:
    """Which of a model's objects hang on which joint, and where those are in `qpos` and `qvel`.

    num_objects: K; the finger comes after them. free: objects with a free joint; poses `[free, 7]` and speeds
    `[free, 6]`: their columns. hinged: (object, joint). cylinders: where the quaternions of those that are
    free begin.
    """

    num_objects: int
    free: Array
    poses: Array
    speeds: Array
    hinged: tuple[tuple[int, int], ...]
    cylinders: tuple[int, ...]


@lru_cache(maxsize=16)
def _joints(model: mujoco.MjModel) -> _Joints:
    joints = model.body_jntadr[1 : model.body("finger").id]
    is_free = model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_FREE
    poses = model.jnt_qposadr[joints[is_free], None] + np.arange(7)
    is_cylinder = model.geom_type[model.body_geomadr[1 : len(joints) + 1]] == mujoco.mjtGeom.mjGEOM_CYLINDER
    return _Joints(
        num_objects=len(joints),
        free=np.flatnonzero(is_free),
        poses=poses,
        speeds=model.jnt_dofadr[joints[is_free], None] + np.arange(6),
        hinged=tuple((int(body), int(joints[body])) for body in np.flatnonzero(~is_free)),
        cylinders=tuple((poses[is_cylinder[is_free], 3]).tolist()),
    )


def _straighten(positions: Array, quaternions: tuple[int, ...]) -> None:
    """Turn cylinders that stand all but upright wholly upright, by an invisible angle.

    MuJoCo 4.0 finds a cylinder's lowest point on a plane from the part of the plane's normal that is across
    the cylinder's axis, divided by its length unless that is below 1e-15. A little above, it is rounding
    noise: the point found lies up to a radius off, also upwards, and the cylinder hops or falls through. A
    quaternion that is not of unit length to the last bit is noise enough.
    """
    for first in quaternions:
        w, x, y, z = positions[first : first + 4].tolist()
        across, along = math.hypot(x, y), math.hypot(w, z)
        if across < _LEAST_TILT:
            positions[first : first + 4] = [w / along, 0.0, 0.0, z / along]
        elif along < _LEAST_TILT:  # upside down
            positions[first : first + 4] = [0.0, x / across, y / across, 0.0]


def split_motion(model: mujoco.MjModel, qpos: Array, qvel: Array) -> Motion:
    """Joint coordinates `[n, nq]`, `[n, nv]` as bodies: objects with one joint each, then the finger."""
    joints, n = _joints(model), len(qpos)
    position, linear, angular = np.zeros((3, n, joints.num_objects + 1, 3))
    quaternion = np.zeros((n, joints.num_objects + 1, 4))
    poses, speeds = qpos[:, joints.poses], qvel[:, joints.speeds]
    position[:, joints.free], quaternion[:, joints.free] = poses[..., :3], poses[..., 3:]
    linear[:, joints.free] = speeds[..., :3]
    # MuJoCo keeps a free joint's spin in the body frame.
    angular[:, joints.free] = rotate(poses[..., 3:], speeds[..., 3:])
    for body, joint in joints.hinged:
        turn = _hinge_motion(model, joint, qpos, qvel)
        position[:, body], quaternion[:, body], linear[:, body], angular[:, body] = turn
    position[:, -1], quaternion[:, -1, 0] = qpos[:, -3:] + np.array(FINGER_PARKED_M), 1.0
    linear[:, -1] = qvel[:, -3:]
    return Motion(position, quaternion, linear, angular)


def _hinge_motion(
    model: mujoco.MjModel, joint: int, qpos: Array, qvel: Array
) -> tuple[Array, Array, Array, Array]:
    """Position, quaternion, linear and angular velocity, each `[n, ...]`, of a body that hangs on a hinge."""
    body = model.jnt_bodyid[joint]
    first = model.body_quat[body]
    angle = qpos[:, model.jnt_qposadr[joint], None]
    turned = np.concatenate([np.cos(angle / 2), np.sin(angle / 2) * model.jnt_axis[joint]], axis=1)
    anchor = model.body_pos[body] + rotate(first, model.jnt_pos[joint])
    arm = rotate(first, -rotate(turned, np.broadcast_to(model.jnt_pos[joint], (len(qpos), 3))))
    spin = rotate(first, model.jnt_axis[joint]) * qvel[:, model.jnt_dofadr[joint], None]
    quaternion = np.stack(quaternion_product(tuple(first), tuple(turned.T)), axis=1)
    return anchor + arm, quaternion, cross(spin, arm), spin


def _stack_contacts(
    model: mujoco.MjModel, rows: list[tuple[int, Array, Array, Array, Array, Array]]
) -> Contacts:
    """All contacts of a frame. rows: of each substep that has any its number, what MuJoCo keeps of them
    (geoms, place of the force among all constraint forces, point, frame), and those forces.
    """
    if not rows:
        none = np.zeros((0, 3))
        return Contacts(np.zeros(0, int), np.zeros((0, 2), int), np.zeros(0), none, none)
    substeps, *parts = zip(*rows, strict=True)
    geoms, address, point, frame, forces = map(np.concatenate, parts)
    num_contacts = list(map(len, parts[0]))
    first = np.cumsum([0, *map(len, parts[-1][:-1])])
    touching = address >= 0  # -1: near, not touching
    force = np.zeros(len(address))
    force[touching] = forces[(address + np.repeat(first, num_contacts))[touching]]
    pair = np.sort(model.geom_bodyid[geoms], axis=1)
    return Contacts(np.repeat(substeps, num_contacts), pair, force, point, frame[:, :3].copy())
