"""Damages data sets and films, of which every one must be told in words: no traceback, no hang, less than a
GiB of memory, nothing invented.

    python benchmarks/damage.py 10000 --log damage.log
    python benchmarks/damage.py 10 data/mine lerobot:PATH hdf5:PATH minari:PATH clips:PATH --log mine.log

N damages in all, of the given sources in turn, or else of small ones of every kind: bits are changed in one
of a source's files, or its end is missing, each time from a seed of its own. A folder of ours is read, films
are looked through and their clips read, other sources are collected. Each damage is a line of the log; what
the log holds is not done again, so that a run may be stopped and go on. Exit status 1 if any failed.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache, partial
from pathlib import Path

import numpy as np

from orrery.data.dataset import Dataset
from orrery.data.record.clip_reader import read_clip, scan_film
from orrery.data.record.collect import collect
from orrery.data.record.isolation import Isolated
from orrery.data.record.shots import clips_of
from orrery.data.verify import verify
from orrery.errors import UserError
from orrery.streams import Array, Clock

MOST_SECONDS = 600
"""No damage may take longer to be told, on a busy machine too."""
MOST_MIB = 800
"""Beyond what a process holds before: with the 160 that one of this script has, less than a GiB."""
WHOLE, PART, TOLD = "whole", "part", "told"
"""What became of a damage: all was read as before, some of it, or it was refused in words."""
_COLLECTED_FILMS = 100
"""One film in so many is collected, as a user would, with its decoder in a process of its own."""
_STATUS = Path("/proc/self/status")


def damage(root: Path, rng: random.Random) -> str:
    """Change one file below `root`, or cut it; what was done, in words."""
    file = rng.choice(sorted(f for f in root.rglob("*") if f.is_file() and f.stat().st_size))
    content = bytearray(file.read_bytes())
    if rng.random() < 0.3:
        end = rng.randrange(len(content))
        file.write_bytes(bytes(content[:end]))
        return f"{file.name} cut at {end:,}"
    places = [rng.randrange(len(content)) for _ in range(rng.choice([1, 1, 4, 40]))]
    for place in places:
        content[place] ^= 1 << rng.randrange(8)
    file.write_bytes(bytes(content))
    return f"{file.name} with other bits at {places[:4]}"


def _read(copy: Path, whole: Path) -> str:
    """Read all of a damaged data set of ours; AssertionError for an episode that is neither told nor what it
    was before."""
    told = verify(copy)
    read, is_part = Dataset(copy), bool(told)
    for index in read.readable:
        try:
            episode = read.load(index)
        except UserError:
            is_part = True
            continue
        if not told:
            _check_same(episode, Dataset(whole).load(index))
    return PART if is_part else WHOLE


def _check_same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, ticks in expected.items():
        np.testing.assert_array_equal(found[name], ticks, err_msg=name)


def _collected(source: str, out: Path) -> tuple[str, Counter[str]]:
    """Collect a source: what became of it, and how much of it there is."""
    report = collect(source, out, image_size=16, progress=False)
    for number, why in report.dropped.items():
        assert source.startswith("clips:") or why.startswith(f"episode {number}: "), why
    amount = Counter(episodes=report.num_episodes)
    if report.num_episodes:
        read = Dataset(out)
        amount["streams"] = len(read.spec.streams)
        for index in read.readable:
            amount["ticks"] += len(next(iter(read.load(index).values())))
    return (PART if report.dropped or report.skipped else WHOLE), amount


@cache
def _amount(source: str) -> Counter[str]:
    """How much there is of an undamaged source."""
    with tempfile.TemporaryDirectory() as work:
        return _collected(source, Path(work) / "out")[1]


def _filmed(folder: Path) -> tuple[str, Counter[str]]:
    """Look through the films of a folder and read their clips, in this process: what became of them, and how
    much there is."""
    clock, amount, refused = Clock(), Counter[str](), 0
    for film in sorted(folder.iterdir()):
        try:
            scan = scan_film(film)
            amount["pictures"] += len(scan.grey)
            assert np.isfinite(scan.seconds).all()
            for clip in clips_of(scan, 5.0, clock.ticks_per_second, 0.1):
                video, audio = read_clip(film, clip, clock, 16)
                assert len(video) == clip.num_ticks
                assert audio is None or (np.isfinite(audio).all() and np.abs(audio).max(initial=0) <= 1)
        except UserError:
            refused += 1
    if refused and not amount:
        raise UserError("no film is left")
    return (PART if refused else WHOLE), amount


@cache
def _film_amount(folder: Path) -> Counter[str]:
    return _filmed(folder)[1]


def _is_collected(source: str, seed: int) -> bool:
    """Whether a film is collected; its decoder then has a child process, which a child must not have."""
    return source.startswith("clips:") and not seed % _COLLECTED_FILMS


def once(source: str, seed: int) -> tuple[str, str]:
    """Damage a copy of a source once, and use it: what became of it, and what was done.

    AssertionError, with what was done, for what must not be; whatever else is raised was not told in words.
    """
    prefix, colon, rest = source.partition(":")
    path, mark, options = (rest if colon else source).partition("?")
    said, rng = io.StringIO(), random.Random(seed)
    with tempfile.TemporaryDirectory() as work, _peak_of_memory() as peak:
        copy = Path(shutil.copytree(path, Path(work) / "in"))
        done = damage(copy, rng)
        with redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                if not colon:
                    outcome, amount, whole = _read(copy, Path(path)), Counter[str](), Counter[str]()
                elif prefix == "clips" and not _is_collected(source, seed):
                    (outcome, amount), whole = _filmed(copy), _film_amount(Path(path))
                else:
                    outcome, amount = _collected(f"{prefix}:{copy}{mark}{options}", Path(work) / "out")
                    whole = _amount(source)
                assert amount <= whole, f"{done}: {dict(amount)} of {dict(whole)}"
            except UserError as problem:
                outcome = TOLD if str(problem).strip() else ""
            except AssertionError as problem:
                raise AssertionError(f"{done}: {problem}") from problem
    assert outcome, f"{done}: no words"
    assert "Traceback" not in said.getvalue(), f"{done}: {said.getvalue()[-500:]}"
    assert peak["MiB"] < MOST_MIB, f"{done}: {peak['MiB']} MiB more than before"
    return outcome, done


@contextmanager
def _peak_of_memory() -> Iterator[dict[str, int]]:
    """`MiB` is, at the end, the most memory that this process had meanwhile, beyond what it had before; 0
    where nothing tells it."""
    peak = {"MiB": 0}
    before = _memory_mib("VmRSS")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    try:
        yield peak
    finally:
        peak["MiB"] = max(0, _memory_mib("VmHWM") - before)


def _memory_mib(name: str) -> int:
    """Memory of this process as Linux calls it; 0 where nothing tells it."""
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text()) if _STATUS.exists() else None
    return int(found[1]) // 1024 if found else 0


def _once(source: str, seed: int) -> tuple[str, str]:
    """The same in a child process, with a traceback as text, and with no more address space than a machine
    can bear."""
    limit = 6 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        return once(source, seed)
    except Exception as problem:
        raise RuntimeError("".join(traceback.format_exception(problem))) from None


def _done_before(log: Path) -> Counter[tuple[str, str]]:
    """Lines of a log: name of a source and seed to how often."""
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    return Counter((parts[0], parts[1]) for parts in (line.split("\t") for line in lines) if len(parts) > 3)


def run(num: int, sources: Mapping[str, str], log: Path) -> int:
    """Do what of `num` damages is not in the log yet; the number of failures in it. sources: by name."""
    before = _done_before(log)
    damages = [(name, seed) for seed in range(-(-num // len(sources))) for name in sources][:num]
    with log.open("a", encoding="utf-8") as lines, Isolated(MOST_SECONDS) as child:
        for name, seed in damages:
            if before[name, str(seed)]:
                continue
            begin = time.perf_counter()
            try:
                call = once if _is_collected(sources[name], seed) else partial(child.call, _once)
                outcome, done = call(sources[name], seed)
            except UserError as problem:  # of the child itself: it has crashed, or hangs
                is_contained = sources[name].startswith("clips:") and "crashed" in str(problem)
                outcome, done = ("crash, which costs the film" if is_contained else "FAILED"), str(problem)
            except Exception as problem:  # whatever it is, it was not told in words
                outcome, done = "FAILED", repr(str(problem))
            seconds = time.perf_counter() - begin
            print(name, seed, outcome, f"{seconds:.2f} s", done, sep="\t", file=lines, flush=True)
    return _summary(log)


def _summary(log: Path) -> int:
    """Print how often each thing became of each source; the number of failures."""
    lines = [line.split("\t") for line in log.read_text("utf-8").splitlines()]
    for (name, outcome), count in sorted(Counter((line[0], line[2]) for line in lines).items()):
        print(f"{name:20} {outcome:30} {count:,}")
    failed = [line for line in lines if line[2] == "FAILED"]
    slowest = max(float(line[3].split()[0]) for line in lines)
    print(f"{len(lines):,} damages, {len(failed):,} failed; the slowest took {slowest:.1f} s")
    return len(failed)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("num", type=int, help="damages in all")
    parser.add_argument("sources", nargs="*", help="a folder of ours, or PREFIX:PATH; small ones if left out")
    parser.add_argument("--log", type=Path, default=Path("damage.log"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = {name: name for name in asked.sources}
        if not sources:
            from damage_sources import SOURCES

            sources = {name: make(Path(folder)) for name, make in SOURCES.items()}
        return min(1, run(asked.num, sources, asked.log))


if __name__ == "__main__":
    sys.exit(main())
