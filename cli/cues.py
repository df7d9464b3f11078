"""`scene cues`: where a classifier is sure of a label, as files, a picture and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import console, entitled, notes
from .options import (
    Data,
    Device,
    Download,
    Force,
    Json,
    Limit,
    NamedRun,
    RunArgument,
    chosen,
    fitted,
    one_of,
    require_folder,
)

if TYPE_CHECKING:
    from inference.segmentation.cue_files import CueScore


def cues(
    run: RunArgument = None,
    named: NamedRun = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split of the data: train, tune, val or test.")
    ] = "train",
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the classifier whose class maps are taken.", show_default="its last"
        ),
    ] = None,
    scales: Annotated[
        str,
        typer.Option(help="Scales at which the classifier reads images, as 1,2: at most 8."),
    ] = "1",
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Average class maps with those of the mirrored image."),
    ] = False,
    foreground: Annotated[
        float,
        typer.Option(help="Share of a map's maximum above which a class is cued, 0 to 1."),
    ] = 0.2,
    background: Annotated[
        str,
        typer.Option(
            help="Share of the image, the least salient, that is cued as background, or none."
        ),
    ] = "0.1",
    saliency: Annotated[
        Literal["max", "sum"],
        typer.Option(help="Saliency: the largest of the present classes' maps, or their sum."),
    ] = "max",
    exponent: Annotated[
        float,
        typer.Option(help="Exponent of background, 1 − Σ maps, where a CRF finds the cues."),
    ] = 1.0,
    crf: Annotated[
        str,
        typer.Option(
            help="Dense CRF that finds the cues: weight, width in pixels, width in colour, as "
            "10,25,5.",
            show_default="none",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write: a folder for the cues.", show_default="RUN/cues-SPLIT"),
    ] = None,
    limit: Limit = None,
    force: Force = False,
    json: Json = False,
    device: Device = "auto",
    download: Download = False,
) -> None:
    """Find the cues of a split's scenes with RUN, and score them where masks exist.

    On train and tune the scenes' own labels say which classes are present; elsewhere the
    classifier does. Files go to RUN/cues-SPLIT/: maps and seeds of each scene as .npz, cues.png,
    cues.json.
    """
    require_folder(out)
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    from inference.api.datasets import CueSettings, claim_cues, cue_crf, write_cues

    found = chosen(one_of(run, named), "cues")
    settings = CueSettings(
        layer=layer,
        scales=tuple(_number("--scales", text) for text in scales.split(",")),
        flip=flip,
        foreground=foreground,
        background=None if background == "none" else _number("--background", background),
        saliency=saliency,
        background_map="sum" if exponent == 1 else "power",
        exponent=exponent,
        crf=cue_crf(tuple(_number("--crf", text) for text in crf.split(",") if text)),
    )
    folder = out or found.path(f"cues-{split}")
    claim_cues(folder, force)
    model = fitted(found.folder, device=device)
    dataset = model.dataset(split, data=data, download=download)
    about = {"run": str(found.folder), "data": dataset.name, "split": split}
    with notes.status("looking") as status:
        written = write_cues(
            model,
            dataset,
            folder,
            settings,
            limit=limit,
            force=force,
            about=about,
            watch=lambda done, scenes: status.update(f"looking: {done} of {scenes}"),
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
        table.add_row(name, _said(precision), _said(score.coverage[name]))
    console.print(table)
    if weak := against_weak(score.weak, score.scenes):
        console.print(f"{score.scenes} scenes{weak}, not the truth.")
    console.print("precision: cued pixels that are right; coverage: a label's pixels cued so.")


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} takes numbers such as 0.5, not {text!r}.") from None
