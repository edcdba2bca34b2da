"""A world's streams as the numbers that its transformer reads, and those numbers as what is observed.

All but the state, whose numbers are counted from the tick before, and sound on its way out, whose decoder
remembers.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from orrery.inference.checkpoints import WorldModel

__all__ = ["decoded", "encoded"]


def encoded(model: WorldModel, streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Streams `[num_ticks, *shape]` as numbers `[num_ticks, tokens, width]`, as one stretch; those that the
    model has no numbers for are left out."""
    numbers = {}
    if "video.main" in streams:
        latents = model.video.encode(streams["video.main"])
        numbers["video.main"] = latents.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
    if "audio.main" in streams and model.audio is not None:
        numbers["audio.main"] = model.audio.encode(streams["audio.main"][None])[0]
    for name, codec in model.codecs.vectors.items():
        if name in streams:
            value = streams[name][:, -1] if name == "camera.main" else streams[name]
            numbers[name] = codec.encode(value)
    return numbers


def decoded(model: WorldModel, numbers: Mapping[str, Tensor], state: Tensor) -> dict[str, Tensor]:
    """One tick of each of these streams, `[1, *shape]`, of numbers `[1, tokens, width]`, the camera's among
    them. state: `[1, frames, K, D]`, what there is to be seen."""
    frames = model.spec.clock.frames_per_tick
    streams = {
        name: codec.decode(numbers[name]) for name, codec in model.codecs.vectors.items() if name in numbers
    }
    pose = streams["camera.main"]
    streams["camera.main"] = pose[:, None].expand(-1, frames, -1)
    if "video.main" in numbers:
        size = model.video.config.latent_grid
        latents = numbers["video.main"].unflatten(1, (size, size)).unflatten(3, (frames, -1))
        sight = model.codecs.outlook(model.video.config, state, pose)
        streams["video.main"] = model.video.decode(latents.permute(0, 3, 1, 2, 4), sight)
    return streams
