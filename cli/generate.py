"""`scene generate`: draw a dataset from a joint model, and drop incoherent scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import console, entitled
from .options import (
    Data,
    Device,
    Force,
    Json,
    NamedRun,
    RunArgument,
    Seed,
    Trust,
    choose_run,
    one_of,
    require_folder,
)
from .progress import bar

if TYPE_CHECKING:
    from inference.experiments.generate import GeneratedDataset


def generate(
    run: RunArgument = None,
    named: NamedRun = None,
    n: Annotated[
        int, typer.Option("-n", help="Number of scenes to draw, 0 to 1000000.", min=0, max=10**6)
    ] = 1000,
    origin: Annotated[
        Literal["prior", "posterior", "walk"],
        typer.Option(
            "--from",
            help="Source of z: the prior, posteriors of training scenes, or walks between them.",
        ),
    ] = "prior",
    out: Annotated[
        Path, typer.Option(help="Where to write: a folder for the new dataset.")
    ] = Path("generated"),
    keep_train: Annotated[
        int, typer.Option(help="Number of training scenes to copy, with their masks.", min=0)
    ] = 0,
    drop: Annotated[
        float,
        typer.Option(help="Share of the scenes, the least likely, to drop: 0 to below 1."),
    ] = 0.2,
    min_area: Annotated[
        float,
        typer.Option(help="Share of the pixels below which a class is absent: 0 to below 1."),
    ] = 0.01,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="Run of a model that segments the generated images; scenes on which "
            "it disagrees are rejected.",
            metavar="RUN",
            show_default="no judge",
        ),
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(
            help="Smallest mIoU between the judge's mask and the generated "
            "mask, 0 to 1; used with --judge."
        ),
    ] = 0.5,
    sampled: Annotated[
        bool,
        typer.Option("--sampled", help="Draw the label of each pixel; else the most probable."),
    ] = False,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    trust: Trust = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a dataset in VOC layout of scenes drawn from a joint model.

    A scene is rejected if it is among the least likely, or if the classes in its mask differ from
    the decoded classes. The other splits are copied with their ground-truth masks. Train on the
    result: scene train segmenter --data generated.
    """
    from inference.api.datasets import GenerationSettings
    from inference.api.datasets import generate as write
    from inference.api.load import find_run
    from scene.datasets.folders.writer import require_dataset_folder

    require_folder(out)
    settings = GenerationSettings(n, origin, sampled, drop, min_area, agreement, keep_train, seed)
    require_dataset_folder(out, force)
    selected_run = choose_run(one_of(run, named), "generate")
    with bar() as watch:
        generated = write(
            selected_run,
            settings,
            out,
            judge=find_run(judge) if judge is not None else None,
            source=data,
            device=device,
            trust=trust,
            force=force,
            watch=watch,
        )
    if json:
        console.print_json(data={**generated.to_json(), "run": str(selected_run.folder)})
        return
    _say(generated, keep_train)


def _say(generated: GeneratedDataset, unlabelled: int) -> None:
    counts = generated.counts
    others = ", ".join(f"{split} {n}" for split, n in generated.scenes.items() if split != "train")
    real = f" and {generated.scenes['train'] - counts.accepted} real ones" if unlabelled else ""
    true = f"; {others} with ground-truth masks" if others else ""
    console.print(entitled(generated.folder, f"{counts.accepted} generated scenes{real}{true}"))
    fallen = ", ".join(f"{n} {reason}" for reason, n in counts.rejected.items() if n) or "none"
    console.print(f"of {counts.sampled} drawn; dropped: {fallen}")
    console.print(str(generated.picture))
