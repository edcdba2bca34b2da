"""A trained world on disk: the model, its tokenizers, and starts, in a folder (`checkpoint.py`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from orrery.checkpoint import checkpoint_hash, load_checkpoint, require, save_checkpoint
from orrery.errors import UserError
from orrery.models.packed import half, pack, unpack
from orrery.models.tokenizers import TOKENIZERS, Tokenizer
from orrery.models.tokens import WorldModelConfig
from orrery.models.world_model import WorldModel
from orrery.streams import StreamSpec, WorldSpec

__all__ = ["KIND", "TrainedWorld", "is_trained", "load_trained", "save_world"]

KIND = "world"
"""What `config.json` says a checkpoint of this form is."""


@dataclass(frozen=True)
class TrainedWorld:
    """Everything that is needed to imagine.

    starts: latents of the first ticks of some episodes, by stream, `[N, ticks, tokens, width]`. provenance:
    how it was made, plain JSON values. hash: of the checkpoint it was read from; empty before.
    """

    spec: WorldSpec
    tokenizers: dict[str, Tokenizer]
    model: WorldModel
    starts: dict[str, Tensor]
    provenance: dict[str, Any]
    hash: str = ""


def save_world(folder: Path, world: TrainedWorld, card: str | None = None) -> Path:
    """Write a checkpoint; see `save_checkpoint`. Networks of pictures or sound take a byte a weight, others
    half precision: numbers are predicted far more exactly than a picture is."""
    config = {
        "kind": KIND,
        "spec": world.spec.to_json(),
        "tokenizers": {
            name: {"spec": _spec_json(t.spec), "config": t.config()} for name, t in world.tokenizers.items()
        },
        "model": world.model.config.to_json(),
        "provenance": world.provenance,
    }
    coarse = any(tokenizer.learned for tokenizer in world.tokenizers.values())
    tensors = {
        "world": pack(world.model.state_dict()) if coarse else half(world.model.state_dict()),
        "starts": half(world.starts),
    }
    for name, tokenizer in world.tokenizers.items():
        values = tokenizer.state_dict()
        tensors[name] = pack(values) if tokenizer.learned else values
    return save_checkpoint(
        folder, json.loads(json.dumps(config)), tensors, {"card.md": card} if card else None
    )


def is_trained(config: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's config is that of a `TrainedWorld`, and not of the tabletop's first model."""
    return "tokenizers" in config


def load_trained(folder: str | Path) -> TrainedWorld:
    """Read a checkpoint. UserError for one that is damaged, or of another kind or version."""
    checkpoint = load_checkpoint(folder, KIND)
    try:
        spec = WorldSpec.from_json(checkpoint.config["spec"])
        model = WorldModel(WorldModelConfig.from_json(checkpoint.config["model"]))
        tokenizers: dict[str, Tokenizer] = {}
        for name, entry in checkpoint.config["tokenizers"].items():
            stream = StreamSpec.from_json(entry["spec"])
            tokenizers[name] = TOKENIZERS[stream.kind].from_config(stream, entry["config"])
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: its config is of another version or was edited ({error})") from error
    for name, module in {"world": model, **tokenizers}.items():
        try:
            values = unpack(checkpoint.tensors[name])
        except RuntimeError as error:
            problem = f"its scales do not fit ({error}); was it edited?"
            raise UserError(f"{folder}/{name}.safetensors: {problem}") from error
        require(values, module.state_dict(), f"{folder}/{name}.safetensors")
        module.load_state_dict(values)
        module.eval().requires_grad_(False)
    starts = {name: value.float() for name, value in checkpoint.tensors["starts"].items()}
    return TrainedWorld(
        spec, tokenizers, model, starts, checkpoint.config["provenance"], checkpoint_hash(folder)
    )


def _spec_json(spec: StreamSpec) -> dict[str, Any]:
    return {**vars(spec), "shape": list(spec.shape)}
