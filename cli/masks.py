"""`scene masks`: from photographs with image-level labels to a dataset with masks, in one call."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console, entitled, notes
from .crf_options import Engine, ParamsFile
from .options import Device, Download, Json, NoCrf, Seed, require_folder
from .progress import bar, with_titles

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.api.masks import Masks, State, TrainedStage

_STAGES = "Stages"
_OWN = "the recipe's own"


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_STAGES, **more)


def masks(
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            help="Photographs with image-level labels: a folder (with a folder per class, or in "
            "VOC layout), or a file of labels (.csv, .tsv, .json, .xml).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where to write: a folder for the new dataset.")
    ] = Path("dataset"),
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the runs of the classifier and of SEC.",
            show_default="runs/masks-OUT, with the name of --out",
            metavar="FOLDER",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Remove an earlier call's runs and dataset and begin again."),
    ] = False,
    json: Json = False,
    no_overlays: Annotated[
        bool,
        typer.Option("--no-overlays", help="Write no overlays, only masks and a contact sheet."),
    ] = False,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Copy photographs instead of linking them."),
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(
            help="Use the first N training photographs only, 1 or more.",
            metavar="N",
            show_default="all",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            help="Pixels whose most probable label is less probable than this are void, 0 to 1."
        ),
    ] = 0.7,
    backbone: Annotated[
        str | None,
        _option(
            "Backbone of classifier and SEC: small, vgg16, resnet50, or a convolutional network "
            "of timm.",
            metavar="NAME",
            show_default="tf_efficientnet_lite0 if the extra weights is installed, else small",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        _option(
            "Initial weights of the backbone: none, imagenet, package (of the extra weights), or "
            "the path of a file.",
            metavar="WEIGHTS",
            show_default=_OWN,
        ),
    ] = None,
    size: Annotated[
        str | None,
        _option(
            "Height x width at which the networks read photographs, in pixels.",
            metavar="HxW",
            show_default=_OWN,
        ),
    ] = None,
    classifier_steps: Annotated[
        int | None,
        _option("Training steps of the classifier, 1 or more.", show_default=_OWN),
    ] = None,
    sec_steps: Annotated[
        int | None, _option("Training steps of SEC, 1 or more.", show_default=_OWN)
    ] = None,
    classifier: Annotated[
        list[str] | None,
        _option(
            "Further settings of the classifier, as tuned-stages=2,learning-rate=1e-3; all of "
            "scene train classifier --help. Repeatable.",
            metavar="NAME=VALUE,…",
        ),
    ] = None,
    sec: Annotated[
        list[str] | None,
        _option(
            "Further settings of SEC and its cues, as foreground=0.5,background=0.3; all of scene "
            "train sec --help. Repeatable.",
            metavar="NAME=VALUE,…",
        ),
    ] = None,
    crf: Annotated[
        list[str] | None,
        _option(
            "Parameters of the CRF that refines SEC's masks, as appearance-sigma-xy=40; all "
            "kernels of scene pseudo-label --help. Repeatable.",
            metavar="NAME=VALUE,…",
        ),
    ] = None,
    params: ParamsFile = None,
    no_crf: NoCrf = False,
    engine: Engine = "auto",
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
) -> None:
    """Make masks of PHOTOS from their image-level labels, and write a dataset in VOC layout.

    This trains a classifier, finds seed cues with Grad-CAM, trains SEC on them, and writes the
    masks of SEC and a dense CRF for the training photographs, with overlays and a contact sheet.
    Masks that PHOTOS has are not used. To continue an interrupted call, run it again. The trained
    networks are ordinary runs: scene segment --run runs/masks-OUT/sec.
    """
    require_folder(out)
    if no_crf and (crf or params):
        raise typer.BadParameter("--no-crf contradicts --crf and --params; leave one out.")
    from inference.api.masks import (
        MasksRequest,
        crf_of_lists,
        default_backbone,
        make_masks,
        stage_settings,
    )
    from scene.datasets.catalogue import splits_of
    from scene.sizes import parse_size

    request = MasksRequest(
        data=photos,
        backbone=backbone or default_backbone(),
        weights=weights,
        size=None if size is None else parse_size(size),
        count=count,
        seed=seed,
        classifier_steps=classifier_steps,
        sec_steps=sec_steps,
        classifier=stage_settings("classifier", classifier or ()),
        sec=stage_settings("sec", sec or ()),
        crf=None if no_crf else crf_of_lists(params, crf or ()),
        engine=engine,
        confidence=confidence,
        overlays=not no_overlays,
        copy=copy,
    )
    splits_of(photos, download=download)
    with ExitStack() as shown:
        watch, pause = _pausable_bar(shown)
        result = make_masks(
            request,
            out,
            place=runs,
            force=force,
            device=device,
            begin=_announcer(backbone is None and request.backbone == "small"),
            done=lambda stage: pause() if json else _show(stage, pause),
            watch=watch,
        )
        pause()
    if json:
        console.print_json(data=result.to_json())
        return
    if result.kept:
        notes.print(f"{out} is complete: nothing was done. --force begins again.", style="dim")
        _show(result.classifier, lambda: None)
        _show(result.sec, lambda: None)
    _show_masks(result)


def _pausable_bar(
    shown: ExitStack,
) -> tuple[Callable[[str, int, int], None], Callable[[], None]]:
    """Return a callback that draws a bar and prints titles, and one that removes the bar."""
    current: list[Callable[[str, int, int], None]] = []

    def watch(title: str, done: int, total: int) -> None:
        if not current:
            current.append(with_titles(shown.enter_context(bar())))
        current[0](title, done, total)

    def pause() -> None:
        shown.close()
        current.clear()

    return watch, pause


def _announcer(small: bool) -> Callable[[str, State], None]:
    """Return a callback that says which stages are kept and which go on.

    Args:
        small: Whether the backbone is ``small`` because no weights are installed.
    """

    def announce(name: str, state: State) -> None:
        if small and name == "classifier" and state == "trained":
            notes.print(
                "backbone small, trained from scratch: a pretrained one learns much better from "
                "photographs; install the extra weights: uv sync --extra weights",
                style="dim",
            )
        how = {
            "kept": "is complete already, and is kept",
            "continued": "goes on where an interrupted call stopped",
        }
        if name == "masks" and state == "continued":
            notes.print("masks of an interrupted call are kept; the others follow", style="dim")
        elif state in how:
            notes.print(f"{_title(name)} {how[state]}", style="dim")

    return announce


def _show(stage: TrainedStage, pause: Callable[[], None]) -> None:
    """Print what came of a network, in a line for cues, one for itself and one for its stages."""
    pause()
    if stage.cues:
        parts = ", ".join(f"{name} {share:.1%}" for name, share in stage.cues.items())
        total = sum(stage.cues.values())
        console.print(entitled("cues", f"{total:.1%} of the cells of all photographs: {parts}"))
    titles = {"map": "mAP", "macro_f1": "macro-F1", "miou": "mIoU"}
    scores = ", ".join(f"{titles[key]} {value:.1f}" for key, value in stage.scores.items())
    on = f", {scores} on {stage.split}" if scores else ""
    console.print(entitled(_title(stage.name), f"{stage.steps} steps{on}  {stage.run}"))
    if stage.stages is not None and stage.learning is not None:
        learning = f"all {stage.stages} stages learn"
        if stage.learning < stage.stages:
            of = f"{stage.learning} of {stage.stages}"
            learning = f"the last {of} stages learn, the others are frozen"
        if not stage.learning:
            learning = f"all {stage.stages} stages are frozen, and the head alone learns"
        console.print(f"  of {stage.network} {learning}", style="dim")


def _show_masks(result: Masks) -> None:
    others = ", ".join(f"{n} {count}" for n, count in result.scenes.items() if n != "train")
    void = f"{result.void:.1%} of their pixels void"
    more = f"; {others} with true masks" if others else ""
    number = result.scenes["train"]
    console.print(entitled("masks", f"{number} photographs, {void}{more}  {result.folder}"))
    if result.unlabelled:
        left = ", ".join(f"{name} {count}" for name, count in result.unlabelled.items())
        run = shlex.quote(result.sec.run)
        console.print(
            f"  photographs without masks: {left}; scene segment --run {run}", style="dim"
        )
    if result.overlays is not None:
        console.print(entitled("overlays", str(result.overlays)))
    console.print(entitled("contact sheet", str(result.sheet)))
    console.print(f"scene train segmenter --data {shlex.quote(str(result.folder))}")


def _title(name: str) -> str:
    return {"sec": "SEC"}.get(name, name)
