"""One page plays one session: what it says is obeyed between ticks, and ticks come as fast as it shows them.

Nothing is queued. The next tick is made once the last but one was shown, and at most at the world's own rate;
of actions only the last counts. So a page that is slow, asleep or gone costs nothing but its own world.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from orrery.errors import BadUse, UserError
from orrery.serving.controls import action_from_numbers, control_table
from orrery.serving.messages import (
    MAX_MESSAGE_BYTES,
    Acknowledge,
    Act,
    Direct,
    Message,
    Pause,
    Record,
    Reset,
    Rewind,
    StepOnce,
    parse_message,
)
from orrery.serving.opening import Playable
from orrery.serving.recording import MAX_SECONDS, Recording
from orrery.serving.session import Action, Session, Start, Tick, standing
from orrery.serving.sockets import Closing, Connection, ConnectionLimits
from orrery.serving.wire import thumbnail_message, tick_message
from orrery.serving.world_thread import WorldThread
from orrery.streams import Array

__all__ = ["Limits", "Player"]


@dataclass(frozen=True)
class Limits:
    """What a page may ask for. unshown: ticks that were sent and not shown yet. commands: that wait for the
    tick in the making. messages_per_second: on average over some seconds. idle_seconds: without a word."""

    unshown: int = 2
    commands: int = 16
    messages_per_second: float = 300.0
    idle_seconds: float = 1800.0


class Player:
    """Joins one socket and one session. pictures: that were uploaded, by name. recordings: where finished
    ones can be fetched, by a name that nobody guesses; this player takes its own out when it ends."""

    def __init__(
        self,
        socket: WebSocket,
        playable: Playable,
        pictures: Mapping[str, Array],
        recordings: dict[str, Recording],
        limits: Limits,
    ) -> None:
        line = ConnectionLimits(MAX_MESSAGE_BYTES, limits.messages_per_second, limits.idle_seconds)
        self._connection, self._playable, self._limits = Connection(socket, line), playable, limits
        self._thread = WorldThread()
        self._session: Session | None = None
        self._pictures = pictures
        self._shared, self._mine = recordings, list[str]()
        self._recording: Recording | None = None
        self._changed = asyncio.Event()
        self._commands: list[Direct | Rewind | Reset | Record] = []
        self._action: Action | None = None
        self._stamp = 0.0
        self._is_running, self._num_steps = False, 0
        self._num_sent = self._num_shown = 0
        self._known_marks: set[int] = set()

    async def play(self) -> None:
        """Serve the page until it leaves. Raises `Closing` for one that must not stay."""
        closing: Closing | None = None
        try:
            session = self._session = await self._thread.run(lambda: self._playable.make(rewinds=True))
            await self._send(self._hello(session))
            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(self._tick())
                await self._listen()
                ticking.cancel()
        except* WebSocketDisconnect:
            pass
        except* Closing as closings:
            closing = next(error for error in closings.exceptions if isinstance(error, Closing))
        finally:
            await self._end()
        if closing is not None:
            raise closing

    async def _end(self) -> None:
        for name in self._mine:
            self._shared.pop(name).discard()
        if self._recording is not None:
            await self._thread.run(self._recording.discard)
        if self._session is not None:
            await self._thread.run(self._session.close)
        self._thread.close()

    # ---- what the page says --------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Take in messages until the page leaves."""
        while True:
            text = await self._connection.receive_text()
            try:
                self._handle(parse_message(text))
            except BadUse as error:
                raise Closing(1008, str(error)) from error
            self._changed.set()

    def _handle(self, message: Message) -> None:
        if isinstance(message, Act):
            assert self._session is not None
            spec = self._session.world.spec
            self._action = None if message.values is None else action_from_numbers(spec, message.values)
            self._stamp = message.stamp
        elif isinstance(message, Acknowledge):
            if message.id > self._num_sent:
                raise BadUse(f"tick {message.id} was not sent yet")
            self._num_shown = max(self._num_shown, message.id)
        elif isinstance(message, Pause):
            self._is_running = not message.on
        elif isinstance(message, StepOnce):
            self._num_steps = min(self._num_steps + 1, self._limits.commands)
        elif len(self._commands) >= self._limits.commands:
            raise BadUse("too much was asked for at once")
        else:
            self._commands.append(message)

    # ---- what the session does -----------------------------------------------------------------------

    async def _tick(self) -> None:
        assert self._session is not None
        tick_seconds = self._session.world.spec.clock.tick_seconds
        due = time.monotonic()
        while True:
            self._changed.clear()
            while self._commands:
                await self._run_command(self._commands.pop(0))
            if not self._is_due():
                await self._changed.wait()
                continue
            await asyncio.sleep(due - time.monotonic())
            due = max(due + tick_seconds, time.monotonic())
            if not self._commands:
                await self._step()

    def _is_due(self) -> bool:
        started = self._session is not None and self._session.start is not None
        wanted = started and (self._is_running or self._num_steps > 0)
        return wanted and self._num_sent - self._num_shown < self._limits.unshown

    async def _step(self) -> None:
        assert self._session is not None
        self._num_steps = max(0, self._num_steps - 1)
        session, action, stamp = self._session, self._action, self._stamp
        started = time.perf_counter()
        try:
            tick = await self._thread.run(lambda: session.step(action))
        except UserError as error:
            self._is_running = False
            await self._send_refusal(error)
            return
        await self._record_tick(tick)
        made = time.perf_counter() - started
        await self._show(tick, stamp=stamp, made_ms=round(1000 * made, 1))
        if tick.ended:
            self._is_running, self._num_steps = False, 0
            await self._send({"type": "state", "running": False})

    async def _run_command(self, command: Direct | Rewind | Reset | Record) -> None:
        try:
            if isinstance(command, Reset):
                await self._reset(command)
            elif isinstance(command, Rewind):
                assert self._session is not None
                session, mark = self._session, command.mark
                tick = await self._thread.run(lambda: session.rewind(mark))
                if not tick.repeats:
                    await self._send({"type": "notice", "text": "This world did not repeat itself exactly."})
                await self._show(tick, jump=True)
            elif isinstance(command, Direct):
                await self._direct(command.sentence)
            else:
                await self._record(command.on)
        except UserError as error:
            await self._send_refusal(error)

    async def _direct(self, sentence: str) -> None:
        assert self._session is not None
        session = self._session
        try:
            await self._thread.run(lambda: session.direct(sentence))
        except UserError as error:  # the world goes on as it was
            await self._send({"type": "directed", "sentence": sentence, "refused": str(error)})
            return
        await self._send({"type": "directed", "sentence": sentence, "refused": None})

    async def _reset(self, command: Reset) -> None:
        assert self._session is not None
        await self._stop_recording()
        if command.beside != (self._session.beside is not None):
            session = await self._thread.run(lambda: self._playable.make(command.beside, rewinds=True))
            await self._thread.run(self._session.close)
            self._session = session
        session = self._session
        start = await self._thread.run(lambda: self._start(session, command))
        tick = await self._thread.run(lambda: session.reset(start))
        self._known_marks = set()
        self._num_steps = 0
        await self._send(
            {
                "type": "started",
                "seed": command.seed,
                "prompt": command.prompt,
                "beside": session.beside is not None,
                "rewind": _rewinds(session),
                "no_snapshots": session.keeps_no_snapshots,
                "directs": session.can_direct,
            }
        )
        await self._show(tick, jump=True)

    def _start(self, session: Session, command: Reset) -> Start:
        if command.prompt is not None and not self._playable.sentences:
            raise BadUse("this world does not start from a sentence; leave it out")
        given = None
        if command.picture is not None and command.recording is not None:
            raise BadUse("a world starts from a picture or from a recording, not from both")
        if command.picture is not None:
            given = standing(session.world.spec, self._picture(command.picture))
        elif command.recording is not None:
            given = self._playable.recording(command.recording, session.world.spec)
        return Start(command.seed, command.prompt, given)

    def _picture(self, name: str) -> Array:
        """That was uploaded under this name."""
        picture = self._pictures.get(name)
        if picture is None:
            raise BadUse("this picture is no longer here; choose it again")
        return picture

    # ---- recordings ----------------------------------------------------------------------------------

    async def _record(self, on: bool) -> None:
        if not on:
            await self._stop_recording()
        elif self._recording is None:
            assert self._session is not None
            if self._session.start is None:
                raise BadUse("start the world first")
            session, about = self._session, dict(self._playable.about)
            self._recording = await self._thread.run(lambda: Recording(session, about))
            await self._send({"type": "recording", "on": True, "longest": MAX_SECONDS})

    async def _record_tick(self, tick: Tick) -> None:
        recording = self._recording
        if recording is not None:
            await self._thread.run(lambda: recording.add(tick))
            if recording.is_full:
                await self._stop_recording()

    async def _stop_recording(self) -> None:
        recording, session = self._recording, self._session
        if recording is None or session is None:
            return
        self._recording = None
        try:
            await self._thread.run(lambda: recording.finish(session))
        except UserError as error:
            recording.discard()
            await self._send({"type": "recording", "on": False})
            await self._send_refusal(error)
            return
        name = secrets.token_urlsafe(16)
        self._shared[name] = recording
        self._mine.append(name)
        if len(self._mine) > 4:
            self._shared.pop(self._mine.pop(0)).discard()
        await self._send(
            {"type": "recording", "on": False, "name": name, "seconds": round(recording.seconds, 2)}
        )

    # ---- what the page is told -----------------------------------------------------------------------

    def _hello(self, session: Session) -> dict[str, Any]:
        spec, playable = session.world.spec, self._playable
        videos, audios = spec.of_kind("video"), spec.of_kind("audio")
        return {
            "type": "hello",
            "title": playable.title,
            "kind": playable.kind,
            "ticks_per_second": spec.clock.ticks_per_second,
            "picture": None if not videos else {"width": videos[0].shape[2], "height": videos[0].shape[1]},
            "sound": None
            if not audios
            else {"rate": spec.clock.samples_per_second, "channels": audios[0].shape[1]},
            "touch": next((stream.name for stream in spec.named("touch")), None),
            "controls": control_table(playable.controls or spec, playable.title),
            "sentences": playable.sentences,
            "pictures": playable.picture_side > 0,
            "recordings": playable.num_recordings,
            "beside": playable.beside,
            "rewind": _rewinds(session),
        }

    async def _show(self, tick: Tick, **more: Any) -> None:
        assert self._session is not None
        self._num_sent += 1
        spec, header = self._session.world.spec, {"id": self._num_sent, "mark": self._session.mark, **more}
        message = await self._thread.run(lambda: tick_message(spec, tick, header))
        await self._connection.send_bytes(message)
        marks = self._session.marks
        for number in sorted(marks.keys() - self._known_marks):
            await self._connection.send_bytes(thumbnail_message(spec, marks[number]))
        gone = sorted(self._known_marks - marks.keys())
        self._known_marks = set(marks)
        if gone:
            await self._send({"type": "dropped", "marks": gone})

    async def _send_refusal(self, error: UserError) -> None:
        await self._send({"type": "refused", "text": str(error)})

    async def _send(self, values: dict[str, Any]) -> None:
        await self._connection.send_json(values)


def _rewinds(session: Session) -> str:
    return "snapshots" if session.can_snapshot else "replay"
