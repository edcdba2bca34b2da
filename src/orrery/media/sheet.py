"""A film on one page: pictures at their instants, and the sound below them on the same axis of time.

Each row is a stretch of the film. A picture's left edge is its instant, and so is the point of the waveform
below that edge, so that what is seen can be held against what is heard with a ruler.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from orrery.atomic import write_atomically
from orrery.streams import Array

__all__ = ["ContactSheet", "contact_sheet"]

# Everything is drawn at twice its size and reduced, which smooths every edge. Lengths in final pixels.
SCALE = 2
CELL_WIDTH, GAP, MARGIN = 224, 4, 28
MAX_COLUMNS = 6
TITLE_SIZE, TEXT_SIZE = 20, 12
STAMP_HEIGHT, WAVE_HEIGHT, ROW_GAP = 20, 56, 22

PAPER, INK, FAINT = "#ffffff", "#1c1e21", "#7b8088"
LANE, PEAK, BODY, MARK = "#f3f4f6", "#9dbbe0", "#2f6db5", "#d9480f"
QUIET = 0.05
"""The waveform fills its lane at this peak or above; a quieter film is not blown up into a loud one."""


@dataclass(frozen=True)
class _Layout:
    """Where things are, in drawn pixels."""

    num_columns: int
    num_rows: int
    cell_height: int
    header_height: int
    has_sound: bool

    @property
    def cell_width(self) -> int:
        return CELL_WIDTH * SCALE

    @property
    def row_height(self) -> int:
        sound = WAVE_HEIGHT if self.has_sound else 0
        return self.cell_height + (STAMP_HEIGHT + sound + ROW_GAP) * SCALE

    @property
    def size(self) -> tuple[int, int]:
        width = self.num_columns * self.cell_width + 2 * MARGIN * SCALE
        height = self.header_height + self.num_rows * self.row_height + (MARGIN - ROW_GAP) * SCALE
        return width, height

    def corner(self, index: int) -> tuple[int, int]:
        """Upper left corner of picture `index`."""
        row, column = divmod(index, self.num_columns)
        return MARGIN * SCALE + column * self.cell_width, self.header_height + row * self.row_height


class ContactSheet:
    """Gathers a film tick by tick and draws it; keeps only the pictures it shows, and the sound.

    num_total_frames: how many will be added. num_frames: how many of them are shown, evenly spaced from the
    first on. samples_per_second: None without sound. title: a line above, such as the prompt.
    ticks: instants in seconds to mark on the sound; ticks_label: what they are, for the legend.
    """

    def __init__(
        self,
        num_total_frames: int,
        frames_per_second: float,
        samples_per_second: int | None,
        num_frames: int = 12,
        title: str | None = None,
        ticks: Sequence[float] = (),
        ticks_label: str = "impacts",
    ) -> None:
        if num_total_frames < 1 or num_frames < 1:
            raise ValueError(f"a sheet of {num_frames} of {num_total_frames} frames")
        self.frames_per_second = frames_per_second
        self.samples_per_second = samples_per_second
        self.title = title
        self.ticks = tuple(ticks)
        self.ticks_label = ticks_label
        self._num_total = num_total_frames
        shown = min(num_frames, num_total_frames)
        self._wanted = [k * num_total_frames // shown for k in range(shown)]
        self._pictures: list[Image.Image] = []
        self._frame_size = (0, 0)
        self._sound: list[Array] = []
        self._num_seen = 0

    def add(self, frames: Array, audio: Array | None = None) -> None:
        """The next frames `[T, H, W, 3]` uint8 and samples `[N, channels]` float32, one tick or many."""
        for frame in frames:
            if self._num_seen in self._wanted:
                height, width = frame.shape[:2]
                self._frame_size = (width, height)
                cell = ((CELL_WIDTH - GAP) * SCALE, round((CELL_WIDTH - GAP) * SCALE * height / width))
                self._pictures.append(Image.fromarray(frame).resize(cell, Image.Resampling.LANCZOS))
            self._num_seen += 1
        if audio is not None:
            self._sound.append(np.asarray(audio, np.float32))

    def save(self, path: str | Path) -> Path:
        """Draw what was added as the PNG `path`, in one step. Raises UserError where the disk refuses."""
        write_atomically(Path(path), self.png())
        return Path(path)

    def png(self) -> bytes:
        """What was added, drawn, as the content of a PNG file."""
        if not self._pictures:
            raise ValueError("a contact sheet of no frames")
        sheet = self._drawn()
        content = io.BytesIO()
        sheet.resize((sheet.width // SCALE, sheet.height // SCALE), Image.Resampling.BOX).save(content, "PNG")
        return content.getvalue()

    def _drawn(self) -> Image.Image:
        audio = np.concatenate(self._sound) if self._sound and self.samples_per_second else None
        num_rows = -(-len(self._pictures) // MAX_COLUMNS)
        num_columns = -(-len(self._pictures) // num_rows)
        width = num_columns * CELL_WIDTH * SCALE
        lines = _wrapped(self.title or "", _font(TITLE_SIZE), width)
        header = (MARGIN + len(lines) * (TITLE_SIZE + 6) + TEXT_SIZE + 18) * SCALE
        layout = _Layout(num_columns, num_rows, self._pictures[0].height, header, audio is not None)
        sheet = Image.new("RGB", layout.size, PAPER)
        pen = ImageDraw.Draw(sheet)
        y = MARGIN * SCALE
        for line in lines:
            pen.text((MARGIN * SCALE, y), line, INK, _font(TITLE_SIZE))
            y += (TITLE_SIZE + 6) * SCALE
        facts, small = self._facts(audio), _font(TEXT_SIZE)
        pen.text((MARGIN * SCALE, y + 3 * SCALE), facts, FAINT, small)
        if audio is not None and self.ticks:
            x = MARGIN * SCALE + small.getlength(facts + "  ·  ")
            pen.text((x, y + 3 * SCALE), f"| {self.ticks_label}", MARK, small)
        for index, picture in enumerate(self._pictures):
            x, y = layout.corner(index)
            sheet.paste(picture, (x, y))
            stamp = f"{self._wanted[index] / self.frames_per_second:.2f} s"
            pen.line([(x, y + picture.height), (x, y + picture.height + 7 * SCALE)], FAINT, SCALE)
            pen.text((x + 5 * SCALE, y + picture.height + 3 * SCALE), stamp, FAINT, _font(TEXT_SIZE))
        if audio is not None:
            for row in range(num_rows):
                self._draw_sound(pen, layout, row, audio)
        return sheet

    def _facts(self, audio: Array | None) -> str:
        width, height = self._frame_size
        facts = [f"{self._num_seen / self.frames_per_second:.2f} s", f"{width}x{height}"]
        facts.append(f"{self.frames_per_second:g} frames/s")
        if audio is not None and self.samples_per_second:
            peak = float(np.abs(audio).max(initial=0))
            level = f"peak {20 * np.log10(peak):.1f} dBFS" if peak > 0 else "silent"
            facts.append(f"sound at {self.samples_per_second / 1000:g} kHz, {level}")
        return "  ·  ".join(facts)

    def _seconds_at(self, layout: _Layout, row: int, x: Array) -> Array:
        """Instants at `x` drawn pixels from the left edge of `row`: exact at every picture's edge."""
        edges = [*self._wanted, self._num_total]
        cells = np.minimum(row * layout.num_columns + x / layout.cell_width, len(self._wanted))
        return np.interp(cells, np.arange(len(edges)), np.asarray(edges) / self.frames_per_second)

    def _draw_sound(self, pen: ImageDraw.ImageDraw, layout: _Layout, row: int, audio: Array) -> None:
        """Peaks light, RMS dark, one column of drawn pixels at a time; marks where `ticks` are."""
        num_cells = min(layout.num_columns, len(self._wanted) - row * layout.num_columns)
        left, top = layout.corner(row * layout.num_columns)
        top += layout.cell_height + STAMP_HEIGHT * SCALE
        right, bottom = left + num_cells * layout.cell_width - GAP * SCALE, top + WAVE_HEIGHT * SCALE
        pen.rectangle([left, top, right, bottom], LANE)
        seconds = self._seconds_at(layout, row, np.arange(right - left + 1))
        for tick in self.ticks:
            if seconds[0] <= tick < seconds[-1]:
                x = left + int(np.searchsorted(seconds, tick))
                pen.line([(x, top), (x, bottom)], MARK, SCALE)
        bounds = np.clip(np.round(seconds * (self.samples_per_second or 1)).astype(int), 0, len(audio))
        middle, half = (top + bottom) // 2, WAVE_HEIGHT * SCALE / 2 - 2 * SCALE
        gain = half / max(float(np.abs(audio).max(initial=0)), QUIET)
        for x, (begin, end) in enumerate(pairwise(bounds), start=left):
            piece = audio[begin : max(end, begin + 1)]
            if not len(piece):
                continue
            pen.line([(x, middle - gain * float(piece.max())), (x, middle - gain * float(piece.min()))], PEAK)
            rms = gain * float(np.sqrt(np.mean(piece**2)))
            pen.line([(x, middle - rms), (x, middle + rms)], BODY)


def contact_sheet(
    frames: Iterable[Array],
    audio: Array | None,
    samples_per_second: int | None,
    path: str | Path,
    frames_per_second: float = 24,
    num_frames: int = 12,
    title: str | None = None,
    ticks: Sequence[float] = (),
    ticks_label: str = "impacts",
) -> Path:
    """The PNG `path` of a whole film in memory; `ContactSheet` takes one tick by tick.

    frames: `[n, H, W, 3]` uint8, or a list of `[H, W, 3]`. audio: `[m, channels]` float32, or None.
    """
    stacked = np.asarray(frames)
    sheet = ContactSheet(
        len(stacked), frames_per_second, samples_per_second, num_frames, title, ticks, ticks_label
    )
    sheet.add(stacked, audio)
    return sheet.save(path)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that a sheet looks the same everywhere."""
    return ImageFont.load_default(size * SCALE)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """`text` in at most two lines of `width` drawn pixels, broken between words, the rest as an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > 2:
        lines[1] += " …"
    kept = lines[:2]
    for index, line in enumerate(kept):
        while font.getlength(line) > width:
            line = line[:-2].rstrip() + "…"
        kept[index] = line
    return kept
