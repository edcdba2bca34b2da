"""Live play, page and server on one machine: ticks a second, key to picture, gaps in the sound, memory.

    python benchmarks/live.py [WORLD] [--minutes 10]

Starts `orrery play WORLD`, opens its page in Chromium (Playwright), and holds one key after another. Figures
are what the page itself shows, read once a second: key to picture is its median over the last actions. Memory
is that of the server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from playwright.sync_api import Page, sync_playwright
from tyro.conf import Positional

from harness import Subject, save, show
from orrery.evaluation.rollout import finite
from orrery.registry import resolve_model

KEYS = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight")
SETTLED_SECONDS = 5


@dataclass
class Settings:
    """world: a shipped model's name, or the folder of a checkpoint. minutes: of play, after it has begun.
    port: to listen on."""

    world: Positional[str] = "pong"
    minutes: float = 10.0
    port: int = 8763


def main(settings: Settings) -> None:
    resolve_model(settings.world)
    command = [sys.executable, "-m", "orrery", "play", settings.world, "--no-browser"]
    server = subprocess.Popen(
        [*command, "--port", str(settings.port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = address_of(server)
        with sync_playwright() as started:
            arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
            browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            figures = played(browser.new_page(), address, server.pid, settings.minutes)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    show(
        f"{settings.world}, {settings.minutes:g} minutes live",
        ["", ""],
        [[name, value] for name, value in figures.items() if not isinstance(value, list)],
    )
    save(f"live-{settings.world}", Subject(settings.world), {"minutes": settings.minutes, **figures}, seed=0)


def address_of(server: subprocess.Popen[str]) -> str:
    """Where the page is, as the server says when it is ready."""
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("the server ended before it said where its page is")


def played(page: Page, address: str, server: int, minutes: float) -> dict[str, Any]:
    """Figures of so many minutes of play."""
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    page.locator("#overlay-button").click(timeout=120_000)
    page.wait_for_timeout(1000 * SETTLED_SECONDS)
    begun, first, before = time.monotonic(), tick_of(page), gaps_of(page) or (0.0, 0.0, 0.0)
    latencies: list[float] = []
    memory: list[float] = []
    while (elapsed := time.monotonic() - begun) < 60 * minutes:
        key = KEYS[len(latencies) % len(KEYS)]
        page.keyboard.down(key)
        page.wait_for_timeout(1000)
        page.keyboard.up(key)
        shown = page.locator("#latency").inner_text().removesuffix(" ms")
        latencies.append(float(shown) if shown.isdigit() else np.nan)
        if elapsed >= 60 * len(memory):
            memory.append(memory_mib(server))
    seconds, ticks = time.monotonic() - begun, tick_of(page) - first
    after = gaps_of(page)
    return {
        "ticks_a_second": ticks / seconds,
        "key_to_picture_ms_median": finite(float(np.nanmedian(latencies))),
        "key_to_picture_ms_p95_of_seconds": finite(float(np.nanpercentile(latencies, 95))),
        "sound_gaps": None if after is None else int(after[0] - before[0]),
        "sound_gaps_seconds": None if after is None else after[1] - before[1],
        "sound_gap_seconds_longest_since_it_was_opened": None if after is None else after[2],
        "memory_mib_first_minute": memory[0],
        "memory_mib_last_minute": memory[-1],
        "console_errors": len(faults),
        "memory_mib": memory,
    }


def tick_of(page: Page) -> int:
    return int(page.evaluate("document.body.dataset.tick || 0"))


def gaps_of(page: Page) -> tuple[float, float, float] | None:
    """Gaps in the sound since the page was opened: how many, seconds of all and of the longest; None where
    nothing is heard."""
    data = page.evaluate("({...document.body.dataset})")
    names = ("underruns", "silentSeconds", "longestSeconds")
    return (float(data[names[0]]), float(data[names[1]]), float(data[names[2]])) if names[0] in data else None


def memory_mib(process: int) -> float:
    """Resident memory of a process (Linux)."""
    told = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", told)
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    main(tyro.cli(Settings))
