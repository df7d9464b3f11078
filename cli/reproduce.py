"""`scene reproduce`: the report's tables, or the stages of one photograph's segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from inference.experiments.weak.request import BETAS, TUNE_LIMIT, VARIANTS, Request

from .console import console, notes
from .crf_ablate import numbers
from .crf_options import Engine, bar
from .options import Device, Download, Json, Size
from .reproduce_tables import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.experiments.compare import TrainingScores
    from inference.experiments.scene_table import SceneTable

_ROWS = "; ".join(f"{name}: {variant.about}" for name, variant in VARIANTS.items())
_BETAS = ",".join(map("{:g}".format, BETAS))
_TRAINING, _CHOOSING = "Training", "Choosing and measuring"


def _option(help: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def reproduce(
    ctx: typer.Context,
    table: Annotated[
        Literal["weak", "scene"],
        typer.Option(help="weak: from labels to masks; scene: cVAE, j-VAE and TELBO."),
    ] = "weak",
    data: Annotated[
        str, typer.Option(help="synthetic:confounded, voc2012, or a folder in VOC layout.")
    ] = "synthetic:confounded",
    settings: Annotated[
        Literal["report", "best", "both"], typer.Option(help=f"{_ROWS}; or both.")
    ] = "report",
    seeds: Annotated[int, typer.Option(help="How many, from --seed on.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The first one.", min=0, max=2**32 - 1000)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; one that is there is gone on with.", show_default="by data"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Begin anew.")] = False,
    json: Json = False,
    jobs: Annotated[
        int, typer.Option(help="Processes that share seeds, or the CRF's scenes.", max=256)
    ] = 1,
    device: Device = "auto",
    download: Download = False,
    size: Size = None,
    count: Annotated[int | None, _option("Training scenes to use.", _TRAINING)] = None,
    steps: Annotated[int | None, _option("Of each model, with --table scene.", _TRAINING)] = None,
    backbone: Annotated[
        str, _option("Of the classifier: small, vgg16 or resnet50.", _TRAINING)
    ] = "small",
    weights: Annotated[
        str | None, _option("First ones, unless small: imagenet, none or a path.", _TRAINING)
    ] = None,
    background: Annotated[
        Literal["auto", "none"], _option("Cues of background.", _TRAINING)
    ] = "auto",
    classifier_steps: Annotated[int | None, _option("Of its training.", _TRAINING)] = None,
    sec_steps: Annotated[int | None, _option("Of SEC's.", _TRAINING)] = None,
    twin_steps: Annotated[int | None, _option("Of the twin's.", _TRAINING)] = None,
    split: Annotated[
        str | None, _option("Reported.", _CHOOSING, show_default="val, else test")
    ] = None,
    limit: Annotated[int | None, _option("Its first so many scenes.", _CHOOSING)] = None,
    tune_limit: Annotated[
        int, _option("Choose on the first so many scenes of tune.", _CHOOSING)
    ] = TUNE_LIMIT,
    alphas: Annotated[
        str, _option("Widths θα in pixels; '' = shares of a picture's side.", _CHOOSING)
    ] = "",
    betas: Annotated[str, _option("Widths θβ.", _CHOOSING)] = _BETAS,
    engine: Engine = "auto",
) -> None:
    """Train every network of weak supervision on DATA, and compare its stages.

    Of each seed: classifier, SEC, and SEC's network on true masks (the twin). Then Grad-CAM, SEC
    and the twin are scored with and without a dense CRF, SEC's CRF is taken apart, and the widths
    of its appearance kernel are tried against each other. Everything that is chosen is chosen on
    tune, never on what is reported. An interrupted call goes on where it was; the runs it makes
    are like any others: scene segment --run OUT/seed-0/report/sec.

    With --table scene: the generative models instead, in the report's form and as they are here.
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
            {"data": data, "size": pixels, "count": count, "steps": steps},
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
        twin_steps=twin_steps,
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
        found = do(
            request,
            seeds=range(seed, seed + seeds),
            variants=names,
            folder=out,
            force=force,
            device=device,
            jobs=jobs,
            watch=told if min(jobs, seeds) > 1 else _telling(watch),
        )
    if json:
        console.print_json(data=found.to_json())
        return
    show(found)
    for path in found.files:
        console.print(str(path))


def _unscored(
    request: Request, *, seeds: range, out: Path | None, force: bool, device: Any, json: bool
) -> None:
    """Train what needs no masks, and say why nothing is scored."""
    from inference.experiments.weak.reproduce import train_without_masks

    with bar() as watch:
        found = train_without_masks(
            request, seeds=seeds, folder=out, force=force, device=device, watch=_telling(watch)
        )
    if json:
        console.print_json(data=found.to_json())
        return
    splits = ", ".join(found.lacking)
    console.print(
        f"{found.data}: classifier and SEC are trained, and not scored: there are no masks in "
        f"{splits}. The twin learns from masks of train; settings are chosen on those of tune."
    )
    for path in (*found.runs, *found.files):
        console.print(str(path))


def told(title: str, done: int, total: int) -> None:
    """Say what is being done when it is done: all that one can watch of another process."""
    if done == total:
        notes.print(title, style="dim")


def _telling(watch: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """Say what is being done as it begins, and let ``watch`` follow it."""
    last = ""

    def both(title: str, done: int, total: int) -> None:
        nonlocal last
        if title != last:
            notes.print(title, style="dim")
            last = title
        watch(title, done, total)

    return both


def _some(option: str, text: str) -> tuple[float, ...]:
    if not (found := numbers(option, text)):
        raise ValueError(f"{option} needs one width or more, as 5,10,20.")
    return found


SHARED = (
    "table", "data", "seeds", "seed", "out", "json", "jobs", "device", "download", "size", "count",
    "split", "steps", "force",
)  # fmt: skip
"""The options of `scene reproduce` that this table takes."""


def require(ctx: typer.Context, table: str) -> None:
    """Refuse options that belong to the other table.

    Raises:
        ValueError: Naming them.
    """
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    idle = [n for n in given if (n not in SHARED if table == "scene" else n == "steps")]
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

    found = scene_table(
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
        console.print_json(data=found.to_json())
        return
    _show(found)
    for path in found.files:
        console.print(str(path))


def _tell(result: TrainingScores) -> None:
    notes.print(f"{result.row}, seed {result.settings.training.seed}: done", style="dim")


def _show(found: SceneTable) -> None:
    from rich.table import Table as Grid

    from inference.experiments.compare import format_mean
    from inference.experiments.scene_table import MODELS

    seeds = ", ".join(map(str, found.seeds))
    console.print(f"mIoU in %, {found.scored}, seed{'s' * (len(found.seeds) > 1)} {seeds}")
    grid = Grid("model")
    titles = list(found.scores(next(iter(MODELS))))
    for title in titles:
        grid.add_column(title, justify="right")
    if found.reference:
        grid.add_column("the report", justify="right")
    for name, model in MODELS.items():
        scores = found.scores(name)
        cells = [format_mean(scores[title]) for title in titles]
        if found.reference:
            cells.append("–" if model.report is None else f"{model.report}")
        grid.add_row(name, *cells)
    console.print(grid)
    for name, model in MODELS.items():
        console.print(f"{name}: scene train {model.row.command}", style="dim")
