"""A large model that is served elsewhere, by vLLM-Omni's `/v1/videos`: asked over HTTP, guided by an upload.

What is asked is as its documentation has it (github.com/vllm-project/vllm-omni, docs/serving/videos_api.md):
a form with `control_reference`, the guide's film, and `control_type`; then a job that is asked for until it
is completed, and its film.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from orrery.errors import BadUse, UserError
from orrery.media import FilmWriter, read_film
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Film, Guide, Request
from orrery.studio.controls.limits import MODELS

__all__ = ["SERVED", "ServedModel", "is_address", "served_backend"]

MOST_BYTES = 512 * 2**20
"""Of an upload, which the server refuses beyond."""
TIMEOUT_SECONDS = 60.0
"""Without a byte from the server."""
POLL_SECONDS = 2.0
CONTROL_TYPES = {"depth": "depth", "edges": "edge", "segmentation": "seg"}
"""Our controls by the server's names."""


def arguments(request: Request) -> dict[str, Any]:
    """Of a request's form, but for the guide's film. The server's models follow a guide as they do."""
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative or None,
        "width": request.size[0],
        "height": request.size[1],
        "num_frames": request.num_frames,
        "fps": request.frames_per_second,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "seed": request.seed,
        "control_type": CONTROL_TYPES[request.guides[0].kind],
    }


SERVED: Mapping[str, Backend] = {"cosmos3": Backend("", MODELS["cosmos3"], arguments)}
"""Models that take an uploaded control there, by name."""


def is_address(weights: str) -> bool:
    """Whether this names a server, and no weights."""
    return weights.startswith(("http://", "https://"))


def served_backend(name: str | None) -> Backend:
    """The backend of a model that is served; the one that there is, if none is named. BadUse for another."""
    if name is not None and name not in SERVED:
        raise BadUse(f"--backend {name}: served, controls are taken by {', '.join(SERVED)}")
    return SERVED[name or next(iter(SERVED))]


class ServedModel:
    """A model at an address such as `http://127.0.0.1:8091`. UserError where no films are made there.

    poll_seconds: from one question about a job to the next.
    """

    default_steps = 1
    """How many steps a film takes is the server's to choose, and not told."""

    def __init__(self, address: str, backend: Backend, poll_seconds: float = POLL_SECONDS) -> None:
        if not _is_plain(address):
            raise BadUse(
                f"{address}: is no plain address; give one such as http://127.0.0.1:8091, without a name or "
                "a password in it"
            )
        self._address, self._backend = address.rstrip("/"), backend
        self._poll_seconds = poll_seconds
        self._json("GET", "")

    def make(self, request: Request, on_step: Callable[[], None] = lambda: None) -> Film:
        """The server's film. on_step: called for all steps at the end. A job that is given up is deleted
        there. UserError where the server refuses, fails, or makes another film than was asked for."""
        self._backend.check(request)
        form = {k: str(v) for k, v in self._backend.arguments(request).items() if v is not None}
        boundary = secrets.token_hex(16)
        body = _multipart(boundary, form, _guide_film(request.guides[0], request.frames_per_second))
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        job = self._json("POST", "", body, kind)
        path = f"/{quote(str(job.get('id', '')), safe='')}"
        try:
            self._wait(path, job)
            content = self._call("GET", f"{path}/content")
        except BaseException:
            self._give_up(path)
            raise
        film = self._film(content, request)
        for _ in range(request.steps or self.default_steps):
            on_step()
        return film

    def _wait(self, path: str, job: Mapping[str, Any]) -> None:
        """Until the job is completed."""
        while job.get("status") in ("queued", "in_progress"):
            time.sleep(self._poll_seconds)
            job = self._json("GET", path)
        if job.get("status") != "completed":
            why = _message(job) or f"its status is {job.get('status')!r}"
            raise UserError(f"{self._address}: no film was made there ({why})")

    def _give_up(self, path: str) -> None:
        try:
            self._call("DELETE", path)
        except UserError:
            return  # it is done there, or the server is gone: nothing is left to give up

    def _film(self, content: bytes, request: Request) -> Film:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "served.mp4"
            path.write_bytes(content)
            film = read_film(path)
        width, height = request.size
        asked = f"{request.num_frames} frames of {width}x{height}, {request.frames_per_second} a second"
        rate = f"{film.frames_per_second:g}"
        made = f"{len(film.frames)} frames of {film.frames.shape[2]}x{film.frames.shape[1]}, {rate} a second"
        if made != asked:
            raise UserError(f"{self._address}: made {made}, and was asked for {asked}")
        return Film(film.frames, request.frames_per_second)

    def _json(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = json.loads(self._call(method, path, body, headers))
        except ValueError as error:
            raise UserError(f"{self._address}: no films are made there, for it answers no JSON") from error
        if not isinstance(answer, dict):
            raise UserError(f"{self._address}: no films are made there, for it answers {answer!r}")
        return answer

    def _call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        url = f"{self._address}/v1/videos{path}"
        try:
            asked = HttpRequest(url, body, dict(headers or {}), method=method)
            with urlopen(asked, timeout=TIMEOUT_SECONDS) as answer:
                return answer.read()
        except HTTPError as error:
            why = _refusal(error.read()) or error.reason
            raise UserError(f"{url}: refused with {error.code} ({why})") from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UserError(f"{url}: cannot be reached ({reason})") from error


def _is_plain(address: str) -> bool:
    """Whether it has a host, and nothing that the film's settings should not tell."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and "@" not in parts.netloc and not parts.query
    except ValueError:
        return False


def _guide_film(guide: Guide, frames_per_second: int) -> bytes:
    """The guide as an MP4. UserError for one that is too large."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "guide.mp4"
        with FilmWriter(path, frames_per_second, None, guide.frames.shape[1:3], lossless=True) as writer:
            writer.write(guide.frames)
        content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise UserError(
            f"the guide's film has {len(content):,} bytes, and the server takes {MOST_BYTES:,}; "
            "make the film smaller with --size"
        )
    return content


def _multipart(boundary: str, form: Mapping[str, str], guide: bytes) -> bytes:
    """The form with the guide as its file."""
    parts: list[bytes] = []
    for name, value in form.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode())
        parts.append(value.encode() + b"\r\n")
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="control_reference"; '
        'filename="guide.mp4"\r\nContent-Type: video/mp4\r\n\r\n'.encode()
    )
    return b"".join([*parts, guide, f"\r\n--{boundary}--\r\n".encode()])


def _refusal(content: bytes) -> str:
    """What a server says of an error, in its JSON."""
    try:
        answer = json.loads(content)
    except ValueError:
        return ""
    return _message(answer) if isinstance(answer, dict) else ""


def _message(answer: Mapping[str, Any]) -> str:
    """Of `{"error": {"message": ...}}`, as OpenAI's servers say it, or `{"detail": ...}`, as FastAPI's do."""
    error = answer.get("error") or answer.get("detail") or ""
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
