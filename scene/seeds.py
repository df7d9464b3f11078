"""Seeds: random numbers that depend on a seed alone, with the global state restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the CPU and ``device`` within, and restore their random states afterwards.

    It is `torch.random.fork_rng` with a seed. Unlike `torch.manual_seed`, it neither seeds nor
    initialises other devices.

    >>> with seeded(3):
    ...     first = torch.rand(2)
    >>> with seeded(3):
    ...     first.equal(torch.rand(2))
    True

    Args:
        seed: Seed of the generators.
        device: The device besides the CPU.

    Raises:
        ValueError: If no generator takes such a seed.
    """
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"A seed is a whole number from 0 to {2**32 - 1}, not {seed}.")
    device = torch.device(device)
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda), _mps_restored(device):
        torch.default_generator.manual_seed(seed)
        for where in cuda:
            with torch.cuda.device(where):
                torch.cuda.manual_seed(seed)
        if device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


@contextmanager
def _mps_restored(device: torch.device) -> Iterator[None]:
    """Restore the random state of Apple's GPU, which `torch.random.fork_rng` does not know."""
    if device.type != "mps":
        yield
        return
    state = torch.mps.get_rng_state()
    try:
        yield
    finally:
        torch.mps.set_rng_state(state)
