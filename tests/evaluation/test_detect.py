"""Objects are found in exact films: which colours, which shapes, how many and where; and faults are
noticed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from orrery.errors import BadUse
from orrery.evaluation.detect import (
    BACKGROUND,
    FINGER,
    FIRST_COLOUR,
    SHADOW,
    camera_backgrounds,
    detect,
    segment,
)
from orrery.evaluation.templates import normalised_view, shape_bank
from orrery.streams import Array
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import BODY_SHAPES, CAMERAS
from orrery.worlds.tabletop.world import TabletopWorld

SENTENCES = {
    "a red ball drops and a blue box stands on the table, seen from the left": ("left", 3),
    "a yellow cylinder, a white ball and a black box stand on the table, seen from the front": ("front", 5),
    "the finger pushes a green box to the right, seen from the front": ("front", 0),
}


def film(prompt: str, seed: int, num_ticks: int = 8) -> tuple[Array, Array]:
    """Frames and states of an exact film."""
    world = TabletopWorld(streams=["video.main", "state"])
    ticks = [world.reset(seed, prompt=prompt), *(world.step() for _ in range(num_ticks - 1))]
    return tuple(np.concatenate([tick[name][0] for tick in ticks]) for name in ("video.main", "state"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def films() -> dict[str, tuple[Array, Array]]:
    return {prompt: film(prompt, seed) for prompt, (_, seed) in SENTENCES.items()}


def named(prompt: str) -> Counter[tuple[str, str]]:
    words = prompt.replace(",", "").split()
    return Counter((words[k], words[k + 1]) for k in range(len(words) - 1) if words[k] in COLOURS)


def project(camera: str, position_m: Array, size: int) -> Array:
    """Row and column of world points `[n, 3]`: the pinhole camera, written once more and independently."""
    view = CAMERAS[camera]
    right, up, backward = ((position_m - np.array(view.position_m)) @ view.axes).T
    focal = size / 2 / math.tan(view.field_of_view_rad / 2)
    return np.stack([size / 2 - focal * up / -backward, size / 2 + focal * right / -backward], axis=1) - 0.5


@pytest.mark.parametrize("prompt", SENTENCES)
def test_exact_films(films: dict[str, tuple[Array, Array]], prompt: str) -> None:
    frames, state = films[prompt]
    seen = detect(frames)
    assert seen.camera == SENTENCES[prompt][0]
    assert seen.names == named(prompt)
    for thing in seen.objects:
        colour = np.array(COLOURS[thing.colour])
        slot = int(np.abs(STATE.get(state[0], "colour") - colour).sum(-1).argmin())
        truth = project(seen.camera, STATE.get(state[:, slot], "position"), frames.shape[1])
        # A silhouette's centroid is not quite the projected centre: perspective shifts it a little.
        assert np.nanmedian(np.linalg.norm(thing.centre_px - truth, axis=1)) < 1.5


def test_empty_table_shows_nothing() -> None:
    for name, background in camera_backgrounds(128).items():
        seen = detect(np.repeat(background[None], 6, axis=0))
        assert seen.objects == ()
        assert seen.camera == name


def test_faults_are_noticed(films: dict[str, tuple[Array, Array]]) -> None:
    """An object that vanishes for good, another colour, and one thing too many change what is seen."""
    prompt = next(iter(SENTENCES))
    frames, _ = films[prompt]
    background = camera_backgrounds(128)["left"]
    red = (segment(frames, background) == FIRST_COLOUR + list(COLOURS).index("red"))[..., None]
    assert detect(np.where(red, background, frames)).names == Counter({("blue", "box"): 1})
    assert detect(np.where(red, frames[..., [1, 0, 2]], frames)).colours == Counter({"green": 1, "blue": 1})
    aside = 45 if np.nonzero(red)[2].mean() < 64 else -45
    twice = np.where(np.roll(red, aside, axis=2), np.roll(frames, aside, axis=2), frames)
    assert detect(twice, "left").colours == Counter({"red": 2, "blue": 1})


def test_segment_names_light_and_shade() -> None:
    """Every colour keeps its name in light and in shade; a darker table is shadow; skin is the finger."""
    background = np.full((16, 16, 3), (143, 133, 120), np.uint8)
    for index, colour in enumerate(COLOURS.values()):
        for light in (1.05, 0.8, 0.5):
            paint = np.minimum(255 * light * np.array(colour), 255).astype(np.uint8)
            assert (segment(np.broadcast_to(paint, (1, 16, 16, 3)), background) == FIRST_COLOUR + index).all()
    shaded = (background * 0.45).astype(np.uint8)
    assert (segment(shaded[None], background) == SHADOW).all()
    skin = np.full((1, 16, 16, 3), (190, 145, 128), np.uint8)
    assert (segment(skin, background) == FINGER).all()
    assert (segment(background[None] + np.uint8(5), background) == BACKGROUND).all()


def test_banks_know_their_own_views() -> None:
    """Every drawn view costs its own shape the least, and costs nothing beyond the surcharge of its pose."""
    bank = shape_bank("front", (3, 2))
    for k in range(0, len(bank.shape), 7):
        costs = bank.costs(bank.outlines[k], bank.shades[k])
        assert costs[bank.shape[k]] <= bank.extra_cost[k] + 1e-6
    assert set(bank.shape) == set(range(len(BODY_SHAPES)))


def test_views_do_not_depend_on_place_or_size() -> None:
    """A disc twice as large and elsewhere gives the same view, but for the pixels of its edge."""
    rows, columns = np.mgrid[0:96, 0:96]
    views = []
    for row, column, radius in ((30.0, 28.0, 10.0), (52.0, 60.0, 20.0)):
        mask = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        views.append(normalised_view(mask, 100.0 + (rows - row) / radius))
    assert np.abs(views[0][0] - views[1][0]).mean() < 0.03
    assert np.abs(views[0][1] - views[1][1]).mean() < 0.01


@pytest.mark.parametrize("shape", [(4, 128, 128), (4, 128, 64, 3)])
def test_bad_frames(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadUse, match="frames are uint8"):
        detect(np.zeros(shape, np.uint8))
