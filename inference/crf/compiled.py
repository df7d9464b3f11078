"""Compiling functions for the CPU: once, without the interpreter's lock, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Keys = NDArray[np.int64]
Span = tuple[int, int]


def compiled(function: F) -> F:
    """Have a function compiled when it is first called; threads run it side by side."""
    quick: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    return quick
