"""Damages data sets, of which every one must be told in words: no traceback, no hang, nothing invented.

    python benchmarks/damage.py 1000 data/mine lerobot:PATH hdf5:PATH minari:PATH

Each source is damaged N times, each time from a seed of its own: bits are changed in one of its files, or
its end is missing. A folder of ours is read; other sources, which are folders too, are collected.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.data.verify import verify
from orrery.errors import UserError
from orrery.streams import Array

MOST_SECONDS = 120
"""No damage may take longer to be told."""


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


class TookTooLong(BaseException):
    """No `Exception`: those of files are caught where files are read."""


@contextmanager
def in_time() -> Iterator[None]:
    """TookTooLong for what does."""

    def late(*_: object) -> None:
        raise TookTooLong(f"nothing was told in {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_damaged(whole: Path, work: Path, seed: int) -> str:
    """Damage a copy of our own data set `whole` and read all of it; AssertionError for an episode that is
    neither told nor what it was before. What was done."""
    copy = Path(shutil.copytree(whole, work / "copy"))
    done = damage(copy, random.Random(seed))
    with in_time():
        try:
            told = verify(copy)
            read = Dataset(copy)
        except UserError:
            return done
        for index in read.readable:
            try:
                episode = read.load(index)
            except UserError:
                continue
            if not told:
                _same(episode, Dataset(whole).load(index), done)
    return done


def collect_damaged(prefix: str, whole: Path, work: Path, seed: int) -> str:
    """Damage a copy of a recording and collect it; AssertionError for what is not told in words. What was
    done."""
    folder, mark, options = str(whole).partition("?")
    copy = Path(shutil.copytree(folder, work / "in"))
    done, out = damage(copy, random.Random(seed)), work / "out"
    with in_time():
        try:
            report = collect(f"{prefix}:{copy}{mark}{options}", out, image_size=16, progress=False)
        except UserError:
            return done
        for number, why in report.dropped.items():
            assert why.startswith(f"episode {number}: "), (done, why)
        if report.num_episodes:
            read = Dataset(out)
            for index in read.readable:
                read.load(index)
    return done


def _same(found: dict[str, Array], expected: dict[str, Array], done: str) -> None:
    assert found.keys() == expected.keys(), done
    for name, ticks in expected.items():
        np.testing.assert_array_equal(found[name], ticks, err_msg=f"{done}: {name}")


def once(source: str, seed: int) -> str:
    """Damage a copy of a data set of ours, or of another source `PREFIX:PATH`, once; what was done."""
    prefix, colon, path = source.partition(":")
    with tempfile.TemporaryDirectory() as work:
        if colon:
            return collect_damaged(prefix, Path(path), Path(work), seed)
        return read_damaged(Path(source), Path(work), seed)


def main(num: int, sources: Sequence[str]) -> int:
    """Print what failed; the number of failures."""
    failures = 0
    for source in sources:
        for seed in range(num):
            try:
                once(source, seed)
            except (Exception, TookTooLong) as problem:  # whatever it is, it was not told in words
                failures += 1
                print(f"{source}, seed {seed}: {type(problem).__name__}: {problem}")
        print(f"{source}: {num:,} damages")
    return failures


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]), sys.argv[2:])))
