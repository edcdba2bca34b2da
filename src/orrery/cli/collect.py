"""`orrery collect`: run a world many times and keep what it emits."""

from __future__ import annotations

import math
import os
from pathlib import Path

import tyro

from orrery.cli.console import needs
from orrery.errors import BadUse, UserError

__all__ = ["collect"]

MAX_EPISODE_SECONDS = 600.0
"""An episode is held in memory: 600 s at 128x128 are 0.7 GB."""
MAX_IMAGE_SIZE = 1024


def collect(
    world: tyro.conf.Positional[str],
    out: Path,
    episodes: int,
    seed: int = 0,
    workers: int | None = None,
    seconds: float = 5.0,
    streams: tuple[str, ...] = (),
    image_size: int = 128,
) -> int:
    """Record episodes of a world into a dataset (LeRobotDataset v3.0 layout).

    The dataset depends on the seed alone, not on the number of workers. Run the same command again to go on
    after a stop, or with more episodes to add some.

    Args:
        world: which world; see `orrery worlds`.
        out: the dataset's folder.
        episodes: how many there are to be in all.
        seed: episode i depends on the seed and i.
        workers: processes; one for each core if left out.
        seconds: length of an episode.
        streams: which to record, such as video.main state; all if left out.
        image_size: pixels on each side of the picture, an even number.
    """
    _check_numbers(seed, seconds, image_size)
    with needs("sim", "collecting"):
        from orrery.data.collect import collect as run

        num_workers = (os.cpu_count() or 1) if workers is None else workers
        report = run(world, out, episodes, seed, num_workers, seconds, streams or None, image_size)
    if report.stopped:
        print(f"{out}: stopped with {report.num_episodes} of {episodes}; run the same command again to go on")
        raise KeyboardInterrupt
    print(
        f"{out}: {report.num_episodes} episodes, {report.num_new} of them new "
        f"({report.num_bytes / 1e6:.1f} MB, {report.world_seconds:.0f} s in the world, "
        f"{report.encode_seconds:.0f} s writing, over all workers)"
    )
    if report.dropped:
        number, reason = next(iter(report.dropped.items()))
        raise UserError(f"{len(report.dropped)} episodes failed and are not in {out}; {number}: {reason}")
    return 0


def _check_numbers(seed: int, seconds: float, image_size: int) -> None:
    if seed < 0:
        raise BadUse(f"--seed {seed}: must be 0 or above")
    if not math.isfinite(seconds) or not 0 < seconds <= MAX_EPISODE_SECONDS:
        raise BadUse(f"--seconds {seconds:g}: must be above 0 and at most {MAX_EPISODE_SECONDS:g}")
    if image_size % 2 or not 16 <= image_size <= MAX_IMAGE_SIZE:
        raise BadUse(f"--image-size {image_size}: must be even, from 16 to {MAX_IMAGE_SIZE}")
