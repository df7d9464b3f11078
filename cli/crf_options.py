"""What `scene crf` commands share: options of the kernels, and whence unaries come."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.api.crf import Source
    from inference.api.segment import Parameters

_KERNELS, _SOURCE = "Kernels", "Unaries"


def _kernel(help: str, default: str) -> Any:
    return typer.Option(help=help, rich_help_panel=_KERNELS, show_default=default)


SmoothnessSigma = Annotated[float | None, _kernel("σγ of smoothness, in pixels.", "3")]
SmoothnessWeight = Annotated[float | None, _kernel("Its weight; 0 leaves it out.", "3")]
AppearanceSigmaXY = Annotated[float | None, _kernel("θα of appearance, in pixels.", "80")]
AppearanceSigmaRGB = Annotated[float | None, _kernel("θβ of appearance, of 0-255.", "13")]
AppearanceWeight = Annotated[float | None, _kernel("Its weight; 0 leaves it out.", "10")]
Iterations = Annotated[int | None, _kernel("Of mean field.", "10")]
ParamsFile = Annotated[
    Path | None,
    typer.Option("--params", help="A file that `scene crf fit` wrote.", rich_help_panel=_KERNELS),
]
Engine = Annotated[
    str,
    typer.Option(
        help="auto, fused, lattice, exact, pydensecrf, or path/file.py:Name.",
        rich_help_panel=_KERNELS,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="A run that predicts masks from images; the newest if no source is named.",
        rich_help_panel=_SOURCE,
    ),
]
ProbsFolder = Annotated[
    Path | None,
    typer.Option("--probs", help="A folder of SCENE.npy or .npz.", rich_help_panel=_SOURCE),
]
Noise = Annotated[
    bool, typer.Option("--noise", help="True labels made noisy.", rich_help_panel=_SOURCE)
]
Jobs = Annotated[int, typer.Option(help="Processes that share scenes and cores.", max=256)]


def parameters(file: Path | None, **given: Any) -> Parameters:
    """Read parameters from a file, or take everybody's, and change those that were given."""
    from inference.api.segment import crf_parameters

    return crf_parameters(file, **given)


def source(
    run: Path | None,
    probs: Path | None,
    noise: bool,
    data: str | None,
    *,
    seed: int = 0,
    device: Any = "auto",
    trust: bool = False,
    download: bool = False,
) -> Source:
    """Find the source of unaries: one of a run, a folder and noise, or else the newest run."""
    from inference.api.crf import source_of

    if sum((run is not None, probs is not None, noise)) > 1:
        raise ValueError("Unaries come from one of --run, --probs and --noise; name just one.")
    found = chosen(run, "predict") if probs is None and not noise else None
    return source_of(found, probs, data, seed=seed, device=device, trust=trust, download=download)


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """Draw how far things have come on standard error, if there is somebody to see it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from .console import notes

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    progress = Progress(*columns, console=notes, transient=True, disable=not notes.is_interactive)
    with progress:
        task = progress.add_task("", total=None)

        def watch(title: str, done: int, total: int) -> None:
            progress.update(task, description=title, completed=done, total=total)

        yield watch
