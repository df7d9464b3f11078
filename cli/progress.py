"""The bar that training draws, if there is somebody to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .console import notes

if TYPE_CHECKING:
    from inference.training.log import Report


class Bar:
    """A progress bar with each term of the objective, drawn on standard error.

    Args:
        steps: How many there will be.
    """

    def __init__(self, steps: int) -> None:
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=notes,
            transient=True,
        )
        self.task = self.progress.add_task("", total=steps, terms="")

    def __enter__(self) -> tuple[Any, Any]:
        return self.watch, self.started

    def __exit__(self, *_: object) -> None:
        if self.progress.live.is_started:
            self.progress.stop()

    def started(self, run: Any) -> None:
        """Say where the run goes, and begin to draw if there is somebody to see it."""
        notes.print(f"run {run.folder}", style="dim")
        if notes.is_interactive:
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
        self.progress.update(self.task, completed=report.step, terms=text)
        if report.val is not None:
            places = 1 if abs(report.val) >= 10 else 3
            said = (
                f"step {report.step}: loss {report.loss:.{places}f}, val {report.val:.{places}f}"
            )
            notes.print(said, style="dim")
