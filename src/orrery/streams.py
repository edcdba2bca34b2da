"""The words everyone shares: clocks, stream specs, ticks, events and episodes.

A world emits *streams* on one clock. A *tick* is the smallest step: a fixed whole number of video frames
with all samples of the same instant. One tick of a stream is one array; an observation is a dictionary of
such arrays with a leading batch axis; an episode is the same dictionary with a leading tick axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Clock",
    "Episode",
    "Event",
    "Kind",
    "Observation",
    "Role",
    "StreamSpec",
    "WorldSpec",
]

Array = NDArray[Any]
Observation = dict[str, Array]
"""Stream name to one tick of payload, `[B, *spec.shape]`."""


@dataclass(frozen=True)
class Clock:
    """One clock for all streams.

    frames_per_second: video frames a second.
    frames_per_tick: video frames in a tick.
    samples_per_second: audio samples a second; `samples_per_tick` must come out whole.
    """

    frames_per_second: int = 24
    frames_per_tick: int = 2
    samples_per_second: int = 24_000

    def __post_init__(self) -> None:
        if min(self.frames_per_second, self.frames_per_tick, self.samples_per_second) <= 0:
            raise ValueError(f"every rate of a clock is positive, got {self}")
        if (self.samples_per_second * self.frames_per_tick) % self.frames_per_second:
            raise ValueError(f"samples per tick are not a whole number for {self}")

    @property
    def tick_seconds(self) -> float:
        return self.frames_per_tick / self.frames_per_second

    @property
    def samples_per_tick(self) -> int:
        return self.samples_per_second * self.frames_per_tick // self.frames_per_second

    @property
    def ticks_per_second(self) -> float:
        return self.frames_per_second / self.frames_per_tick

    def num_ticks(self, seconds: float) -> int:
        """Fewest whole ticks that cover `seconds`."""
        return max(1, int(np.ceil(seconds * self.ticks_per_second - 1e-9)))


Kind = str
"""What a payload is, and so how it is learned: one of `KINDS`."""
KINDS = ["video", "audio", "vector", "choice", "text"]
"""The kinds there are; `orrery.models.tokenizers.register` adds one."""
Role = Literal["given", "observed", "outcome"]
"""given: what is done or said to the world (actions, text). observed: what it shows. outcome: what comes of
it (reward, termination)."""


@dataclass(frozen=True)
class StreamSpec:
    """One stream: what one tick of it looks like.

    name: a word, or `word.instance`, such as `video.main`, `action`, `observation.position`.
    kind: `video` is `[frames, H, W, 3]` uint8; `audio` `[samples, channels]` float32 with full scale 1;
    `choice` one index in `[0, num_choices)`, `[frames, 1]` or `[1]` int64; everything else that is numbers is
    a `vector`, float32. (A simulator's maps of depth and labels are vectors that keep their own type.) A kind
    that was registered is what its tokenizer says.
    shape: payload of one tick, without batch.
    dtype: numpy dtype name.
    unit: physical unit of the payload.
    low, high: inclusive range that values keep; None where unbounded.
    num_choices: possibilities of a choice; 0 for every other kind.
    groups: equal parts of a vector, such as object slots, joints, boxes, keypoints or taxels.
    located_in: the video stream in which each group has a place: its first numbers are u, v, width, height
    and depth there. Empty for a stream that is not located.
    """

    name: str
    kind: Kind
    role: Role
    shape: tuple[int, ...]
    dtype: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    num_choices: int = 0
    groups: int = 1
    located_in: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.role not in get_args(Role):
            kinds, roles = ", ".join(KINDS), ", ".join(get_args(Role))
            raise ValueError(
                f"{self.name}: a stream's kind is one of {kinds} and its role one of {roles}, "
                f"got {self.kind!r} and {self.role!r}"
            )
        if (self.kind == "choice") != (self.num_choices > 0):
            raise ValueError(f"{self.name}: a choice, and only a choice, has num_choices above 0")
        if self.kind == "choice" and (self.dtype != "int64" or int(np.prod(self.shape[1:])) != 1):
            raise ValueError(
                f"{self.name}: a choice is one int64 index, [frames, 1] or [1], "
                f"got {list(self.shape)} {self.dtype}"
            )
        if self.groups < 1 or (self.kind != "vector" and self.groups > 1):
            raise ValueError(f"{self.name}: only a vector has groups, and at least one, got {self.groups}")

    @property
    def is_numbers(self) -> bool:
        """Whether a tick of it is a few exact numbers, and no picture, sound or sentence."""
        return self.kind not in ("video", "audio", "text")

    def zeros(self, *leading: int) -> Array:
        """An array of zeros with the given leading axes."""
        return np.zeros((*leading, *self.shape), self.dtype)

    def check(self, value: Array, num_leading: int = 1) -> None:
        """Raise ValueError if `value` (with `num_leading` leading axes) is not a payload of this stream."""
        if value.shape[num_leading:] != self.shape:
            raise ValueError(f"{self.name}: expected [..., {self.shape}], got {value.shape}")
        if value.dtype != np.dtype(self.dtype):
            raise ValueError(f"{self.name}: expected {self.dtype}, got {value.dtype}")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{self.name}: values that are not finite")
        low, high = (0, self.num_choices - 1) if self.kind == "choice" else (self.low, self.high)
        if value.size and low is not None and value.min() < low - 1e-6:
            raise ValueError(f"{self.name}: {value.min()} is under {low} {self.unit}")
        if value.size and high is not None and value.max() > high + 1e-6:
            raise ValueError(f"{self.name}: {value.max()} is over {high} {self.unit}")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StreamSpec:
        """A spec from its plain values; kind and role are taken from the name where they were not written,
        as in data sets of an earlier form."""
        return cls(**{**_by_name(values["name"]), **values, "shape": tuple(values["shape"])})


def _by_name(name: str) -> dict[str, str]:
    """Kind and role of a stream of an earlier form, in which names alone told them."""
    word = name.partition(".")[0]
    kind = word if word in ("video", "audio", "text") else "vector"
    role = {"action": "given", "text": "given", "reward": "outcome", "terminated": "outcome"}
    return {"kind": kind, "role": role.get(word, "observed")}


@dataclass(frozen=True)
class WorldSpec:
    """All streams of a world, on one clock.

    streams: name to spec. Streams that a world does not have are simply absent.
    environment: plain values that say which Gymnasium environment it is (`id`, `options`, `observation_space`
    and `action_space` as `orrery.worlds.gymnasium.spaces` writes them, `max_episode_steps`, `render_fps`,
    `ticks_per_second`); empty for any other world.
    """

    clock: Clock
    streams: Mapping[str, StreamSpec]
    environment: Mapping[str, Any] = field(default_factory=dict)

    def of_kind(self, kind: Kind) -> list[StreamSpec]:
        """Specs of one kind (`video`, `audio`, ...), in order."""
        return [spec for spec in self.streams.values() if spec.kind == kind]

    def of_role(self, role: Role) -> list[StreamSpec]:
        """Specs of one role (`given`, `observed`, `outcome`), in order."""
        return [spec for spec in self.streams.values() if spec.role == role]

    def named(self, word: str) -> list[StreamSpec]:
        """Specs whose name is `word` or `word.instance` (`touch.finger` is a `touch`), in order."""
        return [spec for name, spec in self.streams.items() if name.partition(".")[0] == word]

    def only(self, names: Iterable[str]) -> WorldSpec:
        """The same world with only the named streams."""
        keep = set(names)
        return replace(self, streams={n: s for n, s in self.streams.items() if n in keep})

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "clock": vars(self.clock).copy(),
            "streams": [{**vars(s), "shape": list(s.shape)} for s in self.streams.values()],
            **({"environment": dict(self.environment)} if self.environment else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldSpec:
        """A spec from `to_json`'s values."""
        streams = [StreamSpec.from_json(s) for s in values["streams"]]
        environment = values.get("environment", {})
        return cls(Clock(**values["clock"]), {s.name: s for s in streams}, environment)


@dataclass(frozen=True)
class Event:
    """Something that happened at an instant.

    seconds: since the episode's start. kind: `impact`, `touch`, `rest` or `exit` (from the picture).
    a, b: what took part (`object0`, `table`, `finger`, ...). impulse_ns: newton seconds along the normal.
    position_m: world frame.
    """

    seconds: float
    kind: str
    a: str
    b: str
    impulse_ns: float = 0.0
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    materials: tuple[str, str] = ("", "")


@dataclass
class Episode:
    """A finished stretch of a world's life.

    streams: name to `[num_ticks, *spec.shape]`; a stream that was not recorded is absent.
    text: the sentence that describes it. scene: the scene's plain values, where the world has one.
    """

    spec: WorldSpec
    streams: dict[str, Array]
    text: str = ""
    events: list[Event] = field(default_factory=list)
    seed: int = 0
    scene: dict[str, Any] = field(default_factory=dict)

    @property
    def num_ticks(self) -> int:
        return len(next(iter(self.streams.values())))

    def check(self) -> None:
        """Raise ValueError if a stream breaks its spec or the streams differ in length."""
        for name, value in self.streams.items():
            self.spec.streams[name].check(value)
            if len(value) != self.num_ticks:
                raise ValueError(f"{name}: {len(value)} ticks where others have {self.num_ticks}")
