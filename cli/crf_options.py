"""What `scene crf` commands share: options of the kernels, and whence unaries come."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.crf.parameters import Parameters
    from inference.experiments.crf.unaries import Scenes, Unaries
    from inference.runs.run import Run as RunFolder

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


@dataclass(frozen=True)
class Source:
    """Data, and unaries of them, as somebody asked for them.

    Attributes:
        run: Predicts them; None = they are made or read.
        unaries: Made or read.
        data: As ``--data``.
        size: At which the data are framed.
        device: Where a run predicts.
        trust: Run code that came with it.
        seed: Of its draws.
    """

    run: RunFolder | None
    unaries: Unaries | None
    data: str
    size: tuple[int, int] | None
    device: Any
    trust: bool
    seed: int

    def require(self, *splits: str) -> None:
        """Refuse splits that are not there, before anything is done with those that are."""
        from scene.datasets.catalogue import open_data

        for split in splits:
            dataset = open_data(self.data, split, self.size)
            if self.run is not None:
                self.run.schema.labels.require(dataset.schema.labels, dataset.name)

    def scenes(
        self,
        split: str,
        folder: Path,
        watch: Callable[[str, int, int], None],
        *,
        limit: int | None = None,
        sample: int | None = None,
    ) -> Scenes:
        """Name some scenes of a split and their unaries; a run predicts them into ``folder``."""
        from functools import partial

        from inference.experiments.crf.unaries import Scenes, rows
        from inference.experiments.predictions import predict_run
        from scene.datasets.catalogue import open_data

        if self.unaries is not None:
            return Scenes(self.data, split, self.unaries, self.size, limit, sample)
        assert self.run is not None
        dataset = open_data(self.data, split, self.size)
        found = predict_run(
            self.run,
            dataset,
            rows(dataset, limit, sample),
            folder / split,
            device=self.device,
            trust=self.trust,
            seed=self.seed,
            watch=partial(watch, f"predictions on {split}"),
        )
        return Scenes(self.data, split, found, self.size, limit, sample)


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
    """Find out whence unaries come: one of a run, a folder and noise, or else the newest run."""
    from inference.devices import device_of
    from scene.datasets.catalogue import splits_of

    if sum((run is not None, probs is not None, noise)) > 1:
        raise ValueError("Unaries come from one of --run, --probs and --noise; name just one.")
    if probs is None and not noise:
        found = chosen(run, "predict")
        data = data or found.settings.data.source
        size = found.settings.data.size
        placed = device_of(device)
        splits_of(data, download=download)
        return Source(found, None, data, size, placed, trust, seed)
    from inference.experiments.crf.unaries import Arrays, Noise

    data = data or "synthetic"
    splits_of(data, download=download)
    unaries = Arrays(probs.absolute()) if probs is not None else Noise(seed=seed)
    return Source(None, unaries, data, None, "cpu", trust, seed)


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
