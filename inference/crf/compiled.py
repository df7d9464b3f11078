"""Compiling functions for the CPU: once, without the interpreter's lock, kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numba import njit
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

    What is kept on disk is renewed when the function's own file changes, not when a file does
    whose functions it calls: after changing one of those, touch the callers.
    """
    quick: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    return quick


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
            log.warning("compiling the fused CRF, once for this machine (about 10 s)")

    def on_end(self, event: Any) -> None:
        """Say no more."""
