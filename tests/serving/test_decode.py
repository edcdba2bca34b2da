"""The process that decodes a picture can neither write, nor grow, nor go on for ever."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from orrery.serving.decode import MAX_CPU_SECONDS, MAX_MEMORY_BYTES, decode_upload

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such limits")


def decoder_that(does: str) -> subprocess.CompletedProcess[str]:
    """The decoding process with other code in the place of the decoder."""
    code = f"""
import resource, sys
from orrery.serving import decode
def decode_image(*arguments):
    {does}
    raise SystemExit(7)
decode.decode_image = decode_image
sys.argv = ["decode", "16"]
sys.exit(decode._main())
"""
    return subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, timeout=120)


def test_it_cannot_write_a_file(tmp_path: object) -> None:
    found = decoder_that(f"open({str(tmp_path)!r} + '/written', 'wb', 0).write(b'x')")
    assert "File too large" in found.stderr
    assert found.returncode == 1


def test_it_cannot_take_more_memory_than_it_may() -> None:
    assert decoder_that(f"bytearray({MAX_MEMORY_BYTES // 4})").returncode == 7
    found = decoder_that(f"bytearray({MAX_MEMORY_BYTES})")
    assert "MemoryError" in found.stderr


def test_it_cannot_go_on_for_ever() -> None:
    found = decoder_that("print(*resource.getrlimit(resource.RLIMIT_CPU), file=sys.stderr)")
    assert found.stderr.split() == [str(MAX_CPU_SECONDS)] * 2


def test_it_gives_the_centre_square() -> None:
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = (10, 200, 30)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    assert np.array_equal(decode_upload(content.getvalue(), 20), picture[:, 20:40])
