"""Any Gymnasium environment as a world: one step is one tick of one frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from orrery.errors import BadUse, UserError, nearest
from orrery.rounding import cast
from orrery.streams import Array, Clock, Observation, StreamSpec, WorldSpec
from orrery.world import actions_by_stream
from orrery.worlds.gymnasium.depth import DepthBeside
from orrery.worlds.gymnasium.drawing import DRAWN, Drawing, may_draw, render_modes
from orrery.worlds.gymnasium.layout import action_layout, observation_layout, recordable, unknown_parts
from orrery.worlds.gymnasium.make import make_environment, parse_name, ticks_per_second
from orrery.worlds.gymnasium.pictures import ImageSize, fitted, fitted_labels, size_of
from orrery.worlds.gymnasium.spaces import null_action, space_to_json
from orrery.worlds.gymnasium.wrappers import HeldAction, find_wrapper, flag, scalar, sound_of

__all__ = ["OUTCOMES", "TWO_ENDS", "GymnasiumWorld", "clock_of_steps"]

AnyEnv = gymnasium.Env[Any, Any]
_SAMPLES_PER_SECOND = 24_000
TWO_ENDS = "the episode terminated and was truncated in one step; recorded as terminated"
_NO_INFO = "reset(seed) gave no dictionary of info beside the observation"
OUTCOMES = (
    StreamSpec("reward", "vector", "outcome", (1, 1), "float32"),
    StreamSpec("terminated", "choice", "outcome", (1, 1), "int64", num_choices=2),
)
"""What comes of every step of an environment."""


class GymnasiumWorld:
    """`num_worlds` copies of a Gymnasium environment.

    environment: a name (see `make_environment`), a function that makes one, or, for a single world, an
    environment. image_size: pixels of a square picture, or height and width, made by averaging areas whatever
    the aspect ratio; None keeps the environment's own. streams: names to emit, None for all; without
    pictures nothing is drawn.

    Streams, one step a tick: `video.main` is the picture of the observation where it holds one, else what
    `render()` draws (`video.CAMERA`, where it draws several), and absent where there is neither.
    `observation` and `action` lie as `observation_layout` and `action_layout` say; what of an observation no
    stream holds is named in `spec.environment["left_out"]`, with the reason. `audio.main`: what was heard
    during the tick, with the number of samples that the environment gives for it: nothing is resampled.
    `depth.main` `[1, H, W]` in metres: with `DepthBeside`. `reward` `[1, 1]` float32.
    `terminated` `[1, 1]`: 1 from the tick on that ends the episode; one that was cut off (truncated) is 0,
    and says so in `endings`. The clock is the environment's `render_fps` (24 without one) over the steps for
    which an action is held, rounded to whole ticks a second; `spec.environment["ticks_per_second"]` is exact.

    Without an action, a `Box` gets zeros (clipped into its bounds), a choice its first possibility.

    Nothing starts again by itself. From the step that terminates or truncates an episode on, the world holds
    what it last showed, its actions have no effect and its rewards are zero, so that the others of a batch
    go on; `ended` says which worlds these are, and `reset(seed, mask=world.ended)` starts them again.
    """

    def __init__(
        self,
        environment: AnyEnv | str | Callable[[], AnyEnv],
        num_worlds: int = 1,
        image_size: ImageSize | None = None,
        streams: Sequence[str] | None = None,
    ) -> None:
        if num_worlds < 1 or (image_size is not None and min(size_of(image_size, (1, 1))) < 1):
            raise BadUse(
                f"a world needs num_worlds and image_size of at least 1, got {num_worlds} and {image_size}"
            )
        wants_video = streams is None or any(name.startswith("video") for name in streams)
        self._envs = _make_environments(environment, num_worlds, wants_video)
        self._image_size = image_size
        space, self._left_out = recordable(self._envs[0].observation_space)
        self.observation_layout = observation_layout(space, image_size)
        self.action_layout = action_layout(self._envs[0].action_space)
        seen = self.observation_layout.streams
        has_pictures = any(spec.kind == "video" for spec in seen.values())
        self._drawing = Drawing() if wants_video and not has_pictures and may_draw(self._envs[0]) else None
        self._num_steps = [0] * num_worlds
        self._restart(0, seed=0)  # the only way to learn the size of its pictures and its sound
        self.spec = self._full_spec(_identity(environment, self._envs[0]))
        for name in streams or ():
            if name in self._left_out:
                raise BadUse(f"{name} cannot be recorded: {self._left_out[name]}")
            if name not in self.spec.streams:
                hint = ", ".join(nearest(name, [*self.spec.streams, "video.main"]) or self.spec.streams)
                raise BadUse(
                    f"{self.environment or 'the environment'} has no stream {name!r}; perhaps {hint}"
                )
        self.spec = self.spec if streams is None else self.spec.only(streams)
        self.num_worlds = num_worlds
        self.rewards = np.zeros(num_worlds)
        """`[B]`: each environment's reward of the last tick."""
        self.ended = np.ones(num_worlds, bool)
        """`[B]`: which environments have terminated or were truncated."""
        self.endings = [""] * num_worlds
        """How each ended: `terminated`, `truncated`, or empty; `terminated` where it was both."""
        self._was_cut = [False] * num_worlds
        self._choices: list[Any] = [None] * num_worlds
        """Each environment's last action in its own form; None right after a reset."""
        self.observations: list[Any] = [None] * num_worlds
        """What each environment itself last gave as its observation."""
        self._ticks: list[Observation] = []

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`. An environment takes no prompt, scene or given streams: BadUse."""
        for name, value in {"prompt": prompt, "scene": scene, "given": given}.items():
            if value is not None:
                raise BadUse(f"a Gymnasium environment cannot be reset with a {name}; leave it out")
        chosen = np.ones(self.num_worlds, bool) if mask is None else np.asarray(mask)
        if chosen.shape != (self.num_worlds,) or chosen.dtype != bool:
            raise BadUse(f"a mask is [{self.num_worlds}] bool, got {list(chosen.shape)} {chosen.dtype}")
        if not self._ticks and not chosen.all():
            raise BadUse("the first reset starts every world; leave the mask out")
        self.rewards, self.ended = np.where(chosen, 0.0, self.rewards), self.ended & ~chosen
        self._ticks = self._ticks or [{}] * self.num_worlds
        null = self.action_layout.to_streams(null_action(self.action_space))
        for b in map(int, np.flatnonzero(chosen)):
            env_seed = int(np.random.SeedSequence([seed, b]).generate_state(1)[0])
            self.observations[b] = self._restart(b, env_seed)
            self.endings[b], self._was_cut[b], self._choices[b] = "", False, None
            tick = self._shown(b) | null | _outcome(0.0, False)
            self._ticks[b] = {name: tick[name] for name in self.spec.streams}
        return self._observe()

    def step(self, action: Array | Mapping[str, Array] | None = None) -> Observation:
        """Advance one tick; see `World.step`.

        action: `[B, *shape]` of the one action stream, or stream name to such an array for several. Numbers
        are clipped into their bounds; an index that is none of the choices is BadUse.
        """
        if not self._ticks:
            raise BadUse("reset the world before its first step")
        if action is None:
            return self.play([null_action(self.action_space)] * self.num_worlds)
        specs = list(self.action_layout.streams.values())
        given = actions_by_stream(specs, self.num_worlds, action)
        choices = [
            self.action_layout.from_streams({name: values[b] for name, values in given.items()})
            for b in range(self.num_worlds)
        ]
        return self.play(choices)

    def play(self, choices: Sequence[Any]) -> Observation:
        """Advance one tick under actions in the environments' own form, one a world."""
        if not self._ticks:
            raise BadUse("reset the world before its first step")
        self.rewards, self.ended = np.zeros(self.num_worlds), self.ended.copy()
        self._ticks = [self._advance(b, choices[b]) for b in range(self.num_worlds)]
        return self._observe()

    @property
    def environment(self) -> str:
        """The registered id; empty where there is none."""
        return self.spec.environment["id"]

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Of each environment."""
        return self._envs[0].observation_space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of each environment."""
        return self._envs[0].action_space

    @property
    def environments(self) -> list[AnyEnv]:
        """The environments themselves, for a policy that reads their memory; step the world, not these."""
        return list(self._envs)

    def notes(self, b: int = 0) -> list[str]:
        """What of world b's last step its streams do not tell as it was, in words; see `unknown_parts` and
        `SpaceLayout.changes`."""
        observation, choice = self.observations[b], self._choices[b]
        notes = [*unknown_parts(self.observation_space, observation)]
        notes += self.observation_layout.changes(observation)
        notes += self.action_layout.changes(choice) if choice is not None else []
        return [*notes, TWO_ENDS] if self._was_cut[b] and self.endings[b] == "terminated" else notes

    def close(self) -> None:
        """Close the environments; what one raises at that costs nothing."""
        for env in self._envs:
            with suppress(Exception):
                env.close()

    def _full_spec(self, identity: dict[str, Any]) -> WorldSpec:
        env, sound = self._envs[0], sound_of(self._envs[0])
        streams = list(self.observation_layout.streams.values())
        drawn = {name: picture.shape for name, picture in self._first_pictures().items()}
        videos = [StreamSpec(n, "video", "observed", s, "uint8", "sRGB", 0, 255) for n, s in drawn.items()]
        streams = [*videos, *streams]
        if sound is not None and "audio.main" not in self.observation_layout.streams:
            heard = StreamSpec("audio.main", "audio", "observed", sound.shape, "float32", "full scale", -1, 1)
            streams.append(heard)
        streams += [*self.action_layout.streams.values(), *OUTCOMES]
        if find_wrapper(env, DepthBeside) is not None:
            shape = self._depth(0).shape
            streams.append(StreamSpec("depth.main", "vector", "observed", shape, "float32", "m", 0.0))
        if (meanings := getattr(env.unwrapped, "get_action_meanings", None)) is not None:
            identity = identity | {"action_meanings": list(meanings())}
        if not any(spec.role == "observed" for spec in streams) and self._left_out:
            told = "; ".join(f"{name}: {why}" for name, why in self._left_out.items())
            raise UserError(f"nothing that the environment shows can be recorded: {told}")
        samples = next((spec.shape[0] for spec in streams if spec.kind == "audio"), None)
        environment = identity | {
            "observation_space": space_to_json(self.observation_layout.space),
            "action_space": space_to_json(env.action_space),
            "max_episode_steps": _longest(env),
            "render_fps": env.metadata.get("render_fps"),
            "ticks_per_second": ticks_per_second(env),
            **({"left_out": self._left_out} if self._left_out else {}),
        }
        clock = clock_of_steps(ticks_per_second(env), samples)
        return WorldSpec(clock, {spec.name: spec for spec in streams}, environment=environment)

    def _restart(self, b: int, seed: int) -> Any:
        """Reset world b's environment: what it observes."""
        self._num_steps[b] = 0
        try:
            observation, info = self._envs[b].reset(seed=seed)
            if not isinstance(info, Mapping):
                raise TypeError(f"{_NO_INFO}, but {type(info).__name__}")
        except (Exception, SystemExit) as error:  # pygame's way to say that its window was closed
            hint = "; options that it needs are given as ID?reset.NAME=value"
            raise _failure("cannot be reset", error, hint) from error
        return observation

    def _advance(self, b: int, choice: Any) -> Observation:
        """One tick of world b."""
        last = self._ticks[b]
        if self.ended[b]:
            null = self.action_layout.to_streams(null_action(self.action_space))
            quiet = {spec.name: spec.zeros() for spec in self.spec.of_kind("audio")}
            tick = last | quiet | null | _outcome(0.0, self.endings[b] == "terminated")
        else:
            played = self.action_layout.to_streams(choice)
            self._num_steps[b] += 1
            self._choices[b] = choice
            try:
                observation, reward, terminated, truncated, _ = self._envs[b].step(choice)
                self.observations[b], self.rewards[b] = observation, scalar(reward)
                has_terminated, self._was_cut[b] = flag(terminated), flag(truncated)
            except (Exception, SystemExit) as error:
                raise _failure(f"failed in step {self._num_steps[b]}", error) from error
            self.ended[b] = has_terminated or self._was_cut[b]
            self.endings[b] = "terminated" if has_terminated else "truncated" if self._was_cut[b] else ""
            tick = self._shown(b) | played | _outcome(self.rewards[b], has_terminated)
        return {name: tick[name] for name in self.spec.streams}

    def _shown(self, b: int) -> Observation:
        """What world b's environment shows now, without batch."""
        try:
            tick = self.observation_layout.to_streams(self.observations[b])
        except ValueError as error:
            told = f"the environment gave an observation that is none of its space: {error}"
            raise UserError(told) from error
        sound = sound_of(self._envs[b])
        if sound is not None:
            tick.setdefault("audio.main", sound)
        tick |= self._pictures(b)
        if "depth.main" in self.spec.streams and "depth.main" not in tick:
            tick["depth.main"] = self._depth(b)
        return tick

    def _depth(self, b: int) -> Array:
        depth = find_wrapper(self._envs[b], DepthBeside).depth_m()
        return fitted_labels(depth, *size_of(self._image_size, depth.shape))[None]

    def _observe(self) -> Observation:
        return {name: np.stack([tick[name] for tick in self._ticks]) for name in self.spec.streams}

    def _first_pictures(self) -> Observation:
        """What the first environment draws. What is wrong with that costs one that does not say that it draws
        its pictures alone."""
        try:
            pictures = self._pictures(0)
            if self._drawing is not None and not pictures and render_modes(self._envs[0]):
                self._left_out["video.main"] = "the environment's render() gives no picture"
        except UserError as error:
            if render_modes(self._envs[0]) is not None:
                raise
            self._left_out["video.main"], pictures = str(error).partition(";")[0], {}
        self._drawing = self._drawing if pictures else None
        return pictures

    def _pictures(self, b: int) -> Observation:
        """What world b's environment draws now, `[1, H, W, 3]` uint8 each."""
        if self._drawing is None:
            return {}
        seen: Observation = {}
        for name, picture in self._drawing.pictures(self._envs[b]).items():
            size = size_of(self._image_size, (picture.shape[0], picture.shape[1]))
            seen[f"video.{name}"] = fitted(picture, *size)[None]
        return seen


def _failure(what: str, error: BaseException, hint: str = "") -> UserError:
    """Whatever an environment of the user's own raises, in words."""
    if isinstance(error, UserError):
        return error
    if any(
        sign in str(error) for sign in ("values to unpack", "unexpected keyword argument 'seed'", _NO_INFO)
    ):
        hint = (
            "; it has the old Gym's form: wrap it with shimmy, or let step() give 5 values and reset(seed) 2"
        )
    return UserError(f"the environment {what}: {type(error).__name__}: {error}{hint}")


def _make_environments(
    environment: AnyEnv | str | Callable[[], AnyEnv], count: int, wants_video: bool
) -> list[AnyEnv]:
    """`count` environments; BadUse for one that could draw, was not made to, and should."""
    if isinstance(environment, str):
        return [make_environment(environment, pictures=wants_video) for _ in range(count)]
    if isinstance(environment, gymnasium.Env):
        if count != 1:
            raise BadUse(f"one environment cannot be {count} worlds; give a function that makes one")
        envs: list[AnyEnv] = [environment]
    else:
        envs = [environment() for _ in range(count)]
    can_draw = "rgb_array" in (envs[0].metadata.get("render_modes") or [])
    if wants_video and can_draw and envs[0].render_mode not in DRAWN:
        mode = envs[0].render_mode
        raise BadUse(f"make the environment with render_mode='rgb_array', not {mode!r}, or leave video out")
    return envs


def _identity(environment: Any, env: AnyEnv) -> dict[str, Any]:
    name, options = parse_name(environment) if isinstance(environment, str) else ("", {})
    module, colon, _ = name.rpartition(":")
    return {"id": f"{module}{colon}{env.spec.id if env.spec is not None else ''}", "options": options}


def _longest(env: AnyEnv) -> int | None:
    """Ticks after which an episode is cut off; None for never."""
    steps = env.spec.max_episode_steps if env.spec is not None else None
    held = find_wrapper(env, HeldAction)
    if steps is None or held is None:
        return steps
    return max(1, math.ceil((steps - held.warmup) / held.repeat))


def clock_of_steps(rate: float, num_samples: int | None) -> Clock:
    """A clock of whole ticks a second, with the samples of a tick's sound; without sound any whole number of
    samples will do."""
    whole = max(1, round(rate))
    return Clock(whole, 1, whole * (num_samples or max(1, round(_SAMPLES_PER_SECOND / whole))))


def _outcome(reward: float, terminated: bool) -> Observation:
    return {
        "reward": cast(np.full((1, 1), reward), np.float32),
        "terminated": np.full((1, 1), terminated, np.int64),
    }
