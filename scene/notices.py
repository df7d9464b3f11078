"""Notices: what is assumed where a file leaves something open, and what a score is worth."""

import warnings

_SAID: set[str] = set()  # as Python keeps what it warned of, but for good


class Notice(UserWarning):
    """One sentence about a folder, without the names of files in it."""


def notice(sentence: str) -> None:
    """Warn once in a process: of a whole dataset's files, one sentence."""
    if sentence not in _SAID:
        warnings.warn(sentence, Notice, stacklevel=3)
        _SAID.add(sentence)


def against_weak(weak: int, scenes: int) -> str:
    """Say, after a number of scenes, how many of their masks are pseudo-labels, not the truth.

    >>> against_weak(0, 9), against_weak(9, 9), against_weak(2, 9)
    ('', ', against weak masks', ', 2 against weak masks')
    """
    if not weak:
        return ""
    return ", against weak masks" if weak >= scenes else f", {weak} against weak masks"
