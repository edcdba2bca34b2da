"""The laboratory's physics against closed forms, each with its tolerance; what the tabletop shares is tested
there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from simulated import STEP_SECONDS, Run  # noqa: E402

from orrery.streams import Clock  # noqa: E402
from orrery.worlds.laboratory.drawing import LabRequest, ThingRequest, tilted  # noqa: E402
from orrery.worlds.laboratory.families import sample_laboratory  # noqa: E402
from orrery.worlds.laboratory.model import build_laboratory, table_bounce, table_friction  # noqa: E402
from orrery.worlds.laboratory.scene import (  # noqa: E402
    Fixture,
    Hinge,
    LabScene,
    Orbit,
    Thing,
)
from orrery.worlds.rigid_bodies.geometry import lying, quaternion_product, rotate  # noqa: E402
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, SURFACES  # noqa: E402
from orrery.worlds.rigid_bodies.physics import (  # noqa: E402
    FINGER_HALF_LENGTH_M,
    FINGER_PARKED_M,
    FINGER_RADIUS_M,
    simulate_frame,
)

G = 9.81
R = 0.03
HERE = Orbit("front", -1.5, 0.5, 1.1)


def bare(*things: Thing, surface: str = "wood") -> LabScene:
    return LabScene("plain", things, (), HERE, surface)


def ball(material: str = "steel", x: float = 0.0, z: float = R, **more: object) -> Thing:
    return Thing("faller", "ball", "red", material, (R, R, R), (x, 0.0, z), **more)  # pyright: ignore[reportArgumentType]


def simulate(scene: LabScene, seconds: float) -> Run:
    """The scene with its first velocities and an idle finger."""
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    for slot, thing in enumerate(scene.things):
        if thing.hinge is None:
            joint = model.body_jntadr[slot + 1]
            inverse = np.array(thing.quaternion) * [1, -1, -1, -1]
            spin = rotate(inverse, np.array(thing.angular_velocity_rad_s))
            at = model.jnt_dofadr[joint]
            data.qvel[at : at + 6] = [*thing.linear_velocity_m_s, *spin]
    frames = [simulate_frame(model, data, np.zeros(3)) for _ in range(math.ceil(seconds * 24))]
    return Run.joined(frames, model.body_mass[1 : 1 + len(scene.things)])


def test_everything_falls_alike() -> None:
    """z = z0 - g t^2 / 2, whatever its shape and material; within 0.5 mm over 0.2 s."""
    shapes = (
        ("ball", (R, R, R)),
        ("box", (R, R, 0.02)),
        ("cylinder", (R, R, 0.04)),
        ("capsule", (0.02, 0.02, R)),
    )
    things = [
        Thing("faller", shape, "red", material, half, (0.15 * k - 0.2, 0.0, 0.35))
        for k, ((shape, half), material) in enumerate(
            zip(shapes, ("glass", "ceramic", "rubber", "wood"), strict=True)
        )
    ]
    run = simulate(bare(*things), 0.2)
    fallen = 0.35 - G * run.seconds**2 / 2
    np.testing.assert_allclose(run.position[:, :4, 2], np.repeat(fallen[:, None], 4, axis=1), atol=1.2e-3)


@pytest.mark.parametrize(
    ("material", "surface"),
    [("glass", "wood"), ("ceramic", "glass"), ("rubber", "metal"), ("rubber", "cloth")],
)
def test_rebound_follows_material_and_surface(material: str, surface: str) -> None:
    """Rebound height e^2 h: e over three heights, mean within -3 and +20 % of what is asked.

    A contact lasts seven substeps, so that e comes out high for what bounces little (see the tabletop's
    test).
    """
    heights = (0.12, 0.20, 0.30)
    run = simulate(
        bare(*(ball(material, 0.15 * k - 0.15, R + h) for k, h in enumerate(heights)), surface=surface), 0.45
    )
    rebound = [run.velocity[:, k, 2].max() / math.sqrt(2 * G * h) for k, h in enumerate(heights)]
    assert 0.97 < np.mean(rebound) / table_bounce(material, surface) < 1.20


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("material", ["glass", "wood"])
def test_a_box_slides_as_far_as_the_surface_lets_it(material: str, surface: str) -> None:
    """v^2 / (2 mu g), within 2 %."""
    speed = 0.8
    box = Thing("roller", "box", "red", material, (R, R, R), (-0.2, 0, R), linear_velocity_m_s=(speed, 0, 0))
    run = simulate(bare(box, surface=surface), 0.6)
    expected = speed**2 / (2 * table_friction(material, surface) * G)
    assert run.position[-1, 0, 0] + 0.2 == pytest.approx(expected, rel=0.02)


def pendulum(angle: float, length: float) -> LabScene:
    height = length + 0.10
    place = (-length * math.sin(angle), 0.0, height - length * math.cos(angle))
    return bare(replace(ball(), position_m=place, hinge=Hinge((0.0, 0.0, height), (0.0, 1.0, 0.0), 0.003)))


@pytest.mark.parametrize(("angle", "length"), [(0.1, 0.25), (0.8, 0.20), (1.2, 0.25)])
def test_a_pendulum_keeps_its_period_and_its_energy(angle: float, length: float) -> None:
    """T = 2 pi sqrt(I / (m g l)) / agm(1, cos(angle / 2)), I = m l^2 + 2/5 m r^2: within 0.2 %; energy
    within 0.5 %.
    """
    run = simulate(pendulum(angle, length), 4.5)
    x = run.position[:, 0, 0]
    crossings = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))
    times = run.seconds[crossings] - STEP_SECONDS * x[crossings] / (x[crossings + 1] - x[crossings])
    a, b = 1.0, math.cos(angle / 2)
    for _ in range(6):
        a, b = (a + b) / 2, math.sqrt(a * b)
    expected = 2 * math.pi * math.sqrt((length + 0.4 * R**2 / length) / G) / a
    assert len(times) >= 3
    np.testing.assert_allclose(np.diff(times), expected, rtol=0.002)
    inertia = length**2 + 0.4 * R**2
    energy = G * run.position[:, 0, 2] + inertia * (run.spin[:, 0] ** 2).sum(axis=1) / 2
    swing = G * length * (1 - math.cos(angle))
    assert np.ptp(energy) < 0.005 * swing + G * STEP_SECONDS * np.abs(run.velocity[:, 0, 2]).max()
    np.testing.assert_allclose(
        np.linalg.norm(run.position[:, 0] - [0, 0, length + 0.1], axis=1), length, atol=1e-9
    )


@pytest.mark.parametrize(("shape", "inertia"), [("ball", 0.4), ("cylinder", 0.5)])
@pytest.mark.parametrize("material", ["steel", "ceramic"])
def test_what_rolls_down_an_incline_gains_speed_as_it_should(
    shape: str, inertia: float, material: str
) -> None:
    """a = g (sin s - (d / r) cos s) / (1 + I / (m r^2)), d: rolling friction; within 3 %.

    It slips by up to 8 %: MuJoCo's cone of friction is shared by rolling and sliding friction.
    """
    slope = math.radians(20.0)
    up, along = (
        np.array([math.sin(slope), 0, math.cos(slope)]),
        np.array([math.cos(slope), 0, -math.sin(slope)]),
    )
    deck = np.array([0.0, 0.0, 0.15])
    start = deck - 0.12 * along + (0.008 + R) * up
    turn = tilted(slope) if shape == "ball" else quaternion_product(tilted(slope), lying(0.0))
    thing = Thing("roller", shape, "red", material, (R, R, R), tuple(start.tolist()), turn)
    slab = Fixture("ramp", "box", "wood", (0.2, 0.08, 0.008), tuple(deck.tolist()), tilted(slope))
    run = simulate(LabScene("ramp", (thing,), (slab,), HERE), 0.35)
    speed = run.velocity[:, 0] @ along
    middle = slice(len(speed) // 4, None)
    measured = np.polyfit(run.seconds[middle], speed[middle], 1)[0]
    rolling = ALL_MATERIALS[material].rolling_m / R
    assert measured == pytest.approx(
        G * (math.sin(slope) - rolling * math.cos(slope)) / (1 + inertia), rel=0.03
    )
    np.testing.assert_allclose(speed[middle], R * run.spin[middle, 0, 1], rtol=0.08)


def test_unlike_shapes_collide_without_losing_momentum_or_gaining_energy() -> None:
    """A capsule and a box in the air: momentum to 1e-9, kinetic energy falls."""
    capsule = Thing(
        "flyer", "capsule", "red", "steel", (0.02, 0.02, 0.04), (-0.07, 0, 0.4), lying(0.0),
        linear_velocity_m_s=(0.6, 0, 0),
    )  # fmt: skip
    box = Thing(
        "flyer",
        "box",
        "blue",
        "glass",
        (0.03, 0.03, 0.03),
        (0.07, 0.01, 0.4),
        linear_velocity_m_s=(-0.5, 0, 0),
    )
    run = simulate(bare(capsule, box), 0.2)
    momentum = (run.mass[:, None] * run.velocity[:, :2, :2].transpose(1, 0, 2).reshape(2, -1)).sum(axis=0)
    np.testing.assert_allclose(momentum.reshape(-1, 2)[:, 0], run.mass @ [0.6, -0.5], atol=1e-9)
    np.testing.assert_allclose(momentum.reshape(-1, 2)[:, 1], 0.0, atol=1e-9)
    kinetic = (run.mass * (run.velocity[:, :2, :2] ** 2).sum(axis=2)).sum(axis=1) / 2
    assert kinetic[-1] < 0.95 * kinetic[0]
    assert run.velocity[-1, 1, 0] > run.velocity[-1, 0, 0], "they part"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_ball_wedged_between_table_and_can_gives_no_more_than_it_brought(surface: str) -> None:
    """All of rubber, whose friction is greatest; at five speeds, with too little, enough, too much spin."""
    radius = 0.022
    can = Thing("stacked", "cylinder", "blue", "rubber", (0.04, 0.04, 0.04), (-0.02, 0.0, 0.04))
    moving = Thing("roller", "ball", "red", "rubber", (radius, radius, radius), (0.15, 0.0, radius))
    for speed, spin in product((0.5, 0.7, 0.9, 1.1, 1.3), (0.7, 1.0, 1.3)):
        model = build_laboratory(bare(moving, can, surface=surface), Clock())
        data = mujoco.MjData(model)
        at = model.jnt_dofadr[model.body_jntadr[1]]
        data.qvel[at : at + 6] = [-speed, 0, 0, 0, -spin * speed / radius, 0]
        mujoco.mj_forward(model, data)
        energies = [_energy_j(model, data)]
        for _ in range(12):
            simulate_frame(model, data, np.zeros(3))
            energies.append(_energy_j(model, data))
        assert max(energies) < energies[0] + 1e-3, f"{speed} m/s, {spin} of rolling"


def _energy_j(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Kinetic and potential, without what contacts hold."""
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    return float(data.energy.sum())


@pytest.mark.parametrize("material", ["steel", "wood"])
def test_the_pad_feels_the_weight_that_stands_on_it(material: str) -> None:
    """A ball balanced on the finger's tip: the mean of the pad's sum over a frame is its weight, downwards,
    within 2 %; no shear. At single instants it is not: a resting contact opens for one substep in seven."""
    top = FINGER_PARKED_M[2] + FINGER_HALF_LENGTH_M + FINGER_RADIUS_M
    run = simulate(bare(ball(material, z=top + R)), 0.5)
    assert run.touch_n[0] == pytest.approx(-run.mass[0] * G, rel=0.02)
    np.testing.assert_allclose(run.touch_n[1:], 0.0, atol=0.01 * run.mass[0] * G)


def drawn(family: str, seed: int, **roles: tuple[ThingRequest, ...]) -> LabScene:
    return sample_laboratory(np.random.default_rng(seed), LabRequest(family, roles))


def test_dominoes_fall_one_after_another() -> None:
    scene = drawn("dominoes", 3, roller=(ThingRequest("ball", material="steel", size="big"),))
    run = simulate(scene, 2.0)
    row = [k for k, thing in enumerate(scene.things) if thing.role == "domino"]
    upright = rotate(
        run.quaternion[:, row], np.broadcast_to([0.0, 0.0, 1.0], (len(run.seconds), len(row), 3))
    )[..., 2]
    fell = [int(np.argmax(upright[:, k] < 0.99)) for k in range(len(row))]
    assert all(fell), "each begins to fall"
    assert (upright[-1] < 0.6).all()
    assert np.all(np.diff(fell[1:]) > 0), "the first is pushed along before it tips; then one after another"


def test_a_see_saw_throws_what_sits_on_its_low_end() -> None:
    scene = drawn(
        "see-saw",
        1,
        load=(ThingRequest("box", material="plastic"),),
        faller=(ThingRequest("box", material="steel"),),
    )
    run = simulate(scene, 0.8)
    load = [thing.role for thing in scene.things].index("load")
    before = run.position[: int(0.1 / STEP_SECONDS), load, 2]
    assert np.ptp(before) < 2e-3, "it rests until the other comes down"
    assert run.position[:, load, 2].max() > before[0] + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_a_stack_of_boxes_stands(seed: int) -> None:
    """Nothing comes at it: no box moves by more than 2 mm in a second."""
    stacked = (ThingRequest("box", size="big"),) * 3
    scene = drawn("stack", seed, stacked=stacked, roller=())
    run = simulate(scene, 1.0)
    assert np.abs(run.position[-1, :3] - run.position[0, :3]).max() < 2e-3


def test_what_falls_into_the_crate_stays_in_it() -> None:
    scene = drawn("container", 5, faller=(ThingRequest("ball", material="wood", size="small"),) * 2)
    run = simulate(scene, 2.0)
    sides = np.array([f.position_m[:2] for f in scene.fixtures])
    low, high = sides.min(axis=0), sides.max(axis=0)
    assert ((run.position[-1, :2, :2] > low) & (run.position[-1, :2, :2] < high)).all()
