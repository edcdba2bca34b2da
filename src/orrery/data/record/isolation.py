"""Calls in a child process, so that a decoder that crashes or hangs takes nothing else with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from orrery.errors import UserError

__all__ = ["Isolated"]


class Isolated:
    """A child process that calls functions, one at a time; it is started anew after a crash.

    timeout_seconds: of one call. Use as a context manager, or `close` it.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._child: BaseProcess | None = None
        self._pipe: Connection | None = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(*arguments)`, both importable; what it raises is raised here.

        UserError if the child process dies in it or does not answer in time.
        """
        if self._child is None or not self._child.is_alive():
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send((function, arguments))
            if not self._pipe.poll(self._timeout):
                raise UserError(f"its decoder did not answer within {self._timeout:g} s")
            is_result, value = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise UserError(f"its decoder crashed ({self._ending()})") from error
        except BaseException:
            self.close()  # it may answer later, to another question
            raise
        if is_result:
            return value
        raise value

    def close(self) -> None:
        """End the child process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        child = context.Process(target=_answer, args=(theirs,), daemon=True)
        child.start()
        self._child = child
        theirs.close()
        self._pipe.recv()  # it is ready: starting counts towards no call

    def _ending(self) -> str:
        assert self._child is not None
        self._child.join(timeout=10)
        code = self._child.exitcode
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit status {code}"


def _answer(pipe: Connection) -> None:
    """What the child does until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    pipe.send(None)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:
            answer = (False, error)
        try:
            pipe.send(answer)
        except ConnectionError:
            return
        except Exception as error:  # an answer that cannot be sent
            pipe.send((False, UserError(f"{type(error).__name__}: {error}")))
