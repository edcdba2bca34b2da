"""Trains the world transformer: draw clips, take a loss, step; log, save, resume.

Two stages. *Motion* needs no tokenizer network: state, touch and language are learned from episodes without
pictures, which are cheap to make and to train on. *World* goes on from there with pictures and sound. Both
are this one loop; a stage is only a choice of what it is fed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from orrery.errors import BadUse, UserError
from orrery.models.transformer import WorldTransformer
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.text import WordTokenizer
from orrery.tokenizers.video import VideoTokenizer, prefers_bf16
from orrery.training import parallel
from orrery.training.clips import draw_clips
from orrery.training.latents import LatentSet
from orrery.training.losses import motion_loss, perception_loss, picture_loss
from orrery.training.optimizers import cosine, make_optimizer
from orrery.training.pace import Pace, follow
from orrery.training.pictures import DecodedCost, picture_weights

__all__ = ["Watch", "WorldTraining", "held_out_losses", "train_world"]


@dataclass(frozen=True)
class WorldTraining:
    """Settings of one stage.

    minutes: wall-clock budget; num_steps: instead of it, for runs that must repeat exactly. shares: how often
    each kind of batch is drawn, of those there are data for; *beginnings* are first ticks alone, for
    language. batch, ticks: clips and ticks a clip, by kind. own_errors_from: progress from which a share of
    the motion batches starts from the model's own errors. shaken: how wrong anchors are made (see
    `losses.shake`), 1 as on the tabletop. decay_from: progress from which the learning rate falls to a
    twentieth. decoder_from: progress from which the decoder of pictures learns too; whole_from: from which it
    draws whole frames instead of squares, of which there are `squares` a frame. transformer: whether it
    learns; without, only batches of pictures teach anything, and of the decoder only what comes after it is
    told what stands where.
    """

    minutes: float | None = None
    num_steps: int | None = None
    shares: Mapping[str, float] = field(
        default_factory=lambda: {"motion": 0.28, "beginnings": 0.2, "pictures": 0.44, "perception": 0.08}
    )
    batch: Mapping[str, int] = field(
        default_factory=lambda: {"motion": 32, "beginnings": 96, "pictures": 10, "perception": 10}
    )
    ticks: Mapping[str, int] = field(
        default_factory=lambda: {"motion": 12, "beginnings": 1, "pictures": 4, "perception": 3}
    )
    lr_matrix: float = 0.02
    lr_other: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    decay_from: float = 0.4
    own_errors_from: float = 0.3
    own_errors_share: float = 0.4
    shaken: float = 1.0
    decoder_from: float = 0.3
    whole_from: float = 0.85
    squares: int = 1
    transformer: bool = True
    object_weight: float = 4.0
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    log_seconds: float = 30.0
    save_seconds: float = 120.0


@dataclass(frozen=True)
class Watch:
    """Whoever looks on while a stage trains. see: called every so many minutes with the averaged weights, by
    the names of the `model` and of the `decoder` of pictures, where that learns too."""

    every_minutes: float
    see: Callable[[Mapping[str, Tensor]], None]


def train_world(
    model: WorldTransformer,
    codecs: Codecs,
    words: WordTokenizer,
    motion: LatentSet,
    pictures: Sequence[LatentSet],
    training: WorldTraining,
    out: str | Path,
    seed: int = 0,
    resume: bool = False,
    device: str = "cpu",
    tokenizer: VideoTokenizer | None = None,
    watch: Watch | None = None,
) -> WorldTransformer:
    """Train `model` in place and return it with its averaged weights.

    motion, pictures: encoded episodes without and with `video.main`; without `pictures` only motion is
    trained; of several sets, each moment of each is as likely as any other. out: folder for `log.jsonl` and
    `train_state.pt`; with `resume`, a run goes on from the latter. tokenizer: what the pictures were encoded
    with; with it, they are also compared as pixels, and its decoder learns in place; its encoder stays.
    watch: of several processes, the first one's is told.
    Raises UserError for a train state that is damaged or another run's.
    """
    run = _Run(
        model.to(device), codecs, words, motion, pictures, training, Path(out), seed, device, tokenizer
    )
    if resume:
        run.load()
    run.train(watch if parallel.rank() == 0 else None)
    run.learned.load_state_dict(run.average)
    if tokenizer is not None:
        tokenizer.cpu().eval()
    return model.cpu().eval()


class _Run:
    def __init__(
        self,
        model: WorldTransformer,
        codecs: Codecs,
        words: WordTokenizer,
        motion: LatentSet,
        pictures: Sequence[LatentSet],
        training: WorldTraining,
        out: Path,
        seed: int,
        device: str,
        tokenizer: VideoTokenizer | None,
    ) -> None:
        self.model, self.codecs, self.words = model, codecs, words
        self.motion, self.pictures, self.training, self.out, self.device = (
            motion,
            pictures,
            training,
            out,
            device,
        )
        self.seed = seed
        self.pace = Pace(training.minutes, training.num_steps)
        self.looks = None
        parts: dict[str, nn.Module] = {"model": model} if training.transformer else {}
        model.requires_grad_(training.transformer)
        if tokenizer is not None and pictures:
            self.looks = DecodedCost(
                tokenizer.to(device).requires_grad_(False), pictures, squares=training.squares
            )
            parts["decoder"] = tokenizer.decoder
            self._let_decoder_learn(True)
        if not parts:
            raise BadUse("a stage in which the transformer stays teaches the decoder: it needs pictures")
        self.learned = nn.ModuleDict(parts)
        self.average = {name: value.detach().clone() for name, value in self.learned.state_dict().items()}
        self.optimizer = make_optimizer(
            self.learned.named_parameters(),
            training.lr_matrix,
            training.lr_other,
            training.weight_decay,
            inner=_is_inner,
        )
        self.weigh = picture_weights(pictures, training.object_weight) if pictures else None
        out.mkdir(parents=True, exist_ok=True)

    def train(self, watch: Watch | None = None) -> None:
        """Step until the budget is used, with a log line and a saved state every so often."""
        totals: dict[str, list[float]] = {}
        logged = saved = watched = time.monotonic()
        self.pace.start()
        with Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            disable=parallel.rank() > 0,
        ) as bar:
            task = bar.add_task("training", total=1.0, loss="")
            while self.pace.progress < 1.0:
                for name, value in self.take_step().items():
                    totals.setdefault(name, []).append(value)
                now = time.monotonic()
                if now - logged > self.training.log_seconds:
                    line = self.log(totals)
                    bar.update(task, completed=self.pace.progress, loss=line)
                    logged, totals = now, {}
                if now - saved > self.training.save_seconds:
                    self.save()
                    saved = time.monotonic()
                if watch is not None and now - watched > 60.0 * watch.every_minutes:
                    watch.see(self.average)
                    watched = time.monotonic()
        if totals:
            self.log(totals)
        self.save()

    def take_step(self) -> dict[str, float]:
        """One optimizer step; everything random in it follows from the seed, the step and the rank."""
        # All processes take the same kind of batch.
        shared = np.random.default_rng([self.seed, self.pace.step])
        kind, own_errors = self._draw_kind(shared), self._draw_own_errors(shared)
        rng = np.random.default_rng([self.seed, self.pace.step, 1 + parallel.rank()])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with torch.autocast(self.device, torch.bfloat16, enabled=prefers_bf16(self.device)):
            losses = self._losses(kind, own_errors, rng, generator)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad()
        total.backward()
        self.pace.share_gradients(self.learned.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, self.training.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.set_scale(self._rate())
            self.optimizer.step()
        self.pace.step += 1
        follow(self.average, self.learned, self.pace.step, self.training.ema_decay)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _draw_kind(self, rng: np.random.Generator) -> str:
        seen = {"pictures", "perception"}
        shares = {k: v for k, v in self.training.shares.items() if self.pictures or k not in seen}
        total = sum(shares.values())
        return str(rng.choice(list(shares), p=[share / total for share in shares.values()]))

    def _draw_own_errors(self, rng: np.random.Generator) -> bool:
        late = self.pace.progress >= self.training.own_errors_from
        return late and rng.random() < self.training.own_errors_share

    def _losses(
        self, kind: str, own_errors: bool, rng: np.random.Generator, generator: torch.Generator
    ) -> dict[str, Tensor]:
        source = _draw_set(self.pictures, rng) if kind in ("pictures", "perception") else self.motion
        batch, ticks = self.training.batch[kind], self.training.ticks[kind]
        clips = draw_clips(source, rng, batch, min(ticks, source.num_ticks), self.words).to(self.device)
        shaken = self.training.shaken
        if kind == "beginnings":
            return motion_loss(self.model, self.codecs, clips, generator, shaken=shaken)
        if kind == "motion":
            return motion_loss(self.model, self.codecs, clips, generator, own_errors, shaken)
        if kind == "perception":
            return perception_loss(self.model, self.codecs, clips, generator, shaken)
        assert self.weigh is not None
        if self.looks is not None:
            self.looks.whole = self.pace.progress >= self.training.whole_from
            self._let_decoder_learn(self.pace.progress >= self.training.decoder_from)
        return picture_loss(self.model, self.codecs, clips, self.weigh(clips), generator, self.looks)

    def _let_decoder_learn(self, learns: bool) -> None:
        assert self.looks is not None
        decoder = self.looks.tokenizer.decoder
        for part in [decoder] if self.training.transformer else decoder.told:
            part.requires_grad_(learns)

    def _rate(self) -> float:
        """Learning rate factor: warmup, level, then half a cosine."""
        start = self.training.decay_from
        late = max(0.0, self.pace.progress - start) / max(1.0 - start, 1e-9)
        return cosine(self.pace.step, self.training.warmup_steps, 1e9) * cosine(late, 0.0, 1.0, floor=0.05)

    def log(self, totals: Mapping[str, list[float]]) -> str:
        means = {name: round(float(np.mean(values)), 5) for name, values in totals.items()}
        row = {"step": self.pace.step, "minutes": round(self.pace.seconds / 60.0, 2), **means}
        if parallel.rank() == 0:
            with (self.out / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
        return " ".join(f"{name} {value:.3f}" for name, value in means.items())

    def save(self) -> None:
        """Replace the train state in one move; the first process does it for all."""
        if parallel.rank() > 0:
            return
        state = {
            "learned": self.learned.state_dict(), "average": self.average,
            "optimizer": self.optimizer.state_dict(), "step": self.pace.step, "seconds": self.pace.seconds,
        }  # fmt: skip
        unfinished = self.out / "train_state.pt.part"
        torch.save(state, unfinished)
        os.replace(unfinished, self.out / "train_state.pt")

    def load(self) -> None:
        """Go on from the train state, if there is one. Raises UserError for one that does not fit."""
        file = self.out / "train_state.pt"
        if not file.exists():
            return
        try:
            state: dict[str, Any] = torch.load(file, map_location=self.device, weights_only=True)
            self.learned.load_state_dict(state["learned"])
            self.average = state["average"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.pace.step, self.pace.seconds = state["step"], state["seconds"]
        except (RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{file}: not a train state of this recipe and data ({reason}); "
                "delete it to start the stage again"
            ) from error


def _is_inner(name: str, parameter: Tensor) -> bool:
    """The matrices that Muon trains: the transformer's in its blocks, and the decoder's between its ends."""
    blocks, decoder = name.startswith("model.blocks."), name.startswith(("decoder.body.", "decoder.look."))
    return (blocks and parameter.ndim == 2) or (decoder and parameter.ndim == 4)


def _draw_set(sets: Sequence[LatentSet], rng: np.random.Generator) -> LatentSet:
    """One of several sets, by how many ticks each has."""
    ends = np.cumsum([len(latents) * latents.num_ticks for latents in sets])
    return sets[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]


@torch.no_grad()
def held_out_losses(
    model: WorldTransformer,
    codecs: Codecs,
    words: WordTokenizer,
    motion: LatentSet,
    pictures: Sequence[LatentSet] = (),
    num_batches: int = 4,
    shaken: float = 1.0,
    tokenizer: VideoTokenizer | None = None,
) -> dict[str, float]:
    """Mean losses over fixed batches of episodes that were kept apart: of motion and, where they are given,
    of pictures, whose training loss alone does not tell a scene understood from one known by heart. shaken:
    as in training. tokenizer: the one of the pictures; with it, also what they cost once they are decoded."""
    sums: dict[str, list[float]] = {}
    looks = DecodedCost(tokenizer, pictures) if pictures and tokenizer is not None else None
    weigh = picture_weights(pictures, WorldTraining.object_weight) if pictures else None
    for number in range(num_batches):
        rng = np.random.default_rng([7, number])
        clips = draw_clips(motion, rng, 16, min(12, motion.num_ticks), words)
        generator = torch.Generator().manual_seed(number)
        losses = motion_loss(model, codecs, clips, generator, shaken=shaken)
        if weigh is not None:
            source = _draw_set(pictures, rng)
            clips = draw_clips(source, rng, 16, min(4, source.num_ticks), words)
            generator = torch.Generator().manual_seed(number)
            losses |= picture_loss(model, codecs, clips, weigh(clips), generator, looks)
        for name, value in losses.items():
            sums.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in sums.items()}
