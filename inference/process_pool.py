"""Pools of processes that share the cores, and end when the process that started them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 20.0
"""Seconds that a process has, once told to end, to save what it is doing."""

_LOST = 113
"""Exit status of a process whose parent has died."""


class Pool:
    """Processes that do calls, each with an equal share of the cores.

    Args:
        executor: Runs them.
    """

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have a call done; what it takes and gives is sent between processes."""
        with _held_back():  # a new process inherits this: Ctrl-C is its parent's to answer
            return self._executor.submit(_done, function, *args)

    def map(self, function: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Have a call done for each item, and give the results in order."""
        futures = [self.submit(function, item) for item in items]
        return (future.result() for future in futures)


@contextmanager
def pool(jobs: int) -> Iterator[Pool]:
    """Give so many processes; if the block fails or is interrupted, they are told to end.

    They are started afresh (``spawn``), and none outlives its parent, whatever ends that.

    Args:
        jobs: How many.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _begin, (threads,))
    try:
        yield Pool(executor)
    except BaseException:
        _end(executor)
        raise
    executor.shutdown()


def outlived_by_none() -> None:
    """End this process at once when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(_LOST)


def _begin(threads: int) -> None:
    """Prepare a process of a pool."""
    outlived_by_none()
    signal.signal(signal.SIGTERM, _stop)
    import torch

    torch.set_num_threads(threads)


_at_work = False


def _done(function: Callable[..., T], *args: Any) -> T:
    global _at_work
    _at_work = True
    try:
        return function(*args)
    finally:
        _at_work = False


def _stop(number: int, frame: Any) -> None:
    """Let a call clean up behind itself; where there is none, end without a word."""
    if not _at_work:
        os._exit(128 + number)
    raise KeyboardInterrupt


def _end(executor: ProcessPoolExecutor) -> None:
    """Tell the processes to end, and see to it that they do."""
    started = list((executor._processes or {}).values())
    for process in started:
        process.terminate()
    executor.shutdown(wait=False, cancel_futures=True)
    for process in started:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold SIGINT back meanwhile; it comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
