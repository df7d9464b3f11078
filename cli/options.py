"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.runs.run import Run as RunFolder

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto takes a GPU where there is one."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="synthetic, synthetic:confounded, voc2012, or a folder in VOC layout.",
        show_default="synthetic",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(help="Height x width of scenes in pixels.", metavar="HxW", show_default="64x64"),
]
Run = Annotated[
    Path | None, typer.Option("--run", help="A run; the newest that fits if left out.")
]
NamedRun = Annotated[
    Path | None, typer.Option("--run", help="RUN, as other commands take it: give one of the two.")
]
Trust = Annotated[bool, typer.Option("--trust", help="Run code that came with the run.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch voc2012 if it is not there.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]
Seed = Annotated[int, typer.Option(help="Of every draw.", min=0, max=2**32 - 1)]


def one_of(place: Path | None, named: Path | None) -> Path | None:
    """Give the run that was named, in its place or by --run; None = neither."""
    if place is not None and named is not None and place != named:
        raise typer.BadParameter(f"RUN is {place}, but --run is {named}; give one of them.")
    return named if place is None else place


def chosen(
    folder: Path | None,
    wanted: str,
    fits: Callable[[RunFolder], bool] = lambda run: True,
    recipe: str = "telbo",
) -> RunFolder:
    """Read the run named, or take the newest complete one that fits and say which."""
    from inference.runs.run import newest, read

    from .console import notes

    if folder is not None:
        return read(folder)
    run = newest(fits, wanted, recipe)
    notes.print(f"run {run.folder}", style="dim")
    return run
