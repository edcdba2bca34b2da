"""Films in the look `soft`: of any world that has a MuJoCo model, in any size, with the exact sound, calm at
rest."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyoidn", reason="Open Image Denoise (extra studio) is not installed")

from studio_scenes import resting_scene

from orrery.cli import main
from orrery.errors import BadUse
from orrery.inference.generate import make_film
from orrery.media import read_film
from orrery.streams import Clock
from orrery.studio.drawn_world import DrawnWorld
from orrery.studio.lights import LIGHTS, LightRig
from orrery.studio.materials import MATERIALS
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.worlds.dummy import DummyWorld
from orrery.worlds.laboratory.world import LaboratoryWorld
from orrery.worlds.rigid_bodies.materials import ALL_MATERIALS, SURFACES
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook
from orrery.worlds.tabletop.world import TabletopWorld

SENTENCE = "a red ball drops and a blue steel box stands on the table"
SMALL = SoftSettings((64, 48), samples=2)


@pytest.mark.parametrize("rate", [24, 60])
def test_the_film_has_the_sound_of_the_draft_to_the_sample(rate: int, tmp_path: Path) -> None:
    films = []
    for look in (["--look", "soft", "--size", "64x36", "--samples", "1"], ["--look", "draft"]):
        out = tmp_path / f"{look[1]}.mp4"
        rest = ["--seconds", "0.5", "--seed", "3", "--fps", str(rate), "--out", str(out), *look]
        assert main(["generate", SENTENCE, "--exact", *rest]) == 0
        films.append(read_film(out))
    soft, draft = films
    assert soft.frames.shape == (rate // 2, 36, 64, 3)
    assert len(draft.frames) == rate // 2
    np.testing.assert_array_equal(soft.audio, draft.audio)


def test_the_sidecar_says_look_samples_and_size(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    options = [
        "--look",
        "soft",
        "--size",
        "36x64",
        "--samples",
        "1",
        "--light",
        "window",
        "--seconds",
        "0.05",
    ]
    assert main(["generate", SENTENCE, "--exact", "--out", str(out), *options]) == 0
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["size"] == [64, 36]
    assert about["look"] == {
        "name": "soft", "samples": 1, "size": [36, 64], "light": "window", "bounces": 1, "aperture": 0.005,
    }  # fmt: skip
    assert {"pyoidn", "warp-lang", "mujoco"} <= set(about["libraries"])


def test_what_is_at_rest_does_not_flicker() -> None:
    """99 of 100 bytes differ by one level at most, from frame to frame, after the denoiser."""
    world = DrawnWorld(TabletopWorld(streams=["audio.main"]), SoftLook(SoftSettings((160, 90), samples=4)))
    world.reset(1, prompt="a blue steel box stands on the table and a red wooden ball stands on the table")
    for _ in range(3):
        frames = world.step()["video.main"][0].astype(int)
    assert np.quantile(np.abs(frames[1] - frames[0]), 0.99) <= 1


def test_what_moves_elsewhere_does_not_make_the_rest_flicker() -> None:
    """A ball comes through one corner; on the other side of the picture all stays as it was."""
    looks = {"floor": GeomLook("wood", (0.6, 0.5, 0.3)), "ball": GeomLook("plastic", (0.9, 0.9, 0.9))}
    pictures = []
    look = SoftLook(SoftSettings((160, 90), samples=4))
    for x in (0.30, 0.36):
        xml = (
            '<mujoco><worldbody><geom name="floor" type="plane" size="0 0 .1"/>'
            f'<geom name="ball" type="sphere" size=".03" pos="{x} 0 .03"/></worldbody></mujoco>'
        )
        pictures.append(look.draw(resting_scene(xml, looks))[0].astype(int))
    there, here = np.abs(pictures[1] - pictures[0])[:, 100:], np.abs(pictures[1] - pictures[0])[:, :60]
    assert there.max() > 30
    assert np.quantile(here, 0.99) <= 1


def test_pictures_are_the_same_each_time() -> None:
    pictures = []
    for _ in range(2):
        world = DrawnWorld(TabletopWorld(streams=[]), SoftLook(SMALL))
        pictures.append(world.reset(5, prompt=SENTENCE)["video.main"])
    np.testing.assert_array_equal(*pictures)


def test_the_laboratory_is_drawn_without_code_for_it(tmp_path: Path) -> None:
    world = DrawnWorld(LaboratoryWorld(streams=["audio.main"]), SoftLook(SMALL))
    film = make_film(
        world, "a red ball rolls down a ramp towards a blue wooden box", 0.2, 0, tmp_path / "a.mp4"
    )
    assert read_film(film.path).frames.std() > 5


def test_what_moves_is_blurred_along_its_way() -> None:
    """A falling ball is taller than wide: it is seen over the time that the shutter is open."""
    scene = resting_scene(
        '<mujoco><worldbody><body><geom name="ball" type="sphere" size=".05"/></body></worldbody></mujoco>',
        {"ball": GeomLook("paper", (1.0, 1.0, 1.0))}, eye_m=(0.0, -1.0, 0.0), subject_m=(0.0, 0.0, 0.0),
    )  # fmt: skip
    scene.positions_m[0, :, 1, 2] = np.linspace(0.2, 0.0, scene.positions_m.shape[1])
    dark = LightRig((), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    look = SoftLook(SoftSettings((64, 64), samples=20, aperture=0.0), dark)
    seen = np.linalg.norm(look.trace(scene).normal, axis=-1)
    covered = np.argwhere(seen > 1e-3)
    height, width = covered.max(axis=0) - covered.min(axis=0) + 1
    # Seen is the second half of its way of 0.2 m, at twenty instants.
    pixel_m = 2.0 * math.tan(math.radians(16.0)) / 64
    assert (height - width) * pixel_m == pytest.approx(0.1 * 19 / 20, abs=1.5 * pixel_m)


def test_there_is_a_look_for_all_that_worlds_name() -> None:
    named = {*ALL_MATERIALS, *(top.material for top in SURFACES.values()), "cloth"}
    assert named <= set(MATERIALS)


def test_a_geom_that_cannot_be_drawn_is_named() -> None:
    field = '<asset><hfield name="hills" nrow="3" ncol="3" size="1 1 .1 .1"/></asset>'
    hills = '<worldbody><geom name="hills" type="hfield" hfield="hills"/></worldbody>'
    with pytest.raises(BadUse, match="geom 'hills' is of the kind hfield"):
        SoftLook(SMALL).trace(resting_scene(f"<mujoco>{field}{hills}</mujoco>", {}))


def test_a_material_that_is_not_there_is_named_with_the_nearest() -> None:
    xml = '<mujoco><worldbody><geom name="a" type="sphere" size=".1"/></worldbody></mujoco>'
    with pytest.raises(BadUse, match=r"'stell'; perhaps steel"):
        SoftLook(SMALL).trace(resting_scene(xml, {"a": GeomLook("stell", (1.0, 1.0, 1.0))}))


def test_a_world_without_a_mujoco_model_is_refused() -> None:
    with pytest.raises(BadUse, match="no MuJoCo model"):
        DrawnWorld(DummyWorld(), SoftLook(SMALL))


def test_settings_out_of_range() -> None:
    with pytest.raises(BadUse, match="--samples 0"):
        SoftSettings(samples=0)
    with pytest.raises(BadUse, match=r"'windw'; perhaps window"):
        SoftSettings(light="windw")


@pytest.mark.parametrize("light", LIGHTS)
def test_every_light_shows_the_subject(light: str) -> None:
    """Well lit: the picture is neither black nor burnt out."""
    world = DrawnWorld(TabletopWorld(streams=[]), SoftLook(SoftSettings((64, 48), 4, light)))
    picture = world.reset(2, prompt=SENTENCE)["video.main"]
    assert 30 < picture.mean() < 215
    assert (picture == 255).all(axis=-1).mean() < 0.05


def test_another_rate_is_another_clock() -> None:
    world = TabletopWorld(streams=[], clock=Clock(60))
    assert world.spec.clock.frames_per_second == 60
