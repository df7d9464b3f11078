"""Arrays of probabilities on disk, of which the header is believed before any number is read."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from scene.storage.files import require_regular

Shape = tuple[int, int, int]

_AT_ONCE = 2**20  # bytes that are decompressed at once


class Header(NamedTuple):
    """The header of a ``.npy`` file.

    Attributes:
        shape: Its axes.
        fortran: Whether the first axis runs fastest.
        dtype: Of its numbers.
        start: Where they begin, in bytes.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def size(self) -> int:
        """The number of bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_probs(path: Path, check: Callable[[Shape], object] = lambda shape: None) -> np.ndarray:
    """Open a file of probabilities, whose shape is checked before any of its numbers is read.

    Args:
        path: ``.npy``, or ``.npz`` with one array, or one called ``probs``.
        check: Called with the shape in the file's header; raises if another is expected.

    Returns:
        ``(L, H, W)``, not checked; of an ``.npy`` file, pages are read as they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no array of numbers with three axes.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no array {path}; save (L, H, W) with numpy.save.")
    size = require_regular(path)
    with path.open("rb") as file:
        if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            if size and not zipfile.is_zipfile(file):
                raise _none(path)
            return _from_npz(path, file, check)
        file.seek(0)
        with _readable(path):
            header = _header(file)
    check(_require_probs(path, header))
    if header.size > size - header.start:
        raise ValueError(f"{path} is truncated: its numbers end too early; save it again.")
    if not header.size:
        return np.empty(header.shape, header.dtype)
    order: Any = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, "c", header.start, header.shape, order)


def float_array(values: np.ndarray) -> np.ndarray:
    """Convert numbers to float32; those that are too large for it become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values, dtype=np.float32)


def _from_npz(path: Path, file: IO[bytes], check: Callable[[Shape], object]) -> np.ndarray:
    with _readable(path):
        archive = zipfile.ZipFile(file)
    with archive:
        entry = _entry(path, archive)
        with _readable(path):
            member = archive.open(entry)
            header = _header(member)
        check(_require_probs(path, header))
        if header.size != entry.file_size - header.start:
            raise ValueError(f"{path} is damaged: its array has another length; save it again.")
        with _readable(path):
            return _numbers(member, header)


def _entry(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Choose the array that holds the probabilities."""
    arrays = {e.filename.removesuffix(".npy"): e for e in archive.infolist()}
    if not arrays:
        raise ValueError(f"{path} holds no array; save one array (L, H, W) with numpy.savez.")
    if len(arrays) > 1 and "probs" not in arrays:
        names = ", ".join(list(arrays)[:9]) + ", …" * (len(arrays) > 9)
        raise ValueError(f"{path} holds {names}; call one of them probs.")
    return arrays["probs"] if "probs" in arrays else next(iter(arrays.values()))


def _header(file: IO[bytes]) -> Header:
    """Read what comes before the numbers; whatever a damaged one raises is the caller's to say."""
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        shape, fortran, dtype = read(file)
    return Header(shape, fortran, dtype, file.tell())


def _require_probs(path: Path, header: Header) -> Shape:
    """Refuse an array that is not three axes of plain numbers; return their lengths."""
    shape, dtype = header.shape, header.dtype
    if not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError(f"{path} is damaged: its shape is {shape!r}; save it again.")
    if dtype.hasobject:
        raise _none(path)
    if len(shape) != 3 or dtype.kind not in "fiu":
        words = "×".join(map(str, shape)) or "a number"
        raise ValueError(f"{path} is {words} of {dtype}; probabilities are (L, H, W).")
    return shape


def _none(path: Path) -> ValueError:
    return ValueError(
        f"{path} cannot be read as numbers; save one array (L, H, W) with numpy.save."
    )


def _numbers(file: IO[bytes], header: Header) -> np.ndarray:
    """Read as many numbers as the header says, and the end of the file, which proves them."""
    numbers = np.empty(math.prod(header.shape), header.dtype)
    memory, done = numbers.view(np.uint8), 0
    while done < len(memory):
        some = file.read(min(len(memory) - done, _AT_ONCE))
        if not some:
            raise EOFError
        memory[done : done + len(some)] = np.frombuffer(some, np.uint8)
        done += len(some)
    if file.read(1):
        raise EOFError
    return numbers.reshape(header.shape, order="F" if header.fortran else "C")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn any error of a damaged file, which depends on its compression, into one sentence."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a NumPy file, or is damaged; save it again.") from error
