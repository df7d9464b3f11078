"""A folder that one process has to itself, until it is done or dead."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .files import PART, is_part, sweep

LOCK, HOLDER = ".lock", ".holder"
"""What the lock of a folder is called, and the note of who holds it."""


def contents(folder: Path) -> list[Path]:
    """List what is in a folder, in order, without its lock and without parts of files.

    Returns:
        Paths; none if there is no such folder.
    """
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name not in (LOCK, HOLDER) and not is_part(p))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder to oneself; parts of files that a killed process left in it are removed.

    The system keeps the lock and frees it when its process ends, however it ends: on network
    folders, too, if they know locks. Where they do not, a file stands in for it.

    Args:
        folder: Exists.

    Raises:
        BlockingIOError: If another process has it; the message says which.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use by {_holder(folder)}; wait for it, end it, or choose another "
            "folder."
        ) from None
    note = folder / HOLDER
    try:
        _write(note)
        sweep(folder, older=0)
        yield
    finally:
        for path in (note, folder / LOCK):  # who waits for a lock without a name begins anew
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()


@contextmanager
def workspace(path: Path) -> Iterator[Path]:
    """Have the folder beside ``path`` in which its content is prepared, and remove it after.

    A killed process leaves it behind; the next that writes ``path`` has it then, with what is in
    it, to remove or to put back.

    Raises:
        BlockingIOError: If another process is writing ``path``.
    """
    work = path.with_name(f".{path.name}{PART}")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with locked(work):
            yield work
    finally:
        with contextlib.suppress(OSError):  # another process has it by now
            work.rmdir()


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Have an empty folder in the workspace of ``path``, gone with all in it when this ends.

    Raises:
        BlockingIOError: If another process is writing ``path``.
    """
    with workspace(path) as work, emptied(work / "new") as folder:
        yield folder


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """Have a folder that is empty, even if a killed process filled it; it is removed after."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(note: Path) -> None:
    """Say who holds the lock; where that cannot be written, nobody will know."""
    about = {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with contextlib.suppress(OSError):
        note.write_text(json.dumps(about) + "\n")


def _holder(folder: Path) -> str:
    try:
        told: Any = json.loads((folder / HOLDER).read_text())
        return f"process {told['process']} on {told['machine']}, since {told['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
