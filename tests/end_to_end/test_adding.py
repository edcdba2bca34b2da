"""A modality is one spec and one tokenizer, a world one folder, a recipe one function: each is added here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from turntable import make_compass, make_world

from orrery.cli import main
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.inference.imagined import ImaginedWorld, load_world
from orrery.models.tokenizers import TOKENIZERS, Memory, Tokenizer, register
from orrery.models.trained import load_trained
from orrery.streams import KINDS, StreamSpec, WorldSpec
from orrery.training.loop import Budget
from orrery.training.recipe import Recipe, default_order, sized_recipe
from orrery.training.train import train
from orrery.worlds import WORLDS


class AngleTokenizer(Tokenizer):
    """An angle as its cosine and sine: half a turn to the left is half a turn to the right."""

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__(spec)
        self._set_sizes(tokens=1, width=2)

    def config(self) -> dict[str, Any]:
        """See `Tokenizer`."""
        return {}

    def encode(self, ticks: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`."""
        return torch.stack([ticks.cos(), ticks.sin()], -1), {}

    def decode(self, latents: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """See `Tokenizer`."""
        return torch.atan2(latents[..., 1], latents[..., 0]), {}


@pytest.fixture
def angles() -> Iterator[None]:
    """A modality is added by one line."""
    register("angle", AngleTokenizer)
    yield
    KINDS.remove("angle")
    del TOKENIZERS["angle"]


def headings(checkpoint: Path) -> np.ndarray:
    """What two imagined turntables show while they are turned for three ticks, each tick checked."""
    world: ImaginedWorld = load_world(checkpoint, 2)
    ticks = [world.reset(seed=0)]
    ticks += [world.step(np.ones((2, 1), np.float32)) for _ in range(3)]
    for tick in ticks:
        world.spec.streams["heading"].check(tick["heading"])
    return np.stack([tick["heading"] for tick in ticks], 1)


def test_a_modality_is_one_spec_and_one_tokenizer(angles: None, tmp_path: Path) -> None:
    collect(make_compass, tmp_path / "data", 3, seconds=2.0, progress=False)
    data = Dataset(tmp_path / "data")
    assert data.spec.streams["heading"].kind == "angle"
    checkpoint = train(data, sized_recipe(data.spec, steps=3), tmp_path / "run")
    trained = load_trained(checkpoint)
    assert type(trained.tokenizers["heading"]) is AngleTokenizer
    assert trained.model.config.order == (("action",), ("heading",)), "it is imagined, after what is given"
    assert "heading" in trained.provenance["losses"], "it was learned"
    made = headings(checkpoint)
    assert made.shape == (2, 4, 1)
    assert np.abs(made).max() <= math.pi


def test_a_kind_that_was_not_added_is_refused() -> None:
    with pytest.raises(ValueError, match="a stream's kind is one of video, audio"):
        StreamSpec("heading", "angle", "observed", (1,), "float32")


def test_a_world_is_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And one line in the table of worlds: then it is recorded, trained, measured and told by its name."""
    monkeypatch.setitem(WORLDS, "turntable", "turntable:make_world")
    options = ["--episodes", "3", "--seconds", "2", "--steps", "2"]
    assert main(["train", "turntable", "--out", str(tmp_path / "run"), *options]) == 0
    assert "A learned world of turntable" in (tmp_path / "run/checkpoint/card.md").read_text()
    assert headings(tmp_path / "run/checkpoint").shape == (2, 4, 1)


def narrow_recipe(spec: WorldSpec) -> Recipe:
    """A recipe of one's own: a small network that looks back four ticks, for three steps."""
    return Recipe(
        streams=tuple(spec.streams),
        order=default_order(list(spec.streams.values())),
        budgets={"world": Budget(steps=3)},
        few_share=1.0,
        few_batch=2,
        few_ticks=6,
        sizes={"window_ticks": 4, "few_width": 32, "few_layers": 1},
    )


def test_a_recipe_is_one_function(tmp_path: Path) -> None:
    collect(make_world, tmp_path / "data", 3, seconds=2.0, progress=False)
    data = Dataset(tmp_path / "data")
    checkpoint = train(data, narrow_recipe(data.spec), tmp_path / "run")
    trained = load_trained(checkpoint)
    assert trained.model.config.few_width == 32
    assert trained.provenance["recipe"]["few_ticks"] == 6
    assert headings(checkpoint).shape == (2, 4, 1)
