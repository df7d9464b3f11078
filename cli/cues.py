"""`scene cues`: the seed cues of a classifier, as files, a picture and scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference.settings.recipes import recipe

from .console import console, entitled
from .options import (
    Data,
    Device,
    Download,
    Force,
    Json,
    Limit,
    NamedRun,
    RunArgument,
    choose_run,
    fitted,
    one_of,
    require_folder,
)
from .progress import bar
from .recipe_options import typed_options, with_group

if TYPE_CHECKING:
    from inference.segmentation.cue_files import CueScore


@with_group("sec", "cues", "classifier")
def cues(
    run: RunArgument = None,
    named: NamedRun = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split of the data: train, tune, val or test.")
    ] = "train",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write: a folder for the cues.", show_default="RUN/cues-SPLIT"),
    ] = None,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    device: Device = "auto",
    download: Download = False,
    **values: Any,
) -> None:
    """Write the seed cues of a split by the classifier RUN, and score them where masks exist.

    On train and tune, image-level labels give the present classes; on other splits, the classifier
    predicts them. Files go to RUN/cues-SPLIT/: class maps and seed cues of each scene as .npz,
    cues.png, cues.json. The options and defaults of seed cues are those of scene train sec.
    """
    require_folder(out)
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    from inference.api.datasets import cue_settings, require_cues_folder, write_cues

    selected_run = choose_run(one_of(run, named), "cues")
    settings = cue_settings(recipe("sec").settings(**typed_options(values)))
    folder = out or selected_run.path(f"cues-{split}")
    require_cues_folder(folder, force)
    model = fitted(selected_run.folder, device=device)
    dataset = model.dataset(split, data=data, download=download)
    about = {"run": str(selected_run.folder), "data": dataset.name, "split": split}
    with bar() as watch:
        written = write_cues(
            folder,
            model.assembly,
            dataset,
            settings,
            limit=limit,
            force=force,
            about=about,
            watch=lambda done, scenes: watch("computing cues", done, scenes),
        )
    if json:
        console.print_json((folder / "cues.json").read_text())
        return
    _show(written.score)
    console.print(entitled(folder, f"cues of {written.scenes} scenes, cues.png"))


def _show(score: CueScore) -> None:
    from rich.table import Table

    from scene.notices import against_weak

    if not score.scenes:
        console.print("No scene has a mask, so that cues cannot be scored.")
        return
    table = Table("label")
    for name in ("precision, %", "coverage, %"):
        table.add_column(name, justify="right")
    for name, precision in score.precision.items():
        table.add_row(name, _percent(precision), _percent(score.coverage[name]))
    console.print(table)
    if weak := against_weak(score.weak, score.scenes):
        console.print(f"{score.scenes} scenes{weak}, not the truth.")
    console.print(
        "precision: share of the cued pixels that are right; coverage: share of a label's pixels "
        "that are cued."
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
