"""Folders of the user: home, cache and state, any of which may not exist."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Expand ``~`` at the start of a path.

    Raises:
        ValueError: If the home is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(
            f"'~' in {path} stands for a home that is not known here; give the whole path."
        ) from None


def cache_folder() -> Path | None:
    """Return the folder for data that can be recreated: ``XDG_CACHE_HOME``, or ``~/.cache``.

    Returns:
        The folder, which need not exist; None if the user has no home.
    """
    return _place("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path | None:
    """Return the folder for state of programs: ``XDG_STATE_HOME``, or ``~/.local/state``.

    Returns:
        The folder, which need not exist; None if the user has no home.
    """
    return _place("XDG_STATE_HOME", ".local/state")


def writable(folder: Path | None) -> bool:
    """Return whether files can be written to a folder, which is made if it does not exist.

    >>> writable(None)
    False
    """
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def temporary_folder(name: str) -> Path | None:
    """Return a temporary folder that only this user can write to, shared by the user's processes.

    Args:
        name: Prefix of its name.

    Returns:
        The folder; None if it cannot be made, or the path belongs to another user.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"{name}-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(about.st_mode):
        return None
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o022):
        return None
    return folder if writable(folder) else None


def settle_matplotlib() -> None:
    """Set ``MPLCONFIGDIR`` to a temporary folder if the user has no writable folder for it.

    Matplotlib would make a new one for each process, with a warning of three lines.
    """
    if os.environ.get("MPLCONFIGDIR"):
        return
    places = (_place("XDG_CONFIG_HOME", ".config"), _place("XDG_CACHE_HOME", ".cache"))
    if all(place is not None and _could_hold(place / "matplotlib") for place in places):
        return
    if (folder := temporary_folder("scene-matplotlib")) is not None:
        os.environ["MPLCONFIGDIR"] = str(folder)


def _could_hold(folder: Path) -> bool:
    """Return whether a folder can be written to, or made, without making it."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError:
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _place(variable: str, below: str) -> Path | None:
    path = os.environ.get(variable)
    if path:
        return Path(path)
    try:
        return Path.home() / below
    except RuntimeError:
        return None
