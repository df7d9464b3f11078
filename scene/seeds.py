"""Seeds: random numbers that depend on a seed alone, with the global state restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Draw from a seed within, on the CPU and on ``device``; then put both back.

    Other devices are neither seeded nor woken, as `torch.manual_seed` would.

    >>> with seeded(3):
    ...     first = torch.rand(2)
    >>> with seeded(3):
    ...     first.equal(torch.rand(2))
    True

    Raises:
        ValueError: If no generator takes such a seed.
    """
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"A seed is a whole number from 0 to {2**32 - 1}, not {seed}.")
    generators = [torch.default_generator, *_generators(torch.device(device))]
    states = [generator.get_state() for generator in generators]
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _generators(device: torch.device) -> list[torch.Generator]:
    """Find the generator that a device draws from where nobody names another."""
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.mps._get_default_mps_generator()]
    return []
