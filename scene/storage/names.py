"""Names of scenes: what a list may call one, and that no file leaves the folder it belongs to."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

_DRIVE, _CONTROL = re.compile(r"[A-Za-z]:"), re.compile(r"[\x00-\x1f\x7f]")


def scene_name(text: str, source: str) -> str:
    r"""Bring a name in a list to the form in which files are found and written.

    Backslashes become slashes, and ``./`` goes; sub-folders stay.

    Args:
        text: The name as it is listed, such as ``seq/0001``.
        source: What lists it, for messages.

    Raises:
        ValueError: If it could lead out of the folder, or holds characters of control.

    >>> scene_name("./seq\\0001", "train.txt")
    'seq/0001'
    """
    name = text.replace("\\", "/")
    parts = PurePosixPath(name).parts
    leads = not parts or ".." in parts or name.startswith("/") or _DRIVE.match(name)
    if leads or _CONTROL.search(name):
        reason = "leads out of the folder" if leads else "holds control characters"
        raise ValueError(
            f"{source} names {text!r}, which {reason}; name files within it, such as seq/0001."
        )
    return "/".join(parts)


def within(folder: Path, path: Path) -> Path:
    """Give a path that is about to be written, if it lies in a folder, symbolic links resolved.

    Args:
        folder: The only place that may be written to.
        path: Where to write.

    Raises:
        ValueError: If it lies elsewhere.
    """
    if "\0" in str(path) or not _real(path).is_relative_to(_real(folder)):
        raise ValueError(f"{str(path)!r} is outside {folder}, and is not written.")
    return path


def _real(path: Path) -> Path:
    """Resolve links; unlike `Path.resolve` this raises nothing where they lead in a ring."""
    return Path(os.path.realpath(path))
