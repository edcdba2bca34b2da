"""Pictures: things are drawn where the camera's geometry says, in the colour asked, and nothing else is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")

from orrery.evaluation.detect import FIRST_COLOUR, segment
from orrery.streams import Array
from orrery.worlds.rigid_bodies.geometry import Camera
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.physics import FINGER_HALF_LENGTH_M, FINGER_PARKED_M
from orrery.worlds.tabletop.render import Renderer, draw_states, shared_renderer
from orrery.worlds.tabletop.scene import BODY_SHAPES, CAMERAS, Body, Scene
from orrery.worlds.tabletop.setting import CLOSE, PLAIN, Setting
from orrery.worlds.tabletop.world import TabletopWorld

pytestmark = pytest.mark.slow  # the first picture compiles a kernel, once on each machine
SIZE = 128
EMPTY = Scene(())


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return shared_renderer(SIZE)


def picture(renderer: Renderer, scene: Scene, finger: tuple[float, float, float] = FINGER_PARKED_M) -> Array:
    """The scene at its first instant, bodies upright, `[H, W, 3]` float in [0, 1]."""
    renderer.set_scene(scene, CAMERAS[scene.camera])
    positions = np.array([body.position_m for body in scene.bodies]).reshape(-1, 3)
    rotations = np.broadcast_to(np.eye(3), (len(scene.bodies), 3, 3))
    drawn = renderer.draw(positions, rotations, np.array(finger))
    assert drawn.shape == (SIZE, SIZE, 3)
    assert drawn.dtype == np.uint8
    return drawn / 255.0


def project(camera: Camera, point_m: tuple[float, float, float]) -> Array:
    """Column and row of a world point, pixels, by the pinhole camera."""
    right, up, backward = (np.array(point_m) - camera.position_m) @ camera.axes
    focal = SIZE / 2 / np.tan(camera.field_of_view_rad / 2)
    return np.array([SIZE / 2 + focal * right / -backward, SIZE / 2 - focal * up / -backward]) - 0.5


def blue_pixels(image: Array) -> Array:
    """Where blue stands out, `[H, W]` bool: a blue body, but not its shadow."""
    return image[..., 2] - image[..., :2].max(axis=-1) > 0.12


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.05), (-0.2, 0.12, 0.05), (0.18, -0.1, 0.15)])
def test_a_ball_is_where_it_projects_to(
    renderer: Renderer, camera: str, place: tuple[float, float, float]
) -> None:
    """The blue pixels' centroid is within 1.5 px of the projected centre."""
    image = picture(renderer, Scene((Body("ball", "blue", "rubber", 0.05, place),), camera=camera))
    rows, columns = np.nonzero(blue_pixels(image))
    expected = project(CAMERAS[camera], place)
    radius = SIZE / 2 / np.tan(0.384) * 0.05 / np.linalg.norm(np.subtract(CAMERAS[camera].position_m, place))
    assert len(rows) == pytest.approx(np.pi * radius**2, rel=0.2)
    assert np.linalg.norm([columns.mean() - expected[0], rows.mean() - expected[1]]) < 1.5


@pytest.mark.parametrize("setting", [PLAIN, CLOSE], ids=["plain", "close"])
@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.05), (-0.2, 0.12, 0.05), (0.16, -0.1, 0.05)])
def test_tracks_say_where_in_the_picture_a_ball_is(
    setting: Setting, camera: str, place: tuple[float, float, float]
) -> None:
    """The middle of its pixels is within half a pixel of the track's, and their extent is the track's."""
    world = TabletopWorld(streams=["video.main", "tracks.main"], setting=setting)
    scene = Scene((Body("ball", "blue", "rubber", 0.05, place),), camera=camera)
    tick = world.reset(seed=0, scene=scene)
    for frame in range(2):
        rows, columns = np.nonzero(blue_pixels(tick["video.main"][0, frame] / 255.0))
        u, v, width, height = SIZE * tick["tracks.main"][0, frame, 0, :4]
        assert columns.mean() + 0.5 == pytest.approx(u, abs=0.5)
        assert rows.mean() + 0.5 == pytest.approx(v, abs=0.5)
        assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == pytest.approx((width, height), abs=1.5)


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_are_named_alike_in_every_setting(colour: str) -> None:
    """What the detector of colours says of a body's pixels, on the table's cloth and before its wood."""
    renderer, nowhere = shared_renderer(SIZE, CLOSE), np.zeros((0, 3, 3))
    for camera, shape in itertools.product(CLOSE.cameras.values(), BODY_SHAPES):
        renderer.set_scene(EMPTY, camera)
        empty = renderer.draw(nowhere[..., 0], nowhere, np.array(FINGER_PARKED_M))
        place = np.array([[0.1, 0.2, 0.06]])
        renderer.set_scene(Scene((Body(shape, colour, "plastic", 0.05, (0, 0, 0)),)), camera)
        labels = segment(renderer.draw(place, np.eye(3)[None], np.array(FINGER_PARKED_M))[None], empty)
        named = labels[labels >= FIRST_COLOUR] - FIRST_COLOUR
        assert len(named) > 100
        assert (named == list(COLOURS).index(colour)).mean() > 0.98


@pytest.mark.parametrize("shape", BODY_SHAPES)
def test_every_shape_is_drawn_at_its_size(renderer: Renderer, shape: str) -> None:
    """A body twice the size covers about four times the pixels."""
    counts = []
    for half in (0.03, 0.06):
        image = picture(renderer, Scene((Body(shape, "blue", "rubber", half, (0, 0, 0.1)),)))
        rows, columns = np.nonzero(blue_pixels(image))
        counts.append(len(rows))
        expected = project(CAMERAS["front"], (0, 0, 0.1))
        assert abs(columns.mean() - expected[0]) < 1.5
    assert counts[1] / counts[0] == pytest.approx(4.0, rel=0.25)


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_look_like_themselves(renderer: Renderer, colour: str) -> None:
    """The middle of a ball is nearer to the colour asked than to any other."""
    place = (0.0, 0.0, 0.06)
    image = picture(renderer, Scene((Body("ball", colour, "plastic", 0.06, place),)))
    column, row = np.round(project(CAMERAS["front"], place)).astype(int)
    seen = np.median(image[row - 4 : row + 5, column - 4 : column + 5].reshape(-1, 3), axis=0)
    assert min(COLOURS, key=lambda name: float(np.abs(seen - COLOURS[name]).sum())) == colour


def test_an_empty_table_is_the_same_whatever_came_before(renderer: Renderer) -> None:
    crowd = tuple(
        Body(shape, "blue", "steel", 0.05, (0.2 * k - 0.2, 0, 0.05)) for k, shape in enumerate(BODY_SHAPES)
    )
    for camera in CAMERAS:
        before = picture(renderer, Scene((), camera=camera))
        full = picture(renderer, Scene(crowd, camera=camera))
        assert blue_pixels(full).sum() > 300
        np.testing.assert_array_equal(picture(renderer, Scene((), camera=camera)), before)


def test_cameras_see_different_pictures(renderer: Renderer) -> None:
    scene = (Body("box", "blue", "wood", 0.05, (0.1, 0, 0.05)),)
    front, left = (picture(renderer, Scene(scene, camera=name)) for name in ("front", "left"))
    assert (np.abs(front - left).max(axis=-1) > 0.05).mean() > 0.05


def test_buried_bodies_do_not_show(renderer: Renderer) -> None:
    """An empty table shows nothing but table, rims, their shadows (all browns) and the sky."""
    image = picture(renderer, EMPTY)
    sky = np.abs(image - PLAIN.decor.sky).max(axis=-1) < 0.01
    browns = (image[..., 0] >= image[..., 1]) & (image[..., 1] >= image[..., 2])
    assert (browns | sky).all()
    assert browns.mean() > 0.8
    column, row = np.round(project(CAMERAS["front"], (0, 0, 0))).astype(int)
    np.testing.assert_allclose(image[row, column], PLAIN.decor.table, atol=0.1)


def test_one_slot_does_not_show_in_another(renderer: Renderer) -> None:
    """The same body alone, or in the second slot beside a body that is off the picture, looks the same."""
    body = Body("ball", "blue", "rubber", 0.05, (0, 0, 0.05))
    away = Body("box", "red", "steel", 0.05, (0, -2.0, 0.05))
    np.testing.assert_array_equal(picture(renderer, Scene((body,))), picture(renderer, Scene((away, body))))


def test_the_finger_shows_when_it_comes_down(renderer: Renderer) -> None:
    low = (0.0, 0.0, FINGER_HALF_LENGTH_M + 0.03)
    changed = np.abs(picture(renderer, EMPTY, low) - picture(renderer, EMPTY)).max(axis=-1) > 0.05
    column, row = np.round(project(CAMERAS["front"], low)).astype(int)
    assert changed[row, column]
    assert changed.sum() > 60


@pytest.mark.parametrize("setting", [PLAIN, CLOSE], ids=["plain", "close"])
def test_states_are_drawn_as_their_world_drew_them(setting: Setting) -> None:
    """A moving episode drawn again from its states alone: colours and places that went through float32 may
    round to the next byte, no more."""
    world = TabletopWorld(streams=["video.main", "state"], setting=setting)
    ticks = [world.reset(5), *(world.step() for _ in range(8))]
    state = np.concatenate([tick["state"][0] for tick in ticks])
    pictures = np.concatenate([tick["video.main"][0] for tick in ticks])
    again = draw_states(state, setting.cameras[world.scene()["camera"]], setting=setting)
    assert np.ptp(pictures.astype(int), axis=0).max() > 50, "nothing moved, so that this test shows nothing"
    assert (np.abs(again.astype(int) - pictures) > 1).mean() < 1e-3
