"""`scene crf`: refine masks with a dense (fully connected) CRF; measure it; fit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scene.storage.outputs import is_png_path

from .console import console, entitled
from .crf_ablate import ablate
from .crf_fit import fit
from .crf_options import (
    AppearanceSigmaRGB,
    AppearanceSigmaXY,
    AppearanceWeight,
    Engine,
    Iterations,
    ParamsFile,
    SmoothnessSigma,
    SmoothnessWeight,
    parameters,
)
from .options import Force, Json, require_folder
from .progress import working

if TYPE_CHECKING:
    from scene.labels import Labels


def refine(
    photo: Annotated[Path, typer.Argument(help="The photograph.")],
    probs: Annotated[
        Path | None,
        typer.Option(
            help="File of probabilities (labels, height, width), .npy or .npz.",
            metavar="FILE",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Rough mask instead of --probs: a palette, grey or RGB image; 255 = void.",
            metavar="FILE",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(help="Probability that a label of --labels is right, between 0 and 1."),
    ] = 0.7,
    data: Annotated[
        str | None,
        typer.Option(help="Dataset that provides label names and colours, as voc2012."),
    ] = None,
    labelmap: Annotated[
        Path | None,
        typer.Option(
            help="File of label names and colours in place of --data: lines label:r,g,b.",
            metavar="FILE",
        ),
    ] = None,
    smoothness_sigma: SmoothnessSigma = None,
    smoothness_weight: SmoothnessWeight = None,
    appearance_sigma_xy: AppearanceSigmaXY = None,
    appearance_sigma_rgb: AppearanceSigmaRGB = None,
    appearance_weight: AppearanceWeight = None,
    iterations: Iterations = None,
    params: ParamsFile = None,
    engine: Engine = "auto",
    out: Annotated[
        Path,
        typer.Option(
            help="Where to write: a folder for the mask and the overlay, or NAME.png for the "
            "mask and NAME_overlay.png.",
            show_default="the working directory",
        ),
    ] = Path(),
    save_probs: Annotated[
        Path | None,
        typer.Option(help="File for the marginals, NAME.npy.", metavar="FILE"),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Refine the label probabilities of PHOTO by the dense CRF, so that similar pixels agree.

    Writes STEM_mask.png (a palette PNG of label ids) and STEM_overlay.png.
    """
    if not is_png_path(out):
        require_folder(out)
    chosen = parameters(
        params,
        smoothness_sigma=smoothness_sigma,
        smoothness_weight=smoothness_weight,
        appearance_sigma_xy=appearance_sigma_xy,
        appearance_sigma_rgb=appearance_sigma_rgb,
        appearance_weight=appearance_weight,
        iterations=iterations,
    )
    from inference.api.crf import refine_files

    with working("refining"):
        refined = refine_files(
            photo,
            probs=probs,
            mask=labels,
            labels=_labels_of(data, labelmap),
            parameters=chosen,
            confidence=confidence,
            engine=engine,
            out=out,
            save_probs=save_probs,
            force=force,
        )
    if json:
        files = {"files": [*map(str, refined.files)], "shares": refined.shares}
        console.print_json(data={**files, "changed": refined.changed, "pixels": refined.pixels})
        return
    present = ", ".join(f"{name} {share:.1%}" for name, share in refined.shares.items())
    console.print(
        entitled(
            refined.files[0],
            f"{present}; {refined.changed / refined.pixels:.1%} of pixels changed",
        )
    )


def _labels_of(data: str | None, labelmap: Path | None) -> Labels | None:
    """Find the names and colours of labels, if somebody knows them."""
    from scene.datasets.catalogue import open_data, splits_of
    from scene.labelmap import VOC, read_labels

    if data is not None and labelmap is not None:
        raise ValueError("--data and --labelmap both name the labels; leave one out.")
    if labelmap is not None:
        return read_labels(labelmap)
    if data is None or data == "voc2012":
        return VOC if data else None
    return open_data(data, splits_of(data)[0]).schema.labels


app = typer.Typer(help="Refine masks with a dense CRF; measure it; fit it.", no_args_is_help=True)
app.command()(refine)
app.command()(ablate)
app.command()(fit)
