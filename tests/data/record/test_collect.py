"""A collection depends on its settings alone: not on workers, stops, crashes or failing worlds."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orrery.data import writer
from orrery.data.dataset import Dataset
from orrery.data.record import collect as collect_module
from orrery.data.record.collect import collect
from orrery.data.record.world import Scripted, episode_seed, record
from orrery.errors import BadUse, UserError
from orrery.streams import Array, Observation
from orrery.worlds.dummy import DummyWorld

FilesOf = Callable[[Path], dict[str, bytes]]
SMALL: dict[str, Any] = {"seconds": 0.5, "image_size": 16, "progress": False}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, files_of: FilesOf) -> dict[str, bytes]:
    """Files of ten half-second episodes, collected without interruption by one process."""
    out = tmp_path_factory.mktemp("straight") / "d"
    report = collect("dummy", out, 10, **SMALL)
    assert (report.num_episodes, report.num_new, report.dropped, report.stopped) == (10, 10, {}, False)
    assert report.num_bytes > 0
    assert min(report.world_seconds, report.encode_seconds) > 0
    return files_of(out)


def test_the_number_of_workers_leaves_no_trace(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf
) -> None:
    report = collect("dummy", tmp_path / "d", 10, num_workers=2, **SMALL)
    assert report.num_new == 10
    assert files_of(tmp_path / "d") == straight


def test_nothing_temporary_stays(straight: dict[str, bytes]) -> None:
    assert not [name for name in straight if name.startswith(".") or "partial" in name]


def test_episode_i_depends_on_seed_and_i_alone(tmp_path: Path) -> None:
    collect("dummy", tmp_path / "d", 3, seed=7, streams=["state", "action"], **SMALL)
    dataset = Dataset(tmp_path / "d")
    assert list(dataset.spec.streams) == ["state", "action"]
    alone = record(DummyWorld(streams=["state", "action"]), episode_seed(7, 2), 0.5)
    for name in ("state", "action"):
        np.testing.assert_array_equal(dataset.load(2)[name], alone.streams[name])
    assert dataset.text(2) == alone.text


def test_seeds_of_episodes_are_distinct_and_fixed() -> None:
    assert len({episode_seed(seed, i) for seed in range(30) for i in range(30)}) == 900
    assert episode_seed(0, 1) == episode_seed(0, 1)
    assert (
        0
        <= min(episode_seed(0, i) for i in range(1000))
        <= max(episode_seed(0, i) for i in range(1000))
        < 2**63
    )


def test_the_script_is_played() -> None:
    assert isinstance(DummyWorld(), Scripted)
    actions = record(DummyWorld(), 0, 1.0).streams["action"][:, 0]
    np.testing.assert_allclose(actions[1:], 0.3 * np.sin(0.5 * np.arange(1, 12)), rtol=1e-6)


def test_done_already_is_done(straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf) -> None:
    collect("dummy", tmp_path / "d", 10, **SMALL)
    report = collect("dummy", tmp_path / "d", 10, **SMALL)
    assert (report.num_episodes, report.num_new) == (10, 0)
    assert files_of(tmp_path / "d") == straight


class FailingWorld(DummyWorld):
    """Raises `problem` in the middle of the episodes whose seeds are in `seeds`."""

    seeds: frozenset[int] = frozenset()
    problem: type[BaseException] = RuntimeError

    def reset(self, seed: int, *args: Any, **kwargs: Any) -> Observation:
        self._fails, self._num_steps = seed in self.seeds, 0
        return super().reset(seed, *args, **kwargs)

    def step(self, action: Array | None = None) -> Observation:
        self._num_steps += 1
        if self._fails and self._num_steps == 3:
            raise self.problem("the table fell over")
        return super().step(action)


def make_failing(
    num_worlds: int = 1, streams: Sequence[str] | None = None, image_size: int = 16
) -> FailingWorld:
    return FailingWorld(num_worlds, image_size, streams)


def test_a_world_that_raises_costs_one_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FailingWorld, "seeds", frozenset({episode_seed(0, 1), episode_seed(0, 3)}))
    report = collect(make_failing, tmp_path / "d", 5, **SMALL)
    assert report.dropped.keys() == {1, 3}
    assert report.dropped[1] == "RuntimeError: the table fell over"
    assert report.num_episodes == 3
    dataset = Dataset(tmp_path / "d")
    assert [dataset.seed(i) for i in range(3)] == [episode_seed(0, i) for i in (0, 2, 4)]
    monkeypatch.setattr(FailingWorld, "seeds", frozenset())
    assert collect(make_failing, tmp_path / "d", 5, **SMALL).num_episodes == 5  # tried again


def test_values_outside_the_spec_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DummyWorld.step

    def loud(self: DummyWorld, action: Array | None = None) -> Observation:
        tick = original(self, action)
        tick["audio.main"] = tick["audio.main"] + 5.0
        return tick

    monkeypatch.setattr(DummyWorld, "step", loud)
    report = collect("dummy", tmp_path / "d", 2, **SMALL)
    assert report.num_episodes == 0
    assert "audio.main" in report.dropped[0]


def test_an_interrupt_stops_and_the_same_call_goes_on(
    straight: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_of: FilesOf
) -> None:
    with monkeypatch.context() as patch:
        step = DummyWorld.step
        calls = iter(range(1000))

        def interrupted(self: DummyWorld, action: Array | None = None) -> Observation:
            if next(calls) == 18:
                raise KeyboardInterrupt
            return step(self, action)

        patch.setattr(DummyWorld, "step", interrupted)
        report = collect("dummy", tmp_path / "d", 10, **SMALL)
    assert (report.stopped, report.num_episodes, report.num_new) == (True, 3, 3)
    with pytest.raises(UserError, match="has not finished; run the same collect command again"):
        Dataset(tmp_path / "d")
    report = collect("dummy", tmp_path / "d", 10, **SMALL)
    assert (report.stopped, report.num_new) == (False, 7)
    assert files_of(tmp_path / "d") == straight


PATIENCE_SECONDS = 600.0
"""Until what must happen has happened, on a machine that does much else."""
_PROGRAM = """
from orrery.data.record.collect import collect
if __name__ == "__main__":
    settings = dict(num_workers={workers}, seconds=0.5, image_size=16, progress=False)
    print(collect("dummy", {out!r}, 10, **settings).stopped)
"""


def _stop_midway(tmp_path: Path, num_workers: int, kind: signal.Signals) -> str:
    """Run a collection in a process of its own and send it a signal when a few episodes are there."""
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM.format(out=str(tmp_path / "d"), workers=num_workers))
    process = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list((tmp_path / "d").glob(".part/episode-*")):
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"no episode in {PATIENCE_SECONDS:g} s")
        assert process.poll() is None or (tmp_path / "d/meta").exists()
        time.sleep(0.001)
    os.killpg(process.pid, kind)  # as a terminal does: to workers as well
    return process.communicate(timeout=PATIENCE_SECONDS)[0].strip()


@pytest.mark.parametrize(
    ("num_workers", "kind"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)]
)
def test_a_killed_collection_loses_at_most_what_was_being_written(
    straight: dict[str, bytes], tmp_path: Path, files_of: FilesOf, num_workers: int, kind: signal.Signals
) -> None:
    printed = _stop_midway(tmp_path, num_workers, kind)
    assert printed in {signal.SIGKILL: {""}, signal.SIGINT: {"True", "False"}}[kind]  # no traceback
    collect("dummy", tmp_path / "d", 10, **SMALL)
    assert files_of(tmp_path / "d") == straight


def test_a_full_disk_stops_cleanly_and_the_same_call_goes_on(
    straight: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_of: FilesOf
) -> None:
    encode, calls = writer.video.encode, iter(range(1000))

    def full(path: Path, *args: Any) -> None:
        encode(path, *args)
        if next(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writer.video, "encode", full)
        with pytest.raises(UserError, match="no space is left"):
            collect("dummy", tmp_path / "d", 10, **SMALL)
    assert len(writer.finished_parts(tmp_path / "d")) == 4
    collect("dummy", tmp_path / "d", 10, **SMALL)
    assert files_of(tmp_path / "d") == straight


@pytest.mark.parametrize("finished", [True, False])
def test_another_collection_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_of: FilesOf, finished: bool
) -> None:
    if not finished:
        monkeypatch.setattr(collect_module, "finalize", lambda *_: 0)
    collect("dummy", tmp_path / "d", 1, seed=1, **SMALL)
    before = files_of(tmp_path / "d")
    with pytest.raises(UserError, match="seed is 1 there and 2 here"):
        collect("dummy", tmp_path / "d", 1, seed=2, **SMALL)
    with pytest.raises(UserError, match=r"streams is None there and \['state'\] here"):
        collect("dummy", tmp_path / "d", 1, seed=1, streams=["state"], **SMALL)
    assert files_of(tmp_path / "d") == before


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(UserError, match="not empty and holds no collection"):
        collect("dummy", tmp_path, 1, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"world": "dumy"}, "no world is called 'dumy'; perhaps dummy"),
        ({"streams": ["sate"]}, "no stream.*sate"),
        ({"num_episodes": 0}, "above 0"),
        ({"num_workers": 0}, "above 0"),
        ({"seconds": 0.0}, "above 0"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(
    tmp_path: Path, changed: dict[str, Any], complaint: str
) -> None:
    arguments = {"world": "dummy", "num_episodes": 1, "progress": False, **changed}
    with pytest.raises(BadUse, match=complaint):
        collect(out=tmp_path / "d", **arguments)
    assert not (tmp_path / "d").exists()


def test_pictures_of_an_odd_size_are_recorded_as_they_are(tmp_path: Path) -> None:
    """H.264 has odd sides where colours are not halved."""
    for size in (15, 16):
        collect("dummy", tmp_path / str(size), 1, seconds=0.5, image_size=size, progress=False)
    odd, even = (Dataset(tmp_path / str(size)).load(0)["video.main"] for size in (15, 16))
    assert odd.shape[2:] == (15, 15, 3)
    assert even.std() > 20
    assert np.abs(odd.mean((2, 3)) - even.mean((2, 3))).max() < 6  # the same world, seen in fewer pixels


def test_the_sample_rate_is_recorded_and_belongs_to_the_collection(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    asked = {"seconds": 0.25, "streams": ["audio.main", "state"], "image_size": 16, "progress": False}
    collect("laboratory", tmp_path / "d", 1, sample_rate=48_000, **asked)
    dataset = Dataset(tmp_path / "d")
    assert dataset.spec.clock.samples_per_second == 48_000
    assert dataset.load(0)["audio.main"].shape == (3, 4_000, 2)
    with pytest.raises(UserError, match="sample_rate is 48000 there and None here"):
        collect("laboratory", tmp_path / "d", 2, **asked)


@pytest.mark.parametrize("source", ["dummy", "tabletop", "gym:CartPole-v1"])
def test_a_source_with_one_sample_rate_says_so(source: str, tmp_path: Path) -> None:
    with pytest.raises(BadUse, match="leave --sample-rate out"):
        collect(source, tmp_path / "d", 1, sample_rate=48_000, **SMALL)


def _collected_again(out: Path) -> int:
    """Threads of this process after a collection in it."""
    collect("dummy", out, 1, **SMALL)
    return threading.active_count()


def test_collecting_again_and_again_leaves_no_thread(tmp_path: Path) -> None:
    """In a process that is another's child, too: it watches for the end of none but its own parent."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        counts = [pool.submit(_collected_again, tmp_path / str(k)).result() for k in range(3)]
    assert counts[0] == counts[2]
