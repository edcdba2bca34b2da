"""Which model a name means: a checkpoint that ships with the package, or a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

from orrery.errors import UserError, nearest

__all__ = ["DEFAULT_MODEL", "SHIPPED", "resolve_model"]

DEFAULT_MODEL = "tabletop"
SHIPPED = {
    "tabletop": "things fall, roll, slide and ring on a table; sentence, picture or touch in",
    "pong": "Atari's Pong with its sound, learned from its pixels; moves up and down in",
}
"""Name to what it models, one line each; the files are in `orrery/checkpoints/<name>`."""

_FOLDER = Path(__file__).parent / "checkpoints"


def resolve_model(name_or_path: str | Path) -> Path:
    """The folder of the checkpoint that a shipped name or a path stands for.

    A run's folder stands for the checkpoint in it. A shipped name wins over a folder of the same name here;
    write `./name` for that one. Raises UserError with the known names, the nearest first, where neither
    exists.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in SHIPPED:
        folder = _FOLDER / text
        if not (folder / "config.json").is_file():
            raise UserError(
                f"model {text!r} is not in this installation ({folder}); reinstall orrery, or name a folder"
            )
        return folder
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _of_run(path) if (path / "run.json").is_file() else path
    if path.exists():
        raise UserError(f"model {text!r} is a file; name the checkpoint's folder, the one with config.json")
    close = nearest(text, SHIPPED)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UserError(f"no model {text!r}: {hint}shipped are {', '.join(SHIPPED)}; a folder works too")


def _of_run(run: Path) -> Path:
    """The checkpoint of a run."""
    if not (run / "checkpoint").is_dir():
        raise UserError(f"{run}: this run has no checkpoint yet; train it to its end first")
    return run / "checkpoint"
