"""An uploaded picture is decoded by a process of its own, with little memory and little time.

A decoder is the one part of a server that runs on bytes of a stranger. Here it can neither write a file, nor
take the server's memory, nor hold it up: what crashes, or takes too long, is a picture that is refused.
"""

from __future__ import annotations

import io
import resource
import subprocess
import sys

import numpy as np

from orrery.errors import UserError
from orrery.media.picture import decode_image
from orrery.streams import Array

__all__ = ["MAX_PICTURE_BYTES", "decode_upload"]

MAX_PICTURE_BYTES = 20_000_000
"""Of an upload, encoded."""
MAX_PIXELS = 25_000_000
MAX_MEMORY_BYTES = 1_500_000_000
MAX_CPU_SECONDS = 10
MAX_WALL_SECONDS = 30.0


def decode_upload(picture: bytes, side: int) -> Array:
    """The centre square of an uploaded picture, `[side, side, 3]` uint8.

    UserError for what is no picture, is damaged, or is larger than `MAX_PIXELS`.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "orrery.serving.decode", str(side)],
            input=picture,
            capture_output=True,
            timeout=MAX_WALL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError("the picture takes too long to decode") from error
    if done.returncode == 1:
        raise UserError(done.stderr.decode(errors="replace").strip()[-500:])
    if done.returncode != 0 or len(done.stdout) != 3 * side * side:
        raise UserError("the picture cannot be decoded; it is damaged, or needs too much memory or time")
    return np.frombuffer(done.stdout, np.uint8).reshape(side, side, 3)


def _main() -> int:
    """The decoding process: bytes of a picture in, raw pixels out."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        pixels = decode_image(
            io.BytesIO(sys.stdin.buffer.read()), "the picture", int(sys.argv[1]), MAX_PIXELS
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(pixels.tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(_main())
