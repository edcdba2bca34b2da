"""Films over HTTP, as OpenAI's and vLLM-Omni's clients ask for them: `/v1/videos` and what is below it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from PIL import Image
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from orrery.errors import UserError
from orrery.serving.decode import MAX_PICTURE_BYTES, decode_upload
from orrery.serving.film_request import UNFOLLOWED, FilmRequest, Refused, ResolvedRequest, resolve_request
from orrery.serving.guard import Allowance, failure
from orrery.serving.jobs import Job, Jobs, Status
from orrery.serving.models import Model
from orrery.serving.supervisor import Supervisor

__all__ = ["MAX_REQUEST_BYTES", "FilmLimits", "videos_router"]

MAX_REQUEST_BYTES = MAX_PICTURE_BYTES * 4 // 3 + 1_000_000
"""A picture in base64, and room for the rest."""
VARIANTS = {
    "video": (".mp4", "video/mp4"),
    "thumbnail": (".webp", "image/webp"),
    "spritesheet": (".jpg", "image/jpeg"),
}
POLL_SECONDS = 0.1
_FORM = "multipart/form-data"
_PLAIN_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class FilmLimits:
    """What can be asked for. seconds: of one film. waiting: jobs in the queue. stored: jobs in all; beyond
    that some must be deleted first. per_second: requests for films. body_seconds: for a request to arrive.
    job_seconds: for a film to be made."""

    seconds: float = 60.0
    waiting: int = 100
    stored: int = 1000
    per_second: float = 100.0
    body_seconds: float = 60.0
    job_seconds: float = 1800.0


class VideoError(BaseModel):
    code: str
    message: str


class Video(BaseModel):
    """A film that was asked for."""

    id: str
    object: Literal["video"] = "video"
    model: str
    prompt: str
    status: Status
    progress: int = Field(description="Percent")
    created_at: int
    completed_at: int | None
    expires_at: int | None = None
    seconds: str
    size: str
    seed: int
    generate_sound: bool
    quality: str = "standard"
    remixed_from_video_id: str | None = None
    error: VideoError | None
    media_type: str = "video/mp4"
    inference_time_s: float | None
    user: str | None

    @classmethod
    def of(cls, job: Job) -> Video:
        """How a job stands."""
        asked = job.film
        took = job.completed_at - job.started_at if job.completed_at and job.started_at else None
        return cls(
            id=job.id,
            model=asked.model,
            prompt=asked.prompt,
            status=job.status,
            progress=job.progress,
            created_at=int(job.created_at),
            completed_at=int(job.completed_at) if job.completed_at else None,
            seconds=f"{asked.seconds:g}",
            size="{}x{}".format(*asked.size),
            seed=asked.seed,
            generate_sound=asked.generate_sound,
            error=VideoError(code=job.error_code or "failed", message=job.error) if job.error else None,
            inference_time_s=took,
            user=asked.user,
        )


class VideoList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(BaseModel):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


class Failure(BaseModel):
    """What went wrong, in the form of OpenAI's API."""

    class Error(BaseModel):
        message: str
        type: str
        param: str | None
        code: str | None

    error: Error


_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": said}
    for status, said in {
        400: "What was asked for is wrong, or cannot be followed",
        401: "The token is missing or wrong",
        403: "From a page of another site",
        404: "There is no such film",
        408: "The request took too long to arrive",
        409: "Not in this state",
        413: "The request is too large",
        415: "Neither a form nor JSON",
        421: "Asked by a name that this server does not answer to",
        422: "A parameter of the address is wrong",
        429: "Too many requests, or too many films",
    }.items()
}
_SCHEMA = FilmRequest.model_json_schema()
_FORM_SCHEMA = {
    **_SCHEMA,
    "properties": {**_SCHEMA["properties"], "input_reference": {"type": "string", "format": "binary"}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _SCHEMA}, _FORM: {"schema": _FORM_SCHEMA}},
    }
}


def videos_router(
    models: Mapping[str, Model], jobs: Jobs, supervisor: Supervisor, limits: FilmLimits
) -> APIRouter:
    """The routes of films."""
    router = APIRouter(tags=["videos"], responses=_FAILURES)

    @router.get("/v1/models")
    @router.get("/v1/videos/models")
    def list_models() -> dict[str, Any]:
        """The models of this server, and what each can do."""
        data = [model.to_json(limits.seconds) for model in models.values()]
        return {"object": "list", "data": data}

    _add_making(router, _Films(models, jobs, supervisor, limits), jobs)
    _add_made(router, jobs)
    return router


def _add_making(router: APIRouter, films: _Films, jobs: Jobs) -> None:
    @router.post("/v1/videos", response_model=Video, openapi_extra=_BODY)
    async def create(request: Request) -> Video:
        """Ask for a film; it is made after those that were asked for before it."""
        return Video.of(await films.accept(request, kept=True))

    @router.post("/v1/videos/sync", openapi_extra=_BODY, response_class=FileResponse)
    async def create_and_wait(request: Request, later: BackgroundTasks) -> Response:
        """Ask for a film and wait for it; nothing of it is kept."""
        job = await films.accept(request, kept=False)
        try:
            done = await films.finished(job, request)
        except BaseException:
            jobs.delete(job.id)
            raise
        later.add_task(jobs.delete, job.id)
        if done.status == "failed":
            return failure(400, done.error or "the film could not be made")
        return FileResponse(
            jobs.file(job.id, ".mp4"), media_type="video/mp4", headers={"X-Request-Id": job.id}
        )


def _add_made(router: APIRouter, jobs: Jobs) -> None:
    @router.get("/v1/videos", response_model=VideoList)
    def list_films(
        after: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> VideoList:
        """The films that there are, those that are not done yet too."""
        try:
            page, has_more = jobs.page(after, limit, newest_first=order == "desc")
        except KeyError as error:
            raise HTTPException(404, "there is no film `after`") from error
        data = [Video.of(job) for job in page]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return VideoList(data=data, first_id=first, last_id=last, has_more=has_more)

    @router.get("/v1/videos/{video_id}", response_model=Video)
    def retrieve(video_id: str, response: Response) -> Video:
        """How far a film is."""
        response.headers["openai-poll-after-ms"] = "500"
        return Video.of(_found(jobs, video_id))

    @router.delete("/v1/videos/{video_id}", response_model=Deleted)
    def delete(video_id: str) -> Deleted:
        """Forget a film; one that is being made is stopped."""
        if not jobs.delete(video_id):
            raise HTTPException(404, "there is no such film")
        return Deleted(id=video_id)

    @router.get("/v1/videos/{video_id}/content", response_class=FileResponse)
    def content(
        video_id: str, variant: Literal["video", "thumbnail", "spritesheet"] = "video"
    ) -> FileResponse:
        """The film, its middle as a small picture, or sixteen of its pictures on one."""
        job = _found(jobs, video_id)
        if job.status == "failed":
            raise HTTPException(409, f"the film could not be made: {job.error}")
        if job.status != "completed":
            raise HTTPException(409, f"the film is {job.status} yet ({job.progress} %); ask again later")
        suffix, kind = VARIANTS[variant]
        return FileResponse(jobs.file(job.id, suffix), media_type=kind, filename=f"{job.id}{suffix}")


def _found(jobs: Jobs, video_id: str) -> Job:
    job = jobs.get(video_id)
    if job is None:
        raise HTTPException(404, "there is no such film")
    return job


class _Films:
    """Takes requests for films in."""

    def __init__(
        self, models: Mapping[str, Model], jobs: Jobs, supervisor: Supervisor, limits: FilmLimits
    ) -> None:
        self._models, self._jobs, self._supervisor, self._limits = models, jobs, supervisor, limits
        self._allowance = Allowance(limits.per_second)
        self._accepting = asyncio.Lock()

    async def accept(self, request: Request, kept: bool) -> Job:
        """The job of a request, queued."""
        if not self._allowance.take():
            raise HTTPException(429, "too many requests; wait a second", {"Retry-After": "1"})
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                fields, picture, is_text = await _body(request)
        except TimeoutError as error:
            raise HTTPException(
                408, "the request took too long to arrive", {"Connection": "close"}
            ) from error
        longest = self._limits.seconds
        resolved = await run_in_threadpool(resolve_request, fields, picture, self._models, longest, is_text)
        async with self._accepting:  # one decoder at a time, and never more jobs than there is room for
            await run_in_threadpool(self._check_room)
            return await run_in_threadpool(self._queue, resolved, kept)

    def _check_room(self) -> None:
        counts = self._jobs.counts()
        if counts["queued"] >= self._limits.waiting:
            raise HTTPException(
                429, f"{counts['queued']} films wait already; ask later", {"Retry-After": "30"}
            )
        if sum(counts.values()) >= self._limits.stored:
            raise HTTPException(429, f"{self._limits.stored} films are kept already; delete some")

    def _queue(self, resolved: ResolvedRequest, kept: bool) -> Job:
        job_id = self._jobs.new_id()
        if resolved.picture is not None:
            try:
                pixels = decode_upload(resolved.picture, resolved.model.size[0])
            except UserError as error:
                raise Refused(f"input_reference: {error}", "input_reference") from error
            Image.fromarray(pixels).save(self._jobs.file(job_id, ".png"), "PNG")
        try:
            job = self._jobs.accept(job_id, resolved.film, kept)
        except BaseException:
            self._jobs.remove_files(job_id)
            raise
        self._supervisor.wake()
        return job

    async def finished(self, job: Job, request: Request) -> Job:
        """The job once it is over. It is given up where whoever asked has gone."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            now = await run_in_threadpool(self._jobs.get, job.id)
            if now is None:
                raise HTTPException(404, "the film was deleted before it was done")
            if now.is_over:
                return now
            if await request.is_disconnected():
                raise HTTPException(408, "whoever asked has gone")


async def _body(request: Request) -> tuple[dict[str, Any], bytes | None, bool]:
    """The fields of a request, an uploaded picture, and whether the fields are text."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await _json(request), None, False
    if kind not in (_FORM, _PLAIN_FORM):
        raise HTTPException(415, f"send {_FORM} or application/json")
    fields: dict[str, Any] = {}
    picture = None
    async with request.form(max_files=1, max_fields=60, max_part_size=MAX_REQUEST_BYTES) as form:
        for name, value in form.multi_items():
            if name in fields or (picture is not None and name == "input_reference"):
                raise Refused(f"{name[:100]}: given twice", name[:100])
            if isinstance(value, UploadFile) and name == "input_reference":
                picture = await value.read()
            elif isinstance(value, UploadFile) and name not in UNFOLLOWED:
                raise Refused(f"{name[:100]}: a file where text is needed", name[:100])
            elif isinstance(value, UploadFile):
                fields[name] = f"(a file of {value.size} bytes)"
            else:
                fields[name] = value
    return fields, picture, True


async def _json(request: Request) -> dict[str, Any]:
    try:
        fields = await request.json()
    except (ValueError, RecursionError) as error:
        raise Refused(f"this is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise Refused("a JSON object is needed")
    return fields
