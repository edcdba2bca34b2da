"""What lies in a folder: the files that may be films, whatever their ending, and what each other one is."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from orrery.errors import UserError

__all__ = ["Listing", "listing", "shown"]

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".webm", ".mkv", ".avi", ".flv", ".f4v", ".wmv", ".asf",
    ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".ogv", ".mxf", ".gif", ".apng",
)  # fmt: skip
"""Files of these endings are meant to be films; others may be."""
_HEAD_BYTES = 4096
_PICTURE_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
_MAGIC = {
    b"version https://git-lfs.github.com/": "a Git LFS pointer; fetch the film itself with `git lfs pull`",
    b"/annex/objects/": "a git-annex pointer; fetch the film itself with `git annex get`",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"II*\0": "a picture (TIFF)",
    b"MM\0*": "a picture (TIFF)",
    b"8BPS": "a picture (PSD)",
    b"\0\0\1\0": "a picture (ICO)",
    b"\0\0\0\x0cJXL ": "a picture (JPEG XL)",
    b"\xff\x0a": "a picture (JPEG XL)",
    b"ID3": "sound",
    b"fLaC": "sound",
    b"\xff\xfb": "sound",
    b"\xff\xf3": "sound",
    b"\xff\xf1": "sound",
    b"PK\3\4": "an archive; unpack it",
    b"\x1f\x8b": "an archive; unpack it",
    b"7z\xbc\xaf": "an archive; unpack it",
    b"Rar!": "an archive; unpack it",
    b"%PDF": "a document (PDF)",
    b"\x89HDF": "an HDF5 file",
}


@dataclass
class Listing:
    """films: files that may be films, in order; named relative to the folder. others: name to why not.
    num_unreadable: how many of those end as films do."""

    films: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    num_unreadable: int = 0


def shown(name: str) -> str:
    """A file's name in letters that can be written anywhere, also where it is not UTF-8."""
    return "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # how Python keeps a byte that is not UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else letter.encode("unicode_escape").decode()


def listing(path: Path, ours: Path) -> Listing:
    """All files in the folder `path` and in the folders in it, links followed; or the file `path` alone.

    ours: a folder of our own, which may lie in it and is not listed. Raises UserError where there is neither
    a folder nor a file.
    """
    found = Listing()
    if path.is_file():
        _list(found, path, path.name)
        return found
    if not path.is_dir():
        raise UserError(f"there is no folder and no film {path}")
    seen = {os.path.realpath(path)}

    def refuse(error: OSError) -> None:
        found.others[_relative(path, error.filename)] = f"must not be read ({error.strerror})"

    for folder, folders, names in os.walk(path, onerror=refuse, followlinks=True):
        for name in sorted(folders):
            inner = os.path.join(folder, name)
            why = _skip_reason(inner, name, seen)
            if why is not None:
                folders.remove(name)
                if not ours.resolve().is_relative_to(os.path.realpath(inner)):
                    found.others[f"{_relative(path, inner)}/"] = why
        for name in names:
            _list(found, Path(folder, name), _relative(path, os.path.join(folder, name)))
    found.films.sort()
    found.others = dict(sorted(found.others.items()))
    return found


def _relative(root: Path, name: str) -> str:
    return Path(name).relative_to(root).as_posix()


def _skip_reason(folder: str, name: str, seen: set[str]) -> str | None:
    """Why a folder is not looked through; None where it is."""
    if name.startswith("."):
        num_files = sum(len(names) for _, _, names in os.walk(folder))
        return f"a hidden folder with {num_files:,} files"
    whole = os.path.realpath(folder)
    if whole in seen:
        return "a link to a folder that is looked through as well"
    seen.add(whole)
    return None


def _list(found: Listing, file: Path, name: str) -> None:
    """Put one file where it belongs."""
    if file.name.startswith("."):
        found.others[name] = "a hidden file"
        return
    try:
        why = _what(file)
    except OSError as error:
        found.others[name] = f"must not be read ({error.strerror})"
        return
    if why is None:
        found.films.append(name)
    elif file.suffix.lower() in SUFFIXES:
        found.others[name] = f"cannot be read as a film: it is {why}"
        found.num_unreadable += 1
    else:
        found.others[name] = f"{why}; not a film"


def _what(file: Path) -> str | None:
    """What a file is that is no film; None where it may be one."""
    if not file.exists():
        target = os.readlink(file) if file.is_symlink() else ""
        fetch = "; fetch the film with `git annex get`" if "annex/objects" in target else ""
        return f"a link to nothing{fetch}"
    if not stat.S_ISREG(file.stat().st_mode):
        return "a pipe, a socket or a device"
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if not head:
        return "an empty file (0 bytes)"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    return _picture(head) or ("text" if _is_text(head) else None)


def _picture(head: bytes) -> str | None:
    """Which picture or sound a file is whose first bytes leave a choice; None where it may be a film."""
    if head.startswith(b"\x89PNG"):
        return None if b"acTL" in head.partition(b"IDAT")[0] else "a picture (PNG)"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        moves = head[12:16] == b"VP8X" and head[20] & 2
        return "an animated WebP; make it an MP4 or a GIF" if moves else "a picture (WebP)"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "sound"
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        return "a picture (HEIF)"
    return "a picture (BMP)" if head[:2] == b"BM" and head[6:10] == bytes(4) else None


def _is_text(head: bytes) -> bool:
    if head.startswith(b"YUV4MPEG2"):  # pictures behind a line of words
        return False
    try:
        words = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # otherwise a letter that the end has cut
            return False
        words = head[: error.start].decode()
    return all(c.isprintable() or c in "\n\r\t\f\ufeff" for c in words)
