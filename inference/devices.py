"""Devices: where to compute, by name."""

from __future__ import annotations

from typing import Literal

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
