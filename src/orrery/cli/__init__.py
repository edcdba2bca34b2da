"""The command line: types become options, and a user's mistake becomes one line and an exit status.

Each command is a function in a module of its own, which imports what it needs only when it runs, so that
`orrery --help` is quick and a base install, without the simulator, generates. Exit status: 0, 1 (failed),
2 (bad use), 130 (Ctrl-C).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import tyro

from orrery import __version__
from orrery.cli.collect import collect
from orrery.cli.generate import generate
from orrery.cli.inspect import inspect
from orrery.cli.play import play
from orrery.cli.report import report
from orrery.cli.serve import serve
from orrery.cli.shoot import shoot
from orrery.cli.train import train
from orrery.cli.worlds import worlds
from orrery.errors import UserError

__all__ = ["main"]

COMMANDS = {
    "generate": generate,
    "collect": collect,
    "inspect": inspect,
    "play": play,
    "report": report,
    "serve": serve,
    "shoot": shoot,
    "train": train,
    "worlds": worlds,
}
STOPPED = 130
"""What shells give for a program that Ctrl-C ended: 128 + SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (argv: without the program's name; None for the process's own). The exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if list(argv) == ["--version"]:
        print(f"orrery {__version__}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")  # a name that is not UTF-8 must not end in a traceback
    try:
        status = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="orrery",
            description=f"Orrery {__version__} (orrery --version says just that)",
            args=argv,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.stdout.flush()
        return status
    except UserError as error:
        return _fail(str(error), error.exit_status)
    except BrokenPipeError:  # whoever read our output has gone, as in `orrery inspect film.mp4 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _fail("stopped", STOPPED)


def _fail(message: str, status: int) -> int:
    print(f"orrery: {' '.join(message.split())}", file=sys.stderr)
    return status
