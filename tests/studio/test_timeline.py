"""The edit as others read it: OpenTimelineIO's own readers see the shots, their lengths and the impacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

otio = pytest.importorskip("opentimelineio")

from orrery.streams import Event  # noqa: E402
from orrery.studio.timeline import ADAPTERS, IMPULSES, Clip, write_timelines  # noqa: E402

HIT = Event(0.51, "impact", "marble", "blue box", 0.03, (0.0, 0.0, 0.0), ("glass", "wood"))


def written(tmp_path: Path, title: str = "Two meet") -> dict[str, tuple[str, ...]]:
    clips = [Clip("meet", tmp_path / "meet.mp4", 48, [HIT]), Clip("after", tmp_path / "after.mp4", 25, [])]
    return write_timelines(tmp_path / "film.mp4", title, clips, 25)


def read(path: Path) -> Any:
    """With OpenTimelineIO's own reader."""
    ending = path.suffix[1:]
    options = {"rate": 25} if ending == "edl" else {}
    found = otio.adapters.read_from_file(path, adapter_name=ADAPTERS[ending], **options)
    return found if isinstance(found, otio.schema.Timeline) else found[0]


@pytest.mark.parametrize("ending", ADAPTERS)
def test_shots_lengths_and_impacts_are_read_back(tmp_path: Path, ending: str) -> None:
    written(tmp_path)
    timeline = read(tmp_path / f"film.{ending}")
    (video,) = timeline.video_tracks()
    assert [clip.name for clip in video] == ["meet", "after"]
    assert [clip.source_range.duration.to_frames() for clip in video] == [48, 25]
    assert {clip.source_range.duration.rate for clip in video} == {25}
    assert len(timeline.audio_tracks()) == (0 if ending == "edl" else 1)
    meet, after = video
    (marker,) = meet.markers
    assert marker.name.lower() == "marble hits blue box"
    assert marker.marked_range.start_time.to_frames() == 12  # .51 s is within frame 12 of 25 a second
    assert not after.markers


def test_what_a_format_cannot_hold_is_told(tmp_path: Path) -> None:
    told = written(tmp_path, title="long " * 20)
    texts = {name: (tmp_path / name).read_text("utf-8") for name in told}
    for name, text in texts.items():
        assert (IMPULSES in told[name]) == ("impulse_ns" not in text)
        assert ("the title beyond 70 letters" in told[name]) == ("long " * 19 not in text)
    assert "the frame rate" in told["film.edl"]
