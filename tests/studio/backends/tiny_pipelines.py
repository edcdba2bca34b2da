"""Real pipelines of diffusers with tiny random weights, as folders that they load from."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXFunControlPipeline,
    CogVideoXTransformer3DModel,
    UniPCMultistepScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from tokenizers import Tokenizer

WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "ball", "falls", "on", "marble", "blurry"]
WIDTH = 32
"""Of the text's embedding."""


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def save_wan_vace(folder: Path) -> Path:
    """`WanVACEPipeline`; returns the folder."""
    torch.manual_seed(0)
    text = UMT5Config(vocab_size=len(WORDS), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    pipeline = WanVACEPipeline(
        tokenizer=_tokenizer(),
        text_encoder=UMT5EncoderModel(text).eval(),
        vae=AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
            temperal_downsample=[False, True, True]
        ),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        transformer=WanVACETransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16,
            out_channels=16, text_dim=WIDTH, freq_dim=32, ffn_dim=32, num_layers=2,
            rope_max_seq_len=32, vace_layers=[0, 1], vace_in_channels=96,
        ),
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def save_cogvideox_fun(folder: Path) -> Path:
    """`CogVideoXFunControlPipeline`; returns the folder."""
    torch.manual_seed(0)
    text = T5Config(vocab_size=len(WORDS), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    pipeline = CogVideoXFunControlPipeline(
        tokenizer=_tokenizer(),
        text_encoder=T5EncoderModel(text).eval(),
        vae=AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        ),
        scheduler=CogVideoXDDIMScheduler(),
        transformer=CogVideoXTransformer3DModel(
            num_attention_heads=4, attention_head_dim=8, in_channels=8, out_channels=4, time_embed_dim=2,
            text_embed_dim=WIDTH, num_layers=1, sample_width=8, sample_height=8, sample_frames=17,
            max_text_seq_length=226,
        ),
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder
