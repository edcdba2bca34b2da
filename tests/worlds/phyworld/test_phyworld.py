"""PhyWorld's motion is the closed form, its discs cover what they should, its parts are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import BadUse
from orrery.evaluation.phyworld_tracker import track
from orrery.streams import Array
from orrery.tokenizers.perspective import project
from orrery.worlds import world_factory
from orrery.worlds.phyworld.discs import coverage
from orrery.worlds.phyworld.motion import masses
from orrery.worlds.phyworld.scenes import KINDS, PARTS, RANGES, SIDE, draw_scene
from orrery.worlds.phyworld.world import CORNER_M, LAYOUT, UNIT_M, PhyWorld

SECONDS = 0.1 * np.arange(32)


def _states(world: PhyWorld, seed: int) -> tuple[Array, Array]:
    """Positions and velocities `[32, n, 2]` in PhyWorld's units, from the state stream's metres."""
    ticks = [world.reset(seed), *(world.step() for _ in range(31))]
    state = np.stack([tick["state"][0, 0] for tick in ticks]).astype(float)
    place, speed = (LAYOUT.get(state, name)[..., ::2] for name in ("position", "linear_velocity"))
    return (place - CORNER_M) / UNIT_M, speed / UNIT_M


@pytest.mark.parametrize(("kind", "gravity"), [("uniform", 0.0), ("parabola", -2.5)])
def test_one_ball_flies_as_the_closed_form_says(kind: str, gravity: float) -> None:
    world = PhyWorld(kind, streams=["state"])
    place, speed = _states(world, 4)
    (start,), (velocity,) = world.scene()["positions"], world.scene()["velocities"]
    fall = np.outer(SECONDS, [0.0, gravity])
    expected = start + np.outer(SECONDS, velocity) + SECONDS[:, None] * fall / 2
    np.testing.assert_allclose(place[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(speed[:, 0], velocity + fall, atol=1e-5)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seed", range(5))
def test_a_collision_keeps_momentum_and_energy_and_its_instant(part: str, seed: int) -> None:
    world = PhyWorld("collision", part, streams=["state"])
    place, speed = _states(world, seed)
    mass = masses(np.array(world.scene()["radii"]))
    velocity = speed[..., 0]
    np.testing.assert_allclose(velocity @ mass, velocity[0] @ mass, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(velocity**2 @ mass, velocity[0] ** 2 @ mass, rtol=1e-5)
    (hit,) = [event for event in world.events() if event.kind == "impact"]
    position, radii = np.array(world.scene()["positions"]), np.array(world.scene()["radii"])
    gap, closing = position[1, 0] - position[0, 0] - radii.sum(), velocity[0, 0] - velocity[0, 1]
    assert hit.seconds == pytest.approx(gap / closing, abs=1e-6)
    assert hit.impulse_ns == pytest.approx(UNIT_M * abs(velocity[-1, 0] - velocity[0, 0]) * mass[0], rel=1e-4)
    apart = np.diff(place[..., 0], axis=1)[:, 0]
    assert (apart >= radii.sum() - 1e-5).all()


def test_a_ball_that_leaves_does_so_once_and_when_the_closed_form_says() -> None:
    world = PhyWorld("uniform", streams=["state"])
    world.reset(
        0, scene={"kind": "uniform", "radii": [1.0], "positions": [[6.0, 5.0]], "velocities": [[4.0, 0]]}
    )
    for _ in range(30):
        world.step()
    (left,) = world.events()
    assert left.kind == "exit"
    assert left.seconds == pytest.approx((11.0 - 6.0) / 4.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_camera_sees_the_balls_where_the_picture_has_them(kind: str) -> None:
    """The pinhole's projection of the state, against the centroid and the width of what is drawn."""
    tick = PhyWorld(kind, image_size=128).reset(1)
    state, camera = (torch.from_numpy(tick[name][0, 0]) for name in ("state", "camera.main"))
    place, size, _ = project(LAYOUT.get(state, "position"), LAYOUT.get(state, "size"), camera)
    seen = track(tick["video.main"][0], len(state))
    np.testing.assert_allclose(seen.positions[0], (place.numpy() + 1.0) * SIDE / 2, atol=2e-3)
    np.testing.assert_allclose(seen.radii[0], size[:, 0].numpy() * SIDE / 2, atol=2e-3)


@pytest.mark.parametrize("centre", [(5.0, 5.0), (3.217, 6.913), (0.4, 9.9)])
def test_cover_is_the_share_of_the_pixel_under_the_disc(centre: tuple[float, float]) -> None:
    radius, size, fine = 0.83, 20, 100
    exact = coverage(np.array(centre), radius, 10.0, size)
    points = (np.arange(size * fine) + 0.5) * 10.0 / (size * fine)
    under = np.hypot(points[None, :] - centre[0], points[::-1, None] - centre[1]) <= radius
    counted = under.reshape(size, fine, size, fine).mean((1, 3))
    np.testing.assert_allclose(exact, counted, atol=3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_lie_where_they_say(kind: str) -> None:
    ranges = RANGES[kind]
    levels = set()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        for part in PARTS:
            scene = draw_scene(kind, part, rng)
            numbers = {f"r{i + 1}": (r, ranges.radius) for i, r in enumerate(scene.radii)}
            speeds = np.abs(scene.velocities[:, 0])
            numbers |= {f"v{i + 1}": (v, ranges.speed) for i, v in enumerate(speeds)}
            outside = {name for name, (value, (low, high)) in numbers.items() if not low <= value <= high}
            assert outside == set(scene.level.split())
            assert bool(outside) == (part == "outside")
            if part == "train":
                steps = (speeds - 1.0) / (3.0 / (ranges.num_speeds - 1))
                np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
            levels.add(scene.level)
    assert len(levels) == len(ranges.levels) + 1


def test_a_part_is_chosen_by_name_and_collected(tmp_path: Path) -> None:
    report = collect("phyworld:collision:outside", tmp_path / "data", 2, 0, 1, 3.2, None, 32)
    assert report.num_episodes == 2
    dataset = Dataset(tmp_path / "data")
    assert dataset.scene(0)["part"] == "outside"
    assert any(event.kind == "impact" for event in dataset.events(0))


@pytest.mark.parametrize("name", ["phyworld:uniform:inside", "phyworld:orbit", "phyworld"])
def test_a_wrong_name_is_answered_with_the_right_ones(name: str) -> None:
    with pytest.raises(BadUse, match=r"held-out|phyworld:"):
        world_factory(name)


def test_bad_options_are_named() -> None:
    with pytest.raises(BadUse, match="num_worlds"):
        PhyWorld("uniform", num_worlds=0)
    with pytest.raises(BadUse, match=r"audio\.main"):
        PhyWorld("uniform", streams=["audio.main"])
    with pytest.raises(BadUse, match="sentences"):
        PhyWorld("uniform").reset(0, prompt="a ball")
    good = {"kind": "uniform", "radii": [1.0], "positions": [[1.0, 1.0]], "velocities": [[1.0, 0.0]]}
    for bad in ({"radii": [-1.0]}, {"radii": [1.0, 2.0]}, {"kind": "parabola"}, {"positions": "left"}):
        with pytest.raises(BadUse, match="scene"):
            PhyWorld("uniform").reset(0, scene=good | bad)
