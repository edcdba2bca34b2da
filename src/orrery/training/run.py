"""From data sets to a checkpoint: every stage of a recipe, in order, each skipped when it is already done.

    motion ------------------------------+
    frames -> video tokenizer -> encoded -> world -> checkpoint
              sound tokenizer ---^

Which streams the model has, the data say: without sound there is no sound tokenizer. The motion stage needs
no tokenizer, so that it can be trained while they are. A stage leaves its result in the run's folder under
its own name: a run that was stopped goes on where it was, and a stage is trained again by deleting its
folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from orrery import __version__
from orrery.data.dataset import Dataset
from orrery.errors import UserError
from orrery.inference.checkpoints import Sampling, WorldModel, load_model, save_model
from orrery.models.transformer import WorldTransformer
from orrery.provenance import git, hardware
from orrery.streams import WorldSpec
from orrery.tokenizers.audio import AudioTokenizer
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training import parallel
from orrery.training.build import ModelSize, fit_codecs, transformer_config, word_tokenizer
from orrery.training.frames import FrameSource, extract_frames
from orrery.training.latents import LatentSet, encode_dataset
from orrery.training.tokenizer_audio import AudioTrainingConfig, load_audio, train_audio_tokenizer
from orrery.training.tokenizer_video import VideoTraining, train_video_tokenizer
from orrery.training.trainer import Watch, WorldTraining, held_out_losses, train_world

__all__ = ["Budget", "Recipe", "Reporting", "RunFolder", "train"]


STAGES = ("motion", "video_tokenizer", "audio_tokenizer", "world", "drawing")
NEEDED = ("state", "camera.main", "action")
"""What every data set must have; sound and touch are learned where they are there."""


@dataclass(frozen=True)
class Budget:
    """How long a stage trains: minutes of wall clock, or steps where the run must repeat exactly."""

    minutes: float | None = None
    num_steps: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A complete training run. Every number that shapes the result is here or in the data.

    world: None where a run starts from a checkpoint whose transformer is to stay as it is. drawing: of the
    decoder of pictures alone, at the end. audio, audio_budget: of a tokenizer of sound, where the data have
    sound. frame_every: each k-th frame of an episode trains the video tokenizer. num_held_out: episodes of
    each data set that only measure.
    """

    name: str
    video: VideoTokenizerConfig
    video_training: VideoTraining
    video_budget: Budget
    size: ModelSize
    motion: WorldTraining
    world: WorldTraining | None
    drawing: WorldTraining | None = None
    audio: AudioTrainingConfig = field(default_factory=AudioTrainingConfig)
    audio_budget: Budget = field(default_factory=Budget)
    frame_every: int = 4
    num_held_out: int = 64
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Reporting:
    """Reports from the world stage on. every_minutes: between two checkpoints in `out/reports/`. start:
    told each one's folder; must not wait for the report. Picklable."""

    every_minutes: float
    start: Callable[[Path], None]


def train(
    recipe: Recipe,
    data: str | Path,
    out: str | Path,
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
    say: Callable[[str], None] | None = None,
    start: str | Path | None = None,
    processes: int = 1,
    reporting: Reporting | None = None,
) -> Path:
    """Run `recipe` and return the checkpoint's folder, `out/checkpoint`.

    data: a data set with pictures, or a folder of data sets of which at least one has pictures. device: None
    takes the GPU where there is one. start: a checkpoint to train further; only the stages from the world on
    are run. say: told what is done; with several processes, a function of a module. processes: how many train
    the transformer together. reporting: what is made of it on the way. Raises UserError for data that do not
    serve, and where `out` exists and `resume` was not asked for.
    """
    folder = RunFolder(Path(out), seed, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if folder.path.exists() and not resume:
        raise UserError(f"{out} exists; give --resume to go on with it, or choose another folder")
    return parallel.together(processes, _train, recipe, folder, data, say, start, reporting)


def _train(
    recipe: Recipe,
    folder: RunFolder,
    data: str | Path,
    say: Callable[[str], None] | None,
    start: str | Path | None,
    reporting: Reporting | None,
) -> Path:
    """What each of the processes does."""
    heard = parallel.rank() == 0
    say = say if say and heard else Console(stderr=True, quiet=not heard).log
    pictures, others = _find_datasets(Path(data))
    _check_streams([*pictures, *others])
    _check_size(recipe, pictures)
    moving = others or pictures[:1]
    say(f"{recipe.name}: {sum(map(len, pictures))} episodes with pictures, {sum(map(len, others))} without")
    base = _first_stages(recipe, folder, pictures, moving) if start is None else load_model(start)
    say("motion is learned and the tokenizers are ready")
    model = base.transformer.requires_grad_(True)
    watch = None if reporting is None else Watch(reporting.every_minutes, _reporter(base, folder, reporting))
    losses = folder.world(recipe, model, base.codecs, base.video, base.audio, pictures, moving, watch)
    say("the world is learned; held-out losses: " + ", ".join(f"{n} {v:.3f}" for n, v in losses.items()))
    if parallel.rank() == 0:
        made = _provenance(recipe, folder, [*pictures, *others], losses)
        if start is not None:
            made["started_from"] = {"hash": base.hash, **base.provenance}
        save_model(replace(base, transformer=model, provenance=made), folder.path / "checkpoint")
    return folder.path / "checkpoint"


def _reporter(
    base: WorldModel, folder: RunFolder, reporting: Reporting
) -> Callable[[Mapping[str, Tensor]], None]:
    """Makes a checkpoint of averaged weights, numbered, and has it reported on."""

    def see(average: Mapping[str, Tensor]) -> None:
        """Make one. average: weights by the names of `model` and `decoder`."""
        model = replace(base, transformer=deepcopy(base.transformer), video=deepcopy(base.video))
        parts = {"model": model.transformer, "decoder": model.video.decoder}
        for name, part in parts.items():
            mine = {k.removeprefix(f"{name}."): v for k, v in average.items() if k.startswith(f"{name}.")}
            part.load_state_dict(mine or part.state_dict())
        reports = folder.path / "reports"
        number = len(list(reports.glob("*"))) if reports.is_dir() else 0
        reporting.start(save_model(model, reports / f"{number:03d}" / "checkpoint"))

    return see


def _first_stages(
    recipe: Recipe, folder: RunFolder, pictures: list[Dataset], moving: list[Dataset]
) -> WorldModel:
    """A model that has learned motion and whose tokenizers are done."""
    model, codecs = folder.motion(recipe, moving, pictures[0].spec)
    video = folder.video_tokenizer(recipe, pictures, codecs)
    audio = folder.audio_tokenizer(recipe, pictures[0])
    return WorldModel(
        pictures[0].spec, model, codecs, word_tokenizer(), video, audio, recipe.sampling, provenance={}
    )


@dataclass(frozen=True)
class RunFolder:
    """A run on disk; each method makes one stage, or opens what an earlier run made."""

    path: Path
    seed: int
    device: str

    def motion(
        self, recipe: Recipe, datasets: list[Dataset], spec: WorldSpec
    ) -> tuple[WorldTransformer, Codecs]:
        """`motion/`: the transformer after its first stage, and the codecs that fit the data.

        spec: all streams that the model is to have.
        """
        with parallel.first_alone():
            sets = [
                encode_dataset(dataset, None, None, self.path / "encoded" / f"silent{number}")
                for number, dataset in enumerate(datasets)
            ]
        moving, _ = _join(sets).split(recipe.num_held_out)
        codecs = fit_codecs(moving.spec, moving.arrays["state"], moving.arrays["camera.main"])
        audio, video = recipe.audio.tokenizer, recipe.video
        config = transformer_config(
            recipe.size, spec, codecs,
            audio=(audio.tokens_per_tick, audio.latent_width),
            video=(video.latent_grid**2, video.latent_channels * spec.clock.frames_per_tick),
        )  # fmt: skip
        torch.manual_seed(self.seed)
        model = WorldTransformer(config)
        return self._train(model, codecs, moving, [], recipe.motion, "motion"), codecs

    def video_tokenizer(self, recipe: Recipe, pictures: list[Dataset], codecs: Codecs) -> VideoTokenizer:
        """`video_tokenizer/`, trained on `frames/`. codecs: those that tell its decoder what stands where."""
        done = self.path / "video_tokenizer" / "video_tokenizer.safetensors"
        if done.exists():
            return VideoTokenizer.load(done)
        with parallel.first_alone():
            frames = self._frames(recipe, pictures)
        told = codecs.state.look_width if recipe.video.sight_grid else 0
        config = replace(recipe.video, sight_width=told)
        return train_video_tokenizer(
            frames, config, done.parent, training=recipe.video_training, seed=self.seed, resume=True,
            device=self.device, **_limits(recipe.video_budget),
        )  # fmt: skip

    def _frames(self, recipe: Recipe, pictures: list[Dataset]) -> FrameSource:
        """`frames/`: some of the pictures as they are."""
        frames = self.path / "frames"
        if frames.exists():
            return FrameSource.open(frames)
        return extract_frames(pictures, frames, recipe.frame_every)

    def audio_tokenizer(self, recipe: Recipe, dataset: Dataset) -> AudioTokenizer | None:
        """`audio_tokenizer/`, trained on the sound of the data set; None where it has none."""
        if "audio.main" not in dataset.spec.streams:
            return None
        done = self.path / "audio_tokenizer" / "audio_tokenizer.safetensors"
        with parallel.first_alone():
            if not done.exists():
                train_audio_tokenizer(
                    load_audio(dataset), recipe.audio, done.parent, seed=self.seed, resume=True,
                    device=self.device, **_limits(recipe.audio_budget),
                )  # fmt: skip
        return AudioTokenizer.load(done)

    def world(
        self,
        recipe: Recipe,
        model: WorldTransformer,
        codecs: Codecs,
        video: VideoTokenizer,
        audio: AudioTokenizer | None,
        pictures: list[Dataset],
        moving: list[Dataset],
        watch: Watch | None = None,
    ) -> dict[str, float]:
        """`world/`: train `model` on with pictures and sound, and the decoder of `video` with it; `drawing/`:
        that decoder alone; the losses on episodes that were kept apart."""
        with parallel.first_alone():
            encoded = self.path / "encoded"
            seen = [
                encode_dataset(dataset, video, audio, encoded / f"pictures{number}", self.device)
                for number, dataset in enumerate(pictures)
            ]
            heard = [
                encode_dataset(dataset, None, audio, encoded / f"motion{number}", self.device)
                for number, dataset in enumerate(moving)
            ]
        motion, held_out = _join(heard).split(recipe.num_held_out)
        halves = [latents.split(recipe.num_held_out) for latents in seen]
        known, unseen = [first for first, _ in halves], [last for _, last in halves]
        stages = {"world": recipe.world, "drawing": recipe.drawing}
        for name, training in stages.items():
            if training is not None:
                self._train(model, codecs, motion, known, training, name, video, watch)
        shaken = 1.0 if recipe.world is None else recipe.world.shaken
        return held_out_losses(
            model, codecs, word_tokenizer(), held_out, unseen, shaken=shaken, tokenizer=video
        )

    def _train(
        self,
        model: WorldTransformer,
        codecs: Codecs,
        motion: LatentSet,
        pictures: list[LatentSet],
        training: WorldTraining,
        name: str,
        tokenizer: VideoTokenizer | None = None,
        watch: Watch | None = None,
    ) -> WorldTransformer:
        return train_world(
            model, codecs, word_tokenizer(), motion, pictures, training, self.path / name, self.seed,
            resume=True, device=self.device, tokenizer=tokenizer, watch=watch,
        )  # fmt: skip


def _limits(budget: Budget) -> dict[str, Any]:
    return {"num_steps": budget.num_steps} if budget.num_steps else {"budget_minutes": budget.minutes}


def _find_datasets(path: Path) -> tuple[list[Dataset], list[Dataset]]:
    """The data sets with pictures, those with the longest episodes first, and the others."""
    folders = [path] if (path / "meta").is_dir() else sorted(p.parent for p in path.glob("*/meta"))
    datasets = [Dataset(folder) for folder in folders]
    with_pictures = [d for d in datasets if "video.main" in d.spec.streams]
    if not with_pictures:
        raise UserError(
            f"{path}: training needs a data set with pictures, and found none; "
            "make one with: orrery collect tabletop --out DATASET --episodes 1000"
        )
    with_pictures.sort(key=lambda d: d.num_ticks(d.readable[0]) if d.readable else 0, reverse=True)
    return with_pictures, [d for d in datasets if "video.main" not in d.spec.streams]


def _check_streams(datasets: list[Dataset]) -> None:
    """Refuse data without the streams that everything else is drawn from."""
    for dataset in datasets:
        missing = [name for name in NEEDED if name not in dataset.spec.streams]
        if missing:
            raise UserError(
                f"{dataset.path}: training needs {', '.join(NEEDED)}, and this data set has no "
                f"{', '.join(missing)}; collect a world that has them (see orrery worlds)"
            )


def _check_size(recipe: Recipe, pictures: list[Dataset]) -> None:
    """Refuse pictures that the recipe's networks are not made for, before hours go into them."""
    size = recipe.video.image_size
    for dataset in pictures:
        _, height, width, _ = dataset.spec.streams["video.main"].shape
        if (height, width) != (size, size):
            raise UserError(
                f"{dataset.path}: pictures of {width}x{height} pixels where recipe {recipe.name} takes "
                f"{size}x{size}; collect with --image-size {size}"
            )


def _join(sets: list[LatentSet]) -> LatentSet:
    """Several sets of equally long episodes as one, in memory."""
    first = sets[0]
    lengths = {s.num_ticks for s in sets}
    if len(lengths) > 1:
        raise UserError(
            f"the data sets' episodes last {' and '.join(map(str, sorted(lengths)))} ticks; "
            "collect them all with the same --seconds"
        )
    arrays = {name: np.concatenate([np.asarray(s.arrays[name]) for s in sets]) for name in first.arrays}
    return LatentSet(
        first.spec,
        arrays,
        [x for s in sets for x in s.scenes],
        [x for s in sets for x in s.texts],
        np.concatenate([s.steered for s in sets]),
    )


def _provenance(
    recipe: Recipe, folder: RunFolder, datasets: list[Dataset], losses: dict[str, float]
) -> dict[str, Any]:
    """How the checkpoint came to be."""
    return {
        "recipe": recipe.name,
        "seed": folder.seed,
        "orrery": __version__,
        "commit": git("rev-parse", "HEAD") or "unknown",
        "device": torch.cuda.get_device_name() if folder.device == "cuda" else hardware(),
        "minutes": {name: _minutes(folder.path / name) for name in STAGES if (folder.path / name).is_dir()},
        "data": [
            {"episodes": d.num_episodes, "hash": _meta_hash(d.path), "collect": d.settings} for d in datasets
        ],
        "held_out_losses": losses,
    }


def _minutes(stage: Path) -> float:
    """Training time of a finished stage, from the clock in its train state, or in its log if it has none."""
    if not (stage / "train_state.pt").exists():
        return round(json.loads((stage / "log.jsonl").read_text().splitlines()[-1])["minutes"], 1)
    state = torch.load(stage / "train_state.pt", map_location="cpu", weights_only=True)
    return round(next(float(state[key]) for key in ("seconds", "elapsed") if key in state) / 60.0, 1)


def _meta_hash(path: Path) -> str:
    """SHA-256 of a data set's descriptions, which vouch for its episodes."""
    digest = hashlib.sha256()
    for file in sorted((path / "meta").rglob("*.*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
