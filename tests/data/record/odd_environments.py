"""Small environments, each odd in one way; importing registers them as `OrreryOdd/NAME-v0`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

__all__ = ["LENGTH", "NAMESPACE", "RATE", "Base", "register"]

NAMESPACE, LENGTH, RATE = "OrreryOdd", 6, 20
MISSION = spaces.Dict(
    {
        "robot": spaces.Dict({"qpos": spaces.Box(-1, 1, (7,)), "grip": spaces.Discrete(2)}),
        "mission": spaces.Text(40),
    }
)
CAMERAS = spaces.Dict(
    {
        "pixels": spaces.Dict({name: spaces.Box(0, 255, (32, 48, 3), np.uint8) for name in ("top", "wrist")}),
        "agent_pos": spaces.Box(-1, 1, (2,)),
    }
)


class Base(gymnasium.Env):
    """Ends after LENGTH steps; its picture has a bright column, further right with each step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": RATE}  # noqa: RUF012
    observation_space: Any = spaces.Box(-1, 1, (3,), np.float32)
    action_space: Any = spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.t = render_mode, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observed(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.t += 1
        return (self.observed(), *self.outcome(), {})

    def observed(self) -> Any:
        return np.full(3, self.t / 100, np.float32)

    def outcome(self) -> Any:
        return 1.0, self.t >= LENGTH, False

    def render(self) -> Any:
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:, 8 * self.t : 8 * self.t + 8] = 255
        return picture


def register(name: str, *, base: type[Base] = Base, **attributes: Any) -> str:
    """Register a class of these attributes; its name for `collect`."""
    identity = f"{NAMESPACE}/{name}-v0"
    gymnasium.register(identity, entry_point=type(name, (base,), attributes))
    return f"gym:{identity}"


def _fail(self: Base) -> Any:
    if self.t == 5:
        raise RuntimeError("the simulator diverged")
    return Base.outcome(self)


def _demanding(self: Base, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
    if "task" not in (options or {}):
        raise ValueError("reset needs options={'task': ...}")
    return Base.reset(self, seed=seed)


def _observed(name: str, space: Any, value: Any) -> None:
    register(name, observation_space=space, observed=value)


register("NoModes", metadata={})
register("ListRender", render=lambda s: [Base.render(s)])
register("Float255", render=lambda s: Base.render(s).astype(np.float32))
register("Rgba", render=lambda s: np.concatenate([Base.render(s), np.full((32, 48, 1), 255, np.uint8)], -1))
register("Grey2d", render=lambda s: Base.render(s)[..., 0])
register("Int64", render=lambda s: Base.render(s).astype(np.int64))
register("NegStride", render=lambda s: Base.render(s)[::-1, ::-1])
register("NoneRender", render=lambda s: None)
register("Resizing", render=lambda s: Base.render(s)[: 32 - s.t])
register("TextAction", action_space=spaces.Text(5))
register("SeqAction", action_space=spaces.Sequence(spaces.Discrete(3)))
_observed("DiscreteObs", spaces.Discrete(500), lambda s: s.t)
_observed("TupleObs", spaces.Tuple((spaces.Discrete(32), spaces.Discrete(11))), lambda s: (s.t, 3))
_observed(
    "NestedObs",
    MISSION,
    lambda s: {"robot": {"qpos": np.full(7, s.t / 8, np.float32), "grip": 1}, "mission": "pick up the ball"},
)
_observed(
    "Cameras",
    CAMERAS,
    lambda s: {
        "pixels": {"top": Base.render(s), "wrist": Base.render(s)[:, ::-1]},
        "agent_pos": np.zeros(2, np.float32),
    },
)
_observed("NanObs", Base.observation_space, lambda s: np.full(3, np.nan, np.float32))
_observed(
    "SomeNan",
    Base.observation_space,
    lambda s: np.array([np.nan if s.t in (0, 3) else s.t / 8, np.inf if s.t > 4 else 0.5, 7.0], np.float32),
)
_observed(
    "Sequence",
    spaces.Dict({"list": spaces.Sequence(spaces.Discrete(2)), "place": spaces.Discrete(9)}),
    lambda s: {"list": (1,) * s.t, "place": s.t},
)
_observed("WrongShape", Base.observation_space, lambda s: np.zeros(3 + s.t // 2, np.float32))
register("ArrayReward", outcome=lambda s: (np.array([1.0]), np.bool_(s.t >= LENGTH), np.bool_(False)))
register("NanReward", outcome=lambda s: (float("nan"), s.t >= LENGTH, False))
register("TwoRewards", outcome=lambda s: (np.ones(2), s.t >= LENGTH, False))
register("EndsAtOnce", outcome=lambda s: (0.0, True, False))
register("NeverEnds", outcome=lambda s: (0.0, False, False))
register("HalfRate", metadata={"render_modes": ["rgb_array"], "render_fps": 12.5})
register("Diverges", outcome=_fail)
register("NeedsOptions", reset=_demanding)
register("OldReset", reset=lambda self: np.zeros(3, np.float32))

PARTS = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(4), "in": spaces.Dict({})})
BYTES, COLOURS = spaces.Box(0, 255, (32, 48, 3), np.uint8), spaces.Box(0, 1, (32, 48, 3), np.float32)
register("ListEnds", outcome=lambda s: ([2.0], [s.t >= LENGTH], [False]))
register("BothEnds", outcome=lambda s: (1.0, s.t >= LENGTH, np.bool_(s.t >= LENGTH)))
register("TwoEnds", outcome=lambda s: (1.0, np.array([s.t >= LENGTH, False]), False))
register("WordReward", outcome=lambda s: ("much", False, False))
register("GreatReward", outcome=lambda s: (2**24 + s.t, s.t >= LENGTH, False))
register("Closing", close=lambda s: 1 / 0)
register("Exits", outcome=lambda s: (_ for _ in ()).throw(SystemExit(3)))
for _rate in ("fast", float("nan"), -5, 0):
    register(f"Rate{_rate}", metadata={"render_modes": ["rgb_array"], "render_fps": _rate})
register("OverWhite", render=lambda s: Base.render(s).astype(np.float32) * np.float32(1.0000005 / 255))
register("ReadOnly", render=lambda s: np.asfortranarray(np.broadcast_to(Base.render(s), (32, 48, 3))))
_observed(
    "MoreParts", PARTS, lambda s: {"a": np.zeros(2), "b": 1, "in": {"c": 2}, **({"d": 1} if s.t > 3 else {})}
)
_observed("LongTuple", spaces.Tuple([spaces.Discrete(3)]), lambda s: (1, 2))
_observed("Loud", BYTES, lambda s: np.full((32, 48, 3), 300 if s.t == 2 else 255))
_observed("Shares", BYTES, lambda s: np.full((32, 48, 3), 0.5, np.float32))
_observed(
    "NanColours", COLOURS, lambda s: np.full((32, 48, 3), np.nan if s.t == 2 else 1.0000001, np.float32)
)
_observed("LongChoices", spaces.MultiDiscrete([3]), lambda s: np.array([1, 2]))
_observed("Below", spaces.MultiDiscrete([3] * 20), lambda s: np.full(20, -1))
_observed("Above", spaces.MultiDiscrete([3] * 20), lambda s: np.full(20, 3))
_observed("Fraction", spaces.Discrete(5), lambda s: 2.7)
_observed("BigFraction", spaces.Box(0, 2**40, (1,), np.int64), lambda s: np.array([0.5]))
_observed("Bits", spaces.MultiBinary(3), lambda s: np.array([0, 1, 2]))
_observed("ManyBits", spaces.MultiBinary(3), lambda s: np.zeros(4, np.int8))
_observed("Complex", spaces.Box(-1, 1, (2,)), lambda s: np.array([1j, 0]))
_observed(
    "TurnedDepth", spaces.Dict({"depth": spaces.Box(0, 9, (30, 40))}), lambda s: {"depth": np.ones((40, 30))}
)
_observed(
    "ManyLabels",
    spaces.Dict({"labels": spaces.Box(0, 2**40, (64, 96), np.int64)}),
    lambda s: {"labels": np.full((64, 96), 2**30 + 1 + s.t)},
)
_observed(
    "Huge", spaces.Box(-np.inf, np.inf, (2,), np.float64), lambda s: np.array([1e300 if s.t == 2 else 1, 1])
)
_observed(
    "HugeBounds",
    spaces.Box(-1e300, 1e300, (2,), np.float64),
    lambda s: np.array([1e300 if s.t == 2 else 1, 1]),
)
_observed(
    "HugeColours",
    spaces.Box(0, 1, (32, 48, 3), np.float32),
    lambda s: np.full((32, 48, 3), 1e38 if s.t == 2 else 1, np.float64 if s.t % 2 else np.float32),
)
_observed("Fractions", spaces.Box(0, 9, (2,), np.int64), lambda s: np.array([s.t / 2 + 0.25 * (s.t > 0), 1]))
_observed(
    "Digits",
    spaces.Box(-np.inf, np.inf, (3,), np.float64),
    lambda s: np.array([s.t / 10, 2.0**24 + (s.t == 3), 1e-300 * (s.t == 4)]),
)
_observed("BelowType", spaces.Box(0, 2**32 - 1, (1,), np.uint32), lambda s: np.array([-1]))
_observed("BeyondType", spaces.Box(0, 2**32 - 1, (1,), np.uint32), lambda s: np.array([np.inf]))
_observed("OtherLetters", spaces.Text(3, charset="ab"), lambda s: "abc"[: 1 + s.t])
register("FineReward", outcome=lambda s: (s.t + 0.1, s.t >= LENGTH, False))
register(
    "BareReset",
    observation_space=spaces.Box(-1, 1, (2,)),
    reset=lambda s, seed=None, options=None: np.zeros(2),
)
