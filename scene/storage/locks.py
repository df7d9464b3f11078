"""Locks: exclusive use of a folder by one process, until it ends."""

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
"""Names of a folder's lock, and of the file that says which process holds it."""


def contents(folder: Path) -> list[Path]:
    """Return the entries of a folder, in order, without its lock and partial files.

    Returns:
        Paths; none if there is no such folder.
    """
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name not in (LOCK, HOLDER) and not is_part(p))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder; partial files that a killed process left in it are removed.

    The operating system frees the lock when its process ends, however it ends, also on network
    folders with locks. On others a file is the lock.

    Args:
        folder: An existing folder.

    Raises:
        BlockingIOError: If another process has it; the message names the process.
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
        for path in (note, folder / LOCK):  # a process that waits for a removed lock starts again
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()


@contextmanager
def workspace(path: Path) -> Iterator[Path]:
    """Lock a folder beside ``path`` for preparing its content, and remove the folder at the end.

    A killed process leaves the folder behind; the next one that writes ``path`` gets it with its
    content, to remove or to restore.

    Raises:
        BlockingIOError: If another process is writing ``path``.
    """
    work = path.with_name(f".{path.name}{PART}")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with locked(work):
            yield work
    finally:
        with contextlib.suppress(OSError):  # another process may have it
            work.rmdir()


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield an empty folder in the workspace of ``path``; it is removed at the end.

    Raises:
        BlockingIOError: If another process is writing ``path``.
    """
    with workspace(path) as work, emptied(work / "new") as folder:
        yield folder


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, cleared of what a killed process left; it is removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(note: Path) -> None:
    """Write which process holds the lock, if possible."""
    about = {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with contextlib.suppress(OSError):
        note.write_text(json.dumps(about) + "\n")


def _holder(folder: Path) -> str:
    try:
        holder: Any = json.loads((folder / HOLDER).read_text())
        return f"process {holder['process']} on {holder['machine']}, since {holder['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
