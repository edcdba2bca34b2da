"""How a model's parts are sized from a recipe and a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from orrery.models.transformer import StreamShape, TransformerConfig
from orrery.streams import Array, WorldSpec
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.text import WordTokenizer
from orrery.tokenizers.vector import VectorCodec
from orrery.worlds.laboratory.scene import LAB_STATE
from orrery.worlds.phyworld.world import LAYOUT
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.lexicon import vocabulary

__all__ = ["ModelSize", "fit_codecs", "transformer_config", "word_tokenizer"]

EXPERTS = {
    "action": "control", "camera.main": "control", "state": "state", "touch.finger": "sound",
    "audio.main": "sound", "video.main": "video",
}  # fmt: skip
"""Stream to the feed-forward that it uses."""


@dataclass(frozen=True)
class ModelSize:
    """Width, depth and the experts' gated units of a transformer, and how far its queries look back.

    window_ticks, video_window_ticks: a clip of T ticks teaches a window of at most T - 2, for its first tick
    is seen from everywhere and the last is the query's own.
    """

    width: int = 192
    num_heads: int = 4
    num_layers: int = 6
    hidden_text: int = 256
    hidden_control: int = 128
    hidden_state: int = 512
    hidden_sound: int = 256
    hidden_video: int = 512
    window_ticks: int = 10
    video_window_ticks: int = 2


def word_tokenizer() -> WordTokenizer:
    """The tokenizer of the tabletop's sentences."""
    return WordTokenizer(vocabulary(), max_words=44)


def fit_codecs(spec: WorldSpec, states: Array, cameras: Array) -> Codecs:
    """Codecs with scales from data.

    states: `[episodes, ticks, frames, K, D]`. cameras: `[episodes, ticks, 8]`.
    """
    frames, num_slots, width = spec.streams["state"].shape
    layout = next(layout for layout in (STATE, LAB_STATE, LAYOUT) if layout.width == width)
    codec = StateCodec(num_slots, frames, layout=layout, frame_seconds=1.0 / spec.clock.frames_per_second)
    state = codec.fit(torch.from_numpy(np.array(states[:1000])))
    mean, deviation = cameras.mean((0, 1)), cameras.std((0, 1))
    pose = VectorCodec((8,), tuple(map(float, mean)), tuple(float(max(d, 0.05)) for d in deviation))
    vectors = {"camera.main": pose, "action": VectorCodec(spec.streams["action"].shape, scale=(0.4,))}
    if "touch.finger" in spec.streams:
        touch = spec.streams["touch.finger"]
        vectors["touch.finger"] = VectorCodec(touch.shape, scale=(0.05,), squash=True)
    return Codecs(state, vectors)


def transformer_config(
    size: ModelSize, spec: WorldSpec, codecs: Codecs, audio: tuple[int, int], video: tuple[int, int]
) -> TransformerConfig:
    """Configuration for a world's streams: those of `spec`, and no others. audio, video: (tokens a tick,
    numbers a token), of a world that has them."""
    vectors, state = codecs.vectors, codecs.state
    near, far = size.video_window_ticks, size.window_ticks
    widths = {name: (1, codec.width) for name, codec in vectors.items()}
    widths |= {"state": (state.num_slots, state.width), "audio.main": audio, "video.main": video}
    told = {
        "state": state.feature_width, "touch.finger": state.feeling_width, "video.main": state.sight_width
    }  # fmt: skip
    streams = {
        name: StreamShape(
            *widths[name], expert, told.get(name, 0), window=near if name == "video.main" else far
        )
        for name, expert in EXPERTS.items()
        if name in spec.streams
    }
    units = {
        "text": size.hidden_text, "control": size.hidden_control, "state": size.hidden_state,
        "sound": size.hidden_sound, "video": size.hidden_video,
    }  # fmt: skip
    used = {"text", *(shape.expert for shape in streams.values())}
    hidden = {name: units[name] for name in units if name in used}
    tokenizer = word_tokenizer()
    return TransformerConfig(
        streams, hidden, tokenizer.num_tokens, tokenizer.max_words, size.width, size.num_heads,
        size.num_layers, spec.clock.tick_seconds,
    )  # fmt: skip
