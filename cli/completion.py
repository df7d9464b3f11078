"""What a shell completes: the names of runs, of datasets, and of the files of either."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_DATA = (
    "synthetic", "synthetic:default", "synthetic:confounded", "synthetic:ambiguous", "voc2012",
)  # fmt: skip

_LABELS = (".csv", ".tsv", ".json", ".xml", ".py")  # suffixes of what --data names

MOST = 200
"""Completions that are offered at most."""


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Return runs whose path begins as typed, the newest first, each with its recipe."""
    from inference.api.run_folders import run_folders

    runs = [(os.path.relpath(run.folder), run.recipe) for run in run_folders()]
    named = [one for one in runs if one[0].startswith(incomplete)]
    return (named or [(path, "") for path in _paths(incomplete)])[:MOST]


def complete_data(incomplete: str) -> list[str]:
    """Return datasets, folders, and files of labels that begin as typed."""
    words = [word for word in _DATA if word.startswith(incomplete)]
    return [*words, *_paths(incomplete, _LABELS)][:MOST]


def complete_words(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that completes one of a few words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _paths(incomplete: str, suffixes: Sequence[str] = ()) -> Iterator[str]:
    """Yield folders, with a slash, and files of some suffixes, that begin as typed."""
    place, slash, start = incomplete.rpartition("/")
    try:
        entries = sorted(
            os.scandir(os.path.expanduser(place + slash) or "."), key=lambda e: e.name
        )
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            yield f"{place}{slash}{entry.name}/"
        elif Path(entry.name).suffix.lower() in suffixes:
            yield f"{place}{slash}{entry.name}"
