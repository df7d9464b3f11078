"""Outputs: whether a file or a folder may be written, so that nothing is replaced by accident."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from .locks import contents

_OTHER_PICTURES = (".jpg", ".jpeg", ".webp", ".gif", ".pdf")

Foreign = Callable[[list[Path]], Path | None]
"""Returns the first entry of a folder that is no part of an output, or None."""


def require_free(
    path: Path,
    force: bool,
    *,
    folder: str = "",
    foreign: Foreign | None = None,
    suffix: str = "",
    inputs: Iterable[Path] = (),
) -> None:
    """Refuse a path that an output may not be written to.

    A path where nothing is, and an empty folder, are free. ``force`` frees a file, and a folder
    that holds an earlier output of the same kind; nothing frees a folder that holds anything else.

    Args:
        path: Where the output would go.
        force: Whether an earlier output may be replaced; True also for an experiment that
            continues one.
        folder: Kind of output, such as ``a dataset``, if it is a folder; empty = it is a file.
        foreign: Test for entries that are no part of such a folder, see `without` and `unlike`;
            None = any content may be replaced.
        suffix: Required suffix of a file, such as ``.png``; empty = any.
        inputs: Files that are read, and must not be replaced even with ``force``.

    Raises:
        FileExistsError: If something is there, and ``force`` does not allow replacing it.
        ValueError: If the path is a folder and not a file, or the reverse; if it is an input, has
            another suffix, lies below a file, or is a folder that holds something else.
    """
    parent = next((p for p in path.parents if p.exists()), Path())
    if not parent.is_dir():
        raise ValueError(f"{parent} is a file, so {path} cannot be made; choose another --out.")
    if folder:
        _require_folder(path, force, folder, foreign)
        return
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a {suffix + ' ' if suffix else ''}file in it.")
    if suffix and path.suffix.lower() != suffix:
        raise ValueError(f"{path} must end in {suffix}; call it {path.stem}{suffix}.")
    if any(os.path.realpath(path) == os.path.realpath(file) for file in inputs):
        raise ValueError(f"{path} is an input, and would be written over; choose another --out.")
    if path.exists() and not force:
        raise _exists(path)


def is_png_path(path: Path) -> bool:
    """Return whether a path names a PNG file, by its suffix, and is no folder.

    >>> is_png_path(Path("a.png")), is_png_path(Path("views"))
    (True, False)
    """
    return path.suffix.lower() == ".png" and not path.is_dir()


def require_free_views(path: Path, force: bool) -> None:
    """Refuse a PNG file or a folder that views may not be written to, see `require_free`.

    Raises:
        FileExistsError: If something is there, and ``force`` does not allow replacing it.
        ValueError: If it is a file of another format.
    """
    if path.is_dir() or path.suffix.lower() not in (".png", *_OTHER_PICTURES):
        require_free(path, force, folder="a set of views")
    else:
        require_free(path, force, suffix=".png")


def without(*markers: str) -> Foreign:
    """Return a test for outputs that hold one of some files: without any, all else is foreign."""

    def foreign(entries: list[Path]) -> Path | None:
        marked = any(entry.name in markers for entry in entries)
        return None if marked else next(iter(entries), None)

    return foreign


def unlike(is_part: Callable[[Path], bool]) -> Foreign:
    """Return a test for outputs all of whose entries are known: the first other is foreign."""
    return lambda entries: next((entry for entry in entries if not is_part(entry)), None)


def clear(folder: Path, keep: Iterable[str] = ()) -> None:
    """Remove the entries of a folder, except its lock and the names in ``keep``."""
    names = set(keep)
    for path in contents(folder):
        if path.name in names:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _require_folder(path: Path, force: bool, kind: str, foreign: Foreign | None) -> None:
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; {kind} is a folder, choose another --out.")
    entries = contents(path)
    if foreign is not None and (entry := foreign(entries)) is not None:
        raise ValueError(
            f"{path} holds {entry.name}, which is no part of {kind}; choose another --out."
        )
    if entries and not force:
        raise _exists(path)


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists; choose another --out, or --force to replace it.")
