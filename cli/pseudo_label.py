"""`scene pseudo-label`: turn image-level labels into a dataset with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .console import console, entitled
from .crf_options import (
    AppearanceSigmaRGB,
    AppearanceSigmaXY,
    AppearanceWeight,
    Engine,
    Iterations,
    ParamsFile,
    SmoothnessSigma,
    SmoothnessWeight,
)
from .options import (
    Affinity,
    BackgroundMap,
    Certainty,
    Data,
    Device,
    Download,
    Exponent,
    Flip,
    Force,
    ImageNetMaps,
    Json,
    Layer,
    Limit,
    NamedRun,
    NoCrf,
    RunArgument,
    Scales,
    Seed,
    Stage,
    Trust,
    chosen_stage,
    load_segmenter,
    one_of,
    require_folder,
    segmentation_run,
)
from .progress import bar


def pseudo_label(
    run: RunArgument = None,
    named: NamedRun = None,
    stage: Stage = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split of the data whose scenes get weak masks.")
    ] = "train",
    limit: Limit = None,
    out: Annotated[
        Path, typer.Option(help="Where to write: a folder for the new dataset.")
    ] = Path("weak"),
    confidence: Annotated[
        float,
        typer.Option(
            help="Pixels whose most probable label is less probable than this are void, 0 to 1."
        ),
    ] = 0.7,
    labels: Annotated[
        Literal["known", "predicted"],
        typer.Option(
            help="Classes that a mask may contain: known (the image-level labels of "
            "its image) or predicted (any class)."
        ),
    ] = "known",
    true: Annotated[
        int,
        typer.Option(
            help="Number of scenes, chosen by --seed, that keep their ground-truth masks."
        ),
    ] = 0,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Copy photographs instead of linking them."),
    ] = False,
    force: Force = False,
    json: Json = False,
    no_crf: NoCrf = False,
    params: ParamsFile = None,
    appearance_weight: AppearanceWeight = None,
    appearance_sigma_xy: AppearanceSigmaXY = None,
    appearance_sigma_rgb: AppearanceSigmaRGB = None,
    smoothness_weight: SmoothnessWeight = None,
    smoothness_sigma: SmoothnessSigma = None,
    iterations: Iterations = None,
    engine: Engine = "auto",
    layer: Layer = None,
    scales: Scales = None,
    flip: Flip = None,
    background_map: BackgroundMap = None,
    exponent: Exponent = None,
    certainty: Certainty = None,
    affinity: Affinity = None,
    imagenet_maps: ImageNetMaps = None,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Write a dataset in VOC layout with weak masks, for scene train telbo --data weak.

    Without RUN, this uses the newest run of sec, else of classifier. The other splits are copied
    with their ground-truth masks. Photographs of a folder are linked. weak.txt lists the scenes
    with weak masks, for --weak-weight of scene train.
    """
    arguments: dict[str, Any] = dict(locals())
    from inference.api.datasets import pseudo_label as write
    from scene.datasets.catalogue import splits_of
    from scene.datasets.folders.writer import require_dataset_folder

    require_folder(out)
    require_dataset_folder(out, force)
    selected_run = segmentation_run(one_of(run, named), stage)
    name = chosen_stage(selected_run, stage, arguments, no_crf=no_crf)
    source = data or selected_run.settings.data.source
    splits_of(source, download=download)
    with bar() as watch:
        written = write(
            load_segmenter(selected_run, name, arguments),
            source,
            out,
            split=split,
            limit=limit,
            confidence=confidence,
            labels=labels,
            true=true,
            seed=seed,
            copy=copy,
            force=force,
            about={"run": str(selected_run.folder)},
            watch=watch,
        )
    if json:
        report = {"folder": str(written.folder), "run": str(selected_run.folder), "stage": name}
        more = {"true": written.true, "void": written.void}
        console.print_json(data={**report, "scenes": written.scenes, **more})
        return
    weak, *others = (f"{split} {count}" for split, count in written.scenes.items())
    masks = f"{weak} with masks of {name} ({written.void:.1%} of pixels void)"
    masks += f" but for {written.true} true ones" if written.true else ""
    rest = f"; {', '.join(others)} with true ones" if others else ""
    console.print(entitled(out, f"{masks}{rest}"))
    vary = "" if written.augmentation == "flip" else f" --augment {written.augmentation}"
    console.print(f"scene train telbo --data {out}{vary}")
