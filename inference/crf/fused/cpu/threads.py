"""Threads that run compiled code: a pool for one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from ....devices import flush_denormals

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
        count: How many items there are.
        parts: The most spans to make.
        unit: Spans begin at multiples of this.

    Returns:
        The first item of each span, and the item after its last.

    >>> spans(10, 3, 2)
    [(0, 4), (4, 8), (8, 10)]
    """
    each = -(-count // (parts * unit)) * unit
    return [(i, min(i + each, count)) for i in range(0, count, each)]
