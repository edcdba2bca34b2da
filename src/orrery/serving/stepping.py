"""`WS /v1/realtime/world`: a batch of worlds for a program, exactly as they are, a tick when it says so.

Messages are binary, as `orrery.serving.arrays` packs them: `open`, then `reset`, `step` and `direct` in any
number, each answered by a `tick`, `directed` or an `error`. `orrery.serving.client.RemoteWorld` is the other
end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket

from orrery.errors import BadUse, UserError
from orrery.serving.arrays import GIVEN, MASK, pack_arrays, unpack_arrays
from orrery.serving.messages import first_problem
from orrery.serving.models import Model
from orrery.serving.sockets import Closing, Connection, ConnectionLimits
from orrery.serving.world_thread import WorldThread
from orrery.streams import Array, Observation, WorldSpec
from orrery.world import Directable, World, action_streams, actions_by_stream, close_world

__all__ = ["MAX_WORLDS", "Stepping", "stepping_limits"]

MAX_WORLDS = 64
MAX_GIVEN_TICKS = 1000


def stepping_limits() -> ConnectionLimits:
    """Of these sockets: room for given films, and no limit of messages, for each waits for its answer."""
    return ConnectionLimits(message_bytes=64_000_000, messages_per_second=1e9, idle_seconds=1800.0)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Open(_Message):
    type: Literal["open"]
    model: str | None = None
    num_worlds: int = Field(default=1, ge=1, le=MAX_WORLDS)
    streams: list[str] | None = Field(default=None, max_length=1000)


class Reset(_Message):
    type: Literal["reset"]
    seed: int = Field(ge=0, le=2**63 - 1)
    prompt: str | None = Field(default=None, max_length=2000)


class Step(_Message):
    type: Literal["step"]


class Direct(_Message):
    type: Literal["direct"]
    sentence: str = Field(min_length=1, max_length=2000)


_KINDS: dict[str, type[Open | Reset | Step | Direct]] = {
    "open": Open, "reset": Reset, "step": Step, "direct": Direct,
}  # fmt: skip


class Stepping:
    """One socket's worlds. models: by name, the first the default."""

    def __init__(self, socket: WebSocket, models: Mapping[str, Model], limits: ConnectionLimits) -> None:
        self._connection, self._models = Connection(socket, limits), models
        self._thread = WorldThread()

    async def serve(self) -> None:
        """Serve the socket until the peer leaves. Raises `Closing` for one that is let go."""
        world: World | None = None
        try:
            message, _ = _parsed(await self._connection.receive_bytes())
            if not isinstance(message, Open):
                raise Closing(1008, "the first message is open")
            world = await self._thread.run(lambda: self._opened(message))
            about = {"type": "opened", "num_worlds": world.num_worlds, "spec": world.spec.to_json()}
            about["directable"] = isinstance(world, Directable)
            await self._connection.send_bytes(pack_arrays(about, {}))
            while True:
                await self._answer(world, await self._connection.receive_bytes())
        except UserError as error:
            await self._connection.send_bytes(_error(error))
            raise Closing(1008, str(error)) from error
        finally:
            await self._thread.run(lambda: close_world(world))
            self._thread.close()

    def _opened(self, message: Open) -> World:
        name = next(iter(self._models)) if message.model is None else message.model
        if name not in self._models:
            raise BadUse(f"no model {name[:100]!r}; there are {', '.join(self._models)}")
        return self._models[name].playable.make_world(num_worlds=message.num_worlds, streams=message.streams)

    async def _answer(self, world: World, content: bytes) -> None:
        """One message. What the world refuses is said, and it goes on from where it was."""
        message, arrays = _parsed(content)
        try:
            if isinstance(message, Reset):
                tick = await self._thread.run(lambda: _reset(world, message, arrays))
            elif isinstance(message, Step):
                tick = await self._thread.run(lambda: world.step(_action(world, arrays)))
            elif isinstance(message, Direct):
                await self._thread.run(lambda: _direct(world, message, arrays))
                await self._connection.send_bytes(pack_arrays({"type": "directed"}, {}))
                return
            else:
                raise BadUse("the world is open already")
        except (UserError, ValueError) as error:
            await self._connection.send_bytes(_error(error))
            return
        await self._connection.send_bytes(await self._thread.run(lambda: _tick(world, tick)))


def _direct(world: World, message: Direct, arrays: Mapping[str, Array]) -> None:
    if not isinstance(world, Directable):
        raise BadUse("this world takes no sentence on its way")
    world.direct(message.sentence, _mask(world, arrays))


def _mask(world: World, arrays: Mapping[str, Array]) -> Array | None:
    mask = arrays.get(MASK)
    if mask is not None and (mask.shape != (world.num_worlds,) or mask.dtype != bool):
        raise BadUse(f"a mask is [{world.num_worlds}] bool, got {list(mask.shape)} {mask.dtype}")
    return mask


def _reset(world: World, message: Reset, arrays: Mapping[str, Array]) -> Observation:
    mask = _mask(world, arrays)
    given = {name.removeprefix(GIVEN): value for name, value in arrays.items() if name != MASK}
    for name, value in given.items():
        _check_given(world.spec, name, value, world.num_worlds)
    return world.reset(message.seed, prompt=message.prompt, given=given or None, mask=mask)


def _check_given(spec: WorldSpec, name: str, value: Array, num_worlds: int) -> None:
    if name not in spec.streams:
        raise BadUse(f"the world has no stream {name[:100]!r}; it has {', '.join(spec.streams)}")
    if value.ndim < 2 or value.shape[0] != num_worlds or not 1 <= value.shape[1] <= MAX_GIVEN_TICKS:
        raise BadUse(
            f"given {name}: [{num_worlds}, 1 to {MAX_GIVEN_TICKS} ticks, ...], got {list(value.shape)}"
        )
    spec.streams[name].check(value, num_leading=2)


def _action(world: World, arrays: Mapping[str, Array]) -> Any:
    """The action as `World.step` takes it: None for none, the array of one stream, a mapping of several."""
    if not arrays:
        return None
    actions = actions_by_stream(action_streams(world.spec), world.num_worlds, arrays)
    return actions["action"] if list(actions) == ["action"] else actions


def _tick(world: World, tick: Observation) -> bytes:
    """A tick, and what worlds say beside their streams, where they do: sentences, and how episodes ended."""
    header: dict[str, Any] = {"type": "tick"}
    text = getattr(world, "text", None)
    if callable(text):
        header["texts"] = [text(b) for b in range(world.num_worlds)]
    for name in ("endings", "ended"):
        if hasattr(world, name):
            header[name] = np.asarray(getattr(world, name)).tolist()
    return pack_arrays(header, tick)


def _error(error: Exception) -> bytes:
    kind = "other" if isinstance(error, UserError) and not isinstance(error, BadUse) else "use"
    return pack_arrays({"type": "error", "kind": kind, "message": str(error)}, {})


def _parsed(content: bytes) -> tuple[Open | Reset | Step | Direct, dict[str, Array]]:
    """`Closing` for what is no message at all: nothing that comes after it could be trusted."""
    try:
        header, arrays = unpack_arrays(content)
        kind = _KINDS.get(str(header.get("type")))
        if kind is None:
            raise BadUse(f"a message is one of {', '.join(_KINDS)}")
        return kind.model_validate(header), arrays
    except ValidationError as error:
        raise Closing(1008, first_problem(error)) from error
    except BadUse as error:
        raise Closing(1008, str(error)) from error
