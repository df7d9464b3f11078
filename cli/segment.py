"""`scene segment`: label every pixel of photographs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.settings.settings import flag

from .console import complain, console, entitled, notes
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
    Device,
    Exponent,
    Flip,
    Force,
    ImageNetMaps,
    Json,
    Layer,
    NoCrf,
    Run,
    Scales,
    Seed,
    Stage,
    Trust,
    chosen_stage,
    crf_requested,
    load_imagenet,
    load_segmenter,
    require_folder,
    segmentation_run,
)
from .progress import print_result, tracked

if TYPE_CHECKING:
    from inference.api.segment import Done, Failed, PhotoTask


_GUESS = ("names", "top", "threshold", "backbone", "backbone_weights")


def _imagenet(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel="Without a run", **more)


def segment(
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photographs: files, folders, patterns, lists (.txt), or - for standard input."
        ),
    ],
    run: Run = None,
    stage: Stage = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for all files, or, of one photograph, NAME.png for its "
            "mask and NAME_overlay.png.",
            show_default="beside each photograph; segmented with --format",
        ),
    ] = None,
    format: Annotated[
        Literal["voc", "coco", "labelme"] | None,
        typer.Option(
            "--format",
            help="Write one dataset with the photographs and exact masks that labelling tools "
            "open: voc (VOC layout), coco (JSON with run lengths) or labelme (JSON with masks).",
            show_default="masks and overlays",
        ),
    ] = None,
    mask_only: Annotated[
        bool, typer.Option("--mask-only", help="Write masks without overlays.")
    ] = False,
    opacity: Annotated[
        float, typer.Option(help="Opacity of the mask in overlays, 0 to 1.", min=0, max=1)
    ] = 0.5,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Write STEM_uncertainty.png, too: the entropy of each pixel, black 0, white 1.",
        ),
    ] = False,
    probs: Annotated[
        bool,
        typer.Option(
            "--probs",
            help="Write STEM_probs.npz, too: probabilities (labels, height, width), float32, and "
            "the labels' names; at the photograph's pixels, or those of the CRF if it has more.",
        ),
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
    pixels: Annotated[
        int | None,
        typer.Option(
            help="Largest number of pixels at which the CRF works, 1 or more; larger "
            "photographs are scaled down for it.",
            rich_help_panel="Kernels",
            show_default="1000000",
            min=1,
        ),
    ] = None,
    names: Annotated[
        str | None,
        _imagenet(
            "--names",
            help="Labels of the masks, as dog,cat,golden retriever.",
            metavar="NAME,...",
            show_default="111 groups of ImageNet's classes",
        ),
    ] = None,
    top: Annotated[
        int | None,
        _imagenet(
            "--top",
            help="Most labels beside background in one photograph, 1 or more.",
            show_default="3",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        _imagenet(
            "--threshold",
            help="Probability above which a label counts as present, 0 to 1.",
            show_default="0.3 with --names, else 0.1",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        _imagenet(
            "--backbone",
            help="Classifier of timm or torchvision.",
            show_default="tf_efficientnet_lite0",
        ),
    ] = None,
    backbone_weights: Annotated[
        str | None,
        _imagenet(
            "--backbone-weights",
            "--weights",
            metavar="WEIGHTS",
            help="Weights of the classifier: imagenet (of the extra weights, or downloaded), "
            "package (of the extra weights), or the path of a file.",
            show_default="imagenet",
        ),
    ] = None,
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
    trust: Trust = False,
) -> None:
    """Label every pixel of PHOTOS: STEM_mask.png (label ids) and STEM_overlay.png.

    Without --run, this uses the newest run of sec (stage sec+crf). If there is none: of classifier
    (gradcam+crf), then of segmenter, then of any model that reads images (mask). If there is no
    run at all, or with --names, an ImageNet classifier guesses (imagenet+crf). An unreadable
    photograph does not stop the others, but the exit status is then 1.
    """
    arguments = dict(locals())
    from inference.api.segment import export_tasks, outputs_of, photos_of

    if format is not None:
        _require_whole(arguments)
        out = arguments["out"] = out or Path("segmented")
    about, load = _source(arguments)
    pictures, failed = photos_of(photos, sys.stdin if "-" in photos else ())
    if format is not None:
        tasks = export_tasks(pictures, out or Path(), format, force)
    else:
        kinds = ["mask"] + ["overlay"] * (not mask_only) + ["uncertainty"] * uncertainty
        tasks = outputs_of(pictures, kinds + ["probs"] * probs, out, force)
    for failure in failed:
        _complain(failure)
    done = _segment_all(load, tasks, arguments, failed) if tasks else []
    if json:
        failures = [vars(failure) for failure in failed]
        place = {"out": str(out)} if format is not None else {}
        console.print_json(data={**about, **place, "images": done, "failed": failures})
    elif format is not None and done:
        console.print(entitled(out, f"{len(done)} photographs with masks, in the format {format}"))
    if failed:
        raise typer.Exit(1)


def _segment_all(
    load: Callable[[], Any],
    tasks: Sequence[PhotoTask],
    arguments: dict[str, Any],
    failed: list[Failed],
) -> list[dict[str, Any]]:
    """Segment photographs and print what came of each; add those that failed to ``failed``."""
    from inference.api.segment import Failed, annotated_folder, segment_files

    done: list[dict[str, Any]] = []
    with ExitStack() as stack:
        segmenter, add = load(), None
        if arguments["format"] is not None:
            add = stack.enter_context(
                annotated_folder(arguments["out"], arguments["format"], tasks)
            )
        results = segment_files(segmenter, tasks, arguments["opacity"])
        for result in tracked(results, len(tasks), "segmenting"):
            if isinstance(result, Failed):
                failed.append(result)
                _complain(result)
                continue
            if add is not None:
                add(result)
            done.append(result.to_json() if arguments["json"] else {})
            if not arguments["json"]:
                _say(result)
    return done


def _require_whole(arguments: dict[str, Any]) -> None:
    """Refuse options of single files beside --format."""
    for name in ("mask_only", "uncertainty", "probs"):
        if arguments[name]:
            raise typer.BadParameter(
                f"--format writes photographs with masks only, without {flag(name)}; leave one "
                "out."
            )
    require_folder(arguments["out"])


def _source(arguments: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], Any]]:
    """Choose a run or a classifier of ImageNet; return what it is, and how to load it."""
    run, stage = arguments["run"], arguments["stage"]
    guess = [name for name in _GUESS if arguments[name] is not None]
    if guess and (run is not None or stage is not None):
        other = "--run" if run is not None else "--stage"
        raise typer.BadParameter(
            f"{flag(guess[0])} is for segmenting without a run; it does not go with {other}."
        )
    if not guess:
        try:
            selected_run = segmentation_run(run, stage)
        except LookupError as error:
            if run is not None or stage is not None:
                raise
            _require_weights(error)
        else:
            name = chosen_stage(selected_run, stage, arguments, no_crf=arguments["no_crf"])
            about = {
                "run": str(selected_run.folder),
                "recipe": selected_run.settings.title,
                "stage": name,
            }
            return about, lambda: load_segmenter(selected_run, name, arguments)
    return _guessed(arguments)


def _require_weights(error: LookupError) -> None:
    """Let no run be missed silently where no installed classifier could stand in."""
    from inference.api.segment import is_installed

    if not is_installed():
        raise LookupError(
            f"{error} Without training: install the extra weights (`uv sync --extra weights`), "
            "and photographs are labelled with ImageNet's classes."
        ) from error


def _guessed(arguments: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], Any]]:
    """Segment by a classifier of ImageNet, and say so."""
    if arguments["no_crf"] and crf_requested(arguments):
        raise typer.BadParameter("--no-crf contradicts settings of the CRF; leave one out.")
    net = arguments["backbone"] or "tf_efficientnet_lite0"
    notes.print(
        f"no run used: the labels are guesses of {net}, which learned ImageNet's classes",
        style="dim",
    )
    stage = "imagenet" if arguments["no_crf"] else "imagenet+crf"
    about = {"run": None, "recipe": net, "stage": stage}
    return about, lambda: load_imagenet(net, arguments)


def _say(result: Done) -> None:
    shares: Sequence[Any] = result.segmentation.shares
    parts = ", ".join(map(str, shares))
    print_result(entitled(result.task.files.get("mask", result.task.photo), parts))


def _complain(failure: Failed) -> None:
    complain(failure.reason)
