"""Progress on a terminal: what a command is doing, and how long is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .console import console, notes

if TYPE_CHECKING:
    from inference.training.log import Report

Watch = Callable[[str, int, int], None]
"""A callback with what is done, how much of it, and of how much."""

_T = TypeVar("_T")


def is_watched() -> bool:
    """Return whether progress is drawn: standard error is a terminal, and not --quiet."""
    return notes.is_interactive and not notes.quiet


def print_result(text: Text) -> None:
    """Print a result while progress is drawn: above it, where both are on a terminal.

    Written to standard output there, it would stand behind the bar on one line.
    """
    (notes if is_watched() and console.is_terminal else console).print(text)


@contextmanager
def bar() -> Iterator[Watch]:
    """Draw how far things have come and how long is left, if there is somebody to see it."""
    with _progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    ) as progress:
        task, last = progress.add_task("", total=None), (0, 0)

        def watch(title: str, done: int, total: int) -> None:
            nonlocal last
            if done < last[0] or total != last[1]:  # of other work, whose speed says nothing
                progress.reset(task, total=total)
            last = done, total
            progress.update(task, description=title, completed=done, total=total)

        yield watch


@contextmanager
def working(title: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Draw what is being done and for how long, and how long is left if the steps are known.

    Args:
        title: What is done.
        total: Number of steps; None = not known.

    Yields:
        A callback with the name of the step that begins.
    """
    how_far: tuple[ProgressColumn, ...] = (TimeElapsedColumn(),)
    if total is not None:
        how_far = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with _progress(SpinnerColumn(), TextColumn("{task.description}"), *how_far) as progress:
        task, begun = progress.add_task(title, total=total), 0

        def step(name: str) -> None:
            nonlocal begun
            progress.update(task, description=f"{title}: {name}", completed=begun)
            begun += 1

        yield step


def tracked(items: Iterable[_T], total: int, title: str) -> Iterator[_T]:
    """Yield items, and draw how many have come; nothing is drawn of a single one."""
    if total < 2:
        yield from items
        return
    with bar() as watch:
        watch(title, 0, total)
        for done, item in enumerate(items, start=1):
            yield item
            watch(title, done, total)


def with_titles(watch: Watch) -> Watch:
    """Return a callback that prints the title of each step as it begins, and calls ``watch``."""
    last = ""

    def both(title: str, done: int, total: int) -> None:
        nonlocal last
        if title != last:
            notes.print(title, style="dim")
            last = title
        watch(title, done, total)

    return both


class TrainingBar:
    """A progress bar with each term of the objective.

    Args:
        steps: How many there will be.
    """

    def __init__(self, steps: int) -> None:
        self.progress = _progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
        )
        self.task = self.progress.add_task("", total=steps, terms="")

    def __enter__(self) -> tuple[Any, Any]:
        return self.watch, self.started

    def __exit__(self, *_: object) -> None:
        if self.progress.live.is_started:
            self.progress.stop()

    def started(self, run: Any) -> None:
        """Print the run's folder, and draw the bar if the console is interactive."""
        notes.print(f"run {run.folder}", style="dim")
        if is_watched():
            self.progress.start()

    def watch(self, report: Report) -> None:
        """Move the bar."""
        terms = "  ".join(
            f"{name} {sum(v for k, v in report.terms.items() if k == f'{name}/mask'):.0f}"
            for name in dict.fromkeys(key.partition("/")[0] for key in report.terms)
        )
        text = f"loss {report.loss:.0f}  mask nats: {terms}"
        if not any(key.endswith("/mask") for key in report.terms):
            parts = ((key.partition("/"), value) for key, value in report.terms.items())
            losses = "  ".join(f"{k[0]} {value:.3g}" for k, value in parts if k[2] == "loss")
            text = f"loss {report.loss:.3g}  {losses}"
        self.progress.update(self.task, total=report.steps, completed=report.step, terms=text)
        if report.val is not None:
            places = 1 if abs(report.val) >= 10 else 3
            line = (
                f"step {report.step}: loss {report.loss:.{places}f}, val {report.val:.{places}f}"
            )
            notes.print(line, style="dim")


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(*columns, console=notes, transient=True, disable=not is_watched())
