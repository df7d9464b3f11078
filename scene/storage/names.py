"""Names of scenes in lists, and paths that must stay within a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

_DRIVE, _CONTROL = re.compile(r"[A-Za-z]:"), re.compile(r"[\x00-\x1f\x7f]")


def scene_name(text: str, source: str) -> str:
    r"""Return the normal form of a scene's name: with slashes, without ``./``.

    Args:
        text: The name in a list, such as ``seq/0001``.
        source: The list, for messages.

    Raises:
        ValueError: If it could lead out of the folder, or holds control characters.

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
    """Return a path, if it is in a folder after symbolic links are resolved.

    Args:
        folder: The only folder that may be written to.
        path: The path to write.

    Raises:
        ValueError: If it is outside the folder.
    """
    if "\0" in str(path) or not _real(path).is_relative_to(_real(folder)):
        raise ValueError(f"{str(path)!r} is outside {folder}, and is not written.")
    return path


def _real(path: Path) -> Path:
    """Resolve links; unlike `Path.resolve` this does not raise on circular links."""
    return Path(os.path.realpath(path))
