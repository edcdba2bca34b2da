"""Films put one after the other without being encoded again, under one sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import av
from av.container import OutputContainer

from orrery.atomic import check_destination, disk_failure, temporary_name
from orrery.errors import UserError
from orrery.media.encoder import AAC_BITS_PER_SECOND, sound_frame
from orrery.streams import Array

__all__ = ["join_films"]

REORDERED = 2
"""Frames by which x264's order of coding is ahead of that of showing; a part of one frame has none."""


def join_films(
    parts: Sequence[Path],
    out: Path,
    sounds: Sequence[Array],
    samples_per_second: int,
    force: bool = False,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write the pictures of `parts`, as they are coded, one after the other into the MP4 `out`.

    parts: MP4s of `FilmWriter`, of one size and frame rate. sounds: of each part, `[N, 2]` float32, as long
    as its pictures; encoded as one, so that nothing clicks where two meet. The film appears complete or not
    at all. Raises UserError where the disk refuses, or where the parts do not go together.
    """
    check_destination(out, force)
    temporary = temporary_name(out)
    try:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as container:
            _join(container, parts, sounds, samples_per_second, tags or {})
        temporary.replace(out)
    except OSError as error:
        raise disk_failure(out, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _join(
    container: OutputContainer,
    parts: Sequence[Path],
    sounds: Sequence[Array],
    samples_per_second: int,
    tags: Mapping[str, str],
) -> None:
    container.metadata.update(tags)
    with av.open(str(parts[0])) as first:
        source = first.streams.video[0]
        form = _form(source)
        assert source.average_rate is not None
        assert source.time_base is not None
        frame_units = round(1 / source.average_rate / source.time_base)
        video = container.add_stream_from_template(source)
    audio = container.add_stream("aac", rate=samples_per_second, layout="stereo")
    audio.bit_rate = AAC_BITS_PER_SECOND
    container.start_encoding()
    num_frames = num_samples = 0
    for part, sound in zip(parts, sounds, strict=True):
        with av.open(str(part)) as film:
            source = film.streams.video[0]
            if _form(source) != form:
                raise UserError(f"{part}: is not of the size and coding of {parts[0]}")
            start = num_frames
            for packet in film.demux(source):
                if packet.pts is None:
                    continue  # the end
                packet.pts += start * frame_units
                packet.dts = (num_frames - REORDERED) * frame_units
                packet.stream = video
                container.mux(packet)
                num_frames += 1
        container.mux(audio.encode(sound_frame(sound, samples_per_second, num_samples)))
        num_samples += len(sound)
    container.mux(audio.encode(None))


def _form(stream: av.VideoStream) -> tuple[object, ...]:
    """What films have to share to be put one after the other."""
    context = stream.codec_context
    return (
        context.name, context.width, context.height, context.extradata, stream.average_rate,
        stream.time_base,
    )  # fmt: skip
