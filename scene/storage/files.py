"""Files: atomic writes, and reads of regular files of limited size."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PART = ".part"
"""Suffix of a file that is being written; its name starts with a dot."""

ABANDONED = 3600.0
"""Seconds without a write after which a partial file counts as abandoned."""

MOST_TEXT = 32 * 2**20
"""The largest list of scenes or photographs that is read, in bytes."""

MOST_JSON = 8 * 2**20
"""The largest JSON that is read, in bytes; in memory it takes up to fifty times as much."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file atomically: ``write`` fills a file beside it, which then replaces it.

    No reader sees half a file, and if ``write`` fails, the old file stays. The content is synced
    to the disk before the rename, so this also holds if the machine stops. The file has the mode
    of a new file under the umask.

    Args:
        path: The file.
        write: Writes the file at the path of its argument.

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
        ):  # the error of a full disk names no file
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # so that the first error is raised
            part.unlink(missing_ok=True)
    _flush(path.parent)


def sweep(folder: Path, older: float = ABANDONED, *, below: bool = True) -> None:
    """Remove partial files that a killed process left in a folder.

    Args:
        folder: The folder; it need not exist.
        older: Keep those that were written to in the last so many seconds. Use 0 only with the
            lock of the folder.
        below: Also in all folders below it.
    """
    now = time.time()
    for part in _parts(folder, below):
        with contextlib.suppress(OSError):
            if now - part.stat().st_mtime >= older:
                part.unlink()


def is_part(path: Path) -> bool:
    """Return whether a file or folder is one that is being written, by its name."""
    return path.name.startswith(".") and path.name.endswith(PART)


def require_regular(path: Path) -> int:
    """Refuse anything but a regular file, before it is opened: a pipe may block.

    Returns:
        The size of the file in bytes.

    Raises:
        OSError: If there is no such file, or it is not accessible.
        ValueError: If it is a folder, a pipe, a device or a socket.
    """
    try:
        status = path.stat()
    except ValueError:  # of a NUL in the name
        raise ValueError(f"{str(path)!r} cannot be the name of a file; check it.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path} is a folder, not a file; name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ValueError(f"{path} is {kind}, not a file; save what it gives to a file first.")
    return status.st_size


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Return the text of a small UTF-8 file, without a byte order mark.

    Args:
        path: An ordinary file.
        most: The most bytes it may have.

    Raises:
        OSError: If there is no such file, or it may not be read.
        ValueError: If it is no ordinary file, larger than ``most``, or not UTF-8.
    """
    require_regular(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(
            f"{path} is larger than {_readable_size(most)}, the most that is read of such a file; "
            "is it the right one?"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8 and try again.") from None


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: If there is no such file, or it may not be read.
        ValueError: If it is no ordinary file, larger than ``most`` bytes, or not JSON.
    """
    return parse_json(read_text(path, most), str(path))


def parse_json(text: str, what: str) -> Any:
    """Parse the JSON of a file.

    Args:
        text: The JSON.
        what: Its name in messages.

    Raises:
        ValueError: If it is not JSON, or nested too deeply to be read.

    >>> parse_json("[" * 100_000, "crf.json")
    Traceback (most recent call last):
    ValueError: crf.json is not JSON that can be read: its brackets are nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        reason = "its brackets are nested too deeply"
    except json.JSONDecodeError as error:
        reason = str(error)
    except ValueError:  # Python reads no number of more than 4300 digits
        reason = "it holds a number with too many digits"
    raise ValueError(f"{what} is not JSON that can be read: {reason}.")


def _parts(folder: Path, below: bool) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        yield from filter(is_part, (Path(place, name) for name in names))
        if not below:
            folders.clear()


def _created(part: Path) -> int:
    """Create the file, and return its mode."""
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        return os.fstat(file.fileno()).st_mode & 0o777


def _settled(part: Path, mode: int) -> None:
    """Sync the content to the disk, and set the mode of a new file."""
    descriptor = os.open(part, os.O_RDWR)
    try:
        if os.fstat(descriptor).st_mode & 0o777 != mode:
            part.chmod(mode)  # some libraries write to a private file of their own, and move it
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(folder: Path) -> None:
    """Sync the names in a folder to the disk, if the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _readable_size(size: int) -> str:
    """Return a number of bytes as text.

    >>> _readable_size(8 * 2**20), _readable_size(2**19), _readable_size(100)
    ('8 MB', '512 kB', '100 bytes')
    """
    if size < 1024:
        return f"{size} bytes"
    return f"{size >> 20} MB" if size >= 2**20 else f"{size >> 10} kB"
