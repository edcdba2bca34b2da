"""The looks of a film by name, and the picture sizes and rates that they take; nothing here needs an
extra."""

from __future__ import annotations

import re

from orrery.errors import BadUse, nearest

__all__ = ["FRAME_RATES", "LOOKS", "MOST_PIXELS", "check_look", "check_rate", "read_size"]

LOOKS = {
    "draft": "the exact world's own ray tracer: small, square, fast",
    "soft": "a path tracer: area lights, soft shadows, materials, depth of field, motion blur; any size",
}
FRAME_RATES = (24, 25, 30, 60)
LEAST_SIDE, MOST_SIDE = 16, 8192
MOST_PIXELS = 4096 * 4096


def check_look(name: str) -> None:
    """BadUse with the nearest names if none is called that."""
    if name not in LOOKS:
        hint = nearest(name, LOOKS) or list(LOOKS)
        raise BadUse(f"--look {name}: there is no such look; perhaps {' or '.join(hint)}")


def check_rate(frames_per_second: int) -> None:
    """BadUse for a rate that films are not made in."""
    if frames_per_second not in FRAME_RATES:
        raise BadUse(f"--fps {frames_per_second}: must be one of {', '.join(map(str, FRAME_RATES))}")


def read_size(text: str) -> tuple[int, int]:
    """Width and height, pixels, of a size such as `1280x720`.

    Raises BadUse, with the nearest size that would do, for what is none, for sides that are odd (H.264 asks
    for even ones), too small or too large.
    """
    match = re.fullmatch(r"([0-9]{1,9})[xX×]([0-9]{1,9})", text.strip())
    if match is None:
        raise BadUse(
            f"--size {text}: must be WIDTHxHEIGHT in pixels, such as 1280x720, 720x1280 or 1024x1024"
        )
    width, height = int(match[1]), int(match[2])
    if not LEAST_SIDE <= min(width, height) <= max(width, height) <= MOST_SIDE:
        raise BadUse(f"--size {text}: both sides must be from {LEAST_SIDE} to {MOST_SIDE} pixels")
    if width * height > MOST_PIXELS:
        raise BadUse(f"--size {text}: {width * height:,} pixels; there may be {MOST_PIXELS:,}")
    if width % 2 or height % 2:
        raise BadUse(
            f"--size {text}: both sides must be even; {width + width % 2}x{height + height % 2} would do"
        )
    return width, height
