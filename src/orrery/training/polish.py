"""The last touch: the decoder of pictures learns to draw from the latents that the transformer imagines.

A decoder learns from an encoder's latents, and has never seen the small errors of a transformer's. Here the
transformer and the encoder stand still, and the decoder sees both kinds of latents with the true picture as
its target. What was encoded stays valid, and generation costs the same.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orrery.errors import UserError
from orrery.models.transformer import WorldTransformer
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.text import WordTokenizer
from orrery.tokenizers.video import VideoTokenizer
from orrery.training import parallel
from orrery.training.clips import cut_clips
from orrery.training.frames import FrameSource
from orrery.training.latents import LatentSet
from orrery.training.losses import imagine_pictures
from orrery.training.optimizers import cosine, make_optimizer
from orrery.training.pace import Pace, follow
from orrery.training.tokenizer_video import is_inner, pixel_cost, pixel_weights

__all__ = ["Polishing", "polish_decoder"]

CLIP_TICKS = 4
"""The first tick and three that end with the one whose picture is compared; fewer in shorter episodes."""


@dataclass(frozen=True)
class Polishing:
    """Settings of the stage.

    minutes: wall-clock budget, or num_steps instead of it. batch_size: pictures a step, each drawn from
    imagined and from encoded latents. object_weight: extra weight of pixels on or next to an object.
    """

    minutes: float | None = None
    num_steps: int | None = None
    batch_size: int = 12
    object_weight: float = 8.0
    lr_matrix: float = 0.01
    lr_other: float = 1e-3
    num_warmup_steps: int = 30
    ema_decay: float = 0.998
    log_seconds: float = 30.0


def polish_decoder(
    model: WorldTransformer,
    codecs: Codecs,
    words: WordTokenizer,
    tokenizer: VideoTokenizer,
    pictures: LatentSet,
    source: FrameSource,
    polishing: Polishing,
    out: str | Path,
    seed: int = 0,
    device: str = "cpu",
) -> VideoTokenizer:
    """Train the decoder of `tokenizer` in place and return it with its averaged weights.

    pictures: episodes encoded with `tokenizer`. source: some of their frames, and which ones. out: folder for
    `log.jsonl` and, when it is done, `video_tokenizer.safetensors`. Raises UserError where `source` does not
    say which frames it holds.
    """
    run = _Polish(
        model.to(device).eval().requires_grad_(False), codecs, words, tokenizer.to(device), pictures, source,
        polishing, Path(out), seed, device,
    )  # fmt: skip
    run.train()
    tokenizer.decoder.load_state_dict(run.average)
    tokenizer = tokenizer.cpu().eval()
    if parallel.rank() == 0:
        tokenizer.save(Path(out) / "video_tokenizer.safetensors")
    return tokenizer


class _Polish:
    def __init__(
        self,
        model: WorldTransformer,
        codecs: Codecs,
        words: WordTokenizer,
        tokenizer: VideoTokenizer,
        pictures: LatentSet,
        source: FrameSource,
        polishing: Polishing,
        out: Path,
        seed: int,
        device: str,
    ) -> None:
        if source.places is None:
            raise UserError(
                "the extracted frames do not say where they come from (places.npy is missing); delete the "
                "folder `frames` of the run to extract them again"
            )
        self.model, self.codecs, self.words, self.tokenizer = model, codecs, words, tokenizer
        self.pictures, self.source, self.polishing = pictures, source, polishing
        self.out, self.seed, self.device = out, seed, device
        row, frame = np.asarray(source.places).T
        self.frames_per_tick = pictures.spec.clock.frames_per_tick
        known = (row < len(pictures)) & (frame < pictures.num_ticks * self.frames_per_tick)
        self.usable = np.flatnonzero(known)
        tokenizer.decoder.requires_grad_(True)
        self.average = {name: value.clone() for name, value in tokenizer.decoder.state_dict().items()}
        self.optimizer = make_optimizer(
            tokenizer.decoder.named_parameters(), polishing.lr_matrix, polishing.lr_other, 0.0, is_inner
        )
        self.pace = Pace(polishing.minutes, polishing.num_steps)
        out.mkdir(parents=True, exist_ok=True)

    def train(self) -> None:
        """Step until the budget is used, with a log line every so often."""
        losses: list[dict[str, float]] = []
        logged = time.monotonic()
        self.pace.start()
        while self.pace.progress < 1.0:
            losses.append(self.take_step())
            if time.monotonic() - logged > self.polishing.log_seconds:
                self.log(losses)
                losses, logged = [], time.monotonic()
        self.log(losses)

    def take_step(self) -> dict[str, float]:
        """One optimizer step; everything random in it follows from the seed, the step and the rank."""
        rng = np.random.default_rng([self.seed, self.pace.step, 1 + parallel.rank()])
        imagined, encoded, pixels, mask = self.batch(rng)
        weights = pixel_weights(mask, self.polishing.object_weight)
        with torch.autocast(self.device, torch.bfloat16):
            drawn = [self.tokenizer.to_pixels(latents) for latents in (imagined, encoded)]
        costs = [(weights * pixel_cost(found.float() - pixels)).mean() for found in drawn]
        self.optimizer.zero_grad()
        torch.stack(costs).sum().backward()
        self.pace.share_gradients(self.tokenizer.decoder.parameters())
        warmup = min(1.0, (self.pace.step + 1) / self.polishing.num_warmup_steps)
        self.optimizer.set_scale(warmup * cosine(self.pace.progress, 0.0, 1.0, floor=0.02))
        self.optimizer.step()
        self.pace.step += 1
        follow(self.average, self.tokenizer.decoder, self.pace.step, self.polishing.ema_decay)
        return {"imagined": float(costs[0].detach()), "encoded": float(costs[1].detach())}

    @torch.no_grad()
    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Imagined and encoded latents `[N, c, h, w]`, pixels `[N, 3, H, W]` in [-1, 1], mask
        `[N, 1, H/4, W/4]`."""
        chosen = rng.choice(self.usable, self.polishing.batch_size)
        rows, frames = np.asarray(self.source.places)[chosen].T
        ticks, within = frames // self.frames_per_tick, frames % self.frames_per_tick
        later = min(CLIP_TICKS, self.pictures.num_ticks) - 1
        shown = np.minimum(ticks, later)
        spans = [np.array([0, *(max(t, later) - np.arange(later)[::-1])]) for t in ticks]
        clips = cut_clips(self.pictures, rows, [(span, True) for span in spans], rng, self.words)
        clips = clips.to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            imagined = imagine_pictures(self.model, self.codecs, clips)
        imagined = self._latents(imagined, shown, within)
        encoded = self._latents(clips.streams["video.main"], shown, within)
        pixels = torch.from_numpy(np.stack([self.source.frames[i] for i in chosen])).to(self.device)
        mask = torch.from_numpy(np.stack([self.source.cells(int(i)) for i in chosen])).to(self.device)
        return imagined, encoded, pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0, mask[:, None].float()

    def _latents(self, tokens: Tensor, shown: np.ndarray, within: np.ndarray) -> Tensor:
        """Each clip's one latent frame `[N, c, h, w]` of `tokens [N, T, tokens, frames * c]`."""
        grid = self.tokenizer.config.latent_grid
        every = tokens.float().unflatten(3, (self.frames_per_tick, -1))
        picked = every[torch.arange(len(shown)), torch.from_numpy(shown), :, torch.from_numpy(within)]
        return picked.unflatten(1, (grid, grid)).permute(0, 3, 1, 2)

    def log(self, losses: list[dict[str, float]]) -> None:
        if parallel.rank() > 0 or not losses:
            return
        means = {name: round(float(np.mean([row[name] for row in losses])), 6) for name in losses[0]}
        row = {"step": self.pace.step, "minutes": round(self.pace.seconds / 60.0, 2), **means}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
