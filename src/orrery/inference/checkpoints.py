"""A whole model on disk: transformer, tokenizers and codecs as one checkpoint of kind `world`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orrery.checkpoint import Checkpoint, checkpoint_hash, load_checkpoint, require, save_checkpoint
from orrery.errors import BadUse, UserError
from orrery.models.trained import is_trained
from orrery.models.transformer import TransformerConfig, WorldTransformer
from orrery.streams import WorldSpec
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.text import WordTokenizer
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.language import parse

__all__ = ["Sampling", "WorldModel", "load_model", "save_model"]


@dataclass(frozen=True)
class Sampling:
    """Steps of the sampler: for the first tick's state, for later states, for sound with touch, for video.

    remember_video: whether imagined pictures are context for later ones. Without it, pictures are drawn from
    the state alone, so that their errors cannot feed on themselves, and cost one pass a tick. perceived: of
    how many first ticks, whose pictures are given, the state is read off them (as many as perception was
    trained on); in later ones it is imagined. Where a tick is one frame, one shows no velocity.
    """

    first: int = 16
    state: int = 3
    sound: int = 2
    video: int = 1
    remember_video: bool = False
    perceived: int = 1


@dataclass
class WorldModel:
    """Everything that generation needs. audio: None in a world without sound. provenance: how it was made,
    plain values."""

    spec: WorldSpec
    transformer: WorldTransformer
    codecs: Codecs
    words: WordTokenizer
    video: VideoTokenizer
    audio: AudioTokenizer | None
    sampling: Sampling
    provenance: dict[str, Any]
    hash: str = ""

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks, by the names of their weights' files."""
        parts: dict[str, nn.Module] = {"transformer": self.transformer, "video": self.video}
        return parts if self.audio is None else parts | {"audio": self.audio}

    def check_sentence(self, sentence: str) -> None:
        """Raise UserError for a sentence that this model cannot follow: one with words or a meaning that our
        language has not, or any, where the model's world is not one of which our language tells."""
        if self.codecs.state.layout != STATE:
            kinds = " and ".join(f"{shape}s" for shape in self.codecs.state.layout.shapes)
            raise UserError(
                f"this model has learned a world of {kinds} from pictures, without sentences; give it its "
                "first pictures instead (ImaginedWorld.reset(given=...)), or choose another --model"
            )
        parse(sentence)


def save_model(model: WorldModel, folder: str | Path, card: str = "") -> Path:
    """Write `model` as a checkpoint; weights at half precision. card: Markdown, kept beside the weights."""
    config = {
        "kind": "world",
        "spec": model.spec.to_json(),
        "transformer": model.transformer.config.to_json(),
        "codecs": model.codecs.to_json(),
        "words": model.words.to_json(),
        "video": asdict(model.video.config),
        "audio": None if model.audio is None else asdict(model.audio.config),
        "sampling": asdict(model.sampling),
        "provenance": model.provenance,
    }
    tensors = {name: _half(part) for name, part in model.parts.items()}
    return save_checkpoint(folder, config, tensors, {"card.md": card} if card else None)


def load_model(folder: str | Path) -> WorldModel:
    """Read a checkpoint that `save_model` wrote. Raises UserError that names what is wrong with it."""
    checkpoint = load_checkpoint(folder, kind="world")
    if is_trained(checkpoint.config):
        raise UserError(
            f"{folder}: a world that `orrery train` learned: open it with `orrery play`, or step it with "
            'gymnasium.make("orrery/imagined", checkpoint=…); only the tabletop model makes films so far'
        )
    config = checkpoint.config
    try:
        model = WorldModel(
            spec=WorldSpec.from_json(config["spec"]),
            transformer=WorldTransformer(TransformerConfig.from_json(config["transformer"])),
            codecs=Codecs.from_json(config["codecs"]),
            words=WordTokenizer.from_json(config["words"]),
            video=VideoTokenizer(VideoTokenizerConfig.from_json(config["video"])),
            audio=_audio(config["audio"]),
            sampling=Sampling(**config["sampling"]),
            provenance=config["provenance"],
            hash=checkpoint_hash(folder),
        )
        _check_fit(model)
    except (
        ArithmeticError,
        AttributeError,
        BadUse,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UserError(f"{folder}/config.json does not describe a world model ({problem})") from error
    for name, part in model.parts.items():
        _fill(part, name, checkpoint)
    return model


def _audio(values: Mapping[str, Any] | None) -> AudioTokenizer | None:
    return None if values is None else AudioTokenizer(AudioTokenizerConfig(**values))


def _check_fit(model: WorldModel) -> None:
    """Raise ValueError where the parts' sizes contradict each other."""
    codecs, frames = model.codecs, model.spec.clock.frames_per_tick
    video = model.video.config
    widths = {name: (1, codec.width) for name, codec in codecs.vectors.items()}
    widths["state"] = (codecs.state.num_slots, codecs.state.width)
    widths["video.main"] = (video.latent_grid**2, frames * video.latent_channels)
    if model.audio is not None:
        widths["audio.main"] = (model.audio.config.tokens_per_tick, model.audio.config.latent_width)
    if video.sight_grid is not None and video.sight_width != codecs.state.look_width:
        told = codecs.state.look_width
        raise ValueError(f"video: its decoder takes {video.sight_width} numbers a cell of the {told} told")
    shapes = model.transformer.config.streams
    seen = {
        "state": codecs.state.feature_width,
        "touch.finger": codecs.state.feeling_width,
        "video.main": codecs.state.sight_width,
    }
    for name in {*model.spec.streams, *shapes}:
        shape = shapes[name]
        found = (shape.num_tokens, shape.width, shape.feature_width)
        wanted = (*widths[name], seen.get(name, 0))
        if found != wanted:
            raise ValueError(f"{name}: {found} tokens, numbers and features where {wanted} are needed")


def _fill(part: nn.Module, name: str, checkpoint: Checkpoint) -> None:
    tensors: Mapping[str, torch.Tensor] = checkpoint.tensors[name]
    expected = part.state_dict()
    require(tensors, expected, checkpoint.folder / f"{name}.safetensors")
    part.load_state_dict({key: value.to(expected[key].dtype) for key, value in tensors.items()})
    part.eval().requires_grad_(False)


def _half(part: nn.Module) -> dict[str, torch.Tensor]:
    """Weights at half precision; numbers that are not weights (buffers) as they are."""
    buffers = dict(part.named_buffers())
    state = part.state_dict()
    return {name: value if name in buffers else value.half() for name, value in state.items()}
