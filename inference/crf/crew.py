"""Threads that share a job: compiled code that holds no lock, handed out piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import numpy as np
import torch

Piece = TypeVar("Piece")
Done = TypeVar("Done")


class Crew:
    """A few threads for one call, the caller's among them; made and dismissed with it.

    They sleep while they wait, hold nothing between calls, and so neither slow other programs
    nor mind forks, nor calls from several threads at once.

    >>> with Crew(2) as crew:
    ...     crew.map(lambda n: n * n, [1, 2, 3])
    [1, 4, 9]
    """

    def __init__(self, threads: int) -> None:
        self.threads = max(threads, 1)
        self._others = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def map(self, do: Callable[[Piece], Done], pieces: Iterable[Piece]) -> list[Done]:
        """Do each piece, whoever is free the next one; answers come in the pieces' order."""
        listed = list(pieces)
        done: dict[int, Done] = {}
        rest = iter(range(len(listed)))

        def work() -> None:
            with flushing():
                for i in rest:  # one iterator for all: each takes the next
                    done[i] = do(listed[i])

        others = min(self.threads, len(listed)) - 1
        waiting = [self._others.submit(work) for _ in range(others) if self._others]
        work()
        for other in waiting:
            other.result()
        return [done[i] for i in range(len(listed))]

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._others:
            self._others.shutdown()


@contextmanager
def flushing() -> Iterator[None]:
    """Let this thread take numbers below 1e-38 for 0: many processors are slow on them.

    Softmaxes of sure pixels are full of such numbers.

    >>> with flushing():
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


def spans(count: int, parts: int, unit: int) -> list[tuple[int, int]]:
    """Cut ``count`` things into contiguous parts of like size, at multiples of ``unit``.

    >>> spans(10, 3, 2)
    [(0, 4), (4, 8), (8, 10)]
    """
    each = -(-count // (parts * unit)) * unit
    return [(i, min(i + each, count)) for i in range(0, count, each)]
