"""A folder that one process has to itself, until it is done or dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none; two searches in one folder are then the user's to avoid
    fcntl = None  # type: ignore[assignment]


LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder to oneself; what a dead process held is free.

    Raises:
        BlockingIOError: If another process has it.
    """
    with (folder / LOCK).open("w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(f"Another process is searching in {folder}.") from None
        yield
