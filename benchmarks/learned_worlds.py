"""A learned world against its real one: W1 to W6 and W9 of a checkpoint, on episodes it has not seen.

    python benchmarks/learned_worlds.py pong --checkpoint RUN/checkpoint --data DATASET

WORLD names the folder under runs/ whose detect.py knows that world by sight; `none` measures what needs no
detector, on any data set. Bars are printed beside the figures. W7 and W8: see policy_inside.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from tyro.conf import Positional

from harness import RESULTS, Subject, console, number, save, show
from orrery.data.dataset import Dataset
from orrery.engines.torch_engine import TorchEngine
from orrery.evaluation.detector import Detector, Policy, Streams, load_detector
from orrery.evaluation.free_rollout import as_recorded, free_rollout, random_actions
from orrery.evaluation.rollout import Rollouts, Windows, imagine_windows, measure_rollouts
from orrery.evaluation.things import (
    measure_amounts,
    measure_counterfactual,
    measure_judged,
    measure_sound,
    measure_things,
)
from orrery.evaluation.tick_cost import measure_tick_cost
from orrery.inference.imagined import ImaginedWorld
from orrery.inspect.card import write_card
from orrery.inspect.run_page import pair_sheet
from orrery.media.sheet import ContactSheet
from orrery.models.trained import TrainedWorld, load_trained
from orrery.streams import Array
from orrery.training.prepare import Episodes
from orrery.training.recipe import Recipe, sized_recipe
from orrery.training.run import data_hash, is_data_of

RUNS = Path(__file__).parents[1] / "runs"
NO_WORLD = "none"
SEED = 1
SHEET_FRAMES = 30


@dataclass
class Settings:
    """world: a folder of runs/ with a detect.py, or none. checkpoint: the learned world. data: the data set
    it was trained on, whose last episodes it has not seen.

    num_windows: rollouts of `seconds`. num_long: of `long_seconds`, or as long as the episodes are.
    free_minutes: of `num_free` rollouts that are left to themselves; 0 for none. act: who acts in them: the
    detector's policy, actions as recorded, or random ones. cost_seconds: at which memory is read.
    card: write the figures into the checkpoint's card.
    """

    world: Positional[str]
    checkpoint: Path
    data: Path
    num_windows: int = 32
    seconds: float = 5.0
    num_long: int = 8
    long_seconds: float = 20.0
    free_minutes: float = 5.0
    num_free: int = 2
    act: str = ""
    card: bool = False
    cost_seconds: tuple[float, ...] = (10.0, 60.0)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    trained = load_trained(settings.checkpoint)
    engine = TorchEngine(trained)
    figures: dict[str, Any] = {"cost": measure_tick_cost(ImaginedWorld(engine), settings.cost_seconds)}
    detector = load_detector(RUNS / settings.world / "detect.py") if settings.world != NO_WORLD else None
    episodes = held_out_episodes(trained, Dataset(settings.data))
    figures["data"] = provenance(trained, episodes)
    windows, rollouts = rollouts_of(engine, episodes, settings.num_windows, settings.seconds)
    figures |= measured(engine, detector, windows, rollouts)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for video in trained.spec.of_kind("video"):
        real, made = windows.streams[video.name][:, windows.context :], rollouts.films[video.name]
        pair_sheet(real, made).save(RESULTS / f"learned_worlds-{settings.world}_{video.name}.png")
    if detector is not None and detector.amounts is not None and settings.num_long:
        figures["long"] = long_amounts(engine, detector, episodes, settings)
    if settings.free_minutes:
        figures["free"] = left_alone(engine, detector, episodes, windows, settings)
    figures["bars"] = bars(figures, detector)
    report(figures)
    if settings.card:
        write_card(settings.checkpoint, trained, rollouts, figures["bars"])
    save(f"learned_worlds-{settings.world}", Subject(str(settings.checkpoint)), figures, SEED)


# ---- the episodes that were held out -----------------------------------------------------------------------


def held_out_episodes(trained: TrainedWorld, data: Dataset) -> Episodes:
    """As the checkpoint's own training parted the data set."""
    told = trained.provenance.get("recipe", {})
    names = [s.name for s in trained.spec.streams.values() if s.role != "given"]
    recipe = sized_recipe(data.spec, steps=1, streams=names, image_size=told.get("image_size"))
    values = {f.name: getattr(recipe, f.name) for f in fields(Recipe)}
    return Episodes.of(data, Recipe(**{**values, "held_out": told.get("held_out", recipe.held_out)}))


def provenance(trained: TrainedWorld, episodes: Episodes) -> dict[str, Any]:
    """Which data, whether it is what was trained on, and how long that was."""
    told = trained.provenance.get("data", {}).get("hash")
    is_that = is_data_of(episodes.data, told)
    if told is not None and not is_that:
        console.print("[yellow]this is not the data set of the training: nothing in it was held out[/]")
    return {
        "hash": data_hash(episodes.data), "is_that_of_training": is_that,
        "held_out": list(episodes.held_out), "training_minutes": trained.provenance.get("minutes"),
        "training_hardware": trained.provenance.get("hardware"),
    }  # fmt: skip


def windows_of(episodes: Episodes, num: int, seconds: float) -> Windows:
    lengths = {index: episodes.data.num_ticks(index) for index in episodes.held_out}
    horizon = max(1, round(seconds / episodes.spec.clock.tick_seconds))
    names = list(episodes.spec.streams)
    return Windows.cut(lengths, names, episodes.load, episodes.data.text, num, horizon, SEED)


def rollouts_of(
    engine: TorchEngine, episodes: Episodes, num: int, seconds: float
) -> tuple[Windows, Rollouts]:
    windows = windows_of(episodes, num, seconds)
    return windows, measure_rollouts(ImaginedWorld(engine, windows.num), windows)


# ---- what is measured --------------------------------------------------------------------------------------


def measured(
    engine: TorchEngine, detector: Detector | None, windows: Windows, rollouts: Rollouts
) -> dict[str, Any]:
    """W1 to W5, on rollouts under the recorded actions, and counterfactual ones."""
    seconds = engine.spec.clock.tick_seconds
    copy = {n: np.repeat(v[:, -1:], windows.horizon, 1) for n, v in windows.given().items()}
    made: dict[str, Streams] = {"model": rollouts.films, "tokenizer": rollouts.decoded, "copy": copy}
    figures: dict[str, Any] = {"rollouts": rollouts.to_json()}
    heard = {m: s for m, s in made.items() if m != "copy"}
    figures["sound"] = measure_sound(detector, engine.spec, windows, heard)
    if detector is not None:
        figures["things"] = measure_things(detector, windows, made, seconds)
        figures["amounts"] = measure_amounts(detector, windows, made, seconds)
        figures["judged"] = measure_judged(detector, windows, made, seconds)
        figures["counterfactual"] = measure_counterfactual(
            ImaginedWorld(engine, windows.num), windows, detector
        )
    return figures


def long_amounts(
    engine: TorchEngine, detector: Detector, episodes: Episodes, settings: Settings
) -> dict[str, Any]:
    """Amounts over longer rollouts under the recorded actions."""
    windows = windows_of(episodes, settings.num_long, settings.long_seconds)
    films = imagine_windows(ImaginedWorld(engine, windows.num), windows)
    figures = measure_amounts(detector, windows, {"model": films}, engine.spec.clock.tick_seconds)
    return {"seconds": windows.horizon * engine.spec.clock.tick_seconds, **figures}


def left_alone(
    engine: TorchEngine,
    detector: Detector | None,
    episodes: Episodes,
    windows: Windows,
    settings: Settings,
) -> dict[str, Any]:
    """W6, and a contact sheet of the first world."""
    num = min(settings.num_free, windows.num)
    few = Windows({n: v[:num] for n, v in windows.streams.items()}, windows.context, windows.text[:num])
    name, act = acting(engine, detector, episodes, settings.act, num)
    clock = engine.spec.clock
    videos = engine.spec.of_kind("video")
    total = round(60 * settings.free_minutes / clock.tick_seconds) * clock.frames_per_tick
    title = f"{settings.world}: {settings.free_minutes:g} minutes, imagined"
    sheet = ContactSheet(total, clock.frames_per_second, None, SHEET_FRAMES, title) if videos else None

    def add(tick: Streams) -> None:
        if sheet is not None:
            sheet.add(tick[videos[0].name][0])

    real = whole_episodes(episodes)
    figures = free_rollout(engine, few, act, settings.free_minutes, real, detector, add)
    if sheet is not None:
        sheet.save(RESULTS / f"learned_worlds-{settings.world}_free.png")
    return {"act": name, **figures}


def whole_episodes(episodes: Episodes) -> Iterator[dict[str, Array]]:
    """The held-out ones, `[1, T, *shape]`."""
    for index in episodes.held_out:
        yield {name: episodes.load(index, name)[None] for name in episodes.spec.streams}


def acting(
    engine: TorchEngine, detector: Detector | None, episodes: Episodes, wanted: str, num: int
) -> tuple[str, Policy]:
    """Who acts in a free rollout, and what it is called."""
    given = [s for s in engine.spec.of_role("given") if s.kind != "text"]
    if wanted in ("", "policy") and detector is not None and detector.policy is not None:
        return "policy", detector.policy()
    if wanted in ("", "recorded") and given:
        actions = {
            s.name: np.concatenate([episodes.load(index, s.name) for index in episodes.held_out])
            for s in given
        }
        return "recorded", as_recorded(actions, num)
    return "random", random_actions(given)


# ---- bars --------------------------------------------------------------------------------------------------


def bars(figures: Mapping[str, Any], detector: Detector | None) -> list[dict[str, Any]]:
    """What is asked, what was measured, and whether it passes; None where it could not be measured."""
    rows: list[dict[str, Any]] = []
    rollouts = figures["rollouts"]
    for stream, horizons in rollouts["by_horizon"].items():
        for row in horizons:
            if row["model"] is not None and row["copy"]:
                what = f"{stream}: error over that of copying at {row['seconds']:g} s"
                rows.append(_bar(what, row["model"] / row["copy"], {"below": 1.0}))
    for stream, value in rollouts["actions_matter"].items():
        what = f"{stream}: error under shuffled actions over that under true ones"
        rows.append(_bar(what, value, {"at_least": 1.5}))
    rows += stays_bars(figures["free"]) if "free" in figures else []
    for bar in detector.bars if detector is not None else ():
        value: Any = figures
        for key in bar["at"]:
            value = value.get(key) if isinstance(value, Mapping) else None
        rows.append(_bar(bar["what"], value, bar))
    return rows


def stays_bars(free: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Whether a world that is left alone stays what it is: of its last minute, what moves and how often
    something happens."""
    minutes = f"left alone for {free['minutes']:g} minutes, in the last"
    return [
        _bar(f"{minutes}: {name}, over the real one's", ratio, {"between": (0.7, 1.3)})
        for name, ratio in free["ratio"].items()
        if name.endswith(("share that moves", " a minute")) and free["real"][name]
    ]


def _bar(what: str, value: float | None, bar: Mapping[str, Any]) -> dict[str, Any]:
    passes, asked = None, ""
    if "at_least" in bar:
        asked = f">= {bar['at_least']:g}"
        passes = None if value is None else value >= bar["at_least"]
    elif "below" in bar:
        asked = f"< {bar['below']:g}"
        passes = None if value is None else value < bar["below"]
    elif "between" in bar:
        low, high = bar["between"]
        asked = f"{low:g} to {high:g}"
        passes = None if value is None else low <= value <= high
    return {"what": what, "value": value, "asked": asked, "passes": passes}


# ---- what is printed ---------------------------------------------------------------------------------------


def report(figures: Mapping[str, Any]) -> None:
    """Tables of everything, the bars last."""
    columns = ("model", "copy", "ceiling", "shuffled")
    rows = [
        [stream, f"{row['seconds']:g}", *(row.get(c) for c in columns)]
        for stream, horizons in figures["rollouts"]["by_horizon"].items()
        for row in horizons
    ]
    show("Errors under the same actions", ["stream", "seconds", *columns], rows)
    for key in ("outcomes", "actions_matter"):
        show(key.replace("_", " "), ["", ""], [[n, v] for n, v in figures["rollouts"][key].items()])
    for part in ("sound", "things", "amounts", "judged", "counterfactual", "long", "cost"):
        if figures.get(part):
            show(part, ["", ""], flat(figures[part]))
    if "free" in figures:
        free = figures["free"]
        minutes = free["by_minute"]
        rows = [[n, v, *(m.get(n) for m in minutes)] for n, v in free["real"].items()]
        heads = ["", "real", *(f"{k + 1} min" for k in range(len(minutes)))]
        show(f"Left alone, acting: {free['act']}", heads, rows)
    verdict = {True: "pass", False: "MISS", None: "-"}
    rows = [[b["what"], b["value"], b["asked"], verdict[b["passes"]]] for b in figures["bars"]]
    show("Bars", ["", "measured", "asked", ""], rows)


def flat(values: Any, before: str = "") -> Sequence[list[Any]]:
    """Nested figures as rows; a share stays one, and rows by horizon become one row."""
    if isinstance(values, Mapping) and "share" not in values:
        return [row for key, value in values.items() for row in flat(value, f"{before}  {key}".strip())]
    if isinstance(values, list):
        cells = [
            " ".join(f"{k} {number(v)}" for k, v in item.items()) if isinstance(item, dict) else number(item)
            for item in values
        ]
        return [[before, "; ".join(cells)]]
    return [[before, values]]


if __name__ == "__main__":
    main(tyro.cli(Settings))
