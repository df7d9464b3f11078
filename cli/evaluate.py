"""`scene evaluate`: the scores of a run, or of each stage of weak supervision, on one split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference.settings.settings import flag

from .ambiguity import evaluate_ambiguity
from .console import about, console, heading
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
from .generation import SegmenterRun, evaluate_generation
from .options import (
    CLASS_MAPS,
    CRF,
    Affinity,
    BackgroundMap,
    Certainty,
    Data,
    Device,
    Download,
    Exponent,
    Flip,
    Guidance,
    ImageNetMaps,
    Json,
    Layer,
    NamedRun,
    RunArgument,
    Scales,
    Seed,
    Split,
    Stages,
    Trust,
    chosen_stage,
    class_maps_of,
    crf_of,
    fitted,
    one_of,
    require_stages,
    segmentation_run,
)
from .progress import bar, working

if TYPE_CHECKING:
    from inference.api.segment import StageScore
    from inference.prediction.evaluate import Cell, Evaluation


def evaluate(
    run: RunArgument = None,
    named: NamedRun = None,
    data: Data = None,
    split: Split = None,
    draws: Annotated[
        int | None,
        typer.Option(
            help="Score with this number of draws of z as well, 1 or more.", show_default="8 only"
        ),
    ] = None,
    at_mean: Annotated[
        bool, typer.Option("--at-mean", help="Score with z at the posterior mean as well.")
    ] = False,
    generation: Annotated[
        bool,
        typer.Option(
            "--generation",
            help="Draw scenes, and compare them with true ones of the split instead.",
        ),
    ] = False,
    ambiguity: Annotated[
        bool,
        typer.Option(
            "--ambiguity",
            help="Draw 16 masks given each image, and compare them with all that it may have "
            "instead; for data that know them, as synthetic:ambiguous.",
        ),
    ] = False,
    segmenter: SegmenterRun = None,
    guidance: Guidance = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Number of scenes that --generation draws, or --ambiguity draws masks of, 4 or "
            "more.",
            metavar="N",
            min=4,
            show_default="300",
        ),
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
    stage: Stages = None,
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
) -> None:
    """Score RUN: masks and classes, each from several sets of views.

    A prediction is the argmax of probabilities averaged over 8 seeded draws of z. With --stage,
    the masks that scene segment would give are scored instead. With --generation, scenes drawn
    from the prior, and given each set of views, are compared with true ones. With --ambiguity,
    masks drawn given an image are compared with all that the image may have.
    """
    run = one_of(run, named)
    arguments = dict(locals())
    if segmenter and not generation:
        raise typer.BadParameter("--segmenter goes with --generation; add it.")
    if guidance is not None and not generation:
        raise typer.BadParameter("--guidance goes with --generation; add it.")
    if limit and not (generation or ambiguity):
        raise typer.BadParameter("--limit goes with --generation or --ambiguity; add one.")
    if generation and ambiguity:
        raise typer.BadParameter("--generation does not go with --ambiguity; leave one out.")
    if stage:
        evaluate_stages(run, stage, arguments)
        return
    refuse_without_stage(arguments)
    if generation:
        refuse_predictions(arguments, "--generation")
        evaluate_generation(run, arguments)
        return
    if ambiguity:
        refuse_predictions(arguments, "--ambiguity")
        evaluate_ambiguity(run, arguments)
        return
    if draws is not None and draws < 1:
        raise ValueError(f"--draws must be 1 or more, not {draws}.")
    model = fitted(run, device=device, trust=trust)
    dataset = model.dataset(split, data=data, download=download)
    protocols: dict[str, dict[str, Any]] = {"8 draws": {}}
    if draws is not None and draws != 8:
        protocols[f"{draws} draws"] = {"draws": draws}
    if at_mean:
        protocols["at mean"] = {"at_mean": True}
    with working("scoring", len(protocols) * len(model.directions)) as watch:
        results = {
            name: model.evaluate(dataset, seed=seed, watch=watch, **options)
            for name, options in protocols.items()
        }
    report = {
        **about(model.run, dataset),
        "scenes": len(dataset),
        "threshold": model.model.threshold,
        "covered": dataset.coverage(),
    }
    if json:
        cells = {name: [cell.to_json() for cell in cells] for name, cells in results.items()}
        console.print_json(data={**report, "results": cells})
        return
    _show(report, results, dataset.schema.labels)


def _show(report: dict[str, Any], results: dict[str, Evaluation], labels: Any) -> None:
    console.print(heading(report, report["scenes"]))
    rows = list(zip(*results.values(), strict=True))
    masks = [row for row in rows if row[0].target == "mask"]
    if any(row[0].score is not None for row in masks):
        console.print(_means("mask from", list(results), masks, {"mIoU, %": "miou"}))
        console.print(_per_label([row[0] for row in masks], labels.names))
    classes = [row for row in rows if row[0].target == "classes"]
    scores = {"macro-F1, %": "macro_f1", "AP, %": "map"}
    console.print(_means("classes from", list(results), classes, scores))
    if report["recipe"] == "classifier":
        console.print(_per_class(classes[0][0], labels.classes))
        console.print(f"F1: present where p > {report['threshold']:g}.")
    if report["covered"] < 0.995:
        console.print(
            f"Scored at the stored pixels; the crop to {report['size']} covers "
            f"{report['covered']:.0%} of them, and the rest is left out."
        )
    if any(_source(row[0]).endswith("†") for row in rows):
        console.print("† no term of the objective trained this posterior on its own.")
    console.print("– the model cannot go this way, or the label never occurs.")


def _means(title: str, protocols: list[str], rows: list[Any], scores: dict[str, str]) -> Any:
    from rich.table import Table

    table = Table(title)
    for name in ("prediction", "scenes", *scores):
        table.add_column(name, justify="right")
    for row in rows:
        for protocol, cell in zip(protocols, row, strict=True):
            values = [_number(getattr(cell.score, field, None)) for field in scores.values()]
            count = str(cell.scenes) if cell.score is not None else "–"
            table.add_row(_source(cell) if cell is row[0] else "", protocol, count, *values)
    return table


def _per_label(cells: list[Cell], names: tuple[str, ...]) -> Any:
    from rich.table import Table

    known = [cell for cell in cells if cell.score is not None]
    table = Table("IoU, %, from")
    for cell in known:
        table.add_column(_source(cell), justify="right")
    for name in names:
        scores: list[Any] = [cell.score for cell in known]
        table.add_row(name, *(_number(score.iou[name]) for score in scores))
    return table


def _per_class(cell: Cell, names: tuple[str, ...]) -> Any:
    from rich.table import Table

    table = Table("class")
    for name in ("F1, %", "AP, %"):
        table.add_column(name, justify="right")
    score: Any = cell.score
    for name in names if score is not None else ():
        table.add_row(name, _number(score.f1[name]), _number(score.ap[name]))
    return table


def _source(cell: Cell) -> str:
    return cell.source if cell.trained or cell.score is None else f"{cell.source} †"


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.1f}"


def evaluate_stages(run: Path | None, stages: Sequence[str], arguments: dict[str, Any]) -> None:
    """Score stages of one run on a split, and print a table or JSON.

    Args:
        run: The run; None = the newest that has the first stage.
        stages: Stages of one network: a stage, the same with the CRF, or both.
        arguments: The arguments of `cli.evaluate.evaluate` by name.
    """
    require_stages(stages)
    for option in ("generation", "ambiguity"):
        if arguments[option]:
            raise typer.BadParameter(
                f"--{option} does not go with --stage; leave one of them out."
            )
    refuse_predictions(arguments, "--stage")
    from inference import load
    from inference.api.segment import score_stages
    from scene.notices import against_weak

    selected_run = segmentation_run(run, stages[0])
    for name in stages:
        chosen_stage(selected_run, name, arguments)
    crf, class_maps = crf_of(arguments, selected_run), class_maps_of(arguments, selected_run)
    fitted = load(selected_run, device=arguments["device"], trust=arguments["trust"])
    dataset = fitted.dataset(
        arguments["split"], data=arguments["data"], download=arguments["download"], target="mask"
    )
    split = dataset.split
    with bar() as watch:
        watch("counting classes", 0, len(dataset))
        scores = score_stages(
            fitted,
            stages,
            dataset,
            crf=crf,
            class_maps=class_maps,
            engine=arguments["engine"],
            seed=arguments["seed"],
            watch=lambda done, total: watch(f"scoring {split}", done, total),
        )
    one = next(iter(scores.values()))
    about = {
        "run": str(selected_run.folder),
        "recipe": selected_run.settings.title,
        "data": dataset.name,
        "split": split,
        "scenes": one.scenes,
        "weak": one.weak,
    }
    if arguments["json"]:
        stages_json = {name: score.to_json() for name, score in scores.items()}
        console.print_json(data={**about, "stages": stages_json})
        return
    scenes = f"{one.scenes} scenes{against_weak(one.weak, one.scenes)}"
    console.print(f"{about['run']}: {about['recipe']} on {about['data']} ({split}, {scenes})")
    _show_stages(scores)


def refuse_predictions(arguments: dict[str, Any], option: str) -> None:
    """Refuse options of predictions beside an option that scores something else."""
    if arguments["draws"] is not None or arguments["at_mean"]:
        raise typer.BadParameter(f"--draws and --at-mean do not go with {option}; leave them out.")


def refuse_without_stage(arguments: dict[str, Any]) -> None:
    """Refuse options that only a stage has, where no stage is named."""
    stock: dict[str, Any] = {**dict.fromkeys(("params", *CRF, *CLASS_MAPS)), "engine": "auto"}
    for name, value in stock.items():
        if arguments[name] != value:
            raise typer.BadParameter(
                f"{flag(name)} needs --stage; add a stage, as --stage sec+crf, or leave the "
                "option out."
            )


def _show_stages(scores: dict[str, StageScore]) -> None:
    from rich.table import Table

    table = Table("IoU, %")
    for name in scores:
        table.add_column(name, justify="right")
    one, *_ = scores.values()
    for label in one.score.iou:
        table.add_row(label, *(_number(s.score.iou[label]) for s in scores.values()))
    table.add_section()
    table.add_row("mean", *(_number(s.score.miou) for s in scores.values()), style="bold")
    if one.common:
        table.add_row("mean of the uncommon", *(_number(s.uncommon) for s in scores.values()))
    console.print(table)
    if one.common:
        console.print(f"Common, in 90 % of training images or more: {', '.join(one.common)}.")
    counts = {name: len(score.absent) for name, score in scores.items() if score.absent}
    if counts:
        absent = ", ".join(f"{count} with {name}" for name, count in counts.items())
        console.print(
            f"– in neither ground truth nor prediction, so left out of the mean: {absent}."
        )
