"""What is trained and how long: a recipe is a complete, plain configuration, sized from the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orrery.errors import BadUse
from orrery.streams import StreamSpec, WorldSpec
from orrery.training.loop import Budget
from orrery.training.picture_loss import PictureLossConfig
from orrery.training.world_loss import OF_NUMBERS, OF_NUMBERS_AND_SOUND, LossConfig

__all__ = ["Recipe", "default_order", "sized_recipe"]

LARGEST_VECTOR = 4096
"""Numbers of a tick beyond which a vector is a picture of something (depth, labels) and is not learned."""
IMAGE_SIZE = 128
STAGE_SHARES: dict[str, dict[str, float]] = {
    "video": {"": 0.10, " decoder": 0.14},
    "audio": {"": 0.08},
}
"""Kind of a stream to the stages that train its tokenizer, by what their names add to the stream's, and the
share of the run that each takes; all streams of a kind share it."""
ABSENT_WHERE_SAMPLED = 0.25
"""Share of the streams that are being imagined which begin from nothing, in worlds of several steps."""
FEW_NUMBERS = 64
"""Numbers of a tick up to which a narrow network learns them, in the same minutes, more exactly."""


@dataclass(frozen=True)
class Recipe:
    """A complete configuration of `train`.

    streams: what is learned. order: groups of streams, imagined one after the other. image_size: longest
    side of pictures in pixels; larger ones are averaged down. budgets: of each stage, by name
    (`video.<camera>`, `video.<camera> decoder`, `audio.<mic>`, `world`). batch, ticks: clips of a step
    with pictures; few_batch, few_ticks: of a step without, and few_share: how many of the steps those
    are, where there are numbers to learn beside pictures. start_share: of the steps, where
    each episode has a sentence of its own, in which clips are the first ticks of start_batch
    episodes alone: in the first tick it is seen what a sentence asks for; in start_absent_share of
    them it is told from nothing but the sentence, and, without pictures, in start_first_share it is the first
    group, which the others follow from. own_from: share of the budget from which on part of the
    context is the model's own, in some steps. held_out: share of the episodes that are kept for evaluation.
    sizes: of the network, see `WorldModelConfig`. loss, few_loss: of steps with pictures and without.
    """

    streams: tuple[str, ...]
    order: tuple[tuple[str, ...], ...]
    budgets: dict[str, Budget]
    image_size: int = IMAGE_SIZE
    batch: int = 4
    ticks: int = 16
    few_batch: int = 8
    few_ticks: int = 16
    few_share: float = 0.0
    start_share: float = 0.5
    start_batch: int = 32
    start_absent_share: float = 0.9
    start_first_share: float = 0.95
    own_from: float = 0.05
    held_out: float = 0.08
    sizes: dict[str, int] = field(default_factory=dict)
    loss: LossConfig = field(default_factory=LossConfig)
    few_loss: LossConfig = field(default_factory=LossConfig)
    pictures: PictureLossConfig = field(default_factory=PictureLossConfig)
    lr_matrix: float = 0.01
    lr_other: float = 1.5e-3

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a checkpoint's provenance."""
        return asdict(self)


def sized_recipe(
    spec: WorldSpec,
    minutes: float | None = None,
    steps: int | None = None,
    streams: Sequence[str] | None = None,
    image_size: int | None = None,
    sampling_steps: int = 1,
) -> Recipe:
    """The recipe that fits any data set: all that can be learned, in the given minutes of wall clock or in
    `steps` optimizer steps a stage.

    streams: only these, beside actions. image_size: longest side of pictures. sampling_steps: of a tick; in
    one it is the mean of all that may come, which is exact where one thing will; where much that nobody saw
    comes into sight, it takes several to draw one of them.
    """
    unknown = [name for name in streams or () if name not in spec.streams]
    if unknown:
        raise BadUse(f"the data set has no stream {', '.join(unknown)}; it has {', '.join(spec.streams)}")
    learned = [s for s in spec.streams.values() if _can_be_learned(s)]
    if streams is not None:
        learned = [s for s in learned if s.name in streams or s.role == "given"]
    videos = [s for s in learned if s.kind == "video"]
    audios = [s for s in learned if s.kind == "audio"]
    few = [s for s in learned if s.kind not in ("video", "audio") and s.role == "observed"]
    shares: dict[str, float] = {}
    for kind, stages in STAGE_SHARES.items():
        of_kind = [s for s in learned if s.kind == kind]
        shares |= {
            f"{s.name}{stage}": share / len(of_kind) for s in of_kind for stage, share in stages.items()
        }
    shares["world"] = 1.0 - sum(shares.values())
    budgets = {
        name: Budget(steps=steps) if steps is not None else Budget(minutes=share * (minutes or 30.0))
        for name, share in shares.items()
    }
    few_share = 0.6 if videos and few else 0.0 if videos else 1.0
    recipe = Recipe(
        tuple(s.name for s in learned),
        default_order(learned),
        budgets,
        image_size or IMAGE_SIZE,
        few_share=few_share,
        few_loss=OF_NUMBERS_AND_SOUND if audios else OF_NUMBERS,
        sizes={"window_ticks": Recipe.ticks},  # beyond the longest that was trained, attention is by chance
    )
    recipe = recipe if videos or audios else _for_numbers(recipe, learned)
    return recipe if sampling_steps == 1 else _sampled(recipe, sampling_steps)


def _sampled(recipe: Recipe, steps: int) -> Recipe:
    """The recipe of a world that is sampled: more of it from part of the noise. What was sampled need not
    have been so, and is no context for what was: own predictions of pictures are but one tick deep."""
    loss = replace(recipe.loss, absent_share=ABSENT_WHERE_SAMPLED, own_depth=1)
    return replace(recipe, loss=loss, sizes={**recipe.sizes, "sampling_steps": steps})


def _for_numbers(recipe: Recipe, streams: Sequence[StreamSpec]) -> Recipe:
    """The recipe of a world without pictures and sound: many steps of few clips, half of whose ticks have
    all of the window behind them that every tick of a long rollout has; a loss that lets what is predictable
    be predicted exactly; and a narrow network where a tick is but a few numbers."""
    few = sum(s.num_choices or math.prod(s.shape) for s in streams) <= FEW_NUMBERS
    sizes = {"window_ticks": 12}
    recipe = replace(recipe, few_batch=12, few_ticks=24, sizes=sizes)
    return replace(recipe, sizes={**sizes, "few_width": 64}, lr_other=3e-3) if few else recipe


def default_order(streams: Sequence[StreamSpec]) -> tuple[tuple[str, ...], ...]:
    """What is given; then numbers, and where they lie in pictures; pictures; sound (before the pictures where
    there are numbers to make it); and what comes of it all."""

    observed = [s for s in streams if s.role == "observed"]
    given = tuple(s.name for s in streams if s.role == "given" and s.kind != "text")
    numbers = tuple(s.name for s in observed if s.is_numbers and not s.located_in)
    located = tuple(s.name for s in observed if s.is_numbers and s.located_in)
    sound, pictures = (tuple(s.name for s in observed if s.kind == kind) for kind in ("audio", "video"))
    outcomes = tuple(s.name for s in streams if s.role == "outcome")
    middle = (sound, pictures) if numbers else (pictures, sound)
    return tuple(group for group in (given, numbers, located, *middle, outcomes) if group)


def _can_be_learned(stream: StreamSpec) -> bool:
    size = 1
    for axis in stream.shape:
        size *= axis
    return stream.kind != "vector" or size <= LARGEST_VECTOR
