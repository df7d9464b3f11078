"""Pools of processes that share the cores, and end when the process that started them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

_PATIENCE = 20.0
"""Seconds that a process has, after SIGTERM, to save its state."""

_LOST = 113
"""Exit status of a process whose parent has died."""


class Pool:
    """Runs calls in processes with an equal share of the cores, or in this process.

    Args:
        jobs: How many calls run at once.
        executor: Runs them; None = this process, one after the other.
    """

    def __init__(self, jobs: int, executor: ProcessPoolExecutor | None) -> None:
        self._jobs, self._executor = jobs, executor

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """Return the results of a call for each item, in order.

        In this process a call runs when its result is requested. Arguments and results that go
        to another process and back are pickled.
        """
        if self._executor is None:
            return map(function, items)
        futures = [self._submit(function, item) for item in items]
        return (future.result() for future in futures)

    def completed(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[S, T]]:
        """Return each item and its result as calls end, in any order.

        The next item is taken when a process is free, so it may depend on earlier results.
        """
        if self._executor is None:
            for item in items:
                yield item, function(item)
            return
        rest, running = iter(items), dict[Future[T], S]()
        while True:
            for item in islice(rest, self._jobs - len(running)):
                running[self._submit(function, item)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()

    def _submit(self, function: Callable[[S], T], item: S) -> Future[T]:
        assert self._executor is not None
        with _sigint_blocked():  # a new process inherits this: Ctrl-C is its parent's to answer
            return self._executor.submit(_call, function, item)


@contextmanager
def pool(jobs: int) -> Iterator[Pool]:
    """Start a pool of processes; if the block fails or is interrupted, they are terminated.

    Processes are started afresh (``spawn``), and none outlives its parent, however that ends.

    Args:
        jobs: Number of processes; with 1 calls run in this process.
    """
    if jobs == 1:
        yield Pool(1, None)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _begin, (threads,))
    try:
        yield Pool(jobs, executor)
    except BaseException:
        _end(executor)
        raise
    executor.shutdown()


def outlived_by_none() -> None:
    """End this process at once when its parent is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(_LOST)


def _begin(threads: int) -> None:
    """Initialise a process of a pool."""
    outlived_by_none()
    signal.signal(signal.SIGTERM, _stop)
    import torch

    torch.set_num_threads(threads)


_in_call, _stopped_by = False, 0


def _call(function: Callable[[S], T], item: S) -> T:
    global _in_call
    _in_call = True
    try:
        return function(item)
    finally:
        _in_call = False
        if _stopped_by:  # the call has cleaned up, and its pool is ending
            os._exit(128 + _stopped_by)


def _stop(number: int, frame: Any) -> None:
    """Interrupt a call, which can then clean up; with no call running, exit without a message."""
    global _stopped_by
    _stopped_by = number
    if not _in_call:
        os._exit(128 + number)
    raise KeyboardInterrupt


def _end(executor: ProcessPoolExecutor) -> None:
    """Terminate the processes; kill those that go on for too long."""
    started = list((executor._processes or {}).values())
    for process in started:
        process.terminate()
    for process in started:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
    executor.shutdown(cancel_futures=True)  # waits for the thread that reads from the processes


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT within; it is delivered afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
