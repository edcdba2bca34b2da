"""The one exception that stands for a user's mistake.

Everything a user can get wrong raises `UserError` with what was wrong, where, and what to do. The command
line prints it in one line and exits with its status; nobody ever sees a traceback for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["BadUse", "UserError", "nearest"]


class UserError(Exception):
    """Something outside the program is wrong (a file, a disk, a sentence). Exit status 1."""

    exit_status = 1


class BadUse(UserError):
    """The call itself is wrong (an argument out of range). Exit status 2."""

    exit_status = 2


def nearest(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known words closest to `word`, best first, at most `count` of them."""
    return difflib.get_close_matches(word, list(known), n=count, cutoff=0.5)
