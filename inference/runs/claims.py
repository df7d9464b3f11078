"""Claims on the folder of a new run: a lock, and an earlier run that can be restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scene.storage.locks import contents, locked
from scene.storage.outputs import clear

from .run import ASIDE, CHECKPOINT, MOVING, WEIGHTS, require_free_run


@contextmanager
def claimed(folder: Path, force: bool = False) -> Iterator[None]:
    """Lock the folder of a new run.

    An earlier run is moved aside, and restored unless the new one reaches a checkpoint: by the
    process itself or, if that was killed, by the next process that claims the folder. A folder
    without a checkpoint at the end is as it was before.

    Args:
        folder: The folder, which is made if it does not exist; it may be a link to a folder.
        force: Replace an earlier run.

    Raises:
        BlockingIOError: If another process has it.
        FileExistsError: If it holds a run, and ``force`` does not allow replacing it.
        ValueError: If it is a file, or holds anything but a run.
    """
    require_free_run(folder, force)
    empty = not contents(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            restore_aside(folder)
            require_free_run(folder, force)
            _move_aside(folder)
            try:
                yield
            finally:
                if not restore_aside(folder) and not is_started(folder):
                    clear(folder, keep=(ASIDE,))
    finally:
        if empty and not contents(folder) and not folder.is_symlink():
            folder.rmdir()


def restore_aside(folder: Path) -> bool:
    """Restore the run that was moved aside if the new one has no checkpoint, else remove it.

    Args:
        folder: The folder, with its lock held.

    Returns:
        Whether it was restored.
    """
    aside, moving = folder / ASIDE, folder / MOVING
    if aside.is_dir() and is_started(folder):
        shutil.rmtree(aside)
    elif aside.is_dir():
        clear(folder, keep=(ASIDE,))
        aside.rename(moving)
    if not moving.is_dir():
        return False
    for path in moving.iterdir():
        path.rename(folder / path.name)
    moving.rmdir()
    return True


def is_started(folder: Path) -> bool:
    """Return whether a folder holds a run that can be continued or used."""
    return (folder / CHECKPOINT).is_file() or (folder / WEIGHTS).is_file()


def _move_aside(folder: Path) -> None:
    """Move a run aside; the folder's name shows whether the move is complete."""
    paths, moving = contents(folder), folder / MOVING
    if not paths:
        return
    moving.mkdir()
    for path in paths:
        path.rename(moving / path.name)
    moving.rename(folder / ASIDE)
