"""What is read out of physics and rays fast is, to the last bit, what the plain way reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")
mujoco_warp = pytest.importorskip("mujoco_warp")
import warp  # noqa: E402

from orrery.streams import Array, Clock  # noqa: E402
from orrery.worlds.laboratory.drawing import LabRequest  # noqa: E402
from orrery.worlds.laboratory.families import sample_laboratory  # noqa: E402
from orrery.worlds.laboratory.finger import plan_task  # noqa: E402
from orrery.worlds.laboratory.model import build_laboratory  # noqa: E402
from orrery.worlds.laboratory.orbit import ELEVATIONS_RAD  # noqa: E402
from orrery.worlds.laboratory.scene import BACKGROUNDS  # noqa: E402
from orrery.worlds.laboratory.studio import SEGMENT_OF_SLOT, shared_studio  # noqa: E402
from orrery.worlds.laboratory.world import LaboratoryWorld  # noqa: E402
from orrery.worlds.rigid_bodies.bench import _contact_samples  # noqa: E402
from orrery.worlds.rigid_bodies.geometry import cross  # noqa: E402
from orrery.worlds.rigid_bodies.physics import (  # noqa: E402
    _TARGET_HIGH_M,
    _TARGET_LOW_M,
    FINGER_PARKED_M,
    SUBSTEPS_PER_FRAME,
    Contacts,
    Motion,
    simulate_frame,
)

FAMILIES = ("plain", "pendulum", "container", "dominoes")


def started(family: str) -> tuple[mujoco.MjModel, mujoco.MjData, list[Array]]:
    """A scene of a family, and what the finger does in its first frames, at last out of its bounds."""
    scene = sample_laboratory(np.random.default_rng(11), LabRequest(family))
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    script = plan_task(scene)
    data.qpos[-3:] = data.ctrl[:3] = script.start_m - np.array(FINGER_PARKED_M)
    mujoco.mj_forward(model, data)
    moves = [script.velocity(frame / 24)[:3] for frame in range(10)]
    return model, data, [*moves, np.array([30.0, -30.0, -2.0]), np.array([-1.0, 0.5, 30.0])]


def plain_frame(model: mujoco.MjModel, data: mujoco.MjData, velocity_m_s: Array) -> tuple[list[Array], Array]:
    """`simulate_frame` with everything looked up at each substep, one contact after the other.

    Contact rows (substep, pair, force, point, normal) as five arrays, and the sum of the pad's readings.
    """
    rows, felt = [], np.zeros(48, np.float32)
    for substep in range(SUBSTEPS_PER_FRAME):
        target = data.ctrl[:3] + velocity_m_s * model.opt.timestep
        data.ctrl[:3] = np.clip(target, _TARGET_LOW_M, _TARGET_HIGH_M)
        mujoco.mj_step(model, data)
        felt += data.sensordata[:48].astype(np.float32)
        for contact in data.contact:
            force = data.efc_force[contact.efc_address] if contact.efc_address >= 0 else 0.0
            pair = sorted(model.geom_bodyid[contact.geom].tolist())
            rows.append((substep, pair, force, contact.pos.copy(), contact.frame[:3].copy()))
    return [np.array([row[k] for row in rows]) for k in range(5)], felt


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frame_is_what_the_plain_loop_makes_of_it(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "orrery.worlds.rigid_bodies.physics._straighten", lambda *_: None
    )  # the twin has none
    model, data, moves = started(family)
    _, twin, _ = started(family)
    for velocity in moves:
        motion, contacts, pad = simulate_frame(model, data, velocity)
        columns, felt = plain_frame(model, twin, velocity)
        fast = [getattr(contacts, name) for name in Contacts.__dataclass_fields__]
        for ours, plain in zip(fast, columns, strict=True):
            np.testing.assert_array_equal(ours, plain.reshape(ours.shape))
        np.testing.assert_array_equal(pad, np.moveaxis((felt / SUBSTEPS_PER_FRAME).reshape(3, 4, 4), 0, -1))
        np.testing.assert_array_equal(data.qpos, twin.qpos)
        np.testing.assert_array_equal(data.ctrl, twin.ctrl)
        check_motion(model, twin, motion)


def check_motion(model: mujoco.MjModel, data: mujoco.MjData, motion: Motion) -> None:
    """The last substep's motion is what MuJoCo's own kinematics say of the joints."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_comVel(model, data)
    velocity = np.zeros(6)
    for body in range(1, model.body("finger").id + 1):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        np.testing.assert_allclose(motion.position_m[-1, body - 1], data.xpos[body], atol=1e-12)
        same = abs(motion.quaternion[-1, body - 1] @ data.xquat[body])
        assert same == pytest.approx(1.0, abs=1e-9)
        np.testing.assert_allclose(motion.linear_velocity_m_s[-1, body - 1], velocity[3:], atol=1e-9)
        np.testing.assert_allclose(motion.angular_velocity_rad_s[-1, body - 1], velocity[:3], atol=1e-9)


def test_rows_of_a_pair_and_substep_add_up() -> None:
    model, data, moves = started("container")
    frames = [simulate_frame(model, data, velocity) for velocity in moves]
    motions, contacts = [motion for motion, _, _ in frames], [rows for _, rows, _ in frames]
    samples = _contact_samples(motions, contacts)
    summed: dict[tuple[int, int, int], list[Array | float]] = {}
    for frame, rows in enumerate(contacts):
        for substep, (a, b), force, point in zip(
            rows.substep, rows.pair, rows.normal_force_n, rows.point_m, strict=True
        ):
            key = (int(substep) + frame * SUBSTEPS_PER_FRAME, int(a), int(b))
            summed.setdefault(key, [0.0, point])[0] += force
    assert len(summed) > 100
    assert list(zip(samples.substep, samples.a, samples.b, strict=True)) == sorted(summed)
    values = [summed[key] for key in sorted(summed)]
    np.testing.assert_array_equal(samples.normal_force_n, [force for force, _ in values])
    np.testing.assert_array_equal(samples.position_m, [point for _, point in values])


def test_no_contact_is_no_rows() -> None:
    model, data, _ = started("plain")
    data.qpos[2:-3:7] += 1.0
    motion, contacts, _ = simulate_frame(model, data, np.zeros(3))
    assert len(contacts.substep) == 0
    assert len(_contact_samples([motion], [contacts]).substep) == 0


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((40, 5, 3), (40, 5, 3)), ((6, 1, 3), (3, 3)), ((0, 3), (0, 3))]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_is_numpys_to_the_last_bit(shapes: tuple[tuple[int, ...], ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    expected = np.cross(a, b)
    assert cross(a, b).dtype == expected.dtype
    np.testing.assert_array_equal(cross(a, b), expected)


@pytest.mark.slow
@pytest.mark.parametrize("background", ["studio", "night"])
def test_pictures_and_labels_are_the_tracers_own(background: str) -> None:
    """Packed pixels read as bytes are `get_rgb`'s; beyond the stage lie the backdrop, depth 0, segment 0."""
    scene = sample_laboratory(np.random.default_rng(3), LabRequest("ramp"))
    low = replace(scene.orbit, elevation_rad=ELEVATIONS_RAD[0])
    scene = replace(scene, background=background, orbit=low)
    world = LaboratoryWorld(streams=["video.main", "depth.main", "segmentation.main"], image_size=128)
    tick = world.reset(0, scene=scene)
    studio = shared_studio(128)
    context = studio._tracer._context
    shares = warp.zeros((1, 128, 128), dtype=warp.vec3)
    mujoco_warp.get_rgb(context, 0, shares)
    ids = context.seg_data.numpy()[0, :, 0].reshape(128, 128)
    on_stage = ids >= 0
    plain = (shares.numpy()[0] * 255.0 + 0.5).astype(np.uint8)
    drawn, depth, segments = (tick[name][0, -1] for name in ("video.main", "depth.main", "segmentation.main"))
    np.testing.assert_array_equal(drawn[on_stage], plain[on_stage])
    millimetres = 1000.0 * context.depth_data.numpy()[0].reshape(128, 128) + 0.5
    np.testing.assert_array_equal(depth[on_stage], millimetres[on_stage].astype(np.uint16))
    top, bottom = (np.array(colour) for colour in BACKGROUNDS[background])
    rows, columns = np.nonzero(~on_stage)
    assert len(rows) > 100
    backdrop = 255.0 * (top + (bottom - top) * (rows / 127.0)[:, None])
    np.testing.assert_allclose(drawn[rows, columns], backdrop, atol=0.51)
    assert (segments[on_stage] >= 1).all()
    assert segments.max() >= SEGMENT_OF_SLOT
    assert not segments[~on_stage].any()
    assert not depth[~on_stage].any()
