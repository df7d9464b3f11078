"""Folders that a new run takes: held by one process, and what was there kept until it is begun."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scene.storage.locks import contents, locked
from scene.storage.outputs import clear

from .run import ASIDE, CHECKPOINT, MOVING, WEIGHTS, require_room


@contextmanager
def claimed(folder: Path, force: bool = False) -> Iterator[None]:
    """Have the folder of a new run to oneself.

    A run that is there is set aside, and put back unless the new one comes to a checkpoint: by
    the process itself, or, if that was killed, by whoever has the folder next. A folder that the
    block leaves with nothing to go on from is as it was before.

    Args:
        folder: Is made if it is not there; a link to a folder stands for that.
        force: Replace the run that is there.

    Raises:
        BlockingIOError: If another process has it.
        FileExistsError: If it holds something, and ``force`` does not say to replace it.
        ValueError: If it is a file, or holds something that is no run.
    """
    require_room(folder, force)
    empty = not contents(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            put_back(folder)
            require_room(folder, force)
            _set_aside(folder)
            try:
                yield
            finally:
                if not put_back(folder) and not begun(folder):
                    clear(folder, keep=(ASIDE,))
    finally:
        if empty and not contents(folder) and not folder.is_symlink():
            folder.rmdir()


def put_back(folder: Path) -> bool:
    """Put back the run that was set aside for one that came to no checkpoint, or remove it.

    Args:
        folder: Whose lock is held.

    Returns:
        Whether it was put back.
    """
    aside, moving = folder / ASIDE, folder / MOVING
    if aside.is_dir() and begun(folder):
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


def begun(folder: Path) -> bool:
    """Say whether a folder holds a run that can be gone on with or used."""
    return (folder / CHECKPOINT).is_file() or (folder / WEIGHTS).is_file()


def _set_aside(folder: Path) -> None:
    """Set a run aside, in a way that shows how far that has come if it is cut short."""
    paths, moving = contents(folder), folder / MOVING
    if not paths:
        return
    moving.mkdir()
    for path in paths:
        path.rename(moving / path.name)
    moving.rename(folder / ASIDE)
