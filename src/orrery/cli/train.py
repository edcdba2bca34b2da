"""`orrery train`: from a data set, or straight from a source, to a world that is stepped."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from orrery.atomic import write_atomically
from orrery.cli.console import needs
from orrery.errors import BadUse, UserError

if TYPE_CHECKING:
    from orrery.data.dataset import Dataset
    from orrery.data.record.source import Request
    from orrery.inspect.live_page import LivePage
    from orrery.training.recipe import Recipe

__all__ = ["train"]

RECORDING_SHARE = 0.15
"""Of the minutes, for recording, where a source is given instead of a data set."""
FIRST_EPISODES = 16
MOST_EPISODES = 512
EPISODE_SECONDS = 30.0
NUM_WINDOWS = 16
WINDOW_SECONDS = 5.0


def train(
    source: tyro.conf.Positional[str],
    out: Path,
    minutes: float = 30.0,
    steps: int | None = None,
    episodes: int | None = None,
    seconds: float = EPISODE_SECONDS,
    policy: str | None = None,
    streams: tuple[str, ...] = (),
    image_size: int | None = None,
    sampling_steps: int = 1,
    seed: int = 0,
    processes: int = 1,
    device: str = "cpu",
    restart: bool = False,
    more_data: Path | None = None,
) -> int:
    """Train a world on a data set, or on any source, which is recorded first.

    The run's folder holds everything: run the same command again to go on after a stop. OUT/page.html says
    how far it is. At its end stand OUT/checkpoint, which other commands take as a model, and on the page
    losses, films beside real ones, and what was measured.

    Args:
        source: a data set's folder, or a source as in `orrery collect`: gym:CartPole-v1, clips:FOLDER, a
            world.
        out: the run's folder.
        minutes: how long to take in all, on this machine; recording takes a seventh of it.
        steps: instead of minutes, how many steps each stage takes.
        episodes: how many to record, of a source; as many as fit, if left out.
        seconds: the longest episode, of a source.
        policy: who acts while it is recorded, as in `orrery collect`.
        streams: what is to be learned beside actions; everything, if left out.
        image_size: longest side of the pictures that are learned, in pixels.
        sampling_steps: in how many each tick is drawn: 1 where one thing follows from another, 4 to 8 where
            much comes into sight that nobody saw, such as a road.
        seed: of the recording, of the weights and of the order of the data.
        processes: how many train together, one to a CPU core or to a CUDA device.
        device: what they train on: cpu, cuda or cuda:0.
        restart: lose the run that is there.
        more_data: another data set of the same world, from which numbers and sentences are learned too. It
            may lack streams: scenes without pictures are quickly recorded, and hold as many sentences.
    """
    _check(minutes, seconds, steps=steps, episodes=episodes, seed=seed, processes=processes,
           sampling_steps=sampling_steps)  # fmt: skip
    with needs("train", "training"):
        from orrery.data.dataset import Dataset
        from orrery.data.record.source import Request
        from orrery.inspect.live_page import LivePage
        from orrery.training import parallel
        from orrery.training.recipe import sized_recipe
        from orrery.training.run import RunFolder, refuse_foreign
        from orrery.training.train import train as run

    started = time.monotonic()
    page = LivePage(out)

    def prepared() -> tuple[Dataset, Dataset | None, Recipe]:
        """The data, recorded first where they are a source, and the recipe that fits them."""
        folder = Path(source)
        if not folder.is_dir() and (out / "run.json").exists() and not restart:
            folder = out / "data"  # what was recorded is what the run is learning from
        elif not folder.is_dir():
            request = Request(seed, seconds, image_size=image_size or 96, policy=policy)
            folder = _recorded(source, out, request, minutes, episodes, page, restart)
        data, more = Dataset(folder), None if more_data is None else Dataset(more_data)
        left = max(0.05, minutes - (time.monotonic() - started) / 60)
        kept = _kept_minutes(out, minutes, left, restart)
        return data, more, sized_recipe(data.spec, kept, steps, streams or None, image_size, sampling_steps)

    parallel.check_device(device, processes)
    refuse_foreign(RunFolder(out))
    with parallel.joined():
        data, more, recipe = parallel.from_rank_zero(prepared)
        page.budgets = recipe.budgets
        parallel.together(processes, run, data, recipe, out, seed, restart, device, page, more)
        if parallel.rank() == 0:
            _evaluate(data, more, recipe, out)
    return 0


def _check(minutes: float, seconds: float, **whole: int | None) -> None:
    if not 0 < minutes < 1e6:
        raise BadUse(f"--minutes {minutes:g}: must be above 0")
    for name, value in whole.items():
        least = 0 if name == "seed" else 1
        if value is not None and value < least:
            raise BadUse(f"--{name.replace('_', '-')} {value}: must be {least} or above")
    if not seconds > 0:
        raise BadUse(f"--seconds {seconds:g}: must be above 0")


def _kept_minutes(out: Path, minutes: float, left: float, restart: bool) -> float:
    """The minutes that a run trains for: those left after recording, or those that it was begun with."""
    file = out / "minutes.json"
    if file.exists() and (out / "run.json").exists() and not restart:
        begun = json.loads(file.read_text())
        if begun["asked"] != minutes:
            print(
                f"{out} goes on with the {begun['asked']:g} minutes it was begun with; --restart takes others"
            )
        return begun["left"]
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps({"asked": minutes, "left": left}).encode())
    return left


def _recorded(
    source: str,
    out: Path,
    request: Request,
    minutes: float,
    episodes: int | None,
    page: LivePage,
    restart: bool,
) -> Path:
    """Record `source` into the run's folder; more and more episodes while there is time for it.

    What another start recorded there from another source is lost with `restart`; else UserError.
    """
    from orrery.data.record.collect import OtherCollection, collect
    from orrery.data.record.sources import SOURCES

    if ":" not in source and os.sep in source and source.partition(":")[0] not in SOURCES:
        raise UserError(f"there is no data set {source}; name a folder, or a source such as gym:CartPole-v1")
    folder = out / "data"
    wanted = episodes or FIRST_EPISODES
    deadline = time.monotonic() + 60 * RECORDING_SHARE * minutes
    while True:
        try:
            report = collect(
                source,
                folder,
                wanted,
                request.seed,
                seconds=request.seconds,
                image_size=request.image_size,
                policy=request.policy,
                on_step=lambda done, total: page(f"recording {total} episodes", done / max(1, total)),
            )
        except OtherCollection as problem:
            if not restart:
                raise OtherCollection(f"{problem}, or lose it with --restart") from problem
            shutil.rmtree(folder)
            continue
        for name, reason in report.skipped.items():
            print(f"left out {name}: {reason}")
        for what, words in report.notes.items():
            print(f"{what}: {words}")
        for number, reason in report.dropped.items():
            print(f"episode {number} failed and is left out: {reason}")
        if report.stopped:
            raise KeyboardInterrupt
        enough = report.num_wanted < wanted or wanted >= MOST_EPISODES or time.monotonic() > deadline
        if episodes is not None or enough:
            return folder
        wanted *= 2


def _evaluate(data: Dataset, more: Dataset | None, recipe: Recipe, out: Path) -> None:
    """Rollouts of held-out episodes, the run's page, and the card of its checkpoint."""
    from orrery.engines.torch_engine import TorchEngine
    from orrery.evaluation.rollout import Windows, measure_rollouts
    from orrery.inference.imagined import ImaginedWorld
    from orrery.inspect.card import write_card
    from orrery.inspect.run_page import figure_rows, write_rollout_film, write_run_page
    from orrery.models.trained import load_trained
    from orrery.training.prepare import Episodes
    from orrery.training.run import RunFolder

    episodes = Episodes.of(data, recipe)
    trained = load_trained(RunFolder(out).checkpoint)
    names = list(trained.spec.streams)
    lengths = {index: data.num_ticks(index) for index in episodes.held_out}
    horizon = round(WINDOW_SECONDS / data.spec.clock.tick_seconds)
    windows = Windows.cut(lengths, names, episodes.load, data.text, NUM_WINDOWS, horizon)
    rollouts = measure_rollouts(ImaginedWorld(TorchEngine(trained), windows.num), windows)
    write_rollout_film(out / "rollouts.mp4", trained.spec, windows, rollouts)
    notes = episodes.notes if more is None else (*episodes.notes, *Episodes.beside(episodes, more).notes)
    page = write_run_page(out, notes, windows, rollouts)
    write_card(RunFolder(out).checkpoint, trained, rollouts)
    for row in figure_rows(rollouts):
        print("  ".join(cell for cell in row if cell))
    print(f"{RunFolder(out).checkpoint}: trained; {page} shows it")
