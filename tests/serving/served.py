"""A real `orrery serve` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120.0


class Served:
    """A server on a port of its own, for as long as the block lasts.

    names: models. data: folder of its jobs.
    """

    def __init__(
        self, data: Path, names: tuple[str, ...] = ("dummy",), *options: str, **environment: str
    ) -> None:
        self.data = data
        command = [sys.executable, "-m", "orrery.cli", "serve", *names, "--port", "0", "--data", str(data)]
        variables = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True, env=variables
        )

    def __enter__(self) -> Served:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        found = re.search(r"http://[^ ]+:(\d+)/v1", line)
        assert found, f"the server did not start: {line!r}"
        self.port = int(found[1])
        self.address = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(
        self, path: str, body: Any = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and answer, of JSON where it is any. body: bytes as they are, else as JSON."""
        given = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body, given = json.dumps(body).encode(), {"Content-Type": "application/json", **given}
        request = urllib.request.Request(self.address + path, body, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, _content(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _content(error)

    def film(self, **fields: Any) -> dict[str, Any]:
        """Ask for a film that must be accepted."""
        status, video = self.ask("/v1/videos", {"prompt": "to the left", "seconds": 0.5, **fields})
        assert status == 200, video
        return video

    def finished(self, video_id: str) -> dict[str, Any]:
        """A film once it is over."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            _, video = self.ask(f"/v1/videos/{video_id}")
            if video["status"] in ("completed", "failed"):
                return video
            time.sleep(0.1)
        raise AssertionError(f"never done: {video}")


def _content(answer: Any) -> Any:
    content = answer.read()
    return json.loads(content) if "json" in answer.headers.get("Content-Type", "") else content
