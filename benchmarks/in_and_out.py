"""Does everything go in? Records every data set of a folder, and prints what each holds before and after.

python benchmarks/in_and_out.py FOLDER [--image-size 32] [--keep OUT]

For each folder of FOLDER that is a LeRobotDataset: episodes, rows and seconds that its tables hold, and
those that were recorded; how many pictures are there for them; and what was left out, with the reason.
Exit status 1 if a row is in neither.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.data.record.lerobot.cells import read_table
from orrery.data.record.lerobot.metadata import Folder
from orrery.errors import UserError


@dataclass
class Amount:
    """What a data set holds."""

    episodes: int
    rows: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.episodes:,} episodes, {self.rows:,} rows, {self.seconds:,.2f} s"


def amount_in(folder: Folder) -> Amount:
    """What the tables of a LeRobotDataset hold, whatever is said of them."""
    numbers = [np.zeros(0, np.int64)]
    for file in folder.data_files():
        try:
            numbers.append(read_table(file, ["episode_index"])["episode_index"].to_numpy())
        except UserError as problem:
            print(f"  {problem}")
    rows = np.concatenate(numbers)
    return Amount(len(np.unique(rows)), len(rows), len(rows) / folder.rows_per_second)


def amount_out(data: Dataset) -> tuple[Amount, int]:
    """What was recorded, and the pictures that are there for it."""
    ticks = sum(data.num_ticks(index) for index in data.readable)
    pictures = 0
    for index in data.readable:
        for spec in data.spec.of_kind("video"):
            pictures += len(data.load(index, [spec.name])[spec.name])
    return Amount(len(data.readable), ticks, ticks * data.spec.clock.tick_seconds), pictures


def compare(source: Path, out: Path, image_size: int) -> bool:
    """Print one data set's lines; whether every row is recorded or named."""
    print(source.name)
    try:
        before = amount_in(Folder(source))
        collect(f"lerobot:{source}", out, image_size=image_size, progress=False)
        data = Dataset(out)
    except UserError as problem:
        print(f"  not recorded: {problem}")
        return True
    after, pictures = amount_out(data)
    print(f"  in:  {before}\n  out: {after}, {pictures:,} pictures")
    for name, why in data.left_out().items():
        print(f"  left out {name}: {why}")
    return after.rows == before.rows or bool(data.left_out())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--keep", type=Path, help="a folder for what is recorded; else it is deleted")
    options = parser.parse_args()
    sources = sorted(p for p in options.folder.iterdir() if (p / "meta/info.json").is_file())
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        good = [compare(source, place / source.name, options.image_size) for source in sources]
    print(f"{sum(good)} of {len(good)} data sets went in whole, or what is missing is named")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
