"""Snapshots of any world: it runs in a process of its own, and a snapshot is a copy of that process.

What an emulator, a game or a library keeps where nobody can read it (the phase of a note, the action that
sticks, a generator of random numbers) is copied with all else, by the operating system: a parked copy costs
the memory that has changed since. A process can be copied so where it has one thread and talks to nobody;
`keeps_no_snapshots` says what is in the way.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from orrery.errors import BadUse, UserError
from orrery.streams import Array, Observation, WorldSpec
from orrery.world import World

__all__ = ["CAN_COPY", "ForkedWorld", "Parked"]

CAN_COPY = sys.platform == "linux"
"""Whether this system lets a process be copied, and looked into first."""

_LENGTH = struct.Struct("<Q")
_FORK = "fork"
_END_SECONDS = 5.0
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_IDLE_THREADS = ("SDLTimer",)
"""SDL starts it with every picture. It waits for timers, which no environment that repeats itself sets."""
_HARMLESS = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/pts/", "/dev/tty")


class Parked:
    """A copy of a world's process that waits to be copied again. It ends when this is forgotten."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel


class ForkedWorld:
    """A world that `make()` gives, in a process of its own; `Snapshotable` where that process can be copied.

    make: is pickled, so of a module. The world that it gives is reset and stepped once, to see what it needs.
    UserError for what goes wrong there, in its own words.
    """

    def __init__(self, make: Callable[[], World]) -> None:
        self._channel, theirs = socket.socketpair()
        paths = os.pathsep.join(filter(None, sys.path))  # where `make` is found
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orrery.worlds.forked", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": paths},
                start_new_session=True,
            )
        self._parked: WeakSet[Parked] = WeakSet()
        self.spec: WorldSpec
        self.spec, self.num_worlds, self.keeps_no_snapshots = _asked(self._channel, make)
        self.endings = [""] * self.num_worlds
        """How each world ended, where it says so: `terminated`, `truncated`, or empty."""
        self._is_started = False
        if not self.keeps_no_snapshots:
            self.snapshot, self.restore = self._snapshot, self._restore

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again; see `World.reset`."""
        tick = self._done("reset", seed, prompt, scene, given, mask)
        self._is_started = True
        return tick

    def step(self, action: Array | Mapping[str, Array] | None = None) -> Observation:
        """Advance one tick; see `World.step`."""
        self._check_started()
        return self._done("step", action)

    def close(self) -> None:
        """End the process, and all copies of it."""
        self._channel.close()
        for parked in list(self._parked):
            parked.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)

    def _done(self, *request: Any) -> Observation:
        observation, self.endings = _asked(self._channel, request)
        return observation

    def _snapshot(self) -> tuple[Parked, list[str]]:
        """See `Snapshotable`."""
        self._check_started()
        parked = Parked(_copied(self._channel))
        self._parked.add(parked)
        return parked, list(self.endings)

    def _restore(self, snapshot: tuple[Parked, list[str]]) -> None:
        """See `Snapshotable`."""
        parked, endings = snapshot
        channel = _copied(parked.channel)
        self._channel.close()  # which ends the process at its other end
        self._channel, self.endings, self._is_started = channel, list(endings), True

    def _check_started(self) -> None:
        if not self._is_started:
            raise BadUse("reset() comes before anything else")


def _copied(channel: socket.socket) -> socket.socket:
    """The channel to a copy of the process at the other end of `channel`."""
    ours, theirs = socket.socketpair()
    with theirs:
        _send(channel, (_FORK,))
        with suppress(BrokenPipeError, ConnectionResetError, OSError):
            socket.send_fds(channel, [b"f"], [theirs.fileno()])
        try:
            _answer(channel)
        except UserError:
            ours.close()
            raise
    return ours


def _asked(channel: socket.socket, request: Any) -> Any:
    _send(channel, request)
    return _answer(channel)


def _answer(channel: socket.socket) -> Any:
    try:
        kind, value = _received(channel)
    except (EOFError, OSError) as error:
        raise UserError("the world's process has ended; start again") from error
    if kind is not None:
        raise (BadUse if kind == "bad use" else UserError)(value)
    return value


def _send(channel: socket.socket, message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    with suppress(BrokenPipeError, ConnectionResetError):  # told when the answer is awaited
        channel.sendall(_LENGTH.pack(len(content)) + content)


def _received(channel: socket.socket) -> Any:
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return pickle.loads(_exactly(channel, length))


def _exactly(channel: socket.socket, length: int) -> bytes:
    content = bytearray(length)
    view, filled = memoryview(content), 0
    while filled < length:
        num = channel.recv_into(view[filled:])
        if not num:
            raise EOFError
        filled += num
    return bytes(content)


# In the world's process -------------------------------------------------------------------------------------


def _serve(channel: socket.socket) -> None:
    """Make the world that is asked for first, then do as asked until the other end is closed."""
    world = _tried(channel, lambda: _made(_received(channel)))
    if world is None:
        return
    name = world.spec.environment.get("id") or type(world).__name__
    why = _in_the_way(channel)
    _send(channel, (None, (world.spec, world.num_worlds, f"{name} {why}" if why else "")))
    while True:
        name, *arguments = _received(channel)
        if name == _FORK:
            channel = _forked(channel)
            continue
        observation = _tried(channel, lambda n=name, a=arguments: getattr(world, n)(*a))
        if observation is not None:
            endings = list(getattr(world, "endings", [""] * world.num_worlds))
            _send(channel, (None, (observation, endings)))


def _made(make: Callable[[], World]) -> World:
    """A world that has shown all that it needs."""
    world = make()
    world.reset(0)
    world.step()
    return world


def _tried(channel: socket.socket, call: Callable[[], Any]) -> Any:
    """What a call gives; None, once it was told, where it raises."""
    try:
        return call()
    except EOFError:
        raise
    except BadUse as error:
        _send(channel, ("bad use", str(error)))
    except UserError as error:
        _send(channel, ("wrong", str(error)))
    except Exception as error:
        _send(channel, ("wrong", f"the world failed: {type(error).__name__}: {error}"))
    return None


def _forked(channel: socket.socket) -> socket.socket:
    """Copy this process: the channel on which this one, or the copy, goes on."""
    _, (theirs,), _, _ = socket.recv_fds(channel, 1, 1)
    try:
        is_original = os.fork()
    except OSError as error:
        os.close(theirs)
        _send(channel, ("wrong", f"the world's process cannot be copied: {error.strerror}"))
        return channel
    if is_original:
        os.close(theirs)
        _send(channel, (None, None))
        return channel
    channel.close()
    return socket.socket(fileno=theirs)


def _in_the_way(channel: socket.socket) -> str:
    """Why a copy of this process would not do, of whom that is left out; empty where it would."""
    main = str(os.getpid())
    threads = [
        Path(f"/proc/self/task/{task}/comm").read_text().strip()
        for task in os.listdir("/proc/self/task")
        if task != main
    ]
    if others := [name for name in threads if name not in _IDLE_THREADS]:
        return f"runs in {1 + len(threads)} threads, and a copy would lack {', '.join(others)}"
    with suppress(OSError):
        if Path(f"/proc/self/task/{main}/children").read_text().split():
            return "runs a program of its own, which a copy would share"
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number != channel.fileno():
            with suppress(OSError):
                held = os.readlink(f"/proc/self/fd/{number}")
                if _is_shared(number, held):
                    return f"holds {held}, which a copy would share"
    return ""


def _is_shared(number: int, held: str) -> bool:
    """Whether a file is a device, or a way to another program; news of the kernel's own are neither."""
    if held.startswith("socket:"):
        with socket.socket(fileno=os.dup(number)) as other:
            return other.family != socket.AF_NETLINK
    return held.startswith("/dev/") and not held.startswith(_HARMLESS)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the other end of its channel
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies that have ended leave nothing behind
    with suppress(EOFError, ConnectionResetError):
        _serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)


if __name__ == "__main__":
    _main()
