"""A model of the tabletop's streams that has learned nothing: every part, small, with random weights."""

from __future__ import annotations

import torch

from orrery.inference.checkpoints import Sampling, WorldModel
from orrery.models.transformer import StreamShape, TransformerConfig, WorldTransformer
from orrery.streams import Clock, StreamSpec, WorldSpec
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.codecs import Codecs
from orrery.tokenizers.state import StateCodec
from orrery.tokenizers.text import WordTokenizer
from orrery.tokenizers.vector import VectorCodec
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.worlds.rigid_bodies.state import STATE
from orrery.worlds.tabletop.lexicon import vocabulary

__all__ = ["untrained_model"]

WIDTH = 32
NUM_SLOTS = 4


def untrained_model(seed: int = 0) -> WorldModel:
    """Pictures of 32 by 32 pixels; steps enough that each kind of sampling is used."""
    torch.manual_seed(seed)
    clock, frames = Clock(), Clock().frames_per_tick
    sound = (clock.samples_per_tick, 2)
    streams = [
        StreamSpec("video.main", "video", "observed", (frames, 32, 32, 3), "uint8"),
        StreamSpec("audio.main", "audio", "observed", sound, "float32", "full scale", -1.0, 1.0),
        StreamSpec("touch.finger", "vector", "observed", (frames, 4, 4, 3), "float32", "N"),
        StreamSpec("state", "vector", "observed", (frames, NUM_SLOTS, STATE.width), "float32"),
        StreamSpec("camera.main", "vector", "observed", (frames, 8), "float32"),
        StreamSpec("action", "vector", "given", (frames, 3), "float32", "m/s", -0.5, 0.5),
    ]
    codecs = Codecs(
        StateCodec(NUM_SLOTS, frames),
        {
            "camera.main": VectorCodec((8,)),
            "action": VectorCodec((frames, 3), scale=(0.4,)),
            "touch.finger": VectorCodec((frames, 4, 4, 3), squash=True),
        },
    )
    words = WordTokenizer(vocabulary(), max_words=44)
    transformer = WorldTransformer(_sizes(codecs, words))
    for parameter in transformer.leave.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return WorldModel(
        WorldSpec(clock, {stream.name: stream for stream in streams}), transformer, codecs, words,
        VideoTokenizer(VideoTokenizerConfig(32, 4, 4, (8, 16), (1, 1))),
        AudioTokenizer(AudioTokenizerConfig(width=WIDTH, num_encoder_blocks=1, num_decoder_blocks=1)),
        Sampling(2, 1, 1, 2), {"recipe": "none", "seed": seed},
    )  # fmt: skip


def _sizes(codecs: Codecs, words: WordTokenizer) -> TransformerConfig:
    state, vectors = codecs.state, codecs.vectors
    shapes = {
        "action": StreamShape(1, vectors["action"].width, "control", window=10),
        "camera.main": StreamShape(1, 8, "control", window=10),
        "state": StreamShape(NUM_SLOTS, state.width, "state", state.feature_width, window=10),
        "touch.finger": StreamShape(
            1, vectors["touch.finger"].width, "sound", state.feeling_width, window=10
        ),
        "audio.main": StreamShape(2, 32, "sound", window=10),
        "video.main": StreamShape(16, 4 * state.frames, "video", state.sight_width, window=2),
    }
    hidden = dict.fromkeys(("text", "control", "state", "sound", "video"), WIDTH)
    return TransformerConfig(shapes, hidden, words.num_tokens, words.max_words, WIDTH, 2, 1)
