"""The source `minari:PATH_OR_ID`: a Minari data set, of which each episode is one of its environment's.

The streams are those of `gym:` for the same spaces: a tick for each observation, of which an episode has one
more than steps. Nothing of the package `minari` is needed.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from orrery.data.record.gym import IMAGE_SIZE
from orrery.data.record.hdf5.files import attribute, fault, library, name_and_rate, opened, rate_of
from orrery.data.record.hdf5.layouts import bytes_of, texts_in
from orrery.data.record.lerobot.pictures import cell_picture
from orrery.data.record.notes import noted_of, rewards_noted
from orrery.data.record.source import OnStep, Request, length_of
from orrery.errors import BadUse, UserError, nearest
from orrery.rounding import cast
from orrery.streams import Array, Episode, Event, WorldSpec
from orrery.worlds.gymnasium.layout import SpaceLayout, action_layout, observation_layout, recordable
from orrery.worlds.gymnasium.make import make_environment, quiet, ticks_per_second
from orrery.worlds.gymnasium.spaces import null_action, space_from_json, space_to_json
from orrery.worlds.gymnasium.world import OUTCOMES, TWO_ENDS, clock_of_steps

__all__ = ["MinariSource", "is_minari", "minari_source"]

_FILE, _METADATA = "main_data.hdf5", "metadata.json"
_EPISODE = re.compile(r"episode_(\d{1,9})")
_PARTS = {"observations", "actions", "rewards", "terminations", "truncations", "infos"}
"""Of an episode."""
_TERMINATED_EARLY = "it terminated before the last step; recorded so, and what comes after it too"
_TRUNCATED_EARLY = "it was truncated before the last step, which is not recorded"
_ENVIRONMENT = re.compile(r"[\w./-]+")
_BAD_METADATA = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    RecursionError,
    OverflowError,
)


def minari_source(name: str, request: Request) -> MinariSource:
    """The data set in a folder, or of that name among those that Minari has downloaded."""
    path, rate = name_and_rate(name)
    if (folder := _folder(path)) is not None:
        return MinariSource(str(folder), request, rate)
    home = os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets"
    if (folder := _folder(Path(home).expanduser() / path)) is not None:
        return MinariSource(str(folder), request, rate)
    if path.exists():
        raise UserError(f"{path} is no Minari data set: it has no {_METADATA}, or no {_FILE}")
    raise UserError(
        f"there is no folder {path}, and no such data set in {home}; `minari download {path}` gets it"
    )


def is_minari(path: Path) -> bool:
    """Whether a path is that of a Minari data set."""
    return _folder(path) is not None


def _folder(path: Path) -> Path | None:
    """The folder that holds its files, of the data set's folder, its `data`, or a file in it."""
    places = (path, path / "data", path.parent) if path.name in (_FILE, _METADATA) else (path, path / "data")
    return next((place for place in places if (place / _METADATA).is_file()), None)


@dataclass(frozen=True)
class MinariSource:
    """path: the folder of its files. rate: steps a second; None for what its environment has."""

    path: str
    request: Request
    rate: float | None = None
    episodes: tuple[int, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict, hash=False)
    skipped: dict[str, str] = field(default_factory=dict, hash=False)
    notes: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        library()
        if self.request.policy is not None:
            raise BadUse("a recording acts by itself; leave out --policy")
        kind = self.metadata.get("data_format", "hdf5")
        if kind != "hdf5" or not self.file.is_file():
            raise UserError(
                f"{self.path} is a Minari data set in the format {kind!r}; what is read is {_FILE}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("metadata", "layouts")}

    @property
    def file(self) -> Path:
        """What holds the episodes."""
        return Path(self.path) / _FILE

    @property
    def name(self) -> str:
        """What the data set calls itself."""
        return str(self.metadata.get("dataset_id") or Path(self.path).resolve().name)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """metadata.json."""
        file = Path(self.path) / _METADATA
        try:
            values = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise UserError(f"{file} is damaged ({problem}); download it again") from problem
        if not isinstance(values, dict):
            raise UserError(f"{file} is damaged; download it again")
        return values

    @property
    def numbers(self) -> tuple[int, ...]:
        """The episodes' own numbers; see `Numbered`."""
        return self.episodes

    @property
    def num_episodes(self) -> int:
        """How many there are, None for any number; see `Source`."""
        return len(self.episodes)

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request, size = self.request, self.request.image_size
        return {
            "world": f"minari:{self.name}",
            **({} if self.rate is None else {"fps": self.rate}),
            "seconds": request.seconds if request.is_cut else None,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": list(size) if isinstance(size, tuple) else size,
        }

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """Which episodes there are, and of which environment; see `Planned.plan`."""
        skipped = dict[str, str]()
        with opened(self.file) as file:
            found = {name: _EPISODE.fullmatch(name) for name in file}
            numbers = [int(found[1]) for found in found.values() if found]
            skipped |= {name: "it is no episode" for name, match in found.items() if match is None}
            if any("infos" in file[f"episode_{number}"] for number in numbers):
                skipped["infos"] = "what the environment tells beside its observations is not recorded"
        total = self.metadata.get("total_episodes")
        if isinstance(total, int) and total != len(numbers):
            skipped[_METADATA] = f"it counts {total:,} episodes, and {len(numbers):,} are there"
        if not numbers:
            raise UserError(f"{self.file} holds no episode")
        try:
            environment, spaces_of, by_whom = self._described(skipped)
        except _BAD_METADATA as problem:
            what = " ".join(str(problem).split()) or type(problem).__name__
            raise UserError(
                f"{Path(self.path) / _METADATA} is damaged ({what}); download it again"
            ) from problem
        skipped |= self._undeclared(numbers, spaces_of)
        on_step(1, 1)
        rate = f"{environment['ticks_per_second']:g} steps a second"
        notes = {self.name: f"read as Minari, {rate} ({by_whom})"}
        return {"episodes": sorted(numbers), "environment": environment, "skipped": skipped, "notes": notes}

    def with_plan(self, plan: Mapping[str, Any]) -> MinariSource:
        """See `Planned.with_plan`."""
        rest = {name: plan[name] for name in ("environment", "skipped", "notes")}
        return replace(self, episodes=tuple(plan["episodes"]), **rest)

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        observed, acted = self.layouts
        specs = {**observed.streams, **acted.streams, **{spec.name: spec for spec in OUTCOMES}}
        for name in self.request.streams or ():
            if name not in specs:
                hint = ", ".join(nearest(name, specs) or specs)
                raise BadUse(f"{self.path} has no stream {name!r}; perhaps {hint}")
        samples = next((spec.shape[0] for spec in specs.values() if spec.kind == "audio"), None)
        spec = WorldSpec(
            clock_of_steps(self.environment["ticks_per_second"], samples), specs, environment=self.environment
        )
        return spec if self.request.streams is None else spec.only(self.request.streams)

    def open(self) -> _MinariRecorder:
        """A recorder for one process; see `Source`."""
        return _MinariRecorder(self)

    @cached_property
    def layouts(self) -> tuple[SpaceLayout, SpaceLayout]:
        """The streams of its observations and of its actions."""
        size = IMAGE_SIZE if self.request.image_size is None else self.request.image_size
        observed = space_from_json(self.environment["observation_space"])
        return observation_layout(observed, size), action_layout(
            space_from_json(self.environment["action_space"])
        )

    def _undeclared(
        self, numbers: Sequence[int], spaces_of: Mapping[str, spaces.Space[Any]]
    ) -> dict[str, str]:
        """Arrays of episodes that no space declares, and that are not recorded."""
        found = Counter[str]()
        with opened(self.file) as file:
            for number in numbers:
                group = file[f"episode_{number}"]
                found.update(key for key in group if key not in _PARTS)
                for name, space in spaces_of.items():
                    found.update(_beyond(group.get(name), space, name))
        return {name: f"no space declares it ({num:,} episodes have it)" for name, num in found.items()}

    def _described(self, skipped: dict[str, str]) -> tuple[dict[str, Any], dict[str, spaces.Space[Any]], str]:
        """The environment as a world's spec has it, the spaces of its data, and who says how fast it runs."""
        said = self.metadata.get("env_spec") or {}
        said = json.loads(said) if isinstance(said, str) else said
        name = str(said.get("id") or "")
        env = _made(name)
        try:
            observation, action = self._space("observation", env), self._space("action", env)
            rate = self._steps_per_second(name, env)
        finally:
            if env is not None:
                env.close()
        kept, left_out = recordable(observation)
        skipped |= left_out
        steps = said.get("max_episode_steps")
        return (
            {
                "id": name,
                "options": {},
                "observation_space": space_to_json(kept),
                "action_space": space_to_json(action),
                "max_episode_steps": steps if isinstance(steps, int) and steps > 0 else None,
                "render_fps": rate,
                "ticks_per_second": rate,
            },
            {
                "observations": observation,
                "actions": action,
            },
            "as asked for" if self.rate is not None else f"as {name} has",
        )

    def _space(self, of: str, env: Any) -> spaces.Space[Any]:
        """Of observations or actions: as written, else its environment's."""
        written = self.metadata.get(f"{of}_space")
        if written is not None:
            return _space(json.loads(written) if isinstance(written, str) else written)
        if env is None:
            raise UserError(
                f"{self.path} does not say its {of}_space, and its environment cannot be made; install it"
            )
        return getattr(env, f"{of}_space")

    def _steps_per_second(self, name: str, env: Any) -> float:
        """As asked for, else its environment's. BadUse where nobody says."""
        if self.rate is not None:
            return self.rate
        if env is None:
            raise BadUse(
                f"{self.path} does not say how many steps a second it has, and its environment {name!r} "
                "cannot be made here; install it, or say it as PATH?fps=RATE"
            )
        return rate_of(ticks_per_second(env))


def _made(name: str) -> Any:
    """The environment of a name, where it is installed; None where not. No module is imported by name."""
    if not _ENVIRONMENT.fullmatch(name):
        return None
    try:
        with quiet():
            return make_environment(name, pictures=False)
    except Exception:  # whatever an environment raises while it is made
        return None


def _space(values: Mapping[str, Any]) -> spaces.Space[Any]:
    """The space that Minari wrote."""
    kind = values["type"]
    if kind == "Dict":
        return spaces.Dict([(key, _space(part)) for key, part in values["subspaces"].items()])
    if kind == "Tuple":
        return spaces.Tuple([_space(part) for part in values["subspaces"]])
    if kind == "Box":
        dtype, shape = np.dtype(values["dtype"]), tuple(values["shape"])
        low, high = (np.array(values[bound], dtype).reshape(shape) for bound in ("low", "high"))
        return spaces.Box(low, high, shape, dtype.type)
    if kind == "Discrete":
        return spaces.Discrete(values["n"], start=values.get("start", 0))
    if kind == "MultiDiscrete":
        start = values.get("start")
        return spaces.MultiDiscrete(values["nvec"], start=None if start is None else np.array(start))
    if kind == "MultiBinary":
        return spaces.MultiBinary(values["n"])
    if kind == "Text":
        lengths = {"min_length": values["min_length"], "max_length": values["max_length"]}
        return spaces.Text(**lengths, charset=values["charset"])
    raise UserError(f"a space of it is {kind}, which is not read")


class _MinariRecorder:
    def __init__(self, source: MinariSource) -> None:
        self._source, self._spec = source, source.spec()

    def episode(self, number: int) -> Episode:
        """Episode `number`; see `Recorder`."""
        try:
            with opened(self._source.file) as file:
                return self._episode(number, file[f"episode_{number}"])
        except UserError as problem:
            raise UserError(f"episode {number}: {problem}") from problem

    def _episode(self, number: int, group: Any) -> Episode:
        source, spec = self._source, self._spec
        observed, acted = source.layouts
        num_steps = len(group["rewards"])
        length = length_of(spec, source.request, num_steps + 1)
        played = _value(group["actions"], acted.space, num_steps, length - 1)
        seen = _value(group["observations"], observed.space, num_steps + 1, length)
        try:
            streams, acts = observed.to_streams(seen, 1), acted.to_streams(played, 1)
        except ValueError as problem:
            raise UserError(f"it holds what is none of its space: {problem}") from problem
        before = acted.to_streams(null_action(acted.space))
        streams |= {name: np.concatenate([before[name][None], ticks]) for name, ticks in acts.items()}
        rewards, ends, cuts = (
            _one_a_row(_rows(group[name], num_steps, length - 1), name)
            for name in ("rewards", "terminations", "truncations")
        )
        ends, cuts = ends != 0, cuts != 0
        reward, terminated = OUTCOMES
        for stream, values in ((reward, rewards), (terminated, ends)):
            held = cast(np.concatenate([np.zeros(1, values.dtype), values]), stream.dtype)
            streams[stream.name] = held.reshape(-1, *stream.shape)
        streams = {name: streams[name] for name in spec.streams}
        ended = "terminated" if ends[-1:].any() else "truncated" if cuts[-1:].any() else ""
        end = length * spec.clock.tick_seconds
        scene: dict[str, Any] = {"environment": source.environment["id"], "episode": number}
        noted = noted_of(spec, source.layouts, streams, bool(ended))
        changed = observed.changes(seen, 1) | acted.changes(played, 1) | rewards_noted(rewards)
        noted |= {what: count for what, count in changed.items() if what.partition(":")[0] in streams}
        noted |= _endings_noted(ends, cuts)
        if noted:
            scene["noted"] = noted
        events = [Event(end, ended, source.environment["id"], "")] if ended else []
        seed = attribute(group, "seed")
        return Episode(spec, streams, "", events, seed if isinstance(seed, int) else number, scene)


def _one_a_row(rows: Array, name: str) -> Array:
    """`[num_rows]`. UserError where a row holds more numbers than one."""
    if rows.size != len(rows):
        raise UserError(f"{name} has {rows.size // max(len(rows), 1)} numbers a row, and one is read")
    return rows.reshape(-1)


def _endings_noted(ends: Array, cuts: Array) -> dict[str, int]:
    """What of an episode's endings `[num_steps]` its streams and its event do not tell."""
    counts = {
        TWO_ENDS: int((ends & cuts).sum()),
        _TERMINATED_EARLY: int(ends[:-1].sum()),
        _TRUNCATED_EARLY: int((cuts[:-1] & ~ends[:-1]).sum()),
    }
    return {what: count for what, count in counts.items() if count}


def _beyond(item: Any, space: spaces.Space[Any], path: str) -> Iterator[str]:
    """Paths of what lies in a group and its space does not have."""
    parts: dict[str, spaces.Space[Any]] = {}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        parts = {f"_index_{i}": part for i, part in enumerate(space.spaces)}
    if parts and isinstance(item, Mapping):
        for key in item:
            if key in parts:
                yield from _beyond(item.get(key), parts[key], f"{path}/{key}")
            else:
                yield f"{path}/{key}"


def _value(item: Any, space: spaces.Space[Any], num_rows: int, length: int) -> Any:
    """Values of a space with one leading axis, the first `length` of `num_rows`."""
    if isinstance(space, spaces.Dict):
        return {key: _value(item[key], part, num_rows, length) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        parts = enumerate(space.spaces)
        return tuple(
            {} if part == spaces.Dict() else _value(item[f"_index_{i}"], part, num_rows, length)
            for i, part in parts
        )
    rows = _rows(item, num_rows, length)
    if isinstance(space, spaces.Text):
        return texts_in(rows)
    shape = tuple(space.shape or ())
    if rows.shape[1:] == shape and rows.dtype.kind != "O":
        return rows
    pictures = [cell_picture(bytes_of(row), Path(), None) for row in rows]
    values = np.stack(
        [picture[..., 0] if len(shape) == 2 or shape[2] == 1 else picture for picture in pictures]
    )
    return values.reshape(len(rows), *shape)


def _rows(dataset: Any, num_rows: int, length: int) -> Array:
    """The first `length` rows of a data set. UserError unless it has `num_rows`, all of them written."""
    if (why := fault(dataset)) is not None:
        raise UserError(f"{dataset.name}: {why}")
    if len(dataset) != num_rows:
        raise UserError(f"{dataset.name} has {len(dataset):,} rows where the episode has {num_rows:,}")
    return dataset[:length]
