"""The path tracer against Mitsuba 3, which knows nothing of it: same shapes, lights, camera and materials,
many samples, no denoiser.

Tolerance: mean light within 1 %, and 99 % of blocks of 8x8 pixels within 6 % of the picture's mean.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from studio_scenes import resting_scene, write_ball

from orrery.studio.lights import AreaLight, LightRig, place_lights
from orrery.studio.soft import SoftLook, SoftSettings
from orrery.studio.tone import linear
from orrery.worlds.rigid_bodies.mujoco_scene import GeomLook

mitsuba = pytest.importorskip("mitsuba", reason="Mitsuba (extra twin) is not installed")

RIG = LightRig(
    (
        AreaLight(-50.0, 55.0, 1.3, 0.6, 0.4, (9.0, 8.0, 7.0)),
        AreaLight(70.0, 35.0, 1.6, 0.5, 0.9, (2.0, 3.0, 4.0)),
    ),
    above=(0.3, 0.3, 0.3), level=(0.3, 0.3, 0.3), below=(0.3, 0.3, 0.3), brightest=1e9,
)  # fmt: skip
SIZE, SAMPLES = (96, 64), 100
MEAN, BLOCK = 0.01, 0.06
XML = """
<mujoco><asset><mesh name="gem" file="{mesh}"/></asset><worldbody>
<geom name="floor" type="plane" size="0 0 .1"/>
<geom name="ball" type="sphere" size=".06" pos="-.13 .02 .06"/>
<geom name="box" type="box" size=".05 .04 .05" pos=".03 .08 .05" euler="0 0 25"/>
<geom name="tube" type="cylinder" size=".04 .05" pos=".15 -.04 .05"/>
<geom name="gem" type="mesh" mesh="gem" pos="0.02 -.1 .04"/>
</worldbody></mujoco>"""
COLOURS = {
    "floor": (0.7, 0.65, 0.6), "ball": (0.8, 0.2, 0.15), "box": (0.2, 0.35, 0.75), "tube": (0.8, 0.75, 0.2),
    "gem": (0.3, 0.7, 0.4),
}  # fmt: skip


def _bsdf(kind: str, colour: tuple[float, ...]) -> dict[str, Any]:
    rgb = {"type": "rgb", "value": linear(np.array(colour)).tolist()}
    if kind == "paper":
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": rgb}}
    if kind == "steel":
        metal = {"type": "principled", "base_color": rgb, "metallic": 1.0, "roughness": 0.24}
        return {"type": "twosided", "bsdf": metal}
    if kind == "plastic":
        coat = {"type": "plastic", "int_ior": 1.5, "ext_ior": 1.0, "nonlinear": False}
        return {"type": "twosided", "bsdf": {**coat, "diffuse_reflectance": rgb}}
    raise ValueError(kind)


def _rectangle(light: np.ndarray) -> dict[str, Any]:
    middle, u, v, radiance = light
    n = np.cross(u, v)
    matrix = np.eye(4)
    matrix[:3] = np.stack([u, v, n / np.linalg.norm(n), middle], axis=1)
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}
    shine = {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}}
    return {
        "type": "rectangle",
        "to_world": mitsuba.ScalarTransform4f(matrix.tolist()),
        "emitter": shine,
        "bsdf": black,
    }


def _by_mitsuba(scene: Any, materials: dict[str, str], mesh: Path, samples: int) -> np.ndarray:
    mitsuba.set_variant("scalar_rgb")
    to = mitsuba.ScalarTransform4f
    pose, subject = scene.cameras[0], scene.subjects_m[0]
    origin, model = pose[:3].tolist(), scene.model
    shapes: dict[str, Any] = {}
    for geom in range(model.ngeom):
        name, size = model.geom(geom).name, model.geom_size[geom].tolist()
        matrix = np.eye(4)
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        matrix[:3, :3], matrix[:3, 3] = turn.reshape(3, 3), model.geom_pos[geom]
        place = to(matrix.tolist())
        shapes[name] = {
            "floor": {"type": "rectangle", "to_world": place @ to().scale(20.0)},
            "ball": {"type": "sphere", "radius": size[0], "to_world": place},
            "box": {"type": "cube", "to_world": place @ to().scale(size)},
            "tube": {
                "type": "cylinder",
                "radius": size[0],
                "p0": [0, 0, -size[1]],
                "p1": [0, 0, size[1]],
                "to_world": place,
            },
            "gem": {"type": "obj", "filename": str(mesh), "to_world": to().translate([0.02, -0.1, 0.04])},
        }[name]
        shapes[name]["bsdf"] = _bsdf(materials[name], COLOURS[name])
    size = model.geom("tube").size
    lid = to().translate([*model.geom("tube").pos[:2], model.geom("tube").pos[2] + size[1]]) @ to().scale(
        float(size[0])
    )
    shapes["lid"] = {"type": "disk", "to_world": lid, "bsdf": _bsdf(materials["tube"], COLOURS["tube"])}
    lights = place_lights(RIG, subject, pose[:3])
    world = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3, "rr_depth": 99},
        "sensor": {
            "type": "perspective", "fov": math.degrees(float(pose[7])), "fov_axis": "smaller",
            "to_world": to().look_at(origin=origin, target=subject.tolist(), up=[0, 0, 1]),
            "film": {"type": "hdrfilm", "width": SIZE[0], "height": SIZE[1], "rfilter": {"type": "box"}},
            "sampler": {"type": "independent", "sample_count": samples},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": list(RIG.above)}},
        **shapes, **{f"light{k}": _rectangle(light) for k, light in enumerate(lights)},
    }  # fmt: skip
    return np.array(mitsuba.render(mitsuba.load_dict(world)))[..., :3]


def _blocks(light: np.ndarray) -> np.ndarray:
    height, width = light.shape[:2]
    return light.reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "materials",
    [
        dict.fromkeys(COLOURS, "paper"),
        {**dict.fromkeys(COLOURS, "plastic"), "floor": "paper"},
        {**dict.fromkeys(COLOURS, "paper"), "ball": "steel", "box": "steel", "tube": "steel"},
    ],
    ids=["paper", "plastic", "steel"],
)
def test_the_same_scene_by_another_renderer(
    materials: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orrery.studio import geoms
    from orrery.studio import materials as table

    monkeypatch.setattr(geoms, "MOST_BEVEL_M", 0.0)  # Mitsuba's boxes have sharp edges
    # Mitsuba's rough plastic loses some of its base's light; the smooth one does not.
    plain = {
        "paper": table.MATERIALS["paper"], "plastic": table.Material(0.0),
        "steel": table.Material(0.24, metallic=1.0),
    }  # fmt: skip
    monkeypatch.setattr(table, "MATERIALS", plain)
    mesh = write_ball(tmp_path / "gem.obj", 0.04)
    looks = {name: GeomLook(materials[name], COLOURS[name]) for name in COLOURS}
    scene = resting_scene(XML.format(mesh=mesh), looks)
    ours = SoftLook(SoftSettings(SIZE, samples=SAMPLES, aperture=0.0), RIG).trace(scene).light
    theirs = _by_mitsuba(scene, materials, mesh, SAMPLES)
    error = np.abs(_blocks(ours) - _blocks(theirs)).max(axis=-1) / theirs.mean()
    assert ours.mean() == pytest.approx(theirs.mean(), rel=MEAN)
    assert np.quantile(error, 0.99) < BLOCK
