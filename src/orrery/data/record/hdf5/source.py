"""The source `hdf5:PATH`: cameras, depth, state, action, outcomes, words and other numbers of recordings in
HDF5.

Which layout the files have is found out. One row is one tick, at the rate that the file tells, that its
layout has, or that is given as `hdf5:PATH?fps=RATE`. Arrays become streams as the columns of a LeRobotDataset
do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orrery.data.record.hdf5.files import library, name_and_rate
from orrery.data.record.hdf5.minari import is_minari, minari_source
from orrery.data.record.hdf5.plan import NOTHING_SETTLED, Plan, features_of, make_plan
from orrery.data.record.hdf5.recorder import Hdf5Recorder
from orrery.data.record.lerobot.streams import Column, chosen, clock_of, columns_of
from orrery.data.record.source import OnStep, Request, Source
from orrery.errors import BadUse
from orrery.streams import WorldSpec

__all__ = ["Hdf5Source", "hdf5_source"]


def hdf5_source(name: str, request: Request) -> Source:
    """The recordings in `PATH` or `PATH?fps=RATE`, which may be a Minari data set too."""
    path, rate = name_and_rate(name)
    return minari_source(name, request) if is_minari(path) else Hdf5Source(str(path), request, rate)


@dataclass(frozen=True)
class Hdf5Source:
    """path: a file, or a folder with files in it. rate: rows a second; None for what the files say."""

    path: str
    request: Request
    rate: float | None = None
    settled: Plan = NOTHING_SETTLED

    def __post_init__(self) -> None:
        library()
        if self.request.policy is not None:
            raise BadUse("a recording acts by itself; leave out --policy")

    @property
    def root(self) -> Path:
        """The folder that its files are named in."""
        return Path(self.path) if Path(self.path).is_dir() else Path(self.path).parent

    @property
    def num_episodes(self) -> int:
        """How many there are, None for any number; see `Source`."""
        return len(self.settled.episodes)

    @property
    def skipped(self) -> dict[str, str]:
        """What is left out, and why."""
        return {**self._columns[1], **self.settled.skipped}

    @property
    def notes(self) -> dict[str, str]:
        """What was found out, or taken for granted."""
        return self.settled.notes

    def settings(self) -> dict[str, Any]:
        """Plain values that tell this collection from any other; see `Source`."""
        request = self.request
        return {
            "world": f"hdf5:{Path(self.path).resolve().name}",
            **({} if self.rate is None else {"fps": self.rate}),
            "seconds": request.seconds if request.is_cut else None,
            "streams": list(request.streams) if request.streams is not None else None,
            "image_size": request.square,
        }

    def plan(self, cache: Callable[[str], Path], on_step: OnStep) -> dict[str, Any]:
        """Which layout, episodes and streams there are; see `Planned.plan`."""
        planned = replace(self, settled=make_plan(Path(self.path), self.rate, self.request.streams, on_step))
        return planned.settled.to_json() | {"skipped": planned.skipped}

    def with_plan(self, plan: Mapping[str, Any]) -> Hdf5Source:
        """See `Planned.with_plan`."""
        return replace(self, settled=Plan.from_json(plan))

    def columns(self) -> dict[str, Column]:
        """Stream name to the feature it is, of the streams that were asked for."""
        return chosen(self.path, self._columns[0], self.request.streams, self.skipped)

    def spec(self) -> WorldSpec:
        """What its episodes hold; see `Source`."""
        columns = self.columns()
        return WorldSpec(clock_of(self.settled.rate), {name: column.spec for name, column in columns.items()})

    def open(self) -> Hdf5Recorder:
        """A recorder for one process; see `Source`."""
        return Hdf5Recorder(self.root, self.settled, self.columns(), self.spec(), self.request)

    @property
    def _columns(self) -> tuple[dict[str, Column], dict[str, str]]:
        forms, per_tick = self.settled.forms, clock_of(self.settled.rate or 1).frames_per_tick
        depth = [name for name, form in forms.items() if form.dtype == "depth"]
        return columns_of(features_of(forms), depth, self.request.square, per_tick)
