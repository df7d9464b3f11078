"""Compilation by Numba, with the code cached on disk, and the threads that run it."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache
from numpy.typing import NDArray

from ....devices import flush_denormals

F = TypeVar("F", bound=Callable[..., object])

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

Span = tuple[int, int]
"""The first of some consecutive items, and the one after the last."""

PACKAGE = Path(__file__).parents[1]
"""The folder whose modules are compiled: `inference/crf/fused`."""

log = logging.getLogger("inference.crf")


def jit(function: F) -> F:
    """Compile a function when it is first called; threads run it in parallel.

    The compiled code is cached on disk, in `code_folder`, where other processes find it.
    """
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    place = code_folder()
    if place is not None:
        before, config.CACHE_DIR = config.CACHE_DIR, str(place)
        try:
            dispatcher._cache = _DiskCache(function)
        except RuntimeError:  # the folder cannot be written to after all
            log.debug("compiled code is not kept in %s", place)
        finally:
            config.CACHE_DIR = before
    result: F = dispatcher
    return result


def jit_inline(function: F) -> F:
    """Compile a function into each of its callers: numbers among its arguments become constants.

    The compiler then unrolls loops whose lengths are such numbers.
    """
    result: F = njit(inline="always", error_model="numpy")(function)
    return result


class _DiskCache(FunctionCache):
    """Compiled code on disk, compiled anew if it is damaged or missing or if the disk is full."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read the code compiled for a signature; None if it is missing or damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged bytes may raise anything when they are unpickled
            _warn_of_damage(self.cache_path)
            self._clear()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code compiled for a signature, if the disk takes it."""
        try:
            super().save_overload(sig, data)
        except Exception:  # a full disk, or an index that is damaged
            self._clear()

    def _clear(self) -> None:
        with suppress(OSError):
            self.flush()


@cache
def _warn_of_damage(place: str) -> None:
    """Warn once a process that the code cached in a folder is damaged."""
    log.warning("the compiled code kept in %s is damaged, and made anew", place)


@cache
def code_folder() -> Path | None:
    """Return the folder of compiled code, which has another name for each state of the sources.

    Numba renews compiled code when a function's own file changes, but not when the file of a
    function that it calls does; old code would run after an update. ``NUMBA_CACHE_DIR`` comes
    first; then a folder beside the sources, from which the code of former states is removed; where
    that is read-only, the user's cache, or a temporary folder of the user's own.

    Returns:
        The folder; None if no folder can be written to.
    """
    beside = PACKAGE / "__pycache__"
    name = f"crf-{source_digest(PACKAGE)}"
    for place in _places(beside):
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
    if place == beside:
        for old in place.glob("crf-*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)
    return place / name


def _places(beside: Path) -> Iterator[Path]:
    """Yield the folders that may hold compiled code, the best first."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
    yield beside
    from scene.storage.user_folders import cache_folder, temporary_folder

    if (kept := cache_folder()) is not None:
        yield kept / "scene"
    if (passing := temporary_folder("scene-crf")) is not None:
        log.warning("compiled code is kept in %s; NUMBA_CACHE_DIR names a better place", passing)
        yield passing


def source_digest(package: Path) -> str:
    """Return twelve hexadecimal digits that change when any module below a folder does."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def announce_compilation() -> Iterator[None]:
    """Log once a process, on ``inference.crf``, that compiling has begun and how long it takes."""
    with event.install_listener("numba:compile", _CompileListener()):
        yield


class _CompileListener(event.Listener):
    """Logs a sentence when Numba begins to compile the first of our functions."""

    announced = False

    def on_start(self, event: Any) -> None:
        """Log the sentence, unless this process already has."""
        module = event.data["dispatcher"].py_func.__module__
        if not _CompileListener.announced and module.startswith("inference.crf."):
            _CompileListener.announced = True
            log.warning("compiling the fused CRF, once for this machine (10-15 s)")

    def on_end(self, event: Any) -> None:
        """Do nothing: Numba calls this when it has compiled a function."""


Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadPool:
    """A `ThreadPoolExecutor` in which the calling thread works, too.

    It lives as long as one call of the engine. Its threads sleep while they wait and hold nothing
    between calls, so they neither slow other programs nor suffer from forks or from calls by
    several threads at once. With one thread nothing is started.

    Args:
        threads: How many threads work, the caller's included; at least one does.

    >>> with ThreadPool(2) as pool:
    ...     pool.map(lambda n: n * n, [1, 2, 3])
    [1, 4, 9]
    """

    def __init__(self, threads: int) -> None:
        self.threads = max(threads, 1)
        self._executor = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function on each item; a thread that is free takes the next one.

        Returns:
            The results in the order of the items.

        Raises:
            Exception: What the function raised first, once all threads have stopped.
        """
        listed = list(items)
        results: dict[int, Result] = {}
        rest = iter(range(len(listed)))

        def work() -> None:
            with flush_denormals():
                for i in rest:  # one iterator for all threads: each takes the next
                    results[i] = function(listed[i])

        others = min(self.threads, len(listed)) - 1
        waiting = [self._executor.submit(work) for _ in range(others) if self._executor]
        work()
        for other in waiting:
            other.result()
        return [results[i] for i in range(len(listed))]

    def __enter__(self) -> ThreadPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._executor:
            self._executor.shutdown()


def spans(count: int, parts: int, unit: int) -> list[tuple[int, int]]:
    """Cut ``range(count)`` into contiguous spans of similar size.

    Args:
        count: Number of items.
        parts: The most spans to make.
        unit: Spans begin at multiples of this.

    Returns:
        The first item of each span, and the item after its last.

    >>> spans(10, 3, 2)
    [(0, 4), (4, 8), (8, 10)]
    """
    each = -(-count // (parts * unit)) * unit
    return [(i, min(i + each, count)) for i in range(0, count, each)]
