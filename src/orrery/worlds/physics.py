"""MuJoCo physics of a tabletop scene: the model, and one frame of it with every contact recorded.

World frame: x right, y away from the front camera, z up, table top at z = 0; metres, seconds, newtons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from orrery.scenes.materials import MATERIAL_TABLE
from orrery.scenes.scene import TRAY, Body, Scene
from orrery.streams import Array, Clock

__all__ = [
    "FINGER_COLOUR", "FINGER_HALF_LENGTH_M", "FINGER_MATERIAL", "FINGER_PARKED_M", "FINGER_RADIUS_M",
    "GEOM_TYPES", "SUBSTEPS_PER_FRAME", "TABLE_MATERIAL", "Contacts", "Motion", "build_model",
    "contact_solref", "rim_boxes", "rotate", "simulate_frame",
]  # fmt: skip

SUBSTEPS_PER_FRAME = 40
"""Physics runs at 40 x 24 = 960 Hz."""
FINGER_RADIUS_M = 0.016
FINGER_HALF_LENGTH_M = 0.07
FINGER_PARKED_M = (0.0, 0.0, 0.80)
"""Where the centre of an idle finger hangs, above what any camera sees."""
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
}


def rim_boxes() -> list[tuple[list[float], list[float]]]:
    """Centre and half extents of the tray's four rims, metres."""
    half_h, half_t = TRAY.rim_height / 2, TRAY.rim_thickness / 2
    x, y = TRAY.half_x + half_t, TRAY.half_y + half_t
    return [
        ([-x, 0, half_h], [half_t, y + half_t, half_h]),
        ([x, 0, half_h], [half_t, y + half_t, half_h]),
        ([0, -y, half_h], [TRAY.half_x, half_t, half_h]),
        ([0, y, half_h], [TRAY.half_x, half_t, half_h]),
    ]


def contact_solref(restitution: float) -> list[float]:
    """MuJoCo's direct (negative) `solref`, `[-stiffness, -damping]`, of a contact that rebounds.

    restitution: rebound speed over impact speed, in (0, 1). A damped spring rebounds with
    e = exp(-pi z / sqrt(1 - z^2)) (z: damping ratio), solved for z.
    """
    log_e = math.log(restitution)
    damping_ratio = -log_e / math.hypot(math.pi, log_e)
    return [-(_CONTACT_RAD_S**2), -2.0 * damping_ratio * _CONTACT_RAD_S]


def build_model(scene: Scene, clock: Clock) -> mujoco.MjModel:
    """The scene as a MuJoCo model: table, rims, one free body per slot, and the finger with its touch pad.

    Bodies: the world (table and rims) 0, objects 1 .. K in slot order, the finger K + 1. The scene's first
    velocities are no part of a model: whoever makes its data sets them.
    """
    spec = mujoco.MjSpec()
    spec.option.timestep = 1.0 / (clock.frames_per_second * SUBSTEPS_PER_FRAME)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1])
    for index, (position, size) in enumerate(rim_boxes()):
        spec.worldbody.add_geom(name=f"rim{index}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size)
    for slot, body in enumerate(scene.bodies):
        _add_body(spec, slot, body)
    _add_finger(spec)
    return spec.compile()


def _add_body(spec: mujoco.MjSpec, slot: int, body: Body) -> None:
    material = MATERIAL_TABLE[body.material]
    part = spec.worldbody.add_body(name=f"object{slot}", pos=body.position_m, quat=body.quaternion)
    part.add_freejoint()
    part.add_geom(
        name=f"object{slot}",
        type=GEOM_TYPES[body.shape],
        size=body.half_extents_m,
        density=material.density_kg_m3,
        condim=6,
        priority=1,  # the object's own bounce and friction rule against the table and the rims
        friction=[material.friction, 0.003, material.rolling_m],
        solref=contact_solref(material.restitution),
        solimp=[0.99, 0.99, 0.001, 0.5, 2.0],
    )


def _add_finger(spec: mujoco.MjSpec) -> None:
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
            forcerange=[-8.0, 8.0],
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
    """Contact rows, in order of time. Bodies: table and rims 0, objects 1 .. K, finger K + 1.

    substep `[n]`, pair `[n, 2]` (ascending), normal_force_n `[n]`, point_m `[n, 3]`, normal `[n, 3]` (unit).
    """

    substep: Array
    pair: Array
    normal_force_n: Array
    point_m: Array
    normal: Array


def simulate_frame(
    model: mujoco.MjModel, data: mujoco.MjData, finger_velocity_m_s: Array
) -> tuple[Motion, Contacts, Array]:
    """Advance one video frame while the finger's target moves at `finger_velocity_m_s [3]`, world frame.

    Changes `data`. The motion has `SUBSTEPS_PER_FRAME` rows; contacts that are near but carry no force have
    force 0. Last comes what the finger's pad feels, `[4, 4, 3]` float32 newton, the mean over the frame: a
    push chatters, so that an instant of it says little of how hard it is.
    """
    qpos = np.zeros((SUBSTEPS_PER_FRAME, model.nq))
    qvel = np.zeros((SUBSTEPS_PER_FRAME, model.nv))
    felt = np.zeros((4, 4, 3), np.float32)
    rows: list[tuple[int, Array, Array, Array, Array]] = []
    cylinders = _free_cylinders(model)
    for substep in range(SUBSTEPS_PER_FRAME):
        _straighten(data, cylinders)
        data.ctrl[:] = _limit_target(data.ctrl + finger_velocity_m_s * model.opt.timestep)
        mujoco.mj_step(model, data)
        qpos[substep], qvel[substep] = data.qpos, data.qvel
        felt += _touch_grid_n(data)
        if data.ncon:
            contact = data.contact
            force = np.append(data.efc_force, 0.0)[contact.efc_address]  # address -1: near, not touching
            rows.append(
                (substep, contact.geom.copy(), force, contact.pos.copy(), contact.frame[:, :3].copy())
            )
    motion = _split_motion(model.nbody - 2, qpos, qvel)
    return motion, _stack_contacts(model, rows), felt / SUBSTEPS_PER_FRAME


def _touch_grid_n(data: mujoco.MjData) -> Array:
    """The finger's pad in a substep, `[4, 4, 3]` float32 newton; its sum is the force on the finger.

    Components in the pad's frame: along its normal, which is the finger's axis (world z), then the two across
    it (world x, y). A sideways push so appears in the last two. Rows and columns are directions seen from
    the finger's centre (MuJoCo's plugin `touch_grid`).
    """
    return np.moveaxis(np.asarray(data.sensordata[:48], np.float32).reshape(3, 4, 4), 0, -1)


def _free_cylinders(model: mujoco.MjModel) -> list[int]:
    """Where in `qpos` the quaternions of the cylinders' free joints begin."""
    bodies = model.geom_bodyid[model.geom_type == mujoco.mjtGeom.mjGEOM_CYLINDER]
    return [int(model.jnt_qposadr[model.body_jntadr[body]]) + 3 for body in bodies]


def _straighten(data: mujoco.MjData, quaternions: list[int]) -> None:
    """Turn cylinders that stand all but upright wholly upright, by an invisible angle.

    MuJoCo 4.0 finds a cylinder's lowest point on a plane from the part of the plane's normal that is across
    the cylinder's axis, divided by its length unless that is below 1e-15. A little above, it is rounding
    noise: the point found lies up to a radius off, also upwards, and the cylinder hops or falls through. A
    quaternion that is not of unit length to the last bit is noise enough.
    """
    for first in quaternions:
        w, x, y, z = data.qpos[first : first + 4].tolist()
        across, along = math.hypot(x, y), math.hypot(w, z)
        if across < _LEAST_TILT:
            data.qpos[first : first + 4] = [w / along, 0.0, 0.0, z / along]
        elif along < _LEAST_TILT:  # upside down
            data.qpos[first : first + 4] = [0.0, x / across, y / across, 0.0]


def _limit_target(target_m: Array) -> Array:
    """Keep the finger's target, relative to where it parks, over the tray and above the table."""
    low = np.array([-0.5, -0.5, FINGER_HALF_LENGTH_M + FINGER_RADIUS_M + 0.004 - FINGER_PARKED_M[2]])
    return np.clip(target_m, low, [0.5, 0.5, 0.0])


def _split_motion(num_objects: int, qpos: Array, qvel: Array) -> Motion:
    """Joint coordinates `[n, nq]`, `[n, nv]` as bodies."""
    n = len(qpos)
    free = qpos[:, : 7 * num_objects].reshape(n, num_objects, 7)
    speed = qvel[:, : 6 * num_objects].reshape(n, num_objects, 6)
    finger = qpos[:, None, 7 * num_objects :] + np.array(FINGER_PARKED_M)
    upright = np.broadcast_to([1.0, 0.0, 0.0, 0.0], (n, 1, 4))
    spin = rotate(free[..., 3:], speed[..., 3:])  # MuJoCo keeps a free joint's spin in the body frame
    return Motion(
        position_m=np.concatenate([free[..., :3], finger], axis=1),
        quaternion=np.concatenate([free[..., 3:], upright], axis=1),
        linear_velocity_m_s=np.concatenate([speed[..., :3], qvel[:, None, 6 * num_objects :]], axis=1),
        angular_velocity_rad_s=np.concatenate([spin, np.zeros((n, 1, 3))], axis=1),
    )


def _stack_contacts(model: mujoco.MjModel, rows: list[tuple[int, Array, Array, Array, Array]]) -> Contacts:
    if not rows:
        none = np.zeros((0, 3))
        return Contacts(np.zeros(0, int), np.zeros((0, 2), int), np.zeros(0), none, none)
    substep = np.concatenate([np.full(len(row[1]), row[0]) for row in rows])
    geoms, force, point, normal = (np.concatenate([row[k] for row in rows]) for k in range(1, 5))
    return Contacts(substep, np.sort(model.geom_bodyid[geoms], axis=1), force, point, normal)


def rotate(quaternion: Array, vector: Array) -> Array:
    """Rotate `vector [..., 3]` by unit wxyz `quaternion [..., 4]`."""
    w, u = quaternion[..., :1], quaternion[..., 1:]
    twice = 2.0 * np.cross(u, vector)
    return vector + w * twice + np.cross(u, twice)
