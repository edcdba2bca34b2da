"""The laboratory as a world: its slots, labels, cameras, finger, sound and sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from orrery.errors import UserError  # noqa: E402
from orrery.streams import Array, Clock, Observation  # noqa: E402
from orrery.worlds.laboratory.drawing import LabRequest, ThingRequest  # noqa: E402
from orrery.worlds.laboratory.families import sample_laboratory  # noqa: E402
from orrery.worlds.laboratory.orbit import DISTANCES_M, ELEVATIONS_RAD  # noqa: E402
from orrery.worlds.laboratory.scene import (  # noqa: E402
    LAB_STATE,
    LabScene,
    Orbit,
    Thing,
)
from orrery.worlds.laboratory.sentences.agreement import disagreements  # noqa: E402
from orrery.worlds.laboratory.sentences.parser import parse_laboratory  # noqa: E402
from orrery.worlds.laboratory.studio import shared_studio  # noqa: E402
from orrery.worlds.laboratory.world import (  # noqa: E402
    FINGER_SLOT,
    LABELS,
    LaboratoryWorld,
    laboratory_spec,
)

BLIND = ["audio.main", "touch.finger", "state", "camera.main", "action"]
SEEN = ["video.main", "depth.main", "segmentation.main", "tracks.main", "state", "camera.main"]
FRONT = Orbit("front", -np.pi / 2, 0.45, 1.1)


def drawn(family: str, seed: int = 0, **roles: tuple[ThingRequest, ...]) -> LabScene:
    return sample_laboratory(np.random.default_rng(seed), LabRequest(family, roles))


def field(tick: Observation, name: str) -> Array:
    """A state field of world 0, `[frames, slots, width]`."""
    return LAB_STATE.get(tick["state"][0], name)


def run(scene: LabScene, num_ticks: int, streams: list[str] = BLIND, **options: object) -> list[Observation]:
    world = LaboratoryWorld(streams=streams, **options)  # pyright: ignore[reportArgumentType]
    return [world.reset(0, scene=scene), *(world.step() for _ in range(num_ticks - 1))]


def falling(shape: str, material: str, height: float = 0.2, **more: object) -> LabScene:
    half = (0.04, 0.04, 0.04)
    thing = Thing("faller", shape, "red", material, half, (0.0, 0.0, 0.04 + height), **more)  # pyright: ignore
    return LabScene("plain", (thing,), (), FRONT)


def test_slots_hold_things_fixtures_and_the_finger() -> None:
    scene = drawn("pendulum", 2)
    tick = run(scene, 1)[0]
    present = field(tick, "present")[0, :, 0]
    expected = np.zeros(15)
    expected[[*range(len(scene.things)), *range(8, 8 + len(scene.fixtures)), FINGER_SLOT]] = 1.0
    np.testing.assert_array_equal(present, expected)
    assert not tick["state"][0, :, present == 0].any(), "an absent slot is all zeros"
    for index, fixture in enumerate(scene.fixtures):
        np.testing.assert_allclose(field(tick, "position")[0, 8 + index], fixture.position_m, atol=1e-6)
        assert not field(tick, "linear_velocity")[0, 8 + index].any()
        material = field(tick, "material")[0, 8 + index].argmax()
        assert LAB_STATE.materials[material] == fixture.material


def test_a_bob_moves_as_its_state_says() -> None:
    """Velocity and spin of a thing on a hinge are those of its poses, by differences, within 2 %."""
    ticks = run(drawn("pendulum", 2, target=()), 5)
    position = np.concatenate([field(t, "position")[:, 0] for t in ticks]).astype(float)
    velocity = np.concatenate([field(t, "linear_velocity")[:, 0] for t in ticks]).astype(float)
    moved = (position[2:] - position[:-2]) * 12
    np.testing.assert_allclose(moved, velocity[1:-1], atol=0.05)
    assert np.abs(velocity).max() > 0.5


def test_labels_come_only_when_named() -> None:
    assert not set(LABELS) & set(LaboratoryWorld().spec.streams)
    assert set(LaboratoryWorld(streams=LABELS).spec.streams) == set(LABELS)
    with pytest.raises(UserError, match=r"no stream flow.main; it has .*tracks.main"):
        LaboratoryWorld(streams=["flow.main"])


@pytest.mark.parametrize(("move", "index"), [("orbits", 0), ("dollies", 2)])
def test_the_camera_moves_as_its_action_says(move: str, index: int) -> None:
    scene = sample_laboratory(np.random.default_rng(4), LabRequest("plain", move=move))
    ticks = run(scene, 12)
    actions = np.concatenate([tick["action"][0] for tick in ticks])
    places = np.concatenate([tick["camera.main"][0, :, :3] for tick in ticks]).astype(float)
    others = [k for k in (4, 5, 6) if k != 4 + index]
    assert not actions[:, others].any()
    arm = places - scene.orbit.target_m
    turned = np.unwrap(np.arctan2(arm[:, 1], arm[:, 0])) if move == "orbits" else np.linalg.norm(arm, axis=1)
    start = scene.orbit.azimuth_rad if move == "orbits" else scene.orbit.distance_m
    assert turned[-1] - start == pytest.approx(actions[:, 4 + index].sum() / 24, abs=1e-4)
    assert abs(turned[-1] - start) > 0.02


def test_the_camera_is_steered_within_bounds() -> None:
    world = LaboratoryWorld(streams=BLIND)
    world.reset(0, scene=falling("ball", "wood"))
    action = np.zeros((1, 2, 7), np.float32)
    for sign in (1.0, -1.0):
        action[..., 5:] = sign
        for _ in range(24):
            tick = world.step(action)
        arm = tick["camera.main"][0, -1, :3].astype(float) - FRONT.target_m
        distance = np.linalg.norm(arm)
        assert distance == pytest.approx(DISTANCES_M[1 if sign > 0 else 0], abs=1e-4)
        assert np.arcsin(arm[2] / distance) == pytest.approx(ELEVATIONS_RAD[1 if sign > 0 else 0], abs=1e-4)


def test_swaying_is_smooth_and_small() -> None:
    scene = sample_laboratory(np.random.default_rng(4), LabRequest("plain", move="sways"))
    places = np.concatenate([tick["camera.main"][0, :, :3] for tick in run(scene, 24)]).astype(float)
    assert 0.002 < np.linalg.norm(places - places[0], axis=1).max() < 0.15
    assert np.linalg.norm(np.diff(places, 2, axis=0), axis=1).max() < 0.003


def test_the_finger_lifts_and_lets_go() -> None:
    """What it holds rises by more than 8 cm with it, its weight on the pad; then it falls."""
    scene = drawn("lift", 1, lifted=(ThingRequest("box", material="wood", heading="right"),), rester=())
    ticks = run(scene, 36)
    height = np.concatenate([field(t, "position")[:, 0, 2] for t in ticks])
    assert height.max() > height[0] + 0.08
    assert height[-1] == pytest.approx(height[0], abs=0.02)
    sideways = np.concatenate([field(t, "position")[:, 0, 0] for t in ticks])
    assert sideways[-1] - sideways[0] > 0.06


def test_a_poke_tips_what_is_tall() -> None:
    scene = drawn("poke", 3, poked=(ThingRequest("box", material="wood"),), rester=())
    ticks = run(scene, 30)
    quaternion = field(ticks[-1], "quaternion")[-1, 0].astype(float)
    assert abs(1 - 2 * (quaternion[1] ** 2 + quaternion[2] ** 2)) < 0.5, "its axis lies"
    assert max(np.abs(t["touch.finger"]).sum() for t in ticks) > 0.05


@pytest.mark.parametrize("rate", [24_000, 48_000])
@pytest.mark.parametrize(("shape", "material"), [("capsule", "glass"), ("box", "ceramic")])
def test_it_sounds_when_it_lands(rate: int, shape: str, material: str) -> None:
    """Silence, then an onset within 5 ms of the contact event, which is within 5 ms of sqrt(2 h / g); no
    clipping.
    """
    clock = Clock(samples_per_second=rate)
    world = LaboratoryWorld(streams=["audio.main"], clock=clock)
    ticks = [world.reset(0, scene=falling(shape, material)), *(world.step() for _ in range(7))]
    audio = np.concatenate([tick["audio.main"][0] for tick in ticks])
    assert audio.shape == (8 * rate // 12, 2)
    first = world.events()[0]
    landing = np.sqrt(2 * (0.16 if shape == "capsule" else 0.2) / 9.81)  # a capsule has its caps
    assert first.seconds == pytest.approx(landing, abs=0.005)
    onset = np.flatnonzero(np.abs(audio).max(axis=1) > 1e-4)[0] / rate
    assert onset == pytest.approx(first.seconds, abs=0.005)
    assert 0.01 < np.abs(audio).max() < 0.999


def test_text_tells_what_has_happened_so_far() -> None:
    world = LaboratoryWorld(streams=["state"])
    world.reset(3, scene=drawn("plain", 0, faller=(ThingRequest("ball", "red"),)))
    before = world.text()
    for _ in range(6):
        world.step()
    after = world.text()
    assert [deed.verb for deed in parse_laboratory(before).deeds] == ["falls"]
    assert sum(deed.is_then for deed in parse_laboratory(after).deeds) == 1
    assert after == world.text()


def test_a_prompt_is_satisfied_and_what_it_tells_happens() -> None:
    prompt = "A red ball rolls down a ramp towards a blue box, then the ball hits the box"
    world = LaboratoryWorld(streams=["state"])
    world.reset(1, prompt=prompt)
    assert world.text() == prompt
    for _ in range(36):
        world.step()
    scene = LabScene.from_json(world.scene())
    assert disagreements(parse_laboratory(prompt), scene, world.events()) == []


def test_seeds_and_sizes_are_in_the_spec() -> None:
    spec = laboratory_spec(32, Clock(frames_per_tick=3, samples_per_second=48_000))
    assert spec.streams["video.main"].shape == (3, 32, 32, 3)
    assert spec.streams["audio.main"].shape == (6000, 2)
    assert spec.streams["depth.main"].shape == spec.streams["segmentation.main"].shape == (3, 32, 32)
    assert spec.streams["state"].shape[-1] == LAB_STATE.width


@pytest.mark.slow
def test_labels_agree_with_one_another() -> None:
    """Depth of the table by the camera's geometry, segments about their tracks, and sight as the state has
    it.
    """
    scene = drawn("occluder", 1, roller=(ThingRequest("ball", "red", size="big"),), rester=())
    scene = LabScene.from_json({**scene.to_json(), "orbit": vars(FRONT)})
    ticks = run(scene, 14, SEEN)
    hidden = 0
    for tick in ticks:
        for frame in range(2):
            segments, depth = tick["segmentation.main"][0, frame], tick["depth.main"][0, frame] / 1000.0
            pose, track = tick["camera.main"][0, frame].astype(float), tick["tracks.main"][0, frame]
            ball = segments == 2
            visible = field(tick, "visible")[frame, 0, 0]
            assert visible <= ball.any()
            hidden += not ball.any()
            if ball.sum() > 60 and not (segments == 10).any(axis=0)[ball.any(axis=0)].any():
                rows, columns = np.nonzero(ball)
                assert np.hypot(columns.mean() - track[0, 0], rows.mean() - track[0, 1]) < 1.5
                assert track[0, 2] - 0.06 < depth[ball].min() < track[0, 2]
            _check_table_depth(segments, depth, pose)
    assert hidden >= 2, "it goes behind the screen"


def _check_table_depth(segments: Array, depth: Array, pose: Array) -> None:
    """Depth of the flat table is where the pixel's ray meets z = 0, within 3 mm."""
    size = len(segments)
    focal = size / 2 / np.tan(pose[7] / 2)
    rows, columns = np.nonzero(segments == 1)
    away = np.stack(
        [(columns + 0.5 - size / 2) / focal, (size / 2 - rows - 0.5) / focal, -np.ones(len(rows))]
    )
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, pose[3:7])
    rays = axes.reshape(3, 3) @ away
    expected = -pose[2] / rays[2]
    x, y, _ = pose[:3, None] + rays * expected
    inside = (np.abs(x) < 0.3) & (np.abs(y) < 0.15)  # away from the rims
    wrong = np.abs(depth[rows, columns] - expected) > 0.003
    assert not wrong[inside].any()
    assert inside.sum() > 1000


@pytest.mark.slow
def test_every_family_is_drawn_with_one_kernel() -> None:
    """Whatever the scene, the stage is the same one: a second scene costs no compiling; what is absent is
    not drawn.
    """
    world = LaboratoryWorld(streams=["video.main", "segmentation.main"])
    world.reset(0, scene=drawn("plain"))
    studio, pictures = shared_studio(128), []
    for family in ("ramp", "dominoes", "pendulum", "container"):
        scene = drawn(family, 3)
        tick = world.reset(0, scene=scene)
        numbers = set(np.unique(tick["segmentation.main"][0, -1]).tolist())
        allowed = {0, 1, 16, *(2 + k for k in range(len(scene.things)))}
        allowed |= {10 + k for k in range(len(scene.fixtures))}
        assert numbers <= allowed
        assert len(numbers) >= 3
        assert shared_studio(128) is studio
        pictures.append(tick["video.main"][0, -1].astype(int))
    assert all(np.abs(a - b).mean() > 3 for a, b in itertools.pairwise(pictures))


def test_what_is_told_to_be_hit_is_there() -> None:
    """No part of the sentence but its happening asks for the white ball."""
    world = LaboratoryWorld(streams=["state"])
    for seed in range(2):
        world.reset(
            seed, "The finger shoves an orange ball toward the viewer; then the ball hits the white ball."
        )
        things = world.scene()["things"]
        assert any((thing["shape"], thing["colour"]) == ("ball", "white") for thing in things)
