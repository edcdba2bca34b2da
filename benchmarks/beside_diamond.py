"""DIAMOND's published code beside ours: the same recordings, the same processor time, the same measure.

    python benchmarks/beside_diamond.py --data DATASET --diamond CHECKOUT --out FOLDER --minutes 30
    python benchmarks/beside_diamond.py --data DATASET --diamond CHECKOUT --out FOLDER --ours RUN

Ours is trained here as `orrery train` trains it, or was by it (`--ours`); DIAMOND's denoiser then trains,
with its own loss and the settings of its Atari configuration, for as many core-seconds. Both imagine the
same held-out windows under the same actions. What they imagine and the truth are averaged down to DIAMOND's
64 x 64 and compared there, on the pixels that change. What differs, and whom it favours:

- Ours learns every stream (sound, reward, ending) in its time; of DIAMOND only the denoiser is trained,
  without the network that tells its reward and ending, and reading its pictures is not counted: for
  DIAMOND.
- DIAMOND takes 4 frames of the context, as it is made to, ours all 8: for ours.
- DIAMOND's actions are numbers of a table. CarRacing's steering and pedals (gas less brake) are rounded to
  levels fitted to the recordings (5 x 3, `--levels`); ours takes them as they are: for ours.
- Frames a core-second: one world, one thread, processor time of each frame, medians, neither compiled. Ours
  makes its picture at the size it was trained on, and its other streams, in that time: for DIAMOND.

DIAMOND is fetched by hand: git clone https://github.com/eloialonso/diamond
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro

import diamond_model
from diamond_data import HORIZONS_SECONDS, ActionTable, Held, bar, picture_stream, recordings_of, shrunk
from diamond_model import DiamondCode
from harness import Subject, console, save, show
from orrery.data.dataset import Dataset
from orrery.engines.torch_engine import TorchEngine
from orrery.errors import BadUse, UserError
from orrery.evaluation.rollout import Windows, imagine_windows, tick_errors
from orrery.evaluation.statistics import share
from orrery.inference.imagined import ImaginedWorld
from orrery.models.trained import TrainedWorld, load_trained
from orrery.registry import resolve_model
from orrery.streams import Array, StreamSpec
from orrery.training.prepare import Episodes
from orrery.training.recipe import Recipe, sized_recipe
from orrery.training.run import data_hash, is_data_of
from orrery.training.train import train


@dataclass
class Settings:
    """data: a data set with one film. diamond: DIAMOND's checkout. out: where both are trained; the same
    command goes on after a stop. minutes: for which ours trains; with `ours`, core-minutes of DIAMOND, in
    place of those that ours took. ours: a run or a checkpoint of `orrery train` on the same data. threads: of
    both trainings.

    levels: of each axis of an action of numbers (CarRacing: steering, pedals). batch, learning_rate,
    warmup_steps: of DIAMOND, as published, which is for a GPU: the warmup alone may take a core an hour.
    num_windows: held-out stretches. num_frames: timed of each, in three rounds.
    """

    data: Path
    diamond: Path
    out: Path
    ours: Path | None = None
    minutes: float | None = None
    threads: int = 1
    levels: tuple[int, ...] = (5, 3)
    batch: int = diamond_model.BATCH
    learning_rate: float = diamond_model.LEARNING_RATE
    warmup_steps: int = diamond_model.WARMUP_STEPS
    num_windows: int = 16
    num_frames: int = 30
    seed: int = 0


# ---- ours ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ours:
    """Our side. core_seconds: what its training took. budget: where that figure is from."""

    folder: Path
    world: TrainedWorld
    recipe: Recipe
    core_seconds: float
    budget: str


def ours_trained_here(data: Dataset, settings: Settings, minutes: float) -> Ours:
    """As `orrery train` does it; core-seconds are counted over stops."""
    run, counted = settings.out / "ours", settings.out / "ours_core_seconds.json"
    recipe = sized_recipe(data.spec, minutes)
    if not (run / "checkpoint/config.json").exists():
        spent, began = (json.loads(counted.read_text()) if counted.exists() else 0.0), time.process_time()
        try:
            train(data, recipe, run, settings.seed)
        finally:
            counted.write_text(json.dumps(spent + time.process_time() - began))
    elif json.loads((run / "run.json").read_text())["recipe"] != json.loads(json.dumps(recipe.to_json())):
        raise UserError(f"{run} was trained with other minutes or by another version; name another --out")
    return Ours(
        run / "checkpoint", load_trained(run / "checkpoint"), recipe, json.loads(counted.read_text()),
        "processor time of its training here, from the data set to the checkpoint",
    )  # fmt: skip


def ours_given(data: Dataset, path: Path) -> Ours:
    """A checkpoint of `orrery train` on the same data; UserError for another."""
    folder = resolve_model(path)
    world = load_trained(folder)
    if not is_data_of(data, world.provenance.get("data", {}).get("hash")):
        raise UserError(f"--ours {path}: was not trained on {data.path}; name its own data with --data")
    used = world.provenance["recipe"]
    recipe = sized_recipe(data.spec, 1.0, streams=used["streams"], image_size=used["image_size"])
    minutes = sum(world.provenance["minutes"].values()) * world.provenance.get("processes", 1)
    budget = "wall clock of its training stages, by its checkpoint, times processes"
    return Ours(folder, world, replace(recipe, held_out=used["held_out"]), 60 * minutes, budget)


def our_frame_seconds(world: TrainedWorld, windows: Windows, num: int) -> list[float]:
    """Core-seconds of each of `num` frames of one world, actions in and pictures out."""
    imagined = ImaginedWorld(TorchEngine(world), 1)
    imagined.reset(seed=0, given={name: v[:1, : windows.context] for name, v in windows.streams.items()})
    for _ in range(windows.context - 1):
        imagined.step(None)
    names = [s.name for s in world.spec.of_role("given") if s.kind != "text"]
    spent: list[float] = []
    for number in range(num):
        tick = windows.context + number % windows.horizon
        actions = {name: windows.streams[name][:1, tick] for name in names}
        began = time.process_time()
        imagined.step(actions or None)
        spent.append(time.process_time() - began)
    return spent


# ---- beside each other ---------------------------------------------------------------------------------


def errors_beside(
    spec: StreamSpec, held: Held, made: dict[str, Array], tick_seconds: float
) -> list[dict[str, Any]]:
    """Rows by horizon: root mean square errors in grey levels, of pixels that have changed since the context;
    and the share of windows in which ours is nearer to the truth than DIAMOND.

    made: by method, `[N, horizon, 1, SIZE, SIZE, 3]`.
    """
    truth = held.small.streams[spec.name]
    of_all = {name: tick_errors(spec, value, truth, held.small.context) for name, value in made.items()}
    of_each = {
        name: np.stack(
            [
                tick_errors(spec, value[k : k + 1], truth[k : k + 1], held.small.context)
                for k in range(len(truth))
            ]
        )
        for name, value in made.items()
        if name in ("ours", "diamond")
    }
    rows: list[dict[str, Any]] = []
    for seconds in HORIZONS_SECONDS:
        tick = round(seconds / tick_seconds) - 1
        if not 0 <= tick < held.small.horizon:
            continue
        mine, other = of_each["ours"][:, tick], of_each["diamond"][:, tick]
        some = np.isfinite(mine)  # nothing has changed in the others
        rows.append(
            {
                "seconds": seconds,
                **{name: float(e[tick]) if np.isfinite(e[tick]) else None for name, e in of_all.items()},
                "windows_ours_nearer": share(int((mine < other)[some].sum()), int(some.sum())),
            }
        )
    return rows


def speeds(ours: TrainedWorld, sampler: Any, held: Held, num_frames: int) -> dict[str, Any]:
    """Frames a core-second on one thread: medians of three rounds, the first frame of each left out."""
    torch.set_num_threads(1)
    frames, actions = held.seen_by_diamond
    each = max(1, num_frames // 3)
    spent: dict[str, list[float]] = {"ours": [], "diamond": []}
    with bar("frames a core-second", 3) as on_step:
        for number in range(3):
            spent["ours"] += our_frame_seconds(ours, held.ours, each + 1)[1:]
            spent["diamond"] += diamond_model.frame_seconds(sampler, frames[:1], actions[:1], each + 1)[1:]
            on_step(number + 1, "")
    middle = {name: 1.0 / median(values) for name, values in spent.items()}
    return {**middle, "ratio": middle["ours"] / middle["diamond"], "frames_timed": 3 * each}


def parameters(ours: TrainedWorld, denoiser: Any) -> dict[str, Any]:
    """Numbers of trained parameters; the denoiser alone is what of DIAMOND makes pictures."""
    parts = {"world": ours.model, **{f"tokenizer {n}": t for n, t in ours.tokenizers.items() if t.learned}}
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in parts.items()}
    return {
        "ours": sum(counts.values()),
        "ours_parts": counts,
        "diamond": sum(p.numel() for p in denoiser.parameters()),
    }


def measured(settings: Settings, code: DiamondCode, data: Dataset, stream: str, ours: Ours) -> dict[str, Any]:
    """Train DIAMOND, let both imagine, and compare."""
    episodes = Episodes.of(data, ours.recipe)
    table = ActionTable.of(data, episodes.training, settings.levels)
    held = Held.cut(episodes, stream, table, settings.num_windows, settings.seed)
    recordings = recordings_of(episodes, stream, table, settings.out)
    torch.manual_seed(settings.seed)
    denoiser = diamond_model.build_denoiser(code, table.num)
    budget = ours.core_seconds if settings.ours is None or settings.minutes is None else 60 * settings.minutes
    training = diamond_model.TrainingSettings(
        budget, settings.batch, settings.learning_rate, settings.warmup_steps, settings.seed,
        {"data": data_hash(data), "sources": code.sha256, "actions": json.dumps(asdict(table))},
    )  # fmt: skip
    with bar("DIAMOND trains", budget) as on_step:
        trained = diamond_model.train_denoiser(
            code, denoiser, recordings, training, settings.out / "diamond.pt",
            lambda p: on_step(p.core_seconds, f"step {p.step}, loss {np.mean(p.losses):.3f}"),
        )  # fmt: skip
    sampler = diamond_model.build_sampler(code, denoiser)
    with bar("DIAMOND imagines", held.small.horizon) as on_step:
        frames, actions = held.seen_by_diamond
        by_diamond = diamond_model.imagine(
            sampler, frames, actions, settings.seed, lambda tick: on_step(tick + 1, "")
        )
    with bar("ours imagines", 1) as on_step:
        world = ImaginedWorld(TorchEngine(ours.world), held.ours.num)
        by_ours = shrunk(imagine_windows(world, held.ours)[stream])
        on_step(1, "")
    truth, context = held.small.streams[stream], held.small.context
    copied = np.repeat(truth[:, context - 1 : context], held.small.horizon, axis=1)
    spec = replace(data.spec.streams[stream], shape=truth.shape[2:])
    made = {"ours": by_ours, "diamond": by_diamond[:, :, None], "copy": copied}
    core_seconds_per_step = trained.core_seconds / max(1, trained.step)
    return {
        "data": {"name": settings.data.resolve().name, "hash": data_hash(data), "collect": data.settings},
        "by_horizon": errors_beside(spec, held, made, data.spec.clock.tick_seconds),
        "frames_per_core_second": speeds(ours.world, sampler, held, settings.num_frames),
        "parameters": parameters(ours.world, denoiser),
        "windows": {"num": held.small.num, "context_ticks": context, "horizon_ticks": held.small.horizon},
        "training": {
            "threads": settings.threads, "torch": torch.__version__,
            "ours": {
                "core_seconds": ours.core_seconds, "measured_as": ours.budget,
                "streams": list(ours.world.spec.streams),
                "picture": list(ours.world.spec.streams[stream].shape[1:3]),
            },
            "diamond": {
                "core_seconds": trained.core_seconds, "steps": trained.step, "batch": settings.batch,
                "core_seconds_per_step": core_seconds_per_step, "learning_rate": settings.learning_rate,
                "warmup_steps": settings.warmup_steps,
                "loss": float(np.mean(trained.losses)), "picture": [diamond_model.SIZE, diamond_model.SIZE],
            },
        },
        "diamond": {
            "sources_sha256": code.sha256, "settings_of_commit": diamond_model.PUBLISHED,
            "is_that_commit": code.sha256 == diamond_model.PUBLISHED_SHA256, "actions": asdict(table),
        },
    }  # fmt: skip


def compare(settings: Settings) -> dict[str, Any]:
    """Everything in the result. What can be wrong with what was asked is said before anything is trained."""
    if settings.ours is None and settings.minutes is None:
        raise BadUse("say how long both train with --minutes, or name a trained run with --ours")
    for name in ("minutes", "threads", "batch", "num_windows", "num_frames", "learning_rate"):
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise BadUse(f"--{name.replace('_', '-')} {value}: must be above 0")
    code, data = diamond_model.load_code(settings.diamond), Dataset(settings.data)
    if code.sha256 != diamond_model.PUBLISHED_SHA256:
        console.print(
            f"[yellow]{settings.diamond} is not commit {diamond_model.PUBLISHED[:7]} (its settings are)[/]"
        )
    diamond_model.build_denoiser(code, 2)
    stream = picture_stream(data)
    given = None if settings.ours is None else ours_given(data, settings.ours)
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    ours = given or ours_trained_here(data, settings, settings.minutes or 0.0)
    return measured(settings, code, data, stream, ours) | {"folder": str(ours.folder)}


def main(settings: Settings) -> None:
    figures = compare(settings)
    folder = figures.pop("folder")
    rows = [
        [f"{row['seconds']:g} s", row["ours"], row["diamond"], row["copy"], row["windows_ours_nearer"]]
        for row in figures["by_horizon"]
    ]
    show(
        f"Error of 255 on pixels that change, {figures['windows']['num']} windows at 64 x 64",
        ["after", "ours", "DIAMOND", "copying", "windows where ours is nearer, %"],
        rows,
    )
    speed, size, spent = figures["frames_per_core_second"], figures["parameters"], figures["training"]
    show(
        "Cost",
        ["", "ours", "DIAMOND"],
        [
            ["frames a core-second, one thread", speed["ours"], speed["diamond"]],
            ["core-seconds of training", spent["ours"]["core_seconds"], spent["diamond"]["core_seconds"]],
            ["parameters, millions", size["ours"] / 1e6, size["diamond"] / 1e6],
            ["steps; core-seconds a step", "", f"{spent['diamond']['steps']}; "
             f"{spent['diamond']['core_seconds_per_step']:.3g}"],
        ],
    )  # fmt: skip
    other = f"-batch{settings.batch}" if settings.batch != diamond_model.BATCH else ""
    save(f"beside_diamond-{figures['data']['name']}{other}", Subject(folder), figures, seed=settings.seed)


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
