"""The source `lerobot:PATH`: cameras, depth, state, action, outcomes, words and other numbers of a
recording.

One row is one tick, at the data set's own rate: an action belongs to one row, so that nothing is
resampled. A camera's picture is the one that its film shows at the row's time stamp. A file that is
missing or damaged is named, and costs only its own episodes.

`next.reward` and its like say in a row what comes after it, and are told by the tick after it. Of what
comes after an episode's last row nothing was recorded: its reward is added to the last tick's, and its
ending is the last tick's, so that no episode loses its return or its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from orrery.data.record.lerobot.hub import local_folder
from orrery.data.record.lerobot.metadata import Folder
from orrery.data.record.lerobot.plan import NOTHING_SETTLED, Plan, make_plan
from orrery.data.record.lerobot.recorder import LeRobotRecorder
from orrery.data.record.lerobot.streams import Column, chosen, clock_of, columns_of
from orrery.data.record.source import OnStep, Request
from orrery.errors import BadUse, UserError
from orrery.streams import WorldSpec

__all__ = ["LeRobotSource", "lerobot_source"]


def lerobot_source(name: str, request: Request) -> LeRobotSource:
    """The data set in the folder `name`, or of that name on the Hugging Face Hub."""
    folder = local_folder(name)
    return LeRobotSource(str(folder), request, name if not Path(name).expanduser().is_dir() else "")


@dataclass(frozen=True)
class LeRobotSource:
    """path: the data set's folder. name: on the Hub; its folder's, if left out."""

    path: str
    request: Request
    name: str = ""
    settled: Plan = NOTHING_SETTLED

    def __post_init__(self) -> None:
        if self.request.policy is not None:
            raise BadUse("a recording acts by itself; leave out --policy")
        if "orrery" in self.folder.info:
            raise BadUse(f"{self.path} was made by orrery collect; use it as it is")
        self.folder.check()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "folder"}

    @cached_property
    def folder(self) -> Folder:
        """What the data set says of itself."""
        return Folder(Path(self.path))

    @property
    def skipped(self) -> dict[str, str]:
        """What is left out, and why."""
        return {**self._columns[1], **self._rate_note(), **self.settled.skipped}

    @property
    def notes(self) -> dict[str, str]:
        """What was found to be otherwise than is said."""
        return self.folder.misnamed

    @property
    def numbers(self) -> tuple[int, ...]:
        """The episodes' own numbers; see `Numbered`."""
        return self.settled.episodes

    @property
    def num_episodes(self) -> int:
        """How many there are, None for any number; see `Source`."""
        return len(self.settled.episodes)

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request = self.request
        return {
            "world": f"lerobot:{self.name or Path(self.path).resolve().name}",
            "seconds": request.seconds if request.is_cut else None,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": request.square,
        }

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """Which episodes and streams there are; see `Planned.plan`."""
        asked = set(self.request.streams or ())
        features = {column.feature for name, column in self._columns[0].items() if name in asked}
        try:
            plan = make_plan(self.folder, features, on_step)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as problem:
            raise UserError(
                f"{self.path}: its tables, or what meta says of them, are not those of a LeRobotDataset "
                f"({' '.join(str(problem).split())}); download it again"
            ) from problem
        planned = replace(self, settled=plan)
        return {
            "episodes": list(plan.episodes),
            "streams": {name: column.feature for name, column in planned.columns().items()},
            "depth": sorted(plan.depth),
            "skipped": planned.skipped,
        }

    def with_plan(self, plan: Mapping[str, Any]) -> LeRobotSource:
        """See `Planned.with_plan`."""
        return replace(self, settled=Plan.from_json(plan))

    def columns(self) -> dict[str, Column]:
        """Stream name to what of the data set it is, of the streams that were asked for."""
        there = {name: c for name, c in self._columns[0].items() if c.feature not in self.settled.skipped}
        return chosen(self.path, there, self.request.streams, self.skipped)

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        columns = self.columns()
        return WorldSpec(self._clock, {name: column.spec for name, column in columns.items()})

    def open(self) -> LeRobotRecorder:
        """A recorder for one process; see `Source`."""
        folder = self.folder
        name = self.name or folder.root.resolve().name
        return LeRobotRecorder(folder, self.spec(), self.columns(), self.request, name)

    @property
    def _clock(self) -> Any:
        return clock_of(self.folder.rows_per_second)

    @property
    def _columns(self) -> tuple[dict[str, Column], dict[str, str]]:
        size, per_tick = self.request.square, self._clock.frames_per_tick
        return columns_of(self.folder.features, self.settled.depth, size, per_tick)

    def _rate_note(self) -> dict[str, str]:
        rate, written = self.folder.rows_per_second, self._clock.ticks_per_second
        if abs(written / rate - 1) < 1e-6:
            return {}
        return {"timestamp": f"rows come {rate:g} times a second, and are written as {written:g} a second"}
