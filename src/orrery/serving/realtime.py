"""`WS /v1/realtime/video`: a world seen and heard while it goes on, in the message shapes of vLLM-Omni.

Control messages are JSON text. Each `video.chunk_metadata` is followed by one binary message, the next piece
of a fragmented MP4 with its sound; what is felt, and other numbers, are in the metadata. The peer acts by
`session.interaction` with the modality `action`. Ticks come at the world's own rate at most.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket

from orrery.errors import BadUse, UserError
from orrery.inference.generate import film_tags
from orrery.media import FilmSound, FilmStream
from orrery.serving.controls import action_from_numbers
from orrery.serving.decode import decode_upload
from orrery.serving.film_request import ResolvedRequest, resolve_request
from orrery.serving.messages import first_problem
from orrery.serving.models import Model
from orrery.serving.session import Action, Session, Start, Tick, standing
from orrery.serving.sockets import Closing, Connection, ConnectionLimits
from orrery.serving.wire import short_numbers, touch_map
from orrery.serving.world_thread import WorldThread
from orrery.streams import Array

__all__ = ["Realtime", "RealtimeLimits"]

MAX_WAITING = 256
"""Messages that were read and not answered yet."""
_Numbers = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=4096)]


@dataclass(frozen=True)
class RealtimeLimits:
    """connection: of the socket. start_seconds: until it says what it wants. start_bytes: of that message,
    which may hold a picture. session_seconds: of the world's time. num_events: interactions that wait for the
    tick in the making."""

    connection: ConnectionLimits = field(
        default_factory=lambda: ConnectionLimits(messages_per_second=100.0, idle_seconds=60.0)
    )
    start_seconds: float = 10.0
    start_bytes: int = 12_000_000
    session_seconds: float = 600.0
    num_events: int = 16


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Held(_Strict):
    """An action. mode: `hold`, until the next one comes. data: numbers of each action stream; null leaves it
    to the world."""

    mode: Literal["hold"] = "hold"
    data: dict[str, _Numbers] | None


class Modalities(_Strict):
    action: Held


class Event(_Strict):
    prompt: str | None = Field(default=None, min_length=1, max_length=2000)
    multi_modal_data: Modalities | None = None


class Interaction(_Strict):
    event_id: str = Field(default_factory=lambda: secrets.token_hex(8), min_length=1, max_length=100)
    event: Event
    transition_chunks: int | None = Field(default=None, ge=0, le=1)


class Interact(_Strict):
    type: Literal["session.interaction"]
    interaction: Interaction


class Ping(_Strict):
    type: Literal["session.ping"]


class Stop(_Strict):
    type: Literal["session.stop"]


_MESSAGE: TypeAdapter[Interact | Ping | Stop] = TypeAdapter(
    Annotated[Interact | Ping | Stop, Field(discriminator="type")]
)


class _Event(NamedTuple):
    """An interaction that was taken. acts: whether it changes the action; to None leaves it to the world."""

    event_id: str
    acts: bool
    action: Action | None


class Realtime:
    """One socket's session. models: by name, the first the default. decoding: held by whoever decodes a
    picture, one at a time in the whole service."""

    def __init__(
        self, socket: WebSocket, models: Mapping[str, Model], limits: RealtimeLimits, decoding: asyncio.Lock
    ) -> None:
        self._connection, self._models, self._limits = Connection(socket, limits.connection), models, limits
        self._thread, self._decoding = WorldThread(), decoding
        self._id = f"video_stream-{secrets.token_hex(16)}"
        self._stopped = asyncio.Event()
        self._action: Action | None = None
        self._events: list[_Event] = []
        self._active: list[str] = []
        self._num_chunks = 0

    async def serve(self) -> None:
        """Serve the socket until the film ends or the peer leaves. `Closing` for one that is let go."""
        session: Session | None = None
        try:
            resolved, num_ticks = await self._start()
            given = await self._given(resolved)
            session = await self._thread.run(resolved.model.playable.make)
            await self._play(session, resolved, num_ticks, given)
        except UserError as error:
            await self._send_error(error)
            raise Closing(1008, str(error)) from error
        finally:
            if session is not None:
                await self._thread.run(session.close)
            self._thread.close()

    # ---- what the peer says --------------------------------------------------------------------------

    async def _start(self) -> tuple[ResolvedRequest, int]:
        """What the first message asks for, and for how many ticks."""
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                fields = _object(await self._connection.receive_text(self._limits.start_bytes))
        except TimeoutError as error:
            raise BadUse("session.start did not come in time") from error
        if fields.pop("type", None) != "session.start":
            raise BadUse("the first message is session.start")
        if fields.pop("format", "m4s") != "m4s":
            raise BadUse("format: only m4s can be sent")
        longest = self._limits.session_seconds
        if fields.get("seconds") is None and fields.get("num_frames") is None:
            fields["seconds"] = longest
        resolved = await self._thread.run(
            lambda: resolve_request(fields, None, self._models, longest, is_text=False)
        )
        if resolved.film.size != resolved.model.size:
            raise BadUse("size: a live world has its own; leave it out")
        return resolved, resolved.model.spec.clock.num_ticks(resolved.film.seconds)

    async def _given(self, resolved: ResolvedRequest) -> dict[str, Array] | None:
        """The first tick, where it starts from a picture."""
        picture, playable = resolved.picture, resolved.model.playable
        if picture is None:
            return None
        try:
            async with self._decoding:
                pixels = await self._thread.run(lambda: decode_upload(picture, playable.picture_side))
        except UserError as error:
            raise BadUse(f"input_reference: {error}") from error
        return standing(playable.spec, pixels)

    async def _listen(self, session: Session) -> None:
        """Take in messages until the peer stops or leaves. They are read faster than they are answered, so
        that a flood is seen for what it is."""
        waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        answering = asyncio.create_task(self._answer(session, waiting))
        try:
            while not answering.done():
                text = await self._connection.receive_text()
                if waiting.full():
                    raise Closing(1008, "too many messages a second")
                waiting.put_nowait(text)
            await answering
        finally:
            answering.cancel()

    async def _answer(self, session: Session, waiting: asyncio.Queue[str]) -> None:
        """Obey messages; what is wrong is said, and the world goes on."""
        while not self._stopped.is_set():
            try:
                message = _parsed(await waiting.get())
                if isinstance(message, Interact):
                    await self._take(session, message.interaction)
                elif isinstance(message, Ping):
                    await self._connection.send_json({"type": "session.pong"})
                else:
                    self._stopped.set()
            except UserError as error:
                await self._send_error(error)

    async def _take(self, session: Session, interaction: Interaction) -> None:
        """Let a sentence happen, and queue an action for the next tick."""
        event = interaction.event
        try:
            if event.prompt is None and event.multi_modal_data is None:
                raise BadUse("an interaction has a prompt, or an action in event.multi_modal_data")
            if len(self._events) >= self._limits.num_events:
                raise BadUse("too many interactions at once; one a tick is enough")
            acts = event.multi_modal_data is not None
            data = None if event.multi_modal_data is None else event.multi_modal_data.action.data
            action = None if data is None else action_from_numbers(session.world.spec, data)

            def take() -> None:
                if event.prompt is not None:
                    session.direct(event.prompt)
                self._events.append(_Event(interaction.event_id, acts, action))

            await self._thread.run(take)
        except UserError as error:
            await self._send_error(error, code="interaction_failed", event_id=interaction.event_id)
            return
        queued = {"request_id": self._id, "event_id": interaction.event_id}
        await self._connection.send_json({"type": "session.interaction.queued", **queued})

    # ---- what the peer is sent -----------------------------------------------------------------------

    async def _play(
        self,
        session: Session,
        resolved: ResolvedRequest,
        num_ticks: int,
        given: Mapping[str, Array] | None,
    ) -> None:
        asked = resolved.film
        start = Start(asked.seed, asked.prompt or None, given)
        tick = await self._thread.run(lambda: session.reset(start))
        seconds = num_ticks * session.world.spec.clock.tick_seconds  # whole ticks
        config = {**asdict(asked), "seconds": seconds, "size": "{}x{}".format(*asked.size)}
        await self._connection.send_json(
            {"type": "video.start", "request_id": self._id, "format": "m4s", "config": config}
        )
        listening = asyncio.create_task(self._listen(session))
        try:
            film = _Film(resolved)
            ended = await self._ticks(session, film, tick, num_ticks, listening)
            await self._send_piece(await self._thread.run(film.rest), {"kind": "trailer", "num_frames": 0})
            await self._connection.send_json(
                {
                    "type": "session.done",
                    "request_id": self._id,
                    "chunks": self._num_chunks,
                    "stopped": self._stopped.is_set(),
                    "ended": ended,
                }
            )
        finally:
            listening.cancel()

    async def _ticks(
        self, session: Session, film: _Film, tick: Tick, num_ticks: int, listening: asyncio.Task[None]
    ) -> str:
        """Send tick after tick; how the world ended, empty where it did not."""
        spec = session.world.spec
        due = time.monotonic()
        for number in range(num_ticks):
            started: list[str] = []
            if number:
                await asyncio.sleep(due - time.monotonic())
                if listening.done():
                    await listening  # raises what ended it
                if self._stopped.is_set():
                    return ""
                tick, started = await self._thread.run(lambda: self._step(session))
            due = max(due + spec.clock.tick_seconds, time.monotonic())
            piece = await self._thread.run(lambda t=tick: film.piece(t))
            senses = {"touch": touch_map(spec, tick), "numbers": short_numbers(spec, tick)}
            metadata = {
                "kind": "media",
                "num_frames": spec.clock.frames_per_tick,
                "generation_chunk_index": number,
                "started_event_ids": started,
                "active_event_ids": self._active,
                "completed_event_ids": started,
                "multi_modal_data": {**senses, "reward": tick.reward, "ended": tick.ended},
            }
            await self._send_piece(piece, metadata)
            if tick.ended:
                return tick.ended
        return ""

    def _step(self, session: Session) -> tuple[Tick, list[str]]:
        """The next tick, under the last action that was taken, and the ids of the events that begin."""
        taken, self._events = self._events, []
        for event in taken:
            if event.acts:
                self._action, self._active = event.action, [event.event_id]
        return session.step(self._action), [event.event_id for event in taken]

    async def _send_piece(self, piece: bytes, metadata: Mapping[str, Any]) -> None:
        about = {"request_id": self._id, "transport_chunk_index": self._num_chunks, "byte_length": len(piece)}
        await self._connection.send_json({"type": "video.chunk_metadata", **metadata, **about}, piece)
        self._num_chunks += 1

    async def _send_error(self, error: UserError, **more: str) -> None:
        await self._connection.send_json(
            {"type": "error", "message": str(error), "request_id": self._id, **more}
        )


class _Film:
    """Ticks of a world as pieces of a film."""

    def __init__(self, resolved: ResolvedRequest) -> None:
        clock, asked = resolved.model.spec.clock, resolved.film
        self._sound = FilmSound(clock.samples_per_second) if asked.generate_sound else None
        rate = None if self._sound is None else self._sound.samples_per_second
        width, height = resolved.model.size
        self._sides = (height, width)
        tags = film_tags(asked.prompt or None, asked.seed, {"model": resolved.model.name})
        self._stream = FilmStream(clock.frames_per_second, rate, self._sides, tags)

    def piece(self, tick: Tick) -> bytes:
        sound = None if self._sound is None else self._sound.resampled(tick.observation["audio.main"])
        return self._stream.encoded(tick.observation["video.main"], sound)

    def rest(self) -> bytes:
        """What is still on its way at the end."""
        last = b""
        if self._sound is not None:
            last = self._stream.encoded(np.zeros((0, *self._sides, 3), np.uint8), self._sound.rest())
        return last + self._stream.rest()


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadUse("this is no JSON") from error
    if not isinstance(values, dict):
        raise BadUse("a message is a JSON object")
    return values


def _parsed(text: str) -> Interact | Ping | Stop:
    try:
        return _MESSAGE.validate_json(text)
    except ValidationError as error:
        raise BadUse(first_problem(error)) from error
