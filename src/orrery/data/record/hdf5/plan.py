"""What of files in HDF5 will be recorded, settled before the first episode is: which layout they have, which
episodes, which streams.

An array that most episodes do not have, or have in another form, is left out, and named. An episode that
lacks what most have is not recorded: nothing is made up for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orrery.data.record.hdf5.aloha import ALOHA
from orrery.data.record.hdf5.files import leaves, natural, opened, rate_of
from orrery.data.record.hdf5.layouts import Form, Layout, Stretch, common_form, form_of
from orrery.data.record.hdf5.robomimic import ROBOMIMIC
from orrery.data.record.hdf5.stable_worldmodel import STABLE_WORLDMODEL
from orrery.data.record.source import OnStep
from orrery.errors import BadUse, UserError

__all__ = ["LAYOUTS", "NOTHING_SETTLED", "Plan", "Where", "features_of", "hdf5_files", "make_plan"]

LAYOUTS = {layout.name: layout for layout in (ALOHA, ROBOMIMIC, STABLE_WORLDMODEL)}
_ENDINGS = (".hdf5", ".h5", ".he5", ".hdf")
_MOST_NAMED = 10


@dataclass(frozen=True)
class Where:
    """An episode: a stretch of a file, which is named below the folder."""

    file: str
    stretch: Stretch


@dataclass(frozen=True)
class Plan:
    """paths: name in a LeRobotDataset (feature) to the array's path below an episode's group. forms: feature
    to what its rows are."""

    layout: str = ""
    rate: float = 0.0
    episodes: tuple[Where, ...] = ()
    paths: dict[str, str] = field(default_factory=dict, hash=False)
    forms: dict[str, Form] = field(default_factory=dict, hash=False)
    skipped: dict[str, str] = field(default_factory=dict, hash=False)
    notes: dict[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        episodes = tuple(Where(w["file"], Stretch(**w["stretch"])) for w in values["episodes"])
        forms = {name: Form(**{**f, "shape": tuple(f["shape"])}) for name, f in values["forms"].items()}
        rest = {name: values[name] for name in ("layout", "rate", "paths", "skipped", "notes")}
        return cls(episodes=episodes, forms=forms, **rest)


NOTHING_SETTLED = Plan()


@dataclass(frozen=True)
class _FileInfo:
    """A file: its layout, the rate it tells, its episodes, and the forms of the arrays below each group."""

    layout: Layout
    rate: float | None
    stretches: list[Stretch]
    lengths: dict[str, dict[str, int]]
    forms: dict[str, dict[str, Form]]
    outside: dict[str, str]

    def form(self, stretch: Stretch, path: str) -> Form:
        """Of an array's rows in an episode."""
        form, num = self.forms[stretch.group][path], self.lengths[stretch.group][path]
        if form.why or (num >= stretch.end if self.layout.is_flat else num == stretch.end):
            return form
        return Form(why=f"has {num:,} rows where the episode has {stretch.end - stretch.begin:,}")


def hdf5_files(path: Path) -> list[Path]:
    """The file `path`, or every file in HDF5 in the folder, in order. UserError where there is none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"there is no file and no folder {path}")
    files = [file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file()]
    if not files:
        raise UserError(f"{path} holds no file that ends in {', '.join(_ENDINGS)}")
    return sorted(files, key=lambda file: natural(file.relative_to(path).as_posix()))


def make_plan(path: Path, rate: float | None, asked: Collection[str] | None, on_step: OnStep) -> Plan:
    """Look through the heads of all files. rate: rows a second, None for what they say. asked: features that
    were asked for by name, which are kept whatever lacks them. UserError where no episode is left."""
    files, root = hdf5_files(path), path if path.is_dir() else path.parent
    infos, skipped = dict[str, _FileInfo](), dict[str, str]()
    for done, file in enumerate(files, start=1):
        name = file.relative_to(root).as_posix()
        try:
            infos[name] = _file_info(file)
        except UserError as problem:
            skipped[name] = str(problem).removeprefix(f"{file} ")
        on_step(done, len(files))
    votes = Counter[tuple[str, float | None]]()
    for info in infos.values():
        votes[info.layout.name, info.rate] += len(info.stretches)
    if not votes.total():
        reasons = _first_reasons(skipped)
        raise UserError(f"{path}: no episode is left ({reasons or 'its arrays have no rows'})")
    (chosen, said), _ = votes.most_common(1)[0]
    for name, info in list(infos.items()):
        if (info.layout.name, info.rate) != (chosen, said):
            its = info.layout.name + (f" at {info.rate:g} rows a second" if info.rate else "")
            skipped[name] = f"it is {its}, and most episodes here are others; record it by itself"
            del infos[name]
    layout = LAYOUTS[chosen]
    rate, by_whom = _rate(path, layout, said, rate)
    notes = {path.name: f"read as {layout.name}, {rate:g} rows a second ({by_whom})"}
    return _with_streams(Plan(chosen, rate, skipped=skipped, notes=notes), infos, asked or ())


def _rate(path: Path, layout: Layout, said: float | None, asked: float | None) -> tuple[float, str]:
    """Rows a second, and who says so. BadUse where nobody does."""
    if asked is not None:
        other = f"; the file says {said:g}" if said is not None and said != asked else ""
        return asked, f"as asked for{other}"
    if said is not None and said > 0:
        return rate_of(said), "as the file says"
    if layout.usual_rate is not None:
        return layout.usual_rate, "as this layout has it; the file does not say, and ?fps=RATE says otherwise"
    raise BadUse(
        f"{path} ({layout.name}) does not say how many rows a second it has; say it as {path}?fps=RATE"
    )


def _file_info(file: Path) -> _FileInfo:
    """UserError for a file that cannot be read, or has none of the layouts."""
    with opened(file) as h5:
        layout = next((layout for layout in LAYOUTS.values() if layout.fits(h5)), None)
        if layout is None:
            there = ", ".join(sorted(h5)[:_MOST_NAMED]) or "nothing"
            raise UserError(
                f"{file} has none of the layouts that are read "
                f"({', '.join(LAYOUTS)}, Minari): it holds {there}"
            )
        stretches = layout.stretches(h5)
        groups = {stretch.group for stretch in stretches}
        outside = _outside(h5, groups)
        lengths, forms = dict[str, dict[str, int]](), dict[str, dict[str, Form]]()
        for group in groups:
            found = leaves(h5[group] if group else h5, outside)
            lengths[group] = {path: len(dataset) if dataset.shape else 0 for path, dataset in found.items()}
            forms[group] = {
                path: Form(why=why) if (why := layout.refusal(path)) else form_of(path, dataset)
                for path, dataset in found.items()
            }
        return _FileInfo(layout, layout.rate(h5), stretches, lengths, forms, outside)


def _outside(h5: Any, groups: Collection[str]) -> dict[str, str]:
    """What lies beside the groups of episodes, and is not read."""
    if "" in groups:
        return {}
    parents = {"", *(group.rpartition("/")[0] for group in groups)}
    names = (f"{parent}/{key}".lstrip("/") for parent in parents for key in (h5[parent] if parent else h5))
    within = {*groups, *parents}
    return {name: "it is beside the episodes" for name in names if name not in within}


def _with_streams(plan: Plan, infos: Mapping[str, _FileInfo], asked: Collection[str]) -> Plan:
    """The plan with its episodes, and with the arrays that most of them have in one form."""
    layout, skipped, notes = LAYOUTS[plan.layout], dict(plan.skipped), dict(plan.notes)
    episodes, votes = list[Where](), dict[str, Counter[Form]]()
    for name, info in infos.items():
        skipped |= {f"{name}: {what}": why for what, why in info.outside.items()}
        notes |= _rows_apart(name, info) if layout.is_flat else {}
        for where in _episodes_of(name, info, skipped):
            episodes.append(where)
            for path in info.forms[where.stretch.group]:
                votes.setdefault(path, Counter())[info.form(where.stretch, path)] += 1
    if not episodes:
        raise UserError(f"no episode is left: {_first_reasons(skipped)}")
    paths, forms = dict[str, str](), dict[str, Form]()
    for path, counts in votes.items():
        feature = layout.feature(path)
        feature = path.replace("/", ".") if feature in paths else feature
        if feature in paths:
            skipped[path] = f"it would be called {feature}, as {paths[feature]} is"
            continue
        counts = _of_one_type(counts)
        form, num = counts.most_common(1)[0]
        if form.why:
            skipped[path] = form.why
        elif 2 * num <= len(episodes) and feature not in asked:
            which = f" as {form.dtype} {list(form.shape)}" if counts.total() > num else ""
            skipped[path] = (
                f"{num:,} of {len(episodes):,} episodes have it{which}; "
                "name it in --streams to leave out the others instead"
            )
        else:
            paths[feature], forms[feature] = path, form
            if counts != votes[path]:
                notes[path] = f"not of one type in all episodes; kept as {form.dtype}"
    units = {paths[name]: form for name, form in forms.items() if form.dtype == "depth"}
    notes |= {path: f"taken as depth in {form.unit}" for path, form in units.items()}
    return Plan(plan.layout, plan.rate, tuple(episodes), paths, forms, skipped, notes)


def _episodes_of(name: str, info: _FileInfo, skipped: dict[str, str]) -> Iterator[Where]:
    """The episodes of the file `name` that have rows; the others go to `skipped`."""
    for number, stretch in enumerate(info.stretches):
        if stretch.why or stretch.end <= stretch.begin or stretch.begin < 0:
            episode = f"{name}: {stretch.group or f'episode {number}'}"
            skipped[episode] = stretch.why or "it has no rows"
        else:
            yield Where(name, stretch)


def _of_one_type(counts: Counter[Form]) -> Counter[Form]:
    """Numbers of several types counted as one that holds them all; the same where there is none."""
    numbers = [form for form in counts if not form.why]
    common = common_form(numbers) if len(numbers) > 1 else None
    return counts if common is None else Counter({common: sum(counts[form] for form in numbers)})


def _rows_apart(name: str, info: _FileInfo) -> dict[str, str]:
    """What of a file's rows is in no episode, or in more than one, in words."""
    num_rows = max(info.lengths[""].values(), default=0)
    changes = np.zeros(num_rows + 1, np.int64)
    for stretch in info.stretches:
        begin, end = (min(max(row, 0), num_rows) for row in (stretch.begin, stretch.end))
        changes[begin] += end > begin
        changes[end] -= end > begin
    num_episodes = np.cumsum(changes)[:-1]
    counts = {"no episode": (num_episodes == 0).sum(), "several episodes": (num_episodes > 1).sum()}
    return {f"{name}: rows in {what}": f"{num:,} of {num_rows:,}" for what, num in counts.items() if num}


def _first_reasons(skipped: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:_MOST_NAMED])


def features_of(forms: Mapping[str, Form]) -> dict[str, dict[str, Any]]:
    """As meta/info.json of a LeRobotDataset would describe the arrays."""
    pictures = ("image", "depth")
    return {
        name: {"dtype": "image" if form.dtype in pictures else form.dtype, "shape": list(form.shape)}
        for name, form in forms.items()
    }
