"""What a request for a film asks for, checked at the edge: everything is followed, or refused by its name.

The fields are those of vLLM-Omni's video API and OpenAI's. A field that no model here can follow yet is
refused where it says anything, so that nobody gets a film that ignores half of what was asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orrery.errors import BadUse, UserError
from orrery.serving.decode import MAX_PICTURE_BYTES
from orrery.serving.jobs import FilmSpec
from orrery.serving.messages import MAX_SEED
from orrery.serving.models import Model

__all__ = ["UNFOLLOWED", "FilmRequest", "Refused", "ResolvedRequest", "resolve_request"]

DEFAULT_SECONDS = 4.0
UNFOLLOWED = (
    "audio_noise_mask",
    "audio_reference",
    "boundary_ratio",
    "character_ids",
    "control_reference",
    "control_type",
    "enable_frame_interpolation",
    "extra_params",
    "flow_shift",
    "frame_interpolation_exp",
    "frame_interpolation_model_path",
    "frame_interpolation_scale",
    "guidance_scale",
    "guidance_scale_2",
    "lora",
    "negative_prompt",
    "num_inference_steps",
    "sound_duration",
    "source_audio",
    "source_video",
    "true_cfg_scale",
    "video_noise_mask",
    "video_params",
    "video_reference",
)
"""Fields that are known and that no model here can follow yet."""
_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Refused(BadUse):
    """A request that is wrong. field: the one that is, None for the whole."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class FilmRequest(BaseModel):
    """A request for a film."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(default="", max_length=2000, description="A sentence; empty for a model without them")
    model: str | None = Field(default=None, max_length=500, description="One of /v1/videos/models")
    seconds: float | str | None = Field(
        default=None, description="Length, a number or its text; 4 if left out"
    )
    size: str | None = Field(default=None, max_length=20, description="WIDTHxHEIGHT; the model's if left out")
    width: _Count | None = None
    height: _Count | None = None
    num_frames: _Count | None = Field(default=None, description="Length in frames, instead of seconds")
    fps: _Count | None = Field(default=None, description="Only the model's own")
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="Drawn by chance if left out")
    generate_sound: bool | None = Field(
        default=None, description="With sound where there is any, if left out"
    )
    input_reference: dict[str, Any] | str | None = Field(
        default=None, description='A file, or {"image_url": "data:image/png;base64,…"}: the first picture'
    )
    image_reference: dict[str, Any] | str | None = Field(default=None, description="The same, as JSON")
    user: str | None = Field(default=None, max_length=200, description="Given back as it came")


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with nothing left open. picture: the bytes of an upload, not looked into yet."""

    model: Model
    film: FilmSpec
    picture: bytes | None


def resolve_request(
    fields: Mapping[str, Any],
    picture: bytes | None,
    models: Mapping[str, Model],
    max_seconds: float,
    is_text: bool,
) -> ResolvedRequest:
    """What is asked for by the fields of a request. is_text: all of them are text, as a form's. `Refused`
    names the field that is wrong or that the model cannot follow."""
    asked = _parsed(fields, is_text)
    model = _model(asked, models)
    if not model.makes_films:
        raise Refused(f"{model.name} has no pictures to make a film of", "model")
    if asked.prompt and not model.playable.sentences:
        raise Refused(f"{model.name} follows no sentences; send an empty prompt", "prompt")
    if model.playable.sentences and not asked.prompt.strip():
        raise Refused("prompt: say what is to happen", "prompt")
    try:
        if asked.prompt:
            model.check_prompt(asked.prompt)
    except UserError as error:
        raise Refused(f"prompt: {error}", "prompt") from error
    picture = _picture(asked, picture)
    if picture is not None and not model.follows_pictures:
        raise Refused(f"{model.name} cannot start from a picture yet; leave it out", "input_reference")
    if asked.generate_sound and not model.makes_sound:
        raise Refused(f"{model.name} makes no sound; leave generate_sound out", "generate_sound")
    sound = model.makes_sound if asked.generate_sound is None else asked.generate_sound
    film = FilmSpec(
        model=model.name,
        prompt=asked.prompt,
        seconds=_seconds(asked, model, max_seconds),
        size=_size(asked, model),
        seed=secrets.randbelow(2**31) if asked.seed is None else asked.seed,
        generate_sound=sound,
        has_picture=picture is not None,
        user=asked.user,
    )
    return ResolvedRequest(model, film, picture)


def _parsed(fields: Mapping[str, Any], is_text: bool) -> FilmRequest:
    for name in UNFOLLOWED:
        if fields.get(name) not in (None, "", False, "false", {}, []):
            raise Refused(f"{name}: no model here can follow it yet; leave it out", name)
    known = {name: value for name, value in fields.items() if name not in UNFOLLOWED}
    if is_text:  # a form has no null: an empty field is one that was left out
        known = {name: value for name, value in known.items() if value != "" or name == "prompt"}
    try:
        return FilmRequest.model_validate(known, strict=not is_text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else None
        said = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refused(f"{field or 'request'}: {said}", field) from error


def _model(asked: FilmRequest, models: Mapping[str, Model]) -> Model:
    if asked.model is None:
        return next(iter(models.values()))
    if asked.model not in models:
        raise Refused(f"no model {asked.model[:100]!r}; there are {', '.join(models)}", "model")
    return models[asked.model]


def _seconds(asked: FilmRequest, model: Model, max_seconds: float) -> float:
    fps = model.spec.clock.frames_per_second
    if asked.fps is not None and asked.fps != fps:
        raise Refused(f"fps: {model.name} has {fps} frames a second; leave it out", "fps")
    if asked.num_frames is not None and asked.seconds is not None:
        raise Refused("num_frames: give the seconds or the number of frames, not both", "num_frames")
    if asked.num_frames is not None:
        seconds, field = asked.num_frames / fps, "num_frames"
    else:
        field = "seconds"
        try:
            seconds = DEFAULT_SECONDS if asked.seconds is None else float(asked.seconds)
        except ValueError as error:
            raise Refused("seconds: a number is needed", "seconds") from error
        seconds = min(seconds, max_seconds) if asked.seconds is None else seconds
    if not 1 / fps <= seconds <= max_seconds:  # nan is neither
        raise Refused(f"{field}: a film is from {1 / fps:.3f} to {max_seconds:g} s long", field)
    return seconds


def _size(asked: FilmRequest, model: Model) -> tuple[int, int]:
    size, field = model.size, "size"
    if asked.size is not None:
        found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", asked.size, re.ASCII)
        if found is None:
            raise Refused("size: WIDTHxHEIGHT is needed, such as 128x128", "size")
        size = (int(found[1]), int(found[2]))
    if asked.width is not None or asked.height is not None:
        if asked.size is not None or asked.width is None or asked.height is None:
            raise Refused("width: give width and height together, or size, not both", "width")
        size, field = (asked.width, asked.height), "width"
    try:
        model.check_size(size)
    except BadUse as error:
        raise Refused(f"{field}: {error}", field) from error
    return size


def _picture(asked: FilmRequest, uploaded: bytes | None) -> bytes | None:
    """The bytes of the picture to start from, however it came."""
    references = {
        n: v for n in ("input_reference", "image_reference") if (v := getattr(asked, n)) is not None
    }
    if len(references) + (uploaded is not None) > 1:
        raise Refused("image_reference: one picture at most can be given", "image_reference")
    for name, reference in references.items():
        return _inline(name, reference)
    if uploaded is not None and len(uploaded) > MAX_PICTURE_BYTES:
        raise Refused(
            f"input_reference: a picture has at most {MAX_PICTURE_BYTES:,} bytes", "input_reference"
        )
    return uploaded


def _inline(name: str, reference: dict[str, Any] | str) -> bytes:
    """The bytes of a picture in a data URL. Nothing is fetched: an address of elsewhere is refused."""
    if isinstance(reference, str) and reference.lstrip().startswith("{"):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError) as error:
            raise Refused(f"{name}: this is no JSON", name) from error
    url = reference.get("image_url") if isinstance(reference, dict) else reference
    if isinstance(reference, dict) and set(reference) != {"image_url"}:
        raise Refused(f'{name}: only {{"image_url": "data:image/…;base64,…"}} can be given', name)
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise Refused(
            f"{name}: only a data:image/… URL can be given; nothing is fetched from elsewhere", name
        )
    head, _, content = url.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError
        picture = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{name}: the data URL is not in base64", name) from error
    if len(picture) > MAX_PICTURE_BYTES:
        raise Refused(f"{name}: a picture has at most {MAX_PICTURE_BYTES:,} bytes", name)
    return picture
