"""A second data set of the same world, which may lack streams: what is learned of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import UserError
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokens import StreamTokens, WorldModelConfig
from orrery.models.trained import load_trained
from orrery.models.world_model import WorldModel
from orrery.streams import Clock, WorldSpec
from orrery.training import train as training
from orrery.training.encoded import Clip, EncodedEpisodes
from orrery.training.loop import Budget, StepContext
from orrery.training.prepare import TEXT, Episodes, fitted_tokenizers
from orrery.training.recipe import Recipe, sized_recipe

SCENES = ("state", "action", "camera.main")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    collect("tabletop", folder, 3, seconds=0.5, image_size=16, progress=False)
    return Dataset(folder)


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two ticks of a dozen scenes, without pictures and sound."""
    folder = tmp_path_factory.mktemp("more")
    collect("tabletop", folder, 12, seed=7, seconds=0.1, streams=SCENES, progress=False)
    return Dataset(folder)


@pytest.fixture(scope="module")
def recipe(data: Dataset) -> Recipe:
    return sized_recipe(data.spec, steps=2)


def test_all_its_episodes_are_learned_from_and_none_is_held_out(
    data: Dataset, more: Dataset, recipe: Recipe
) -> None:
    beside = Episodes.beside(Episodes.of(data, recipe), more)
    assert len(beside.training) == 12
    assert beside.held_out == ()
    assert set(beside.spec.streams) == set(SCENES)


def test_its_words_are_known(data: Dataset, more: Dataset, recipe: Recipe) -> None:
    episodes = Episodes.of(data, recipe)
    alone, both = (
        fitted_tokenizers(episodes, beside)[TEXT] for beside in (None, Episodes.beside(episodes, more))
    )
    assert isinstance(alone, TextTokenizer)
    assert isinstance(both, TextTokenizer)
    assert set(alone.vocabulary) < set(both.vocabulary)
    for index in more.readable:
        both.numbers(more.text(index))


def test_pictures_are_learned_of_the_first_alone_and_that_is_told(data: Dataset, recipe: Recipe) -> None:
    beside = Episodes.beside(Episodes.of(data, recipe), data)
    assert not any(s.kind == "video" for s in beside.spec.streams.values())
    (note,) = beside.notes
    assert note == f"{data.path}: not learned: video.main"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda spec: WorldSpec(Clock(12), spec.streams), "not one world's"),
        (
            lambda spec: WorldSpec(
                spec.clock, {**spec.streams, "state": replace(spec.streams["state"], unit="furlong")}
            ),
            "state .* not one world's",
        ),
        (lambda spec: spec.only(["action"]), "nothing to learn"),
    ],
)
def test_what_is_of_another_world_is_refused(
    data: Dataset, more: Dataset, recipe: Recipe, change: Callable[[WorldSpec], WorldSpec], why: str
) -> None:
    other = Dataset(more.path)
    other.spec = change(other.spec)
    with pytest.raises(UserError, match=why):
        Episodes.beside(Episodes.of(data, recipe), other)


def numbered(value: float, episodes: int, ticks: int, pictures: bool) -> EncodedEpisodes:
    """Episodes with a sentence each, whose state is `value` throughout."""
    total = episodes * ticks
    latents = {"state": np.full((total, 1, 2), value, np.float32)}
    if pictures:
        latents["video.main"] = np.zeros((total, 4, 2), np.float32)
    latents[TEXT] = np.arange(episodes, dtype=np.float32)[:, None, None]
    return EncodedEpisodes(latents, np.full(episodes, ticks), 0.1, (TEXT,))


STREAMS = (
    StreamTokens("state", 1, 2),
    StreamTokens("video.main", 4, 2, grid=(2, 2)),
    StreamTokens(TEXT, 1, 1, given=True, text=True),
)


def test_steps_without_pictures_learn_from_both_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred episodes of ten ticks, and three hundred of two without pictures: of the steps without, three
    quarters of those of first ticks are the second's, and six sixteenths of the others."""
    seen: list[Clip] = []
    monkeypatch.setattr(training, "world_loss", lambda _, clip, *others: seen.append(clip) or {})
    order = (("state",), ("video.main",))
    sizes = {"few_width": 16, "few_layers": 1, "head_layers": 1, "grid_width": 16, "grid_head_width": 16}
    model = WorldModel(WorldModelConfig(STREAMS, order, 0.1, **sizes))
    recipe = Recipe((), order, {"world": Budget(steps=1)}, few_share=0.7, few_batch=2, few_ticks=8)
    stage = training.world_stage(model, numbered(1, 100, 10, True), recipe, numbered(2, 300, 2, False))
    for step in range(2000):
        shared, own = np.random.default_rng(step), np.random.default_rng([step, 1])
        stage.losses(StepContext(step, 0.0, shared, own, torch.Generator()))
    of_second: dict[str, list[bool]] = {"pictures": [], "starts": [], "clips": []}
    for clip in seen:
        starts = len(clip.valid) == recipe.start_batch
        kind = "pictures" if "video.main" in clip.latents else "starts" if starts else "clips"
        of_second[kind].append(bool((clip.latents["state"] == 2).all()))
        assert kind != "clips" or clip.targets.numel() == 16  # shorter clips, and more of them
    assert not any(of_second["pictures"])
    assert np.mean(of_second["starts"]) == pytest.approx(300 / 400, abs=0.05)
    assert np.mean(of_second["clips"]) == pytest.approx(600 / 1600, abs=0.06)


def test_a_run_keeps_which_it_learned_from_and_goes_on_with_no_other(
    data: Dataset, more: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(data.path), "--out", str(tmp_path), "--steps", "2", "--streams", "state"]
    beside = ["--more-data", str(more.path)]
    assert main([*command, *beside]) == 0
    kept = load_trained(tmp_path / "checkpoint").provenance["more_data"]
    assert "also from 12 others (world tabletop, seed 7" in (tmp_path / "checkpoint/card.md").read_text()
    assert (kept["episodes"], kept["ticks"], kept["collect"]["seed"]) == (12, 24, 7)
    assert main([*command, *beside]) == 0
    assert f"{more.path}: not learned: camera.main" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main(command) == 1
    assert "other more data" in capsys.readouterr().err
