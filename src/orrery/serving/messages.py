"""What a page may say to a session, checked at the edge: anything else is refused with a reason."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orrery.errors import BadUse

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_SEED",
    "Acknowledge",
    "Act",
    "Direct",
    "Message",
    "Pause",
    "Record",
    "Reset",
    "Rewind",
    "StepOnce",
    "first_problem",
    "parse_message",
]

MAX_MESSAGE_BYTES = 16_384
MAX_SEED = 2**53 - 1
"""The largest whole number that every JSON reader keeps."""

_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Act(_Message):
    """What is done from the next tick on. values: stream name to its numbers, None to leave it to the world.
    stamp: sent back with every tick that is made under it."""

    type: Literal["action"]
    values: dict[str, Annotated[list[_Number], Field(max_length=1024)]] | None
    stamp: _Number = 0.0


class Direct(_Message):
    """A sentence that is to happen from the next tick on."""

    type: Literal["direct"]
    sentence: str = Field(min_length=1, max_length=500)


class Acknowledge(_Message):
    """A tick was shown; the last but one must be before the next is made."""

    type: Literal["ack"]
    id: int = Field(ge=0)


class Pause(_Message):
    type: Literal["pause"]
    on: bool


class StepOnce(_Message):
    """One tick, while paused."""

    type: Literal["step"]


class Rewind(_Message):
    type: Literal["rewind"]
    mark: int = Field(ge=0)


class Reset(_Message):
    """Start again: from a seed, a sentence, a picture (the name that its upload was given), or a recorded
    episode; with the real world beside or without."""

    type: Literal["reset"]
    seed: int = Field(ge=0, le=MAX_SEED)
    prompt: str | None = Field(default=None, max_length=500)
    picture: str | None = Field(default=None, max_length=100)
    recording: int | None = Field(default=None, ge=0)
    beside: bool = False


class Record(_Message):
    type: Literal["record"]
    on: bool


Message = Act | Acknowledge | Direct | Pause | StepOnce | Rewind | Reset | Record
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse_message(text: str) -> Message:
    """BadUse that says where a message is wrong."""
    try:
        return _MESSAGE.validate_json(text)
    except ValidationError as error:
        raise BadUse(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """Where a message is wrong, and what is."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where or 'message'}: {first['msg']}"
