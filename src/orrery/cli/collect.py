"""`orrery collect`: run a world many times and keep what it emits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from orrery.cli.console import needs
from orrery.errors import BadUse, UserError

if TYPE_CHECKING:
    from orrery.data.record.collect import CollectReport

__all__ = ["collect"]

MAX_EPISODE_SECONDS = 600.0
"""An episode is held in memory: 600 s at 128x128 are 0.7 GB."""
MAX_IMAGE_SIZE = 1024
MAX_NAMES = 20
SAMPLE_RATES = (24_000, 48_000)
"""Of sound, hertz."""


def collect(
    source: tyro.conf.Positional[str],
    out: Path,
    episodes: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    seconds: float | None = None,
    streams: tuple[str, ...] = (),
    image_size: str | None = None,
    policy: str | None = None,
    cluster: str | None = None,
    sample_rate: int | None = None,
    min_seconds: float | None = None,
) -> int:
    """Record episodes of a world, or of what you have, into a dataset (LeRobotDataset v3.0 layout).

    The dataset depends on the source and the seed alone, not on who makes it. Run the same command again to
    go on after a stop, or with more episodes to add some.

    Args:
        source: a world's name (see `orrery worlds`); gym:ENV_ID for a Gymnasium environment, such as
            gym:ALE/Pong-v5; clips:FOLDER or clips:FILE for films; lerobot:PATH for a LeRobotDataset, v2.0 to
            v3.1, or lerobot:USER/NAME for one of the Hugging Face Hub; hdf5:PATH for files of ALOHA,
            robomimic or stable-worldmodel (hdf5:PATH?fps=RATE where they do not say their rate);
            minari:PATH or minari:ID for a Minari data set.
        out: the dataset's folder.
        episodes: how many there are to be in all; of films and recordings all there are, if left out.
        seed: episode i depends on the seed and i.
        workers: processes; one for each core if left out.
        seconds: length of an episode; of one that ends by itself, the most. 5 if left out; episodes of a
            recording are then whole.
        streams: which to record, such as video.main state; all if left out.
        image_size: pixels on each side of the picture, an even number, or, of an environment, HEIGHTxWIDTH;
            128 if left out, of an environment 96.
        policy: who acts: `random`, or MODULE:FUNCTION or FILE.py:FUNCTION, called with what is observed, a
            random generator and the environment. Left out, a world follows its own script and an environment
            gets random actions.
        cluster: address of a Ray cluster to run on instead, such as auto or 10.0.0.1:6379.
        sample_rate: of the sound in hertz, 24000 or 48000; only `laboratory` has a choice.
        min_seconds: of films, the shortest shot that is recorded; a second if left out.
    """
    _check_numbers(seed, seconds, sample_rate)
    size = _size(image_size)
    with needs("cluster" if cluster else "sim", "collecting"):
        from orrery.data.record.collect import collect as run

        report = run(
            source,
            out,
            episodes,
            seed,
            (os.cpu_count() or 1) if workers is None else workers,
            seconds,
            streams or None,
            size,
            policy=policy,
            cluster=cluster,
            sample_rate=sample_rate,
            min_seconds=min_seconds,
        )
    return _print_report(report, out)


def _print_report(report: CollectReport, out: Path) -> int:
    """Say what a collection did; UserError if episodes are missing, KeyboardInterrupt if it was stopped."""
    failed = ((f"episode {number}", reason) for number, reason in report.dropped.items())
    dropped = {name: reason.removeprefix(f"{name}: ") for name, reason in failed}
    for what, words in report.notes.items():
        print(f"{what}: {words}")
    for line in _left_out({**report.skipped, **dropped}):
        print(line)
    if report.stopped:
        wanted = f" of {report.num_wanted}" if report.num_wanted else ""
        print(f"{out}: stopped with {report.num_episodes}{wanted}; run the same command again to go on")
        raise KeyboardInterrupt
    print(
        f"{out}: {report.num_episodes} episodes, {report.num_new} of them new, "
        f"{len(report.skipped) + len(dropped)} things left out "
        f"({report.num_bytes / 1e6:.1f} MB, {report.world_seconds:.0f} s in the world, "
        f"{report.encode_seconds:.0f} s writing, over all workers)"
    )
    if report.dropped:
        name, reason = next(iter(dropped.items()))
        raise UserError(f"{len(dropped)} episodes failed and are not in {out}; {name}: {reason}")
    return 0


def _left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    """Lines that name what was left out; where many have one reason, some of them and their number."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    for reason, those in names.items():
        if len(those) <= MAX_NAMES:
            yield from (f"left out {name}: {reason}" for name in those)
        else:
            first = ", ".join(those[:MAX_NAMES])
            yield f"left out {len(those):,} (meta/plan.json names all): {reason}: {first}, …"
    if any(reason.startswith("no shot is as long") for reason in names):
        yield "shorter shots are recorded with --min-seconds"


def _size(text: str | None) -> int | tuple[int, int] | None:
    """Of `96`, of `96x128` (height and width), or None. BadUse for anything else, or an odd or huge size."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise BadUse(f"--image-size {text}: must be a number, or two as in 96x128")
    pixels = [int(side) for side in sides]
    if any(side % 2 or not 16 <= side <= MAX_IMAGE_SIZE for side in pixels):
        raise BadUse(f"--image-size {text}: must be even, from 16 to {MAX_IMAGE_SIZE}")
    return pixels[0] if len(pixels) == 1 else (pixels[0], pixels[1])


def _check_numbers(seed: int, seconds: float | None, sample_rate: int | None) -> None:
    if seed < 0:
        raise BadUse(f"--seed {seed}: must be 0 or above")
    if seconds is not None and not 0 < seconds <= MAX_EPISODE_SECONDS:
        raise BadUse(f"--seconds {seconds:g}: must be above 0 and at most {MAX_EPISODE_SECONDS:g}")
    if sample_rate is not None and sample_rate not in SAMPLE_RATES:
        raise BadUse(f"--sample-rate {sample_rate}: must be {' or '.join(map(str, SAMPLE_RATES))}")
