"""`scene report`: all that is known of runs, as one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, entitled
from .options import Data, Device, Download, Force, Seed, Split, Trust, choose_run, fitted
from .progress import working

NAME = "report.html"
"""The name of a page, unless another is asked for."""


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]…",
            help="Folders of runs; several are also shown side by side.",
            show_default="the newest",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: NAME.html, or a folder for report.html.",
            show_default="RUN/report.html; of several runs report.html here",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Scenes drawn for each picture; 0 draws none.", min=0, max=64)
    ] = 8,
    split: Split = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
    force: Force = False,
) -> None:
    """Write a page about runs: settings, curves, scores, samples, the scenes they fail on.

    The page is one HTML file that needs no network. Scores and pictures are worked out anew; those
    of `scene diagnose` are shown if it was called before.
    """
    from inference.api.load import learned_after
    from inference.api.report import collect, write_page

    if out is not None and out.suffix and out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"A report is a file NAME.html, not {out}; name it so.")
    if out is not None and not out.suffix:
        out = out / NAME
    folders: list[Path | None] = [*runs] if runs else [None]
    selected = [choose_run(folder) for folder in folders]
    for run in selected:
        if learned_after(run):
            raise ValueError(
                f"{run.folder} learned after another run, whose report shows it: "
                f"scene report {run.settings.flow.run}."
            )
    place = out or (selected[0].output(NAME) if len(selected) == 1 else Path(NAME))
    if place.is_dir():
        raise IsADirectoryError(f"{place} is a folder; name a file for --out.")
    if place.exists() and not force:
        raise FileExistsError(f"{place} exists; choose another --out, or --force to replace it.")
    models = [fitted(run.folder, device=device, trust=trust) for run in selected]
    with working("reporting") as step:
        page = collect(
            models,
            split=split,
            data=data,
            samples=samples,
            seed=seed,
            download=download,
            watch=step,
        )
        write_page(page, place)
    size = place.stat().st_size / 1e6
    console.print(entitled(place, f"{len(models)} run{'s' * (len(models) > 1)}, {size:.1f} MB"))
