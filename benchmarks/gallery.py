"""The gallery: 24 films from 24 sentences, seeds 0 to 23, none left out.

Writes `gallery/NN.mp4`, `gallery.png` (five moments of each film) and `gallery.md` under the folder of
documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from harness import EXACT, Subject, console, frames_of, progress, ticks_of
from orrery.atomic import write_atomically
from orrery.evaluation.prompts import held_out_prompts
from orrery.media.writer import BT709
from orrery.streams import Array, Clock

NUM_FILMS = 24
NUM_MOMENTS = 5
NUM_COLUMNS = 2
CRF = "26"
AUDIO_BITS_PER_SECOND = 64_000
PICTURE, CAPTION, GAP = 96, 28, 10
MAX_BYTES = 4_000_000


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. seconds: of each film. docs: folder that the gallery goes
    to."""

    model: str = EXACT
    seconds: float = 3.0
    docs: Path = Path(__file__).parent.parent / "docs"


def write_small_film(path: Path, frames: Array, audio: Array, clock: Clock) -> None:
    """An MP4 at web quality (`media.FilmWriter` keeps films near transparent, which is too much for a
    gallery)."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        options = {"crf": CRF, "preset": "slow", "threads": "1"}
        video = container.add_stream("libx264", rate=clock.frames_per_second, options=options)
        video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        sound = container.add_stream("aac", rate=clock.samples_per_second, layout="stereo")
        sound.bit_rate = AUDIO_BITS_PER_SECOND
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio.T), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts = clock.samples_per_second, 0
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))


def strip(frames: Array, number: int, prompt: str) -> Image.Image:
    """Moments of one film side by side under its number and sentence."""
    width = NUM_MOMENTS * PICTURE
    picture = Image.new("RGB", (width, PICTURE + CAPTION), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(10)
    line, lines = "", []
    for word in f"{number:02d}  {prompt}".split(" "):
        if line and pen.textlength(f"{line} {word}", font=font) > width:
            lines, line = [*lines, line], word
        else:
            line = f"{line} {word}" if line else word
    pen.multiline_text((0, 0), "\n".join([*lines, line][:2]), fill="black", font=font, spacing=1)
    for column, frame in enumerate(np.linspace(0, len(frames) - 1, NUM_MOMENTS).round().astype(int)):
        cell = Image.fromarray(frames[frame]).resize((PICTURE - 2, PICTURE - 2), Image.Resampling.LANCZOS)
        picture.paste(cell, (column * PICTURE, CAPTION))
    return picture


def sheet(strips: list[Image.Image]) -> Image.Image:
    """All strips in columns."""
    width, height = strips[0].size
    num_rows = -(-len(strips) // NUM_COLUMNS)
    whole = Image.new("RGB", (NUM_COLUMNS * (width + GAP) - GAP, num_rows * (height + GAP) - GAP), "white")
    for index, picture in enumerate(strips):
        row, column = divmod(index, NUM_COLUMNS)
        whole.paste(picture, (column * (width + GAP), row * (height + GAP)))
    return whole


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    world = subject.open()
    folder = settings.docs / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    strips, rows = [], []
    for seed in progress(range(NUM_FILMS), "films"):
        prompt = held_out_prompts()[seed].text
        ticks = list(ticks_of(world, seed, world.spec.clock.num_ticks(settings.seconds), prompt=prompt))
        frames = frames_of(ticks, "video.main")
        write_small_film(folder / f"{seed:02d}.mp4", frames, frames_of(ticks, "audio.main"), world.spec.clock)
        strips.append(strip(frames, seed, prompt))
        rows.append(f"| {seed} | [{prompt}](gallery/{seed:02d}.mp4) |")
    sheet(strips).save(settings.docs / "gallery.png", optimize=True)  # no palette: it loses the rarer colours
    page = _page(subject, settings.seconds, rows)
    write_atomically(settings.docs / "gallery.md", page.encode())
    size = sum(path.stat().st_size for path in [*folder.glob("*.mp4"), settings.docs / "gallery.png"])
    console.print(f"{NUM_FILMS} films under {folder}: {size / 1e6:.2f} MB of at most {MAX_BYTES / 1e6:.0f}")
    if size > MAX_BYTES:
        raise SystemExit("the gallery is too large; shorten its films with --seconds")


def _page(subject: Subject, seconds: float, rows: list[str]) -> str:
    """The page in Markdown."""
    made = subject.provenance()
    source = f"checkpoint `{made['checkpoint_sha256'][:16]}`" if not subject.is_exact else "the exact world"
    lines = [
        "# Gallery",
        "",
        f"{NUM_FILMS} sentences of forms that are not in the training captions, seeds 0 to {NUM_FILMS - 1},"
        f" {seconds:g} s each, none left out. Made by {source}; each has sound.",
        "",
        "![Five moments of every film](gallery.png)",
        "",
        "| seed | sentence and film |",
        "|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Settings))
