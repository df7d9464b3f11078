"""Devices: where to compute, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

Device = Literal["auto", "cpu", "cuda", "mps"]


def device_of(name: Device) -> torch.device:
    """Return the device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        ValueError: If the device is not there.

    >>> device_of("cpu")
    device(type='cpu')
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name, True):
        raise ValueError(f"This machine has no {name} device; try --device auto.")
    if name == "auto":
        name = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Let the calling thread round numbers below 1e-38 to 0: many processors are slow on them.

    Softmaxes of confident pixels are full of them: they were measured to make the dense CRF
    five times slower, and a step of SEC two and a half times.

    >>> with flush_denormals():
    ...     float(np.float32(1e-38) * np.float32(0.1))
    0.0
    """
    before = bool(_SMALLEST * np.float32(0.1) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


_SMALLEST = np.finfo(np.float32).tiny
