"""A film's shots as an edit that others open: OpenTimelineIO, Final Cut's XML (version 7) and an EDL.

Each has a marker at every impact, as far as its format can say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import opentimelineio as otio

from orrery.atomic import write_atomically
from orrery.streams import Event

__all__ = ["ADAPTERS", "DROPPED", "Clip", "writable", "write_timelines"]

ADAPTERS = {"otio": "otio_json", "xml": "fcp_xml", "edl": "cmx_3600"}
"""Ending of a file to OpenTimelineIO's adapter that writes it."""
IN_TIMECODE = ("xml", "edl")
IMPULSES = "impulses and materials of impacts"
DROPPED: Mapping[str, tuple[str, ...]] = {
    "otio": (),
    "xml": (IMPULSES,),
    "edl": (IMPULSES, "the frame rate", "the sound's own track", "the title beyond 70 letters"),
}
"""Ending of a file to what its format cannot hold of this edit."""
REEL = 32
EDL_TITLE = 70


@dataclass(frozen=True)
class Clip:
    """One shot's film in the edit. events: seconds from its start."""

    name: str
    path: Path
    num_frames: int
    events: Sequence[Event]


def write_timelines(
    out: Path, title: str, clips: Sequence[Clip], frames_per_second: int
) -> dict[str, tuple[str, ...]]:
    """Write `out` with those endings of `ADAPTERS` that can say this rate; the files' names, each with what
    it cannot hold."""
    told: dict[str, tuple[str, ...]] = {}
    for ending in writable(frames_per_second):
        adapter = ADAPTERS[ending]
        timeline = _timeline(title, clips, frames_per_second, with_sound=ending != "edl")
        if ending == "edl":
            timeline.name = timeline.name[:EDL_TITLE]
        text = otio.adapters.write_to_string(timeline, adapter_name=adapter)
        path = out.with_suffix(f".{ending}")
        write_atomically(path, text.encode("utf-8"))
        told[path.name] = DROPPED[ending]
    return told


def writable(frames_per_second: int) -> tuple[str, ...]:
    """Those endings of `ADAPTERS` whose formats can say this rate: timecode knows few."""
    known = otio.opentime.RationalTime.is_smpte_timecode_rate(frames_per_second)
    return tuple(ending for ending in ADAPTERS if known or ending not in IN_TIMECODE)


def _timeline(title: str, clips: Sequence[Clip], rate: int, with_sound: bool) -> otio.schema.Timeline:
    timeline = otio.schema.Timeline(title or "Untitled")
    timeline.global_start_time = otio.opentime.RationalTime(0, rate)
    for kind in ("Video", "Audio") if with_sound else ("Video",):
        track = otio.schema.Track(kind[0] + "1", kind=kind)
        track.extend(_clip(clip, rate, with_markers=kind == "Video") for clip in clips)
        timeline.tracks.append(track)
    return timeline


def _clip(clip: Clip, rate: int, with_markers: bool) -> otio.schema.Clip:
    whole = otio.opentime.TimeRange(
        otio.opentime.RationalTime(0, rate), otio.opentime.RationalTime(clip.num_frames, rate)
    )
    media = otio.schema.ExternalReference(target_url=clip.path.resolve().as_uri(), available_range=whole)
    made = otio.schema.Clip(clip.name, media_reference=media, source_range=whole)
    made.metadata["cmx_3600"] = {"reel": clip.name[:REEL]}
    if with_markers:
        made.markers.extend(_marker(event, rate) for event in clip.events if event.kind == "impact")
    return made


def _marker(event: Event, rate: int) -> otio.schema.Marker:
    """On the frame that shows it: frame k shows the world at the end of its time."""
    frame = otio.opentime.RationalTime(int(event.seconds * rate), rate)
    marker = otio.schema.Marker(
        f"{event.a} hits {event.b}",
        otio.opentime.TimeRange(frame, otio.opentime.RationalTime(1, rate)),
        otio.schema.MarkerColor.RED,
    )
    marker.metadata["orrery"] = {
        "seconds": event.seconds,
        "impulse_ns": event.impulse_ns,
        "materials": list(event.materials),
    }
    return marker
