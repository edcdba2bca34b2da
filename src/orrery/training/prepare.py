"""From a data set to what is trained on: which episodes, which tokenizers, and everything as latents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orrery.atomic import write_atomically
from orrery.data.dataset import Dataset
from orrery.errors import UserError
from orrery.models.precision import mixed_precision
from orrery.models.tokenizers import TOKENIZERS, Memory, Tokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokenizers.video import resized
from orrery.streams import Array, StreamSpec, WorldSpec
from orrery.training.encoded import EncodedEpisodes
from orrery.training.progress import Watch, progress
from orrery.training.recipe import Recipe

__all__ = ["TEXT", "Episodes", "encode_episodes", "fitted_tokenizers", "picture_stretches", "sound_episodes"]

TEXT = "text"
STRETCH = 32
PICTURE_BYTES = 600 * 2**20
"""Memory that pictures of the tokenizer's training may take."""
ENCODE_TICKS = 64


@dataclass(frozen=True)
class Episodes:
    """The episodes of a data set that are used. spec: with pictures at the size that is learned. notes: what
    was left out, in words, for the run's page and log."""

    data: Dataset
    spec: WorldSpec
    training: tuple[int, ...]
    held_out: tuple[int, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, data: Dataset, recipe: Recipe) -> Episodes:
        """The readable, finite episodes; the last few are held out.

        UserError where nothing is left, or where there is nothing to imagine.
        """
        notes = list(data.problems)
        left_out = [name for name in data.spec.streams if name not in recipe.streams]
        if left_out:
            notes.append(f"not learned: {', '.join(left_out)}")
        spec = _scaled(data.spec.only(recipe.streams), recipe.image_size)
        for name, stream in spec.streams.items():
            own = data.spec.streams[name].shape
            if stream.shape != own:
                notes.append(
                    f"{name} is learned at {_pixels(stream.shape)} pixels, averaged from {_pixels(own)}"
                )
        if not any(s.role == "observed" for s in spec.streams.values()):
            raise UserError(f"{data.path} has no stream to imagine: only {', '.join(spec.streams) or 'none'}")
        good = _good(data, spec, notes)
        num = min(max(1, round(recipe.held_out * len(good))), 64) if len(good) > 1 else 0
        if not num:
            notes.append("one episode only: it is evaluated on what it was trained on")
        return cls(data, spec, good[: len(good) - num], good[len(good) - num :] or good, tuple(notes))

    @classmethod
    def beside(cls, main: Episodes, more: Dataset) -> Episodes:
        """All good episodes of a data set of the same world, which may lack streams; of what it has, those
        that `main` has and that are no pictures. None is held out.

        UserError where its rate or a stream is another, or where nothing is left to learn.
        """
        clock, own_clock = main.spec.clock, more.spec.clock
        if clock != own_clock:
            raise UserError(f"{more.path} has {own_clock}, and {main.data.path} {clock}: not one world's")
        learned = [
            name
            for name in more.spec.streams
            if name in main.spec.streams and main.spec.streams[name].kind != "video"
        ]
        for name in learned:
            if more.spec.streams[name] != main.data.spec.streams[name]:
                raise UserError(
                    f"{name} of {more.path} is {more.spec.streams[name]}, and of {main.data.path} "
                    f"{main.data.spec.streams[name]}: not one world's"
                )
        spec = more.spec.only(learned)
        if not any(s.role == "observed" for s in spec.streams.values()):
            raise UserError(f"{more.path} has nothing to learn beside {main.data.path}, pictures left out")
        notes = list(more.problems)
        left_out = [name for name in more.spec.streams if name not in learned]
        if left_out:
            notes.append(f"not learned: {', '.join(left_out)}")
        good = _good(more, spec, notes)
        return cls(more, spec, good, (), tuple(f"{more.path}: {note}" for note in notes))

    def load(self, index: int, name: str, start: int = 0, num: int | None = None) -> Array:
        """Ticks of one stream of one episode, pictures at the size that is learned."""
        value = self.data.load(index, [name], start, num)[name]
        spec = self.spec.streams[name]
        if spec.kind == "video":
            flat = torch.from_numpy(value.reshape(-1, *value.shape[-3:]))
            height, width = spec.shape[1:3]
            return resized(flat, (height, width)).numpy().reshape(-1, *spec.shape)
        return value


def _good(data: Dataset, spec: WorldSpec, notes: list[str]) -> tuple[int, ...]:
    """The episodes that can be learned from; `notes` says why the others cannot. UserError for none."""
    good: list[int] = []
    for index in data.readable:
        problem = _problem(data, index, spec)
        good.append(index) if problem is None else notes.append(f"episode {index} left out: {problem}")
    if not good:
        raise UserError(f"{data.path} has no episode to learn from: {'; '.join(notes)}")
    return tuple(good)


def _problem(data: Dataset, index: int, spec: WorldSpec) -> str | None:
    """Why an episode cannot be learned from; None where it can."""
    numbers = [name for name, s in spec.streams.items() if s.is_numbers or s.kind == "audio"]
    try:
        values = data.load(index, numbers)
    except UserError as error:
        return str(error)
    for name, value in values.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return f"{name} holds values that are not finite"
        if (
            spec.streams[name].kind == "choice"
            and value.size
            and not (value.min() >= 0 and value.max() < spec.streams[name].num_choices)
        ):
            return f"{name} holds a choice outside of 0 to {spec.streams[name].num_choices - 1}"
    return None


def _pixels(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[2]}"


def _scaled(spec: WorldSpec, image_size: int) -> WorldSpec:
    """The spec with pictures whose longer side is at most `image_size`."""
    streams = dict(spec.streams)
    for name, stream in streams.items():
        if stream.kind == "video":
            frames, height, width, channels = stream.shape
            factor = min(1.0, image_size / max(height, width))
            size = max(1, round(height * factor)), max(1, round(width * factor))
            streams[name] = replace(stream, shape=(frames, *size, channels))
    return replace(spec, streams=streams)


# ---- tokenizers ------------------------------------------------------------------------------------------


def fitted_tokenizers(episodes: Episodes, more: Episodes | None = None) -> dict[str, Tokenizer]:
    """A tokenizer for every stream: those of numbers fitted, those that learn untrained. more: see
    `Episodes.beside`; its words are known too."""
    tokenizers: dict[str, Tokenizer] = {}
    for name, stream in episodes.spec.streams.items():
        tokenizer = TOKENIZERS[stream.kind].for_stream(stream, episodes.spec.clock)
        if not tokenizer.learned:
            tokenizer.fit([torch.from_numpy(episodes.load(index, name)) for index in episodes.training])
        tokenizers[name] = tokenizer
    told = [of.data for of in (episodes, more) if of is not None]
    sentences = [data.text(index) for data in told for index in data.readable]
    if any(sentences):
        spec = StreamSpec(TEXT, "text", "given", (1,), "int64")
        text = TextTokenizer.of_sentences(spec, sentences)
        if len(text.vocabulary) > 1 and len(set(sentences)) > 1:
            tokenizers[TEXT] = text
    return tokenizers


def picture_stretches(episodes: Episodes, name: str, seed: int) -> list[Array]:
    """Stretches of film `[frames, H, W, 3]` from all over the training episodes, as much as memory may
    hold."""
    rng = np.random.default_rng([seed, 1])
    shape = episodes.spec.streams[name].shape
    stretches: list[Array] = []
    room = PICTURE_BYTES
    order = rng.permutation(episodes.training)
    for round_ in range(64):
        for index in order:
            total = episodes.data.num_ticks(int(index))
            if round_ * STRETCH >= total and round_ > 0:
                continue
            num = min(STRETCH, total)
            start = int(rng.integers(0, total - num + 1))
            stretch = episodes.load(int(index), name, start, num).reshape(-1, *shape[1:])
            stretches.append(stretch)
            room -= stretch.nbytes
            if room <= 0:
                return stretches
    return stretches


def sound_episodes(episodes: Episodes, name: str) -> list[Array]:
    """The sound of every training episode, `[ticks, samples, channels]`."""
    return [episodes.load(index, name) for index in episodes.training]


# ---- latents ---------------------------------------------------------------------------------------------


def encode_episodes(
    episodes: Episodes,
    indices: tuple[int, ...],
    tokenizers: dict[str, Tokenizer],
    folder: Path,
    watch: Watch | None = None,
) -> EncodedEpisodes:
    """All ticks of some episodes as latents, kept in `folder` so that it is done once; of those streams that
    they have."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.array([episodes.data.num_ticks(index) for index in indices])
    done_file = folder / "episodes.json"
    wanted = {"episodes": list(indices), "lengths": lengths.tolist()}
    if done_file.exists() and json.loads(done_file.read_text()) != wanted:
        for file in folder.glob("*.npy"):
            file.unlink()
    write_atomically(done_file, json.dumps(wanted).encode())
    latents: dict[str, Array] = {}
    for name, tokenizer in tokenizers.items():
        if isinstance(tokenizer, TextTokenizer):
            numbers = torch.stack([tokenizer.numbers(episodes.data.text(index)) for index in indices])
            latents[name] = tokenizer.encode(numbers[:, None])[0][:, 0].numpy()
            continue
        if name not in episodes.spec.streams:
            continue
        file = folder / f"{name}.npy"
        if not file.exists():
            with progress(f"encoding {name}", watch) as on_step:
                _encode_stream(episodes, indices, tokenizer, file, on_step)
        latents[name] = np.load(file, mmap_mode="r")
    text = tuple(name for name, t in tokenizers.items() if isinstance(t, TextTokenizer))
    without_past = {name: tokenizers[name].without_past for name in latents if name not in text}
    return EncodedEpisodes(latents, lengths, episodes.spec.clock.tick_seconds, text, without_past)


def _encode_stream(
    episodes: Episodes,
    indices: tuple[int, ...],
    tokenizer: Tokenizer,
    file: Path,
    on_step: Callable[[float, str], None],
) -> None:
    """Latents of all ticks of a stream into one file, which is there when it is complete."""
    name, dtype = tokenizer.spec.name, np.float16 if tokenizer.learned else np.float32
    total, done = sum(episodes.data.num_ticks(index) for index in indices), 0
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as handle:
        header = {
            "descr": np.dtype(dtype).str,
            "fortran_order": False,
            "shape": (total, tokenizer.tokens, tokenizer.width),
        }
        np.lib.format.write_array_header_1_0(handle, header)
        for index in indices:
            for latents in encoded_episode(episodes, index, name, tokenizer):
                handle.write(np.ascontiguousarray(latents.numpy().astype(dtype)).tobytes())
                done += len(latents)
                on_step(done / total, "")
    unfinished.rename(file)


@torch.no_grad()
def encoded_episode(episodes: Episodes, index: int, name: str, tokenizer: Tokenizer) -> Iterator[Tensor]:
    """Latents `[T, tokens, width]` of one episode, some ticks at a time."""
    memory: Memory | None = None
    total = episodes.data.num_ticks(index)
    for start in range(0, total, ENCODE_TICKS):
        ticks = torch.from_numpy(episodes.load(index, name, start, min(ENCODE_TICKS, total - start)))
        with mixed_precision(tokenizer.device, wanted=tokenizer.learned):
            latents, memory = tokenizer.encode(ticks[None].to(tokenizer.device), memory)
        yield latents[0].float().cpu()
