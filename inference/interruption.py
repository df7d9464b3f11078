"""Signals that ask a process to end: answered when it is ready, and said to whoever waits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C; what `kill`, batch systems and containers send; what a closed terminal sends."""


class Interruption(BaseException):
    """A signal asked the process to end.

    Not a `KeyboardInterrupt`, which libraries that read command lines answer themselves.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


CUT_SHORT = (KeyboardInterrupt, Interruption, MemoryError, OSError)
"""What ends work that could go on later, once there is time, memory or space again."""


class PendingSignal:
    """Whether a signal has come."""

    number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None


_raised = PendingSignal()
"""The signal that raised an `Interruption`, if one did."""


@contextmanager
def deferred() -> Iterator[PendingSignal]:
    """Let the signals of `SIGNALS` wait until the block is done; a second one interrupts it.

    At the end of the block the signal is answered as it would have been without this. Signals
    that are ignored stay so (``nohup``), and outside the main thread nothing is changed.

    Yields:
        True as soon as one has come.
    """
    pending = PendingSignal()
    if threading.current_thread() is not threading.main_thread():
        yield pending
        return

    def note(number: int, frame: FrameType | None) -> None:
        if pending:
            raise Interruption(number)
        pending.number = number

    with _handled(note):
        yield pending
    if pending.number is not None:
        signal.raise_signal(pending.number)
        raise Interruption(pending.number)  # had it been ignored, the work would not be done


@contextmanager
def raised() -> Iterator[None]:
    """Have the signals of `SIGNALS` raise `Interruption`, so that what is open is closed."""

    def stop(number: int, frame: FrameType | None) -> None:
        _raised.number = number
        raise Interruption(number)

    try:
        with _handled(stop), unmasked():
            yield
    finally:
        _raised.number = None


@contextmanager
def unmasked() -> Iterator[None]:
    """Raise an interruption again where a library raised another error in its place.

    A signal may come while compiled code calls back into Python. That code, such as Matplotlib's
    or the import of an extension module, replaces the exception by an error of its own.
    """
    try:
        yield
    except Exception as error:
        if _raised.number is None:
            raise
        raise Interruption(_raised.number) from error


@contextmanager
def resumable() -> Iterator[None]:
    """Add to an interruption that the same call continues."""
    try:
        with unmasked():
            yield
    except CUT_SHORT as error:
        error.add_note("What is done is kept; the same command goes on from there.")
        raise


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = {
        number: known
        for number in SIGNALS
        if (known := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
