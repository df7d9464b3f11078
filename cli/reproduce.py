"""`scene reproduce`: the report's tables, or the stages of one photograph's segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.experiments.weak.request import BETAS, TUNE_LIMIT, VARIANTS, Request

from .console import console, notes
from .crf_ablate import numbers
from .crf_options import Engine
from .options import Device, Download, Json, Size
from .progress import bar, with_titles
from .reproduce_tables import show

if TYPE_CHECKING:
    from inference.experiments.compare import TrainingScores
    from inference.experiments.scene_table import SceneTable

_ROWS = "; ".join(f"{name}: {variant.about}" for name, variant in VARIANTS.items())
_BETAS = ",".join(map("{:g}".format, BETAS))
_TRAINING, _CHOOSING = "Training", "Selection and scoring"
_OWN = "the recipe's own"


def _option(help: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def reproduce(
    ctx: typer.Context,
    table: Annotated[
        Literal["weak", "scene"],
        typer.Option(
            help="Table to reproduce. weak: masks from image-level labels "
            "(classifier, SEC, CRF). scene: the generative models cVAE, j-VAE and "
            "TELBO."
        ),
    ] = "weak",
    data: Annotated[
        str,
        typer.Option(
            help="Dataset: synthetic, synthetic:confounded, voc2012, a folder (in VOC layout, or "
            "with a folder per class), or a file of labels (.csv, .tsv, .json, .xml)."
        ),
    ] = "synthetic:confounded",
    settings: Annotated[
        Literal["report", "best", "both"],
        typer.Option(help=f"Settings of the weak table. {_ROWS}; both: one row for each."),
    ] = "report",
    seeds: Annotated[
        int,
        typer.Option(help="Number of seeds to train with, 1 or more; the first is --seed.", min=1),
    ] = 1,
    seed: Annotated[
        int, typer.Option(help="First seed, 0 to 4294966296.", min=0, max=2**32 - 1000)
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for runs and tables. A call with the same "
            "settings continues an existing one.",
            show_default="runs/reproduce-DATA",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Delete an earlier call's results in --out and start again."),
    ] = False,
    json: Json = False,
    jobs: Annotated[
        int,
        typer.Option(
            help="Number of processes, 1 to 256; they share the seeds, or the scenes of the CRF.",
            max=256,
        ),
    ] = 1,
    device: Device = "auto",
    download: Download = False,
    size: Size = None,
    count: Annotated[
        int | None,
        _option(
            "Number of training scenes to use, 1 or more.",
            _TRAINING,
            show_default="all; 6000 generated ones",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        _option(
            "Training steps of each model of --table scene, 1 or more.",
            _TRAINING,
            show_default="720",
        ),
    ] = None,
    backbone: Annotated[
        str,
        _option(
            "Backbone of the classifier: small, vgg16, resnet50, or a classifier of timm or "
            "torchvision. SEC's network is largefov with vgg16 and resnet50, else the same. With "
            "--table scene, the network that reads the image in every model.",
            _TRAINING,
        ),
    ] = "small",
    weights: Annotated[
        str | None,
        _option(
            "Initial weights of the backbone: none, imagenet, or the path of a file.",
            _TRAINING,
            "--backbone-weights",
            "--weights",
            show_default=_OWN,
        ),
    ] = None,
    spatial: Annotated[
        int | None,
        _option(
            "Channels of z for each cell of a grid over the scene, in every model of --table "
            "scene.",
            _TRAINING,
            min=0,
            show_default="0",
        ),
    ] = None,
    background: Annotated[
        Literal["auto", "none"],
        _option(
            "Background cues of SEC: auto uses those of the recipe "
            "sec; none is needed for data without a background "
            "label.",
            _TRAINING,
        ),
    ] = "auto",
    classifier_steps: Annotated[
        int | None,
        _option("Training steps of the classifier, 1 or more.", _TRAINING, show_default=_OWN),
    ] = None,
    sec_steps: Annotated[
        int | None, _option("Training steps of SEC, 1 or more.", _TRAINING, show_default=_OWN)
    ] = None,
    supervised_steps: Annotated[
        int | None,
        _option(
            "Training steps of supervised, SEC's network on ground-truth masks, 1 or more.",
            _TRAINING,
            show_default=_OWN,
        ),
    ] = None,
    split: Annotated[
        str | None,
        _option(
            "Split on which scores are reported; tune is refused, because "
            "settings are selected there.",
            _CHOOSING,
            show_default="val, else test",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        _option(
            "Score only the first N scenes of --split, 1 or more.",
            _CHOOSING,
            show_default="all",
            metavar="N",
        ),
    ] = None,
    tune_limit: Annotated[
        int,
        _option(
            "Select settings on the first N scenes of tune, 1 or more.", _CHOOSING, metavar="N"
        ),
    ] = TUNE_LIMIT,
    alphas: Annotated[
        str,
        _option(
            "Widths θα of the appearance kernel in the CRF's grid, in pixels, as 5,10,20.",
            _CHOOSING,
            show_default="0.05, 0.1, 0.2 and 0.4 of the first image's side",
        ),
    ] = "",
    betas: Annotated[
        str,
        _option(
            "Widths θβ of the appearance kernel in the CRF's grid, in colour, on the scale 0-255.",
            _CHOOSING,
        ),
    ] = _BETAS,
    engine: Engine = "auto",
) -> None:
    """Train every network of weak supervision on DATA, and compare its stages.

    For each seed, this trains a classifier, SEC, and SEC's network on ground-truth masks (recipe
    supervised). It scores Grad-CAM, SEC and supervised with and without a dense CRF, ablates the
    kernels of SEC's CRF, and scores a grid of its widths. All settings are selected on tune,
    never on the reported split. To continue an interrupted call, run it again. The trained
    networks are ordinary runs: scene segment --run OUT/seed-0/report/sec.

    --table scene trains the generative models instead, in the report's form and with the default
    settings, and a segmenter.
    """
    from inference.experiments.weak.reproduce import reproduce as do
    from inference.experiments.weak.reproduce import splits_without_masks
    from scene.datasets.catalogue import splits_of
    from scene.sizes import parse_size

    require(ctx, table)
    pixels = None if size is None else parse_size(size)
    splits_of(data, download=download)
    if table == "scene":
        reproduce_scene(
            {
                "data": data,
                "size": pixels,
                "count": count,
                "steps": steps,
                "backbone": None if backbone == "small" else backbone,
                "backbone_weights": weights,
                "spatial": spatial,
            },
            seeds=range(seed, seed + seeds),
            split=split,
            out=out,
            force=force,
            json=json,
            jobs=jobs,
            device=device,
        )
        return
    request = Request(
        data=data,
        size=pixels,
        count=count,
        split=split,
        limit=limit,
        tuned=tune_limit,
        backbone=backbone,
        weights=weights,
        background=background != "none",
        classifier_steps=classifier_steps,
        sec_steps=sec_steps,
        supervised_steps=supervised_steps,
        alphas=numbers("--alphas", alphas),
        betas=_some("--betas", betas),
        engine=engine,
    )
    if splits_without_masks(request):
        _unscored(
            request,
            seeds=range(seed, seed + seeds),
            out=out,
            force=force,
            device=device,
            json=json,
        )
        return
    names = tuple(VARIANTS) if settings == "both" else (settings,)
    with bar() as watch:
        result = do(
            request,
            seeds=range(seed, seed + seeds),
            variants=names,
            folder=out,
            force=force,
            device=device,
            jobs=jobs,
            watch=print_when_done if min(jobs, seeds) > 1 else with_titles(watch),
        )
    if json:
        console.print_json(data=result.to_json())
        return
    show(result)
    for path in result.files:
        console.print(str(path))


def _unscored(
    request: Request, *, seeds: range, out: Path | None, force: bool, device: Any, json: bool
) -> None:
    """Train what needs no masks, and say why nothing is scored."""
    from inference.experiments.weak.reproduce import train_without_masks

    with bar() as watch:
        result = train_without_masks(
            request, seeds=seeds, folder=out, force=force, device=device, watch=with_titles(watch)
        )
    if json:
        console.print_json(data=result.to_json())
        return
    splits = ", ".join(result.lacking)
    console.print(
        f"{result.data}: classifier and SEC are trained, and not scored: there are no masks in "
        f"{splits}. The recipe supervised learns from masks of train; settings are chosen on "
        "those of tune."
    )
    for path in (*result.runs, *result.files):
        console.print(str(path))


def print_when_done(title: str, done: int, total: int) -> None:
    """Print the title of a step when it is complete: the only progress of other processes."""
    if done == total:
        notes.print(title, style="dim")


def _some(option: str, text: str) -> tuple[float, ...]:
    if not (values := numbers(option, text)):
        raise ValueError(f"{option} needs one width or more, as 5,10,20.")
    return values


SHARED = (
    "table", "data", "seeds", "seed", "out", "json", "jobs", "device", "download", "size", "count",
    "split", "steps", "force", "backbone", "weights", "spatial",
)  # fmt: skip
"""The options of `scene reproduce` that --table scene takes."""

SCENE = ("steps", "spatial")
"""Those of them that the other table does not take."""


def require(ctx: typer.Context, table: str) -> None:
    """Refuse options that belong to the other table.

    Raises:
        ValueError: Naming them.
    """
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    typed = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    idle = [n for n in typed if (n not in SHARED if table == "scene" else n in SCENE)]
    if idle:
        words = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ValueError(f"--table {table} does not use {words}; leave that out.")


def reproduce_scene(
    common: dict[str, Any],
    *,
    seeds: range,
    split: str | None,
    out: Path | None,
    force: bool,
    json: bool,
    jobs: int,
    device: Any,
) -> None:
    """Make the table and print it."""
    from inference.experiments.scene_table import scene_table

    result = scene_table(
        {name: value for name, value in common.items() if value is not None},
        seeds=seeds,
        split=split,
        folder=out,
        force=force,
        jobs=jobs,
        device=device,
        watch=_tell,
    )
    if json:
        console.print_json(data=result.to_json())
        return
    _show(result)
    for path in result.files:
        console.print(str(path))


def _tell(result: TrainingScores) -> None:
    notes.print(f"{result.row}, seed {result.settings.training.seed}: done", style="dim")


def _show(result: SceneTable) -> None:
    from rich.table import Table as Grid

    from inference.experiments.compare import format_mean
    from inference.experiments.scene_table import MODELS

    seeds = ", ".join(map(str, result.seeds))
    console.print(f"mIoU in %, {result.scored}, seed{'s' * (len(result.seeds) > 1)} {seeds}")
    grid = Grid("model")
    titles = list(result.scores(next(iter(MODELS))))
    for title in titles:
        grid.add_column(title, justify="right")
    if result.reference:
        grid.add_column("the report", justify="right")
    for name, model in MODELS.items():
        scores = result.scores(name)
        cells = [format_mean(scores[title]) for title in titles]
        if result.reference:
            cells.append("–" if model.report is None else f"{model.report}")
        grid.add_row(name, *cells)
    console.print(grid)
    for name, model in MODELS.items():
        console.print(f"{name}: scene train {model.row.command}", style="dim")
