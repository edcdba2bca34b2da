"""The exact world's physics against closed forms, each with its tolerance."""

from __future__ import annotations

import math

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from simulated import STEP_SECONDS, Run  # noqa: E402

from orrery.streams import Array, Clock  # noqa: E402
from orrery.worlds.rigid_bodies.geometry import rotate  # noqa: E402
from orrery.worlds.rigid_bodies.materials import MATERIAL_TABLE  # noqa: E402
from orrery.worlds.rigid_bodies.physics import (  # noqa: E402
    FINGER_PARKED_M,
    SUBSTEPS_PER_FRAME,
    contact_solref,
    simulate_frame,
)
from orrery.worlds.tabletop.finger import plan_script  # noqa: E402
from orrery.worlds.tabletop.model import build_model  # noqa: E402
from orrery.worlds.tabletop.scene import (  # noqa: E402
    Body,
    Push,
    Scene,
    sample_scene,
)

G = 9.81
FRAMES_PER_SECOND = 24
R = 0.04
IDLE = np.zeros(3)


def start(scene: Scene) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = build_model(scene, Clock())
    data = mujoco.MjData(model)
    for slot, body in enumerate(scene.bodies):
        inverse = np.array(body.quaternion) * [1, -1, -1, -1]
        spin = rotate(inverse, np.array(body.angular_velocity_rad_s))
        data.qvel[6 * slot : 6 * slot + 6] = [*body.linear_velocity_m_s, *spin]
    return model, data


def simulate(scene: Scene, seconds: float) -> Run:
    """The scene with its first velocities and an idle finger."""
    model, data = start(scene)
    frames = [simulate_frame(model, data, IDLE) for _ in range(math.ceil(seconds * FRAMES_PER_SECOND))]
    return Run.joined(frames, model.body_mass[1:-1])


def ball(material: str = "rubber", x: float = 0.0, z: float = R, **more: object) -> Body:
    return Body("ball", "red", material, R, (x, 0.0, z), **more)  # pyright: ignore[reportArgumentType]


def fall_seconds(run: Run, slot: int) -> float:
    """When the ball's lowest point crosses the table, interpolated between substeps."""
    gap = run.position[:, slot, 2] - R
    after = int(np.argmax(gap < 0.0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(run.seconds[after - 1] + share * STEP_SECONDS)


def test_flight_is_a_parabola() -> None:
    """x = v t and z = z0 + v t - g t^2 / 2, in the integrator's own form; to a nanometre."""
    run = simulate(
        Scene((ball(z=0.3, linear_velocity_m_s=(0.4, 0, 0.5), angular_velocity_rad_s=(0, 3, 1)),)), 0.25
    )
    n = np.arange(1, len(run.seconds) + 1)
    np.testing.assert_allclose(run.position[:, 0, 0], 0.4 * run.seconds, atol=1e-9)
    fallen = G * STEP_SECONDS**2 * n * (n + 1) / 2  # semi-implicit Euler; g t^2 / 2 as the step goes to 0
    np.testing.assert_allclose(run.position[:, 0, 2], 0.3 + 0.5 * run.seconds - fallen, atol=1e-9)
    np.testing.assert_allclose(run.spin[:, 0], np.broadcast_to([0, 3, 1], (len(n), 3)), atol=1e-9)


def test_fall_times_go_with_the_root_of_height() -> None:
    """t1^2 h2 / (t2^2 h1) = 1 and t = sqrt(2 h / g), within 1 %, whatever the mass."""
    heights = (0.10, 0.16, 0.30)
    bodies = tuple(
        ball(material, x=0.15 * k - 0.15, z=R + h)
        for k, (h, material) in enumerate(zip(heights, ("steel", "plastic", "wood"), strict=True))
    )
    run = simulate(Scene(bodies), 0.3)
    times = [fall_seconds(run, k) for k in range(3)]
    np.testing.assert_allclose(times, np.sqrt(2 * np.array(heights) / G), rtol=0.01)
    for (t1, h1), (t2, h2) in zip(
        list(zip(times, heights, strict=True))[:-1], list(zip(times, heights, strict=True))[1:], strict=True
    ):
        assert t1**2 * h2 / (t2**2 * h1) == pytest.approx(1.0, abs=0.01)


def test_contact_spring_has_the_restitution_asked() -> None:
    """The damped spring behind a contact, integrated finely by itself, rebounds with e within 0.1 %."""
    for material in MATERIAL_TABLE.values():
        stiffness, damping = (-value for value in contact_solref(material.restitution))
        root = np.roots([1.0, damping, stiffness])
        assert root[0].imag != 0
        seconds = np.pi / abs(root[0].imag)  # x = exp(re t) sin(im t): half a swing
        assert np.exp(root[0].real * seconds) == pytest.approx(material.restitution, rel=1e-3)


@pytest.mark.parametrize("material", MATERIAL_TABLE)
def test_rebound_speed_follows_the_material(material: str) -> None:
    """e over five heights: mean within -3 and +15 %, each within -5 and +35 %.

    A contact lasts seven substeps, so that e depends on where between two substeps the ball arrives: it comes
    out high for bodies that bounce little (wood), and true for those that bounce much (rubber).
    """
    asked = MATERIAL_TABLE[material].restitution
    measured = []
    for heights in ((0.10, 0.15, 0.20), (0.25, 0.30)):
        run = simulate(
            Scene(tuple(ball(material, 0.15 * k - 0.15, R + h) for k, h in enumerate(heights))), 0.3
        )
        for k, height in enumerate(heights):
            measured.append(run.velocity[:, k, 2].max() / math.sqrt(2 * G * height))
    ratio = np.array(measured) / asked
    assert 0.97 < ratio.mean() < 1.15
    assert 0.95 < ratio.min() <= ratio.max() < 1.35


@pytest.mark.parametrize("material", MATERIAL_TABLE)
def test_a_box_slides_v2_over_2_mu_g(material: str) -> None:
    """Sliding distance v^2 / (2 mu g), within 2 %, then rest (0.1 mm in 0.1 s)."""
    speed = 0.8
    body = Body("box", "red", material, R, (-0.2, 0, R), linear_velocity_m_s=(speed, 0, 0))
    run = simulate(Scene((body,)), 0.6)
    expected = speed**2 / (2 * MATERIAL_TABLE[material].friction * G)
    assert run.position[-1, 0, 0] + 0.2 == pytest.approx(expected, rel=0.02)
    assert np.ptp(run.position[-96:, 0], axis=0).max() < 1e-4


@pytest.mark.parametrize("material", MATERIAL_TABLE)
def test_a_ball_rolls_without_slipping_and_slows_by_rolling_friction(material: str) -> None:
    """v = r w within 1 % of the start; v falls by g (d / r) / (1 + 2/5), within 3 % (d: rolling friction)."""
    speed = 0.4
    body = ball(material, x=-0.2, linear_velocity_m_s=(speed, 0, 0), angular_velocity_rad_s=(0, speed / R, 0))
    run = simulate(Scene((body,)), 0.75)
    slip = run.velocity[:, 0, 0] - R * run.spin[:, 0, 1]
    assert np.abs(slip).max() < 0.01 * speed
    slowing = G * MATERIAL_TABLE[material].rolling_m / R / 1.4
    assert speed - run.velocity[-1, 0, 0] == pytest.approx(slowing * run.seconds[-1], rel=0.03)


@pytest.mark.parametrize("material", ["steel", "plastic"])
def test_a_ball_that_slides_ends_rolling_at_five_sevenths(material: str) -> None:
    """v -> 5/7 v0 after t = 2 v0 / (7 mu g), rolling friction taken off; within 1 %."""
    speed, kind = 0.5, MATERIAL_TABLE[material]
    run = simulate(Scene((ball(material, x=-0.2, linear_velocity_m_s=(speed, 0, 0)),)), 0.3)
    sliding_seconds = 2 * speed / (7 * kind.friction * G)
    slowed = G * kind.rolling_m / R / 1.4 * (run.seconds[-1] - sliding_seconds)
    assert run.velocity[-1, 0, 0] == pytest.approx(5 / 7 * speed - slowed, rel=0.01)
    assert run.velocity[-1, 0, 0] == pytest.approx(R * run.spin[-1, 0, 1], rel=0.01)


@pytest.mark.parametrize(("left", "right"), [("steel", "steel"), ("wood", "rubber"), ("plastic", "steel")])
def test_head_on_collision_keeps_momentum(left: str, right: str) -> None:
    """In the air: momentum to 1e-9, kinetic energy falls, and equal materials part with e within 15 %."""
    bodies = (
        ball(left, -0.07, 0.3, linear_velocity_m_s=(0.5, 0, 0)),
        Body("ball", "blue", right, 0.05, (0.07, 0, 0.3), linear_velocity_m_s=(-0.4, 0, 0)),
    )
    run = simulate(Scene(bodies), 0.2)
    momentum = (run.mass[:, None] * run.velocity[:, :2, 0].T).sum(axis=0)
    np.testing.assert_allclose(momentum, run.mass @ [0.5, -0.4], atol=1e-9)
    parting = run.velocity[-1, 1, 0] - run.velocity[-1, 0, 0]
    assert 0.0 < parting < 0.9
    if left == right:
        assert parting / 0.9 == pytest.approx(MATERIAL_TABLE[left].restitution, rel=0.15)


def inertia(body: Body, mass: float) -> float:
    """Moment of a ball or a box about any axis through its centre, kg m^2."""
    square = mass * body.half_extent_m**2
    return 0.4 * square if body.shape == "ball" else 2 / 3 * square


def energy_j(scene: Scene, run: Run) -> Array:
    """Mechanical energy at each substep, `[n]`, in the form that the integrator keeps in free flight."""
    total = np.zeros(len(run.seconds))
    for slot, body in enumerate(scene.bodies):
        velocity, spin = run.velocity[:, slot], run.spin[:, slot]
        height = run.position[:, slot, 2] - velocity[:, 2] * STEP_SECONDS / 2
        total += run.mass[slot] * (G * height + (velocity**2).sum(axis=1) / 2)
        total += inertia(body, run.mass[slot]) * (spin**2).sum(axis=1) / 2
    return total


def test_energy_never_grows() -> None:
    """Between contacts it stays, over contacts it falls: free-flight energy never rises by over 1e-6."""
    scene = Scene(
        (
            ball("rubber", -0.12, 0.30, linear_velocity_m_s=(0.3, 0.1, 0), angular_velocity_rad_s=(4, 0, -2)),
            Body("box", "blue", "wood", R, (0.12, 0, 0.2), linear_velocity_m_s=(-0.3, 0, 0)),
        )
    )
    run = simulate(scene, 1.5)
    energy = energy_j(scene, run)
    flying = run.contact_force == 0
    flying[1:] &= flying[:-1]
    assert flying.sum() > 300
    assert (~flying).sum() > 300
    assert np.diff(energy[flying]).max() < 1e-6 * energy[0]
    assert energy.max() < energy[0] * (1 + 1e-6)
    assert energy[-1] < 0.6 * energy[0]


@pytest.mark.parametrize("material", ["steel", "rubber"])
def test_what_rests_stays(material: str) -> None:
    """Drift under 0.1 mm/s, and no sinking by more than 0.1 mm."""
    bodies = tuple(
        Body(shape, "red", material, R, (0.15 * k - 0.15, 0, R))
        for k, shape in enumerate(("ball", "box", "cylinder"))
    )
    run = simulate(Scene(bodies), 1.5)
    middle = len(run.seconds) // 3
    drift = np.linalg.norm(run.position[-1, :3] - run.position[middle, :3], axis=1)
    assert drift.max() < 1e-4 * (run.seconds[-1] - run.seconds[middle])
    assert np.abs(run.position[-1, :3, 2] - R).max() < 1e-4


def lowest_point_m(body: Body, position: Array, quaternion: Array) -> Array:
    """Height of a body's lowest point, `[n]`, for poses `[n, 3]` and `[n, 4]`."""
    h = body.half_extent_m
    up = rotate(quaternion[:, None] * [1, -1, -1, -1], np.array([[0.0, 0.0, 1.0]]))[:, 0]
    if body.shape == "ball":
        return position[:, 2] - h
    if body.shape == "box":
        return position[:, 2] - h * np.abs(up).sum(axis=1)
    return position[:, 2] - h * (np.abs(up[:, 2]) + np.hypot(up[:, 0], up[:, 1]))


def test_nothing_sinks_into_the_table() -> None:
    """Ten random scenes, 1.5 s each: nothing is ever more than 6 mm below the top."""
    lowest = []
    for seed in range(10):
        scene = sample_scene(np.random.default_rng(seed))
        run = simulate(scene, 1.5)
        for slot, body in enumerate(scene.bodies):
            lowest.append(lowest_point_m(body, run.position[:, slot], run.quaternion[:, slot]).min())
    assert min(lowest) > -0.006
    assert max(lowest) < 0.005, "everything comes down to the table"


@pytest.mark.parametrize("material", sorted(MATERIAL_TABLE))
def test_an_upright_cylinder_stands_still(material: str) -> None:
    """Turned by any angle about its axis, and upside down too, it stands for three seconds: never faster than
    the 2 cm/s of its first settling. Its axis is the table's normal to the last bits, where rounding decides
    what a collision finds."""
    for turn in np.linspace(0.1, 6.2, 9):
        for quaternion in ((math.cos(turn / 2), 0, 0, math.sin(turn / 2)), (0, 1, 0, 0)):
            body = Body("cylinder", "red", material, 0.0535, (0, 0, 0.0535), quaternion=quaternion)
            run = simulate(Scene((body,)), 3.0)
            assert np.abs(run.velocity[:, 0]).max() < 0.02, turn


def finger_force_n(model: mujoco.MjModel, data: mujoco.MjData) -> Array:
    """The total contact force on the finger, world frame `[3]`, from MuJoCo's own contacts."""
    total, force = np.zeros(3), np.zeros(6)
    finger = model.geom("finger").id
    for index in range(data.ncon):
        contact = data.contact[index]
        if finger in contact.geom:
            mujoco.mj_contactForce(model, data, index, force)
            sign = 1.0 if contact.geom[1] == finger else -1.0  # the force acts on the second geom
            total += sign * contact.frame.reshape(3, 3).T @ force[:3]
    return total


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, -1.0)])
def test_the_pad_sums_to_the_push(direction: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pad's (z, x, y) sum is a frame's mean contact force on the finger, and its rows', within 1 %."""
    body = Body("box", "red", "wood", 0.045, (0, 0, 0.045), motion="pushed")
    scene = Scene((body,), push=Push(0, direction, 0.25, 0.15))
    model, data = start(scene)
    script = plan_script(scene)
    data.qpos[-3:] = data.ctrl[:] = script.start_m - np.array(FINGER_PARKED_M)
    forces: list[Array] = []
    step = mujoco.mj_step

    def watched(model: mujoco.MjModel, data: mujoco.MjData) -> None:
        step(model, data)
        forces.append(finger_force_n(model, data))

    monkeypatch.setattr(mujoco, "mj_step", watched)
    num_pushing = 0
    for frame in range(33):
        forces.clear()
        _, contacts, pad = simulate_frame(model, data, script.velocity(frame / FRAMES_PER_SECOND))
        felt = pad.sum(axis=(0, 1))
        assert len(forces) == SUBSTEPS_PER_FRAME
        np.testing.assert_allclose(felt, np.mean(forces, axis=0)[[2, 0, 1]], rtol=0.01, atol=0.01)
        rows = contacts.normal_force_n[contacts.pair[:, 1] == 2].sum() / SUBSTEPS_PER_FRAME
        assert math.hypot(felt[1], felt[2]) == pytest.approx(rows, rel=0.01, abs=0.01)
        num_pushing += rows > 0.5
        if rows > 0.5:  # the box pushes back
            assert felt[1] * direction[0] + felt[2] * direction[1] < 0
    assert num_pushing >= 8
