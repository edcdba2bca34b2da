"""What the commands do when all is well, and when they are stopped half-way: no half film, nothing lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orrery.cli import main
from orrery.media import read_film

SENTENCE = "a red ball drops and a blue box stands on the table"
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_exact_world_is_filmed(exact_film: Path) -> None:
    film = read_film(exact_film)
    assert film.frames.shape == (25, 128, 128, 3)
    assert film.audio is not None
    assert film.audio.shape == (25_000, 2)
    assert np.abs(film.audio).max() > 0.01  # the ball has landed
    red = (film.frames[..., 0] > 100) & (film.frames[..., 1] < 60) & (film.frames[..., 2] < 60)
    heights = [np.nonzero(frame)[0].mean() for frame in red]
    assert heights[-1] > heights[0] + 8  # rows count downwards
    values = json.loads(exact_film.with_suffix(".json").read_text())
    assert values["checkpoint"] == "exact"
    assert values["prompt"] == SENTENCE
    assert values["num_frames"] == 25
    assert Image.open(exact_film.with_suffix(".png")).width > 400


@pytest.mark.slow
def test_the_last_line_says_where_the_film_is(tmp_path: Path, orrery: Run) -> None:
    """In a process of its own, where nothing but the bar may go to stderr, and that only on a terminal."""
    run = orrery("generate", SENTENCE, "--out", tmp_path / "a.mp4", "--exact", "--seconds", "0.1")
    assert run.returncode == 0
    last = run.stdout.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'a.mp4'}: 0.08 s of film in ")
    assert "x real time" in last
    assert "a.json" in last


def test_inspect_shows_a_film(exact_film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(exact_film)]) == 0
    shown = capsys.readouterr().out
    assert "1.042 s, 25 frames" in shown
    assert "dBFS" in shown


def test_inspect_reads_all_of_a_dataset(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["inspect", str(dataset), "--out", str(sheet), "--episode", "2"]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 episodes" in shown
    assert "video.main" in shown
    assert Image.open(sheet).height > 100
    assert not dataset.with_name("set.png").exists()


def test_inspect_shows_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], checkpoint: Path
) -> None:
    folder = checkpoint
    assert main(["inspect", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "12 in all" in shown
    assert "A card of [one] line" in shown  # no markup is made of it


def test_worlds_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["worlds"]) == 0
    shown = capsys.readouterr().out
    assert "tabletop" in shown
    assert "exact" in shown
    assert "imagined" in shown


def test_collect_is_resumed_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["collect", "dummy", "--out", str(tmp_path / "set"), "--workers", "1", "--seconds", "0.2"]
    assert main([*arguments, "--episodes", "2", "--image-size", "16"]) == 0
    assert "2 episodes, 2 of them new" in capsys.readouterr().out
    assert main([*arguments, "--episodes", "3", "--image-size", "16"]) == 0
    assert "3 episodes, 1 of them new" in capsys.readouterr().out


@pytest.mark.slow
def test_a_base_install_without_the_simulator_has_a_command_line(exact_film: Path, tmp_path: Path) -> None:
    """What needs an extra says which; what does not, runs."""
    script = (
        "import sys\n"
        "for name in ('mujoco', 'mujoco_warp', 'warp', 'pyarrow', 'scipy', 'gymnasium', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from orrery.cli import main\n"
        "sys.exit(main())\n"
    )
    base = [sys.executable, "-c", script]
    options = {"capture_output": True, "text": True, "timeout": 120}
    film = ["generate", SENTENCE, "--out", tmp_path / "a.mp4", "--exact"]
    run = subprocess.run([*base, *film], **options)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert 'pip install "orrery[sim]"' in run.stderr
    run = subprocess.run(
        [*base, "collect", "tabletop", "--out", tmp_path / "d", "--episodes", "1"], **options
    )
    assert run.returncode == 1
    assert "orrery[sim]" in run.stderr
    run = subprocess.run([*base, "inspect", exact_film, "--out", tmp_path / "sheet.png"], **options)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_film(tmp_path: Path, command: list[str]) -> None:
    out = tmp_path / "a.mp4"
    out.write_text("precious")
    process = subprocess.Popen(
        [*command, "generate", SENTENCE, "--exact", "--seconds", "600", "--out", out, "--force"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 90
        while not any(p.stat().st_size for p in tmp_path.glob(".a.mp4.*")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.3)  # into the ticks
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "orrery: stopped"
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert out.read_text() == "precious"


def _limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))


def _film_that_does_not_fit(orrery: Run, out: Path, **options: object) -> None:
    run = orrery("generate", SENTENCE, "--exact", "--seconds", "2", "--out", out, **options)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(f"orrery: {out}: ")
    assert "Traceback" not in run.stderr
    assert not any(out.parent.iterdir())


@pytest.mark.slow
def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, orrery: Run) -> None:
    """A limit on the size of files stands in for a full disk: the same path through the writer."""
    _film_that_does_not_fit(orrery, tmp_path / "a.mp4", preexec_fn=_limit_file_size)


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path: Path, orrery: Run) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root's rights")
    try:
        _film_that_does_not_fit(orrery, disk / "a.mp4")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_traceback(
    exact_film: Path, tmp_path: Path, command: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [*command, "inspect", exact_film, "--out", tmp_path / "s.png"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    assert run.returncode == 1
    assert run.stderr == ""


def test_its_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    from orrery import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"orrery {__version__}\n"
    said = subprocess.run(
        [sys.executable, "-m", "orrery", "--version"], capture_output=True, text=True, check=True, timeout=300
    )
    assert said.stdout == f"orrery {__version__}\n"


def test_a_film_that_is_not_there_is_called_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nothing.mp4"]) == 1
    assert capsys.readouterr().err == "orrery: nothing.mp4: there is no such file\n"
