"""`scene diagnose`: the posteriors of a model with a latent z, examined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .about import about, sized
from .console import console, entitled, notes
from .diagnose_tables import show
from .options import (
    Data,
    Device,
    Download,
    Force,
    Json,
    NamedRun,
    RunArgument,
    Seed,
    Trust,
    chosen,
    fitted,
    one_of,
    require_folder,
)

if TYPE_CHECKING:
    from inference.api.runs import Run as RunFolder
    from scene.datasets.base import SceneDataset


def diagnose(
    run: RunArgument = None,
    named: NamedRun = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split of the data: train, tune, val or test.")
    ] = "val",
    particles: Annotated[
        int, typer.Option(help="Draws of z for each log-likelihood, 1 or more.")
    ] = 64,
    limit: Annotated[
        int, typer.Option(help="Take the first N scenes only, 1 or more.", metavar="N")
    ] = 200,
    gradients: Annotated[
        int,
        typer.Option(
            help="Gradients for each estimate of their noise: 2 or more; 0 leaves it out."
        ),
    ] = 32,
    segmenter: Annotated[
        Path | None,
        typer.Option(
            help="Run of segmenter on the same data, which labels drawn images.",
            metavar="RUN",
            show_default="the newest",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for diagnose.json and the pictures.",
            show_default="RUN/diagnose",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Examine the posteriors of RUN: how tight, how active, how well they cover the prior.

    For each set of views that has a posterior: log-likelihoods by importance
    sampling, active units and KL, and a two-sample test against the prior.
    Whether views drawn together agree, whether probabilities come true, and
    how noisy the generators' gradients are. Pictures of all this, and of walks
    through the latent space. Files go to RUN/diagnose/.
    """
    require_folder(out)
    for option, count in (("--particles", particles), ("--limit", limit)):
        if count < 1:
            raise ValueError(f"{option} must be 1 or more, not {count}.")
    if gradients < 0 or gradients == 1:
        raise ValueError(f"--gradients must be 0, or 2 or more, not {gradients}.")
    from inference.api.diagnose import claim
    from inference.api.diagnose import diagnose as examine
    from inference.api.runs import has_latent

    found = chosen(one_of(run, named), "diagnose")
    if not has_latent(found):
        raise ValueError(
            f"A {found.settings.title} has no z to examine; take a run of cvae, jvae, jmvae or "
            "telbo."
        )
    folder = out or found.path("diagnose")
    claim(folder, force)
    model = fitted(found.folder, device=device, trust=trust)
    dataset = model.dataset(split, data=data, download=download)
    yardstick = _segmenter(segmenter, dataset)
    report = {
        **about(found, dataset),
        "segmenter": None if yardstick is None else str(yardstick.folder),
        "seed": seed,
    }
    with notes.status("diagnosing") as status:
        diagnosis = examine(
            model,
            dataset,
            folder,
            particles=particles,
            limit=limit,
            gradients=gradients,
            segmenter=yardstick,
            seed=seed,
            about=report,
            watch=lambda title: status.update(f"diagnosing: {title}"),
        )
    if json:
        console.print_json((folder / "diagnose.json").read_text())
        return
    show(report, diagnosis)
    console.print(entitled(folder, ", ".join(path.name for path in diagnosis.files)))


def _segmenter(folder: Path | None, dataset: SceneDataset) -> RunFolder | None:
    """Read the segmenter named, or find the newest of these data; say so if there is none."""
    from inference.api.runs import find_run, newest

    schema = dataset.schema
    if folder is None:
        try:
            return newest(
                lambda run: (
                    run.settings.recipe == "segmenter"
                    and run.settings.data.source == dataset.source
                    and run.schema == schema
                )
            )
        except LookupError:
            notes.print(
                f"No run of segmenter on {dataset.source} at {sized(schema.size)} is there: masks "
                "it would find in drawn images are left out.",
                style="dim",
            )
            return None
    run = find_run(folder)
    if run.settings.recipe != "segmenter":
        raise ValueError(
            f"{folder} is a run of {run.settings.title}; --segmenter takes one of segmenter."
        )
    run.schema.labels.require(schema.labels, dataset.name)
    if run.schema.size != schema.size:
        raise ValueError(
            f"{folder} segments images of {sized(run.schema.size)}, but those drawn are "
            f"{sized(schema.size)}; train one with --size {sized(schema.size)}."
        )
    return run
