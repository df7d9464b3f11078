"""Notices, each given once, and the callbacks that report the progress of long work."""

import warnings
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""A callback with the step of the work, the number of scenes done, and their total."""

SceneCount = Callable[[int, int], None]
"""A callback with the number of scenes done, and their total."""

_GIVEN: set[str] = set()  # never cleared, unlike the registry of module `warnings`


class Notice(UserWarning):
    """A warning of one sentence about a folder, without names of files."""


def notice(sentence: str) -> None:
    """Warn once in a process, so that all files of a dataset give one sentence."""
    if sentence not in _GIVEN:
        warnings.warn(sentence, Notice, stacklevel=3)
        _GIVEN.add(sentence)


def against_weak(weak: int, scenes: int) -> str:
    """Return text about pseudo-labels among the masks of a score, to follow the scene count.

    >>> against_weak(0, 9), against_weak(9, 9), against_weak(2, 9)
    ('', ', against weak masks', ', 2 against weak masks')
    """
    if not weak:
        return ""
    return ", against weak masks" if weak >= scenes else f", {weak} against weak masks"
