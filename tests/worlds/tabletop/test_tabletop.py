"""The tabletop as a world: layout of its streams, what sets it going, and what it repeats exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from orrery.errors import UserError  # noqa: E402
from orrery.streams import Array, Clock, Observation  # noqa: E402
from orrery.worlds.rigid_bodies.finger import MAX_SPEED_M_S  # noqa: E402
from orrery.worlds.rigid_bodies.geometry import DIRECTIONS, rotate  # noqa: E402
from orrery.worlds.rigid_bodies.materials import COLOURS  # noqa: E402
from orrery.worlds.rigid_bodies.physics import (  # noqa: E402
    FINGER_HALF_LENGTH_M,
    FINGER_PARKED_M,
    FINGER_RADIUS_M,
)
from orrery.worlds.rigid_bodies.state import MATERIALS, SHAPES, STATE  # noqa: E402
from orrery.worlds.rigid_bodies.tracks import tracks_of  # noqa: E402
from orrery.worlds.tabletop.language import parse  # noqa: E402
from orrery.worlds.tabletop.scene import (  # noqa: E402
    CAMERAS,
    Body,
    Push,
    Scene,
)
from orrery.worlds.tabletop.setting import CLOSE  # noqa: E402
from orrery.worlds.tabletop.world import NUM_SLOTS, TabletopWorld, tabletop_spec  # noqa: E402

BLIND = ["audio.main", "touch.finger", "state", "camera.main", "action"]
FINGER = NUM_SLOTS - 1


def blind(num_worlds: int = 1) -> TabletopWorld:
    """A world without pictures, which costs a tenth."""
    return TabletopWorld(num_worlds, streams=BLIND)


def field(tick: Observation, name: str) -> Array:
    """A state field of world 0, `[frames, slots, width]`."""
    return STATE.get(tick["state"][0], name)


def drop(x: float, height: float = 0.25, material: str = "steel") -> Scene:
    return Scene((Body("ball", "red", material, 0.04, (x, 0.0, 0.04 + height), motion="drops"),))


def run(world: TabletopWorld, first: Observation, num_ticks: int) -> list[Observation]:
    return [first, *(world.step() for _ in range(num_ticks - 1))]


def assert_same(left: list[Observation], right: list[Observation]) -> None:
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_tracks_are_of_every_frame_and_only_where_they_are_named() -> None:
    assert "tracks.main" not in TabletopWorld().spec.streams  # a data set of the shipped checkpoint has none
    world = TabletopWorld(2, streams=[*BLIND, "tracks.main"])
    ticks = [world.reset(seed=1), *(world.step() for _ in range(5))]
    for b in range(2):
        camera = CAMERAS[world.scene(b)["camera"]]
        for tick in ticks:
            expected = [tracks_of(state, STATE, camera) for state in tick["state"][b].astype(float)]
            np.testing.assert_allclose(tick["tracks.main"][b], expected, atol=1e-5)
    assert np.abs(np.diff(ticks[-1]["tracks.main"], axis=1)).max() > 1e-3, "nothing moved"


def test_the_close_setting_writes_rotations_as_axes() -> None:
    close, plain = TabletopWorld(streams=["state"], setting=CLOSE), TabletopWorld(streams=["state"])
    layout = CLOSE.layout
    for mine, other in zip(run(close, close.reset(4), 8), run(plain, plain.reset(4), 8), strict=True):
        axes = layout.body_axes(mine["state"])
        there = STATE.get(other["state"], "present")[..., 0] > 0.5
        np.testing.assert_allclose(axes[there], STATE.body_axes(other["state"])[there], atol=1e-5)
        for name in ("position", "angular_velocity", "colour", "material"):
            np.testing.assert_array_equal(layout.get(mine["state"], name), STATE.get(other["state"], name))


def test_slots_say_what_is_where() -> None:
    bodies = (
        Body("box", "green", "steel", 0.05, (-0.15, 0.05, 0.05)),
        Body("cylinder", "white", "rubber", 0.04, (0.15, -0.05, 0.04), motion="rests"),
    )
    tick = blind().reset(seed=0, scene=Scene(bodies))
    assert tick["state"].shape == (1, 2, NUM_SLOTS, STATE.width)
    assert field(tick, "present")[..., 0].tolist() == [[1, 1, 0, 1]] * 2
    assert not tick["state"][0, :, 2].any(), "an absent slot is all zeros"
    for slot, body in enumerate(bodies):
        assert field(tick, "shape")[0, slot].tolist() == [float(s == body.shape) for s in SHAPES]
        assert field(tick, "material")[0, slot].tolist() == [float(m == body.material) for m in MATERIALS]
        np.testing.assert_allclose(field(tick, "colour")[0, slot], COLOURS[body.colour], atol=1e-6)
        np.testing.assert_allclose(field(tick, "size")[0, slot], [body.half_extent_m] * 3, atol=1e-6)
        np.testing.assert_allclose(field(tick, "position")[-1, slot], body.position_m, atol=1e-4)
    assert field(tick, "shape")[0, FINGER].tolist() == [float(s == "finger") for s in SHAPES]
    np.testing.assert_allclose(
        field(tick, "size")[0, FINGER], [FINGER_RADIUS_M, FINGER_RADIUS_M, FINGER_HALF_LENGTH_M], atol=1e-6
    )
    np.testing.assert_allclose(field(tick, "position")[-1, FINGER], FINGER_PARKED_M, atol=1e-3)
    assert field(tick, "visible")[0, :, 0].tolist() == [1, 1, 0, 0], "an idle finger hangs out of sight"


def test_frames_show_the_end_of_their_share_of_the_tick() -> None:
    tick = blind().reset(seed=0, scene=drop(0.0))
    seconds = np.array([1, 2]) / 24
    expected = 0.29 - 9.81 * seconds**2 / 2
    np.testing.assert_allclose(field(tick, "position")[:, 0, 2], expected, atol=5e-4)
    np.testing.assert_allclose(field(tick, "linear_velocity")[:, 0, 2], -9.81 * seconds, atol=1e-3)


def test_angular_velocity_is_in_the_world_frame() -> None:
    """A tilted, spinning body: the pose one frame later is the pose turned about the stated axis."""
    body = Body(
        "box", "red", "wood", 0.04, (0, 0, 0.30), (math.cos(0.4), math.sin(0.4), 0, 0),
        angular_velocity_rad_s=(0.0, 2.0, 0.0),
    )  # fmt: skip
    tick = blind().reset(seed=0, scene=Scene((body,)))
    np.testing.assert_allclose(field(tick, "angular_velocity")[:, 0], [[0, 2, 0]] * 2, atol=1e-2)
    corner = np.array([1.0, 0.0, 0.0])
    turned = rotate(field(tick, "quaternion")[-1, 0].astype(float), corner)
    angle = 2.0 / 12
    np.testing.assert_allclose(turned, [math.cos(angle), 0, -math.sin(angle)], atol=2e-3)


def test_the_camera_stream_is_the_scenes_camera() -> None:
    for name, camera in CAMERAS.items():
        scene = Scene(drop(0.0).bodies, camera=name)
        pose = blind().reset(seed=0, scene=scene)["camera.main"][0].astype(float)
        assert pose.shape == (2, 8)
        np.testing.assert_allclose(pose[:, :3], [camera.position_m] * 2, atol=1e-6)
        np.testing.assert_allclose(rotate(pose[:1, 3:7], np.eye(3)).T, camera.axes, atol=1e-6)
        np.testing.assert_allclose(pose[:, 7], camera.field_of_view_rad, atol=1e-6)


@pytest.mark.parametrize(
    "prompt",
    [
        "A big red steel ball drops onto the table.",
        "A small blue wooden box is pushed to the left.",
        "A green rubber ball rolls to the right and a yellow cylinder stands on the table.",
    ],
)
def test_a_prompt_is_satisfied(prompt: str) -> None:
    request, world = parse(prompt), blind(2)
    assert request.bodies
    world.reset(seed=1, prompt=prompt)
    for index in range(2):
        scene = Scene.from_json(world.scene(index))
        assert world.text(index) == prompt
        assert len(scene.bodies) == len(request.bodies)
        for body, wish in zip(scene.bodies, request.bodies, strict=True):
            assert wish.size in (None, body.size_word)
            for name in ("shape", "colour", "material", "motion", "direction"):
                assert getattr(wish, name) in (None, getattr(body, name)), name


def test_a_described_scene_starts_again_the_same() -> None:
    world, again = blind(), blind()
    ticks = run(world, world.reset(seed=12), 6)
    repeated = run(again, again.reset(seed=77, scene=world.scene()), 6)
    for a, b in zip(ticks, repeated, strict=True):
        for name in ("state", "touch.finger", "camera.main", "action"):  # the seed still draws the sound
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_same_seed_same_episode_other_seed_another() -> None:
    first, second = blind(), blind()
    ticks = run(first, first.reset(seed=3), 8)
    second.reset(seed=4)
    second.step()
    assert_same(ticks, run(second, second.reset(seed=3), 8))
    assert not np.array_equal(ticks[0]["state"], second.reset(seed=4)["state"])


def test_snapshot_repeats_sound_events_and_touch() -> None:
    world = blind()
    world.reset(seed=0, scene=drop(0.0))
    world.step()
    snapshot = world.snapshot()
    ticks = [world.step() for _ in range(8)]
    events = world.events()
    assert events, "the ball hits the table after the snapshot"
    world.restore(snapshot)
    assert world.events() == []
    assert_same(ticks, [world.step() for _ in range(8)])
    assert world.events() == events


def test_silence_until_something_touches_then_an_impact_on_time() -> None:
    """Exactly zero before the ball lands; its event within 5 ms of sqrt(2 h / g)."""
    height = 0.25
    world = blind()
    ticks = run(world, world.reset(seed=0, scene=drop(0.0, height)), 5)
    sound = np.concatenate([tick["audio.main"][0] for tick in ticks])
    landing = math.sqrt(2 * height / 9.81)
    before = int(landing * 24_000) - 100
    assert not sound[:before].any()
    assert np.abs(sound[before : before + 1200]).max() > 0.01
    first = world.events()[0]
    assert (first.kind, {first.a, first.b}) == ("impact", {"object0", "table"})
    assert set(first.materials) == {"steel", "wood"}
    assert first.seconds == pytest.approx(landing, abs=0.005)
    np.testing.assert_allclose(first.position_m, [0, 0, 0], atol=0.005)


def test_events_are_sorted_and_have_happened() -> None:
    world = blind()
    world.reset(seed=5)
    seen = 0
    for tick in range(1, 25):
        seconds = [event.seconds for event in world.events()]
        assert seconds == sorted(seconds)
        assert all(0 <= s <= tick * world.spec.clock.tick_seconds for s in seconds)
        seen = len(seconds)
        world.step()
    assert seen > 0


def test_sound_comes_from_its_side() -> None:
    power = {}
    for x in (-0.25, 0.25):
        world = blind()
        ticks = run(world, world.reset(seed=0, scene=drop(x, 0.15)), 5)
        power[x] = (np.concatenate([t["audio.main"][0] for t in ticks]).astype(float) ** 2).sum(axis=0)
    assert power[-0.25][0] > 1.1 * power[-0.25][1] > 0
    assert power[0.25][1] > 1.1 * power[0.25][0] > 0


@pytest.mark.slow
def test_streams_do_not_depend_on_which_are_asked_for() -> None:
    full, part = TabletopWorld(image_size=128), blind()
    assert part.reset(seed=2).keys() == set(BLIND)
    full.reset(seed=2)
    for _ in range(3):
        everything, some = full.step(), part.step()
        assert everything["video.main"].shape == (1, 2, 128, 128, 3)
        for name in BLIND:
            np.testing.assert_array_equal(everything[name], some[name], err_msg=name)


def test_actions_are_clipped_and_the_clipped_one_is_reported() -> None:
    left, right = blind(), blind()
    left.reset(seed=1)
    right.reset(seed=1)
    over = np.full((1, 2, 3), [9.0, -9.0, -9.0], np.float32)
    for _ in range(3):
        a, b = left.step(over), right.step(np.clip(over, -MAX_SPEED_M_S, MAX_SPEED_M_S))
        assert_same([a], [b])
        np.testing.assert_allclose(a["action"], np.clip(over, -MAX_SPEED_M_S, MAX_SPEED_M_S))


def test_the_finger_goes_where_the_action_says() -> None:
    """Down at 0.4 m/s for half a second: within 2 cm of its target (a spring pulls it), 0.2 m lower."""
    world = blind()
    world.reset(seed=0, scene=drop(0.2))
    for _ in range(6):
        tick = world.step(np.full((1, 2, 3), [-0.2, 0.1, -0.4], np.float32))
    np.testing.assert_allclose(
        field(tick, "position")[-1, FINGER], np.add(FINGER_PARKED_M, [-0.1, 0.05, -0.2]), atol=0.02
    )


def test_the_finger_stops_above_the_table() -> None:
    world = blind()
    world.reset(seed=0, scene=drop(0.25))
    for _ in range(16):
        tick = world.step(np.full((1, 2, 3), [0, 0, -MAX_SPEED_M_S], np.float32))
    tip = field(tick, "position")[-1, FINGER, 2] - FINGER_HALF_LENGTH_M - FINGER_RADIUS_M
    assert 0.0 < tip < 0.01


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_script_pushes_its_target_the_way_it_says(direction: str) -> None:
    towards = DIRECTIONS[direction]
    body = Body("box", "red", "wood", 0.04, (0, 0, 0.04), motion="pushed", direction=direction)
    world = blind()
    ticks = run(world, world.reset(seed=0, scene=Scene((body,), push=Push(0, towards, 0.25, 0.12))), 20)
    moved = np.array([field(tick, "position")[-1, 0, :2] for tick in ticks])
    along, across = moved @ towards, moved @ [towards[1], -towards[0]]
    # The finger's axis goes 12 cm beyond the near face; its surface is a radius ahead.
    assert along.max() == pytest.approx(0.12 + FINGER_RADIUS_M, abs=0.005)
    assert along.min() > -0.005
    assert np.abs(across).max() < 0.02
    touched = np.array([np.abs(tick["touch.finger"]).sum() for tick in ticks])
    assert touched.max() > 0.5
    assert not touched[0]
    assert not touched[-1], "the finger has left"


def test_spec_is_on_the_clock() -> None:
    spec = tabletop_spec(32, Clock(frames_per_tick=3))
    assert spec.streams["video.main"].shape == (3, 32, 32, 3)
    assert spec.streams["audio.main"].shape == (3000, 2)
    assert spec.streams["action"].shape == (3, 3)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 2), (2, 2, 3), (1, 3, 3)])
def test_wrong_action_shapes_are_named(shape: tuple[int, ...]) -> None:
    world = blind()
    world.reset(seed=0)
    with pytest.raises((UserError, ValueError), match=r"action.*got"):
        world.step(np.zeros(shape, np.float32))


def test_given_streams_are_refused() -> None:
    with pytest.raises((UserError, ValueError), match="state"):
        blind().reset(seed=0, given={"state": np.zeros((1, 1))})


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(UserError, match="bal"):
        blind().reset(seed=0, prompt="a red bal drops")
