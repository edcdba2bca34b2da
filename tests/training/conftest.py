"""Encoded episodes by formula: bodies that fly straight and spin; sound and pictures follow them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from orrery.models.transformer import WorldTransformer
from orrery.streams import Array, Clock, StreamSpec, WorldSpec
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.build import ModelSize, fit_codecs, transformer_config
from orrery.training.latents import LatentSet
from orrery.worlds.rigid_bodies.materials import COLOURS
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.scene import CAMERAS, Scene, sample_scene

MakeLatents = Callable[..., LatentSet]
MakeModel = Callable[[LatentSet], tuple[WorldTransformer, Codecs]]
NUM_SLOTS = 4


def _spec() -> WorldSpec:
    """The streams that the formula makes; frames and samples as on the tabletop."""
    clock = Clock()
    frames = clock.frames_per_tick
    streams = [
        StreamSpec("video.main", "video", "observed", (frames, 32, 32, 3), "uint8"),
        StreamSpec(
            "audio.main", "audio", "observed", (clock.samples_per_tick, 2), "float32", "full scale", -1.0, 1.0
        ),
        StreamSpec("touch.finger", "vector", "observed", (frames, 4, 4, 3), "float32", "N"),
        StreamSpec("state", "vector", "observed", (frames, NUM_SLOTS, STATE.width), "float32"),
        StreamSpec("camera.main", "vector", "observed", (frames, 8), "float32"),
        StreamSpec("action", "vector", "given", (frames, 3), "float32", "m/s"),
    ]
    return WorldSpec(clock, {spec.name: spec for spec in streams})


def _states(scene: Scene, seconds: Array, rng: np.random.Generator) -> Array:
    """`[ticks, frames, K, D]`: every body at its own constant velocity and spin; the finger stands."""
    state = np.zeros((*seconds.shape, NUM_SLOTS, STATE.width), np.float32)
    for slot, body in enumerate(scene.bodies):
        velocity, spin = rng.normal(0, 0.3, 3), rng.normal(0, 3.0, 3)
        turned = Rotation.from_rotvec(seconds.ravel()[:, None] * spin).as_quat(scalar_first=True)
        fields = {
            "present": 1.0,
            "visible": 1.0,
            "position": np.array(body.position_m) + seconds[..., None] * velocity,
            "quaternion": turned.reshape(*seconds.shape, 4),
            "linear_velocity": velocity,
            "angular_velocity": spin,
            "shape": np.eye(len(STATE.shapes))[STATE.shapes.index(body.shape)],
            "size": body.half_extents_m,
            "colour": COLOURS[body.colour],
            "material": np.eye(len(STATE.materials))[STATE.materials.index(body.material)],
        }
        for name, value in fields.items():
            state[:, :, slot, STATE.slice(name)] = value
    finger = state[:, :, -1]
    finger[..., STATE.slice("present")] = 1.0
    finger[..., STATE.slice("quaternion")] = [1.0, 0.0, 0.0, 0.0]
    finger[..., STATE.slice("size")] = [0.012, 0.012, 0.06]
    finger[..., STATE.slice("shape")] = np.eye(len(STATE.shapes))[-1]
    finger[..., STATE.slice("material")] = np.eye(len(STATE.materials))[2]
    return state


def _camera(name: str) -> Array:
    camera = CAMERAS[name]
    quaternion = Rotation.from_matrix(camera.axes).as_quat(scalar_first=True)
    return np.array([*camera.position_m, *quaternion, camera.field_of_view_rad], np.float32)


@pytest.fixture(scope="session")
def make_latents() -> MakeLatents:
    """`make(num, num_ticks, seed, video)`: the same arguments, the same episodes."""

    def make(num: int = 12, num_ticks: int = 14, seed: int = 0, video: bool = True) -> LatentSet:
        rng = np.random.default_rng(seed)
        seconds = (np.arange(num_ticks * 2).reshape(num_ticks, 2) + 1) / 24
        scenes = [sample_scene(rng) for _ in range(num)]
        state = np.stack([_states(scene, seconds, rng) for scene in scenes])
        where = STATE.get(state, "position")[:, :, :, 0] / 0.2  # [num, ticks, frames, 3]
        loud = np.tanh(where.reshape(num, num_ticks, 1, 6))
        arrays = {
            "state": state,
            "audio.main": np.repeat(loud, 2, axis=2).astype(np.float16),
            "touch.finger": np.zeros((num, num_ticks, 2, 4, 4, 3), np.float32)
            + 0.05 * where[:, :, :, None, None],
            "camera.main": np.stack([np.tile(_camera(s.camera), (num_ticks, 1)) for s in scenes]),
            "action": rng.normal(0, 0.4, (num, num_ticks, 2, 3)).astype(np.float32),
        }
        pixels = None
        if video:
            patterns = rng.normal(size=(4, 6, 8))
            arrays["video.main"] = np.einsum("etj,pjw->etpw", loud[:, :, 0], patterns).astype(np.float16)
            bright = np.tanh(np.einsum("etj,jn->etn", loud[:, :, 0], rng.normal(size=(6, 8 * 8 * 3))))
            small = (128 + 100 * bright).astype(np.uint8).reshape(num, num_ticks, 1, 8, 8, 3)
            pixels = np.repeat(small, 2, axis=2).repeat(4, axis=3).repeat(4, axis=4)
        scene_values = [scene.to_json() for scene in scenes]
        return LatentSet(_spec(), arrays, scene_values, [""] * num, np.zeros(num, bool), pixels)

    return make


@pytest.fixture
def tokenizer() -> VideoTokenizer:
    """An untrained tokenizer whose latents have the shape of `make_latents`: 2 x 2 cells, 4 channels."""
    torch.manual_seed(0)
    return VideoTokenizer(VideoTokenizerConfig(32, 2, 4, channels=(8, 16, 32), num_blocks=(1, 1, 1)))


@pytest.fixture
def make_model() -> MakeModel:
    """`make(latents)`: a small untrained transformer for them and their codecs, always the same."""

    def make(latents: LatentSet) -> tuple[WorldTransformer, Codecs]:
        torch.manual_seed(0)
        fitted = fit_codecs(latents.spec, latents.arrays["state"], latents.arrays["camera.main"])
        # velocities never change here, and a scale fitted to that would make noise of them enormous
        codecs = Codecs(StateCodec(NUM_SLOTS, frames=2), fitted.vectors)
        size = ModelSize(32, 2, 1, 32, 16, 48, 16, 32, window_ticks=4, video_window_ticks=2)
        config = transformer_config(size, latents.spec, codecs, audio=(2, 6), video=(4, 8))
        return WorldTransformer(config), codecs

    return make
