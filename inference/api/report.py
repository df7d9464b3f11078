"""Reports of runs: one page for a browser, complete in itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..report.contents import Report as Report
from ..report.contents import Subject, contents
from ..report.page import write_page as write_page
from .loaded import LoadedRun

__all__ = ["Report", "collect", "write_page"]


def collect(
    models: Sequence[LoadedRun],
    *,
    split: str | None = None,
    data: str | None = None,
    samples: int = 8,
    seed: int = 0,
    download: bool = False,
    watch: Callable[[str], None] = lambda title: None,
) -> Report:
    """Work out what a report says of runs.

    Args:
        models: The runs.
        split: Split of the data that they are scored on; None = ``test``, else ``val``.
        data: The data; None = each run's own.
        samples: Scenes drawn for each picture; 0 = none are drawn.
        seed: Seed of all draws.
        download: Let ``voc2012`` be fetched.
        watch: Called with what is worked out.

    Raises:
        LookupError: If there is no such data, or no such split.
        ValueError: If the data have other labels than a run.
    """
    subjects = [
        Subject(model.run, model.assembly, model.dataset(split, data=data, download=download))
        for model in models
    ]
    return contents(subjects, samples=samples, seed=seed, watch=watch)
