"""Compiling functions for the CPU: once, without the interpreter's lock, kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache
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
    quick: Any = njit(nogil=True, error_model="numpy")(function)
    place = folder()
    if place is not None:
        before, config.CACHE_DIR = config.CACHE_DIR, str(place)
        try:
            quick._cache = _Kept(function)
        except RuntimeError:  # the folder cannot be written to after all
            log.debug("compiled code is not kept in %s", place)
        finally:
            config.CACHE_DIR = before
    result: F = quick
    return result


class _Kept(FunctionCache):
    """Compiled code on disk, which may be damaged, gone or full: it can be made anew."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read what was compiled for a signature; None if it is not there, or damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever bytes that are no pickle happen to spell
            _note_damage(self.cache_path)
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if there is room for it."""
        try:
            super().save_overload(sig, data)
        except Exception:  # a full disk, or an index that is damaged
            self._forget()

    def _forget(self) -> None:
        with suppress(OSError):
            self.flush()


@cache
def _note_damage(place: str) -> None:
    """Say once that what was kept in a folder is of no use."""
    log.warning("the compiled code kept in %s is damaged, and made anew", place)


@cache
def folder() -> Path | None:
    """Say where compiled code is kept: another place for each state of this package's code.

    Numba alone renews it when a function's own file changes, but not when those do whose functions
    it calls, and old code would run after an update. ``NUMBA_CACHE_DIR`` is respected; else it is
    beside the code, and what was kept of former states is removed. Where the code may not be
    changed it is in the user's cache, or else in a temporary folder of the user's own.

    Returns:
        The folder; None if there is none that can be written to.
    """
    own = Path(__file__).parent
    name = f"crf-{digest(own)}"
    for place in _places(own / "__pycache__"):
        try:
            (place / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place / name, os.W_OK):
            break
    else:
        log.warning(
            "compiled code is not kept, for no folder can be written to; NUMBA_CACHE_DIR names one"
        )
        return None
    if place == own / "__pycache__":
        for old in place.glob("crf-*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)
    return place / name


def _places(beside: Path) -> Iterator[Path]:
    """Give the folders that may hold compiled code, the best first."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
    yield beside
    from scene.storage.user_folders import cache_folder, temporary_folder

    if (kept := cache_folder()) is not None:
        yield kept / "scene"
    if (passing := temporary_folder("scene-crf")) is not None:
        log.warning("compiled code is kept in %s; NUMBA_CACHE_DIR names a better place", passing)
        yield passing


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
