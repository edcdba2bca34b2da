"""One thread on which everything of a socket's world is done: games and renderers stay on the one that made
them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["WorldThread"]

Result = TypeVar("Result")


class WorldThread:
    """Runs calls one after the other, while the event loop goes on."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "orrery-world")

    async def run(self, call: Callable[[], Result]) -> Result:
        """What `call` returns, or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Let the thread go once its last call is done."""
        self._executor.shutdown(wait=False)
