"""DIAMOND's published code (github.com/eloialonso/diamond), trained and sampled as its own trainer does.

Only its model's modules are imported, from where the user has put them; none of its code is part of this
package. What it logs with and configures itself with is not needed: empty modules stand in for it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orrery.errors import UserError
from orrery.streams import Array

SIZE = 64
"""Width and height of its pictures."""
CONTEXT = 4
"""Frames that it sees of the past."""
SEQUENCE = CONTEXT + 1 + 1
"""Frames of a training sequence: the context, the next, and one more that follows its own prediction."""
BATCH = 32
LEARNING_RATE = 1e-4
WARMUP_STEPS = 100
MAX_GRADIENT_NORM = 1.0
PUBLISHED = "5bcd1599755b4f2fae8e5e079e02f0728e174965"
"""The commit whose `config/` the settings here are those of."""
PUBLISHED_SHA256 = "9d7b7a0e738752dce85755b793d9271cee1955501435a4711f7c2c443a1f9ca7"
"""`sources_sha256` of that commit."""

_INNER_MODEL: dict[str, Any] = {
    "img_channels": 3, "num_steps_conditioning": CONTEXT, "cond_channels": 256,
    "depths": [2, 2, 2, 2], "channels": [64, 64, 64, 64], "attn_depths": [0, 0, 0, 0],
}  # fmt: skip
_DENOISER = {"sigma_data": 0.5, "sigma_offset_noise": 0.3}
_TRAINING_NOISE = {"loc": -0.4, "scale": 1.2, "sigma_min": 2e-3, "sigma_max": 20.0}
_OPTIMIZER = {"weight_decay": 1e-2, "eps": 1e-8}
_SAMPLER: dict[str, Any] = {
    "num_steps_denoising": 3, "sigma_min": 2e-3, "sigma_max": 5.0, "rho": 7, "order": 1, "s_churn": 0.0,
    "s_tmin": 0.0, "s_tmax": float("inf"), "s_noise": 1.0,
}  # fmt: skip

_NEEDED = "src/models/diffusion/denoiser.py"
_NOT_NEEDED = {"wandb": (), "omegaconf": ("OmegaConf",)}
"""Modules that its `utils` imports and its model does not use, and the names that are taken from them."""
SAVE_SECONDS = 120.0


# ---- its code --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DiamondCode:
    """Its modules. sha256: of its sources, `sources_sha256`."""

    diffusion: Any
    data: Any
    utils: Any
    sha256: str


def load_code(path: Path) -> DiamondCode:
    """Import its modules from its checkout; UserError for a folder that is none."""
    if not (path / _NEEDED).is_file():
        raise UserError(
            f"--diamond {path}: no DIAMOND is there ({_NEEDED} is missing); "
            "git clone https://github.com/eloialonso/diamond and name its folder"
        )
    for name, attributes in _NOT_NEEDED.items():
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = ModuleType(name)
            for attribute in attributes:
                setattr(sys.modules[name], attribute, None)
    sys.path.insert(0, str((path / "src").resolve()))
    try:
        modules = {name: importlib.import_module(name) for name in ("models.diffusion", "data", "utils")}
    except ImportError as error:
        raise UserError(
            f"--diamond {path}: its code cannot be imported ({error}); take its commit {PUBLISHED[:7]}"
        ) from error
    finally:
        sys.path.pop(0)
    return DiamondCode(modules["models.diffusion"], modules["data"], modules["utils"], sources_sha256(path))


def sources_sha256(path: Path) -> str:
    """SHA-256 over the names and contents of the sources of its model and data, and of `utils.py`."""
    digest = hashlib.sha256()
    source = path / "src"
    files = [*source.glob("models/**/*.py"), *source.glob("data/*.py"), source / "utils.py"]
    for file in sorted(files):
        digest.update(f"{file.relative_to(source).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def build_denoiser(code: DiamondCode, num_actions: int) -> Any:
    """An untrained denoiser with the settings of its Atari configuration, ready to be trained."""
    diffusion = code.diffusion
    try:
        inner = diffusion.InnerModelConfig(**_INNER_MODEL, num_actions=num_actions)
        denoiser = diffusion.Denoiser(diffusion.DenoiserConfig(inner_model=inner, **_DENOISER))
        denoiser.setup_training(diffusion.SigmaDistributionConfig(**_TRAINING_NOISE))
    except (TypeError, AttributeError) as error:
        raise UserError(
            f"--diamond: not the code these settings are for ({error}); take its commit {PUBLISHED[:7]}"
        ) from error
    return denoiser


def build_sampler(code: DiamondCode, denoiser: Any) -> Any:
    """Its sampler with the settings of its Atari configuration: three Euler steps."""
    return code.diffusion.DiffusionSampler(denoiser, code.diffusion.DiffusionSamplerConfig(**_SAMPLER))


# ---- what it trains on -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recordings:
    """Episodes one after the other. frames: `[N, SIZE, SIZE, 3]` uint8. actions: `[N]`, the number of the
    action that leads on from each frame (ours leads to it). lengths: frames of each episode."""

    frames: Array
    actions: Array
    lengths: Array

    def cut(self, rng: np.random.Generator, num: int) -> tuple[Array, Array, Array]:
        """A batch as its sampler draws one of a data set that does not grow: frames `[num, SEQUENCE, ...]`,
        actions and which of both are real. Sequences may begin before their episode does."""
        episodes = rng.choice(len(self.lengths), num, p=self.lengths / self.lengths.sum())
        ticks = rng.integers(0, self.lengths[episodes])
        stops = np.minimum(self.lengths[episodes], ticks + 1 + rng.integers(0, SEQUENCE, num))
        inside = (stops - SEQUENCE)[:, None] + np.arange(SEQUENCE)
        offsets = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])[episodes]
        rows = offsets[:, None] + np.maximum(inside, 0)
        real = inside >= 0
        return self.frames[rows], np.where(real, self.actions[rows], 0), real


def leading_on(actions: Array) -> Array:
    """Of one episode, from the action that leads to each frame to the one that leads on from it."""
    return np.append(actions[1:], 0).astype(np.int64)


def as_input(frames: Array) -> Tensor:
    """`[..., H, W, 3]` uint8 as it takes pictures, `[..., 3, H, W]` in ±1."""
    return torch.from_numpy(np.moveaxis(frames, -1, -3).astype(np.float32)).div(255).mul(2).sub(1)


def as_frames(pictures: Tensor) -> Array:
    """The inverse of `as_input`."""
    grey = pictures.add(1).div(2).mul(255).round().clamp(0, 255).byte()
    return np.moveaxis(grey.numpy(), -3, -1)


def as_batch(code: DiamondCode, cut: tuple[Array, Array, Array]) -> Any:
    """What `Recordings.cut` gives, in its own form; padding is zeros."""
    frames, actions, real = cut
    mask = torch.from_numpy(real)
    pictures = as_input(frames) * mask[..., None, None, None]
    none = torch.zeros(mask.shape)
    return code.data.Batch(
        obs=pictures, act=torch.from_numpy(actions), rew=none, end=none.long(), trunc=none.long(),
        mask_padding=mask, info=[], segment_ids=[],
    )  # fmt: skip


# ---- training ----------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far its training is. core_seconds: of processor time that steps took, batches included."""

    step: int = 0
    core_seconds: float = 0.0
    losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrainingSettings:
    """core_seconds: how long; the step in which they are used up is the last. identity: what else a train
    state must have been made with."""

    core_seconds: float
    batch: int
    learning_rate: float
    warmup_steps: int
    seed: int
    identity: Mapping[str, Any]


def train_denoiser(
    code: DiamondCode,
    denoiser: Any,
    recordings: Recordings,
    settings: TrainingSettings,
    state_file: Path,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train with its own loss, optimizer and warmup until the budget is used; goes on where `state_file` says
    that a stopped run was, and leaves its end there."""
    optimizer = code.utils.configure_opt(denoiser, lr=settings.learning_rate, **_OPTIMIZER)
    schedule = code.utils.get_lr_sched(optimizer, settings.warmup_steps)
    parts = {"denoiser": denoiser, "optimizer": optimizer, "schedule": schedule}
    progress = _restored(parts, settings, state_file)
    denoiser.train()
    saved = time.monotonic()
    try:
        while progress.core_seconds < settings.core_seconds:
            began = time.process_time()
            rng = np.random.default_rng([settings.seed, progress.step])
            torch.manual_seed(int(rng.integers(2**62)))
            optimizer.zero_grad()
            loss, _ = denoiser(as_batch(code, recordings.cut(rng, settings.batch)))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(denoiser.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            progress.step += 1
            progress.core_seconds += time.process_time() - began
            progress.losses = (*progress.losses[-49:], float(loss.detach()))
            on_step(progress)
            if time.monotonic() - saved > SAVE_SECONDS:
                _save(parts, settings, state_file, progress)
                saved = time.monotonic()
    finally:
        _save(parts, settings, state_file, progress)
    denoiser.eval()
    return progress


def _identity(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "batch": settings.batch, "learning_rate": settings.learning_rate,
        "warmup_steps": settings.warmup_steps, "seed": settings.seed, **settings.identity,
    }  # fmt: skip


def _save(parts: Mapping[str, Any], settings: TrainingSettings, file: Path, progress: Progress) -> None:
    unfinished = file.with_name(f"{file.name}.part")
    torch.save(
        {
            "identity": _identity(settings), "progress": {**vars(progress), "losses": list(progress.losses)},
            **{name: part.state_dict() for name, part in parts.items()},
        },
        unfinished,
    )  # fmt: skip
    os.replace(unfinished, file)


def _restored(parts: Mapping[str, Any], settings: TrainingSettings, file: Path) -> Progress:
    if not file.exists():
        return Progress()
    another = "name another --out, or delete that file"
    try:
        values: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        differing = [
            key for key, value in _identity(settings).items() if values["identity"].get(key) != value
        ]
        if differing:
            raise UserError(f"{file}: trained with other {' and '.join(differing)}; {another}")
        for name, part in parts.items():
            part.load_state_dict(values[name])
        return Progress(**{**values["progress"], "losses": tuple(values["progress"]["losses"])})
    except (RuntimeError, KeyError, ValueError, TypeError, EOFError, UnpicklingError) as error:
        raise UserError(f"{file}: not a train state of this denoiser ({error}); {another}") from error


# ---- imagining ---------------------------------------------------------------------------------------------


def imagine(
    sampler: Any,
    context: Array,
    actions: Array,
    seed: int,
    on_tick: Callable[[int], None] = lambda tick: None,
) -> Array:
    """What it imagines after `context` `[B, CONTEXT, SIZE, SIZE, 3]`, `[B, horizon, SIZE, SIZE, 3]` uint8.

    actions: `[B, CONTEXT - 1 + horizon]`, those that lead on from the frames of the context and the imagined
    ones: the one that leads to the first imagined frame is number `CONTEXT - 1`.
    """
    torch.manual_seed(seed)
    seen, played = as_input(context), torch.from_numpy(actions)
    made: list[Array] = []
    for tick in range(actions.shape[1] - CONTEXT + 1):
        following, _ = sampler.sample(seen, played[:, tick : tick + CONTEXT])
        seen = torch.cat([seen[:, 1:], following[:, None]], dim=1)
        made.append(as_frames(following))
        on_tick(tick)
    return np.stack(made, axis=1)


def frame_seconds(sampler: Any, context: Array, actions: Array, num: int) -> list[float]:
    """Core-seconds of each of `num` imagined frames of one world; the same arguments as `imagine`, B = 1."""
    seen, played = as_input(context), torch.from_numpy(actions)
    spent: list[float] = []
    for tick in range(num):
        now = [(tick + k) % actions.shape[1] for k in range(CONTEXT)]
        began = time.process_time()
        following, _ = sampler.sample(seen, played[:, now])
        seen = torch.cat([seen[:, 1:], following[:, None]], dim=1)
        as_frames(following)
        spent.append(time.process_time() - began)
    return spent
