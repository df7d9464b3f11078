"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PART = ".part"
"""How the name of a file ends that is still being written; it begins with a dot."""

ABANDONED = 3600.0
"""Seconds after which a part that nobody has written to is taken for left over."""


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, then put it in place in one move.

    No reader ever meets half a file, and where ``write`` fails, what was there stays. The content
    is on the disk before the name is, so that this holds if the machine stops, too. The file has
    the mode that the umask gives to new files, whatever ``write`` does.

    Args:
        path: The file.
        write: Writes the file whose path it is given.

    Raises:
        OSError: If the file cannot be written; it names ``path``.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        mode = _created(part)
        write(part)
        _settled(part, mode)
        part.replace(path)
    except OSError as error:
        if error.errno and error.filename in (
            None,
            str(part),
        ):  # a disk that is full does not say for which file
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # or it would hide what went wrong before
            part.unlink(missing_ok=True)
    _flush(path.parent)


def sweep(folder: Path, older: float = ABANDONED) -> None:
    """Remove parts that a killed process left in a folder and in those below it.

    Args:
        folder: Where to look; nothing is done if it is not there.
        older: Leave those alone that were written to in so many seconds. 0 is for those who
            hold the lock of the folder.
    """
    now = time.time()
    for part in _parts(folder):
        with contextlib.suppress(OSError):
            if now - part.stat().st_mtime >= older:
                part.unlink()


def _parts(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                yield Path(place, name)


def _created(part: Path) -> int:
    """Create the file anew, and give its mode."""
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        return os.fstat(file.fileno()).st_mode & 0o777


def _settled(part: Path, mode: int) -> None:
    """Have the content on the disk, with the mode of a new file."""
    descriptor = os.open(part, os.O_RDWR)
    try:
        if os.fstat(descriptor).st_mode & 0o777 != mode:
            part.chmod(mode)  # some libraries write to a private file of their own, and move it
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
