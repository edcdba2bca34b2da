"""The page's sound player, run sample by sample: what a gap is, and how long it was."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

_HARNESS = """
globalThis.sampleRate = 1000; globalThis.currentTime = 0;
globalThis.AudioWorkletProcessor = class {
  constructor() { this.port = { postMessage: (report) => (said = report) }; }
};
let made, said = null;
globalThis.registerProcessor = (_, kind) => {
  made = new kind({ processorOptions: { rate: 1000, channels: 1, ahead: 0.01 } });
};
"""
_RUN = """
const heard = [];
for (const [name, value] of steps) {
  if (name === "run") for (let i = 0; i < value; i++) {
    const block = [new Float32Array(10)];
    made.process(null, [block]);
    heard.push(...block[0]);
  } else if (name === "samples") made.take({ samples: new Int16Array(value).fill(16384) });
  else made.take({ [name]: value });
}
console.log(JSON.stringify({ ...said, heard }));
"""
OPEN = [("expecting", True), ("samples", 50)]


def report(*steps: tuple[str, Any]) -> dict[str, Any]:
    """What the player says after these steps, and what it played. run: blocks of ten samples at 1 kHz; it
    says something every eight blocks."""
    worklet = files("orrery.serving").joinpath("web", "worklet.js").read_text()
    program = f"{_HARNESS}\n{worklet}\nconst steps = {json.dumps(steps)};\n{_RUN}"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_sound_that_comes_in_time_has_no_gap() -> None:
    said = report(*OPEN, ("samples", 100), ("run", 8))
    assert (said["underruns"], said["silentSeconds"], said["longestSeconds"]) == (0, 0, 0)
    assert said["heard"][-1] == 0.5


def test_a_gap_is_timed_from_the_last_sample_to_the_next_that_is_heard() -> None:
    said = report(*OPEN, ("run", 16), ("samples", 150), ("run", 8))
    assert said["underruns"] == 1
    heard = said["heard"]
    first = next(k for k, value in enumerate(heard) if value == 0.5)
    end = next(k for k in range(first, len(heard)) if heard[k] != 0.5)
    again = next(k for k in range(end, len(heard)) if heard[k] == 0.5)
    assert said["silentSeconds"] == pytest.approx((again - end) / 1000, abs=0.002)
    assert said["longestSeconds"] == said["silentSeconds"] > 0.1


def test_several_gaps_add_up_and_the_longest_is_known() -> None:
    said = report(*OPEN, ("run", 16), ("samples", 50), ("run", 12), ("samples", 150), ("run", 12))
    assert said["underruns"] == 2
    assert 0 < said["longestSeconds"] < said["silentSeconds"]


def test_one_that_goes_on_is_counted_so_far() -> None:
    shorter, longer = (report(*OPEN, ("run", blocks)) for blocks in (16, 32))
    assert shorter["underruns"] == longer["underruns"] == 1
    assert longer["silentSeconds"] - shorter["silentSeconds"] == pytest.approx(0.16)


@pytest.mark.parametrize("pause", [("expecting", False), ("clear", True)])
def test_a_pause_and_a_rewind_are_no_gap(pause: tuple[str, Any]) -> None:
    said = report(*OPEN, ("run", 2), pause, ("expecting", False), ("run", 30))
    assert (said["underruns"], said["silentSeconds"]) == (0, 0)
