"""Training the video tokenizer: crops around small objects first, whole frames at the end.

Objects fill a few per cent of the pixels, so most crops are centred on one and its pixels weigh four times as
much. Muon trains the inner convolutions. Every random draw depends on the seed and the number of the step
alone, so a run that is resumed continues exactly.
"""

from __future__ import annotations

import io
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from orrery.atomic import write_atomically
from orrery.errors import BadUse, UserError
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig, prefers_bf16
from orrery.training import parallel
from orrery.training.frames import MASK_CELL, FrameSource
from orrery.training.optimizers import cosine, make_optimizer
from orrery.training.pace import Pace

__all__ = [
    "VideoTraining", "is_inner", "measure_psnr", "pixel_cost", "pixel_weights", "tokenizer_loss",
    "train_video_tokenizer",
]  # fmt: skip


@dataclass(frozen=True)
class VideoTraining:
    """Settings of one training run; the defaults are the best measured ones.

    batch_size: crops a step; a step on whole frames takes as many frames as have the same number of pixels.
    crop_size: side of a crop, pixels. object_fraction: share of the crops that are centred on an object.
    object_weight: extra weight of pixels on or next to an object. kl_weight: of the divergence of the
    posterior of the latents from the standard normal, nats per latent value. full_frame_fraction: share of
    the training, at its end, on whole frames. encoder: whether it learns too; without, latents stay what they
    are. num_held_out: frames at the end of the source that only measure. precision: `bf16` (autocast),
    `fp32`, or `auto` for what is fast on the device.
    """

    batch_size: int = 48
    crop_size: int = 64
    object_fraction: float = 0.7
    object_weight: float = 3.0
    kl_weight: float = 3e-4
    lr_matrix: float = 0.02
    lr_other: float = 2e-3
    weight_decay: float = 0.0
    num_warmup_steps: int = 40
    lr_floor: float = 0.01
    full_frame_fraction: float = 0.15
    encoder: bool = True
    ema_decay: float = 0.999
    num_held_out: int = 64
    log_seconds: float = 60.0
    save_seconds: float = 180.0
    precision: str = "auto"


def train_video_tokenizer(
    source: FrameSource,
    config: VideoTokenizerConfig,
    out: str | Path,
    *,
    training: VideoTraining | None = None,
    budget_minutes: float | None = None,
    num_steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str = "cpu",
    start: VideoTokenizer | None = None,
) -> VideoTokenizer:
    """Train until `num_steps` or for `budget_minutes`, and write `out/video_tokenizer.safetensors`.

    The file holds averaged weights and fitted normalisation. `out/train_state.pt` is replaced every few
    minutes; with `resume`, a run continues from it (with `num_steps`, to bit-identical weights) and the time
    it had used counts. With `start`, a run begins from its weights.
    `out/log.jsonl` gets the loss and the PSNR on held-out frames. Returns the tokenizer that was written.
    Raises BadUse unless exactly one of `num_steps` and `budget_minutes` is given.
    """
    if (budget_minutes is None) == (num_steps is None):
        raise BadUse("training needs one of num_steps and budget_minutes, not both")
    pace = Pace(budget_minutes, num_steps)
    run = _Run(source, config, Path(out), training or VideoTraining(), seed, device, pace, start)
    if resume:
        run.load()
    elif parallel.rank() == 0:
        (run.out / "log.jsonl").unlink(missing_ok=True)
    return run.train()


def tokenizer_loss(
    tokenizer: nn.Module, pixels: Tensor, mask: Tensor, noise: Tensor, training: VideoTraining
) -> Tensor:
    """The scalar loss of one batch.

    pixels: `[N, 3, H, W]` in [-1, 1]. mask: `[N, 1, H/4, W/4]`, 1 on objects. noise: `[N, c, h, w]`.
    """
    output = tokenizer(pixels, noise)
    weight = pixel_weights(mask, training.object_weight)
    cost = pixel_cost(output.pixels.float() - pixels)
    divergence = 0.5 * (output.mean.square() + output.log_variance.exp() - 1.0 - output.log_variance)
    return (weight * cost).mean() + training.kl_weight * divergence.mean()


def pixel_weights(mask: Tensor, object_weight: float) -> Tensor:
    """Weight of each pixel, `[N, 1, H, W]`, 1 on average: more on objects and next to them.

    mask: `[N, 1, H/4, W/4]`, 1 on objects. object_weight: what they weigh more than the rest.
    """
    near = F.interpolate(F.max_pool2d(mask, 3, stride=1, padding=1), scale_factor=MASK_CELL)
    weight = 1.0 + object_weight * near
    return weight / weight.mean()


def pixel_cost(error: Tensor) -> Tensor:
    """What each error of a pixel in [-1, 1] costs: 5 (sqrt(e^2 + 0.04) - 0.2), quadratic below 0.2, then
    linear."""
    return 5.0 * (torch.sqrt(error.square() + 0.04) - 0.2)


def measure_psnr(tokenizer: VideoTokenizer, source: FrameSource, num_frames: int = 64) -> dict[str, float]:
    """PSNR in dB of decoded latents over `num_frames` frames spread over the source.

    `psnr_all` from the mean squared error of all pixels; `psnr_objects` of the pixels in the object mask,
    left out where there are none.
    """
    device = tokenizer.latent_mean.device
    squares, weights = [], []
    for index in np.unique(np.linspace(0, len(source) - 1, num_frames).round().astype(int)):
        frame = torch.from_numpy(np.array(source.frames[index]))
        decoded = tokenizer.decode(tokenizer.encode(frame[None, None].to(device)))[0, 0].cpu()
        squares.append((decoded.double() - frame.double()).square().mean(-1).numpy())
        weights.append(np.kron(source.cells(int(index)), np.ones((MASK_CELL, MASK_CELL))))
    square, weight = np.stack(squares), np.stack(weights)
    figures = {"psnr_all": _psnr(float(square.mean()))}
    if weight.any():
        figures["psnr_objects"] = _psnr(float((square * weight).sum() / weight.sum()))
    return figures


def _psnr(mean_square: float) -> float:
    return float(10.0 * np.log10(255.0**2 / max(mean_square, 1e-6)))


def is_inner(name: str, parameter: Tensor) -> bool:
    """Convolutions between the first and the last of the encoder and of the decoder."""
    return ".body." in name and parameter.ndim == 4


class _Run:
    """One training run: its networks, optimizer, batches, and what it writes under `out`."""

    def __init__(
        self,
        source: FrameSource,
        config: VideoTokenizerConfig,
        out: Path,
        training: VideoTraining,
        seed: int,
        device: str,
        pace: Pace,
        start: VideoTokenizer | None,
    ) -> None:
        if training.crop_size % config.downsampling or training.crop_size > min(source.frames.shape[1:3]):
            raise BadUse(
                f"a crop of {training.crop_size} pixels is no multiple of {config.downsampling} "
                f"inside frames of {list(source.frames.shape[1:3])}"
            )
        self.train_set, self.held_out = source.split(training.num_held_out)
        self.out, self.training, self.seed, self.pace = out, training, seed, pace
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tokenizer = VideoTokenizer(config).to(self.device)
        if start is not None:
            self.tokenizer.load_state_dict(start.state_dict())
        self.tokenizer.encoder.requires_grad_(training.encoder)
        self.average = AveragedModel(
            self.tokenizer, multi_avg_fn=get_ema_multi_avg_fn(training.ema_decay), use_buffers=False
        )
        self.optimizer = make_optimizer(
            ((name, p) for name, p in self.tokenizer.named_parameters() if p.requires_grad),
            training.lr_matrix,
            training.lr_other,
            training.weight_decay,
            is_inner,
        )
        precision = training.precision
        self.bf16 = precision == "bf16" or (precision == "auto" and prefers_bf16(self.device.type))
        self.console = Console(stderr=True)

    @property
    def averaged(self) -> VideoTokenizer:
        module = self.average.module
        assert isinstance(module, VideoTokenizer)
        return module

    def train(self) -> VideoTokenizer:
        """Step until the budget is used; the first process logs and saves now and then, and at the end."""
        self.out.mkdir(parents=True, exist_ok=True)
        last_log = last_save = time.monotonic()
        losses: list[Tensor] = []
        self.pace.start()
        while self.pace.progress < 1.0:
            losses.append(self._step())
            now = time.monotonic()
            if now - last_log > self.training.log_seconds:
                self._log(losses)
                losses, last_log = [], now
            if now - last_save > self.training.save_seconds:
                self.save()
                last_save = now
        self._log(losses)
        self.save()
        return self._finish()

    def _step(self) -> Tensor:
        training = self.training
        rng = np.random.default_rng((self.seed, self.pace.step, parallel.rank()))
        whole = self.pace.progress >= 1.0 - training.full_frame_fraction
        pixels, mask = self._batch(rng, whole)
        grid = [side // self.tokenizer.config.downsampling for side in pixels.shape[2:]]
        shape = (len(pixels), self.tokenizer.config.latent_channels, *grid)
        noise = torch.from_numpy(rng.standard_normal(shape, np.float32)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = tokenizer_loss(self.tokenizer, pixels, mask, noise, training)
        self.optimizer.zero_grad()
        loss.backward()
        self.pace.share_gradients(self.tokenizer.parameters())
        warmup = cosine(self.pace.step, training.num_warmup_steps, math.inf)
        self.optimizer.set_scale(warmup * cosine(self.pace.progress, 0.0, 1.0, training.lr_floor))
        self.optimizer.step()
        self.average.update_parameters(self.tokenizer)
        self.pace.step += 1
        return loss.detach()

    def _batch(self, rng: np.random.Generator, whole: bool) -> tuple[Tensor, Tensor]:
        """pixels `[N, 3, S, S]` in [-1, 1] and mask `[N, 1, S/4, S/4]`, on the device."""
        height, width = self.train_set.frames.shape[1:3]
        size = self.training.crop_size
        num = self.training.batch_size
        if whole:
            num = max(1, round(num * size * size / (height * width)))
        frames, masks = [], []
        for index in rng.integers(len(self.train_set), size=num):
            frame, mask = self.train_set.frames[index], self.train_set.cells(int(index))
            if not whole:
                row, column = self._corner(rng, mask)
                frame = frame[row : row + size, column : column + size]
                mask = mask[row // MASK_CELL : (row + size) // MASK_CELL]
                mask = mask[:, column // MASK_CELL : (column + size) // MASK_CELL]
            frames.append(frame)
            masks.append(mask)
        pixels = torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 3, 1, 2)
        cells = torch.from_numpy(np.stack(masks)).to(self.device)[:, None]
        return pixels.float() / 127.5 - 1.0, cells.float()

    def _corner(self, rng: np.random.Generator, mask: np.ndarray) -> tuple[int, int]:
        """Top left corner of a crop, pixels: around a random cell of an object, or anywhere."""
        size = self.training.crop_size // MASK_CELL
        highest = [side - size for side in mask.shape]
        occupied = np.flatnonzero(mask)
        if occupied.size and rng.random() < self.training.object_fraction:
            centre = np.unravel_index(rng.choice(occupied), mask.shape)
            jitter = rng.integers(-size // 4, size // 4 + 1, size=2)
            corner = [int(c) - size // 2 + int(j) for c, j in zip(centre, jitter, strict=True)]
        else:
            corner = [int(rng.integers(side + 1)) for side in highest]
        row, column = (min(max(c, 0), side) * MASK_CELL for c, side in zip(corner, highest, strict=True))
        return row, column

    def _log(self, losses: list[Tensor]) -> None:
        if not losses or parallel.rank() > 0:
            return
        self.averaged.eval()
        figures: dict[str, Any] = {
            "step": self.pace.step,
            "elapsed_seconds": round(self.pace.seconds, 1),
            "loss": float(torch.stack(losses).mean()),
            **measure_psnr(self.averaged, self.held_out),
        }
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(figures) + "\n")
        shown = ", ".join(f"{k} {v:.4g}" for k, v in figures.items() if k != "step")
        total = self.pace.step / max(self.pace.progress, 1e-9)
        self.console.print(f"step {self.pace.step} of about {total:.0f}: {shown}")

    def save(self) -> None:
        """Replace the train state on disk, in the first process; a crash leaves the one before."""
        if parallel.rank() > 0:
            return
        state = {
            "config": asdict(self.tokenizer.config),
            "seed": self.seed,
            "num_steps_done": self.pace.step,
            "elapsed": self.pace.seconds,
            "tokenizer": self.tokenizer.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.out / "train_state.pt", buffer.getvalue())

    def load(self) -> None:
        """Continue from the train state on disk, if any. Raises UserError if it is of another run."""
        path = self.out / "train_state.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["config"] != asdict(self.tokenizer.config) or state["seed"] != self.seed:
            raise UserError(f"{path} is of a run with another configuration or seed; give a new folder")
        self.tokenizer.load_state_dict(state["tokenizer"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.pace.step, self.pace.seconds = state["num_steps_done"], state["elapsed"]

    def _finish(self) -> VideoTokenizer:
        """Fit the normalisation of the averaged tokenizer on frames of the training set, where the encoder
        has learned; the first process writes it."""
        tokenizer = self.averaged.eval()
        if self.training.encoder:
            indices = np.unique(np.linspace(0, len(self.train_set) - 1, 512).round().astype(int))
            frames = (torch.from_numpy(np.array(self.train_set.frames[i])) for i in indices)
            tokenizer.fit_normalisation(frame[None, None].to(self.device) for frame in frames)
        if parallel.rank() == 0:
            tokenizer.save(self.out / "video_tokenizer.safetensors")
        return tokenizer
