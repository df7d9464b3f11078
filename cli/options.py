"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference import Fitted
    from inference.api.runs import Run as RunFolder
    from inference.api.runs import Task

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto takes a GPU if there is one."),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="The data: synthetic, synthetic:confounded, voc2012, or a folder in VOC layout.",
        show_default="the run's own, or synthetic",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(help="Height x width of scenes in pixels.", metavar="HxW", show_default="64x64"),
]
RunArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN", help="The folder of a run.", show_default="the newest that fits"
    ),
]
Run = Annotated[
    Path | None,
    typer.Option(
        "--run", help="The folder of a run.", metavar="RUN", show_default="the newest that fits"
    ),
]
NamedRun = Annotated[
    Path | None,
    typer.Option("--run", help="The folder of a run, if it is not named as RUN.", metavar="RUN"),
]
Limit = Annotated[
    int | None,
    typer.Option(help="Take the first N scenes only, 1 or more.", metavar="N", show_default="all"),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split of the data: train, tune, val or test.", show_default="test, else val"
    ),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the code of a run that was not trained on this machine."),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch voc2012 (2 GB) if it is not there.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what an earlier call wrote to --out.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document in place of lines and tables.")
]
Seed = Annotated[
    int, typer.Option(help="Seed of every random draw, 0 to 4294967295.", min=0, max=2**32 - 1)
]


_FILES = {".png", ".jpg", ".jpeg", ".json", ".npz", ".npy", ".csv", ".txt", ".pdf", ".svg", ".zip"}


def require_folder(out: Path | None) -> None:
    """Refuse a --out that names a file where a folder is written: its suffix says so.

    Raises:
        ValueError: If it ends as files do that are written here.
    """
    if out is not None and out.suffix.lower() in _FILES and not out.is_dir():
        raise ValueError(
            f"{out} would be a file, but a folder is written; leave out {out.suffix}, as in "
            f"--out {out.with_suffix('')}."
        )


def file_in(out: Path, name: str) -> Path:
    """Give the file that --out means: itself, or where it is a folder, ``name`` in it.

    >>> file_in(Path("a.png"), "preview.png"), file_in(Path("out"), "preview.png")
    (PosixPath('a.png'), PosixPath('out/preview.png'))
    """
    return out / name if out.is_dir() or not out.suffix else out


def one_of(place: Path | None, named: Path | None) -> Path | None:
    """Give the run that was named, in its place or by --run; None = neither."""
    if place is not None and named is not None and place != named:
        raise typer.BadParameter(f"RUN is {place}, but --run is {named}; give one of them.")
    return named if place is None else place


def chosen(folder: Path | None, task: Task = "any", observed: Sequence[str] = ()) -> RunFolder:
    """Read the run that is named, or take the newest complete one for a task and say which."""
    from inference.api.runs import find_run

    from .console import notes

    run = find_run(folder, task, observed=observed)
    if folder is None:
        notes.print(f"run {run.folder}", style="dim")
    return run


def fitted(
    folder: Path | None,
    task: Task = "any",
    observed: Sequence[str] = (),
    *,
    device: Any = "auto",
    trust: bool = False,
) -> Fitted:
    """Load the run that is named, or the newest complete one for a task, and say which."""
    from inference import load

    return load(chosen(folder, task, observed), device=device, trust=trust)
