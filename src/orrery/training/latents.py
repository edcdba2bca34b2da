"""A dataset as the network sees it: episodes encoded once, kept as arrays, read in clips.

Pictures and sound go through their tokenizers once; everything else is kept as it is.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from orrery.data.dataset import Dataset
from orrery.errors import UserError
from orrery.streams import Array, WorldSpec
from orrery.tokenizers.audio import AudioTokenizer
from orrery.tokenizers.video import VideoTokenizer, prefers_bf16

__all__ = ["LatentSet", "encode_dataset"]

PIXELS = "pixels"


@dataclass
class LatentSet:
    """Encoded episodes of equal length.

    arrays: stream to `[num_episodes, num_ticks, ...]`: `video.main` as `[h * w, frames * channels]`,
    `audio.main` as `[tokens, numbers]`, the others as in the spec. scenes, texts: one an episode. pixels: the
    frames themselves, uint8 `[num_episodes, num_ticks, frames, H, W, 3]`, where `video.main` is encoded.
    steered: bool `[num_episodes]`, where a policy acted, and not the scene's own script.
    """

    spec: WorldSpec
    arrays: dict[str, Array]
    scenes: list[dict[str, Any]]
    texts: list[str]
    steered: Array
    pixels: Array | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def num_ticks(self) -> int:
        return self.arrays["state"].shape[1]

    def split(self, num_held_out: int) -> tuple[LatentSet, LatentSet]:
        """All but the last `num_held_out` episodes, and those. Raises UserError if none is left."""
        cut = len(self) - num_held_out
        if cut < 1:
            raise UserError(
                f"{len(self)} episodes of equal length are too few: {num_held_out} are kept apart to "
                "measure, and the rest train; collect more"
            )
        return self._part(slice(0, cut)), self._part(slice(cut, None))

    def _part(self, rows: slice) -> LatentSet:
        arrays = {name: array[rows] for name, array in self.arrays.items()}
        pixels = None if self.pixels is None else self.pixels[rows]
        return LatentSet(self.spec, arrays, self.scenes[rows], self.texts[rows], self.steered[rows], pixels)

    @classmethod
    def open(cls, folder: str | Path) -> LatentSet:
        """A set that `encode_dataset` wrote; arrays stay on disk until read."""
        folder = Path(folder)
        if not (folder / "about.json").is_file():
            raise UserError(f"{folder} holds no encoded dataset: about.json is missing; encode it first")
        try:
            about = json.loads((folder / "about.json").read_text())
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in about["streams"]}
            drawn = "video.main" in arrays
            pixels = np.load(folder / f"{PIXELS}.npy", mmap_mode="r") if drawn else None
            steered = np.full(len(about["scenes"]), about["steered"])
            return cls(
                WorldSpec.from_json(about["spec"]), arrays, about["scenes"], about["texts"], steered, pixels
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder}: a damaged encoded dataset ({error}); delete it to encode again"
            ) from error


def encode_dataset(
    dataset: Dataset,
    video: VideoTokenizer | None,
    audio: AudioTokenizer | None,
    out: str | Path,
    device: str = "cpu",
) -> LatentSet:
    """Encode every readable episode into folder `out`, which appears when it is complete.

    video, audio: None leaves pictures or sound out. Episodes of another length than the first are left out.
    A folder that is there already is opened instead. Raises UserError where no episode can be read.
    """
    out = Path(out)
    if out.exists():
        return LatentSet.open(out)
    if not dataset.readable:
        raise UserError(f"{dataset.path}: no episode can be read; collect some first")
    length = dataset.num_ticks(dataset.readable[0])
    numbers = [i for i in dataset.readable if dataset.num_ticks(i) == length]
    without = {"video.main"} if video is None else set()
    without |= {"audio.main"} if audio is None else set()
    names = [name for name in dataset.spec.streams if name not in without]
    unfinished = out.with_name(out.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    arrays: dict[str, Array] = {}
    for row, number in enumerate(track(numbers, description="encoding")):
        streams = dataset.load(number, names)
        values = {name: _encode(name, streams[name], video, audio, device) for name in names}
        if video is not None:
            values[PIXELS] = streams["video.main"]
        for name, value in values.items():
            if name not in arrays:
                arrays[name] = np.lib.format.open_memmap(
                    unfinished / f"{name}.npy", "w+", value.dtype, (len(numbers), *value.shape)
                )
            arrays[name][row] = value
    about = {
        "spec": dataset.spec.only(names).to_json(),
        "streams": names,
        "scenes": [dataset.scene(i) for i in numbers],
        "texts": [dataset.text(i) for i in numbers],
        "steered": dataset.settings.get("policy") is not None,
    }
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]
    (unfinished / "about.json").write_text(json.dumps(about))
    unfinished.rename(out)
    return LatentSet.open(out)


@torch.inference_mode()
def _encode(
    name: str, value: Array, video: VideoTokenizer | None, audio: AudioTokenizer | None, device: str
) -> Array:
    """One episode's stream `[ticks, ...]` as stored."""
    if name == "video.main" and video is not None:
        # Far finer than the posterior.
        with torch.autocast(device, torch.bfloat16, enabled=prefers_bf16(device)):
            latents = video.encode(torch.from_numpy(value).to(device)).float()  # [ticks, frames, h, w, c]
        ticks, frames, height, width, channels = latents.shape
        tokens = latents.permute(0, 2, 3, 1, 4).reshape(ticks, height * width, frames * channels)
        return tokens.half().cpu().numpy()
    if name == "audio.main" and audio is not None:
        return audio.encode(torch.from_numpy(value).to(device)[None])[0].half().cpu().numpy()
    if name == "camera.main":
        return value[:, -1]
    return value
