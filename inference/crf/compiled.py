"""Compiling functions for the CPU: once, without the interpreter's lock, kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core import event
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Keys = NDArray[np.int64]
Span = tuple[int, int]

log = logging.getLogger("inference.crf")


def compiled(function: F) -> F:
    """Have a function compiled when it is first called; threads run it side by side.

    What is compiled is kept on disk (`folder`), where other processes find it.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder())
    try:
        quick: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
    return quick


@cache
def folder() -> Path:
    """Say where compiled code is kept: another place for each state of this package's code.

    Numba alone renews it when a function's own file changes, but not when those do whose functions
    it calls, and old code would run after an update. ``NUMBA_CACHE_DIR`` is respected; else it is
    beside the code, and what was kept of former states is removed.
    """
    own = Path(__file__).parent
    name = f"crf-{digest(own)}"
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / name
    if not os.access(own, os.W_OK):
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scene" / name
    for old in (own / "__pycache__").glob("crf-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return own / "__pycache__" / name


def digest(package: Path) -> str:
    """Give twelve digits that change when any module of a folder does."""
    found = hashlib.sha256()
    for path in sorted(package.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def inlined(function: F) -> F:
    """Have a function compiled into each that calls it: numbers it is given there are constants.

    Loops whose lengths are such numbers are then laid out at full length.
    """
    quick: F = njit(inline="always", error_model="numpy")(function)
    return quick


@contextmanager
def announced() -> Iterator[None]:
    """Say once in a process, on the logger ``inference.crf``, that something is being compiled."""
    with event.install_listener("numba:compile", _Voice()):
        yield


class _Voice(event.Listener):
    """Says so when the first of our functions is compiled."""

    said = False

    def on_start(self, event: Any) -> None:
        """Say it."""
        module = event.data["dispatcher"].py_func.__module__
        if not _Voice.said and module.startswith("inference.crf."):
            _Voice.said = True
            log.warning("compiling the fused CRF, once for this machine (10-15 s)")

    def on_end(self, event: Any) -> None:
        """Say no more."""
