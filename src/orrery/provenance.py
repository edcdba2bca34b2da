"""Where a number or a file comes from: the machine and the version of the code."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

__all__ = ["git", "hardware"]


def hardware() -> str:
    """A short name of the machine: processor and number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        model = found[1] if found else model
    words = re.findall(r"[a-z0-9]+", re.sub(r"\(.*?\)|CPU|Processor|@.*", " ", model).lower())
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{'-'.join(words[:3])}-{num_cores}-cores"


def git(*arguments: str) -> str:
    """What git says in the folder of this code; empty where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()
