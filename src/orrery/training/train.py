"""`train`: from a data set to a checkpoint.

    statistics -> tokenizers (those that learn) -> latents -> world model -> checkpoint

Every stage keeps its train state in a folder of its own, so that a run that was stopped, or killed, goes on
where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orrery.data.dataset import Dataset
from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import Tokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.models.tokens import StreamTokens, WorldModelConfig, module_key
from orrery.models.trained import TrainedWorld, save_world
from orrery.models.world_model import WorldModel
from orrery.provenance import git, hardware
from orrery.training import parallel
from orrery.training.encoded import EncodedEpisodes
from orrery.training.loop import LOG, Stage, StepContext, train_stage
from orrery.training.prepare import Episodes, encode_episodes, fitted_tokenizers
from orrery.training.progress import Watch
from orrery.training.recipe import Recipe
from orrery.training.run import MORE_DATA, RunFolder, begin_run, described, keep_latents_of
from orrery.training.tokenizers import TOKENIZER_STAGES
from orrery.training.world_loss import world_loss

__all__ = ["train"]

NUM_STARTS = 64
START_TICKS = 4
START_BYTES = 700_000


def train(
    data: Dataset,
    recipe: Recipe,
    out: Path,
    seed: int = 0,
    restart: bool = False,
    device: str = "cpu",
    watch: Watch | None = None,
    more: Dataset | None = None,
) -> Path:
    """Train a world on a data set; returns the folder of its checkpoint.

    A run that is there goes on, if it was started with the same data, recipe and seed; UserError if not,
    unless `restart` says that it is to be lost. device: see `own_device`. watch: is told how far the run is.
    more: a data set of the same world which may lack streams, such as scenes without pictures: the world
    model's steps without pictures learn from it too.
    """
    run, on = RunFolder(out), parallel.own_device(device)
    episodes = Episodes.of(data, recipe)
    beside = None if more is None else Episodes.beside(episodes, more)
    with parallel.rank_zero_first():
        if parallel.rank() == 0:
            told = None if more is None else described(more)
            begin_run(run, data, {"recipe": recipe.to_json(), "seed": seed, MORE_DATA: told}, restart)
    for note in (*episodes.notes, *(beside.notes if beside else ())) if parallel.rank() == 0 else ():
        print(note)
    torch.manual_seed(seed)
    tokenizers = {name: tokenizer.to(on) for name, tokenizer in fitted_tokenizers(episodes, beside).items()}
    for name, tokenizer in tokenizers.items():
        if tokenizer.learned:
            for stage in TOKENIZER_STAGES[tokenizer.spec.kind](name, tokenizer, episodes, recipe, seed):
                train_stage(stage, run.stage(stage.name), seed, watch)
            tokenizer.requires_grad_(False)
    with parallel.rank_zero_first():
        if parallel.rank() == 0:
            keep_latents_of(run, tokenizers)
        training = encode_episodes(episodes, episodes.training, tokenizers, run.latents("training"), watch)
        encode_episodes(episodes, episodes.held_out, tokenizers, run.latents("held_out"), watch)
        others = beside and encode_episodes(beside, beside.training, tokenizers, run.latents("more"), watch)
    for name, tokenizer in tokenizers.items():
        if not isinstance(tokenizer, TextTokenizer):
            tokenizer.note_range(torch.from_numpy(np.array(training.latents[name][::7], np.float32)))
    torch.manual_seed(seed)
    model = WorldModel(model_config(episodes, tokenizers, recipe)).to(on)
    place_located(model, tokenizers)
    losses = train_stage(world_stage(model, training, recipe, others), run.stage("world"), seed, watch)
    if parallel.rank() == 0:  # the others may be here before the log's last line is written
        trained = TrainedWorld(
            episodes.spec,
            {name: tokenizer.cpu() for name, tokenizer in tokenizers.items()},
            model.cpu().eval(),
            starts_of(training),
            _provenance(run, data, more, recipe, seed, losses, on),
        )
        save_world(run.checkpoint, trained)
    return run.checkpoint


def world_stage(
    model: WorldModel, training: EncodedEpisodes, recipe: Recipe, more: EncodedEpisodes | None = None
) -> Stage:
    """The stage that teaches the world model itself. more: what steps without pictures learn from too, by how
    many episodes (where first ticks are learned) or ticks it has."""
    of_few = [training] if more is None else [training, more]
    pictures = [s.name for s in model.pictures]
    device = model.places.device
    start_share = recipe.start_share * training.sentence_share

    def losses(context: StepContext) -> dict[str, Tensor]:
        """Of one step's clip, by stream."""
        without = context.shared.random() < recipe.few_share
        config = recipe.few_loss if without else recipe.loss
        own = context.progress >= recipe.own_from and context.shared.random() < config.own_chance
        batch, ticks = (recipe.few_batch, recipe.few_ticks) if without else (recipe.batch, recipe.ticks)
        sources = of_few if without else [training]
        if model.texts and context.shared.random() < start_share:
            first_share = recipe.start_first_share if without else None
            own = False
            config = replace(config, absent_share=recipe.start_absent_share, first_share=first_share)
            source = _one_of(sources, [len(s.lengths) for s in sources], context.shared)
            clip = source.draw_starts(context.rng, recipe.start_batch).to(device)
        else:
            source = _one_of(sources, [int(s.lengths.sum()) for s in sources], context.shared)
            clip = source.draw(context.rng, batch, ticks).to(device)
        if without:
            clip = clip.without(pictures)
        with mixed_precision(device, wanted=not without):
            return world_loss(model, clip, config, context.generator, own)

    return Stage(
        "world", model, losses, recipe.budgets["world"], _is_inner, recipe.lr_matrix, recipe.lr_other
    )


def _one_of(
    sources: Sequence[EncodedEpisodes], sizes: Sequence[int], rng: np.random.Generator
) -> EncodedEpisodes:
    """One of them by chance, by their sizes."""
    return sources[int(rng.choice(len(sources), p=np.array(sizes) / sum(sizes)))]


def model_config(episodes: Episodes, tokenizers: dict[str, Tokenizer], recipe: Recipe) -> WorldModelConfig:
    """The sizes of the network that fits these streams."""
    streams: list[StreamTokens] = []
    for name, tokenizer in tokenizers.items():
        spec = tokenizer.spec
        located = spec.located_in if isinstance(tokenizer, VectorTokenizer) else ""
        frames, numbers = (
            (tokenizer.frames, tokenizer.numbers) if isinstance(tokenizer, VectorTokenizer) else (1, 0)
        )
        streams.append(
            StreamTokens(
                name,
                tokenizer.tokens,
                tokenizer.width,
                spec.role == "given",
                spec.kind == "text",
                tokenizer.grid,
                located,
                frames,
                numbers,
                spec.role == "outcome",
            )
        )
    return WorldModelConfig(tuple(streams), recipe.order, episodes.spec.clock.tick_seconds, **recipe.sizes)


def place_located(model: WorldModel, tokenizers: dict[str, Tokenizer]) -> None:
    """Tell located streams how their latents become places again."""
    for stream in model.few:
        key = module_key(stream.name)
        tokenizer = tokenizers[stream.name]
        if model.pictures and key in model.located and isinstance(tokenizer, VectorTokenizer):
            located: Any = model.located[key]
            located.centre.copy_(tokenizer.centre[: len(located.centre)])
            located.scale.copy_(tokenizer.scale[: len(located.scale)])


def starts_of(training: EncodedEpisodes) -> dict[str, Tensor]:
    """The first ticks of some training episodes, `[N, ticks, tokens, width]`, from which a world can
    start."""
    ticks = int(min(START_TICKS, training.lengths.min()))
    size = sum(
        int(np.prod(v.shape[1:])) for n, v in training.latents.items() if n not in training.text_streams
    )
    num = int(np.clip(START_BYTES // (2 * size * ticks), 1, NUM_STARTS))
    chosen = np.unique(np.linspace(0, len(training.lengths) - 1, num).round().astype(int))
    clip = training.clip(chosen, np.zeros(len(chosen), int), ticks)
    return {n: v if n in training.text_streams else v[:, 1:] for n, v in clip.latents.items()}


def _is_inner(name: str, parameter: Tensor) -> bool:
    """What Muon trains: the convolutions inside of blocks, and what mixes ticks. Few tokens are few rows:
    there its five matrix products would cost more than the step."""
    return parameter.ndim == 4 or (name.endswith("mix.weight") and name.startswith("grid_"))


def _provenance(
    run: RunFolder,
    data: Dataset,
    more: Dataset | None,
    recipe: Recipe,
    seed: int,
    losses: dict[str, float],
    device: torch.device,
) -> dict[str, Any]:
    last = {
        stage.name: json.loads((stage / LOG).read_text().splitlines()[-1])
        for stage in sorted((run.path / "stages").iterdir())
    }
    return {
        "data": {"episodes": len(data.readable), **run.data(), "collect": data.settings},
        "more_data": None if more is None else {**(run.more_data() or {}), "collect": more.settings},
        "recipe": recipe.to_json(), "seed": seed, "losses": losses,
        "minutes": {name: row["minutes"] for name, row in last.items()},
        "skipped": {name: row.get("skipped", 0) for name, row in last.items()},
        "commit": git("rev-parse", "HEAD"), "hardware": hardware(), "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": parallel.num_processes(),
    }  # fmt: skip
